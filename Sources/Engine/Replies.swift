// Replies.swift: the reply side of an exchange: decoded bytes to frames, the end, the connection's fate.
// Owns: when a reply is whole. Never touches: how much of its body may come now (ReplyBodies.swift).
// Source: DESIGN "END is exact", "No desynchronisation".
import Frames
import HTTP1
import Model

extension WorkerEngine {
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
            streams[stream].hasPassedInterim = true
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
        leaveTurn(stream, isReply: true)
        // A final reply instead of 100: the body is not sent. Source: RFC 9110 §10.1.1.
        streams[stream].continueUntil = .never
        armDeadline(stream)
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
