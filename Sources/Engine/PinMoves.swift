// PinMoves.swift: pins and other workers; and proxies that unpin, go away and come back.
// Owns: how a pinned connection moves as a whole: at every time one worker has it, or one parcel.
// Source: DESIGN "Threads"; PinDirectory.swift.
import Frames
import Model

/// What goes to another worker.
package struct Letter: Sendable {
    package enum Content: Sendable {
        case news(PinNews)
        /// With the socket of this connection, whose id is dead.
        case parcel(ConnectionID, PinParcel)
        case idle(IdleNews)
        case idleParcel(ConnectionID, IdleParcel)
    }

    package let worker: Int
    package let content: Content

    init(to worker: Int, _ content: Content) {
        self.worker = worker
        self.content = content
    }
}

extension WorkerEngine {
    // Letters.

    /// What `Effect.sendLetters` is about: the oldest `count`, in order.
    package mutating func takeLetters(_ count: Int) -> [Letter] {
        let taken = Array(letters.prefix(count))
        letters.removeFirst(taken.count)
        lettersOrdered = max(0, lettersOrdered - taken.count)
        return taken
    }

    /// Has all letters sent that were written since the last order.
    mutating func orderLetters() {
        let count = letters.count - lettersOrdered
        if count == 0 { return }
        lettersOrdered = letters.count
        effects.append(.sendLetters(count))
    }

    mutating func send(_ worker: Int, _ news: PinNews) {
        letters.append(Letter(to: worker, .news(news)))
        orderLetters()
    }

    /// News of another worker.
    package mutating func told(_ news: PinNews, now: Instant) {
        self.now = now
        switch news {
        case .wanted(let name, let other): pinWanted(name, by: other)
        case .gone(let name):
            if let pin = find(name), pins[pin].state == .coming { dissolve(pin) }
        case .unpinned(let owner, let bytes):
            let token = PinToken(owner: owner, bytes: bytes)
            if pinsByToken[token] == nil {
                // It may have gone on to another worker meanwhile.
                for other in directory.workers(ownerOf: (owner, bytes)) where other != worker {
                    send(other, news)
                }
            }
            releasePins(token)
        case .ownerLeft(let owner): beginGrace(owner)
        case .event(let owner, let event):
            if let session = openSession(of: owner) { send(event, to: session) }
        }
        settle()
    }

    /// Something was read on a pin, or has ended it, behind the reply after which it is about to leave: nobody may use it
    /// where it goes. Source: RFC 9112 §9.2.
    mutating func spoil(_ connection: ConnectionID) {
        for index in letters.indices {
            guard case .parcel(connection, var parcel) = letters[index].content else { continue }
            parcel.isSpoiled = true
            letters[index] = Letter(to: letters[index].worker, .parcel(connection, parcel))
        }
    }

    func find(_ name: PinName) -> Int? {
        pinsByToken[name.token]?.first { pins[$0].name == name }
    }

    // Taking over.

    /// Asks another worker for the pin of a stream, if one has it. - Returns: whether the stream waits for it.
    mutating func fetchPin(_ stream: Int) -> Bool {
        for endpoint in endpointsForPins(stream) {
            let key = PoolKey(
                endpoint: endpoint,
                route: streams[stream].route,
                localAddress: streams[stream].localAddress
            )
            let name = PinName(token: pinToken, target: portable(key))
            if let other = directory.find(name), other != worker {
                wait(stream, for: name, key, at: other)
                return true
            }
        }
        return false
    }

    /// Has a stream wait for a pin of another worker.
    mutating func wait(_ stream: Int, for name: PinName, _ key: PoolKey, at other: Int) {
        let pin = addPin(name, key, .coming, streams[stream].session)
        pins[pin].queue.append(.stream(stream))
        leaveMember(stream, .notItsFault)
        streams[stream].phase = .queued(pin)
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
        armDeadline(stream)
        send(other, .wanted(name, by: worker))
    }

    private mutating func pinWanted(_ name: PinName, by other: Int) {
        if let pin = find(name) {
            pins[pin].queue.append(.worker(other))
            servePin(pin)
        } else if directory.find(name) == worker {
            // It is on its way here.
            let key = poolKey(of: name.target)
            let pin = addPin(name, key, .coming, nil)
            targets.routes.release(key.route)
            pins[pin].queue.append(.worker(other))
        } else {
            send(other, .gone(name))
        }
    }

    /// Sends a pin that is free to another worker. Those that wait behind it here ask for it there.
    mutating func surrender(_ pin: Int, to other: Int) {
        guard case .idle(let slot) = pins[pin].state else {
            preconditionFailure("\(pins[pin].state) is sent away")
        }
        let parcel = PinParcel(
            name: pins[pin].name,
            room: connections[slot].room,
            connection: parcelled(slot),
            createdAt: pins[pin].createdAt,
            expiresAt: pins[pin].expiresAt,
            uses: pins[pin].uses,
            authentication: pins[pin].authentication
        )
        directory.move(parcel.name, to: other)
        budget.move(parcel.room, from: worker, to: other)
        letters.append(Letter(to: other, .parcel(id(ofConnection: slot), parcel)))
        detach(slot)
        pins[pin].state = .coming
        let queue = pins[pin].queue
        pins[pin].queue.removeAll { waiter in
            if case .worker = waiter { true } else { false }
        }
        let isWanted = !pins[pin].queue.isEmpty
        if !isWanted { removePin(pin) }
        var hasAsked = false
        for waiter in queue {
            switch waiter {
            case .stream:
                if !hasAsked { send(other, .wanted(parcel.name, by: worker)) }
                hasAsked = true
            case .worker(let next): send(other, .wanted(parcel.name, by: next))
            }
        }
        orderLetters()
    }

    /// A pinned connection has come from another worker.
    /// - Returns: its id here, under which the worker has its socket from now on; `nil`: the socket is to be closed.
    package mutating func adopted(_ parcel: PinParcel, now: Instant) -> ConnectionID? {
        self.now = now
        defer { settle() }
        let pin = find(parcel.name) ?? addComing(parcel.name)
        pins[pin].createdAt = parcel.createdAt
        pins[pin].expiresAt = parcel.expiresAt
        pins[pin].uses = parcel.uses
        pins[pin].authentication = parcel.authentication
        if isDraining || parcel.isSpoiled || pins[pin].isReleased {
            effects.append(.giveBack(parcel.room))
            if pins[pin].isReleased {
                directory.remove(parcel.name)
                dissolve(pin)
            } else {
                pins[pin].words = isDraining ? "shutting down" : "the upstream sent more than its reply"
                pinEnded(pin)
            }
            return nil
        }
        let slot = attach(parcel.connection, parcel.room, pins[pin].key)
        connections[slot].pin = pin
        connections[slot].state = .pinned
        pins[pin].state = .idle(connection: slot)
        connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
        let id = id(ofConnection: slot)
        servePin(pin)
        // It was on its way when the others were told.
        if !directory.isPresent(parcel.name.token.owner) { beginGrace(parcel.name.token.owner) }
        return id
    }

    private mutating func addComing(_ name: PinName) -> Int {
        let key = poolKey(of: name.target)
        defer { targets.routes.release(key.route) }
        return addPin(name, key, .coming, nil)
    }

    /// What another worker has to know of a connection.
    func parcelled(_ slot: Int) -> ParcelledConnection {
        ParcelledConnection(
            createdAt: connections[slot].createdAt,
            idleSince: connections[slot].idleSince,
            idleUntil: connections[slot].idleUntil,
            keepAliveSeconds: connections[slot].keepAliveSeconds,
            requests: connections[slot].requests,
            local: connections[slot].local,
            outerFacts: connections[slot].outerFacts,
            innerFacts: connections[slot].innerFacts,
            users: connections[slot].users
        )
    }

    /// A slot for a connection of another worker.
    mutating func attach(_ parcel: ParcelledConnection, _ room: Room, _ key: PoolKey) -> Int {
        let target = targets.make(key)
        let slot = connections.take { Connection(limits: limits) }
        connections[slot].reset(target: target, waiter: 0, limits: limits, now: now)
        targets[target].connections += 1
        // Those who wait for its room were announced to whoever had it then: the next offer tells.
        if room != .anywhere { targets.setWanted(targets[target].endpoint, true) }
        connections[slot].setup = .done
        connections[slot].room = room
        connections[slot].createdAt = parcel.createdAt
        connections[slot].idleSince = parcel.idleSince
        connections[slot].idleUntil = parcel.idleUntil
        connections[slot].keepAliveSeconds = parcel.keepAliveSeconds
        connections[slot].requests = parcel.requests
        connections[slot].local = parcel.local
        connections[slot].outerFacts = parcel.outerFacts
        connections[slot].innerFacts = parcel.innerFacts
        connections[slot].users = parcel.users
        connections[slot].carriesTokens = !parcel.users.isEmpty
        // Nobody has looked at it on its way: what has arrived must not pass for the next reply. Source: RFC 9112 §9.2.
        connections[slot].mayHaveMore = true
        return slot
    }

    /// Frees the slot of a connection that lives on elsewhere, with its room.
    mutating func detach(_ slot: Int) {
        let target = connections[slot].target
        connections[slot].pin = nil
        connections[slot].state = .closed
        connections[slot].inbound.removeAll(keepingAtMost: 0)
        forgetUsers(slot)
        connections.release(slot)
        targets[target].connections -= 1
        targets.removeIfUnused(target)
    }

    // Names.

    /// A pool key that other workers understand.
    func portable(_ key: PoolKey) -> PoolTarget {
        var route = targets.routes.identity(key.route)
        let outer = route.outer.isClear ? nil : targets.routes.settings(route.outer.settings)
        let inner = route.inner.isClear ? nil : targets.routes.settings(route.inner.settings)
        if !route.outer.isClear { route.outer.settings = 0 }
        if !route.inner.isClear { route.inner.settings = 0 }
        return PoolTarget(
            endpoint: key.endpoint,
            localAddress: key.localAddress,
            route: route,
            outerSettings: outer,
            innerSettings: inner
        )
    }

    /// The pool key that another worker means. The caller releases its route.
    mutating func poolKey(of target: PoolTarget) -> PoolKey {
        var route = target.route
        if let settings = target.outerSettings { route.outer.settings = targets.routes.retain(settings) }
        if let settings = target.innerSettings { route.inner.settings = targets.routes.retain(settings) }
        let number = targets.routes.retain(route)
        for hop in [route.outer, route.inner] where !hop.isClear {
            targets.routes.release(settings: hop.settings)
        }
        return PoolKey(endpoint: target.endpoint, route: number, localAddress: target.localAddress)
    }
}
