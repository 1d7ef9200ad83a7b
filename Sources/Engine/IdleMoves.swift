// IdleMoves.swift: idle connections and other workers: who lacks one asks a worker that has one, before it dials.
// Owns: that a connection is one worker's at every time, or in one parcel. Source: DESIGN "Threads"; IdleDirectory.swift.
//
// Only what has been idle for a while moves. Under load every worker has idle connections for instants, and needs them
// again: to take those would send connections to and fro for nothing.
import Model

extension WorkerEngine {
    /// Counts a connection that has become idle, or is not any more.
    mutating func countIdle(_ change: Int32, _ slot: Int) {
        idleDirectory?.add(change, bucket: targets[connections[slot].target].bucket, worker: worker)
    }

    /// Asks another worker for an idle connection. - Returns: whether the waiter waits for the answer.
    mutating func asksNeighbour(_ waiter: Int) -> Bool {
        guard let idleDirectory, !waiters[waiter].isFreshOnly, mayTakeIdle(waiters[waiter].stream) else {
            return false
        }
        let target = waiters[waiter].target
        let bucket = targets[target].bucket
        let next = waiters[waiter].askNext
        // Each is asked once: in the end there is a dial.
        guard let (other, distance) = idleDirectory.find(bucket: bucket, behind: worker, distance: next)
        else {
            waiters[waiter].askNext = .max
            return false
        }
        waiters[waiter].askNext = distance + 1
        waiters[waiter].dial = .asking
        beginConnecting(waiters[waiter].stream)
        let id = WaiterID(slot: UInt32(waiter), generation: waiters.generation(of: waiter))
        send(other, .wanted(portable(targets[target].key), by: worker, id))
        return true
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
        case .wanted(let wanted, let other, let waiter):
            let key = poolKey(of: wanted)
            if let slot = spareIdle(key) {
                surrenderIdle(slot, IdleRequest(worker: other, target: wanted, waiter: waiter))
            } else {
                send(other, .none(waiter))
            }
            targets.routes.release(key.route)
        case .none(let waiter): goOnWithout(waiter)
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
        let waiter: WaiterID
    }

    private mutating func surrenderIdle(_ slot: Int, _ request: IdleRequest) {
        unpark(slot)
        let parcel = IdleParcel(
            target: request.target,
            waiter: request.waiter,
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
        hand(slot, wasIdle: true)
        goOnWithout(parcel.waiter)
        settle()
        return id
    }

    /// A waiter that waits for an answer still is not going to get one.
    private mutating func goOnWithout(_ id: WaiterID) {
        guard let waiter = waiters.find(id.slot, id.generation), waiters[waiter].dial == .asking else {
            return
        }
        waiters[waiter].dial = .none
        waitersWithoutDial.append(waiter)
    }
}
