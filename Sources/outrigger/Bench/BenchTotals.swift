// BenchTotals.swift: what a run has counted. Owns: the counts. Source: hdrhistogram.org.
import Histogram
import Model

/// Counts of the measured part of a run.
struct BenchTotals {
    /// Nanoseconds from REQUEST to END, of good exchanges.
    var latency = Histogram<UInt32>(
        highestTrackableValue: 3_600_000_000_000,
        numberOfSignificantValueDigits: .three
    )
    var succeeded: UInt64 = 0
    var replyBytes: UInt64 = 0
    var requestBytes: UInt64 = 0
    /// By raw value of the outcome.
    var outcomes = [UInt64](repeating: 0, count: Outcome.allCases.count + 1)
    /// COMPLETE, and yet no 2xx.
    var badStatuses: UInt64 = 0
    /// Never ended.
    var unfinished: UInt64 = 0
    /// What had succeeded, come and gone when measuring stopped; what ends later counts in the rest only.
    var measured: UInt64 = 0
    var measuredReplyBytes: UInt64 = 0
    var measuredRequestBytes: UInt64 = 0
    /// A detail of the first failure.
    var firstFailure = ""
    var elapsedNanoseconds: Int64 = 0
    var process = BenchProcess()

    /// Exchanges that did not go as they should.
    var failures: UInt64 {
        let bad = outcomes.reduce(0, +) - outcomes[Outcome.complete.rawValue]
        return bad + badStatuses + unfinished
    }

    /// Exchanges that have ended.
    var ended: UInt64 { outcomes.reduce(0, +) }

    /// Counts one that has ended.
    mutating func end(_ report: borrowing EndReport, status: UInt16, nanoseconds: Int64) {
        outcomes[report.outcome.rawValue] += 1
        requestBytes += report.requestBodyBytes
        if report.outcome == .complete, 200...299 ~= status {
            succeeded += 1
            _ = latency.record(UInt64(max(nanoseconds, 0)))
        } else {
            if report.outcome == .complete { badStatuses += 1 }
            if firstFailure.isEmpty {
                firstFailure = report.detail.isEmpty ? "status \(status)" : report.detail
            }
        }
    }
}

/// What the sidecar's process has used.
struct BenchProcess {
    /// `nil`: not known.
    var cpuNanoseconds: Int64?
    var voluntarySwitches: Int64?
    var involuntarySwitches: Int64?

    /// What was used since `earlier`.
    func since(_ earlier: BenchProcess) -> BenchProcess {
        var difference = BenchProcess()
        difference.cpuNanoseconds = Self.subtract(cpuNanoseconds, earlier.cpuNanoseconds)
        difference.voluntarySwitches = Self.subtract(voluntarySwitches, earlier.voluntarySwitches)
        difference.involuntarySwitches = Self.subtract(involuntarySwitches, earlier.involuntarySwitches)
        return difference
    }

    private static func subtract(_ late: Int64?, _ early: Int64?) -> Int64? {
        guard let late, let early else { return nil }
        return late - early
    }
}
