// HealthDirectory.swift: what engines tell each other of the members of groups, and who decides over their health.
// Owns: the words of that talk, and the ledgers of all groups. Who answers is outside the engine: a book under a lock, or
// one without in tests and simulations. Source: DESIGN "Threads"; Sources/Balancing/HealthLedger.swift has the rules.
import Balancing
import Model

/// What all workers have to know of a group. Groups are named by number, in the order of their names.
package enum GroupNews: Equatable, Sendable {
    case health(group: Int, HealthNews)
    /// For groups without a name; those with one are told by `health`.
    case endpoint(Endpoint, EndpointNews)
    case weight(group: Int, member: Int, Int)
    /// So many connections to each member are kept ready, by all workers together.
    case standby(group: Int, Int)
}

/// One member of one group.
package struct MemberPlace: Hashable, Sendable {
    package var group: Int
    package var member: Int

    package init(group: Int, member: Int) {
        self.group = group
        self.member = member
    }
}

/// What came of a check.
package enum CheckResult: Equatable, Sendable {
    case passed
    case failed
    /// It could not be carried out, for want of room.
    case postponed
}

/// The groups of a process as its engines see them. Asked for failures, for successes of members under suspicion, when a
/// request has to wait, and by one worker for checks; never for a plain request. News go to every worker, to the one that
/// asked too, all in the same order, after the call has returned.
package protocol HealthDirectory: AnyObject {
    /// How many workers there are.
    var workers: Int { get }

    /// Takes note of what came of an attempt.
    func record(_ result: MemberResult, of place: MemberPlace, now: Instant)

    /// Takes note of what a group without a name found out about an endpoint.
    func share(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant)

    /// Counts one more request that waits for a member; `own`: of its session so many wait already.
    /// - Returns: whether it may wait (`HealthBook.mayWait`); always when it is `forced`.
    func enterQueue(_ group: Int, having own: Int, forced: Bool) -> Bool

    func leaveQueue(_ group: Int)

    /// When a check is due next, unless one is under way whose result is to come; `never`: none.
    var nextCheckAt: Instant { get }

    /// The next check that is due, which the caller carries out.
    func checkDue(now: Instant) -> MemberPlace?

    /// What came of it.
    func checked(_ place: MemberPlace, _ result: CheckResult, now: Instant)
}

/// The ledgers of all groups, and what is to be told of them.
package struct HealthBook: Sendable {
    private var ledgers: [HealthLedger] = []
    private var waiting: [Int] = []
    private let queueLengthsMax: [Int]
    private var members: [[String]] = []
    private var numbers: [String: Int] = [:]
    private var endpoints = EndpointPlaces()
    private var news: [GroupNews] = []
    private var scratch: [HealthNews] = []

    /// - Parameters:
    ///   - named: whose groups it is about.
    ///   - seed: of the jitter; different in every process.
    ///   - now: the first reading of the clock.
    package init(_ named: NamedSettings, seed: UInt64, now: Instant) {
        let groups = named.numberedGroups
        queueLengthsMax = groups.map(\.group.queueLengthMax)
        for (number, (name, group)) in groups.enumerated() {
            ledgers.append(HealthLedger(group, seed: seed &+ UInt64(number), now: now))
            waiting.append(0)
            members.append(group.members.map(\.name))
            endpoints.insert(group.members.map(\.endpoint), of: number)
            numbers[name] = number
        }
    }

    /// What every worker has to be told since the last call, in order.
    package mutating func takeNews() -> [GroupNews] {
        if news.isEmpty { return [] }
        defer { news = [] }
        return news
    }

    package mutating func record(_ result: MemberResult, of place: MemberPlace, now: Instant) {
        let shared = ledgers[place.group].record(result, of: place.member, now: now, news: &scratch)
        publish(place.group)
        if let shared { share(shared, of: endpoints.endpoint(place), now: now) }
    }

    /// Has all groups with the endpoint know of it; the one that found it out learns nothing new.
    package mutating func share(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant) {
        for place in endpoints.places(endpoint) {
            ledgers[place.group].take(shared, of: place.member, now: now, news: &scratch)
            publish(place.group)
        }
        news.append(.endpoint(endpoint, shared))
    }

    /// A session may have so many requests wait for each place that is free.
    private static let waitingPerFreePlace = 8

    /// Whether one more request of a session that has `own` waiting may wait where so many places are `free`. However many one
    /// session asks for, some places stay free for others: it alone gets eight ninths of them, two get eight seventeenths each.
    /// Source: Choudhury, Hahne: "Dynamic queue length thresholds for shared-memory packet switches" (1998).
    package static func mayWait(having own: Int, free: Int) -> Bool {
        free > 0 && own <= waitingPerFreePlace * free
    }

    package mutating func enterQueue(_ group: Int, having own: Int, forced: Bool) -> Bool {
        let free = queueLengthsMax[group] - waiting[group]
        if !forced && !Self.mayWait(having: own, free: free) { return false }
        waiting[group] += 1
        return true
    }

    package mutating func leaveQueue(_ group: Int) {
        waiting[group] -= 1
        precondition(waiting[group] >= 0, "a request left a group's queue twice")
    }

    /// Requests that wait, over all groups.
    package var waitingCount: Int { waiting.reduce(0, +) }

    package var nextCheckAt: Instant { ledgers.reduce(Instant.never) { min($0, $1.nextCheckAt) } }

    package mutating func checkDue(now: Instant) -> MemberPlace? {
        for group in ledgers.indices {
            if let member = ledgers[group].checkDue(now: now) {
                return MemberPlace(group: group, member: member)
            }
        }
        return nil
    }

    package mutating func checked(_ place: MemberPlace, _ result: CheckResult, now: Instant) {
        switch result {
        case .passed: ledgers[place.group].checked(place.member, isPassed: true, now: now, news: &scratch)
        case .failed: ledgers[place.group].checked(place.member, isPassed: false, now: now, news: &scratch)
        case .postponed: ledgers[place.group].postponed(place.member, now: now)
        }
        publish(place.group)
    }

    /// Tells all workers what a configuration says now of weights and of connections to be kept ready. Groups and members
    /// that are new in it, or gone, are left as they are.
    package mutating func takeSettings(_ groups: [String: NamedGroup]) {
        for (name, group) in groups.sorted(by: { $0.key < $1.key }) {
            guard let number = numbers[name] else { continue }
            for member in group.members {
                guard let index = members[number].firstIndex(of: member.name) else { continue }
                news.append(.weight(group: number, member: index, member.weight))
            }
            news.append(.standby(group: number, group.standbyConnectionsMin))
        }
    }

    private mutating func publish(_ group: Int) {
        for item in scratch { news.append(.health(group: group, item)) }
        scratch.removeAll(keepingCapacity: true)
    }
}
