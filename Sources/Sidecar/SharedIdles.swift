// SharedIdles.swift: how many idle connections each worker has, for workers that are threads. Owns: the numbers.
// Source: DESIGN "Threads"; Engine/IdleDirectory.swift.
//
// No lock and no atomic addition: a worker alone changes its own numbers, with plain loads and stores, and what the others
// see may be a moment old.
import Engine
import Synchronization

/// Asked by the engines of all workers, each on its thread.
final class SharedIdles: IdleDirectory, Sendable {
    private final class Counts: Sendable {
        let byBucket = InlineArray<256, Atomic<Int32>> { _ in Atomic(0) }
    }

    private let workers: [Counts]

    init(workers: Int) { self.workers = (0..<workers).map { _ in Counts() } }

    func add(_ change: Int32, bucket: Int, worker: Int) {
        let counts = workers[worker]
        let count = counts.byBucket[bucket].load(ordering: .relaxed)
        counts.byBucket[bucket].store(count &+ change, ordering: .relaxed)
    }

    func find(bucket: Int, behind worker: Int, distance: Int) -> (worker: Int, distance: Int)? {
        for distance in max(distance, 1)..<max(workers.count, distance, 1) {
            let other = (worker + distance) % workers.count
            if workers[other].byBucket[bucket].load(ordering: .relaxed) > 0 { return (other, distance) }
        }
        return nil
    }
}
