// Pins.swift: requests with a client's token: their pinned connection, a place in its line, a new pin, or an end.
// Owns: who gets a pinned connection: its token and nobody else, one stream at a time.
// Source: DESIGN "Pins are exclusive"; proto/outrigger.proto, message Pin.
import Authentication
import HTTP1
import Model

extension WorkerEngine {
    // Requests.

    /// Finds a connection for a stream: its pin where it has a token, else any.
    mutating func dispatch(_ stream: Int, freshOnly: Bool = false) {
        if streams[stream].group >= 0 { return dispatchErrand(stream, freshOnly: freshOnly) }
        if !streams[stream].pinToken.isEmpty && usePin(stream) { return }
        if isHeldBack(stream) { return }
        acquire(stream, freshOnly: freshOnly || streams[stream].needsFresh)
    }

    /// - Returns: whether the stream is served, waits or has ended; else it takes any connection.
    mutating func usePin(_ stream: Int) -> Bool {
        if let own = streams[stream].pin, pins[own].state == .making(stream: stream) { return false }
        if streams[stream].isUnpinned {
            end(stream, EndReport(.pinLost, detail: "the token was unpinned"))
            return true
        }
        pinToken.owner = sessions[streams[stream].session].owner
        pinToken.bytes = streams[stream].pinToken
        // Shared any longer, the stream's array would be copied when it is emptied.
        defer { pinToken.bytes = [] }
        var hasPins = false
        for pin in pinsByToken[pinToken] ?? [] {
            hasPins = true
            if !isTarget(pins[pin].key, of: stream) { continue }
            // It comes only to be closed: who would take another connection waits until that one's name is free.
            if pins[pin].isReleased && streams[stream].pinMode == .require {
                end(stream, EndReport(.pinLost, detail: "the token is being unpinned"))
            } else {
                line(up: stream, for: pin)
            }
            return true
        }
        if directory.hasPinsElsewhere(than: worker) {
            if fetchPin(stream) { return true }
            hasPins = hasPins || !directory.workers(ownerOf: (pinToken.owner, pinToken.bytes)).isEmpty
        }
        switch streams[stream].pinMode {
        case .auto: return false
        case .require:
            if hasPins {
                end(stream, EndReport(.pinMismatch, detail: "the token is pinned to another target"))
            } else {
                end(stream, EndReport(.pinLost, detail: "the token has no pinned connection"))
            }
            return true
        case .prefer, .make:
            if streams[stream].group >= 0 && !chooseForPin(stream) { return true }
            return beginPin(stream)
        }
    }

    /// Whether a pool key is one of those that would do for a stream.
    private func isTarget(_ key: PoolKey, of stream: Int) -> Bool {
        key.route == streams[stream].route && key.localAddress == streams[stream].localAddress
            && (streams[stream].endpoints.contains(key.endpoint)
                || member(at: key.endpoint, of: stream) != nil)
    }

    /// Serves the stream when its pin is free, else has it wait.
    private mutating func line(up stream: Int, for pin: Int) {
        if pins[pin].isIdle {
            if !serve(pin, stream) { servePin(pin) }
            return
        }
        var waiting = 0
        for case .stream in pins[pin].queue { waiting += 1 }
        if waiting >= limits.pinQueueLengthMax {
            let detail = "more than \(limits.pinQueueLengthMax) requests wait for the pinned connection"
            end(stream, EndReport(.pinBusy, detail: detail))
            return
        }
        pins[pin].queue.append(.stream(stream))
        streams[stream].phase = .queued(pin)
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
        armDeadline(stream)
    }

    /// - Returns: whether it serves the stream; else that has ended, and the pin is free.
    private mutating func serve(_ pin: Int, _ stream: Int) -> Bool {
        guard case .idle(let slot) = pins[pin].state else { preconditionFailure("\(pins[pin].state) serves") }
        if isOfOther(slot, stream) {
            end(
                stream,
                EndReport(.pinMismatch, detail: "the pinned connection is authenticated as another user")
            )
            return false
        }
        pins[pin].state = .busy(connection: slot)
        pins[pin].uses += 1
        pins[pin].session = id(ofSession: streams[stream].session)
        precondition(
            pins[pin].name.token.bytes == streams[stream].pinToken
                && pins[pin].name.token.owner == sessions[streams[stream].session].owner,
            "a pinned connection for another token"
        )
        let endpoint = pins[pin].key.endpoint
        if streams[stream].group >= 0 { beginPinned(stream, endpoint) }
        guard let index = streams[stream].endpoints.firstIndex(of: endpoint) else {
            preconditionFailure("a pinned connection for another target")
        }
        assign(slot, to: stream, index, .reused)
        return true
    }

    /// Serves whoever waits longest for a pin that is free. In a loop: as many may have to be told that it is another's as
    /// wait.
    mutating func servePin(_ pin: Int) {
        while pins[pin].isIdle, let first = pins[pin].queue.first {
            pins[pin].queue.removeFirst()
            switch first {
            case .stream(let stream):
                streams[stream].queueUntil = .never
                if serve(pin, stream) { return }
            case .worker(let worker): return surrender(pin, to: worker)
            }
        }
    }

    // Making.

    /// Registers a pin for the stream's first endpoint, so that others with its token wait for it. - Returns: whether the
    /// stream has ended or waits; else it goes for a connection.
    private mutating func beginPin(_ stream: Int) -> Bool {
        let key = poolKey(stream, 0)
        let name = PinName(token: pinToken, target: portable(key))
        switch directory.register(name, worker: worker) {
        case .refused(let words):
            end(stream, EndReport(.overloaded, detail: words))
            return true
        case .elsewhere(let other):
            wait(stream, for: name, key, at: other)
            return true
        case .made:
            let pin = addPin(name, key, .making(stream: stream), streams[stream].session)
            streams[stream].pin = pin
            streams[stream].needsFresh = streams[stream].pinMode == .prefer
            return false
        }
    }

    mutating func addPin(_ name: PinName, _ key: PoolKey, _ state: PinState, _ session: Int?) -> Int {
        let fresh = Pin(
            name: name,
            key: key,
            state: state,
            session: session.map { id(ofSession: $0) } ?? SessionID(slot: .max, generation: 0),
            createdAt: now,
            expiresAt: dueIn(limits.pinAgeMilliseconds)
        )
        let pin = pins.take { fresh }
        pins[pin] = fresh
        targets.routes.retain(key.route)
        pinsByToken[name.token, default: []].append(pin)
        return pin
    }

    /// Forgets a pin of which nothing is left here.
    mutating func removePin(_ pin: Int) {
        let token = pins[pin].name.token
        pinsByToken[token]?.removeAll { $0 == pin }
        if pinsByToken[token]?.isEmpty == true { pinsByToken[token] = nil }
        targets.routes.release(pins[pin].key.route)
        pins[pin].queue.removeAll(keepingCapacity: true)
        pins.release(pin)
    }

    // Replies.

    /// The head of a final reply has come: pins the connection where the request or the reply asks for that.
    mutating func bind(_ slot: Int, _ stream: Int, _ bytes: Span<UInt8>) {
        let isChallenge = head.status == 401 || head.status == 407
        let isPlain = streams[stream].pinToken.isEmpty && !streams[stream].encoded.hasCredentials
        let isFree = connections[slot].pin == nil && !connections[slot].carriesTokens
        if isPlain && !isChallenge && isFree { return }
        let isBinding = binds(slot, stream, bytes, isChallenge: isChallenge)
        connections[slot].isBinding = isBinding
        if let pin = connections[slot].pin {
            noteStep(pin, stream, isChallenge: isChallenge && isBinding)
        } else if streams[stream].gate == .shut {
            bindPeer(slot, stream, isBinding: isBinding, isChallenge: isChallenge)
        } else if let pin = streams[stream].pin {
            finishPin(pin, slot, stream)
            if let pin = connections[slot].pin {
                noteStep(pin, stream, isChallenge: isChallenge && isBinding)
            }
        } else if isBinding {
            pinOrSpend(slot, stream)
            if let pin = connections[slot].pin { noteStep(pin, stream, isChallenge: isChallenge) }
        }
    }

    /// A peer has refused a tunnel: the connection is one to the peer now, and no tunnel for the token. Where its client is in the
    /// middle of an authentication it goes on there with a CONNECT of its own. Source: RFC 4559 §6.
    private mutating func bindPeer(_ slot: Int, _ stream: Int, isBinding: Bool, isChallenge: Bool) {
        if !isBinding && !targets.routes.bindsPeer(streams[stream].route) { return }
        // What was tried in our own name is nobody else's to go on with.
        if !isBinding || !isChallenge || connections[slot].carriesTokens {
            connections[slot].isSpent = true
            return
        }
        pinOrSpend(slot, stream)
        if let pin = connections[slot].pin { noteStep(pin, stream, isChallenge: true) }
    }

    private mutating func noteStep(_ pin: Int, _ stream: Int, isChallenge: Bool) {
        if isChallenge {
            pins[pin].authentication = streams[stream].hasBindingCredentials ? .underWay : .challenged
        } else if streams[stream].hasBindingCredentials {
            pins[pin].authentication = .established
        }
    }

    /// Whether an exchange makes its connection one client's. Source: RFC 4559 §6.
    private func binds(_ slot: Int, _ stream: Int, _ bytes: Span<UInt8>, isChallenge: Bool) -> Bool {
        // Behind a gate that was shut nothing of the request's own was sent.
        let isSent = streams[stream].gate != .shut
        var isBinding = isSent && streams[stream].hasBindingCredentials || connections[slot].carriesTokens
        for field in head.fields {
            switch field.name.count {
            case 16
            where isChallenge && bytes.extracting(field.name).isEqual(ignoringCase: "www-authenticate"),
                18
            where isChallenge && bytes.extracting(field.name).isEqual(ignoringCase: "proxy-authenticate"):
                if ConnectionBound.isConnectionBound(fieldValue: bytes.extracting(field.value)) {
                    return true
                }
            case 15 where bytes.extracting(field.name).isEqual(ignoringCase: "persistent-auth"):
                if ConnectionBound.persistentAuth(fieldValue: bytes.extracting(field.value)) == true {
                    isBinding = true
                }
            default: continue
            }
        }
        return isBinding
    }

    /// Makes the connection that serves the stream its pin.
    private mutating func finishPin(_ pin: Int, _ slot: Int, _ stream: Int) {
        let key = targets[connections[slot].target].key
        if key != pins[pin].key {
            let name = PinName(token: pins[pin].name.token, target: portable(key))
            if !directory.rename(pins[pin].name, to: name, worker: worker) {
                // The token has another connection to where this one goes.
                connections[slot].isSpent = true
                pinUnmade(pin)
                return
            }
            targets.routes.retain(key.route)
            targets.routes.release(pins[pin].key.route)
            let (line, old) = (pins[pin].queue, pins[pin].name)
            pins[pin].name = name
            pins[pin].key = key
            // They stand here for the endpoint that it did not come to.
            pins[pin].queue = line.filter { staysInLine($0, for: key) }
            for waiter in line where !staysInLine(waiter, for: key) { sendAway(waiter, from: old) }
            orderLetters()
        }
        pins[pin].state = .busy(connection: slot)
        madePin(pin, slot, stream)
    }

    private func staysInLine(_ waiter: PinWaiter, for key: PoolKey) -> Bool {
        switch waiter {
        case .stream(let stream): isTarget(key, of: stream)
        case .worker: false
        }
    }

    private mutating func madePin(_ pin: Int, _ slot: Int, _ stream: Int) {
        pins[pin].createdAt = now
        pins[pin].expiresAt = dueIn(limits.pinAgeMilliseconds)
        pins[pin].uses = 1
        connections[slot].pin = pin
        streams[stream].pin = nil
        tell(pins[pin].session, about: pin, .made, "")
    }

    /// A connection that has become one client's: its token's, or nobody's after this exchange.
    private mutating func pinOrSpend(_ slot: Int, _ stream: Int) {
        if connections[slot].isSpent { return }
        connections[slot].isSpent = true
        if streams[stream].pinToken.isEmpty || streams[stream].isUnpinned { return }
        let key = targets[connections[slot].target].key
        let owner = sessions[streams[stream].session].owner
        let token = PinToken(owner: owner, bytes: streams[stream].pinToken)
        let name = PinName(token: token, target: portable(key))
        switch directory.register(name, worker: worker) {
        case .made:
            connections[slot].isSpent = false
            let pin = addPin(name, key, .busy(connection: slot), streams[stream].session)
            madePin(pin, slot, stream)
        case .refused(let words): streams[stream].authenticationWords = words
        case .elsewhere:
            streams[stream].authenticationWords = "the token has another connection to this target"
        }
    }

    // Connections.

    /// A pinned connection has done its exchange, or was given back unused.
    mutating func freePin(_ slot: Int) {
        guard let pin = connections[slot].pin else { preconditionFailure("no pin") }
        if isDraining { return endPin(slot, .lost, "shutting down") }
        if pins[pin].expiresAt <= now { return endPin(slot, .expired, Self.ageWords) }
        connections[slot].state = .pinned
        pins[pin].state = .idle(connection: slot)
        let idle = connections[slot].idleMilliseconds(atMost: limits.pinIdleMilliseconds)
        connections[slot].idleUntil = min(now.adding(milliseconds: idle), pins[pin].expiresAt)
        connectionDeadlines.arm(slot, at: connections[slot].idleUntil)
        servePin(pin)
    }

    private static let ageWords = "the end of its absolute lifetime"

    /// The idle time or the age of a pin that serves nobody is over.
    mutating func pinDue(_ slot: Int) {
        guard let pin = connections[slot].pin else { preconditionFailure("no pin") }
        endPin(slot, .expired, pins[pin].expiresAt <= now ? Self.ageWords : "not used for too long")
    }

    /// Closes a pinned connection that serves nobody.
    mutating func endPin(_ slot: Int, _ change: PinChange, _ words: String) {
        setEnding(slot, change, words)
        if connections[slot].state == .pinned { notifyClose(slot) }
        close(slot)
    }

    mutating func setEnding(_ slot: Int, _ change: PinChange, _ words: String) {
        guard let pin = connections[slot].pin else { preconditionFailure("no pin") }
        pins[pin].ending = change
        pins[pin].words = words
    }

    /// The connection of a pin is gone.
    mutating func pinEnded(_ pin: Int) {
        directory.remove(pins[pin].name)
        tell(pins[pin].session, about: pin, pins[pin].ending, pins[pin].words)
        dissolve(pin)
    }

    /// A pin that was never made.
    mutating func pinUnmade(_ pin: Int) {
        if case .making(let stream) = pins[pin].state { streams[stream].pin = nil }
        directory.remove(pins[pin].name)
        dissolve(pin)
    }

    /// Those that waited look for another way when this call of the engine ends, in their order.
    mutating func dissolve(_ pin: Int) {
        let queue = pins[pin].queue
        let name = pins[pin].name
        removePin(pin)
        for waiter in queue { sendAway(waiter, from: name) }
        orderLetters()
    }

    /// The pin that somebody waits for is not to be had here.
    private mutating func sendAway(_ waiter: PinWaiter, from name: PinName) {
        switch waiter {
        case .stream(let stream):
            streams[stream].phase = .waiting
            pinOrphans.append(stream)
        case .worker(let other): letters.append(Letter(to: other, .news(.gone(name))))
        }
    }

    /// Sends those on their way whose pin is gone.
    mutating func dispatchOrphans() {
        while !pinOrphans.isEmpty {
            let stream = pinOrphans.removeFirst()
            // It may have ended since.
            if streams.isTaken(stream) && streams[stream].phase == .waiting && streams[stream].waiters.isEmpty
            {
                dispatch(stream)
            }
        }
    }

    /// Takes a stream out of the line.
    mutating func leaveLine(_ stream: Int, of pin: Int) {
        pins[pin].queue.removeAll { $0 == .stream(stream) }
    }

    /// What a stream that ends leaves of a pin that it was to make.
    mutating func leavePin(_ stream: Int) {
        guard let pin = streams[stream].pin else { return }
        streams[stream].pin = nil
        if pins[pin].state == .making(stream: stream) { pinUnmade(pin) }
    }
}
