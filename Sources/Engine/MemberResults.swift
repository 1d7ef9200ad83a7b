// MemberResults.swift: what came of attempts at members: who is told, and whether the request goes to another one.
// Owns: which failure is whose, and what may be repeated. Never touches: what follows for the member (Balancing).
// Source: issue "Groups"; DESIGN "Retries are safe"; RFC 9110 §9.2.2.
import Balancing
import HTTP1
import Model

extension WorkerEngine {
    // Telling.

    /// Tells the group's ledger what came of an attempt, where that is news.
    mutating func tell(_ result: MemberResult, of place: MemberPlace) {
        if groups.states[place.group].balancing.isFailure(result) {
            groups.states[place.group].balancing.failed(place.member, now: now)
        }
        guard groups.states[place.group].balancing.isNews(result, of: place.member) else { return }
        if !groups.isAdHoc(place.group) { return health.record(result, of: place, now: now) }
        var news: [HealthNews] = []
        let shared = groups.states[place.group].ledger?.record(
            result,
            of: place.member,
            now: now,
            news: &news
        )
        for item in news { take(item, place.group) }
        let endpoint = groups.states[place.group].endpoints[place.member]
        if let shared { health.share(shared, of: endpoint, now: now) }
    }

    /// The same of a connection that was dialed for a group.
    func place(ofConnection slot: Int) -> MemberPlace? {
        connections[slot].member.duty == .check ? nil : groups.place(connections[slot].member)
    }

    /// News of the members of a group.
    package mutating func told(_ news: GroupNews, now: Instant) {
        self.now = now
        switch news {
        case .health(let group, let item): take(item, group)
        case .endpoint(let endpoint, let item): take(item, of: endpoint)
        case .weight(let group, let member, let weight):
            groups.states[group].balancing.setWeight(member, weight)
            reconsider(group)
            if groups.states[group].standby.countMin > 0 { wakeAtOnce(group) }
        case .standby(let group, let total):
            groups.states[group].standby.countMin = Standby.share(of: total, worker, health.workers)
            wakeAtOnce(group)
        }
        settle()
    }

    mutating func take(_ news: HealthNews, _ group: Int) {
        groups.states[group].balancing.apply(news, now: now)
        switch news {
        case .suspect: break
        case .ejected, .down, .up, .backOff(_, _):
            if groups.states[group].queue.count > 0 || groups.states[group].standby.countMin > 0 {
                // Not now: a stream may be in the middle of leaving.
                wakeAtOnce(group)
            }
        }
    }

    // Dials.

    /// A connection stands and is secured.
    mutating func dialSucceeded(_ slot: Int) {
        guard let place = place(ofConnection: slot) else { return }
        tell(.dialed, of: place)
        memberSecured(slot, place)
    }

    /// A connection's dial failed, or what follows it.
    mutating func memberDialFailed(_ slot: Int, _ failure: AttemptFailure) {
        guard let place = place(ofConnection: slot) else { return }
        if let blame = failure.tlsBlame { return memberTLSFailed(slot, place, blame) }
        let result = Self.result(of: failure)
        tell(result == .dialFailed && !isDialOfAll(slot) ? .setupFailed : result, of: place)
    }

    /// Whether a dial that fails would fail for whoever else dialed the endpoint: nothing that one request wants is in it.
    private func isDialOfAll(_ slot: Int) -> Bool {
        connections[slot].setup == .transport && targets[connections[slot].target].key.localAddress == nil
    }

    /// The same of the dial of a stream that takes too long: not for one that gives it less time than others do.
    private func isDialOfAll(ofStream stream: Int) -> Bool {
        if streams[stream].deadlines.connectMilliseconds < limits.connectMilliseconds { return false }
        for waiter in streams[stream].waiters {
            if case .dialing(let slot) = waiters[Int(waiter)].dial { return isDialOfAll(slot) }
        }
        return false
    }

    private static func result(of failure: AttemptFailure) -> MemberResult {
        switch (failure.result, failure.outcome) {
        case (.refused, _), (.unreachable, _), (.timeout, _): .dialFailed
        case (_, .badReply): .malformed
        case (.peerRefused, _): .cutShort
        case (_, .reset): .dialFailed
        // No local port, for instance.
        default: .notItsFault
        }
    }

    /// A stream's dial failed: it goes to another member, or ends.
    mutating func memberNotReached(_ stream: Int, _ failure: AttemptFailure) {
        leaveTried(stream, .notItsFault)
        // With files or names that we cannot use no member can be reached.
        if failure.tlsBlame != .us && takeRetry(stream) {
            errands[stream].failure = failure
            dispatchErrand(stream, freshOnly: false)
        } else {
            end(stream, EndReport(failure.outcome, detail: failure.detail))
        }
    }

    /// The time for connecting to a member is over. - Returns: whether the stream goes to another.
    mutating func connectingTimedOut(_ stream: Int) -> Bool {
        if streams[stream].group < 0 { return false }
        let result = isDialOfAll(ofStream: stream) ? MemberResult.dialFailed : .setupFailed
        abandonWaiters(stream, .timeout)
        leaveTried(stream, result)
        guard takeRetry(stream) else { return false }
        let detail = "not connected within \(streams[stream].deadlines.connectMilliseconds) ms"
        errands[stream].failure = AttemptFailure(result: .timeout, outcome: .connectTimeout, detail: detail)
        dispatchErrand(stream, freshOnly: false)
        return true
    }

    private mutating func leaveTried(_ stream: Int, _ result: MemberResult) {
        let member = errands[stream].member
        leaveMember(stream, result)
        errands[stream].isTimed = false
        errands[stream].failure = nil
        if member >= 0 && !errands[stream].tried.isFull { errands[stream].tried.insert(member) }
    }

    // Exchanges.

    /// The head of a final reply has come.
    mutating func memberReplied(_ stream: Int) {
        let (group, member) = (Int(streams[stream].group), errands[stream].member)
        errands[stream].status = head.status
        if member < 0 { return }
        let waited = now.microseconds(since: errands[stream].attemptAt)
        groups.states[group].balancing.replied(member, afterMicroseconds: waited, now: now)
    }

    /// The exchange has ended with `outcome`.
    mutating func exchangeEnded(_ stream: Int, _ outcome: Outcome) {
        if streams[stream].group < 0 { return }
        // Few who end a tunnel over TLS say close_notify.
        let isWhole = outcome != .truncated || streams[stream].isTunnel
        leaveMember(stream, isWhole ? .replied(status: errands[stream].status) : .cutShort)
    }

    /// The exchange failed, and its connection is gone, or is closed by the caller when the stream does not go on. Sends the
    /// request to another member where that may be. - Parameters:
    ///   - result: what the member is told to have done.
    ///   - isOnes: whether the connection was one client's, so that nothing of it goes anywhere else.
    /// - Returns: whether it does; else the stream is to be ended.
    mutating func exchangeFailed(_ stream: Int, _ result: MemberResult, isOnes: Bool) -> Bool {
        if streams[stream].group < 0 { return false }
        if case .timedOut = result, errands[stream].member >= 0 {
            let waited = now.microseconds(since: errands[stream].attemptAt)
            groups.states[Int(streams[stream].group)].balancing.replied(
                errands[stream].member,
                afterMicroseconds: waited,
                now: now
            )
        }
        leaveTried(stream, result)
        return !isOnes && isRepeatable(stream) && takeRetry(stream)
    }

    /// The time for a part of the exchange is over. - Returns: whether the stream goes to another member.
    mutating func movesOnInTime(_ stream: Int, _ slot: Int) -> Bool {
        if streams[stream].group < 0 { return false }
        // Where the proxy owes the rest of the request, it is not the member that stands still.
        let isMembers =
            streams[stream].sentAt != nil || streams[stream].isReplyBegun
            || streams[stream].uploadWritten < streams[stream].uploadLimit
        let isOnes = isOnes(slot, stream) || connections[slot].isSpent
        guard exchangeFailed(stream, isMembers ? .timedOut : .notItsFault, isOnes: isOnes) else {
            return false
        }
        streams[stream].phase = .none
        close(slot)
        moveOn(stream)
        return true
    }

    /// How the end of a connection reflects on the member.
    func result(of cause: CloseCause, _ stream: Int, _ hasReplyBytes: Bool) -> MemberResult {
        // Whoever is at the far end of a tunnel may cut it.
        if streams[stream].isTunnel { return .notItsFault }
        switch cause {
        // One out of the pool may have been closed before the request came.
        case .reset: return streams[stream].isOnIdle && !hasReplyBytes ? .stale : .cutShort
        case .stale: return .stale
        // A certificate of ours that is not accepted, for instance, which in TLS 1.3 is said behind the handshake.
        case .broken: return hasReplyBytes || isExpectedTLS(stream) ? .cutShort : .notItsFault
        }
    }

    /// A connection that was dialed for a group is closed, or is about to be.
    mutating func memberConnectionEnded(_ slot: Int) {
        switch connections[slot].member.duty {
        case .check: checkLost(slot)
        case .standby: standbyDialed(slot)
        case .attempt: break
        }
        guard let place = place(ofConnection: slot) else { return }
        groups.states[place.group].balancing.setFull(place.member, false)
        noteUnused(slot, place)
        if groups.states[place.group].standby.countMin > 0 { wake(place.group, at: now) }
    }

    /// Whether nothing was passed on, and all of the request is here and may be sent again.
    func isRepeatable(_ stream: Int) -> Bool {
        if streams[stream].isReplyBegun || streams[stream].hasPassedInterim || streams[stream].isTunnel
            || !streams[stream].isReplayHeld
        {
            return false
        }
        if streams[stream].gate == .shut || streams[stream].hasBindingCredentials { return false }
        let isUntouched = streams[stream].uploadWritten == 0 && !streams[stream].isCommitted
        return isUntouched || streams[stream].mayRepeat
    }

    /// Sends the request to another member, from its first byte.
    mutating func moveOn(_ stream: Int) {
        if let last = streams[stream].attempts.indices.last {
            streams[stream].attempts[last].result = .exchangeFailed
        }
        streams[stream].phase = .none
        streams[stream].isDropping = false
        streams[stream].uploadWritten = 0
        streams[stream].isCommitted = false
        streams[stream].sentAt = nil
        streams[stream].firstByteAt = nil
        streams[stream].continueUntil = .never
        if streams[stream].encoded.expectsContinue { streams[stream].gate = .awaitsContinue }
        dispatchErrand(stream, freshOnly: false)
    }

    /// Whether the reply that begins has a status after which another member is tried; then the stream is on its way there.
    mutating func triesAnotherForStatus(_ slot: Int, _ stream: Int) -> Bool {
        let group = Int(streams[stream].group)
        guard group >= 0, errands[stream].member >= 0,
            groups.states[group].settings.retry.statuses.contains(where: { $0.contains(head.status) }),
            isRepeatable(stream), !isOnes(slot, stream), streams[stream].pinToken.isEmpty
        else { return false }
        // What came is passed on when nobody else is left.
        groups.states[group].balancing.failed(errands[stream].member, now: now)
        var tried = errands[stream].tried
        if tried.isFull { return false }
        tried.insert(errands[stream].member)
        guard tried.count < groups.states[group].settings.retry.attemptsMax, !tried.isFull,
            groups.states[group].balancing.hasMember(butNot: tried, now: now), takeRetry(stream)
        else { return false }
        leaveTried(stream, .replied(status: head.status))
        streams[stream].phase = .none
        close(slot)
        moveOn(stream)
        return true
    }
}
