// Dispatcher.swift: gets a connection for a stream: an idle one, one of its own, or a place in the queue.
// Owns: waiters, racing, first come first served. Source: DESIGN "The way of a request", steps 3 and 4.
import Frames
import HTTP1
import Model

extension WorkerEngine {
    /// Finds a connection for a stream or starts to wait for one.
    /// - Parameters:
    ///   - stream: without a connection.
    ///   - freshOnly: pass over idle connections: one has just turned out to be dead.
    mutating func acquire(_ stream: Int, freshOnly: Bool) {
        if !freshOnly && takeIdle(stream) { return }
        streams[stream].phase = .waiting
        streams[stream].endpointNext = 0
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
        streams[stream].isConnecting = false
        tryNextEndpoint(stream)
    }

    /// Takes the newest idle connection of the first endpoint that has one.
    mutating func takeIdle(_ stream: Int) -> Bool {
        // Nobody has used a connection for raw bytes and left it.
        if streams[stream].isRaw { return false }
        for index in streams[stream].endpoints.indices {
            guard let target = targets.find(poolKey(stream, index)) else { continue }
            while let connection = targets[target].idle.last {
                unpark(connection)
                if connections[connection].idleUntil <= now {
                    close(connection)
                    continue
                }
                assign(connection, to: stream, index, .reused)
                return true
            }
        }
        return false
    }

    func poolKey(_ stream: Int, _ index: Int) -> PoolKey {
        PoolKey(
            endpoint: streams[stream].endpoints[index],
            route: streams[stream].route,
            localAddress: streams[stream].localAddress
        )
    }

    /// Begins with the next endpoint, beside those that were begun before.
    mutating func tryNextEndpoint(_ stream: Int) {
        let index = streams[stream].endpointNext
        streams[stream].endpointNext += 1
        let target = targets.make(poolKey(stream, index))
        let waiter = waiters.take { Waiter() }
        waiters[waiter] = Waiter(
            stream: stream,
            target: target,
            endpointIndex: index,
            startedAt: now,
            queuedAt: now
        )
        waiters[waiter].isFreshOnly = streams[stream].needsFresh
        streams[stream].waiters.append(Int32(waiter))
        waiterLinks.append(waiter, to: &targets[target].waiters)
        let more = streams[stream].endpointNext < streams[stream].endpoints.count
        streams[stream].raceAt = more ? now.adding(milliseconds: limits.racingDelayMilliseconds) : .never
        admit(waiter, isNew: true)
        // A queue that is full has ended the stream.
        if streams[stream].phase == .waiting { armDeadline(stream) }
    }

    /// Dials for a waiter when the limits allow it, else has it wait behind those that came before.
    mutating func admit(_ waiter: Int, isNew: Bool = false) {
        if let peer = takePeerConnection(waiter) {
            beginTunnel(on: peer, for: waiter)
            return
        }
        let endpoint = targets[waiters[waiter].target].endpoint
        if targets[endpoint: endpoint].blocked.count > 0 {
            enqueue(waiter, isNew: isNew)
            return
        }
        if asksNeighbour(waiter) { return }
        let mayWait = !isNew || budget.hasQueueRoom
        switch takeRoom(endpoint, since: waiters[waiter].queuedAt, mayWait: mayWait) {
        case .room(let room): dial(waiter, room)
        case .coming: enqueue(waiter, isNew: false)
        case .none: enqueue(waiter, isNew: isNew)
        }
    }

    /// Puts a waiter into the queue. One that was in it, or had a dial, is not turned away.
    mutating func enqueue(_ waiter: Int, isNew: Bool) {
        let endpoint = targets[waiters[waiter].target].endpoint
        if !budget.enterQueue(forced: !isNew) {
            if targets[endpoint: endpoint].blocked.count == 0 { withdrawWish(endpoint) }
            turnAway(waiter)
            return
        }
        if !standBehind(waiter) { block(waiter, isNew: isNew) }
        beginQueueing(waiters[waiter].stream)
    }

    /// Puts a waiter into the line of its endpoint.
    mutating func block(_ waiter: Int, isNew: Bool) {
        let endpoint = targets[waiters[waiter].target].endpoint
        waiters[waiter].dial = .blocked
        if waiters[waiter].isCounted { blockedCount += 1 }
        // One that was before does not go behind those who came later.
        var next = isNew ? nil : targets[endpoint: endpoint].blocked.first
        while let other = next, waiters[other].queuedAt <= waiters[waiter].queuedAt {
            next = blockedLinks.next(after: other)
        }
        blockedLinks.insert(waiter, before: next, in: &targets[endpoint: endpoint].blocked)
        if targets[endpoint: endpoint].blocked.first == waiter { wishesToRenew.append(endpoint) }
    }

    private mutating func turnAway(_ waiter: Int) {
        if streams[waiters[waiter].stream].waiters.count > 1 {
            // Another address of the stream is being tried: that one may still do.
            removeWaiter(waiter, .abandoned)
            return
        }
        let detail = "more than \(limits.queueLengthMax) requests wait for a connection"
        end(waiters[waiter].stream, EndReport(.overloaded, detail: detail))
    }

    /// Nothing is dialed for a stream any more while it waits in the queue: the queue's deadline holds again.
    private mutating func beginQueueing(_ stream: Int) {
        if !streams[stream].isConnecting { return }
        for waiter in streams[stream].waiters {
            switch waiters[Int(waiter)].dial {
            case .dialing, .asking: return
            case .none, .blocked, .lined: break
            }
        }
        streams[stream].isConnecting = false
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
        armDeadline(stream)
    }

    mutating func dial(_ waiter: Int, _ room: Room) {
        let target = waiters[waiter].target
        let stream = waiters[waiter].stream
        let slot = connections.take { Connection(limits: limits) }
        connections[slot].reset(target: target, waiter: waiter, limits: limits, now: now)
        connections[slot].room = room
        if streams[stream].group >= 0 {
            connections[slot].member = groups.tag(Int(streams[stream].group), errands[stream].member)
        }
        targets[target].connections += 1
        waiters[waiter].dial = .dialing(slot)
        beginConnecting(stream)
        totals.dialsTotal &+= 1
        effects.append(.dial(id(ofConnection: slot)))
    }

    /// Where to dial, and the local address to bind; `nil` when the connection is no longer wanted.
    package func address(of connection: ConnectionID) -> (endpoint: Endpoint, local: IPAddress?)? {
        guard let slot = connections.find(connection.slot, connection.generation) else { return nil }
        let key = targets[connections[slot].target].key
        return (key.endpoint, key.localAddress)
    }

    /// The first dial for a stream is under way: the queue's deadline makes room for that of connecting.
    mutating func beginConnecting(_ stream: Int) {
        if streams[stream].isConnecting { return }
        streams[stream].isConnecting = true
        streams[stream].connectUntil = dueIn(streams[stream].deadlines.connectMilliseconds)
        armDeadline(stream)
    }

    /// How a dial went. A connection serves whoever waits longest, not necessarily the one who dialed it.
    package mutating func dialed(_ connection: ConnectionID, _ result: DialResult, now: Instant) {
        guard let slot = connections.find(connection.slot, connection.generation) else { return }
        self.now = now
        switch result {
        case .connected(let local):
            connections[slot].local = local
            if case .dialing(let owner) = connections[slot].state, let waiter = owner {
                waiters[waiter].transportAt = now
            }
            continueSetup(slot)
        case .failed(let failure):
            dialFailed(slot, failure)
        }
        settle()
    }

    private mutating func dialFailed(_ slot: Int, _ failure: AttemptResult) {
        guard case .dialing(let owner) = connections[slot].state else {
            preconditionFailure("a dial failed in \(connections[slot].state)")
        }
        let detail = "no endpoint could be connected to: \(failure)"
        let failure = AttemptFailure(result: failure, outcome: Self.outcome(of: failure), detail: detail)
        memberDialFailed(slot, failure)
        forget(slot)
        if let waiter = owner { attemptFailed(waiter, failure) }
    }

    /// A waiter's own dial failed: its stream goes on to the next endpoint, or ends when none is left.
    mutating func attemptFailed(_ waiter: Int, _ failure: AttemptFailure) {
        let stream = waiters[waiter].stream
        waiters[waiter].dial = .none
        removeWaiter(waiter, failure.result)
        if streams[stream].group >= 0 {
            memberNotReached(stream, failure)
        } else if streams[stream].endpointNext < streams[stream].endpoints.count {
            tryNextEndpoint(stream)
        } else if streams[stream].waiters.isEmpty {
            end(stream, EndReport(failure.outcome, detail: failure.detail))
        }
    }

    private static func outcome(of failure: AttemptResult) -> Outcome {
        switch failure {
        case .refused: .connectRefused
        case .timeout: .connectTimeout
        case .connected, .reused, .unreachable, .abandoned, .stale, .failed, .tlsFailed, .peerRefused,
            .exchangeFailed:
            .connectUnreachable
        }
    }

    /// Gives a connection that is free, fresh or not, to the first who waits for it; else it becomes idle. Where somebody
    /// else has waited longer for its room it is closed. With `wasIdle` it comes out of another worker's pool, which was asked
    /// for it for `asker`.
    mutating func hand(_ slot: Int, wasIdle: Bool = false, asker: Int? = nil) {
        if connections[slot].isSpent {
            close(slot)
            return
        }
        if yields(slot) { return }
        let isFresh = connections[slot].requests == 0 && !wasIdle
        guard let waiter = firstWaiter(for: slot, isFresh: isFresh) else {
            park(slot)
            return
        }
        serveQueued(waiter)
        let stream = waiters[waiter].stream
        let index = waiters[waiter].endpointIndex
        inheritDial(from: waiter, servedBy: slot, asker)
        connections[slot].state = .idle
        let (started, transport) = (waiters[waiter].startedAt, waiters[waiter].transportAt)
        removeWaiter(waiter, nil)
        abandonWaiters(stream, .abandoned)
        assign(slot, to: stream, index, isFresh ? .connected : .reused, since: started, transport)
    }

    /// Who has waited longest for a connection like this one: some want only one that nobody has used.
    func firstWaiter(for slot: Int, isFresh: Bool) -> Int? {
        var candidate = targets[connections[slot].target].waiters.first
        if isFresh { return candidate }
        while let waiter = candidate, streams[waiters[waiter].stream].needsFresh {
            candidate = waiterLinks.next(after: waiter)
        }
        return candidate
    }

    /// A waiter that is served leaves its own dial, if it has one: to the waiter whose dial, or whose question to another
    /// worker, serves it now, else to one that could not dial, else to the pool. So it does with a question of its own.
    private mutating func inheritDial(from waiter: Int, servedBy slot: Int, _ asker: Int?) {
        var donor = asker
        if case .dialing(let owner) = connections[slot].state { donor = owner }
        if donor == waiter {
            waiters[waiter].dial = .none
            return
        }
        if let donor { waiters[donor].dial = .none }
        switch waiters[waiter].dial {
        case .none, .lined:
            break
        case .asking(let ask):
            leaveAsk(ask, of: waiter)
        case .blocked:
            unblock(waiter)
        case .dialing(let own):
            waiters[waiter].dial = .none
            bequeath(own, to: donor ?? blockedWaiter(of: connections[own].target))
            return
        }
        // The one that dialed has lost its connection to somebody who came earlier: it needs another.
        if let donor { waitersWithoutDial.append(donor) }
    }

    /// Makes a dial under way another waiter's, or the pool's.
    private mutating func bequeath(_ dial: Int, to heir: Int?) {
        if let heir {
            serveQueued(heir)
            unblock(heir)
            waiters[heir].dial = .dialing(dial)
            beginConnecting(waiters[heir].stream)
        } else if offer(dial, olderThan: .never) {
            return
        } else {
            connections[dial].idleUntil = dueIn(limits.connectMilliseconds)
            connectionDeadlines.arm(dial, at: connections[dial].idleUntil)
        }
        connections[dial].state = .dialing(waiter: heir)
    }

    /// The first waiter of a target that a limit keeps from dialing.
    private func blockedWaiter(of target: Int) -> Int? {
        var candidate = targets[target].waiters.first
        while let waiter = candidate {
            if waiters[waiter].dial == .blocked { return waiter }
            candidate = waiterLinks.next(after: waiter)
        }
        return nil
    }

    /// Takes a waiter out of the list of those that a limit blocks.
    mutating func unblock(_ waiter: Int) {
        guard case .blocked = waiters[waiter].dial else { return }
        waiters[waiter].dial = .none
        let endpoint = targets[waiters[waiter].target].endpoint
        let wasFirst = targets[endpoint: endpoint].blocked.first == waiter
        blockedLinks.remove(waiter, from: &targets[endpoint: endpoint].blocked)
        leaveLine(waiter)
        if waiters[waiter].isCounted {
            blockedCount -= 1
            budget.leaveQueue()
        }
        if targets[endpoint: endpoint].blocked.count == 0 {
            withdrawWish(endpoint)
        } else if wasFirst {
            wishesToRenew.append(endpoint)
        }
    }

    /// Gives up every claim of a stream; dials that nobody else waits for are closed.
    mutating func abandonWaiters(_ stream: Int, _ result: AttemptResult) {
        while let waiter = streams[stream].waiters.last { removeWaiter(Int(waiter), result) }
    }

    /// Ends one claim. - Parameter result: for the stream's attempts; `nil` when the caller records it.
    mutating func removeWaiter(_ waiter: Int, _ result: AttemptResult?) {
        let stream = waiters[waiter].stream
        let target = waiters[waiter].target
        // One of a group's queue has tried nothing yet.
        if let result, waiters[waiter].member < 0 {
            note(
                stream,
                waiters[waiter].endpointIndex,
                result,
                since: waiters[waiter].startedAt,
                waiters[waiter].transportAt
            )
        }
        if case .asking(let ask) = waiters[waiter].dial { leaveAsk(ask, of: waiter) }
        unblock(waiter)
        if !stepOut(waiter) { waiterLinks.remove(waiter, from: &targets[target].waiters) }
        if case .dialing(let own) = waiters[waiter].dial {
            if let heir = blockedWaiter(of: target) {
                bequeath(own, to: heir)
            } else {
                close(own)
            }
        }
        streams[stream].waiters.removeAll { $0 == Int32(waiter) }
        waiters.release(waiter)
        targets.removeIfUnused(target)
    }

    /// Records one try for END.
    mutating func note(
        _ stream: Int,
        _ endpointIndex: Int,
        _ result: AttemptResult,
        since start: Instant,
        _ transportAt: Instant?
    ) {
        if streams[stream].group >= 0 { errands[stream].lastMember = errands[stream].member }
        if streams[stream].attempts.count >= MessageEncoder.attemptsMax { return }
        var attempt = Attempt(
            endpointIndex: endpointIndex,
            result: result,
            startMicroseconds: start.microseconds(since: streams[stream].openedAt),
            durationMicroseconds: now.microseconds(since: start),
            transportMicroseconds: transportAt?.microseconds(since: start) ?? 0
        )
        if streams[stream].group >= 0 { attempt.member = errands[stream].member }
        streams[stream].attempts.append(attempt)
    }
}
