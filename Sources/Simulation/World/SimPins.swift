// SimPins.swift: the real directory of pins between the workers of a world, and the letters they write each other.
// Owns: pinned connections on their way from worker to worker. Never touches: what the engines decide.
import Engine
import Model

/// The ledger without a lock.
final class SimPins: PinDirectory {
    private(set) var ledger: PinLedger

    init(_ scenario: Scenario) { ledger = PinLedger(scenario.limits, workers: scenario.workerCount) }

    func join(_ proxy: ProxyIdentity?, worker: Int) -> Int { ledger.join(proxy, worker: worker) }
    func leave(_ owner: Int, worker: Int) -> [Int]? { ledger.leave(owner, worker: worker) }
    func isPresent(_ owner: Int) -> Bool { ledger.isPresent(owner) }
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

/// What is in a worker's mailbox.
enum PinMail {
    case news(PinNews)
    /// With the link of its connection.
    case parcel(PinParcel, link: Int)
}

extension SimWorld {
    /// Posts what the active worker's engine has to say to others. Mail of one worker does not overtake.
    func takeLetters() {
        for letter in engine.takeLetters() {
            let mail: PinMail
            switch letter.content {
            case .news(let news):
                if case .gone = news { observe(.pinGone) }
                mail = .news(news)
            case .parcel(let connection, let parcel):
                guard let index = worker.linkOfConnection.removeValue(forKey: connection) else {
                    observe(.effectOutOfTurn(.sendPins, reason: "no such connection is sent"))
                    continue
                }
                worker.live.removeAll { $0 == index }
                links[index].connection = nil
                links[index].worker = letter.worker
                observe(.pinMoved(link: index))
                if sabotages(.losePinParcel) { continue }
                mail = .parcel(parcel, link: index)
            }
            pinMail.append(mail)
            let delay = random.small(upTo: scenario.mailMicrosecondsMax)
            let time = max(pinMailAt[letter.worker, default: now], now.adding(microseconds: delay))
            pinMailAt[letter.worker] = time
            plan(.pinMail(worker: letter.worker, letter: pinMail.count - 1), at: time)
        }
    }

    func deliver(_ letter: Int, to number: Int) {
        active = number
        switch pinMail[letter] {
        case .news(let news): callEngine { $0.told(news, now: $1) }
        case .parcel(let parcel, let index):
            let link = links[index]
            link.isPaused = false
            var id: ConnectionID?
            // Its orders are run when the worker knows the connection.
            worker.isInTurn = true
            id = engine.adopted(parcel, now: now)
            if let id {
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
            planTurn(of: number, at: now.adding(microseconds: 1))
        }
    }
}
