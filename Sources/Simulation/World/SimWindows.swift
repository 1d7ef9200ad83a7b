// SimWindows.swift: windows of sessions between the workers of a world: the real ledger, and in some worlds narrow ones that
// come and go. Owns: how narrow. Never touches: time.
import Engine
import Model

/// A world is too small, and its upstreams too quick, for the ledger to find much in the way of others.
final class SimWindows: WindowDirectory {
    private var ledger: WindowLedger
    private let isNarrow: Bool
    private var random: SeededRandom
    private var askedUntil = Instant.longAgo
    /// By worker and destination.
    private var notes: [[UInt64: OthersNote]]

    init(_ scenario: Scenario) {
        let requestsMin = scenario.limits.sessionWindowMin
        ledger = WindowLedger(requestsMin: max(1, requestsMin), workers: scenario.workerCount)
        isNarrow = requestsMin == Scenario.sessionWindowMinNarrow
        random = SeededRandom(seed: scenario.seed)
        notes = Array(repeating: [:], count: scenario.workerCount)
    }

    func noteOthers(at fingerprint: UInt64, by worker: Int, now: Instant) {
        notes[worker][fingerprint] = OthersNote(of: fingerprint, at: now)
    }

    func isAsked(now: Instant) -> Bool { askedUntil > now }

    func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if report.isFull { askedUntil = now.adding(milliseconds: WindowLedger.silenceMilliseconds) }
        let window = ledger.exchange(destination, report, by: worker, now: now) {
            notes[$0][destination.fingerprint]?.time(of: destination.fingerprint, now: now) ?? .longAgo
        }
        guard let window, isNarrow else { return window }
        return Window(requestsMax: random.pick([1, 1, 2, .max]), crowdedSince: window.crowdedSince)
    }
}
