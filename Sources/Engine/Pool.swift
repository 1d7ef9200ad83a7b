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
        since start: Instant? = nil,
        _ transportAt: Instant? = nil
    ) {
        let wasIdle = result == .reused
        takeOver(slot, stream, endpointIndex)
        if targets.routes.bindsPeer(targets[connections[slot].target].key.route) {
            connections[slot].isSpent = true
        }
        if !streams[stream].authenticationAside.isAbsent { authorize(slot, stream) }
        streams[stream].isOnIdle = wasIdle
        note(stream, endpointIndex, result, since: start ?? now, transportAt)
        if wasIdle { totals.reusesTotal &+= 1 }
        if streams[stream].isRaw {
            beginRaw(slot, stream)
            return
        }
        var context = ReplyContext()
        context.isHead = streams[stream].encoded.isHead
        context.isConnect = streams[stream].isConnect
        context.expectsUpgrade = streams[stream].gate == .awaitsUpgrade && !context.isConnect
        connections[slot].decoder.begin(context)
        connections[slot].isWriting = true
        let probes = (wasIdle && needsProbe(slot)) || connections[slot].mayHaveMore
        connections[slot].mayHaveMore = false
        connections[slot].awaitsProbe = probes
        effects.append(.writeConnection(id(ofConnection: slot), probeFirst: probes))
        armDeadline(stream)
    }

    /// Makes stream and connection each other's.
    mutating func takeOver(_ slot: Int, _ stream: Int, _ endpointIndex: Int) {
        connections[slot].state = .busy(stream: stream)
        connections[slot].requests += 1
        streams[stream].phase = .active(slot)
        streams[stream].queueUntil = .never
        streams[stream].connectUntil = .never
        streams[stream].raceAt = .never
        streams[stream].connectedAt = now
        streams[stream].lastActivityAt = now
        streams[stream].uploadWritten = 0
        streams[stream].isCommitted = false
        streams[stream].isOnIdle = false
        streams[stream].endpointIndex = endpointIndex
    }

    /// Whether an idle connection has to be asked for its health: what may stand in the kernel behind the last reply
    /// must not pass for the next one. Source: RFC 9112 §9.2.
    func needsProbe(_ slot: Int) -> Bool {
        let idleFor = now.nanoseconds &- connections[slot].idleSince.nanoseconds
        return connections[slot].mayHaveMore
            || idleFor >= Int64(limits.livenessProbeIdleMilliseconds) * 1_000_000
    }

    /// Gives a connection back that can serve another request. - Returns: what has become of it.
    mutating func giveUp(_ slot: Int) -> ConnectionFate {
        if let pin = connections[slot].pin {
            let isOver = isDraining || pins[pin].expiresAt <= now
            freePin(slot)
            return isOver ? .closed : .pinned
        }
        hand(slot)
        // The pool may have had no use for it.
        return connections.isTaken(slot) ? .pooled : .closed
    }

    /// Puts a connection into the pool, as its newest.
    mutating func park(_ slot: Int) {
        connections[slot].state = .idle
        connections[slot].idleUntil = idleUntil(slot)
        if isDraining || connections[slot].idleUntil <= now || limits.idlePerKeyMax == 0
            || limits.idleMax == 0 || connections[slot].carriesTokens
            || targets.routes.isRaw(targets[connections[slot].target].key.route)
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
        if hasEndpointLimits {
            idleOfEndpointLinks.append(slot, to: &targets[endpoint: targets[target].endpoint].idle)
        }
        connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
        countIdle(1, slot)
    }

    /// The upstream's own timeout less a second, so that we close first; and no longer than we allow.
    private func idleUntil(_ slot: Int) -> Instant {
        let milliseconds = connections[slot].idleMilliseconds(atMost: limits.idleConnectionMilliseconds)
        let idle = connections[slot].idleSince.adding(milliseconds: milliseconds)
        if limits.connectionAgeMilliseconds == 0 { return idle }
        return min(idle, connections[slot].createdAt.adding(milliseconds: limits.connectionAgeMilliseconds))
    }

    /// Takes an idle connection out of the pool.
    mutating func unpark(_ slot: Int) {
        let target = connections[slot].target
        countIdle(-1, slot)
        idleLinks.remove(slot, from: &targets[target].idle)
        idleOfAllLinks.remove(slot, from: &idleOfAll)
        if hasEndpointLimits {
            idleOfEndpointLinks.remove(slot, from: &targets[endpoint: targets[target].endpoint].idle)
        }
    }

    /// Closes the connection that has been idle longest. - Returns: whether there was one.
    mutating func closeOldestIdle() -> Bool {
        guard let oldest = idleOfAll.first else { return false }
        unpark(oldest)
        close(oldest)
        return true
    }

    /// Has the worker close a connection that is in no list. - Parameter heir: gets its room; `nil`: the budget does.
    mutating func close(_ slot: Int, to heir: Heir? = nil) {
        if connections[slot].state == .idle { notifyClose(slot) }
        effects.append(.closeConnection(id(ofConnection: slot)))
        forget(slot, heir)
    }

    /// Has the worker say over TLS that nothing is missing, before it closes.
    mutating func notifyClose(_ slot: Int) {
        if connections[slot].isClear { return }
        effects.append(.notifyClose(id(ofConnection: slot)))
    }

    /// Nothing of a secret waits for the next connection in this slot.
    mutating func forgetUsers(_ slot: Int) {
        if !connections[slot].users.isEmpty { connections[slot].users = [] }
        if let own = connections[slot].tunnelTry {
            connections[slot].tunnelTryAside.clear()
            if let space = own.space { authenticator.ended(space, own.credential, own.attempt) }
        }
        if connections[slot].setupOutput.isSecret { connections[slot].setupOutput.wipe() }
    }

    /// Frees the slot of a connection whose socket is gone or about to go.
    mutating func forget(_ slot: Int, _ heir: Heir? = nil) {
        let target = connections[slot].target
        // Behind the order to close it, if there is one: a socket counts until it is closed.
        if let heir {
            effects.append(.handOver(connections[slot].room, heir))
        } else {
            effects.append(.giveBack(connections[slot].room))
        }
        dropSecurity(ofConnection: slot)
        if connections[slot].member.group >= 0 { memberConnectionEnded(slot) }
        connections[slot].state = .closed
        connections[slot].inbound.removeAll(keepingAtMost: 0)
        let pin = connections[slot].pin
        connections[slot].pin = nil
        forgetUsers(slot)
        connections.release(slot)
        targets[target].connections -= 1
        targets.removeIfUnused(target)
        if let pin { pinEnded(pin) }
    }
}
