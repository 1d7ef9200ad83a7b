// GroupSabotage.swift: what a world does to groups between the engine and the rest, where it breaks a rule on purpose.
// Owns: the letters of news on their way, right or spoiled. Source: Sabotage.swift.
import Balancing
import Engine
import Model

extension Sabotage {
    /// Whether it shows only where there are groups.
    package var isOfGroups: Bool {
        switch self {
        case .crowdMember, .hideEjection, .hideBackOff, .sendElsewhere, .misnameMember, .overlookFailures,
            .retryFreely, .forgetMember, .rushBack, .changePolicy:
            true
        default: false
        }
    }

    /// The groups as engines and ledgers are told of them, in place of those that checkers believe in.
    func spoiled(_ named: NamedSettings) -> NamedSettings {
        var named = named
        for (name, group) in named.groups {
            var group = group
            switch self {
            case .retryFreely: group.retry.concurrencyMin = 1000
            case .rushBack: group.slowStartMilliseconds = 0
            case .changePolicy:
                let all = GroupPolicy.allCases
                group.policy = all[(group.policy.rawValue + 1) % all.count]
            default: break
            }
            named.groups[name] = group
        }
        return named
    }
}

extension GroupNews {
    fileprivate var isOfBackOff: Bool {
        switch self {
        case .health(_, .backOff), .endpoint(_, .backOff): true
        case .health, .endpoint, .weight, .standby: false
        }
    }
}

extension SimWorld {
    /// News of groups are found in a worker's mailbox.
    func tell(_ news: GroupNews, to number: Int) {
        active = number
        observe(.newsTold(worker: number, news))
        var news = news
        if case .health(let group, .ejected(let member, let until)) = news {
            if sabotage == .hideEjection { return }
            if sabotage == .forgetMember {
                let late = until.adding(milliseconds: 3_600_000)
                news = .health(group: group, .ejected(member: member, until: late))
            }
        }
        if sabotage == .hideBackOff && number > 0 && news.isOfBackOff { return }
        callEngine { $0.told(news, now: $1) }
    }

    /// Has a request that must not be repeated go to a second member.
    func sabotageMember(_ request: Int, _ link: Int) {
        guard sabotage == .sendElsewhere, !record.requests[request].plan.mayRepeat,
            record.requests[request].plan.group != nil
        else { return }
        let other = record.links.indices.first { other in
            guard let endpoint = record.links[other].endpoint else { return false }
            return endpoint != record.links[link].endpoint
                && record.requests[request].plan.endpoints.contains(endpoint)
        }
        if let other, sabotages(.sendElsewhere) { observe(.requestBegan(link: other, request: request)) }
    }

    /// Notes which requests the bytes that a worker is about to pass on complete.
    func noteReached(_ link: Link, _ bytes: [UInt8]) {
        guard scenario.groups != nil || scenario.pins != nil, case .proxy(let proxy) = link.farEnd,
            proxy < proxies.count
        else { return }
        for stream in sessionTaps[link.id, default: SessionTap()].parse(bytes) {
            guard let request = proxies[proxy].lastRequest[stream] else { continue }
            observe(.requestReached(request: request, worker: link.worker))
        }
    }
}
