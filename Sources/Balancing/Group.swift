// Group.swift: a group as one worker sees it: who is chosen for a request, and what the worker's requests
// tell about members.
// Owns: the load of this worker, and its copy of the members' health. Never touches: connections, the
// process's limits, the clock. Source: issue "Groups". Once warm nothing here allocates.
import Model

/// Whom a request goes to.
package enum Pick: Equatable, Sendable {
    /// Index of a member in the configuration. It may have to wait for `Group.dialAfter` when it has no idle
    /// connection.
    case member(Int)
    /// Members could be chosen, and each is at its limit: the request waits in the group's queue.
    case allAtLimit
    /// No member is left: all were tried, or have a weight of 0, or there are none.
    case noMember
}

/// What a worker knows of a member, for people.
package struct MemberView: Equatable, Sendable {
    package var weight: Int
    package var isBackup: Bool
    /// Attempts that are under way.
    package var active: Int
    /// Checks say that it is down.
    package var isDown: Bool
    /// So long it is still ejected; 0: it is not.
    package var ejectedMilliseconds: Int
    /// So long it is not to be dialed; 0: it may be.
    package var backOffMilliseconds: Int
}

/// One group of one worker.
package struct Group: Sendable {
    let policy: GroupPolicy
    let slowStartMilliseconds: Int
    let panicPercent: Int
    let decayNanoseconds: Double
    private let statuses: [ClosedRange<Int>]
    var members: [MemberState]
    /// Those that may be chosen: primaries, then backups; in a panic, all and none. Indices in ascending
    /// order.
    var primaries: [Int] = []
    var backups: [Int] = []
    /// Nobody is healthy, or too few are: all are chosen from. As of the last pick.
    package internal(set) var isPanicking = false
    /// From when on `primaries`, `backups` and shares may be different.
    var staleAt = Instant(nanoseconds: .min)
    /// Where the next search among equals begins.
    var cursor = 0

    /// A group all of whose members are healthy and have no load.
    /// - Parameters:
    ///   - group: its settings; what they may be, `Configuration` has checked.
    ///   - spread: how many turns of the round robin are skipped, so that workers do not all begin with one
    ///     member: the worker's index.
    ///   - now: monotonic, here and everywhere; must not go backwards.
    package init(_ group: NamedGroup, spread: Int = 0, now: Instant) {
        precondition(group.members.count <= NamedGroup.membersMax)
        policy = group.policy
        slowStartMilliseconds = group.slowStartMilliseconds
        panicPercent = group.panicPercent
        decayNanoseconds = Double(max(1, group.decayMilliseconds)) * 1e6
        statuses = group.ejection.statuses
        members = group.members.map { MemberState($0) }
        primaries.reserveCapacity(members.count)
        backups.reserveCapacity(members.count)
        refresh(now)
        guard !primaries.isEmpty else { return }
        let turns = spread % primaries.count
        for _ in 0..<turns { takeTurn() }
        cursor = turns
    }

    // Choosing.

    /// Chooses a member for one attempt of a request. Nothing is counted before `began`.
    ///
    /// Healthy primaries that were not tried come first; healthy backups only when there is none. A member
    /// that is not to be dialed yet is chosen only when all others are too. Who is at its limit is not
    /// chosen, and no backup in its place.
    /// - Parameters:
    ///   - now: decides over ejection, slow start and back-off.
    ///   - key: number of the request's key (`HashKey.of`); without a meaning to other policies than `hash`.
    ///   - tried: members that this request was tried at.
    ///   - random: for the two policies with two choices.
    /// - Returns: the member, or why there is none.
    /// - Complexity: O(members); allocates nothing.
    package mutating func pick(
        now: Instant,
        key: UInt64,
        tried: Tried,
        random: inout RandomSource
    ) -> Pick {
        if now >= staleAt { refresh(now) }
        var survey = survey(primaries, tried, now)
        var isBackup = false
        if survey.untried == 0 {
            survey = self.survey(backups, tried, now)
            isBackup = true
        }
        if survey.untried == 0 { return .noMember }
        if survey.usable == 0 { return .allAtLimit }
        return .member(choose(isBackup ? backups : primaries, survey.usable, now, key, &random))
    }

    /// Whether `pick` would choose a member that is not among `tried`, if need be after a wait.
    package mutating func hasMember(butNot tried: Tried, now: Instant) -> Bool {
        if now >= staleAt { refresh(now) }
        return members.indices.contains { members[$0].level >= 0 && !tried.contains($0) }
    }

    /// Whether there is a member that is not among `tried` and is well: a request that failed elsewhere adds nothing there
    /// that it could not bear.
    package mutating func hasWellMember(butNot tried: Tried, now: Instant) -> Bool {
        if now >= staleAt { refresh(now) }
        return members.indices.contains {
            members[$0].level >= 0 && !tried.contains($0) && members[$0].isWell(now)
        }
    }

    /// Whether `member` is healthy, and no attempt of this worker's has failed there within a second.
    package func isWell(_ member: Int, now: Instant) -> Bool { members[member].isWell(now) }

    /// An attempt at `member` has failed, or its reply is one after which another member is asked.
    package mutating func failed(_ member: Int, now: Instant) { members[member].failedAt = now }

    /// Whether a request that `allAtLimit` was said to waits for `member`: it is among those that the last pick chose from.
    package func isAwaited(_ member: Int, tried: Tried) -> Bool {
        if members[member].level < 0 || tried.contains(member) { return false }
        return members[member].level == 0 || primaries.allSatisfy { tried.contains($0) }
    }

    /// Who has the fewest attempts for its share among those that a request waits for.
    package func leastCrowded(tried: Tried) -> Int? {
        var best: Int?
        for index in members.indices where isAwaited(index, tried: tried) {
            if let other = best, !isLess(loadOf: index, than: other) { continue }
            best = index
        }
        return best
    }

    /// When who may be chosen can change without news; it may come early.
    package var changesAt: Instant { staleAt }

    /// The instant from which on a connection to `member` may be dialed; not later than now: at once. Idle
    /// connections to it may be used before.
    package func dialAfter(_ member: Int) -> Instant { members[member].dialAfter }

    // Load. Each attempt is `began` once, `replied` at most once, `ended` once.

    /// An attempt at `member` begins: from here on it counts as its load.
    package mutating func began(_ member: Int) { members[member].active += 1 }

    /// Its reply began: `microseconds` after it was asked for on a connection that stood, or in all where it
    /// was dialed for. Also for an attempt that timed out, with the time it waited; not for one that failed
    /// at once, which is no sign of speed.
    package mutating func replied(_ member: Int, afterMicroseconds microseconds: UInt64, now: Instant) {
        // Others do not look at it.
        if policy == .peakEWMA { observe(member, nanoseconds: Double(microseconds) * 1000, now) }
    }

    /// An attempt at `member` is over, whatever came of it.
    package mutating func ended(_ member: Int) {
        precondition(members[member].active > 0, "an attempt ended that did not begin")
        members[member].active -= 1
    }

    /// Attempts at `member` that this worker has begun and not ended.
    package func active(_ member: Int) -> Int { members[member].active }

    /// Says whether the process has no room for a further connection to `member`, as its limit is reached.
    /// Reached by this worker's own attempts alone, it needs no saying.
    package mutating func setFull(_ member: Int, _ isFull: Bool) { members[member].isFull = isFull }

    /// Says whether a member is in doubt for the request that is about to be picked for: it is passed over as one that is not
    /// to be dialed yet.
    package mutating func setDoubted(_ member: Int, _ isDoubted: Bool) {
        members[member].isDoubted = isDoubted
    }

    // Changes.

    /// Changes a weight from the next pick on, to 0 ... `GroupMember.weightMax`. An unchanged one changes
    /// nothing.
    package mutating func setWeight(_ member: Int, _ weight: Int) {
        precondition(0...GroupMember.weightMax ~= weight)
        if members[member].weight == weight { return }
        members[member].weight = weight
        for index in members.indices { members[index].turn = 0 }
        staleAt = Instant(nanoseconds: .min)
    }

    package func weight(_ member: Int) -> Int { members[member].weight }

    /// Whether the group's ledger has to be told: of all failures; of successes only while it suspects the
    /// member.
    package func isNews(_ result: MemberResult, of member: Int) -> Bool {
        switch result.meaning(statuses) {
        case .dialFailure, .replyFailure: true
        case .dialSuccess: members[member].suspectsDials
        case .replySuccess: members[member].suspectsReplies
        case .nothing: false
        }
    }

    package func isFailure(_ result: MemberResult) -> Bool {
        switch result.meaning(statuses) {
        case .dialFailure, .replyFailure: true
        case .dialSuccess, .replySuccess, .nothing: false
        }
    }

    /// Takes over what the ledger found out, in the order in which it did. It may come late.
    package mutating func apply(_ news: HealthNews, now: Instant) {
        switch news {
        case .suspect(let member, let dials, let replies):
            members[member].suspectsDials = dials
            members[member].suspectsReplies = replies
        case .ejected(let member, let until): members[member].ejectedUntil = until
        case .down(let member): members[member].isDown = true
        case .up(let member, let instant):
            members[member].isDown = false
            members[member].recovered(at: min(instant, now))
        case .backOff(let member, let until): members[member].dialAfter = until
        }
        staleAt = Instant(nanoseconds: .min)
    }

    /// A member for people.
    package func view(of member: Int, now: Instant) -> MemberView {
        let state = members[member]
        func left(_ instant: Instant) -> Int {
            instant > now ? Int(instant.microseconds(since: now) / 1000) : 0
        }
        return MemberView(
            weight: state.weight,
            isBackup: state.isBackup,
            active: state.active,
            isDown: state.isDown,
            ejectedMilliseconds: left(state.ejectedUntil),
            backOffMilliseconds: left(state.dialAfter)
        )
    }

    /// Whether `member` is neither ejected nor down.
    package func isHealthy(_ member: Int, now: Instant) -> Bool { members[member].isHealthy(now) }
}
