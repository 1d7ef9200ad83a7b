// Rooms.swift: this worker's part in the limits that all workers share: its wishes, and what it gives up for others.
// Owns: when the budget is asked. Never touches: how it decides (RoomLedger.swift). Source: DESIGN "Threads", step 4.
import Model

/// What asking for room has come to.
enum RoomTaken {
    case room(Room)
    /// An idle connection is closed for it; its room comes with `told`.
    case coming
    case none
}

extension WorkerEngine {
    /// Time that a connection may go from one request of its key to the next although others have waited longer for its
    /// room: so that changing hands stays cheap beside what it is used for.
    static let tenureMilliseconds = 20

    /// News of the budget.
    package mutating func told(_ news: BudgetNews, now: Instant) {
        self.now = now
        switch news {
        case .granted(let endpoint, let room, let isEndpointWanted, let isProcessWanted):
            if isProcessWanted { self.isProcessWanted = true }
            granted(endpoint, room, isWanted: isEndpointWanted)
        case .endpointWanted(let endpoint):
            if let slot = targets.find(endpoint: endpoint) {
                targets.setWanted(slot, true)
                offerIdle(ofEndpoint: slot)
            }
        case .processWanted:
            isProcessWanted = true
            offerIdle()
        }
        settle()
    }

    private mutating func granted(_ endpoint: Endpoint, _ room: Room, isWanted: Bool) {
        guard let slot = targets.find(endpoint: endpoint), let waiter = targets[endpoint: slot].blocked.first
        else {
            effects.append(.giveBack(room))
            return
        }
        targets[endpoint: slot].wishSince = .never
        if isWanted { targets.setWanted(slot, true) }
        serveQueued(waiter)
        unblock(waiter)
        dial(waiter, room)
        // The room may have come for a wish that was taken back, with another behind it.
        if targets[endpoint: slot].blocked.count == 0 { budget.withdraw(endpoint, by: worker) }
    }

    /// Asks for room for a waiter; when there is none, a wish stands for it.
    mutating func takeRoom(_ endpoint: Int, since: Instant, mayWait: Bool) -> RoomTaken {
        var idle = IdleRooms()
        idle.hasOneOfEndpoint = targets[endpoint: endpoint].idle.count > 0
        if let oldest = idleOfAll.first { idle.oldest = connections[oldest].room }
        let name = targets[endpoint: endpoint].endpoint
        switch budget.take(name, since: since, idle: idle, mayWait: mayWait, by: worker) {
        case .room(let room):
            targets[endpoint: endpoint].wishSince = .never
            return .room(room)
        case .wait(let scope):
            targets[endpoint: endpoint].wishSince = since
            noteWanted(endpoint, scope)
            return .none
        case .exchange(let scope, let heir, let isOwn):
            targets[endpoint: endpoint].wishSince = since
            if let spare = scope == .endpoint ? targets[endpoint: endpoint].idle.first : idleOfAll.first {
                unpark(spare)
                close(spare, to: heir)
            }
            if isOwn { return .coming }
            noteWanted(endpoint, scope)
            offerIdle(ofEndpoint: endpoint)
            offerIdle()
            return .none
        case .refused:
            return .none
        }
    }

    private mutating func noteWanted(_ endpoint: Int, _ scope: LimitScope) {
        switch scope {
        case .endpoint: targets.setWanted(endpoint, true)
        case .process: isProcessWanted = true
        }
    }

    /// Takes the endpoint's wish back.
    mutating func withdrawWish(_ endpoint: Int) {
        if targets[endpoint: endpoint].wishSince == .never { return }
        targets[endpoint: endpoint].wishSince = .never
        budget.withdraw(targets[endpoint: endpoint].endpoint, by: worker)
    }

    /// Has the wish be as old as the first who is blocked, and dials for as many as there is room for.
    mutating func renewWish(_ endpoint: Int) {
        while targets.isEndpointTaken(endpoint), let waiter = targets[endpoint: endpoint].blocked.first {
            let since = waiters[waiter].queuedAt
            if targets[endpoint: endpoint].wishSince == since { return }
            guard case .room(let room) = takeRoom(endpoint, since: since, mayWait: true) else { return }
            serveQueued(waiter)
            unblock(waiter)
            dial(waiter, room)
        }
    }

    // Giving up.

    /// Whether a connection that has become free is closed because somebody has waited longer than whom it would serve
    /// here. One that has hardly been used is kept while there is work for it.
    mutating func yields(_ slot: Int) -> Bool {
        if !isProcessWanted && targets.wantedCount == 0 { return false }
        guard let waiter = firstWaiter(for: slot, isFresh: connections[slot].requests == 0) else {
            return offer(slot, olderThan: .never)
        }
        let tenure = connections[slot].createdAt.adding(milliseconds: Self.tenureMilliseconds)
        if connections[slot].requests == 0 || tenure > now { return false }
        return offer(slot, olderThan: waiters[waiter].queuedAt)
    }

    /// Closes a connection that is in no list when an older wish has use for its room. - Returns: whether it has.
    mutating func offer(_ slot: Int, olderThan bound: Instant) -> Bool {
        let endpoint = targets[connections[slot].target].endpoint
        if !isProcessWanted && !targets[endpoint: endpoint].isWanted { return false }
        let claim = budget.claim(connections[slot].room, olderThan: bound)
        targets.setWanted(endpoint, claim.isEndpointWanted)
        isProcessWanted = claim.isProcessWanted
        guard let heir = claim.heir else { return false }
        close(slot, to: heir)
        return true
    }

    private mutating func offerIdle(ofEndpoint endpoint: Int) {
        while targets.isEndpointTaken(endpoint), targets[endpoint: endpoint].isWanted,
            let idle = targets[endpoint: endpoint].idle.first
        {
            if !offerParked(idle) { return }
        }
    }

    private mutating func offerIdle() {
        while isProcessWanted, let idle = idleOfAll.first {
            if !offerParked(idle) { return }
        }
    }

    private mutating func offerParked(_ slot: Int) -> Bool {
        let endpoint = targets[connections[slot].target].endpoint
        let claim = budget.claim(connections[slot].room, olderThan: .never)
        targets.setWanted(endpoint, claim.isEndpointWanted)
        isProcessWanted = claim.isProcessWanted
        guard let heir = claim.heir else { return false }
        unpark(slot)
        close(slot, to: heir)
        return true
    }
}
