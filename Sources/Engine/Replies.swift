// Replies.swift: the reply side of an exchange: decoded bytes to frames, credit, the end, the connection's fate.
// Owns: when a reply is whole. Source: DESIGN "END is exact", "No desynchronisation", "Back-pressure".
import Frames
import HTTP1
import Model

extension WorkerEngine {
    /// Room in front of BODY data inside a frame: tag and length.
    private static let bodyPrefixBytesMax = 6
    /// Least room worth a read in place.
    private static let inPlaceBytesMin = 4096

    /// Bytes of the upstream of an exchange.
    mutating func takeReply(_ bytes: Span<UInt8>, connection slot: Int) {
        if connections[slot].inbound.isEmpty {
            let used = decodeReply(bytes, connection: slot)
            if used < bytes.count { keep(bytes.extracting(droppingFirst: used), connection: slot) }
        } else {
            connections[slot].inbound.append(bytes)
            decodeInbound(slot)
        }
    }

    /// Bytes that cannot be taken now are kept while the exchange goes on.
    private mutating func keep(_ bytes: Span<UInt8>, connection slot: Int) {
        if connections.isTaken(slot), case .busy = connections[slot].state {
            connections[slot].inbound.append(bytes)
        }
    }

    mutating func decodeInbound(_ slot: Int) {
        var inbound = ByteBuffer()
        swap(&inbound, &connections[slot].inbound)
        let used = decodeReply(inbound.bytes, connection: slot)
        if connections.isTaken(slot), case .busy = connections[slot].state {
            inbound.consume(used)
            swap(&inbound, &connections[slot].inbound)
        }
    }

    /// Decodes as far as bytes and credit go. - Returns: bytes used.
    private mutating func decodeReply(_ bytes: Span<UInt8>, connection slot: Int) -> Int {
        guard case .busy(let stream) = connections[slot].state, !isHeld(slot) else { return 0 }
        streams[stream].lastActivityAt = now
        var used = 0
        while true {
            let rest = bytes.extracting(droppingFirst: used)
            if connections[slot].decoder.opaqueBytes > 0 {
                if rest.isEmpty { return used }
                if isDropping(stream) {
                    let count = min(rest.count, opaqueBytes(slot))
                    if !drop(count, slot, stream) { return used }
                    connections[slot].decoder.consumedOpaque(count)
                    used += count
                    continue
                }
                let count = sendable(stream, upTo: min(rest.count, opaqueBytes(slot)))
                if count == 0 {
                    pause(slot, stream)
                    return used
                }
                sendBody(rest.extracting(first: count), stream)
                connections[slot].decoder.consumedOpaque(count)
                used += count
                continue
            }
            let step: ReplyStep
            do throws(ReplyError) {
                step = try connections[slot].decoder.decode(rest, head: &head, chunkBytesMax: 0)
            } catch {
                if exchangeFailed(
                    stream,
                    .malformed,
                    isOnes: isOnes(slot, stream) || connections[slot].isSpent
                ) {
                    close(slot)
                    moveOn(stream)
                    return used
                }
                failReply(slot, stream, EndReport(.badReply, detail: error.detail))
                return used
            }
            used += step.consumed
            if case .needMore = step.event {
                if !rest.isEmpty && !streams[stream].isReplyBegun { sawHead(stream) }
                return used
            }
            if !take(step, rest, slot, stream, isLast: used == bytes.count) { return used }
        }
    }

    private func opaqueBytes(_ slot: Int) -> Int {
        Int(min(connections[slot].decoder.opaqueBytes, UInt64(Int32.max)))
    }

    /// What one step found. - Returns: whether the exchange goes on.
    private mutating func take(
        _ step: ReplyStep,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int,
        isLast: Bool
    ) -> Bool {
        switch step.event {
        case .needMore:
            return true
        case .interim:
            // What came was not the reply's: its first byte is still awaited.
            streams[stream].firstByteAt = nil
            armDeadline(stream)
            guard passHead(bytes, slot, stream, isInterim: true) else { return false }
            if head.status == 100 && streams[stream].gate == .awaitsContinue { openGate(stream) }
            return true
        case .head:
            return takeHead(bytes.extracting(first: step.consumed), slot, stream)
        case .body(let range):
            if range.isEmpty { return true }
            if isDropping(stream) { return drop(range.count, slot, stream) }
            sendBody(bytes.extracting(range), stream)
            return true
        case .trailers:
            return isDropping(stream) || passTrailers(bytes, slot, stream)
        case .complete:
            completeReply(slot, stream, hasLeftover: !isLast)
            return false
        }
    }

    /// The head of a final reply. - Returns: whether the exchange goes on.
    mutating func takeHead(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int) -> Bool {
        if streams[stream].authenticationAside.isAbsent { return passReply(bytes, slot, stream) }
        return switch answersChallenge(bytes, slot, stream) {
        case .passed: passReply(bytes, slot, stream)
        case .dropped: true
        case .held: false
        }
    }

    /// The head is the proxy's. - Returns: whether the exchange goes on.
    mutating func passReply(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int) -> Bool {
        if streams[stream].group >= 0 && triesAnotherForStatus(slot, stream) { return false }
        replyBegan(stream)
        var opensTunnel = false
        if case .tunnel = head.body { opensTunnel = true }
        if streams[stream].gate == .shut || streams[stream].isConnect && !opensTunnel {
            streams[stream].refusalStatus = head.status
        }
        guard passHead(bytes, slot, stream, isInterim: false) else { return false }
        dropSecurity(ofConnection: slot)
        if opensTunnel { openTunnel(stream) }
        return true
    }

    func payloadBytesMax(_ stream: Int) -> Int {
        sessions[streams[stream].session].framePayloadBytesMax
    }

    /// Passes `head` on. - Returns: whether it fits a frame of the proxy's; if not, the stream has ended.
    mutating func passHead(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int, isInterim: Bool) -> Bool {
        var facts = ConnectionFacts()
        if !isInterim {
            bind(slot, stream, bytes)
            facts.reused = connections[slot].requests > 1
            facts.endpointIndex = streams[stream].endpointIndex
            facts.requests = connections[slot].requests
            facts.remote = targets[connections[slot].target].key.endpoint
            facts.local = connections[slot].local
            facts.isPinned = connections[slot].pin != nil
            facts.isBound = connections[slot].isBinding
            if !streams[stream].authenticationWords.isEmpty {
                facts.authentication = streams[stream].authenticationWords
            }
            if !connections[slot].isClear { describeTLS(slot, &facts) }
        }
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark)
        let fits = encoder.reply(
            head,
            in: bytes,
            facts: facts,
            isInterim: isInterim,
            stream: streams[stream].id,
            payloadBytesMax: payloadBytesMax(stream),
            into: &sessions[session].output[lane]
        )
        return passed(fits, lane, slot, stream)
    }

    private mutating func passTrailers(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int) -> Bool {
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark)
        let fits = encoder.trailers(
            head.fields,
            in: bytes,
            stream: streams[stream].id,
            endsStream: false,
            payloadBytesMax: payloadBytesMax(stream),
            into: &sessions[session].output[lane]
        )
        return passed(fits, lane, slot, stream)
    }

    private mutating func passed(_ fits: Bool, _ lane: OutputQueue.Lane, _ slot: Int, _ stream: Int) -> Bool {
        if !fits {
            let detail = "the reply's fields do not fit a frame of \(payloadBytesMax(stream)) bytes"
            failReply(slot, stream, EndReport(.badReply, detail: detail))
            return false
        }
        let session = streams[stream].session
        streams[stream].outputMark = sessions[session].output.mark(lane)
        orderWrite(session: session)
        return true
    }

    /// The first bytes of a head came without the rest.
    private mutating func sawHead(_ stream: Int) {
        if streams[stream].firstByteAt != nil { return }
        streams[stream].firstByteAt = now
        armDeadline(stream)
    }

    mutating func replyBegan(_ stream: Int) {
        streams[stream].isReplyBegun = true
        if streams[stream].firstByteAt == nil { streams[stream].firstByteAt = now }
        if streams[stream].group >= 0 { memberReplied(stream) }
        // A final reply instead of 100: the body is not sent. Source: RFC 9110 §10.1.1.
        streams[stream].continueUntil = .never
        armDeadline(stream)
    }

    /// How many of `count` body bytes the proxy can take now.
    func sendable(_ stream: Int, upTo count: Int) -> Int {
        if sessions[streams[stream].session].isCongested { return 0 }
        return Int(min(Int64(count), streams[stream].replyCredit))
    }

    private mutating func sendBody(_ data: Span<UInt8>, _ stream: Int) {
        let session = streams[stream].session
        streams[stream].replyCredit -= Int64(data.count)
        streams[stream].replyBytes += UInt64(data.count)
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark, bodyBytes: data.count)
        encoder.body(
            data,
            stream: streams[stream].id,
            endsStream: false,
            payloadBytesMax: payloadBytesMax(stream),
            into: &sessions[session].output[lane]
        )
        streams[stream].outputMark = sessions[session].output.mark(lane)
        orderWrite(session: session)
    }

    /// Bytes that `receivedInPlace` would take now; 0: read into a buffer and call `received`.
    package func bytesInPlaceMax(_ connection: ConnectionID) -> Int {
        guard let slot = connections.find(connection.slot, connection.generation),
            case .busy(let stream) = connections[slot].state, connections[slot].inbound.isEmpty,
            !isDropping(stream), !isHeld(slot)
        else { return 0 }
        let payloadMax = sessions[streams[stream].session].framePayloadBytesMax - Self.bodyPrefixBytesMax
        let count = sendable(stream, upTo: min(payloadMax, opaqueBytes(slot)))
        return count < Self.inPlaceBytesMin ? 0 : count
    }

    /// Whether nothing can be taken now: then the connection is paused as if `pauseReading` had been ordered. Asking
    /// before a read keeps the bytes in the kernel.
    package mutating func holdsReading(_ connection: ConnectionID) -> Bool {
        guard let slot = connections.find(connection.slot, connection.generation),
            case .busy(let stream) = connections[slot].state, connections[slot].decoder.opaqueBytes > 0,
            sendable(stream, upTo: 1) == 0, !isDropping(stream)
        else { return false }
        connections[slot].isPaused = true
        connections[slot].mayHaveMore = true
        stall(stream)
        return true
    }

    /// Lets `read` put bytes of an upstream straight into the session's output, at most as many as
    /// `bytesInPlaceMax` has just said. What the upstream sent beyond them goes to `received` next.
    /// - Parameters:
    ///   - connection: where from.
    ///   - now: the time.
    ///   - read: puts the bytes; returns whether more may wait behind them.
    package mutating func receivedInPlace(
        from connection: ConnectionID,
        now: Instant,
        read: (inout OutputSpan<UInt8>) -> Bool
    ) {
        let room = bytesInPlaceMax(connection)
        guard room > 0, case .busy(let stream) = connections[Int(connection.slot)].state else { return }
        self.now = now
        let slot = Int(connection.slot)
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark, bodyBytes: room)
        var mayHaveMore = false
        let count = encoder.body(
            upTo: room,
            stream: streams[stream].id,
            into: &sessions[session].output[lane]
        ) { mayHaveMore = read(&$0) }
        connections[slot].mayHaveMore = mayHaveMore
        if count == 0 { return }
        streams[stream].outputMark = sessions[session].output.mark(lane)
        streams[stream].lastActivityAt = now
        streams[stream].replyCredit -= Int64(count)
        streams[stream].replyBytes += UInt64(count)
        connections[slot].decoder.consumedOpaque(count)
        orderWrite(session: session)
        if connections[slot].decoder.opaqueBytes == 0 { takeReply(Span(), connection: slot) }
        settle()
    }

    /// Stops reading until the proxy can take more.
    private mutating func pause(_ slot: Int, _ stream: Int) {
        if connections[slot].isPaused { return }
        connections[slot].isPaused = true
        connections[slot].mayHaveMore = true
        stall(stream)
        effects.append(.pauseReading(id(ofConnection: slot)))
    }

    /// Goes on with a reply that waited for credit or for room.
    mutating func resume(_ stream: Int) {
        guard case .active(let slot) = streams[stream].phase, connections[slot].isPaused, !isHeld(slot)
        else { return }
        if sendable(stream, upTo: 1) == 0 {
            stall(stream)
            return
        }
        connections[slot].isPaused = false
        streams[stream].lastActivityAt = now
        armDeadline(stream)
        // Ordered first: what waits may complete the reply and send the connection back to the pool.
        effects.append(.resumeReading(id(ofConnection: slot)))
        decodeInbound(slot)
        guard connections.isTaken(slot), case .busy = connections[slot].state, !connections[slot].isPaused
        else { return }
        if connections[slot].hasEnded { endReply(slot) }
    }

    /// Lets every stream go on that waited for room in the session's output, in the order in which they began to wait.
    /// Those that find it full again line up behind the others.
    mutating func resumeStalled(ofSession session: Int) {
        var count = sessions[session].stalled.count
        while count > 0, let stream = sessions[session].stalled.first {
            count -= 1
            unstall(stream)
            resume(stream)
        }
    }

    private mutating func stall(_ stream: Int) {
        if streams[stream].isStalled || !sessions[streams[stream].session].isCongested { return }
        streams[stream].isStalled = true
        stalledLinks.append(stream, to: &sessions[streams[stream].session].stalled)
    }

    /// Takes the stream out of the line for room, if it is in it.
    mutating func unstall(_ stream: Int) {
        if !streams[stream].isStalled { return }
        streams[stream].isStalled = false
        stalledLinks.remove(stream, from: &sessions[streams[stream].session].stalled)
    }

    /// The upstream's end of file, all its bytes taken.
    mutating func endReply(_ slot: Int) {
        guard case .busy(let stream) = connections[slot].state else { return }
        if streams[stream].isTunnel {
            endDownload(slot, stream)
            return
        }
        // It is taken up when the step is.
        if isHeld(slot) { return }
        guard connections[slot].inbound.isEmpty, connections[slot].decoder.endOfFile() else {
            streams[stream].phase = .none
            effects.append(.closeConnection(id(ofConnection: slot)))
            connectionLost(slot, stream, .reset)
            return
        }
        if isDropping(stream) {
            resubmit(slot, stream, keepsConnection: false)
            return
        }
        if isCut(slot) {
            // Anyone can end a TCP connection. Source: RFC 9112 §9.8; RFC 8446 §6.1.
            finish(slot, stream, .truncated, keepsConnection: false)
        } else if httpTLS(slot) == nil {
            finish(slot, stream, .completeByEOF, keepsConnection: false)
        } else {
            finish(slot, stream, .complete, keepsConnection: false)
        }
    }

    /// Whether a connection that has ended is known to have been cut: some hop of it is TLS, and none said close_notify.
    func isCut(_ slot: Int) -> Bool {
        !connections[slot].isClear && !connections[slot].isEndProven
    }

    /// Which hop's TLS is which depends on the route.
    private func describeTLS(_ slot: Int, _ facts: inout ConnectionFacts) {
        switch targets.routes.kind(targets[connections[slot].target].key.route) {
        case .direct, .raw: facts.tlsAside = connections[slot].outerAside
        case .peer: facts.peerTLSAside = connections[slot].outerAside
        case .tunnel:
            facts.peerTLSAside = connections[slot].outerAside
            facts.tlsAside = connections[slot].innerAside
        }
    }

    /// The reply is whole. The connection stays only when nothing about it is in doubt.
    private mutating func completeReply(_ slot: Int, _ stream: Int, hasLeftover: Bool) {
        let requestsMax = limits.requestsPerConnectionMax
        let keeps =
            connections[slot].decoder.persists && streams[stream].isRequestWhole && !hasLeftover
            && !connections[slot].hasEnded && !connections[slot].isSpent
            && (connections[slot].pin != nil
                || (requestsMax == 0 || connections[slot].requests < requestsMax) && !isOverAge(slot))
        connections[slot].idleSince = now
        connections[slot].keepAliveSeconds = connections[slot].decoder.keepAliveSeconds
        if isDropping(stream) {
            resubmit(slot, stream, keepsConnection: keeps)
        } else {
            finish(slot, stream, .complete, keepsConnection: keeps)
        }
    }

    private func isOverAge(_ slot: Int) -> Bool {
        let age = limits.connectionAgeMilliseconds
        return age > 0 && connections[slot].createdAt.adding(milliseconds: age) <= now
    }

    mutating func finish(_ slot: Int, _ stream: Int, _ outcome: Outcome, keepsConnection: Bool) {
        var report = report(outcome, stream)
        streams[stream].phase = .none
        exchangeEnded(stream, report.outcome)
        if keepsConnection {
            connections[slot].isPaused = false
            report.connection = giveUp(slot)
        } else {
            if report.outcome == .complete || report.outcome == .peerRefused { notifyClose(slot) }
            close(slot)
            report.connection = .closed
        }
        end(stream, report)
    }

    mutating func failReply(_ slot: Int, _ stream: Int, _ report: consuming EndReport) {
        streams[stream].phase = .none
        close(slot)
        report.connection = .closed
        end(stream, report)
    }
}
