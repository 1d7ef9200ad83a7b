// SimPins.swift: the real directory of pins between the workers of a world, and the letters they write each other.
// Owns: pinned connections on their way from worker to worker. Never touches: what the engines decide.
import Engine
import Model

/// The ledger without a lock.
final class SimPins: PinDirectory {
    private(set) var ledger: PinLedger

    private let sabotage: Sabotage?

    init(_ scenario: Scenario, _ sabotage: Sabotage?) {
        ledger = PinLedger(scenario.limits, workers: scenario.workerCount)
        self.sabotage = sabotage
    }

    func join(_ proxy: ProxyIdentity?, worker: Int) -> Int { ledger.join(proxy, worker: worker) }
    func leave(_ owner: Int, worker: Int) -> [Int]? { ledger.leave(owner, worker: worker) }
    func isPresent(_ owner: Int) -> Bool {
        switch sabotage {
        case .endlessGrace: true
        case .deafGrace: false
        default: ledger.isPresent(owner)
        }
    }
    func mayReturn(_ owner: Int) -> Bool { ledger.mayReturn(owner) }
    func workerOfSession(_ owner: Int, butNot worker: Int) -> Int? {
        ledger.workerOfSession(owner, butNot: worker)
    }

    func workersOfSessions(_ owner: Int) -> [Int] { ledger.workersOfSessions(owner) }

    func register(_ name: PinName, worker: Int) -> PinRegistration { ledger.register(name, worker: worker) }

    func rename(_ name: PinName, to new: PinName, worker: Int) -> Bool {
        ledger.rename(name, to: new, worker: worker)
    }

    func find(_ name: PinName) -> Int? { ledger.find(name) }

    func workers(ownerOf token: (owner: Int, bytes: [UInt8])) -> [Int] { ledger.workers(ownerOf: token) }

    func move(_ name: PinName, to worker: Int) { ledger.move(name, to: worker) }
    func remove(_ name: PinName) { ledger.remove(name) }

    func hasPinsElsewhere(than worker: Int) -> Bool { ledger.pinCount > ledger.pinsByWorker[worker] }
}

/// The numbers without atomics; what others see is never behind.
final class SimIdles: IdleDirectory {
    private var counts: [[Int32]]

    init(_ scenario: Scenario) {
        let none = [Int32](repeating: 0, count: IdleBuckets.count)
        counts = Array(repeating: none, count: scenario.workerCount)
    }

    func add(_ change: Int32, bucket: Int, worker: Int) { counts[worker][bucket] += change }

    func find(bucket: Int, behind worker: Int, distance: Int) -> (worker: Int, distance: Int)? {
        for distance in counts.indices.dropFirst(max(distance, 1)) {
            let other = (worker + distance) % counts.count
            if counts[other][bucket] > 0 { return (other, distance) }
        }
        return nil
    }
}

/// What is in a worker's mailbox.
enum WorkerMail {
    case news(PinNews)
    case idle(IdleNews)
    /// With the link of its connection.
    case parcel(PinParcel, link: Int)
    case idleParcel(IdleParcel, link: Int)
}

extension SimWorld {
    /// Posts what the active worker's engine has to say to others. Mail of one worker does not overtake.
    func takeLetters(_ count: Int) {
        for letter in engine.takeLetters(count) {
            let mail: WorkerMail
            switch letter.content {
            case .news(let news):
                if case .gone = news { observe(.pinGone) }
                mail = .news(news)
            case .idle(let news): mail = .idle(news)
            case .parcel(let connection, let parcel):
                guard let index = takeOut(connection, for: letter.worker) else { continue }
                observe(.pinMoved(link: index))
                if sabotages(.losePinParcel) { continue }
                mail = .parcel(parcel, link: index)
            case .idleParcel(let connection, let parcel):
                guard let index = takeOut(connection, for: letter.worker) else { continue }
                observe(.idleMoved(link: index))
                if sabotages(.loseIdleParcel) { continue }
                mail = .idleParcel(parcel, link: index)
            }
            workerMail.append(mail)
            let delay = random.small(upTo: scenario.mailMicrosecondsMax)
            let time = max(workerMailAt[letter.worker, default: now], now.adding(microseconds: delay))
            workerMailAt[letter.worker] = time
            plan(.workerMail(worker: letter.worker, letter: workerMail.count - 1), at: time)
        }
    }

    /// Takes a connection out of everything of the active worker. - Returns: its link.
    private func takeOut(_ connection: ConnectionID, for other: Int) -> Int? {
        guard let index = worker.linkOfConnection.removeValue(forKey: connection) else {
            observe(.effectOutOfTurn(.sendLetters(1), reason: "no such connection is sent"))
            return nil
        }
        worker.live.removeAll { $0 == index }
        links[index].connection = nil
        links[index].worker = other
        return index
    }

    func deliver(_ letter: Int, to number: Int) {
        active = number
        switch workerMail[letter] {
        case .news(let news):
            if case .unpinned = news, sabotage == .muffleUnpin { return }
            callEngine { $0.told(news, now: $1) }
        case .idle(let news): callEngine { $0.told(news, now: $1) }
        case .parcel(let parcel, let index): adopt(index) { $0.adopted(parcel, now: $1) }
        case .idleParcel(let parcel, let index): adopt(index) { $0.adopted(parcel, now: $1) }
        }
    }

    /// The connection of a parcel becomes the active worker's.
    private func adopt(_ index: Int, _ tell: (inout WorkerEngine, Instant) -> ConnectionID?) {
        let link = links[index]
        link.isPaused = false
        // Its orders are run when the worker knows the connection.
        worker.isInTurn = true
        if let id = tell(&engine, now) {
            link.connection = id
            worker.linkOfConnection[id] = index
            worker.live.append(index)
        } else {
            observe(.connectionClosed(link: index))
            closeAtWorker(link)
        }
        worker.isInTurn = false
        takeEffects()
        runEffects()
        planTurn(of: active, at: now.adding(microseconds: 1))
    }
}
