// Checker.swift: what every checker is, and the list of them.
import Engine
import Model

/// Holds one rule over a whole run. It sees every event after the record has taken it in.
protocol Checker {
    /// The rule in a word; named in violations and by the canary that breaks it.
    static var name: String { get }
    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter)
}

/// Where a checker reports to.
struct Reporter {
    let world: SimWorld
    let checker: String

    var now: Instant { world.now }

    func callAsFunction(_ text: @autoclosure () -> String) { world.report(checker, text()) }

    /// Reports unless `holds`.
    func expect(_ holds: Bool, _ text: @autoclosure () -> String) {
        if !holds { world.report(checker, text()) }
    }
}

/// One of each.
func allCheckers() -> [any Checker] { generalCheckers() + groupCheckers() + longCheckers() }

/// Those that have something to judge in a world.
func checkers(of scenario: Scenario) -> [any Checker] {
    guard let groups = scenario.groups else { return generalCheckers() }
    return generalCheckers() + groupCheckers() + (groups.long == nil ? [] : longCheckers())
}

private func generalCheckers() -> [any Checker] {
    [
        ExactEnd(), Wholeness(), ReplyBytes(), Isolation(), Replay(), Reuse(), Bounds(), Leaks(), Orders(),
        Liveness(), Reports(), Outcomes(), ConnectionLimits(), Turns(),
        Ways(), Identities(), PinExclusive(), PinNotRetried(), PinOrder(), PinEvents(),
        PinRelease(), PinKept(), PinLine(), MemberNames(),
    ]
}

private func groupCheckers() -> [any Checker] { [MemberLimits(), Choices(), MemberRetries()] }

/// Of worlds that last for hours.
private func longCheckers() -> [any Checker] {
    [Ejections(), RetryBudgets(), Recovery(), Herds(), Policies()]
}
