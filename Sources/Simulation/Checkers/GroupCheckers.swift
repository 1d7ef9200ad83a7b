// GroupCheckers.swift: rules about single requests of groups: whom they are sent to, how often, and what END says of it.
// Source: issue "Groups"; Sources/Balancing/Group.swift, pick; RFC 9110 §9.2.2.
import Balancing
import Engine
import Model

/// Never are more sockets open to a member than its group says, over all workers.
struct MemberLimits: Checker {
    static let name = "MemberLimits"

    private var openAt: [Endpoint: Int] = [:]
    private var endpointOf: [Int: Endpoint] = [:]

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard let groups = record.groups?.groups else { return }
        switch event {
        case .socketOpened(let link, let endpoint):
            endpointOf[link] = endpoint
            openAt[endpoint, default: 0] += 1
            let count = openAt[endpoint, default: 0]
            for group in groups.groups {
                for member in group.members where member.endpoint == endpoint && member.connectionsMax > 0 {
                    reporter.expect(
                        count <= member.connectionsMax,
                        "link \(link): \(count) sockets to \(member.name), \(member.connectionsMax) may be"
                    )
                }
            }
        case .socketClosed(let link):
            guard let endpoint = endpointOf.removeValue(forKey: link) else { return }
            openAt[endpoint, default: 0] -= 1
        default: break
        }
    }
}

/// A request goes to a member that may be chosen, as far as its worker knows: a healthy one, to a backup only when no
/// primary is left, to any in a panic, to none twice; and nobody dials a member that is not to be dialed yet.
struct Choices: Checker {
    static let name = "Choices"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard let log = record.groups else { return }
        switch event {
        case .ended(let request, _, _):
            let facts = record.requests[request]
            // A pin leads to its member, whatever may be chosen.
            guard facts.plan.group != nil, facts.plan.token.isEmpty, facts.endCount == 1 else { return }
            var tried: Set<Int> = []
            for attempt in log.lastEnded {
                check(attempt, tried, log, reporter)
                if attempt.isFailure { tried.insert(attempt.member) }
            }
        case .socketOpened(let link, _): checkDial(link, record, log, reporter)
        default: break
        }
    }

    private func check(_ attempt: LoggedAttempt, _ tried: Set<Int>, _ log: GroupLog, _ reporter: Reporter) {
        let count = log.groups.groups[attempt.group].members.count
        let what =
            "request \(attempt.request), attempt \(attempt.number) at m\(attempt.member) of group "
            + "\(attempt.group), worker \(attempt.worker), \(formatted(attempt.from))"
        guard 0..<count ~= attempt.member else { return reporter("\(what): no such member") }
        if attempt.isSameChoice { return }
        reporter.expect(!tried.contains(attempt.member), "\(what): it was tried before")
        // Whether what was told in that very microsecond, or ended in it, was known already, END does not say.
        let times = [attempt.from, attempt.from.adding(microseconds: 2)]
        var words = ""
        for known in times.map({ log.known(attempt.worker, attempt.group, before: $0) }) {
            for now in times {
                guard let fault = fault(of: attempt, known, at: now, tried, log) else { return }
                words = fault
            }
        }
        reporter("\(what): \(words)")
    }

    /// What is wrong with a choice if it was made at an instant.
    private func fault(
        of attempt: LoggedAttempt,
        _ known: [KnownMember],
        at now: Instant,
        _ tried: Set<Int>,
        _ log: GroupLog
    ) -> String? {
        let members = log.groups.groups[attempt.group].members
        if known[attempt.member].weight == 0 { return "its weight is 0" }
        let present = known.count { $0.weight > 0 }
        let healthy = known.count { $0.weight > 0 && $0.isHealthy(now) }
        if healthy == 0 || healthy * 100 < log.groups.groups[attempt.group].panicPercent * present {
            log.tally.panics += 1
            return nil
        }
        if !known[attempt.member].isHealthy(now) { return "it is ejected or down" }
        guard members[attempt.member].isBackup else { return nil }
        log.tally.backups += 1
        let primary = known.indices.first {
            !members[$0].isBackup && known[$0].weight > 0 && known[$0].isHealthy(now) && !tried.contains($0)
        }
        return primary.map { "a backup, and m\($0) is healthy" }
    }

    /// Only where nobody else dials: neither other requests nor checks, which are there to find out.
    private func checkDial(_ link: Int, _ record: Record, _ log: GroupLog, _ reporter: Reporter) {
        guard log.groups.long != nil, let endpoint = record.links[link].endpoint,
            let (group, member) = log.groups.place(of: endpoint), log.groups.groups[group].check == nil
        else { return }
        let worker = reporter.world.links[link].worker
        // What was told in this very instant may be known already, or not yet.
        let instants = [reporter.now, reporter.now.adding(microseconds: 1)]
        let dialAfter = instants.map { log.known(worker, group, before: $0)[member].dialAfter }.reduce(
            .never,
            min
        )
        reporter.expect(
            dialAfter <= reporter.now,
            "link \(link): m\(member) of group \(group) is not to be dialed before \(formatted(dialAfter))"
        )
    }
}

/// What may not be repeated is sent to one member only, and what may be, to no more than the group says.
struct MemberRetries: Checker {
    static let name = "MemberRetries"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard let groups = record.groups?.groups else { return }
        switch event {
        case .requestBegan(let link, let request):
            guard let request, record.requests[request].plan.group != nil else { return }
            check(request, link, record, reporter)
        case .reply(let request, let head):
            let facts = record.requests[request]
            guard facts.plan.group != nil, let last = facts.writes.last, let serve = head.serveField,
                record.serves.indices.contains(serve), !facts.plan.isRaw, !record.serves[serve].plan.isRefusal
            else { return }
            reporter.expect(
                record.serves[serve].link == last.link,
                "request \(request): answered on link \(record.serves[serve].link), sent on \(last.link) since"
            )
        case .ended(let request, _, _):
            guard let group = record.requests[request].plan.group else { return }
            // What a stale connection has not carried was tried nowhere.
            let members = Set(record.groups?.lastEnded.filter { $0.result != .stale }.map(\.member) ?? [])
            let most = groups.groups[group].retry.attemptsMax
            reporter.expect(
                members.count <= most,
                "request \(request) was tried at \(members.count) members, \(most) may be"
            )
        default: break
        }
    }

    private func check(_ request: Int, _ link: Int, _ record: Record, _ reporter: Reporter) {
        let facts = record.requests[request]
        let members = facts.writes.map { record.links[$0.link].endpoint }
        guard Set(members).count > 1, facts.writes.count > 1 else { return }
        let what = "request \(request) (\(facts.plan.method)) sent to another member on link \(link)"
        reporter.expect(facts.plan.mayRepeat, "\(what): not idempotent")
        reporter.expect(!facts.isReplySeen, "\(what): the proxy has seen a reply")
        let earlier = facts.writes[facts.writes.count - 2]
        reporter.expect(
            record.links[earlier.link].isOverReported || reporter.world.links[earlier.link].isCloseOrdered,
            "\(what): link \(earlier.link) lives"
        )
        reporter.expect(
            earlier.bodyBytes <= record.scenario.limits.replayBytesMax,
            "\(what): \(earlier.bodyBytes) body bytes were gone"
        )
    }
}

/// END names the member that served, and every one that the request was sent to.
struct MemberNames: Checker {
    static let name = "MemberNames"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .ended(let request, let report, _) = event, let log = record.groups else { return }
        let facts = record.requests[request]
        guard let group = facts.plan.group, facts.endCount == 1 else {
            let isNamed = report.member >= 0 && facts.plan.balancing == nil && facts.plan.group == nil
            return reporter.expect(!isNamed, "request \(request) has no group, its END names a member")
        }
        let names = log.groups.groups[group].members.map(\.name)
        let what = "request \(request) of group \(group)"
        for name in report.members where !names.contains(name) { reporter("\(what): no member is \(name)") }
        let name = report.members.indices.contains(report.member) ? report.members[report.member] : nil
        let named = name.flatMap { log.groups.member(called: $0, of: group) }
        let attempts = log.lastEnded
        reporter.expect(
            attempts.allSatisfy { names.indices.contains($0.member) },
            "\(what): an attempt at nobody"
        )
        if let last = attempts.last {
            reporter.expect(
                named == last.member,
                "\(what): tried m\(last.member) last, END says \(name ?? "-")"
            )
        }
        for write in facts.writes {
            guard let endpoint = record.links[write.link].endpoint else { continue }
            let isTold = attempts.contains {
                names.indices.contains($0.member) && log.endpoint(group, $0.member) == endpoint
            }
            reporter.expect(isTold, "\(what): sent on link \(write.link), END has no attempt there")
        }
        guard let serve = facts.serve, record.serves.indices.contains(serve),
            let endpoint = record.links[record.serves[serve].link].endpoint
        else { return }
        let isRight = named.map { log.endpoint(group, $0) == endpoint } ?? false
        reporter.expect(isRight, "\(what): served by endpoint \(endpoint), END says \(name ?? "nobody")")
    }
}

/// A member that cannot be dialed is ejected after as many failures as its group says, and for as long.
struct Ejections: Checker {
    static let name = "Ejections"

    // By endpoint.
    private var failures: [Int: Int] = [:]
    /// The last failure was enough, and there was room for one more ejection.
    private var isDue: Set<Int> = []
    private var ejectedUntil: [Int: Instant] = [:]
    private var ejections: [Int: Int] = [:]

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard let groups = record.groups?.groups, groups.long != nil else { return }
        switch event {
        case .dialed(let link, let result):
            guard let endpoint = record.links[link].endpoint, let (number, _) = groups.place(of: endpoint)
            else { return }
            // A check's dials say nothing about it.
            let group = groups.groups[number]
            guard group.check == nil, group.ejection.dialFailures > 0 else { return }
            switch result {
            case .connected: return forget(endpoint)
            case .failed(.refused), .failed(.unreachable), .failed(.timeout): break
            // Of no local port, for instance, it cannot help.
            case .failed: return
            }
            if ejectedUntil[endpoint].map({ $0 > reporter.now }) ?? false { return }
            let count = failures[endpoint, default: 0]
            reporter.expect(
                !isDue.contains(endpoint),
                "endpoint \(endpoint) has failed \(count) dials in a row"
            )
            failures[endpoint] = count + 1
            let ejected = groups.endpoints[number].count {
                ejectedUntil[$0].map { $0 > reporter.now } ?? false
            }
            if count + 1 >= group.ejection.dialFailures && ejected < Self.ejectedMax(group) {
                isDue.insert(endpoint)
            }
        case .newsPublished(.health(let number, .ejected(let member, let until))):
            let endpoint = groups.endpoints[number][member]
            forget(endpoint)
            ejectedUntil[endpoint] = until
            checkLength(endpoint, until, groups.groups[number], reporter)
            ejections[endpoint, default: 0] += 1
            let ejected = groups.endpoints[number].count {
                ejectedUntil[$0].map { $0 > reporter.now } ?? false
            }
            reporter.expect(
                ejected <= Self.ejectedMax(groups.groups[number]),
                "\(ejected) members of group \(number) are ejected"
            )
        default: break
        }
    }

    private mutating func forget(_ endpoint: Int) {
        failures[endpoint] = 0
        isDue.remove(endpoint)
    }

    private static func ejectedMax(_ group: NamedGroup) -> Int {
        let percent = group.ejection.ejectedPercentMax
        return percent == 0 ? 0 : max(1, group.members.count * percent / 100)
    }

    /// Doubled for each ejection before, of which time forgives some; a little off either way.
    private func checkLength(_ endpoint: Int, _ until: Instant, _ group: NamedGroup, _ reporter: Reporter) {
        let settings = group.ejection
        let length = Int(until.microseconds(since: reporter.now))
        let least = min(settings.baseMilliseconds, settings.millisecondsMax)
        let doublings = min(ejections[endpoint, default: 0], 20)
        let most = min(settings.baseMilliseconds << doublings, settings.millisecondsMax)
        let (low, high) = (100 - settings.jitterPercent, 100 + settings.jitterPercent)
        reporter.expect(
            length >= least * 10 * low && length <= most * 10 * high,
            "endpoint \(endpoint) is ejected for \(length) us, \(doublings) ejections after the first"
        )
    }
}

extension LoggedAttempt {
    /// Whether its member counts as tried from then on.
    var isFailure: Bool {
        switch result {
        case .refused, .unreachable, .timeout, .failed, .tlsFailed, .peerRefused, .exchangeFailed: true
        case .connected, .reused, .stale, .abandoned: false
        }
    }
}

extension GroupWorld {
    /// The member at an endpoint; of a long world there is one.
    func place(of endpoint: Int) -> (group: Int, member: Int)? {
        for (group, members) in endpoints.enumerated() {
            if let member = members.firstIndex(of: endpoint) { return (group, member) }
        }
        return nil
    }
}
