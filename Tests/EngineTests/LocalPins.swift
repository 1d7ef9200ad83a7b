// LocalPins.swift: the directory of pins without threads: the rig's worker is number 0, the test plays the others.
import Engine
import Model

/// A ledger without a lock.
final class LocalPins: PinDirectory {
    var ledger: PinLedger

    init(_ limits: Limits, workers: Int) { ledger = PinLedger(limits, workers: workers) }

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
