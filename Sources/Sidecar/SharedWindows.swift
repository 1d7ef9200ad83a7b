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
    /// Until when the least window is full somewhere, as far as is known, nanoseconds of the clock.
    private let askedUntil = Atomic<Int64>(.min)

    /// By worker, which alone writes to it.
    private let notes: [Notes]

    /// Notes by place.
    private final class Notes: Sendable {
        let words = InlineArray<1024, Atomic<UInt64>> { _ in Atomic(0) }
    }

    init(_ limits: Limits, workers: Int) {
        notes = (0..<workers).map { _ in Notes() }
        ledger = Guarded(WindowLedger(requestsMin: limits.sessionWindowMin, workers: workers))
    }

    func isAsked(now: Instant) -> Bool { askedUntil.load(ordering: .relaxed) > now.nanoseconds }

    func noteOthers(at fingerprint: UInt64, by worker: Int, now: Instant) {
        let note = OthersNote(of: fingerprint, at: now)
        notes[worker].words[OthersNote.place(of: fingerprint)].store(note.word, ordering: .relaxed)
    }

    func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if report.isFull {
            // That of another worker may be a little later: then it is told again soon.
            let until = now.adding(milliseconds: WindowLedger.silenceMilliseconds)
            askedUntil.store(until.nanoseconds, ordering: .relaxed)
        }
        return ledger.withLock {
            $0.exchange(destination, report, by: worker, now: now) { other in
                let fingerprint = destination.fingerprint
                let word = notes[other].words[OthersNote.place(of: fingerprint)].load(ordering: .relaxed)
                return OthersNote(word: word).time(of: fingerprint, now: now)
            }
        }
    }
}
