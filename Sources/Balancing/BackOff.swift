// BackOff.swift: how long a member whose dial failed is not dialed, and what groups with the same endpoint learn of it.
// Owns: back-offs in a row, their times. Never touches: ejection, checks.
// Source: issue "Groups": back-off per endpoint shared by all workers; Engine.docc/Groups.md.
import Model

extension HealthLedger {
    /// A dial failed. - Parameter isAlone: whether that says nothing about other groups with the endpoint.
    /// - Returns: what those have to be told.
    mutating func delayDials(
        _ member: Int,
        isAlone: Bool,
        _ now: Instant,
        _ news: inout [HealthNews]
    ) -> EndpointNews? {
        members[member].hasFailedDial = true
        if isAlone { members[member].hasFailedAlone = true }
        // Dials that were under way together fail together, and count once.
        guard backOff.baseMilliseconds > 0, now >= members[member].dialAfter else { return nil }
        let milliseconds = Doubling.milliseconds(
            base: backOff.baseMilliseconds,
            doublings: members[member].backOffs,
            max: backOff.millisecondsMax
        )
        let until = now.adding(
            milliseconds: max(1, random.jittered(milliseconds: milliseconds, percent: Doubling.jitterPercent))
        )
        members[member].dialAfter = until
        members[member].backOffs += 1
        news.append(.backOff(member: member, until: until))
        return isAlone ? nil : .backOff(until: until, count: members[member].backOffs)
    }

    /// A dial succeeded.
    mutating func endBackOff(_ member: Int, _ now: Instant, _ news: inout [HealthNews]) {
        if members[member].dialAfter > now { news.append(.backOff(member: member, until: now)) }
        members[member].dialAfter = Instant.longAgo
        members[member].hasFailedDial = false
        members[member].hasFailedAlone = false
        members[member].backOffs = 0
    }

    /// Takes over what another ledger found out about the endpoint of `member`. It may come late. A group without back-off
    /// heeds that of no other one, and none is longer than the group's own could be.
    package mutating func take(
        _ shared: EndpointNews,
        of member: Int,
        now: Instant,
        news: inout [HealthNews]
    ) {
        switch shared {
        case .backOff(let until, let count):
            guard backOff.baseMilliseconds > 0 else { return }
            members[member].hasFailedDial = true
            members[member].backOffs = max(members[member].backOffs, count)
            let longest = backOff.millisecondsMax * (100 + Doubling.jitterPercent) / 100
            let until = min(until, now.adding(milliseconds: longest))
            if until > max(now, members[member].dialAfter) {
                members[member].dialAfter = until
                news.append(.backOff(member: member, until: until))
            }
        case .recovered:
            // What failed here, succeeded nowhere yet.
            if members[member].hasFailedAlone || !members[member].hasFailedDial { return }
            endBackOff(member, now, &news)
        }
        tellSuspicion(member, &news)
    }
}

/// Times that double.
enum Doubling {
    /// Of a back-off.
    static let jitterPercent = 20

    /// `base` doubled so often, at most `max`.
    static func milliseconds(base: Int, doublings: Int, max limit: Int) -> Int {
        // Longer than this nobody waits, and a shift by more would lose bits.
        let factor = 1 << min(doublings, 30)
        let (product, isTooLarge) = base.multipliedReportingOverflow(by: factor)
        return isTooLarge ? limit : min(product, limit)
    }
}
