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
    /// By worker and bucket.
    private var notedAt: [[Int: Instant]]

    init(_ scenario: Scenario) {
        let requestsMin = scenario.limits.sessionWindowMin
        ledger = WindowLedger(requestsMin: max(1, requestsMin), workers: scenario.workerCount)
        isNarrow = requestsMin == Scenario.sessionWindowMinNarrow
        random = SeededRandom(seed: scenario.seed)
        notedAt = Array(repeating: [:], count: scenario.workerCount)
    }

    func noteOthers(bucket: Int, by worker: Int, now: Instant) { notedAt[worker][bucket] = now }

    func isAsked(now: Instant) -> Bool { askedUntil > now }

    func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if report.hasShares { askedUntil = now.adding(milliseconds: WindowLedger.silenceMilliseconds) }
        let window = ledger.exchange(destination, report, by: worker, now: now) {
            notedAt[$0][destination.bucket] ?? .longAgo
        }
        guard let window, isNarrow else { return window }
        return Window(requestsMax: random.pick([1, 1, 2, .max]), crowdedSince: window.crowdedSince)
    }
}
