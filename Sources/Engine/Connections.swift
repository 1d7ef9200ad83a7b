// Connections.swift: what happens on a transport: bytes, room, its end. The upload side of an exchange.
// Owns: what is written when, and when a request may be sent again. Source: DESIGN "Semantics", retries.
import HTTP1
import Model

extension WorkerEngine {
    /// Bytes of an upstream. All are taken.
    /// - Parameters:
    ///   - bytes: what was read.
    ///   - connection: where from.
    ///   - mayHaveMore: whether the read was not short, so that the kernel may hold more.
    ///   - now: the time.
    package mutating func received(
        _ bytes: Span<UInt8>,
        from connection: ConnectionID,
        mayHaveMore: Bool,
        now: Instant
    ) {
        guard let slot = connections.find(connection.slot, connection.generation) else {
            return spoil(connection)
        }
        self.now = now
        connections[slot].mayHaveMore = mayHaveMore
        switch connections[slot].state {
        case .busy(let stream):
            if streams[stream].isUploadUntouched && !bytes.isEmpty {
                condemn(slot, stream)
            } else {
                takeReply(bytes, connection: slot)
            }
        case .idle:
            // Bytes that no request asked for: whatever comes next cannot be trusted. Source: RFC 9112 §9.2.
            unpark(slot)
            close(slot)
        case .pinned: endPin(slot, .lost, "the upstream sent bytes that no request asked for")
        case .dialing:
            setupReceived(bytes, slot)
        case .closed:
            preconditionFailure("bytes in \(connections[slot].state)")
        }
        settle()
    }

    /// Bytes that came before anything of the request was written are no reply to it, whatever they look like:
    /// the stream gets another connection. Source: DESIGN "No desynchronisation"; RFC 9112 §9.2.
    private mutating func condemn(_ slot: Int, _ stream: Int) {
        streams[stream].phase = .none
        effects.append(.closeConnection(id(ofConnection: slot)))
        connectionLost(slot, stream, streams[stream].isOnIdle ? .stale : .reset)
    }

    /// The upstream sent FIN: no bytes follow.
    /// - Parameters:
    ///   - connection: whose.
    ///   - isProven: over TLS: whether close_notify came before it. Source: RFC 8446 §6.1.
    ///   - now: the time.
    package mutating func endOfFile(from connection: ConnectionID, isProven: Bool = false, now: Instant) {
        guard let slot = connections.find(connection.slot, connection.generation) else {
            return spoil(connection)
        }
        self.now = now
        connections[slot].hasEnded = true
        connections[slot].isEndProven = isProven
        switch connections[slot].state {
        case .busy:
            // Bytes that wait for credit come before the end.
            if connections[slot].inbound.isEmpty || !connections[slot].isPaused { endReply(slot) }
        case .idle:
            unpark(slot)
            close(slot)
        case .pinned: endPin(slot, .lost, "the upstream closed it")
        case .dialing:
            setupLost(slot, isOpen: true, .reset)
        case .closed:
            preconditionFailure("end of file in \(connections[slot].state)")
        }
        settle()
    }

    /// The socket failed. The id is dead.
    package mutating func closed(_ connection: ConnectionID, _ cause: CloseCause, now: Instant) {
        guard let slot = connections.find(connection.slot, connection.generation) else {
            return spoil(connection)
        }
        self.now = now
        switch connections[slot].state {
        case .busy(let stream):
            streams[stream].phase = .none
            connectionLost(slot, stream, cause)
        case .idle:
            unpark(slot)
            forget(slot)
        case .pinned:
            setEnding(slot, .lost, "the upstream reset it")
            forget(slot)
        case .dialing:
            setupLost(slot, isOpen: false, cause)
        case .closed:
            preconditionFailure("closed in \(connections[slot].state)")
        }
        settle()
    }

    /// Bytes to write; empty when there are none.
    @_lifetime(borrow self)
    package func output(of connection: ConnectionID) -> Span<UInt8> {
        guard let slot = connections.find(connection.slot, connection.generation) else { return Span() }
        if case .dialing = connections[slot].state {
            return connections.slots[slot].element.setupOutput.bytes
        }
        guard case .busy(let stream) = connections[slot].state else { return Span() }
        let written = streams[stream].uploadWritten
        let limit = streams[stream].uploadLimit
        return streams.slots[stream].element.upload.bytes.extracting(min(written, limit)..<limit)
    }

    /// Some of `output(of:)` is taken, and may be on the wire before it is reported as written: encrypted, for instance.
    package mutating func committed(to connection: ConnectionID) {
        guard let slot = connections.find(connection.slot, connection.generation) else { return }
        if case .busy(let stream) = connections[slot].state {
            streams[stream].isStarted = true
            streams[stream].isCommitted = true
        } else {
            connections[slot].hasAsked = true
        }
    }

    /// `count` bytes of `output(of:)` are written.
    package mutating func wrote(_ count: Int, to connection: ConnectionID, now: Instant) {
        guard let slot = connections.find(connection.slot, connection.generation) else { return }
        self.now = now
        if case .dialing = connections[slot].state {
            setupWrote(count, slot)
            settle()
            return
        }
        // Of a tunnel that was refused early the rest of the CONNECT may still have been on its way.
        guard case .busy(let stream) = connections[slot].state, streams[stream].gate != .shut else { return }
        noteWritten(count, slot, stream)
        settle()
    }

    /// `count` bytes of a stream's upload are written, and whatever of its body is not in it.
    mutating func noteWritten(_ count: Int, _ slot: Int, _ stream: Int) {
        connections[slot].awaitsProbe = false
        streams[stream].uploadWritten += count
        streams[stream].isStarted = true
        streams[stream].lastActivityAt = now
        if streams[stream].uploadWritten >= streams[stream].uploadLimit {
            connections[slot].isWriting = false
        }
        trimUpload(stream)
        if isUploadOut(stream) {
            uploadDone(stream, slot)
        } else {
            if streams[stream].gate == .awaitsContinue && streams[stream].continueUntil == .never {
                streams[stream].continueUntil = now.adding(milliseconds: limits.continueMilliseconds)
                armDeadline(stream)
            }
            giveCredit(stream)
        }
    }

    /// Orders what the upload has to be written, when the stream has a connection and its gate is open.
    mutating func pushUpload(_ stream: Int) {
        guard case .active(let slot) = streams[stream].phase else { return }
        if streams[stream].uploadWritten < streams[stream].uploadLimit {
            if !connections[slot].isWriting {
                connections[slot].isWriting = true
                effects.append(.writeConnection(id(ofConnection: slot), probeFirst: false))
            }
        } else if streams[stream].gate == .open && isUploadOut(stream) {
            uploadDone(stream, slot)
        }
    }

    /// Opens the gate: the body follows the head now.
    mutating func openGate(_ stream: Int) {
        streams[stream].gate = .open
        streams[stream].continueUntil = .never
        pushUpload(stream)
        giveCredit(stream)
    }

    /// Whether everything that the request will ever be is written, or all that may be before a 101.
    private func isUploadOut(_ stream: Int) -> Bool {
        switch streams[stream].gate {
        case .open:
            streams[stream].isUploadComplete && streams[stream].uploadWritten == streams[stream].upload.count
        case .awaitsContinue:
            false
        case .awaitsUpgrade, .awaitsToken:
            streams[stream].uploadWritten >= streams[stream].headBytes
        case .shut:
            false
        }
    }

    private mutating func uploadDone(_ stream: Int, _ slot: Int) {
        if streams[stream].sentAt == nil {
            streams[stream].sentAt = now
            armDeadline(stream)
        }
        if streams[stream].isTunnel && streams[stream].isProxyDone { shutTunnel(stream, slot) }
    }

    /// Forgets written bytes that will not be asked for again: past the replay limit, or once the reply has begun.
    private mutating func trimUpload(_ stream: Int) {
        let written = streams[stream].uploadWritten
        countBody(stream)
        let isHeld =
            streams[stream].isReplayHeld && streams[stream].upload.count <= limits.replayBytesMax
            && !streams[stream].isReplyBegun && !streams[stream].isTunnel
        // What is dropped now ends in the request being sent again.
        if isHeld || streams[stream].gate != .open || isDropping(stream) { return }
        streams[stream].isReplayHeld = false
        streams[stream].upload.consume(written)
        streams[stream].uploadWritten = 0
        streams[stream].headBytes = max(0, streams[stream].headBytes - written)
    }

    /// Counts body bytes as written: exactly where there is no chunk framing, else when everything is out.
    private mutating func countBody(_ stream: Int) {
        let waiting = streams[stream].upload.count - streams[stream].uploadWritten
        if waiting == 0 {
            streams[stream].bodyWritten = streams[stream].bodyReceived
        } else if streams[stream].body != .chunked && streams[stream].bodyReceived > UInt64(waiting) {
            streams[stream].bodyWritten = streams[stream].bodyReceived - UInt64(waiting)
        }
    }

    /// Tells the proxy that it may send more, in steps of half the initial credit.
    private mutating func giveCredit(_ stream: Int) {
        if streams[stream].isUploadComplete { return }
        let held = streams[stream].upload.count - streams[stream].uploadWritten
        let room = limits.initialCreditBytes - held - streams[stream].uploadCredit
        if room < limits.initialCreditBytes / 2 || room <= 0 { return }
        if case .length(let length) = streams[stream].body,
            length - streams[stream].bodyReceived <= UInt64(streams[stream].uploadCredit)
        {
            return
        }
        streams[stream].uploadCredit += room
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark)
        encoder.credit(UInt32(room), stream: streams[stream].id, into: &sessions[session].output[lane])
        streams[stream].outputMark = sessions[session].output.mark(lane)
        orderWrite(session: session)
    }

    /// The connection of an exchange died before the exchange was whole.
    mutating func connectionLost(_ slot: Int, _ stream: Int, _ cause: CloseCause) {
        let hasReplyBytes = connections[slot].decoder.hasBegun || !connections[slot].inbound.isEmpty
        // Over TLS a probe finds the end itself, and not that something waits.
        let isUntouched = streams[stream].isOnIdle && streams[stream].isUploadUntouched && !hasReplyBytes
        let isStale = cause == .stale || (isUntouched && streams[stream].totalUntil > now)
        if isDropping(stream) {
            let isOnes = isOnes(slot, stream)
            carrySecurity(slot, stream)
            forget(slot)
            sendAgain(stream, wasOnes: isOnes)
            return
        }
        let isPinned = connections[slot].pin != nil
        // Also when the token was unpinned meanwhile.
        let wasPinned = isPinned || connections[slot].isSpent || connections[slot].carriesTokens
        if isPinned && isStale { setEnding(slot, .lost, "the upstream closed it") }
        forget(slot)
        // What was written on a pinned connection goes nowhere else.
        // At a member of a group only a connection out of the pool is tried again there.
        let isPooled = streams[stream].group < 0 || streams[stream].isOnIdle
        if isStale || (!wasPinned && isPooled && mayRetry(stream, hasReplyBytes: hasReplyBytes)) {
            retry(stream, isStale: isStale)
            return
        }
        if exchangeFailed(stream, result(of: cause, stream, hasReplyBytes), isOnes: wasPinned) {
            moveOn(stream)
            return
        }
        var report = EndReport(hasReplyBytes ? .truncated : .reset)
        report.connection = .closed
        report.detail =
            hasReplyBytes ? "the connection ended inside the reply" : "the connection ended before a reply"
        if case .broken(let failure) = cause {
            report.detail = failure.detail
            if !hasReplyBytes { report.outcome = failure.outcome }
        }
        end(stream, report)
    }

    /// Source: RFC 9110 §9.2.2; DESIGN "Retries are safe".
    private func mayRetry(_ stream: Int, hasReplyBytes: Bool) -> Bool {
        if hasReplyBytes || streams[stream].hasRetried || streams[stream].isTunnel { return false }
        if !streams[stream].isReplayHeld || streams[stream].totalUntil <= now { return false }
        if streams[stream].uploadWritten == 0 && !streams[stream].isCommitted { return true }
        return streams[stream].isOnIdle && streams[stream].mayRepeat
    }

    /// Begins again. Where nothing was written any idle connection will do; else only a fresh one.
    private mutating func retry(_ stream: Int, isStale: Bool) {
        if !isStale { streams[stream].hasRetried = true }
        totals.retriesTotal &+= 1
        if let last = streams[stream].attempts.indices.last { streams[stream].attempts[last].result = .stale }
        streams[stream].uploadWritten = 0
        streams[stream].sentAt = nil
        streams[stream].continueUntil = .never
        if streams[stream].encoded.expectsContinue { streams[stream].gate = .awaitsContinue }
        if streams[stream].group >= 0 { errands[stream].isTimed = false }
        dispatch(stream, freshOnly: !isStale)
    }
}
