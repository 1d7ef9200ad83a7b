// Groups.swift: requests of groups: which member each goes to, one after the other where it may.
// Owns: the attempt that is under way. Never touches: how a policy chooses (Balancing); what a result means
// (MemberResults.swift). Source: issue "Groups"; DESIGN "The way of a request", steps 3 and 4.
import Balancing
import HTTP1
import Model

extension WorkerEngine {
    /// Time for which a member is taken to have no room after the budget has said so, unless a connection to it ends here.
    private static let fullMilliseconds = 20

    /// Whether any endpoint has a limit.
    var hasEndpointLimits: Bool { limits.connectionsPerEndpointMax > 0 || hasMemberLimits }

    /// Finds the group of the decoded request. - Returns: why there is none.
    mutating func findGroup() -> (outcome: Outcome, detail: String)? {
        requestGroup = -1
        if request.group.isEmpty {
            return request.balancing == nil || request.endpoints.isEmpty ? nil : findAdHocGroup()
        }
        guard let number = groups.find(block.bytes.extracting(request.group)) else {
            return (.badRequest, "no group has that name")
        }
        requestGroup = number
        return nil
    }

    /// Where the decoded request may go.
    var requestEndpoints: [Endpoint] {
        requestGroup >= 0 ? groups.states[requestGroup].endpoints : request.endpoints
    }

    /// The stream of the decoded request is one of its group from here on.
    mutating func beginErrand(_ stream: Int) {
        let group = requestGroup
        while errands.count <= stream { errands.append(Errand()) }
        errands[stream] = Errand()
        errands[stream].since = now
        streams[stream].group = Int32(group)
        streams[stream].endpoints.removeAll(keepingCapacity: true)
        groups.states[group].users += 1
        groups.states[group].usedAt = now
        groups.states[group].budget.requestBegan()
        if groups.states[group].settings.policy == .hash {
            errands[stream].key =
                request.hashKey.isEmpty
                ? HashKey.of(
                    block.bytes.extracting(request.authority),
                    block.bytes.extracting(request.target)
                )
                : HashKey.of(block.bytes.extracting(request.hashKey))
        }
        noteWay(stream, group)
    }

    /// Finds a connection for a stream of a group: at the member that it is at, else at one that is chosen now.
    mutating func dispatchErrand(_ stream: Int, freshOnly: Bool) {
        if !streams[stream].pinToken.isEmpty && usePin(stream) {
            // It waits for its pin now, if it has not ended.
            if streams[stream].group >= 0 { leaveGroupQueue(stream) }
            return
        }
        if isHeldBack(stream) { return }
        // What has waited keeps its place and its deadline, though it may be at a member for a moment.
        if errands[stream].isQueued {
            errands[stream].isAdmitted = true
            errands[stream].isTimed = true
        }
        let group = Int(streams[stream].group)
        clearFull(group)
        while true {
            if errands[stream].member < 0 && !choose(stream) { return }
            if approach(stream, freshOnly: freshOnly || streams[stream].needsFresh) { return }
            noteFull(stream)
        }
    }

    /// There is no room for a connection to the stream's member.
    private mutating func noteFull(_ stream: Int) {
        let group = Int(streams[stream].group)
        let member = errands[stream].member
        leaveMember(stream, .notItsFault)
        groups.states[group].balancing.setFull(member, true)
        groups.states[group].fullUntil = now.adding(milliseconds: Self.fullMilliseconds)
    }

    /// Dials for a waiter that has hoped for another connection; one of a group goes to another member when its own has no
    /// room, or is not to be dialed by now.
    mutating func admitAgain(_ waiter: Int) {
        let stream = waiters[waiter].stream
        let isAtMember =
            streams[stream].group >= 0 && waiters[waiter].member < 0 && errands[stream].member >= 0
        guard isAtMember, !isMakingPin(stream) else { return admit(waiter) }
        let group = Int(streams[stream].group)
        let mayDial = groups.states[group].balancing.dialAfter(errands[stream].member) <= now
        if mayDial && admitAtOnce(waiter) { return }
        removeWaiter(waiter, nil)
        if mayDial { noteFull(stream) } else { leaveMember(stream, .notItsFault) }
        errands[stream].isAdmitted = true
        errands[stream].isTimed = true
        dispatchErrand(stream, freshOnly: false)
    }

    private mutating func clearFull(_ group: Int) {
        if groups.states[group].fullUntil > now { return }
        for member in groups.states[group].endpoints.indices {
            groups.states[group].balancing.setFull(member, false)
        }
        groups.states[group].fullUntil = .never
    }

    /// Chooses a member. - Returns: whether there is one; else the stream waits for one or has ended.
    private mutating func choose(_ stream: Int) -> Bool {
        let group = Int(streams[stream].group)
        switch pickMember(stream, group) {
        case .member(let member):
            begin(stream, member)
            return true
        case .allAtLimit:
            lineUp(stream, wantsRoom: true)
            return false
        case .noMember:
            endWithoutMember(stream)
            return false
        }
    }

    /// Where others were tried, with what was wrong there.
    private mutating func endWithoutMember(_ stream: Int) {
        let failure = errands[stream].failure
        let detail = failure?.detail ?? "no member of the group can be chosen"
        end(stream, EndReport(failure?.outcome ?? .connectUnreachable, detail: detail))
    }

    /// For a request that is to make a pin, which is one of a certain member: one that it waits for alone, if need be.
    /// - Returns: whether there is one; else the stream has ended.
    mutating func chooseForPin(_ stream: Int) -> Bool {
        if errands[stream].member >= 0 { return true }
        let group = Int(streams[stream].group)
        clearFull(group)
        switch pickMember(stream, group) {
        case .member(let member): begin(stream, member)
        case .allAtLimit:
            let tried = errands[stream].tried
            guard let member = groups.states[group].balancing.leastCrowded(tried: tried) else { fallthrough }
            begin(stream, member)
        case .noMember:
            endWithoutMember(stream)
            return false
        }
        return true
    }

    // Pins.

    /// The member of a stream's group at an endpoint.
    func member(at endpoint: Endpoint, of stream: Int) -> Int? {
        if streams[stream].group < 0 { return nil }
        return groups.states[Int(streams[stream].group)].endpoints.firstIndex(of: endpoint)
    }

    /// Where the pins of a stream's token may lead.
    func endpointsForPins(_ stream: Int) -> [Endpoint] {
        streams[stream].group < 0
            ? streams[stream].endpoints : groups.states[Int(streams[stream].group)].endpoints
    }

    /// A pinned connection to an endpoint serves the stream.
    mutating func beginPinned(_ stream: Int, _ endpoint: Endpoint) {
        guard let member = member(at: endpoint, of: stream), member != errands[stream].member else { return }
        leaveMember(stream, .notItsFault)
        begin(stream, member)
    }

    /// An attempt at a member begins.
    mutating func begin(_ stream: Int, _ member: Int) {
        let group = Int(streams[stream].group)
        leaveGroupQueue(stream)
        errands[stream].member = member
        errands[stream].attemptAt = now
        errands[stream].status = 0
        streams[stream].endpoints.removeAll(keepingCapacity: true)
        streams[stream].endpoints.append(groups.states[group].endpoints[member])
        groups.states[group].balancing.began(member)
    }

    /// Takes an idle connection to the stream's member, or dials one. - Returns: whether it does or waits; else there is no
    /// room for one.
    private mutating func approach(_ stream: Int, freshOnly: Bool) -> Bool {
        if !freshOnly && takeIdle(stream) { return true }
        let group = Int(streams[stream].group)
        let member = errands[stream].member
        streams[stream].phase = .waiting
        streams[stream].endpointNext = 0
        beginQueueTime(stream)
        streams[stream].isConnecting = false
        let dialAfter = groups.states[group].balancing.dialAfter(member)
        if dialAfter > now && !isMakingPin(stream) {
            // All of them back off.
            leaveMember(stream, .notItsFault)
            wake(group, at: dialAfter)
            lineUp(stream, wantsRoom: false)
            return true
        }
        if isMakingPin(stream) {
            tryNextEndpoint(stream)
            return true
        }
        return dialMember(stream)
    }

    private func isMakingPin(_ stream: Int) -> Bool {
        guard let pin = streams[stream].pin else { return false }
        return pins[pin].state == .making(stream: stream)
    }

    /// Dials when there is room at once: otherwise another member may have it. - Returns: whether there is.
    private mutating func dialMember(_ stream: Int) -> Bool {
        let target = targets.make(poolKey(stream, 0))
        let waiter = addWaiter(stream, target, since: now)
        streams[stream].endpointNext = 1
        waiters[waiter].isFreshOnly = streams[stream].needsFresh
        guard admitAtOnce(waiter) else {
            removeWaiter(waiter, nil)
            return false
        }
        if streams[stream].phase == .waiting { armDeadline(stream) }
        return true
    }

    mutating func addWaiter(_ stream: Int, _ target: Int, since: Instant) -> Int {
        let waiter = waiters.take { Waiter() }
        waiters[waiter] = Waiter(
            stream: stream,
            target: target,
            endpointIndex: 0,
            startedAt: since,
            queuedAt: since
        )
        streams[stream].waiters.append(Int32(waiter))
        // One that was elsewhere before keeps its age: else each dial of its own could serve another.
        var next = targets[target].waiters.last
        var behind: Int?
        while let other = next, waiters[other].queuedAt > since {
            behind = other
            next = waiterLinks.previous(before: other)
        }
        waiterLinks.insert(waiter, before: behind, in: &targets[target].waiters)
        return waiter
    }

    /// As `admit`, but without a place in the queue.
    private mutating func admitAtOnce(_ waiter: Int) -> Bool {
        if let peer = takePeerConnection(waiter) {
            beginTunnel(on: peer, for: waiter)
            return true
        }
        let endpoint = targets[waiters[waiter].target].endpoint
        if targets[endpoint: endpoint].blocked.count > 0 { return false }
        if asksNeighbour(waiter) { return true }
        switch takeRoom(endpoint, since: waiters[waiter].queuedAt, mayWait: false) {
        case .room(let room):
            dial(waiter, room)
            return true
        case .coming:
            enqueue(waiter, isNew: false)
            return true
        case .none:
            // A wish may have been noted in exchange for an idle connection that went to an older one.
            withdrawWish(endpoint)
            return false
        }
    }

    /// The attempt is over, whatever came of it.
    mutating func leaveMember(_ stream: Int, _ result: MemberResult) {
        if streams[stream].group < 0 || errands[stream].member < 0 { return }
        let group = Int(streams[stream].group)
        let member = errands[stream].member
        errands[stream].member = -1
        tell(result, of: MemberPlace(group: group, member: member))
        groups.states[group].balancing.ended(member)
    }

    /// The attempt did not fail, but the member was not to be had.
    private mutating func endRetry(_ stream: Int) {
        if !errands[stream].isRetry { return }
        errands[stream].isRetry = false
        groups.states[Int(streams[stream].group)].budget.retryEnded(now: now)
    }

    /// The last attempt failed, and the next one is a retry. At a member that is well it is free; else there is a budget.
    /// - Returns: whether it may be made, at another member.
    mutating func takeRetry(_ stream: Int) -> Bool {
        let group = Int(streams[stream].group)
        endRetry(stream)
        let tried = errands[stream].tried
        guard tried.count < groups.states[group].settings.retry.attemptsMax, !tried.isFull,
            streams[stream].totalUntil > now,
            groups.states[group].balancing.hasMember(butNot: tried, now: now)
        else { return false }
        let isFree = groups.states[group].balancing.hasWellMember(butNot: tried, now: now)
        if !isFree && !groups.states[group].budget.takeRetry(now: now) { return false }
        errands[stream].wantsWell = isFree
        errands[stream].isRetry = !isFree
        totals.retriesTotal &+= 1
        return true
    }

    /// The stream is about to end: what END says of its members, and what it leaves of its group.
    mutating func leaveGroup(_ stream: Int, _ report: inout EndReport) {
        let group = Int(streams[stream].group)
        report.members = groups.states[group].names
        report.member = errands[stream].lastMember
        leaveMember(stream, .notItsFault)
        endRetry(stream)
        leaveGroupQueue(stream)
        streams[stream].group = -1
        groups.states[group].users -= 1
        groups.states[group].budget.requestEnded(now: now)
    }
}
