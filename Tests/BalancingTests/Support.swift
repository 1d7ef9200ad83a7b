// Support.swift: groups, time and statistics for tests. Everything follows from seeds.
import Balancing
import Model
import Testing

/// Whether ejections follow from what `MemberResult` says, and all workers hear of it at once.
struct World {
    var settings: NamedGroup
    var ledger: HealthLedger
    var groups: [Group]
    var random = RandomSource(seed: 7)
    var now = Instant(nanoseconds: 1_000_000_000)
    var news: [HealthNews] = []

    init(_ settings: NamedGroup, workers: Int = 1, seed: UInt64 = 1) {
        self.settings = settings
        let now = now
        ledger = HealthLedger(settings, seed: seed, now: now)
        groups = (0..<workers).map { Group(settings, spread: $0, now: now) }
    }

    mutating func wait(_ milliseconds: Int) { now = now.adding(milliseconds: milliseconds) }

    mutating func pick(_ worker: Int = 0, key: UInt64 = 0, tried: Tried = Tried()) -> Pick {
        groups[worker].pick(now: now, key: key, tried: tried, random: &random)
    }

    /// - Returns: the news that came of it.
    @discardableResult
    mutating func tell(_ result: MemberResult, _ member: Int, worker: Int = 0) -> [HealthNews] {
        guard groups[worker].isNews(result, of: member) else { return [] }
        var new: [HealthNews] = []
        ledger.record(result, of: member, now: now, news: &new)
        spread(new)
        return new
    }

    @discardableResult
    mutating func check(_ member: Int, _ isPassed: Bool) -> [HealthNews] {
        var new: [HealthNews] = []
        ledger.checked(member, isPassed: isPassed, now: now, news: &new)
        spread(new)
        return new
    }

    mutating func spread(_ new: [HealthNews]) {
        news += new
        for index in groups.indices {
            for item in new { groups[index].apply(item, now: now) }
        }
    }

    /// How often each member is chosen of `count` requests, none of which stays.
    mutating func counts(_ count: Int, worker: Int = 0) -> [Int] {
        var counts = Array(repeating: 0, count: settings.members.count)
        for number in 0..<count {
            let key = RandomSource.key(number)
            if case .member(let member) = pick(worker, key: key) { counts[member] += 1 }
        }
        return counts
    }

    func isHealthy(_ member: Int) -> Bool { groups[0].isHealthy(member, now: now) }
}

extension RandomSource {
    /// Keys of requests.
    static func key(_ number: Int) -> UInt64 { HashKey.of(Array("/object/\(number)".utf8).span) }
}

extension NamedGroup {
    /// Members a, b, c … by weight.
    static func of(
        _ policy: GroupPolicy,
        _ weights: [Int],
        _ change: (inout NamedGroup) -> Void = { _ in }
    ) -> NamedGroup {
        var group = NamedGroup()
        group.policy = policy
        group.members = weights.enumerated().map { index, weight in
            let name = String(UnicodeScalar(UInt8(97 + index)))
            var member = GroupMember(name: name, endpoint: .ip(.v4(UInt32(index)), port: 80))
            member.weight = weight
            return member
        }
        change(&group)
        return group
    }
}

/// Pearson's test.
enum ChiSquare {
    /// What is exceeded once in 10,000 times, by degrees of freedom from 1 on.
    private static let critical = [15.1, 18.4, 21.1, 23.5, 25.7, 27.9, 29.9, 31.8, 33.7, 35.6]

    /// Whether `counts` may well come from chances that are as `weights`. Fixed seeds: it is always the same
    /// answer.
    static func fits(_ counts: [Int], _ weights: [Double]) -> Bool {
        let total = Double(counts.reduce(0, +))
        let whole = weights.reduce(0, +)
        var sum = 0.0
        var freedom = -1
        for (count, weight) in zip(counts, weights) {
            if weight == 0 {
                if count > 0 { return false }
                continue
            }
            let expected = total * weight / whole
            sum += (Double(count) - expected) * (Double(count) - expected) / expected
            freedom += 1
        }
        return freedom == 0 || sum < critical[freedom - 1]
    }
}

let policies: [GroupPolicy] = [
    .roundRobin, .leastConnections, .powerOfTwoChoices, .peakEWMA, .hash, .first,
]
