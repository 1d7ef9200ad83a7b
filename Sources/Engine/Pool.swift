// Pool.swift: idle connections, newest first per pool key, oldest first when room is needed; and closing.
// Owns: what a connection counts towards. Source: DESIGN "The way of a request", steps 3 and 8.
import HTTP1
import Model

extension WorkerEngine {
    /// Makes a connection the stream's own and orders its request to be written.
    mutating func assign(
        _ slot: Int,
        to stream: Int,
        _ endpointIndex: Int,
        _ result: AttemptResult,
        since start: Instant? = nil
    ) {
        let idleFor = now.nanoseconds &- connections[slot].idleSince.nanoseconds
        let wasIdle = result == .reused
        connections[slot].state = .busy(stream: stream)
        connections[slot].requests += 1
        var context = ReplyContext()
        context.isHead = streams[stream].encoded.isHead
        context.expectsUpgrade = streams[stream].gate == .awaitsUpgrade
        connections[slot].decoder.begin(context)
        streams[stream].phase = .active(slot)
        streams[stream].queueUntil = .never
        streams[stream].connectUntil = .never
        streams[stream].raceAt = .never
        streams[stream].connectedAt = now
        streams[stream].lastActivityAt = now
        streams[stream].uploadWritten = 0
        streams[stream].isOnIdle = wasIdle
        streams[stream].endpointIndex = endpointIndex
        note(stream, endpointIndex, result, since: start ?? now)
        if wasIdle { totals.reusesTotal &+= 1 }
        connections[slot].isWriting = true
        // What may stand in the kernel behind the last reply must not pass for the next one. Source: RFC 9112 §9.2.
        let isOld = wasIdle && idleFor >= Int64(limits.livenessProbeIdleMilliseconds) * 1_000_000
        let probes = isOld || connections[slot].mayHaveMore
        connections[slot].mayHaveMore = false
        connections[slot].awaitsProbe = probes
        effects.append(.writeConnection(id(ofConnection: slot), probeFirst: probes))
        armDeadline(stream)
    }

    /// Puts a connection into the pool, as its newest.
    mutating func park(_ slot: Int) {
        connections[slot].state = .idle
        connections[slot].idleUntil = idleUntil(slot)
        if isDraining || connections[slot].idleUntil <= now || limits.idlePerKeyMax == 0
            || limits.idleMax == 0
        {
            close(slot)
            return
        }
        let target = connections[slot].target
        if targets[target].idle.count >= limits.idlePerKeyMax, let oldest = targets[target].idle.first {
            unpark(oldest)
            close(oldest)
        }
        if idleOfAll.count >= limits.idleMax { _ = closeOldestIdle() }
        idleLinks.append(slot, to: &targets[target].idle)
        idleOfAllLinks.append(slot, to: &idleOfAll)
        connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
        noteRoom(endpoint: targets[target].endpoint)
    }

    /// The upstream's own timeout less a second, so that we close first; and no longer than we allow.
    private func idleUntil(_ slot: Int) -> Instant {
        var milliseconds = limits.idleConnectionMilliseconds
        if let seconds = connections[slot].keepAliveSeconds {
            milliseconds = min(milliseconds, max(0, seconds - 1) * 1000)
        }
        let idle = connections[slot].idleSince.adding(milliseconds: milliseconds)
        if limits.connectionAgeMilliseconds == 0 { return idle }
        return min(idle, connections[slot].createdAt.adding(milliseconds: limits.connectionAgeMilliseconds))
    }

    /// Takes an idle connection out of the pool.
    mutating func unpark(_ slot: Int) {
        idleLinks.remove(slot, from: &targets[connections[slot].target].idle)
        idleOfAllLinks.remove(slot, from: &idleOfAll)
    }

    /// Closes the connection that has been idle longest. - Returns: whether there was one.
    mutating func closeOldestIdle() -> Bool {
        guard let oldest = idleOfAll.first else { return false }
        unpark(oldest)
        close(oldest)
        return true
    }

    /// Closes the longest idle connection to an endpoint, of whatever key. - Returns: whether there was one.
    mutating func closeIdle(ofEndpoint endpoint: Int) -> Bool {
        var candidate = idleOfAll.first
        while let slot = candidate {
            if targets[connections[slot].target].endpoint == endpoint {
                unpark(slot)
                close(slot)
                return true
            }
            candidate = idleOfAllLinks.next(after: slot)
        }
        return false
    }

    /// Has the worker close a connection that is in no list.
    mutating func close(_ slot: Int) {
        effects.append(.closeConnection(id(ofConnection: slot)))
        forget(slot)
    }

    /// Frees the slot of a connection whose socket is gone or about to go.
    mutating func forget(_ slot: Int) {
        let target = connections[slot].target
        let endpoint = targets[target].endpoint
        connections[slot].state = .closed
        connections[slot].inbound.removeAll(keepingAtMost: 0)
        connections.release(slot)
        targets[target].connections -= 1
        targets[endpoint: endpoint].connections -= 1
        noteRoom(endpoint: endpoint)
        targets.removeIfUnused(target)
    }

    /// Remembers, when somebody is blocked, that a limit may have room now.
    private mutating func noteRoom(endpoint: Int) {
        if blockedCount == 0 { return }
        if targets[endpoint: endpoint].blocked.count > 0 { endpointsWithRoom.append(endpoint) }
        hasWorkerRoom = true
    }
}
