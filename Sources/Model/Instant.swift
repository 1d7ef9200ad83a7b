// Instant.swift: points in time and distances between them.
// Owns: arithmetic. Never touches: a clock; time arrives from outside as `now`.

/// A reading of a monotonic clock, in nanoseconds from a start that only the clock knows.
@usableFromInline
package struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the clock's start.
    @usableFromInline
    package var nanoseconds: Int64

    /// - Parameter nanoseconds: since the clock's start.
    @inlinable
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Later than every reading.
    @inlinable
    package static var never: Instant { Instant(nanoseconds: .max) }

    /// Earlier than every reading.
    @inlinable
    package static var longAgo: Instant { Instant(nanoseconds: .min) }

    @inlinable
    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// This instant and `milliseconds` more; `never` when that does not fit.
    @inlinable
    package func adding(milliseconds: Int) -> Instant {
        let (product, tooLarge) = Int64(milliseconds).multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflow) = nanoseconds.addingReportingOverflow(product)
        return tooLarge || overflow ? .never : Instant(nanoseconds: sum)
    }

    /// Microseconds from `earlier` to this instant, 0 when it is not later.
    @inlinable
    package func microseconds(since earlier: Instant) -> UInt64 {
        // Of any two: what does not fit a signed number fits one without a sign.
        self > earlier ? UInt64(bitPattern: nanoseconds &- earlier.nanoseconds) / 1000 : 0
    }
}
