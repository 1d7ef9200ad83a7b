// Requests.swift: the proxy's side of a stream: REQUEST, BODY, TRAILERS, CREDIT, CANCEL.
// Owns: what a stream may take when. Source: DESIGN "The protocol"; proto/outrigger.proto.
import Authentication
import Frames
import HTTP1
import Model

extension WorkerEngine {
    /// Bytes that a head may have more than the message that it is made from: the authority comes twice.
    private static let headBytesMore = 1536
    /// Credit never grows past this, whatever a proxy grants.
    private static let creditMax: Int64 = 1 << 40

    /// REQUEST: opens a stream and looks for a connection.
    mutating func openStream(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int
    ) throws(FrameError) {
        if case .open = sessions[session].ids.find(header.stream) {
            fault = SessionFault(code: .streamReused, detail: "stream \(header.stream) is in use")
            return
        }
        do throws(FrameError) {
            try decoder.request(payload, into: &request, block: &block)
        } catch {
            forgetSecrets()
            throw error
        }
        let slot = streams.take { Stream() }
        streams[slot].reset(session: session, id: header.stream, now: now)
        sessions[session].ids.set(header.stream, slot: slot)
        sessions[session].streamCount += 1
        totals.requestsTotal &+= 1
        if var buffer = spareBuffers.popLast() { swap(&buffer, &streams[slot].upload) }
        streams[slot].isProxyDone = header.endsStream
        if !prepare(slot, header, session: session) { return }
        if block.isSecret || streams[slot].encoded.hasCredentials { forgetSecrets() }
        if !request.upgrade.isEmpty || request.isConnect {
            streams[slot].gate = .awaitsUpgrade
        } else if streams[slot].encoded.expectsContinue {
            streams[slot].gate = .awaitsContinue
        }
        // A body without a byte: its last chunk is still to be written.
        if header.endsStream { finishUpload(slot, trailers: []) }
        armDeadline(slot)
        dispatch(slot)
    }

    /// Makes a stream of the decoded request. - Returns: whether it can be served; if not, it has ended.
    @inline(__always)
    private mutating func prepare(_ slot: Int, _ header: FrameHeader, session: Int) -> Bool {
        if let refusal = refusal(header, session: session) {
            return refuse(slot, refusal.outcome, refusal.detail)
        }
        if let words = resolveRoute(slot) { return refuse(slot, .badRequest, words) }
        fill(slot)
        if let error = encodeHead(slot) { return refuse(slot, .badRequest, error.detail) }
        streams[slot].headBytes = streams[slot].upload.count
        if requestGroup >= 0 { beginErrand(slot) }
        if !request.credentialsAside.isAbsent, let words = takeCredentials(slot) {
            return refuse(slot, .badRequest, words)
        }
        return true
    }

    private mutating func refuse(_ slot: Int, _ outcome: Outcome, _ words: String) -> Bool {
        // Nobody has looked for secrets in it, perhaps.
        forgetSecrets()
        end(slot, EndReport(outcome, detail: words))
        return false
    }

    /// Of the request that was decoded last no secret stays behind, but where it is needed.
    private mutating func forgetSecrets() {
        block.wipe()
        request.credentials = nil
        if !request.hopAside.isAbsent { request.hop = nil }
        connectLines = nil
        hasHeardSecrets = true
    }

    /// Puts the head of the decoded request in front of the stream's upload. - Returns: why not.
    private mutating func encodeHead(_ slot: Int) -> RequestError? {
        // Moved out while it is read, so that the rest of the engine may change meanwhile.
        var block = ByteBuffer()
        swap(&block, &self.block)
        defer { swap(&block, &self.block) }
        if block.isSecret { streams[slot].upload.isSecret = true }
        // All at once: what credentials it has is known afterwards, and growing would leave some of them behind.
        let bytes = block.count &+ Self.headBytesMore
        if streams[slot].upload.capacity < bytes { streams[slot].upload.reserve(bytes) }
        do throws(RequestError) {
            let encoded = try RequestEncoder.encode(
                request,
                in: block.bytes,
                limits: limits,
                into: &streams[slot].upload
            )
            streams[slot].encoded = encoded
            if encoded.hasCredentials { streams[slot].upload.isSecret = true }
            noteClient(slot, block.bytes)
            if streams[slot].isRaw {
                // It was checked all the same; nothing of it is sent.
                streams[slot].upload.removeAll()
            } else if request.isConnect {
                if let lines = connectLines {
                    RequestEncoder.addConnectLines(lines, to: &streams[slot].upload)
                }
            }
            return nil
        } catch {
            return error
        }
    }

    /// Copies from the decoded request what it says of its client.
    private mutating func noteClient(_ slot: Int, _ block: Span<UInt8>) {
        if !request.pinToken.isEmpty {
            streams[slot].pinMode = request.pinMode
            let token = block.extracting(request.pinToken)
            for index in token.indices { streams[slot].pinToken.append(token[index]) }
        }
        if request.isConnect && connectLinesBind { streams[slot].hasBindingCredentials = true }
        if !streams[slot].encoded.hasCredentials { return }
        for field in request.fields {
            let name = block.extracting(field.name)
            let isCredentials =
                name.isEqual(ignoringCase: "authorization")
                || name.isEqual(ignoringCase: "proxy-authorization")
            let value = block.extracting(field.value)
            if isCredentials && ConnectionBound.isConnectionBoundCredentials(fieldValue: value) {
                streams[slot].hasBindingCredentials = true
            }
        }
    }

    /// Whether the fields of the CONNECT, the request's or its route's, carry credentials of NTLM or Negotiate.
    var connectLinesBind: Bool {
        let lines = (request.hop?.connectFields ?? []) + (namedRoute?.connectFields ?? [])
        return lines.contains {
            $0.name.span.isEqual(ignoringCase: "proxy-authorization")
                && $0.value.withBytes { ConnectionBound.isConnectionBoundCredentials(fieldValue: $0) }
        }
    }

    /// What keeps a decoded request from being served at all.
    private mutating func refusal(
        _ header: FrameHeader,
        session: Int
    ) -> (outcome: Outcome, detail: String)? {
        if isDraining { return (.draining, "shutting down") }
        if sessions[session].streamCount > limits.streamsPerSessionMax {
            return (.overloaded, "more than \(limits.streamsPerSessionMax) streams on one session")
        }
        if let words = request.invalid ?? applyNamedRoute() { return (.badRequest, words) }
        if request.endpoints.count > limits.endpointsMax {
            return (.badRequest, "more than \(limits.endpointsMax) endpoints")
        }
        if let refusal = findGroup() { return refusal }
        if request.endpoints.isEmpty && requestGroup < 0 { return (.badRequest, "no endpoint") }
        var hasBody = true
        if case .none = request.body { hasBody = false }
        let opensBody = hasBody || !request.upgrade.isEmpty || request.isConnect
        if request.isConnect && request.route == .direct && !request.pinToken.isEmpty {
            return (.badRequest, "a pin needs a request that is sent")
        }
        if request.isConnect && header.endsStream {
            return (.badRequest, "CONNECT leaves END_STREAM out of REQUEST")
        }
        if !hasBody && !request.upgrade.isEmpty && header.endsStream {
            return (.badRequest, "an upgrade leaves END_STREAM out of REQUEST")
        }
        if hasBody && !request.upgrade.isEmpty {
            return (.badRequest, "an upgrade goes with no body")
        }
        if !opensBody && !header.endsStream {
            return (.badRequest, "REQUEST without a body needs END_STREAM")
        }
        if case .length(let length) = request.body, length > 0, header.endsStream {
            return (.badRequest, "END_STREAM before \(length) bytes of body")
        }
        return nil
    }

    /// Copies from the decoded request what the stream needs later.
    private mutating func fill(_ slot: Int) {
        swap(&streams[slot].endpoints, &request.endpoints)
        streams[slot].localAddress = request.localAddress
        streams[slot].body = request.body
        streams[slot].retry = request.retry
        streams[slot].uploadCredit = limits.initialCreditBytes
        streams[slot].replyCredit = Int64(sessions[streams[slot].session].initialCreditBytes)
        var times = request.deadlines
        if times.queueMilliseconds == 0 { times.queueMilliseconds = limits.queueMilliseconds }
        if times.connectMilliseconds == 0 { times.connectMilliseconds = limits.connectMilliseconds }
        if times.firstByteMilliseconds == 0 { times.firstByteMilliseconds = limits.firstByteMilliseconds }
        if times.idleMilliseconds == 0 { times.idleMilliseconds = limits.idleMilliseconds }
        if times.totalMilliseconds == 0 { times.totalMilliseconds = limits.totalMilliseconds }
        streams[slot].deadlines = times
        if times.totalMilliseconds > 0 {
            streams[slot].totalUntil = now.adding(milliseconds: times.totalMilliseconds)
        }
    }

    /// BODY: bytes for the upstream, within credit.
    mutating func takeBody(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int,
        _ write: PassWrite
    ) throws(FrameError) {
        guard let slot = openUpload(header, session: session, "BODY") else { return }
        let place = try decoder.body(payload, block: &block)
        let count =
            switch place {
            case .payload(let range): range.count
            case .block(let slice): Int(slice.count)
            }
        guard let words = bodyFault(slot, count) else {
            switch place {
            case .payload(let range): passBody(slot, payload.extracting(range), write)
            case .block(let slice): passBody(slot, slice, write)
            }
            if header.endsStream { finishUpload(slot, trailers: []) }
            pushUpload(slot)
            return
        }
        fault = words
    }

    /// TRAILERS: the end of a chunked body.
    mutating func takeTrailers(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int
    ) throws(FrameError) {
        guard let slot = openUpload(header, session: session, "TRAILERS") else { return }
        guard header.endsStream, streams[slot].body == .chunked else {
            fault = SessionFault(code: .streamState, detail: "TRAILERS need END_STREAM and a chunked body")
            return
        }
        try decoder.trailers(payload, into: &trailers, block: &block)
        finishUpload(slot, trailers: trailers)
        pushUpload(slot)
    }

    /// CREDIT: the proxy can take more of the reply.
    mutating func takeCredit(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int
    ) throws(FrameError) {
        let bytes = try decoder.credit(payload)
        guard case .open(let slot) = sessions[session].ids.find(header.stream) else { return }
        streams[slot].replyCredit = min(streams[slot].replyCredit + Int64(bytes), Self.creditMax)
        resume(slot)
    }

    /// CANCEL: the proxy is no longer interested.
    mutating func takeCancel(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int
    ) throws(FrameError) {
        try decoder.cancel(payload)
        switch sessions[session].ids.find(header.stream) {
        case .unknown:
            break
        case .ended:
            sessions[session].ids.remove(header.stream)
        case .open(let slot):
            streams[slot].isProxyDone = true
            end(slot, EndReport(.cancelled, detail: "cancelled by the proxy"))
        }
    }

    /// The stream whose upload a frame belongs to; `nil` when the frame is to be ignored or is a fault.
    private mutating func openUpload(_ header: FrameHeader, session: Int, _ name: String) -> Int? {
        switch sessions[session].ids.find(header.stream) {
        case .unknown:
            fault = SessionFault(code: .streamState, detail: "\(name) on a stream that is not open")
            return nil
        case .ended:
            if header.endsStream { sessions[session].ids.remove(header.stream) }
            return nil
        case .open(let slot):
            if streams[slot].isProxyDone {
                fault = SessionFault(code: .streamState, detail: "\(name) after END_STREAM")
                return nil
            }
            return slot
        }
    }

    func bodyFault(_ slot: Int, _ count: Int) -> SessionFault? {
        if count > streams[slot].uploadCredit {
            let detail = "\(count) body bytes with credit for \(streams[slot].uploadCredit)"
            return SessionFault(code: .creditExceeded, detail: detail)
        }
        if case .length(let length) = streams[slot].body,
            streams[slot].bodyReceived + UInt64(count) > length
        {
            return SessionFault(code: .streamState, detail: "more body than the \(length) bytes announced")
        }
        return nil
    }

    private mutating func passBody(_ slot: Int, _ slice: Slice, _ write: PassWrite) {
        var data = ByteBuffer()
        swap(&data, &block)
        passBody(slot, data.bytes.extracting(slice), write)
        swap(&data, &block)
    }

    mutating func appendBody(_ slot: Int, _ data: Span<UInt8>) {
        if streams[slot].body == .chunked {
            RequestEncoder.appendChunk(data, into: &streams[slot].upload)
        } else {
            streams[slot].upload.append(data)
        }
    }

    /// The proxy's side is done: closes the framing, or finds that the body is short.
    mutating func finishUpload(_ slot: Int, trailers: [FieldSlice]) {
        streams[slot].isProxyDone = true
        switch streams[slot].body {
        case .none:
            break
        case .length(let length):
            if streams[slot].bodyReceived < length {
                let detail = "the body ended after \(streams[slot].bodyReceived) of \(length) bytes"
                end(slot, EndReport(.badRequest, detail: detail))
            }
        case .chunked:
            if let error = appendLastChunk(slot, trailers) {
                end(slot, EndReport(.badRequest, detail: error.detail))
            }
        }
    }

    private mutating func appendLastChunk(_ slot: Int, _ trailers: [FieldSlice]) -> RequestError? {
        var block = ByteBuffer()
        swap(&block, &self.block)
        defer { swap(&block, &self.block) }
        do throws(RequestError) {
            try RequestEncoder.appendLastChunk(
                trailers: trailers,
                in: block.bytes,
                limits: limits,
                into: &streams[slot].upload
            )
            return nil
        } catch {
            return error
        }
    }
}
