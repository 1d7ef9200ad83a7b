// Traffic.swift: plays the timetable of a long world: members fall ill and get well, weights change, requests come.
// Owns: who is ill now. Most requests come when something happens to a member, so that hours cost little.
import Engine
import Model

/// Something that the timetable says, or that follows from it.
enum Traffic: Equatable {
    /// One request of each group, and again later.
    case trickle
    case burst(group: Int, count: Int, microseconds: Int)
    /// A member's ejection ends.
    case comesBack(group: Int, member: Int)
    /// By number of the spell.
    case fallsIll(Int)
    case getsWell(Int)
    /// By number of the change.
    case weights(Int)
    case ends
}

/// What changes while a long world runs.
struct TrafficState {
    var random: SeededRandom
    var requestsLeft: Int
    var isOver = false
    /// By endpoint, for lookups only.
    var ailments: [Int: Ailment] = [:]
}

extension SimWorld {
    /// Whether requests are still to come that no proxy knows of yet.
    var expectsTraffic: Bool { traffic.map { !$0.isOver } ?? false }

    func ailment(of endpoint: Int) -> Ailment? { traffic?.ailments[endpoint] }

    /// How an endpoint takes connections now.
    func manner(of endpoint: Int) -> EndpointManner {
        switch ailment(of: endpoint) {
        case .refuses: .refuses
        case .unreachable: .unreachable
        case .blackHole: .blackHole
        case .resets, .stalls, .answers, .lags, nil: scenario.endpoints[endpoint].manner
        }
    }

    func planTraffic(_ long: LongRun) {
        traffic = TrafficState(random: random.fork(), requestsLeft: long.requestsMax)
        func plan(_ traffic: Traffic, at time: Instant) { self.plan(.traffic(traffic), at: time) }
        plan(.trickle, at: now.adding(milliseconds: 2000))
        for group in scenario.groups?.groups.indices ?? 0..<0 {
            plan(.burst(group: group, count: 60, microseconds: 5_000_000), at: now.adding(milliseconds: 9000))
        }
        for (number, spell) in long.spells.enumerated() {
            plan(.fallsIll(number), at: spell.from)
            plan(.getsWell(number), at: spell.until)
        }
        for (number, change) in long.weights.enumerated() { plan(.weights(number), at: change.at) }
        plan(.ends, at: long.endsAt)
    }

    func happen(_ event: Traffic) {
        guard let long = scenario.groups?.long else { return }
        switch event {
        case .trickle:
            guard expectsTraffic else { return }
            for group in scenario.groups?.groups.indices ?? 0..<0 { ask(group, at: now) }
            plan(.traffic(.trickle), at: now.adding(milliseconds: long.trickleSeconds * 1000))
        case .burst(let group, let count, let microseconds): burst(group, count, microseconds)
        case .comesBack(let group, let member): comeBack(group, member)
        case .fallsIll(let number): fallIll(long.spells[number])
        case .getsWell(let number):
            traffic?.ailments[long.spells[number].endpoint] = nil
            observe(.gotWell(endpoint: long.spells[number].endpoint))
        case .weights(let number): change(long.weights[number])
        case .ends:
            traffic?.isOver = true
            for proxy in proxies { plan(.proxyWake(proxy: proxy.index), at: now) }
        }
    }

    private func fallIll(_ spell: Spell) {
        traffic?.ailments[spell.endpoint] = spell.ailment
        observe(.fellIll(endpoint: spell.endpoint, spell.ailment))
        if spell.ailment == .refuses {
            for link in links
            where record.links[link.id].endpoint == spell.endpoint && link.workerSide == .open {
                farReset(link.id, overtakes: true)
            }
        }
        burst(spell.group, 40, 4_000_000)
    }

    private func change(_ change: WeightChange) {
        guard var named = scenario.groups?.named.groups else { return }
        named[GroupWorld.name(change.group)]?.members[change.member].weight = change.weight
        health.takeSettings(named)
        takeNews()
    }

    /// Requests of one group, evenly over a time.
    private func burst(_ group: Int, _ count: Int, _ microseconds: Int) {
        for number in 0..<count {
            guard let left = traffic?.requestsLeft, left > 0 else { return }
            traffic?.requestsLeft -= 1
            let wait = microseconds * number / count + (traffic?.random.below(microseconds / count + 1) ?? 0)
            ask(group, at: now.adding(microseconds: wait))
        }
    }

    /// A request of a group, by any proxy.
    private func ask(_ group: Int, at time: Instant) {
        guard let groups = scenario.groups, let proxy = traffic?.random.below(proxies.count) else { return }
        guard proxies[proxy].state == .open, var random = traffic?.random.fork() else { return }
        let id = record.requests.count
        var plan = RequestPlan(id: id, group: group, groups, &random)
        plan.startsAt = time
        record.requests.append(RequestFacts(plan: plan, proxy: proxy))
        proxies[proxy].plans.append(id)
        self.plan(.proxyWake(proxy: proxy), at: time)
    }

    func planRecovery(_ news: GroupNews) {
        guard expectsTraffic, case .health(let group, .ejected(let member, let until)) = news else { return }
        plan(.traffic(.comesBack(group: group, member: member)), at: until)
    }

    /// Much is asked for when a member is well again, as then it would show if all went there at once.
    private func comeBack(_ number: Int, _ member: Int) {
        guard let groups = scenario.groups else { return }
        if ailment(of: groups.endpoints[number][member]) != nil { return burst(number, 6, 500_000) }
        let group = groups.groups[number]
        let slow = group.slowStartMilliseconds
        if slow > 0 { burst(number, 40, slow * 1000 / RecoveryWindow.part) }
        let count = RecoveryWindow.requests(members: group.members.count) + 10
        let again = now.adding(milliseconds: slow + 2 * RecoveryWindow.patience)
        plan(.traffic(.burst(group: number, count: count, microseconds: 3_000_000)), at: again)
    }

    /// Checks and connections that are kept ready go on for as long as the process does: it ends with its last proxy.
    func drainWhenAlone() {
        guard scenario.groups != nil, !record.isDraining else { return }
        for proxy in proxies where proxy.state != .gone { return }
        plan(.drain, at: now.adding(milliseconds: 1))
    }
}

/// The time behind a recovery that checkers look at.
enum RecoveryWindow {
    /// Of the slow start: its first eighth.
    static let part = 8
    /// News and requests that wait have come by then, milliseconds.
    static let patience = 200

    /// So many requests of a group never all pass over a member that is as good as the others, but once in 10^7 or so.
    static func requests(members: Int) -> Int { 15 * members }
}
