// BenchReport.swift: the result of a run, for people and for programs. Owns: its words.
import Histogram
import Model
import OutriggerClient

/// Prints totals.
struct BenchReport {
    private let plan: BenchPlan
    private let totals: BenchTotals
    private let target: String

    private static let percentiles: [Double] = [50, 75, 90, 99, 99.9, 100]

    init(_ plan: BenchPlan, _ totals: BenchTotals, target: String) {
        self.plan = plan
        self.totals = totals
        self.target = target
    }

    private var seconds: Double { Double(max(totals.elapsedNanoseconds, 1)) / 1_000_000_000 }
    private var requestsPerSecond: Double { Double(totals.measured) / seconds }
    private var replyMegabytesPerSecond: Double { Double(totals.measuredReplyBytes) / seconds / 1_000_000 }
    private var requestMegabytesPerSecond: Double {
        Double(totals.measuredRequestBytes) / seconds / 1_000_000
    }

    /// CPU time of the sidecar for one request, microseconds.
    private var cpuMicroseconds: Double? {
        guard let cpu = totals.process.cpuNanoseconds, totals.measured > 0 else { return nil }
        return Double(cpu) / 1000 / Double(totals.measured)
    }

    private var cpuSeconds: String? {
        totals.process.cpuNanoseconds.map { Figures.fixed(Double($0) / 1_000_000_000, 3) }
    }

    /// A few lines for people.
    func text(_ style: Style) -> String {
        let endpoints = plan.endpoints.map(\.text).joined(separator: ", ")
        var lines = [
            style.bold("\(plan.method) \(plan.path)")
                + " at \(endpoints)\(plan.isSecure ? " over TLS" : "") through \(target)",
            "\(plan.outstanding) outstanding over "
                + "\(plan.sessions == 1 ? "1 session" : "\(plan.sessions) sessions"), "
                + "\(Figures.fixed(seconds, 2)) s",
            "",
            "requests   " + style.bold(Figures.grouped(UInt64(requestsPerSecond.rounded()))) + " a second, "
                + "\(Figures.grouped(totals.measured)) in all",
        ]
        if totals.measuredReplyBytes > 0 {
            lines.append("replies    \(Figures.fixed(replyMegabytesPerSecond, 1)) MB a second")
        }
        if totals.measuredRequestBytes > 0 {
            lines.append("bodies     \(Figures.fixed(requestMegabytesPerSecond, 1)) MB a second sent")
        }
        if totals.succeeded > 0 {
            let values = Self.percentiles.map {
                let value = Figures.duration(nanoseconds: totals.latency.valueAtPercentile($0))
                return ($0 == 100 ? "max" : "p" + Self.name($0)) + " " + value
            }
            lines.append("latency    " + values.joined(separator: "  "))
        }
        lines += processLines(style) + failureLines(style)
        return lines.joined(separator: "\n") + "\n"
    }

    private func processLines(_ style: Style) -> [String] {
        guard totals.measured > 0 else { return [] }
        guard let cpu = cpuMicroseconds, let nanoseconds = totals.process.cpuNanoseconds else {
            return ["sidecar    " + style.dim("CPU time not known: no process behind the socket; see --pid")]
        }
        let share = Figures.fixed(Double(nanoseconds) / Double(max(totals.elapsedNanoseconds, 1)) * 100, 0)
        var line =
            "sidecar    " + style.bold("\(Figures.fixed(cpu, 2)) us") + " CPU a request, \(share) % of a core"
        if let voluntary = totals.process.voluntarySwitches,
            let involuntary = totals.process.involuntarySwitches
        {
            line += "; context switches \(voluntary) voluntary, \(involuntary) not"
        }
        return [line]
    }

    private func failureLines(_ style: Style) -> [String] {
        guard totals.failures > 0 else { return [style.green("✓ every exchange COMPLETE with 2xx")] }
        var parts = failedOutcomes.map { "\($0.word) \(totals.outcomes[$0.rawValue])" }
        if totals.badStatuses > 0 { parts.append("no 2xx \(totals.badStatuses)") }
        if totals.unfinished > 0 { parts.append("never ended \(totals.unfinished)") }
        let first = totals.firstFailure.isEmpty ? "" : " (first: \(totals.firstFailure))"
        return [style.red("✗ failed: " + parts.joined(separator: ", ") + first)]
    }

    private var failedOutcomes: [Outcome] {
        Outcome.allCases.filter { $0 != .complete && totals.outcomes[$0.rawValue] > 0 }
    }

    /// One line of JSON. Times in microseconds.
    var json: String {
        let latencies = Self.percentiles.map {
            let value = totals.succeeded == 0 ? 0 : totals.latency.valueAtPercentile($0)
            let name = $0 == 100 ? "max" : "p" + Self.name($0)
            return "\"\(name)\":\(Figures.fixed(Double(value) / 1000, 1))"
        }
        let outcomes = failedOutcomes.map { "\"\($0.word)\":\(totals.outcomes[$0.rawValue])" }
        let members = [
            "\"outstanding\":\(plan.outstanding)",
            "\"sessions\":\(plan.sessions)",
            "\"seconds\":\(Figures.fixed(seconds, 3))",
            "\"requests\":\(totals.measured)",
            "\"requests_per_second\":\(Figures.fixed(requestsPerSecond, 1))",
            "\"reply_mb_per_second\":\(Figures.fixed(replyMegabytesPerSecond, 2))",
            "\"request_mb_per_second\":\(Figures.fixed(requestMegabytesPerSecond, 2))",
            "\"latency_us\":{\(latencies.joined(separator: ","))}",
            "\"cpu_us_per_request\":\(cpuMicroseconds.map { Figures.fixed($0, 3) } ?? "null")",
            "\"cpu_seconds\":\(cpuSeconds ?? "null")",
            "\"voluntary_switches\":\(totals.process.voluntarySwitches.map(String.init) ?? "null")",
            "\"involuntary_switches\":\(totals.process.involuntarySwitches.map(String.init) ?? "null")",
            "\"failures\":\(totals.failures)",
            "\"failed_outcomes\":{\(outcomes.joined(separator: ","))}",
            "\"bad_statuses\":\(totals.badStatuses)",
            "\"unfinished\":\(totals.unfinished)",
        ]
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func name(_ percentile: Double) -> String {
        percentile == percentile.rounded() ? String(Int(percentile)) : Figures.fixed(percentile, 1)
    }
}
