// SharedWindows.swift: windows of sessions for workers that are threads: the ledger under a lock.
// Owns: the lock, and until when it may matter. Never decides: that is WindowLedger's. Source: DESIGN "Threads".
//
// The lock is taken some hundred times a second for each destination where a session has many requests under way; while
// none has, nobody sees it.
import Engine
import EventLoop
import Model
import Synchronization

/// Asked by the engines of all workers, each on its thread.
final class SharedWindows: WindowDirectory, Sendable {
    private let ledger: Guarded<WindowLedger>
    /// Until when somebody has shares, as far as is known, nanoseconds of the clock.
    private let askedUntil = Atomic<Int64>(.min)

    /// By worker, which alone writes to it.
    private let others: [Others]

    /// When a worker has noted others last, by bucket, nanoseconds of the clock.
    private final class Others: Sendable {
        let notedAt = InlineArray<256, Atomic<Int64>> { _ in Atomic(.min) }
    }

    init(_ limits: Limits, workers: Int) {
        others = (0..<workers).map { _ in Others() }
        ledger = Guarded(WindowLedger(requestsMin: limits.sessionWindowMin, workers: workers))
    }

    func isAsked(now: Instant) -> Bool { askedUntil.load(ordering: .relaxed) > now.nanoseconds }

    func noteOthers(bucket: Int, by worker: Int, now: Instant) {
        others[worker].notedAt[bucket].store(now.nanoseconds, ordering: .relaxed)
    }

    func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if report.hasShares {
            // That of another worker may be a little later: then it is told again soon.
            let until = now.adding(milliseconds: WindowLedger.silenceMilliseconds)
            askedUntil.store(until.nanoseconds, ordering: .relaxed)
        }
        return ledger.withLock {
            $0.exchange(destination, report, by: worker, now: now) { other in
                Instant(nanoseconds: others[other].notedAt[destination.bucket].load(ordering: .relaxed))
            }
        }
    }
}
