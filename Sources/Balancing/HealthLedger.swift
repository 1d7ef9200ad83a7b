// HealthLedger.swift: what a process knows about the health of a group's members, and what follows from it.
// Owns: failures in a row, ejections, the results of checks. One for each group of the process, under a lock
// that is taken for failures, for successes of suspects, and for checks: never for a plain request. Never touches: load, connections.
// Source: issue "Groups"; Envoy's outlier detection; HAProxy's rise and fall.
import Model

/// Health of one group's members.
package struct HealthLedger: Sendable {
    private let ejection: EjectionSettings
    let backOff: BackOffSettings
    let check: CheckSettings?
    var random: RandomSource
    var members: [MemberHealth]

    /// A ledger of members that are all healthy. The seed is that of the jitter: different in every process,
    /// so that sidecars do not act together.
    package init(_ group: NamedGroup, seed: UInt64, now: Instant) {
        ejection = group.ejection
        backOff = group.backOff
        check = group.check
        random = RandomSource(seed: seed)
        members = group.members.map { _ in MemberHealth() }
        scheduleFirstChecks(now)
    }

    // Requests.

    /// Takes note of what came of an attempt of a request. `Group.isNews` says which ones are worth it;
    /// others change nothing. What every worker's group has to be told is added to `news`.
    /// - Returns: what other groups with the member's endpoint have to be told.
    @discardableResult
    package mutating func record(
        _ result: MemberResult,
        of member: Int,
        now: Instant,
        news: inout [HealthNews]
    ) -> EndpointNews? {
        var shared: EndpointNews?
        switch result.meaning(ejection.statuses) {
        case .dialFailure:
            shared = delayDials(member, isAlone: result != .dialFailed, now, &news)
            failed(member, \.dialFailures, max: ejection.dialFailures, now, &news)
        case .replyFailure: failed(member, \.replyFailures, max: ejection.replyFailures, now, &news)
        case .dialSuccess:
            if members[member].hasFailedDial { shared = .recovered }
            endBackOff(member, now, &news)
            succeeded(member, \.dialFailures, now, &news)
        case .replySuccess: succeeded(member, \.replyFailures, now, &news)
        case .nothing: break
        }
        return shared
    }

    private mutating func failed(
        _ member: Int,
        _ count: WritableKeyPath<MemberHealth, Int>,
        max limit: Int,
        _ now: Instant,
        _ news: inout [HealthNews]
    ) {
        // What was under way when it was ejected, or goes there in a panic, adds nothing.
        guard !members[member].isEjected(now) else {
            tellSuspicion(member, &news)
            return
        }
        if limit > 0 {
            members[member][keyPath: count] = min(limit, members[member][keyPath: count] + 1)
            if members[member][keyPath: count] == limit { eject(member, now, &news) }
        }
        tellSuspicion(member, &news)
    }

    private mutating func succeeded(
        _ member: Int,
        _ count: WritableKeyPath<MemberHealth, Int>,
        _ now: Instant,
        _ news: inout [HealthNews]
    ) {
        // An exchange that began before the ejection proves nothing about the time after it.
        if !members[member].isEjected(now) { members[member][keyPath: count] = 0 }
        tellSuspicion(member, &news)
    }

    mutating func tellSuspicion(_ member: Int, _ news: inout [HealthNews]) {
        let dials = members[member].dialFailures > 0 || members[member].hasFailedDial
        let replies = members[member].replyFailures > 0
        guard dials != members[member].suspectsDials || replies != members[member].suspectsReplies else {
            return
        }
        members[member].suspectsDials = dials
        members[member].suspectsReplies = replies
        news.append(.suspect(member: member, dials: dials, replies: replies))
    }

    // Ejection.

    private mutating func eject(_ member: Int, _ now: Instant, _ news: inout [HealthNews]) {
        // Refused: it is ejected by its next failure for which there is room.
        guard ejectedCount(now) < ejectedMax else { return }
        members[member].forgive(now, every: ejection.baseMilliseconds)
        let milliseconds = Doubling.milliseconds(
            base: ejection.baseMilliseconds,
            doublings: members[member].ejections,
            max: ejection.millisecondsMax
        )
        members[member].ejections += 1
        let until = now.adding(
            milliseconds: max(
                1,
                random.jittered(milliseconds: milliseconds, percent: ejection.jitterPercent)
            )
        )
        members[member].ejectedUntil = until
        // On probation afterwards: one more failure, before a success of its kind, is enough.
        members[member].dialFailures = max(0, ejection.dialFailures - 1)
        members[member].replyFailures = max(0, ejection.replyFailures - 1)
        news.append(.ejected(member: member, until: until))
    }

    /// Members that are ejected at `now`.
    package func ejectedCount(_ now: Instant) -> Int { members.count { $0.isEjected(now) } }

    /// So many may be.
    package var ejectedMax: Int {
        ejection.ejectedPercentMax == 0 ? 0 : max(1, members.count * ejection.ejectedPercentMax / 100)
    }
}
