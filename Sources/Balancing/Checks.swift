// Checks.swift: which member is checked when, and what its results make of it.
// Owns: the schedule, rise and fall. Never touches: connections; the worker that is told of a check carries
// it out.
// Source: HAProxy, "check", "inter", "rise", "fall"; issue "Groups".
import Model

extension HealthLedger {
    /// An interval is off by so much either way: neither members nor sidecars are checked in step.
    private static let jitterPercent = 10

    /// When `checkDue` is to be asked next; `.never`: no check is to come before a result.
    package var nextCheckAt: Instant {
        members.reduce(Instant.never) { min($0, $1.checkAt) }
    }

    /// The next check that is due, the most overdue first. How it is done, `NamedGroup.check` says; its time
    /// begins now. Each has to be answered with `checked` or `postponed`.
    /// - Returns: index of the member; `nil`: none is due.
    package mutating func checkDue(now: Instant) -> Int? {
        let next = nextCheckAt
        guard next <= now, next < .never else { return nil }
        guard let member = members.firstIndex(where: { $0.checkAt == next }) else { return nil }
        members[member].checkAt = .never
        return member
    }

    /// Takes note of the result of a check of `member`. What every worker's group has to be told is added to
    /// `news`.
    package mutating func checked(
        _ member: Int,
        isPassed: Bool,
        now: Instant,
        news: inout [HealthNews]
    ) {
        guard let check else { return }
        let interval = random.jittered(
            milliseconds: check.intervalMilliseconds,
            percent: Self.jitterPercent
        )
        members[member].checkAt = now.adding(milliseconds: max(1, interval))
        guard isPassed == members[member].isDown else {
            members[member].contradictions = 0
            return
        }
        members[member].contradictions += 1
        guard members[member].contradictions >= (isPassed ? check.rise : check.fall) else { return }
        members[member].contradictions = 0
        members[member].isDown = !isPassed
        news.append(isPassed ? .up(member: member, at: now) : .down(member: member))
    }

    /// A check of `member` could not be carried out, which says nothing about it.
    package mutating func postponed(_ member: Int, now: Instant) {
        guard let check else { return }
        members[member].checkAt = now.adding(milliseconds: max(1, check.intervalMilliseconds))
    }

    /// Whether the status of a check's reply passes.
    package static func isPassed(_ status: Int, _ check: CheckSettings) -> Bool {
        check.statuses.contains { $0.contains(status) }
    }

    /// Spread over the first interval.
    mutating func scheduleFirstChecks(_ now: Instant) {
        guard let check else { return }
        for member in members.indices {
            let delay = random.below(max(1, check.intervalMilliseconds))
            members[member].checkAt = now.adding(milliseconds: delay)
        }
    }
}
