// Time.swift: deadlines of streams, connections and sessions; draining.
// Owns: what is due when. Never touches: a clock. Source: DESIGN "The way of a request", issue "Deadlines".
import Model

extension WorkerEngine {
    /// When `advance` is wanted next; `nil`: no deadline. It may come early: then nothing happens.
    package var nextDeadline: Instant? {
        var next = min(min(drainUntil, sharesLookAt), min(groups.wakeAt, checksAt))
        if let due = streamDeadlines.earliest { next = min(next, due) }
        if let due = connectionDeadlines.earliest { next = min(next, due) }
        if let due = sessionDeadlines.earliest { next = min(next, due) }
        if let grace = graces.first { next = min(next, grace.until) }
        return next == .never ? nil : next
    }

    /// Runs every deadline that is due.
    package mutating func advance(to now: Instant) {
        self.now = now
        while let slot = streamDeadlines.popDue(now) {
            if streams.isTaken(slot) { streamDue(slot) }
        }
        while let slot = connectionDeadlines.popDue(now) {
            if connections.isTaken(slot) { connectionDue(slot) }
        }
        while let slot = sessionDeadlines.popDue(now) {
            if sessions.isTaken(slot) && sessions[slot].state == .awaitingHello { sessionDue(slot) }
        }
        endGraces()
        if groups.wakeAt <= now { wakeGroups() }
        if sharesLookAt <= now { lookAtShares() }
        if checksAt <= now { beginChecks() }
        if drainUntil <= now { endDrain() }
        settle()
    }

    /// GOAWAY DRAINING to all; new streams end DRAINING; what is open goes on until the drain deadline.
    package mutating func drain(now: Instant) {
        self.now = now
        if isDraining { return }
        isDraining = true
        drainUntil = now.adding(milliseconds: limits.drainMilliseconds)
        checksAt = .never
        while closeOldestIdle() {}
        for slot in 0..<connections.slotCount
        where connections.isTaken(slot) && connections[slot].state == .pinned {
            endPin(slot, .lost, "shutting down")
        }
        for slot in 0..<sessions.slotCount where sessions.isTaken(slot) && sessions[slot].state == .open {
            sendGoAway(slot, .draining, "shutting down")
        }
        settle()
    }

    /// Whether `drain` was called and every stream has ended and every session's output is written.
    package var isDrained: Bool {
        if !isDraining || streams.takenCount > 0 { return false }
        for slot in 0..<sessions.slotCount where sessions.isTaken(slot) && !sessions[slot].output.isEmpty {
            return false
        }
        return true
    }

    private mutating func endDrain() {
        drainUntil = .never
        for slot in 0..<streams.slotCount where streams.isTaken(slot) {
            end(slot, EndReport(.draining, detail: "not done within \(limits.drainMilliseconds) ms"))
        }
    }

    /// Makes sure that the stream is looked at when its earliest deadline is due.
    mutating func armDeadline(_ stream: Int) { streamDeadlines.arm(stream, at: dueAt(stream)) }

    private func dueAt(_ stream: Int) -> Instant {
        min(
            min(streams[stream].totalUntil, streams[stream].raceAt),
            min(streams[stream].continueUntil, phaseDueAt(stream))
        )
    }

    /// The deadline of the part of the exchange that the stream is in.
    private func phaseDueAt(_ stream: Int) -> Instant {
        switch streams[stream].phase {
        case .none:
            .never
        case .queued:
            streams[stream].queueUntil
        case .waiting:
            streams[stream].isConnecting ? streams[stream].connectUntil : streams[stream].queueUntil
        case .active(let connection):
            awaitsReply(stream)
                ? firstByteDueAt(stream)
                : isStalledByProxy(connection)
                    ? .never
                    : due(streams[stream].lastActivityAt, streams[stream].deadlines.idleMilliseconds)
        }
    }

    private func firstByteDueAt(_ stream: Int) -> Instant {
        guard let sentAt = streams[stream].sentAt else { return .never }
        return due(sentAt, streams[stream].deadlines.firstByteMilliseconds)
    }

    /// A deadline that runs from now; 0: none.
    func dueIn(_ milliseconds: Int) -> Instant { due(now, milliseconds) }

    private func due(_ start: Instant, _ milliseconds: Int) -> Instant {
        milliseconds == 0 ? .never : start.adding(milliseconds: milliseconds)
    }

    func awaitsReply(_ stream: Int) -> Bool {
        streams[stream].sentAt != nil && streams[stream].firstByteAt == nil
    }

    /// Whether nothing moves because the proxy gives no credit: its stream, its patience.
    private func isStalledByProxy(_ connection: Int) -> Bool {
        connections[connection].isPaused && !isHeld(connection)
    }

    private mutating func streamDue(_ stream: Int) {
        if streams[stream].totalUntil <= now {
            expire(
                stream,
                .deadline,
                "the exchange took more than \(streams[stream].deadlines.totalMilliseconds) ms"
            )
        } else if phaseDueAt(stream) <= now {
            phaseDue(stream)
        } else {
            if streams[stream].continueUntil <= now { openGate(stream) }
            if streams[stream].raceAt <= now {
                streams[stream].raceAt = .never
                tryNextEndpoint(stream)
            }
            if streams.isTaken(stream) { streamDeadlines.arm(stream, at: later(dueAt(stream))) }
        }
    }

    private mutating func phaseDue(_ stream: Int) {
        let deadlines = streams[stream].deadlines
        switch streams[stream].phase {
        case .none:
            break
        case .queued:
            expire(
                stream,
                .queueTimeout,
                "the pinned connection was not free within \(deadlines.queueMilliseconds) ms"
            )
        case .waiting:
            if !streams[stream].isConnecting {
                expire(stream, .queueTimeout, "no connection free within \(deadlines.queueMilliseconds) ms")
            } else if !connectingTimedOut(stream) {
                expire(stream, .connectTimeout, "not connected within \(deadlines.connectMilliseconds) ms")
            }
        case .active(let connection):
            if movesOnInTime(stream, connection) { return }
            if awaitsReply(stream) {
                expire(stream, .replyTimeout, "no reply within \(deadlines.firstByteMilliseconds) ms")
            } else {
                expire(stream, .idleTimeout, "nothing moved for \(deadlines.idleMilliseconds) ms")
            }
        }
    }

    private mutating func expire(_ stream: Int, _ outcome: Outcome, _ detail: String) {
        end(stream, EndReport(outcome, detail: detail))
    }

    /// A wake-up for now would come again at once: a stalled stream is looked at when it is given credit.
    private func later(_ instant: Instant) -> Instant {
        instant <= now ? now.adding(milliseconds: 1) : instant
    }

    private mutating func connectionDue(_ slot: Int) {
        switch connections[slot].state {
        case .idle:
            if connections[slot].idleUntil <= now {
                unpark(slot)
                close(slot)
            } else {
                connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
            }
        case .pinned:
            if connections[slot].idleUntil <= now {
                pinDue(slot)
            } else {
                connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
            }
        case .dialing(nil):
            if connections[slot].idleUntil <= now {
                close(slot)
            } else {
                connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
            }
        case .dialing:
            // With a waiter the stream's deadline holds.
            break
        case .busy, .closed:
            break
        }
    }

    private mutating func sessionDue(_ slot: Int) {
        // The wake-up may be one of the session that had the slot before.
        if sessions[slot].helloUntil > now {
            sessionDeadlines.arm(slot, at: sessions[slot].helloUntil)
            return
        }
        let detail = "no HELLO within \(limits.helloMilliseconds) ms"
        goAway(slot, SessionFault(code: .helloTimeout, detail: detail))
    }
}
