// IdleMoves.swift: idle connections and other workers: who lacks one asks a worker that has one, before it dials.
// Owns: that a connection is one worker's at every time, or in one parcel. Source: DESIGN "Threads"; IdleDirectory.swift.
//
// Only what has been idle for a while moves. Under load every worker has idle connections for instants, and needs them
// again: to take those would send connections to and fro for nothing.
import Model

/// A question to another worker for an idle connection.
struct IdleAsk {
    /// Who waits for the answer; `nil`: nobody, as it got another connection, or has gone.
    var waiter: Int?
    var target = 0
    /// The worker that was asked, counted from this one.
    var distance = 0
}

extension WorkerEngine {
    /// Counts a connection that has become idle, or is not any more.
    mutating func countIdle(_ change: Int32, _ slot: Int) {
        idleDirectory?.add(change, bucket: targets[connections[slot].target].bucket, worker: worker)
    }

    /// Asks another worker for an idle connection. - Returns: whether the waiter waits for an answer.
    mutating func asksNeighbour(_ waiter: Int) -> Bool {
        guard let idleDirectory, !waiters[waiter].isFreshOnly, mayTakeIdle(waiters[waiter].stream) else {
            return false
        }
        let target = waiters[waiter].target
        if let ask = targets[target].strayAsks.first {
            idleAskLinks.remove(ask, from: &targets[target].strayAsks)
            // Whoever asked it has found nothing nearer.
            waiters[waiter].askNext = min(waiters[waiter].askNext, idleAsks[ask].distance + 1)
            expect(ask, for: waiter)
            return true
        }
        let bucket = targets[target].bucket
        let next = waiters[waiter].askNext
        // Each is asked once, unless it had one: in the end there is a dial.
        guard let (other, distance) = idleDirectory.find(bucket: bucket, behind: worker, distance: next)
        else {
            waiters[waiter].askNext = .max
            return false
        }
        waiters[waiter].askNext = distance + 1
        let ask = idleAsks.take { IdleAsk() }
        idleAsks[ask] = IdleAsk(target: target, distance: distance)
        expect(ask, for: waiter)
        let id = AskID(slot: UInt32(ask), generation: idleAsks.generation(of: ask))
        send(other, .wanted(portable(targets[target].key), by: worker, id))
        return true
    }

    private mutating func expect(_ ask: Int, for waiter: Int) {
        idleAsks[ask].waiter = waiter
        waiters[waiter].dial = .asking(ask)
        beginConnecting(waiters[waiter].stream)
    }

    /// A waiter has no use for the answer to its question: the next one has, who would dial although a connection is coming.
    mutating func leaveAsk(_ ask: Int, of waiter: Int) {
        waiters[waiter].dial = .none
        idleAsks[ask].waiter = nil
        idleAskLinks.append(ask, to: &targets[idleAsks[ask].target].strayAsks)
    }

    /// A question is answered. For who waited for that, nothing is on the way now.
    private mutating func closeAsk(_ id: AskID) -> IdleAsk {
        guard let ask = idleAsks.find(id.slot, id.generation) else {
            preconditionFailure("an answer to what was not asked")
        }
        let closed = idleAsks[ask]
        if let waiter = closed.waiter {
            waiters[waiter].dial = .none
        } else {
            idleAskLinks.remove(ask, from: &targets[closed.target].strayAsks)
        }
        idleAsks.release(ask)
        return closed
    }

    /// A stream that an idle connection has failed wants one that nobody has used, and so does raw data.
    private func mayTakeIdle(_ stream: Int) -> Bool {
        !streams[stream].isRaw && !streams[stream].attempts.contains { $0.result == .stale }
    }

    private mutating func send(_ worker: Int, _ news: IdleNews) {
        letters.append(Letter(to: worker, .idle(news)))
        orderLetters()
    }

    /// News of another worker.
    package mutating func told(_ news: IdleNews, now: Instant) {
        self.now = now
        switch news {
        case .wanted(let wanted, let other, let ask):
            let key = poolKey(of: wanted)
            if let slot = spareIdle(key) {
                surrenderIdle(slot, IdleRequest(worker: other, target: wanted, ask: ask))
            } else {
                send(other, .none(ask))
            }
            targets.routes.release(key.route)
        case .none(let id):
            let ask = closeAsk(id)
            if let waiter = ask.waiter { waitersWithoutDial.append(waiter) }
            targets.removeIfUnused(ask.target)
        }
        settle()
    }

    /// The connection that has been idle longest, if that is long enough.
    private mutating func spareIdle(_ key: PoolKey) -> Int? {
        guard let target = targets.find(key), let slot = targets[target].idle.first,
            connections[slot].idleUntil > now, !isStandby(slot)
        else { return nil }
        let idleFor = now.nanoseconds &- connections[slot].idleSince.nanoseconds
        return idleFor >= Int64(limits.idleTakeoverMilliseconds) * 1_000_000 ? slot : nil
    }

    /// Whether this worker is to keep it ready for a group.
    private func isStandby(_ slot: Int) -> Bool {
        guard let place = groups.place(connections[slot].member) else { return false }
        let standby = groups.states[place.group].standby
        return standby.countMin > 0 && targets[connections[slot].target].idle.count <= standby.countMin
    }

    /// Who asked for what.
    private struct IdleRequest {
        let worker: Int
        let target: PoolTarget
        let ask: AskID
    }

    private mutating func surrenderIdle(_ slot: Int, _ request: IdleRequest) {
        unpark(slot)
        let parcel = IdleParcel(
            target: request.target,
            ask: request.ask,
            room: connections[slot].room,
            connection: parcelled(slot)
        )
        budget.move(parcel.room, from: worker, to: request.worker)
        letters.append(Letter(to: request.worker, .idleParcel(id(ofConnection: slot), parcel)))
        detach(slot)
        orderLetters()
    }

    /// An idle connection has come from another worker: it goes to whoever waits longest for one like it.
    /// - Returns: its id here, under which the worker has its socket from now on, whatever is ordered about it next.
    package mutating func adopted(_ parcel: IdleParcel, now: Instant) -> ConnectionID {
        self.now = now
        let key = poolKey(of: parcel.target)
        let slot = attach(parcel.connection, parcel.room, key)
        targets.routes.release(key.route)
        let id = id(ofConnection: slot)
        connections[slot].state = .idle
        let ask = closeAsk(parcel.ask)
        let generation = ask.waiter.map { waiters.generation(of: $0) }
        // That worker may have more.
        if let asker = ask.waiter { waiters[asker].askNext = min(waiters[asker].askNext, ask.distance) }
        hand(slot, wasIdle: true, asker: ask.waiter)
        if let asker = ask.waiter, let generation { goOnWithout(asker, generation) }
        settle()
        return id
    }

    /// A waiter that has not got what was asked for it, if nothing else is on the way for it.
    private mutating func goOnWithout(_ waiter: Int, _ generation: UInt32) {
        guard waiters.find(UInt32(waiter), generation) != nil, waiters[waiter].dial == .none,
            !waitersWithoutDial.contains(waiter)
        else { return }
        waitersWithoutDial.append(waiter)
    }
}
