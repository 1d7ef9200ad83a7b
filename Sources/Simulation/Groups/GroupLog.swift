// GroupLog.swift: what is true about groups so far: what each worker knew of each member when, and every attempt.
// Owns: the past. Attempts come from END, times from when requests reached the engine, news from between the two.
import Balancing
import Engine
import Model

/// What a worker knows of a member.
struct KnownMember: Equatable {
    var weight: Int
    var ejectedUntil = Instant(nanoseconds: .min)
    var isDown = false
    var dialAfter = Instant(nanoseconds: .min)

    func isHealthy(_ now: Instant) -> Bool { !isDown && now >= ejectedUntil }
}

/// One worker's knowledge of one member over time.
struct KnownHistory {
    private var changes: [(at: Instant, known: KnownMember)]

    init(weight: Int) { changes = [(Instant(nanoseconds: .min), KnownMember(weight: weight))] }

    /// What was known before `time`; what came at that very instant may have come too late.
    func known(before time: Instant) -> KnownMember {
        var place = changes.count - 1
        while changes[place].at >= time && place > 0 { place -= 1 }
        return changes[place].known
    }

    mutating func change(at time: Instant, _ change: (inout KnownMember) -> Void) {
        var known = changes[changes.count - 1].known
        change(&known)
        changes.append((time, known))
    }
}

/// One member that a request was tried at, from END.
struct LoggedAttempt {
    var request: Int
    /// Among the request's attempts.
    var number: Int
    var group: Int
    var worker: Int
    var member: Int
    var result: AttemptResult
    /// Whether it goes on where the one before was stale: nobody was chosen for it.
    var isSameChoice: Bool
    /// In microseconds that END has rounded down.
    var from: Instant
    /// When a member may have been chosen at the earliest: another worker may have been asked for a connection to it, and if
    /// it had none another one chosen.
    var chosenSince: Instant
    /// When its dial was over, or an idle connection taken.
    var dialedAt: Instant
    /// When the next one began, or the stream ended.
    var until: Instant
    /// Place of its request in the order in which requests reached the engines.
    var order: Int
    /// No further attempt followed.
    var isLast: Bool
}

/// What the ledgers have said about a member.
struct LoggedNews {
    var group: Int
    var member: Int
    var at: Instant
    var news: HealthNews
}

/// A request that reached an engine, and when its stream ended.
struct LoggedRequest {
    var group: Int
    var worker: Int
    var from: Instant
    var until: Instant
}

/// The past of all groups.
final class GroupLog {
    let groups: GroupWorld
    /// By worker, group, member.
    private var known: [[[KnownHistory]]]
    private(set) var attempts: [LoggedAttempt] = []
    /// Those of the request that ended last.
    private(set) var lastEnded: [LoggedAttempt] = []
    private(set) var requests: [LoggedRequest] = []
    /// In the order in which the ledgers said it.
    private(set) var news: [LoggedNews] = []
    private(set) var illnesses: [(endpoint: Int, ailment: Ailment, from: Instant, until: Instant)] = []
    private(set) var weightsChangedAt: [Instant] = []
    private(set) var jumpedAt: [Instant] = []
    private(set) var sockets: [(endpoint: Int, at: Instant)] = []
    var tally = GroupTally()

    init(_ groups: GroupWorld, workers: Int) {
        self.groups = groups
        let fresh = groups.groups.map { $0.members.map { KnownHistory(weight: $0.weight) } }
        known = Array(repeating: fresh, count: workers)
    }

    /// What a worker knew of a group's members before a time.
    func known(_ worker: Int, _ group: Int, before time: Instant) -> [KnownMember] {
        known[worker][group].map { $0.known(before: time) }
    }

    /// Where a member is among the scenario's endpoints.
    func endpoint(_ group: Int, _ member: Int) -> Int { groups.endpoints[group][member] }

    /// Whether a member was ill at any time from one instant to another, both included.
    func isIll(_ group: Int, _ member: Int, from: Instant, until: Instant) -> Bool {
        illnesses.contains {
            $0.endpoint == endpoint(group, member) && $0.from <= until && from <= $0.until
        }
    }

    // Taking notes.

    func told(_ worker: Int, _ news: GroupNews, now: Instant) {
        switch news {
        case .health(let group, let item):
            guard let member = item.member else { return }
            known[worker][group][member].change(at: now) { $0.apply(item) }
        case .weight(let group, let member, let weight):
            known[worker][group][member].change(at: now) { $0.weight = weight }
            weightsChangedAt.append(now)
        case .standby, .endpoint: break
        }
    }

    func published(_ news: GroupNews, now: Instant) {
        guard case .health(let group, let item) = news, let member = item.member else { return }
        self.news.append(LoggedNews(group: group, member: member, at: now, news: item))
        tally.note(item)
    }

    func fellIll(_ endpoint: Int, _ ailment: Ailment, now: Instant) {
        illnesses.append((endpoint, ailment, now, .never))
    }

    func gotWell(_ endpoint: Int, now: Instant) {
        for place in illnesses.indices where illnesses[place].endpoint == endpoint {
            illnesses[place].until = min(illnesses[place].until, now)
        }
    }

    func jumped(now: Instant) { jumpedAt.append(now) }

    func opened(endpoint: Int, now: Instant) { sockets.append((endpoint, now)) }

    /// The stream of a request has ended.
    func ended(_ request: Int, _ facts: RequestFacts, _ report: EndReport, _ attempts: [Attempt]) {
        lastEnded = []
        guard let group = facts.plan.group, let from = facts.reachedAt else { return }
        let until = from.adding(microseconds: Int(report.timings.totalMicroseconds))
        requests.append(LoggedRequest(group: group, worker: facts.worker, from: from, until: until))
        var logged: [LoggedAttempt] = []
        for (number, attempt) in attempts.enumerated() {
            let start = from.adding(microseconds: Int(attempt.startMicroseconds))
            let before = number > 0 ? attempts[number - 1] : nil
            logged.append(
                LoggedAttempt(
                    request: request,
                    number: number,
                    group: group,
                    worker: facts.worker,
                    member: member(attempt, report, group) ?? -1,
                    result: attempt.result,
                    isSameChoice: before.map { $0.member == attempt.member && $0.result == .stale } ?? false,
                    from: start,
                    chosenSince: before == nil ? from : start,
                    dialedAt: start.adding(microseconds: Int(attempt.durationMicroseconds)),
                    until: until,
                    order: facts.reachedOrder,
                    isLast: number == attempts.count - 1
                )
            )
            if number > 0 { logged[number - 1].until = start }
        }
        lastEnded = logged
        self.attempts += logged
        tally.note(logged)
    }

    private func member(_ attempt: Attempt, _ report: EndReport, _ group: Int) -> Int? {
        guard report.members.indices.contains(attempt.member) else { return nil }
        return groups.member(called: report.members[attempt.member], of: group)
    }
}

extension GroupWorld {
    func member(called name: String, of group: Int) -> Int? {
        groups[group].members.firstIndex { $0.name == name }
    }
}

extension KnownMember {
    fileprivate mutating func apply(_ news: HealthNews) {
        switch news {
        case .suspect: break
        case .ejected(_, let until): ejectedUntil = until
        case .down: isDown = true
        case .up: isDown = false
        case .backOff(_, let until): dialAfter = until
        }
    }
}

extension HealthNews {
    /// Whom it is about; `nil`: it changes nothing in who may be chosen.
    var member: Int? {
        switch self {
        case .suspect: nil
        case .ejected(let member, _), .down(let member), .up(let member, _), .backOff(let member, _): member
        }
    }
}

/// How often what may happen to groups has happened.
package struct GroupTally: Sendable, Equatable {
    package var requests = 0
    package var attempts = 0
    /// Attempts at another member.
    package var retries = 0
    package var ejections = 0
    package var downs = 0
    package var backOffs = 0
    /// Checks that were written.
    package var checks = 0
    /// Attempts while all members were chosen from.
    package var panics = 0
    package var backups = 0
    // What checkers had enough to judge by.
    package var recoveries = 0
    package var windows = 0
    package var choices = 0

    package init() {}

    package mutating func add(_ other: GroupTally) {
        requests += other.requests
        attempts += other.attempts
        retries += other.retries
        ejections += other.ejections
        downs += other.downs
        backOffs += other.backOffs
        checks += other.checks
        panics += other.panics
        backups += other.backups
        recoveries += other.recoveries
        windows += other.windows
        choices += other.choices
    }

    fileprivate mutating func note(_ news: HealthNews) {
        switch news {
        case .suspect, .up: break
        case .ejected: ejections += 1
        case .down: downs += 1
        case .backOff: backOffs += 1
        }
    }

    fileprivate mutating func note(_ logged: [LoggedAttempt]) {
        requests += 1
        attempts += logged.count
        for (one, next) in zip(logged, logged.dropFirst()) where one.member != next.member { retries += 1 }
    }
}

extension NamedGroup {
    /// Whether members may be full.
    var hasLimits: Bool { members.contains { $0.connectionsMax > 0 } }

    /// Whether a request of it may have to wait for a member.
    var hasWaits: Bool { hasLimits || backOff.baseMilliseconds > 0 }
}

extension LoggedAttempt {
    /// Whether it was made at another member than the one before.
    func isRetry(in log: GroupLog) -> Bool { number > 0 && !isSameChoice }
}
