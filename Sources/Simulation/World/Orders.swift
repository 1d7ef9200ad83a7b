// Orders.swift: takes the engine's orders, checks their turn, and runs them.
// The turn of an order is judged when the engine gives it; it is run then or at the end of the worker's turn.
import Engine
import Model

extension SimWorld {
    /// Moves new orders to the queue and notes at once what they make true.
    func takeEffects() {
        worker.taken.removeAll(keepingCapacity: true)
        engine.takeEffects(into: &worker.taken)
        for effect in worker.taken {
            observe(.effect(effect))
            if let reason = fault(of: effect) {
                observe(.effectOutOfTurn(effect, reason: reason))
                continue
            }
            switch effect {
            case .closeConnection(let connection):
                if let link = link(of: connection) { link.isCloseOrdered = true }
                if sabotages(.repeatOrder), let reason = fault(of: effect) {
                    observe(.effectOutOfTurn(effect, reason: reason))
                }
            case .closeSession(let session):
                if let link = worker.linkOfSession[session] { links[link].isCloseOrdered = true }
            case .dial(let connection): dial(connection)
            case .writeConnection(let connection, _):
                if let link = link(of: connection) { record.noteWriteOrder(link.id) }
            case .writeSession, .pauseReading, .resumeReading, .shutdownWriting, .startTLS, .notifyClose,
                .giveBack,
                .handOver, .stepSecurity, .dropSecurity:
                break
            case .sendLetters(let count): takeLetters(count)
            }
            worker.waiting.append(effect)
        }
        worker.taken.removeAll(keepingCapacity: true)
        takeNews()
    }

    /// Notes which wishes were met, and posts what budget and ledgers have to say to workers.
    func takeNews() {
        for wish in budget.met { observe(.wishMet(wish)) }
        budget.met.removeAll(keepingCapacity: true)
        for (number, news) in budget.news {
            let delay = random.small(upTo: scenario.mailMicrosecondsMax)
            plan(.mail(worker: number, news), at: now.adding(microseconds: delay))
        }
        budget.news.removeAll(keepingCapacity: true)
        for news in health.news {
            observe(.newsPublished(news))
            planRecovery(news)
            for number in workers.indices {
                // Mail of one worker does not overtake.
                let delay = random.small(upTo: scenario.mailMicrosecondsMax)
                let time = max(health.mailAt[number], now.adding(microseconds: delay))
                health.mailAt[number] = time
                plan(.groupMail(worker: number, news), at: time)
            }
        }
        health.news.removeAll(keepingCapacity: true)
    }

    private func link(of connection: ConnectionID) -> Link? {
        worker.linkOfConnection[connection].map { links[$0] }
    }

    /// Why an order comes out of turn; `nil`: it does not.
    private func fault(of effect: Effect) -> String? {
        switch effect {
        case .dial(let connection):
            if worker.linkOfConnection[connection] != nil { return "dial under an id that was used" }
            let isInUse = worker.live.contains {
                links[$0].connection?.slot == connection.slot && !links[$0].isCloseOrdered
                    && links[$0].workerSide != .over
            }
            return isInUse ? "dial into a slot in use" : nil
        case .writeConnection(let connection, _), .pauseReading(let connection),
            .resumeReading(let connection), .shutdownWriting(let connection), .startTLS(let connection, _),
            .notifyClose(let connection):
            guard let link = link(of: connection) else { return "no such connection" }
            if link.isCloseOrdered { return "the connection was ordered closed" }
            if case .dialing = link.workerSide { return "the connection is not established" }
            if link.workerSide == .over { return "the connection is dead" }
            if link.handshake != nil && !isAllowedInHandshake(effect) { return "a handshake is under way" }
            if case .writeConnection = effect, link.fromEngine.isFinished { return "FIN is written" }
            if case .shutdownWriting = effect, outputCount(of: connection) > 0 {
                return "output is left to write"
            }
            return nil
        case .closeConnection(let connection):
            guard let link = link(of: connection) else { return "no such connection" }
            if link.isCloseOrdered { return "ordered closed twice" }
            return link.workerSide == .over ? "the connection is dead" : nil
        case .giveBack, .handOver, .sendLetters:
            return nil
        case .stepSecurity, .dropSecurity: return "no mechanism was offered"
        case .writeSession(let session), .closeSession(let session):
            guard let id = worker.linkOfSession[session] else { return "no such session" }
            if links[id].isCloseOrdered { return "the session was ordered closed" }
            return links[id].workerSide == .over ? "the session is dead" : nil
        }
    }

    private func isAllowedInHandshake(_ effect: Effect) -> Bool {
        switch effect {
        case .writeConnection, .startTLS, .shutdownWriting: false
        case .dial, .writeSession, .pauseReading, .resumeReading, .notifyClose, .closeConnection,
            .closeSession, .giveBack, .handOver, .sendLetters, .stepSecurity, .dropSecurity:
            true
        }
    }

    /// Runs what is waiting; orders that come of it are run behind it.
    func runEffects() {
        guard !worker.isRunning else { return }
        worker.isRunning = true
        var place = 0
        while place < worker.waiting.count {
            run(worker.waiting[place])
            place += 1
        }
        worker.waiting.removeAll(keepingCapacity: true)
        worker.isRunning = false
    }

    private func run(_ effect: Effect) {
        switch effect {
        case .dial, .notifyClose, .sendLetters, .stepSecurity, .dropSecurity: break
        case .startTLS(let connection, let hop):
            guard let link = link(of: connection), link.isOpenAtWorker else { return }
            startTLS(link, connection, hop)
        case .writeConnection(let connection, let probeFirst):
            guard let link = link(of: connection), link.isOpenAtWorker else { return }
            link.wantsWrite = true
            link.probesFirst = link.probesFirst || probeFirst
            writeConnection(link, connection)
        case .pauseReading(let connection): link(of: connection)?.isPaused = true
        case .resumeReading(let connection): link(of: connection)?.isPaused = false
        case .shutdownWriting(let connection):
            guard let link = link(of: connection), link.isOpenAtWorker else { return }
            send(.finish, on: link, towardsEngine: false)
        case .closeConnection(let connection):
            guard let link = link(of: connection), link.workerSide != .over else { return }
            if link.workerSide == .open { observe(.connectionClosed(link: link.id)) }
            if sabotages(.keepUnpinned, when: { self.record.isReleased(link.id) }) { return }
            if !sabotages(.leakConnection) { closeAtWorker(link) }
        case .giveBack(let room):
            budget.giveBack(room, by: active)
            takeNews()
        case .handOver(let room, let heir):
            budget.handOver(room, to: heir, by: active)
            takeNews()
        case .writeSession(let session):
            guard let id = worker.linkOfSession[session], links[id].isOpenAtWorker else { return }
            links[id].wantsWrite = true
            writeSession(links[id], session)
        case .closeSession(let session):
            guard let id = worker.linkOfSession[session], links[id].workerSide == .open else { return }
            writeOnce(links[id], session, isReported: scenario.reportsLastWrites)
            loseSession(links[id], session, byEngine: true)
        }
    }

    // Dialing.

    private func dial(_ connection: ConnectionID) {
        // Without an address it is closed again by an order behind this one.
        let address = engine.address(of: connection)
        let known = scenario.endpoints.firstIndex { $0.endpoint == address?.endpoint }
        if address != nil && known == nil && !scenario.hasHostileProxy {
            observe(.effectOutOfTurn(.closeConnection(connection), reason: "dial to nowhere"))
        }
        let index = known ?? 0
        var manner = known.map { self.manner(of: $0) } ?? .refuses
        if address == nil { manner = .blackHole }
        if manner == .unsteady { manner = random.pick([.serves, .refuses, .unreachable, .blackHole, .slow]) }
        let answer: DialResult =
            switch manner {
            case .serves, .slow, .blackHole, .unsteady:
                .connected(local: address.flatMap { localEndpoint(for: $0.endpoint) })
            case .refuses: .failed(.refused)
            case .unreachable: .failed(random.pick([.unreachable, .failed, .timeout]))
            }
        let link = addLink(.upstream(index), workerSide: .dialing(answer: answer, isDue: false))
        link.connection = connection
        worker.linkOfConnection[connection] = link.id
        worker.live.append(link.id)
        if let address {
            link.isCounted = true
            record.links[link.id].way.localAddress = address.local
            observe(.socketOpened(link: link.id, address.endpoint))
        }
        guard manner != .blackHole else { return }
        let wait = manner == .slow ? random.between(100_000, 4_000_000) : randomDelay()
        plan(.dialAnswer(link: link.id), at: now.adding(microseconds: wait))
    }

    private func localEndpoint(for endpoint: Endpoint) -> Endpoint? {
        switch endpoint {
        case .ip: .ip(.v4(0x0A00_00FE), port: UInt16(30_000 + links.count % 30_000))
        case .unix: nil
        }
    }
}
