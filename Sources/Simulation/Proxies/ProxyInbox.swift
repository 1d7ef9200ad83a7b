// ProxyInbox.swift: what an honest proxy makes of the engine's frames: every one is decoded, judged and
// noted.
import Frames
import Model

extension SimProxy {
    func takeFrames(_ world: SimWorld) {
        while true {
            let header: FrameHeader
            do {
                guard
                    let next = try FrameHeader.decode(
                        inbound.bytes,
                        payloadBytesMax: own.framePayloadBytesMax
                    )
                else { return }
                header = next
            } catch {
                world.observe(.badFrame(proxy: index, reason: "\(error)"))
                return inbound.removeAll()
            }
            let total = FrameHeader.byteCount + header.payloadBytes
            guard inbound.count >= total else { return }
            inbound.consume(FrameHeader.byteCount)
            let payload = copy(inbound, upTo: header.payloadBytes)
            inbound.consume(payload.count)
            do throws(FrameError) {
                try take(header, payload, world)
            } catch {
                world.observe(.badFrame(proxy: index, reason: "\(error)"))
            }
        }
    }

    private func take(_ header: FrameHeader, _ payload: [UInt8], _ world: SimWorld) throws(FrameError) {
        guard let type = header.type else { return }
        guard header.stream == 0 else { return try takeOnStream(type, header, payload, world) }
        switch type {
        case .hello:
            let hello = try decoder.hello(payload.span)
            if self.hello != nil { world.observe(.badFrame(proxy: index, reason: "a second HELLO")) }
            self.hello = hello
            for place in streams.indices {
                streams[place].credit += hello.initialCreditBytes
                world.observe(.creditTaken(request: streams[place].request, bytes: hello.initialCreditBytes))
            }
        case .pong:
            pingsOwed -= 1
            let data = try decoder.ping(payload.span, block: &block)
            if copy(data, of: block) != [UInt8(index)] {
                world.observe(.badFrame(proxy: index, reason: "PONG with other data"))
            }
            world.observe(.pingAnswered(proxy: index))
        case .goAway:
            let (code, detail) = try decoder.goAway(payload.span)
            world.observe(.goAway(proxy: index, code, detail: detail))
        case .pin:
            let event = try decoder.pin(payload.span)
            switch event.change {
            case .made: if world.sabotages(.losePinEvent) { return }
            case .lost: if world.sabotage == .loseLostEvents { return }
            case .expired: if world.sabotage == .loseExpiredEvents { return }
            }
            world.observe(.pinTold(proxy: index, event))
        case .request, .body, .trailers, .cancel, .credit, .unpin, .ping, .interim, .reply, .end:
            world.observe(.badFrame(proxy: index, reason: "\(type) on stream 0"))
        }
    }

    private func takeOnStream(
        _ type: FrameType,
        _ header: FrameHeader,
        _ payload: [UInt8],
        _ world: SimWorld
    ) throws(FrameError) {
        guard var place = streams.firstIndex(where: { $0.id == header.stream }) else {
            return world.observe(
                .strayFrame(
                    proxy: index,
                    stream: header.stream,
                    type: type,
                    lastRequest: lastRequest[header.stream]
                )
            )
        }
        if type == .reply || type == .body, streams.count > 1, world.sabotages(.swapStreams) {
            place = (place + 1) % streams.count
        }
        let request = streams[place].request
        switch type {
        case .interim: world.observe(.interim(request: request, try seenHead(payload)))
        case .reply:
            let head = try seenHead(payload)
            streams[place].serve = head.serveField
            if head.body == .tunnel { streams[place].isTunnel = true }
            world.observe(.reply(request: request, head))
        case .body: try takeBody(place, header, payload, world)
        case .trailers:
            var fields: [FieldSlice] = []
            try decoder.trailers(payload.span, into: &fields, block: &block)
            let serve = value("x-trailer", fields).flatMap { Int($0) }
            world.observe(.trailers(request: request, serveField: serve, fieldCount: fields.count))
        case .credit:
            let bytes = Int(try decoder.credit(payload.span))
            streams[place].credit += bytes
            world.observe(.creditTaken(request: request, bytes: bytes))
        case .end: try takeEnd(place, header, payload, world)
        case .hello, .request, .cancel, .unpin, .ping, .pong, .pin, .goAway:
            world.observe(.badFrame(proxy: index, reason: "\(type) on stream \(header.stream)"))
        }
    }

    private func takeEnd(
        _ place: Int,
        _ header: FrameHeader,
        _ payload: [UInt8],
        _ world: SimWorld
    ) throws(FrameError) {
        if world.sabotages(.loseEnd) { return }
        let request = streams[place].request
        var (report, attempts) = try decoder.end(payload.span)
        if !header.endsStream { world.observe(.badFrame(proxy: index, reason: "END without END_STREAM")) }
        sabotage(&report, world)
        if world.sabotages(.miscount) { report.replyBodyBytes += 1 }
        if world.sabotages(.blameInternal) { report.outcome = .internal }
        world.observe(.ended(request: request, report, attempts))
        if world.sabotages(.repeatEnd) { world.observe(.ended(request: request, report, attempts)) }
        finish(place)
    }

    private func sabotage(_ report: inout EndReport, _ world: SimWorld) {
        let isOtherwise = ![.complete, .completeByEOF].contains(report.outcome)
        if isOtherwise && world.sabotages(.claimComplete) { report.outcome = .complete }
        if report.outcome == .peerRefused && world.sabotages(.hideRefusal) { report.outcome = .complete }
        if report.outcome == .tlsHandshake && world.sabotages(.mistakeTLSFault) { report.outcome = .reset }
        if !report.members.isEmpty && world.sabotages(.misnameMember) {
            report.members.append(
                GroupWorld.memberName(report.members[0] == GroupWorld.memberName(0) ? 1 : 0)
            )
            report.member = report.members.count - 1
        }
    }

    private func takeBody(
        _ place: Int,
        _ header: FrameHeader,
        _ payload: [UInt8],
        _ world: SimWorld
    ) throws(FrameError) {
        let data: [UInt8]
        switch try decoder.body(payload.span, block: &block) {
        case .payload(let range): data = Array(payload[range])
        case .block(let slice): data = copy(slice, of: block)
        }
        var bytes = data
        if !bytes.isEmpty && world.sabotages(.flipByte) { bytes[bytes.count / 2] ^= 0x20 }
        let offset = streams[place].received
        streams[place].received += bytes.count
        let request = streams[place].request
        if streams[place].isDownloadDone {
            world.observe(.badFrame(proxy: index, reason: "BODY of request \(request) behind its last"))
        }
        if header.endsStream { streams[place].isDownloadDone = true }
        let tagBytes = world.record.requests[request].plan.isRaw ? RawTag.byteCount : 0
        let front = max(0, min(bytes.count, tagBytes - offset))
        if front > 0 { takeTag(bytes[..<front], place, world) }
        let rest = Array(bytes[front...])
        var mismatch: Int?
        if !rest.isEmpty {
            let start = offset + front - tagBytes
            mismatch =
                streams[place].serve.map { Pattern(serve: $0).mismatch(rest.span, at: start) } ?? offset
        }
        world.observe(.body(request: request, offset: offset, count: bytes.count, mismatchAt: mismatch))
        owe(bytes.count, place, world)
    }

    /// The first bytes of a raw tunnel say who has sent them.
    private func takeTag(_ bytes: ArraySlice<UInt8>, _ place: Int, _ world: SimWorld) {
        streams[place].tag += bytes
        guard streams[place].tag.count == RawTag.byteCount else { return }
        let serve = RawTag.number(streams[place].tag) ?? -1
        streams[place].serve = serve
        world.observe(.tagged(request: streams[place].request, serve: serve))
    }

    /// Plans the credit for bytes that were taken.
    private func owe(_ bytes: Int, _ place: Int, _ world: SimWorld) {
        let plan = world.record.requests[streams[place].request].plan
        switch plan.credit {
        case .ahead, .never: return
        case .atOnce:
            streams[place].creditOwed += bytes + (random.chance(20) ? 5000 : 0)
            if streams[place].creditAt == .never { streams[place].creditAt = world.now }
        case .slowly:
            streams[place].creditOwed += bytes + 2000
            if streams[place].creditAt == .never {
                streams[place].creditAt = world.now.adding(
                    microseconds: random.pick([1000, 50_000, 900_000])
                )
            }
        }
    }

    private func seenHead(_ payload: [UInt8]) throws(FrameError) -> SeenHead {
        var facts = ConnectionFacts()
        try decoder.reply(payload.span, into: &head, facts: &facts, block: &block)
        return SeenHead(
            status: head.status,
            requestField: value("x-request", head.fields).flatMap { Int($0) },
            serveField: value("x-serve", head.fields).flatMap { Int($0) },
            body: head.body,
            isPinned: facts.isPinned,
            originTLS: facts.tls?.cipher,
            peerTLS: facts.peerTLS?.cipher
        )
    }

    /// The value of the first field called `name`, which is in lower case.
    private func value(_ name: String, _ fields: [FieldSlice]) -> String? {
        for field in fields where text(field.name).lowercased() == name {
            return text(field.value)
        }
        return nil
    }

    private func text(_ slice: Slice) -> String {
        String(decoding: copy(slice, of: block), as: UTF8.self)
    }
}
