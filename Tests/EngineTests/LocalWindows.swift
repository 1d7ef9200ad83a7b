// LocalWindows.swift: windows that the test decides about. Source: Sources/Engine/WindowDirectory.swift.
import Model

@testable import Engine

extension WindowLedger {
    /// No worker has noted others.
    mutating func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        exchange(destination, report, by: worker, now: now) { _ in .longAgo }
    }
}

/// Says what it is told to, and remembers what it hears.
class LocalWindows: WindowDirectory {
    /// `nil`: no session has shares, as far as the directory knows.
    var window: Window? = .open
    /// Whether somebody has asked.
    var isAsked = false
    /// Decides in place of the test.
    var ledger: WindowLedger?
    private(set) var reports: [(destination: Destination, report: WindowReport)] = []

    /// When others were noted.
    private(set) var notes: [Instant] = []

    func forget() { (reports, notes) = ([], []) }

    func isAsked(now: Instant) -> Bool { isAsked }

    func noteOthers(at fingerprint: UInt64, by worker: Int, now: Instant) { notes.append(now) }

    func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if report.isFull { isAsked = true }
        reports.append((destination, report))
        if ledger != nil { return ledger?.exchange(destination, report, by: worker, now: now) }
        return window
    }
}

extension Limits {
    /// One request of a session is not looked at, and each destination leaves it one more.
    @Sendable static func narrow(_ limits: inout Limits) { limits.sessionWindowMin = 1 }
}

extension Rig {
    /// Notes how many requests are held back, and forgets everything before but such notes.
    func noteHeld() {
        let notes = lines.filter { $0.hasSuffix("held") }
        forget()
        for line in notes { note(line) }
        note("\(counts.waiting) held")
    }

    /// From now on sessions may have so many requests under way; `nil`: as many as they like.
    func narrow(to requestsMax: Int?) {
        windows.window = Window(requestsMax: requestsMax ?? .max, crowdedSince: .longAgo)
        // So that the engine asks.
        pass(100)
    }

    /// Notes what the directory was asked about, and what it was told.
    func reported() {
        for (destination, report) in windows.reports {
            let place =
                switch destination {
                case .endpoint(let endpoint): endpoint.text
                case .group(let number): "group \(number)"
                case .list(let list): "list of \(list.endpoints.count)"
                }
            var line = "\(place): \(report.isFull ? "full" : "not full"), at most \(report.awaitedMax)"
            line += ", \(report.alone.count) alone"
            if report.alone.count > 0 { line += " in \(report.alone.microseconds) µs" }
            if report.beside.count > 0 {
                line += ", \(report.beside.count) beside in \(report.beside.microseconds) µs"
            }
            note(line)
        }
    }
}
