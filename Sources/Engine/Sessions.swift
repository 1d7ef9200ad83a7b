// Sessions.swift: bytes of a proxy in, frames handed on; a session's output and its end.
// Owns: the life of a session and which frames it may carry. Source: DESIGN "The protocol".
import Frames
import Model

/// Why a session cannot go on.
struct SessionFault: Error {
    var code: GoAwayCode
    /// For people; never a byte of a message.
    var detail: String
}

extension SessionFault {
    init(_ error: FrameError) {
        self.init(code: error.goAwayCode, detail: error.detail)
    }
}

extension FrameType {
    /// Whether it goes on stream 0. Source: DESIGN "The protocol".
    fileprivate var isOfSession: Bool {
        switch self {
        case .hello, .unpin, .ping, .pong, .goAway, .pin: true
        case .request, .body, .trailers, .cancel, .credit, .interim, .reply, .end: false
        }
    }
}

extension WorkerEngine {
    /// A proxy connected. - Parameter userID: of its process.
    package mutating func opened(userID: UInt32 = 0, now: Instant) -> SessionID {
        self.now = now
        let slot = sessions.take { Session() }
        sessions[slot].reset()
        sessions[slot].userID = userID
        sessions[slot].helloUntil = now.adding(milliseconds: limits.helloMilliseconds)
        sessionDeadlines.arm(slot, at: sessions[slot].helloUntil)
        return id(ofSession: slot)
    }

    /// A proxy connected whom the worker will not serve: GOAWAY FORBIDDEN, then `closeSession`.
    package mutating func refused(detail: String, now: Instant) -> SessionID {
        let session = opened(now: now)
        goAway(Int(session.slot), SessionFault(code: .forbidden, detail: detail))
        return session
    }

    /// Bytes of a proxy. All are taken; what is no whole frame yet is kept.
    /// - Parameters:
    ///   - bytes: what was read.
    ///   - session: where from.
    ///   - now: the time.
    ///   - write: called for body bytes that can go to their upstream from where they stand.
    package mutating func received(
        _ bytes: Span<UInt8>,
        from session: SessionID,
        now: Instant,
        write: PassWrite = { _, _, _ in 0 }
    ) {
        guard let slot = sessions.find(session.slot, session.generation) else { return }
        self.now = now
        do {
            let passed = continuePassage(bytes, session: slot, write)
            let used = try finishFrame(with: bytes.extracting(droppingFirst: passed), session: slot, write)
            let rest = bytes.extracting(droppingFirst: passed + used)
            let taken = try takeFrames(rest, session: slot, write)
            if sessions[slot].state != .closing && taken < rest.count {
                try keep(rest.extracting(droppingFirst: taken), session: slot)
            }
        } catch {
            goAway(slot, error)
        }
        settle()
    }

    /// The proxy's end of file or an error, or the answer to `closeSession`. The id is dead.
    package mutating func closed(_ session: SessionID, now: Instant) {
        guard let slot = sessions.find(session.slot, session.generation) else { return }
        self.now = now
        // What its streams leave behind is told to another, behind what it was to be told itself.
        sessions[slot].state = .closing
        passOnEvents(ofSession: slot)
        abandonStreams(ofSession: slot)
        leaveOwner(slot)
        sessions[slot].reset()
        sessions.release(slot)
        // Nobody is left for whom servers have accepted anything.
        if sessions.takenCount == 0 { authenticator.removeAll() }
        settle()
    }

    /// Output of a session in the order to be written: segments 0, 1 and 2, any of them empty. All are while a pipe is
    /// due (`pipeDue`).
    @_lifetime(borrow self)
    package func outputSegment(_ index: Int, of session: SessionID) -> Span<UInt8> {
        guard let slot = sessions.find(session.slot, session.generation) else { return Span() }
        return sessions.slots[slot].element.output.segment(index)
    }

    /// `count` bytes of the segments, counted from the first, are written.
    package mutating func wrote(_ count: Int, to session: SessionID, now: Instant) {
        guard let slot = sessions.find(session.slot, session.generation) else { return }
        self.now = now
        sessions[slot].output.wrote(count)
        wroteSome(slot)
    }

    /// Some of a session's output is written.
    mutating func wroteSome(_ slot: Int) {
        if sessions[slot].output.isEmpty { sessions[slot].isWriting = false }
        if !sessions[slot].pinEvents.isEmpty { forgetWrittenEvents(ofSession: slot) }
        if sessions[slot].isCongested && sessions[slot].output.count <= limits.sessionOutputPauseBytes / 2 {
            sessions[slot].isCongested = false
            resumeStalled(ofSession: slot)
            settle()
        }
    }

    /// Says why, ends the session's streams, and has the worker close it.
    mutating func goAway(_ slot: Int, _ fault: SessionFault) {
        if sessions[slot].state == .closing { return }
        abandonStreams(ofSession: slot)
        sendGoAway(slot, fault.code, fault.detail)
        sessions[slot].state = .closing
        sessions[slot].passage = nil
        sessions[slot].inbound.removeAll(keepingAtMost: 0)
        effects.append(.closeSession(id(ofSession: slot)))
    }

    mutating func sendGoAway(_ slot: Int, _ code: GoAwayCode, _ detail: String) {
        encoder.goAway(code, detail: detail, into: &sessions[slot].output[.urgent])
        orderWrite(session: slot)
    }

    /// Has the worker write, unless it is at it, and watches how much waits.
    mutating func orderWrite(session slot: Int) {
        if !sessions[slot].isWriting {
            sessions[slot].isWriting = true
            effects.append(.writeSession(id(ofSession: slot)))
        }
        let waiting = sessions[slot].output.count
        if waiting > limits.sessionOutputPauseBytes { sessions[slot].isCongested = true }
        if waiting > limits.sessionOutputBytesMax && !sessionsTooSlow.contains(slot) {
            sessionsTooSlow.append(slot)
        }
    }

    /// Ends, at the end of a call, the sessions that do not read what they asked for.
    mutating func closeSlowSessions() {
        while let slot = sessionsTooSlow.popLast() {
            if sessions.isTaken(slot) {
                let detail = "more than \(limits.sessionOutputBytesMax) bytes wait to be read"
                goAway(slot, SessionFault(code: .slowReader, detail: detail))
            }
        }
    }

    /// Completes the frame whose beginning is kept, from the front of `bytes`.
    /// - Returns: bytes used.
    private mutating func finishFrame(
        with bytes: Span<UInt8>,
        session slot: Int,
        _ write: PassWrite
    ) throws(SessionFault) -> Int {
        if sessions[slot].inbound.isEmpty || sessions[slot].state == .closing { return 0 }
        var used = min(max(0, FrameHeader.byteCount - sessions[slot].inbound.count), bytes.count)
        sessions[slot].inbound.append(bytes.extracting(first: used))
        guard let header = try frameHeader(sessions.slots[slot].element.inbound.bytes) else { return used }
        let missing = FrameHeader.byteCount + header.payloadBytes - sessions[slot].inbound.count
        let more = min(missing, bytes.count - used)
        noteKept(header, session: slot)
        sessions[slot].inbound.append(bytes.extracting(used..<used + more))
        used += more
        if more < missing { return used }
        var frame = ByteBuffer()
        swap(&frame, &sessions[slot].inbound)
        defer { if frame.isSecret { frame.wipe() } }
        _ = try takeFrames(frame.bytes, session: slot, write)
        frame.removeAll(keepingAtMost: limits.framePayloadBytesMax + FrameHeader.byteCount)
        swap(&frame, &sessions[slot].inbound)
        return used
    }

    /// Keeps the beginning of a frame.
    private mutating func keep(_ bytes: Span<UInt8>, session slot: Int) throws(SessionFault) {
        if let header = try frameHeader(bytes) { noteKept(header, session: slot) }
        sessions[slot].inbound.append(bytes)
    }

    /// A frame's beginning is kept: whether there is a secret in it is seen when it is whole.
    private mutating func noteKept(_ header: FrameHeader, session slot: Int) {
        if header.type != .request { return }
        sessions[slot].inbound.isSecret = true
        hasHeardSecrets = true
    }

    /// Whether bytes of sessions that were received since the last call had a secret among them, or may have had: whoever
    /// holds them wipes them.
    package mutating func takeSecretsHeard() -> Bool {
        defer { hasHeardSecrets = false }
        return hasHeardSecrets
    }

    /// Takes every whole frame. - Returns: bytes taken.
    private mutating func takeFrames(
        _ bytes: Span<UInt8>,
        session slot: Int,
        _ write: PassWrite
    ) throws(SessionFault) -> Int {
        var offset = 0
        while sessions[slot].state != .closing {
            let rest = bytes.extracting(droppingFirst: offset)
            guard let header = try frameHeader(rest) else { break }
            let end = FrameHeader.byteCount + header.payloadBytes
            if end > rest.count {
                let payload = rest.extracting(droppingFirst: FrameHeader.byteCount)
                return beginPassage(header, payload, session: slot, write) ? bytes.count : offset
            }
            try take(header, rest.extracting(FrameHeader.byteCount..<end), session: slot, write)
            offset += end
        }
        return offset
    }

    private func frameHeader(_ bytes: Span<UInt8>) throws(SessionFault) -> FrameHeader? {
        do {
            return try FrameHeader.decode(bytes, payloadBytesMax: limits.framePayloadBytesMax)
        } catch {
            throw SessionFault(error)
        }
    }

    /// One whole frame.
    private mutating func take(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session slot: Int,
        _ write: PassWrite
    ) throws(SessionFault) {
        guard let type = header.type else { return }
        if sessions[slot].state == .awaitingHello {
            try greet(type, header, payload, session: slot)
            return
        }
        guard (header.stream == 0) == type.isOfSession else {
            throw SessionFault(code: .badFrame, detail: "\(type) on stream \(header.stream)")
        }
        do throws(FrameError) {
            switch type {
            case .request:
                try openStream(header, payload, session: slot)
            case .body:
                try takeBody(header, payload, session: slot, write)
            case .trailers:
                try takeTrailers(header, payload, session: slot)
            case .credit:
                try takeCredit(header, payload, session: slot)
            case .cancel:
                try takeCancel(header, payload, session: slot)
            case .unpin:
                try takeUnpin(payload, session: slot)
            case .ping:
                try answerPing(payload, session: slot)
            case .pong:
                break
            case .hello:
                fault = SessionFault(code: .streamState, detail: "a second HELLO")
            case .interim, .reply, .end, .pin, .goAway:
                fault = SessionFault(code: .badFrame, detail: "\(type) is not a proxy's to send here")
            }
        } catch {
            fault = nil
            throw SessionFault(error)
        }
        if let found = fault {
            fault = nil
            throw found
        }
    }

    /// The first frame.
    private mutating func greet(
        _ type: FrameType,
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session slot: Int
    ) throws(SessionFault) {
        guard type == .hello, header.stream == 0 else {
            throw SessionFault(code: .badHello, detail: "the first frame must be HELLO on stream 0")
        }
        let theirs: Hello
        do {
            theirs = try decoder.hello(payload)
        } catch {
            throw SessionFault(error)
        }
        guard theirs.version == 1 else {
            throw SessionFault(
                code: .protocolVersion,
                detail: "version \(theirs.version), this side speaks 1"
            )
        }
        sessions[slot].state = .open
        sessions[slot].framePayloadBytesMax = theirs.framePayloadBytesMax
        sessions[slot].initialCreditBytes = theirs.initialCreditBytes
        joinOwner(slot, instanceID: theirs.instanceID)
        encoder.hello(hello, into: &sessions[slot].output[.urgent])
        orderWrite(session: slot)
        if isDraining { sendGoAway(slot, .draining, "shutting down") }
    }

    private mutating func answerPing(_ payload: Span<UInt8>, session slot: Int) throws(FrameError) {
        var block = ByteBuffer()
        swap(&block, &self.block)
        defer { swap(&block, &self.block) }
        let data = try decoder.ping(payload, block: &block)
        encoder.ping(block.bytes.extracting(data), isReply: true, into: &sessions[slot].output[.urgent])
        orderWrite(session: slot)
    }
}
