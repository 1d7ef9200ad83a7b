// SharedPins.swift: the directory of pins for workers that are threads: the ledger under a lock.
// Owns: the lock. Never decides: that is PinLedger's. Source: DESIGN "Threads".
//
// One lock, and not one for each shard of tokens: a request whose pin is at hand never sees it, and one that takes a pin
// over from another worker costs far more than a lock.
import Engine
import EventLoop
import Model
import Synchronization

/// Asked by the engines of all workers, each on its thread.
final class SharedPins: PinDirectory, Sendable {
    private let ledger: Guarded<PinLedger>
    /// By worker, and of all; behind the ledger by as much as a request that comes at the same time could be early.
    private let counts: [Count]
    private let total = Atomic<Int>(0)

    private final class Count: Sendable {
        let pins = Atomic<Int>(0)
    }

    init(_ limits: Limits, workers: Int) {
        ledger = Guarded(PinLedger(limits, workers: workers))
        counts = (0..<workers).map { _ in Count() }
    }

    func join(_ proxy: ProxyIdentity?, worker: Int) -> Int {
        ledger.withLock { $0.join(proxy, worker: worker) }
    }

    func leave(_ owner: Int, worker: Int) -> [Int]? { ledger.withLock { $0.leave(owner, worker: worker) } }

    func isPresent(_ owner: Int) -> Bool { ledger.withLock { $0.isPresent(owner) } }

    func mayReturn(_ owner: Int) -> Bool { ledger.withLock { $0.mayReturn(owner) } }

    func workerOfSession(_ owner: Int, butNot worker: Int) -> Int? {
        ledger.withLock { $0.workerOfSession(owner, butNot: worker) }
    }

    func workersOfSessions(_ owner: Int) -> [Int] { ledger.withLock { $0.workersOfSessions(owner) } }

    func register(_ name: PinName, worker: Int) -> PinRegistration {
        changing { $0.register(name, worker: worker) }
    }

    func rename(_ name: PinName, to new: PinName, worker: Int) -> Bool {
        changing { $0.rename(name, to: new, worker: worker) }
    }

    func find(_ name: PinName) -> Int? { ledger.withLock { $0.find(name) } }

    func workers(ownerOf token: (owner: Int, bytes: [UInt8])) -> [Int] {
        ledger.withLock { $0.workers(ownerOf: token) }
    }

    func move(_ name: PinName, to worker: Int) { changing { $0.move(name, to: worker) } }

    func remove(_ name: PinName) { changing { $0.remove(name) } }

    func hasPinsElsewhere(than worker: Int) -> Bool {
        total.load(ordering: .acquiring) > counts[worker].pins.load(ordering: .acquiring)
    }

    private func changing<Result: Sendable>(_ change: (inout PinLedger) -> Result) -> Result {
        ledger.withLock { ledger in
            let result = change(&ledger)
            for (count, pins) in zip(counts, ledger.pinsByWorker) {
                count.pins.store(pins, ordering: .releasing)
            }
            total.store(ledger.pinCount, ordering: .releasing)
            return result
        }
    }
}
