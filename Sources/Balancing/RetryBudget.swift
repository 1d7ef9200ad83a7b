// RetryBudget.swift: how many requests of a group may be sent again, so that retries do not finish off what
// is left of it.
// Owns: the count of one worker. Who asks it: Sources/Engine/Groups.swift, for retries at members that are not well. Source: Envoy, "retry_budget" (share of active requests, least concurrency);
// Finagle, RetryBudget (a window that slides, without which attempts that fail at once would never be many at
// the same time).
import Model

/// Retries beside requests of one worker and group. Both count while they are active and up to
/// `windowMilliseconds` longer.
package struct RetryBudget: Sendable {
    /// How long what has ended still counts.
    package static let windowMilliseconds = 1000
    private static let slotCount = 8
    private static let slotNanoseconds = Int64(windowMilliseconds) * 1_000_000 / Int64(slotCount)

    private let percent: Int
    private let concurrencyMin: Int
    // Active, and ended in the window.
    private var requests = 0
    private var retries = 0
    /// Ended in each eighth of the window.
    private var endedRequests = SIMD8<Int32>(repeating: 0)
    private var endedRetries = SIMD8<Int32>(repeating: 0)
    /// The eighth that time is in, counted from the clock's start.
    private var slot: Int64

    package init(_ settings: RetrySettings, now: Instant) {
        percent = settings.percent
        concurrencyMin = settings.concurrencyMin
        slot = now.nanoseconds / Self.slotNanoseconds
    }

    /// A request came, for its first attempt.
    package mutating func requestBegan() { requests += 1 }

    /// Its END is sent.
    package mutating func requestEnded(now: Instant) {
        slide(now)
        endedRequests[place] += 1
    }

    /// Asks for a retry of a request that is active.
    /// - Returns: whether it may be. If so, it is counted, until `retryEnded`.
    package mutating func takeRetry(now: Instant) -> Bool {
        slide(now)
        guard retries < max(concurrencyMin, requests * percent / 100) else { return false }
        retries += 1
        return true
    }

    /// The attempt that was a retry is over, whatever came of it.
    package mutating func retryEnded(now: Instant) {
        slide(now)
        endedRetries[place] += 1
    }

    private var place: Int { Int(slot % Int64(Self.slotCount)) }

    private mutating func slide(_ now: Instant) {
        let current = now.nanoseconds / Self.slotNanoseconds
        guard current > slot else { return }
        for _ in 0..<min(current - slot, Int64(Self.slotCount)) {
            slot += 1
            requests -= Int(endedRequests[place])
            retries -= Int(endedRetries[place])
            endedRequests[place] = 0
            endedRetries[place] = 0
        }
        slot = current
    }
}
