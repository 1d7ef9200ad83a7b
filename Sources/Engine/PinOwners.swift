// PinOwners.swift: proxies as the owners of pins: they unpin, go away and come back, and are told.
// Owns: the grace of a proxy without a session, PIN events. Source: proto/outrigger.proto, messages Unpin and PinEvent.
import Frames
import Model

extension WorkerEngine {
    // Proxies.

    /// UNPIN.
    mutating func takeUnpin(_ payload: Span<UInt8>, session: Int) throws(FrameError) {
        let token = PinToken(owner: sessions[session].owner, bytes: try decoder.unpin(payload))
        // Where the proxy has a session a request may be under way that would pin it again.
        let holders = directory.workers(ownerOf: (token.owner, token.bytes))
        for other in Set(holders + directory.workersOfSessions(token.owner)).sorted() where other != worker {
            send(other, .unpinned(owner: token.owner, token: token.bytes))
        }
        releasePins(token)
    }

    mutating func releasePins(_ token: PinToken) {
        for stream in 0..<streams.slotCount
        where streams.isTaken(stream) && streams[stream].pinToken == token.bytes
            && sessions[streams[stream].session].owner == token.owner
        {
            streams[stream].isUnpinned = true
        }
        for pin in pinsByToken[token] ?? [] {
            endLine(pin)
            switch pins[pin].state {
            case .coming: pins[pin].isReleased = true
            case .making(let stream):
                streams[stream].pinToken.removeAll()
                streams[stream].needsFresh = false
                pinUnmade(pin)
            case .idle(let slot):
                directory.remove(pins[pin].name)
                connections[slot].pin = nil
                dissolve(pin)
                notifyClose(slot)
                close(slot)
            case .busy(let slot):
                directory.remove(pins[pin].name)
                connections[slot].pin = nil
                // It is nobody's behind this exchange.
                connections[slot].isSpent = true
                dissolve(pin)
            }
        }
    }

    /// Ends every stream that waits for a pin whose client went away.
    private mutating func endLine(_ pin: Int) {
        for waiter in pins[pin].queue {
            if case .stream(let stream) = waiter {
                streams[stream].phase = .none
                end(stream, EndReport(.pinLost, detail: "the token was unpinned"))
            }
        }
        pins[pin].queue.removeAll { waiter in
            if case .stream = waiter { true } else { false }
        }
    }

    /// A session has said HELLO: its tokens are those of its proxy.
    mutating func joinOwner(_ session: Int, instanceID: [UInt8]) {
        let userID = sessions[session].userID
        let proxy = instanceID.isEmpty ? nil : ProxyIdentity(userID: userID, instanceID: instanceID)
        sessions[session].owner = directory.join(proxy, worker: worker)
    }

    /// A session has ended.
    mutating func leaveOwner(_ session: Int) {
        let owner = sessions[session].owner
        sessions[session].owner = 0
        if owner == 0 { return }
        let canReturn = directory.mayReturn(owner)
        guard let workers = directory.leave(owner, worker: worker) else { return }
        for other in workers where other != worker {
            send(other, .ownerLeft(owner))
        }
        if canReturn {
            beginGrace(owner)
        } else {
            releasePins(ofOwner: owner)
        }
    }

    mutating func beginGrace(_ owner: Int) {
        if limits.pinGraceMilliseconds == 0 || !directory.mayReturn(owner) {
            releasePins(ofOwner: owner)
        } else {
            // One that was begun before the proxy came back ends too soon.
            graces.removeAll { $0.owner == owner }
            graces.append(PinGrace(owner: owner, until: dueIn(limits.pinGraceMilliseconds)))
        }
    }

    /// Ends what proxies have left behind that did not come back.
    mutating func endGraces() {
        while let grace = graces.first, grace.until <= now {
            graces.removeFirst()
            if !directory.isPresent(grace.owner) { releasePins(ofOwner: grace.owner) }
        }
    }

    private mutating func releasePins(ofOwner owner: Int) {
        for pin in 0..<pins.slotCount where pins.isTaken(pin) && pins[pin].name.token.owner == owner {
            releasePins(pins[pin].name.token)
        }
    }

    // Events.

    mutating func tell(_ session: SessionID, about pin: Int, _ change: PinChange, _ words: String) {
        let event = PinEvent(
            token: pins[pin].name.token.bytes,
            change: change,
            detail: words,
            remote: pins[pin].key.endpoint
        )
        let owner = pins[pin].name.token.owner
        if let slot = sessions.find(session.slot, session.generation), sessions[slot].state == .open {
            send(event, to: slot)
        } else {
            send(event, toOwner: owner)
        }
    }

    private mutating func send(_ event: PinEvent, toOwner owner: Int) {
        if let slot = openSession(of: owner) {
            send(event, to: slot)
        } else if let other = directory.workerOfSession(owner, butNot: worker) {
            send(other, .event(owner: owner, event))
        }
    }

    mutating func send(_ event: PinEvent, to session: Int) {
        encoder.pin(event, into: &sessions[session].output[.urgent])
        sessions[session].pinEvents.append((event, sessions[session].output.urgentEnd))
        orderWrite(session: session)
    }

    mutating func forgetWrittenEvents(ofSession session: Int) {
        let written = sessions[session].output.urgentWritten
        sessions[session].pinEvents.removeAll { $0.end <= written }
    }

    /// A session has ended before it was told everything: another one of its proxy is told instead.
    mutating func passOnEvents(ofSession session: Int) {
        if sessions[session].pinEvents.isEmpty { return }
        let events = sessions[session].pinEvents
        sessions[session].pinEvents.removeAll()
        for (event, _) in events { send(event, toOwner: sessions[session].owner) }
    }

    func openSession(of owner: Int) -> Int? {
        (0..<sessions.slotCount).first {
            sessions.isTaken($0) && sessions[$0].owner == owner && sessions[$0].state == .open
        }
    }

    // Listing.

    /// Every pinned connection of this worker.
    package var pinReports: [PinReport] {
        var reports: [PinReport] = []
        for pin in 0..<pins.slotCount where pins.isTaken(pin) {
            let isBusy: Bool
            switch pins[pin].state {
            case .idle: isBusy = false
            case .busy: isBusy = true
            case .making, .coming: continue
            }
            reports.append(
                PinReport(
                    owner: pins[pin].name.token.owner,
                    token: pins[pin].name.token.bytes,
                    endpoint: pins[pin].key.endpoint,
                    route: listed(pins[pin].key.route),
                    isBusy: isBusy,
                    waiting: pins[pin].queue.count,
                    ageMilliseconds: Int(now.microseconds(since: pins[pin].createdAt) / 1000),
                    uses: pins[pin].uses,
                    authentication: pins[pin].authentication
                )
            )
        }
        return reports
    }

    private func listed(_ route: RouteID) -> PinRoute {
        let identity = targets.routes.identity(route)
        let kind: PinRoute.Kind =
            switch identity.kind {
            case .direct, .raw: .direct
            case .peer: .peer
            case .tunnel: .tunnel
            }
        return PinRoute(
            kind: kind,
            isSecure: !identity.outer.isClear || !identity.inner.isClear,
            name: kind == .tunnel ? identity.authority : identity.outer.verifyName
        )
    }
}
