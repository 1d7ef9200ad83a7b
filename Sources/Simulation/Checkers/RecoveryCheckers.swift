// RecoveryCheckers.swift: rules about hours of a group: what comes back is used again, and not by all at once; retries
// stay within their budget. Judged at the end, from what END said of every attempt; only in long worlds.
// Source: issue "Groups"; Sources/Balancing, RetryBudget.swift and MemberState.swift (slow start).
import Balancing
import Engine
import Model

/// No worker has more retries of a group under way than its budget allows, but for those at members that are well.
struct RetryBudgets: Checker {
    static let name = "RetryBudgets"
    /// The time in which what has ended surely counts still, and the longest in which it may.
    private static let (leastMicroseconds, mostMicroseconds) = (875_000, 1_000_000)

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .quiescent = event, let log = record.groups, log.groups.long != nil else { return }
        for (number, group) in log.groups.groups.enumerated() where !group.hasWaits {
            for worker in reporter.world.workers.indices { check(number, worker, log, reporter) }
        }
    }

    /// Where no request waits, a retry is taken when it begins.
    private func check(_ number: Int, _ worker: Int, _ log: GroupLog, _ reporter: Reporter) {
        let settings = log.groups.groups[number].retry
        let retries = log.attempts
            .filter { $0.group == number && $0.worker == worker && $0.isRetry(in: log) && !isFree($0, log) }
            .sorted { $0.from < $1.from }
        let requests = log.requests.filter { $0.group == number && $0.worker == worker }
        for (place, retry) in retries.enumerated() {
            let since = Instant(nanoseconds: retry.from.nanoseconds - Int64(Self.leastMicroseconds) * 1000)
            let others = retries[..<place].count { ($0.isLast ? $0.until : $0.dialedAt) > since }
            let from = Instant(nanoseconds: retry.from.nanoseconds - Int64(Self.mostMicroseconds + 1) * 1000)
            let until = retry.from.adding(microseconds: 1)
            let active = requests.count { $0.from <= until && $0.until >= from }
            let most = max(settings.concurrencyMin, active * settings.percent / 100)
            reporter.expect(
                others < most,
                "request \(retry.request) is tried again at \(formatted(retry.from)) by worker \(worker) beside "
                    + "\(others) retries and \(active) requests: \(most) may be"
            )
        }
    }
}

extension RetryBudgets {
    /// Whether, for all that is known, another member was well: healthy, and without a failure for a second.
    private func isFree(_ retry: LoggedAttempt, _ log: GroupLog) -> Bool {
        let from = Instant(nanoseconds: retry.from.nanoseconds - Int64(Self.mostMicroseconds + 2) * 1000)
        let now = retry.from.adding(microseconds: 2)
        var tried: Set<Int> = []
        var failed: Set<Int> = []
        for attempt in log.attempts where attempt.group == retry.group && attempt.worker == retry.worker {
            if attempt.request == retry.request && attempt.number < retry.number {
                tried.insert(attempt.member)
            }
            guard attempt.isMembersFailure(in: log) else { continue }
            let at = attempt.result == .exchangeFailed ? attempt.until : attempt.dialedAt
            if at >= from && at < retry.from { failed.insert(attempt.member) }
        }
        let times = [retry.from, now].map { log.known(retry.worker, retry.group, before: $0) }
        return log.groups.groups[retry.group].members.indices.contains { member in
            !tried.contains(member) && !failed.contains(member)
                && times.contains {
                    $0[member].weight > 0 && ($0[member].isHealthy(now) || $0[member].isHealthy(retry.from))
                }
        }
    }
}

extension LoggedAttempt {
    /// Whether it surely was the member's failure: a connection out of the pool may have been stale.
    fileprivate func isMembersFailure(in log: GroupLog) -> Bool {
        switch result {
        case .refused, .unreachable, .timeout: return true
        case .exchangeFailed:
            let endpoint = log.endpoint(group, member)
            return log.sockets.contains {
                $0.endpoint == endpoint && $0.at >= from && $0.at <= dialedAt.adding(microseconds: 1)
            }
        case .connected, .reused, .abandoned, .stale, .failed, .tlsFailed, .peerRefused: return false
        }
    }
}

/// A member that is well when its ejection ends is sent requests again.
struct Recovery: Checker {
    static let name = "Recovery"
    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .quiescent = event, let log = record.groups, log.groups.long != nil else { return }
        for news in log.news {
            guard case .ejected(_, let until) = news.news else { continue }
            check(news.group, news.member, until, log, reporter)
        }
    }

    private func check(
        _ number: Int,
        _ member: Int,
        _ ended: Instant,
        _ log: GroupLog,
        _ reporter: Reporter
    ) {
        let group = log.groups.groups[number]
        guard Self.isAsGood(member, group), group.check == nil else { return }
        let from = ended.adding(milliseconds: group.slowStartMilliseconds + RecoveryWindow.patience)
        var until = Instant.never
        for news in log.news where news.group == number && news.member == member && news.at >= ended {
            until = min(until, news.at)
        }
        for at in log.weightsChangedAt where at <= until { return }
        for illness in log.illnesses
        where illness.endpoint == log.endpoint(number, member) && illness.until >= ended {
            until = min(until, illness.from)
        }
        var passedOver = 0
        for attempt in log.attempts
        where attempt.group == number && attempt.number == 0 && attempt.from >= from && attempt.from < until {
            if attempt.member == member {
                log.tally.recoveries += 1
                return
            }
            passedOver += 1
        }
        let most = RecoveryWindow.requests(members: group.members.count)
        reporter.expect(
            passedOver < most,
            "m\(member) of group \(number) is well since \(formatted(ended)), "
                + "\(passedOver) requests have passed it over"
        )
    }

    /// Whether a member is chosen as often as any other, or first of all.
    private static func isAsGood(_ member: Int, _ group: NamedGroup) -> Bool {
        let weights = group.members.filter { !$0.isBackup }.map(\.weight)
        guard !group.members[member].isBackup, Set(weights).count == 1 else { return false }
        return group.policy != .first || member == 0
    }
}

/// In the beginning of its slow start a member gets little more than its share then, and no more connections than that.
struct Herds: Checker {
    static let name = "Herds"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .quiescent = event, let log = record.groups, log.groups.long != nil else { return }
        for news in log.news {
            guard case .ejected(_, let until) = news.news else { continue }
            let group = log.groups.groups[news.group]
            guard group.slowStartMilliseconds > 0, group.policy != .first, !group.hasLimits,
                group.check == nil, !group.members[news.member].isBackup
            else { continue }
            check(news.group, news.member, until, log, reporter)
        }
    }

    private func check(
        _ number: Int,
        _ member: Int,
        _ from: Instant,
        _ log: GroupLog,
        _ reporter: Reporter
    ) {
        let group = log.groups.groups[number]
        let until = from.adding(milliseconds: group.slowStartMilliseconds / RecoveryWindow.part)
        guard isQuiet(number, member, from, until, log) else { return }
        let attempts = log.attempts.filter {
            $0.group == number && $0.from >= from && $0.from < until && !$0.isSameChoice
        }
        guard attempts.allSatisfy({ !$0.isFailure && $0.number == 0 }), attempts.count >= 20 else { return }
        log.tally.windows += 1
        let own = attempts.count { $0.member == member }
        let most = Self.most(attempts.count, member, group, workers: reporter.world.workers.count)
        let what = "m\(member) of group \(number), back at \(formatted(from))"
        reporter.expect(own <= most, "\(what): \(own) of \(attempts.count) requests, \(most) may be")
        let sockets = log.sockets.count {
            $0.endpoint == log.endpoint(number, member) && $0.at >= from && $0.at < until
        }
        reporter.expect(
            sockets <= own + group.standbyConnectionsMin,
            "\(what): \(sockets) connections for \(own) requests"
        )
    }

    /// Whether nothing else happens to the group in the window: all others are well and past their own slow start.
    private func isQuiet(
        _ number: Int,
        _ member: Int,
        _ from: Instant,
        _ until: Instant,
        _ log: GroupLog
    ) -> Bool {
        let group = log.groups.groups[number]
        let before = Instant(
            nanoseconds: from.nanoseconds - Int64(group.slowStartMilliseconds + 1000) * 1_000_000
        )
        for news in log.news where news.group == number {
            if news.at >= before && news.at <= until && news.member != member { return false }
            if news.at > from && news.at <= until { return false }
            if case .ejected(_, let end) = news.news, news.member != member, end >= before, news.at <= until {
                return false
            }
        }
        for other in group.members.indices where log.isIll(number, other, from: before, until: until) {
            if other != member || log.isIll(number, other, from: from, until: until) { return false }
        }
        return log.weightsChangedAt.isEmpty && !log.jumpedAt.contains { $0 >= from && $0 <= until }
    }

    /// What a member may get of `count` requests.
    private static func most(_ count: Int, _ member: Int, _ group: NamedGroup, workers: Int) -> Int {
        let others = group.members.indices
            .filter { $0 != member && !group.members[$0].isBackup }
            .reduce(0) { $0 + group.members[$1].weight }
        let share = Double(group.members[member].weight) / Double(RecoveryWindow.part)
        let fair = Double(count) * share / (share + Double(others))
        let primaries = group.members.count { !$0.isBackup }
        switch group.policy {
        // Exact: each worker's turns are off by less than one.
        case .roundRobin: return Int(fair) + workers + 1
        // By load, and then by chance, as each key and each pair is.
        case .leastConnections, .powerOfTwoChoices, .hash:
            return Int(fair + 5 * fair.squareRoot()) + workers + 2
        // What has been fast once is taken whenever it is one of the two.
        case .peakEWMA:
            let paired = Double(count) * 2 / Double(primaries)
            return Int(paired + 5 * paired.squareRoot()) + workers
        case .first: return count
        }
    }
}

/// Where nothing disturbs them, policies choose as their mathematics says.
struct Policies: Checker {
    static let name = "Policies"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .quiescent = event, let log = record.groups, log.groups.long != nil else { return }
        for (number, group) in log.groups.groups.enumerated() where !group.hasLimits && group.check == nil {
            guard log.weightsChangedAt.isEmpty else { return }
            var draws = Draws(group)
            for worker in reporter.world.workers.indices {
                check(number, worker, record, log, &draws, reporter)
            }
            if let words = draws.unlikely(group.policy) { reporter("group \(number): \(words)") }
        }
    }

    private func check(
        _ number: Int,
        _ worker: Int,
        _ record: Record,
        _ log: GroupLog,
        _ draws: inout Draws,
        _ reporter: Reporter
    ) {
        let group = log.groups.groups[number]
        var active: [LoggedAttempt] = []
        var turns = Turns(group)
        let attempts = log.attempts
            .filter { $0.group == number && $0.worker == worker }
            .sorted { $0.from == $1.from ? $0.order < $1.order : $0.from < $1.from }
        let late = attempts.filter { $0.chosenSince.adding(microseconds: 2) < $0.from }
        for attempt in attempts {
            active.removeAll { $0.until.adding(microseconds: 2) < attempt.from }
            defer { active.append(attempt) }
            if attempt.isSameChoice { continue }
            let soon = attempt.from.adding(microseconds: 2)
            let early = late.filter { $0.chosenSince <= soon && attempt.from <= $0.from }
            // While one of those was chosen, perhaps, it is not known whose turn it was.
            guard early.isEmpty || group.policy != .roundRobin, isQuiet(attempt, group, log) else {
                turns = Turns(group)
                continue
            }
            log.tally.choices += 1
            let what =
                "request \(attempt.request) to m\(attempt.member) of group \(number) by worker \(worker)"
            switch group.policy {
            case .roundRobin:
                if let words = turns.take(attempt.member) { reporter("\(what): \(words)") }
            case .leastConnections: checkLoad(attempt, group, active, early, what, reporter)
            case .powerOfTwoChoices:
                checkLoad(attempt, group, active, early, what, reporter)
                if active.isEmpty && early.isEmpty { draws.note(attempt.member) }
            case .hash:
                let key = record.requests[attempt.request].plan.hashKey
                let home = draws.note(attempt.member, of: key)
                reporter.expect(home == attempt.member, "\(what): its key went to m\(home) before")
            case .first: reporter.expect(attempt.member == 0, "\(what): m0 has no limit")
            case .peakEWMA: break
            }
        }
    }

    /// Whether all members are well and of full share, and nobody was tried before.
    private func isQuiet(_ attempt: LoggedAttempt, _ group: NamedGroup, _ log: GroupLog) -> Bool {
        guard attempt.number == 0 else { return false }
        let back = attempt.from.adding(milliseconds: -group.slowStartMilliseconds - 1)
        // What was told in that very microsecond may have been known already.
        return [attempt.from, attempt.from.adding(microseconds: 2)].allSatisfy { now in
            let known = log.known(attempt.worker, attempt.group, before: now)
            return known.allSatisfy { !$0.isDown && $0.ejectedUntil < back && $0.dialAfter < attempt.from }
        }
    }

    /// The least loaded of all, or of two: then not the most loaded of all. Whether what ended at this very instant still
    /// counted, and what began again counted already, nobody knows; nor where those of `early` were first.
    private func checkLoad(
        _ attempt: LoggedAttempt,
        _ group: NamedGroup,
        _ active: [LoggedAttempt],
        _ early: [LoggedAttempt],
        _ what: String,
        _ reporter: Reporter
    ) {
        if early.contains(where: { $0.request == attempt.request }) { return }
        let soon = attempt.from.adding(microseconds: 2)
        let own = active.count {
            let wasThere = $0.number == 0 || $0.from.adding(microseconds: 2) < attempt.from
            return $0.member == attempt.member && $0.until > soon && wasThere
        }
        let weight = group.members[attempt.member].weight
        let others = group.members.indices.filter { $0 != attempt.member && !group.members[$0].isBackup }
        let lighter = others.filter { other in
            let load = active.count { $0.member == other } + early.count
            return (load + 1) * weight < (own + 1) * group.members[other].weight
        }
        let most = group.policy == .leastConnections ? 0 : max(0, others.count - 1)
        reporter.expect(
            lighter.count <= most || others.isEmpty,
            "\(what): it has \(own) requests, m\(lighter.first ?? -1) less for its weight"
        )
    }

    /// Counts what is drawn by lot: members of a pair without load, and those of keys.
    private struct Draws {
        private let weights: [Int]
        private var counts: [Int]
        private var homes: [String: Int] = [:]

        init(_ group: NamedGroup) {
            weights = group.members.map { $0.isBackup ? 0 : $0.weight }
            counts = weights.map { _ in 0 }
        }

        mutating func note(_ member: Int) { counts[member] += 1 }

        /// A key is drawn for once. - Returns: where it went then.
        mutating func note(_ member: Int, of key: String) -> Int {
            if let home = homes[key] { return home }
            homes[key] = member
            note(member)
            return member
        }

        /// Pearson's chi-square of the draws: with at most 4 degrees of freedom it is over 60 once in 10^11 times.
        /// Of a pair, who has the greater weight is taken: there only equal ones are drawn.
        func unlikely(_ policy: GroupPolicy) -> String? {
            let (total, count) = (weights.reduce(0, +), counts.reduce(0, +))
            if policy == .powerOfTwoChoices && Set(weights.filter { $0 > 0 }).count > 1 { return nil }
            guard count >= 10 * total else { return nil }
            var sum = 0.0
            for member in weights.indices where weights[member] > 0 {
                let expected = Double(count * weights[member]) / Double(total)
                let off = Double(counts[member]) - expected
                sum += off * off / expected
            }
            return sum > 60 ? "\(counts) draws for weights \(weights)" : nil
        }
    }

    /// Counts turns while nothing changes.
    private struct Turns {
        private let weights: [Int]
        private var taken: [Int]
        private var count = 0

        init(_ group: NamedGroup) {
            weights = group.members.map { $0.isBackup ? 0 : $0.weight }
            taken = weights.map { _ in 0 }
        }

        /// - Returns: what is wrong; `nil`: nothing. From any state, smooth turns are off by less than two.
        mutating func take(_ member: Int) -> String? {
            taken[member] += 1
            count += 1
            let total = weights.reduce(0, +)
            for other in weights.indices where abs(taken[other] * total - count * weights[other]) > 2 * total
            {
                return
                    "m\(other) has had \(taken[other]) of \(count) turns, its weight is \(weights[other]) of \(total)"
            }
            return nil
        }
    }
}
