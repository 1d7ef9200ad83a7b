// GroupQueue.swift: requests that wait for a member: all are at their limits, or are not to be dialed yet.
// Owns: their order, first come first served, over all members; sessions take turns (GroupLines.swift).
// Never touches: who gets a room (RoomLedger.swift): each waits in the line of every member that would do, and leaves all
// of them with the first that it gets.
// Source: issue "Groups": connection limit per member with a queue per group.
import Balancing
import Model

extension WorkerEngine {
    /// Has a stream wait for a member, or ends it when too many wait. - Parameter wantsRoom: any member that has room will
    /// do; else it is looked at again when the group wakes.
    mutating func lineUp(_ stream: Int, wantsRoom: Bool) {
        let group = Int(streams[stream].group)
        let wasQueued = errands[stream].isQueued
        let isNew = !wasQueued && !isAdmitted(stream)
        if !wasQueued && !enterGroupQueue(stream, group) { return endForGroupLength(stream, group) }
        errands[stream].isQueued = true
        streams[stream].phase = .waiting
        beginQueueTime(stream)
        streams[stream].isConnecting = false
        streams[stream].raceAt = .never
        armDeadline(stream)
        if wantsRoom {
            switch standInGroup(stream, isNew: isNew) {
            case .inFront: break
            case .behind: return leaveQueueList(stream, group)
            case .refused: return endForQueueLength(stream)
            }
        }
        if !errands[stream].isInQueue { insert(stream, group) }
        wake(group, at: groups.states[group].balancing.changesAt)
        if wantsRoom { awaitRoom(stream, group, isNew: isNew) }
    }

    /// The time for waiting begins, unless it has begun before.
    mutating func beginQueueTime(_ stream: Int) {
        if errands[stream].isTimed { return }
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
    }

    private mutating func endForGroupLength(_ stream: Int, _ group: Int) {
        let length = groups.states[group].settings.queueLengthMax
        let detail = "too many requests wait for a member of the group, whose queue has room for \(length)"
        end(stream, EndReport(.overloaded, detail: detail))
    }

    private mutating func endForQueueLength(_ stream: Int) {
        let detail = "more than \(limits.queueLengthMax) requests wait for a connection"
        end(stream, EndReport(.overloaded, detail: detail))
    }

    private mutating func insert(_ stream: Int, _ group: Int) {
        errands[stream].isInQueue = true
        var next = groups.states[group].queue.last
        var behind: Int?
        // Mostly the last one; a retry keeps its age.
        if let last = next, errands[last].since > errands[stream].since {
            next = groups.states[group].queue.first
            while let other = next, errands[other].since <= errands[stream].since {
                next = groups.links.next(after: other)
            }
            behind = next
        }
        groups.links.insert(stream, before: behind, in: &groups.states[group].queue)
    }

    /// Whether a stream was at a member before: then it is not turned away.
    private func isAdmitted(_ stream: Int) -> Bool {
        errands[stream].isAdmitted || errands[stream].tried.count > 0
    }

    private mutating func enterGroupQueue(_ stream: Int, _ group: Int) -> Bool {
        let isForced = isAdmitted(stream)
        let own = waitingInGroup(besides: stream)
        if !groups.isAdHoc(group) { return health.enterQueue(group, having: own, forced: isForced) }
        let state = groups.states[group]
        let free = state.settings.queueLengthMax - state.queue.count - state.lined
        return isForced || HealthBook.mayWait(having: own, free: free)
    }

    /// Takes a stream out of its group's queue, if it is in it. Its waiters are the caller's.
    mutating func leaveGroupQueue(_ stream: Int) {
        if !errands[stream].isQueued { return }
        let group = Int(streams[stream].group)
        errands[stream].isQueued = false
        leaveGroupLine(stream)
        leaveQueueList(stream, group)
        if !groups.isAdHoc(group) { health.leaveQueue(group) }
    }

    private mutating func leaveQueueList(_ stream: Int, _ group: Int) {
        if !errands[stream].isInQueue { return }
        errands[stream].isInQueue = false
        groups.links.remove(stream, from: &groups.states[group].queue)
    }

    /// Lines a stream up at every member that it can go to, but those that are not to be dialed yet: there may be room.
    private mutating func awaitRoom(_ stream: Int, _ group: Int, isNew: Bool) {
        let tried = errands[stream].tried
        // Where all of them are avoided, all are lined up at, as all are chosen from.
        let hasOther = groups.states[group].endpoints.indices.contains { member in
            groups.states[group].balancing.isAwaited(member, tried: tried)
                && avoidedUntil(member, by: stream) <= now
        }
        for member in groups.states[group].endpoints.indices
        where groups.states[group].balancing.isAwaited(member, tried: tried) {
            let dialAfter = max(
                groups.states[group].balancing.dialAfter(member),
                hasOther ? avoidedUntil(member, by: stream) : now
            )
            if dialAfter > now {
                wake(group, at: dialAfter)
                continue
            }
            let key = PoolKey(
                endpoint: groups.states[group].endpoints[member],
                route: streams[stream].route,
                localAddress: streams[stream].localAddress
            )
            let waiter = addWaiter(stream, targets.make(key), since: errands[stream].since)
            waiters[waiter].member = Int32(member)
            waiters[waiter].isFreshOnly = streams[stream].needsFresh
            // One request is one in the queue of the process.
            waiters[waiter].isCounted = streams[stream].waiters.count == 1
            if waiters[waiter].isCounted && !budget.enterQueue(forced: !isNew) {
                waiters[waiter].isCounted = false
                endForQueueLength(stream)
                return
            }
            block(waiter, isNew: false)
        }
    }

    /// A waiter of a stream that waits for any member gets a connection: the stream goes to its member, and waits for no
    /// other any more.
    mutating func serveQueued(_ waiter: Int) {
        if waiters[waiter].member < 0 { return }
        let stream = waiters[waiter].stream
        let member = Int(waiters[waiter].member)
        waiters[waiter].member = -1
        dropWaiters(stream, butNot: waiter)
        begin(stream, member)
        waiters[waiter].startedAt = now
    }

    private mutating func dropWaiters(_ stream: Int, butNot kept: Int) {
        while let other = streams[stream].waiters.last(where: { Int($0) != kept }) {
            removeWaiter(Int(other), nil)
        }
    }

    // Waking.

    /// Has the group look at its queue as soon as the call that runs has done what it was made for.
    mutating func wakeAtOnce(_ group: Int) {
        groups.states[group].wakeAt = min(groups.states[group].wakeAt, now)
        groups.wakeAt = min(groups.wakeAt, now)
    }

    /// Has the group look at its queue at `instant` at the latest.
    mutating func wake(_ group: Int, at instant: Instant) {
        groups.states[group].wakeAt = min(
            groups.states[group].wakeAt,
            max(instant, now.adding(milliseconds: 1))
        )
        groups.wakeAt = min(groups.wakeAt, groups.states[group].wakeAt)
    }

    /// Looks at the queues that are due.
    mutating func wakeGroups() {
        groups.wakeAt = .never
        for group in groups.states.indices where groups.states[group].wakeAt < .never {
            if groups.states[group].wakeAt <= now {
                groups.states[group].wakeAt = .never
                forgetDoubts(group)
                reconsider(group)
                keepReady(group)
            }
            groups.wakeAt = min(groups.wakeAt, groups.states[group].wakeAt)
        }
    }

    /// Who may be chosen has changed: whoever waits looks again, in order.
    mutating func reconsider(_ group: Int) {
        // Listed first: whoever lines up again may come to stand behind others of the same age.
        var waiting: [Int] = []
        var next = groups.states[group].queue.first
        while let stream = next {
            waiting.append(stream)
            next = groups.links.next(after: stream)
        }
        for stream in waiting where streams.isTaken(stream) {
            guard Int(streams[stream].group) == group, errands[stream].isInQueue else { continue }
            dropWaiters(stream, butNot: -1)
            dispatchErrand(stream, freshOnly: false)
        }
        if groups.states[group].queue.count > 0 { wake(group, at: groups.states[group].balancing.changesAt) }
    }
}
