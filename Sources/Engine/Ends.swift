// Ends.swift: the last word about a stream, exactly once, and what becomes of what it held.
// Owns: END frames. Source: DESIGN "END is exact".
import Frames
import HTTP1
import Model

extension WorkerEngine {
    /// Buffers kept for streams to come, and the memory that each may keep.
    private static let spareBuffersMax = 64
    private static let spareBufferBytesMax = 131_072

    /// Ends a stream: gives back or closes what it holds, tells the proxy, frees the slot.
    /// The caller has set `report.connection` when it has dealt with the connection itself.
    mutating func end(_ slot: Int, _ report: consuming EndReport) {
        let session = streams[slot].session
        letGo(slot, &report)
        if streams[slot].group >= 0 { leaveGroup(slot, &report) }
        report.requestBodyBytes = streams[slot].bodyWritten
        report.replyBodyBytes = streams[slot].replyBytes
        report.requestStarted = streams[slot].isStarted
        report.repeatable = !streams[slot].isStarted || streams[slot].mayRepeat
        report.timings = timings(slot)
        sortAttempts(slot)
        let lane = sessions[session].output.lane(behind: streams[slot].outputMark)
        encoder.end(
            report,
            attempts: streams[slot].attempts,
            stream: streams[slot].id,
            into: &sessions[session].output[lane]
        )
        if streams[slot].isProxyDone {
            sessions[session].ids.remove(streams[slot].id)
        } else {
            sessions[session].ids.setEnded(streams[slot].id, endedMax: limits.streamsPerSessionMax)
        }
        sessions[session].streamCount -= 1
        free(slot)
        orderWrite(session: session)
    }

    /// What a reply that came to its end means for the stream.
    func report(_ outcome: Outcome, _ stream: Int) -> EndReport {
        let status = streams[stream].refusalStatus
        switch outcome {
        case .complete, .completeByEOF:
            if status > 0 {
                // A length or the last chunk proves it whole; the connection's end does not.
                let end = outcome == .complete ? "" : "; its reply ended with the connection"
                let detail = "the peer answered CONNECT with status \(status)\(end)"
                return EndReport(.peerRefused, detail: detail)
            }
            if streams[stream].isCut { return report(.truncated, stream) }
            return EndReport(outcome)
        case .truncated:
            return EndReport(.truncated, detail: "the connection ended without close_notify")
        case .badReply, .badRequest, .cancelled, .overloaded, .queueTimeout, .pinLost, .pinMismatch, .pinBusy,
            .connectRefused, .connectUnreachable, .connectTimeout, .tlsHandshake, .tlsVerify, .peerRefused,
            .replyTimeout, .idleTimeout, .deadline, .reset, .draining, .internal:
            return EndReport(outcome)
        }
    }

    /// Ends every stream of a session that nobody listens to any more.
    mutating func abandonStreams(ofSession session: Int) {
        if sessions[session].streamCount == 0 { return }
        for slot in 0..<streams.slotCount where streams.isTaken(slot) && streams[slot].session == session {
            var report = EndReport(.cancelled)
            letGo(slot, &report)
            if streams[slot].group >= 0 { leaveGroup(slot, &report) }
            free(slot)
        }
        sessions[session].streamCount = 0
        sessions[session].ids.removeAll()
    }

    /// Takes the stream off its waiters or its connection. A connection that saw nothing of the request is as good
    /// as before; any other owes a reply that nobody will read.
    private mutating func letGo(_ slot: Int, _ report: inout EndReport) {
        let phase = streams[slot].phase
        streams[slot].phase = .none
        leavePin(slot)
        switch phase {
        case .none:
            break
        case .queued(let pin): leaveLine(slot, of: pin)
        case .waiting:
            abandonWaiters(slot, report.outcome == .connectTimeout ? .timeout : .abandoned)
        case .active(let connection):
            // One that was unpinned meanwhile is nobody's any more.
            if streams[slot].isUploadUntouched && !connections[connection].hasEnded
                && !connections[connection].isSpent
                && (!connections[connection].carriesTokens || connections[connection].pin != nil)
            {
                dropSecurity(ofConnection: connection)
                connections[connection].requests -= 1
                connections[connection].decoder = ReplyDecoder(limits: limits)
                report.connection = giveUp(connection)
            } else {
                report.connection = .closed
                close(connection)
            }
        }
    }

    /// By their beginning; they were noted at their ends.
    private mutating func sortAttempts(_ slot: Int) {
        if streams[slot].attempts.count < 2 { return }
        for end in 1..<streams[slot].attempts.count {
            var index = end
            while index > 0,
                streams[slot].attempts[index].startMicroseconds
                    < streams[slot].attempts[index - 1].startMicroseconds
            {
                streams[slot].attempts.swapAt(index, index - 1)
                index -= 1
            }
        }
    }

    /// What it has tried is over, whatever came of it.
    private mutating func forgetAuthentication(_ slot: Int) {
        guard let state = streams[slot].authentication else { return }
        for own in [state.origin, state.peer, state.tunnel] {
            if let own, let space = own.space { authenticator.ended(space, own.credential, own.attempt) }
        }
        streams[slot].authenticationAside.clear()
    }

    private mutating func free(_ slot: Int) {
        unstall(slot)
        leaveTurn(slot, isReply: false)
        dropSecurity(ofStream: slot)
        targets.routes.release(streams[slot].route)
        streams[slot].route = .direct
        if !streams[slot].authenticationAside.isAbsent { forgetAuthentication(slot) }
        if streams[slot].upload.isSecret { streams[slot].upload.wipe() }
        streams[slot].upload.removeAll()
        // The slot may be another stream's before they are sent on their way.
        if !pinOrphans.isEmpty { pinOrphans.removeAll { $0 == slot } }
        if streams[slot].upload.capacity <= Self.spareBufferBytesMax
            && spareBuffers.count < Self.spareBuffersMax
        {
            var buffer = ByteBuffer()
            swap(&buffer, &streams[slot].upload)
            spareBuffers.append(buffer)
        } else {
            streams[slot].upload.removeAll(keepingAtMost: 0)
        }
        streams.release(slot)
    }

    private func timings(_ slot: Int) -> Timings {
        let opened = streams[slot].openedAt
        var timings = Timings()
        timings.connectedMicroseconds = streams[slot].connectedAt?.microseconds(since: opened) ?? 0
        timings.sentMicroseconds = streams[slot].sentAt?.microseconds(since: opened) ?? 0
        timings.firstByteMicroseconds = streams[slot].firstByteAt?.microseconds(since: opened) ?? 0
        timings.totalMicroseconds = now.microseconds(since: opened)
        return timings
    }
}
