// GroupSection.swift: `groups:`, sets of servers or peers by name.
// Owns: the keys of a group and of a member. Never touches: what balancing does with them.
// Source: Sources/Model/NamedGroup.swift; names as HAProxy and Envoy have them, where they have them.
import Model

/// A day in milliseconds.
let groupMillisecondsMax = 86_400_000

private enum GroupKeys {
    static let policies: [(word: String, value: GroupPolicy)] = [
        ("round-robin", .roundRobin), ("least-connections", .leastConnections),
        ("power-of-two-choices", .powerOfTwoChoices), ("peak-ewma", .peakEWMA), ("hash", .hash),
        ("first", .first),
    ]
    static let policy = Key(
        "policy",
        "round-robin",
        "How a member is chosen: round-robin (smooth, weighted), least-connections (weighted), power-of-two-choices",
        "(the less loaded one of two at random), peak-ewma (the one of two whose latency promises the earlier reply), hash",
        "(of a key of the request, weighted rendezvous), first (in order; the next one at a limit). Default: round-robin."
    )
    static let members = Key(
        "members",
        "",
        "Who is in it: 1 to 1024, each \"IPv4:PORT\", \"[IPv6]:PORT\" or \"unix:PATH\", or a mapping as below."
    )
    static let origin = Key(
        "origin",
        "\"https://origin.example\"",
        "What requests of the group ask for, http://HOST or https://HOST, with a port where there is one: for it connections",
        "are kept ready, TLS that fails with its name counts against a member for all requests, and checks ask for its host.",
        "Default: not known; connections that are kept ready are like those of the last request, in clear text before the",
        "first, and checks ask for the endpoint."
    )
    static let route = Key(
        "route",
        "parent",
        "The named route that they take. Default: direct."
    )
    static let ejection = Key(
        "ejection",
        "",
        "What follows from requests that fail. A stale connection from the pool is no failure."
    )
    static let backOff = Key(
        "back-off",
        "",
        "How long a member that could not be dialed is not dialed again, nor its endpoint by other groups."
    )
    static let check = Key(
        "check",
        "",
        "Checks of members beside the requests. Default: none."
    )
    static let retry = Key(
        "retry",
        "",
        "Retries at another member, of what may be repeated."
    )
    static let numbers: [NumberKey<NamedGroup>] = [
        NumberKey(
            "queue-length-max",
            \.queueLengthMax,
            .number,
            0...1_000_000,
            "Requests that wait while all members are at their limits, of one session 8 for each free place; 0: none waits"
        ),
        NumberKey(
            "slow-start-milliseconds",
            \.slowStartMilliseconds,
            .milliseconds,
            0...groupMillisecondsMax,
            "Time in which the share of a member that recovered grows from a tenth to the whole; 0: at once"
        ),
        NumberKey(
            "standby-connections-min",
            \.standbyConnectionsMin,
            .number,
            0...1024,
            "Idle connections of all workers to each member that are kept ready, from the start. Read again at SIGHUP"
        ),
        NumberKey(
            "panic-percent",
            \.panicPercent,
            .number,
            0...100,
            "Share of healthy members below which all are chosen from; 0: only when none is healthy"
        ),
        NumberKey(
            "decay-milliseconds",
            \.decayMilliseconds,
            .milliseconds,
            1...groupMillisecondsMax,
            "Time in which an observed latency loses 63 % of its weight; for peak-ewma"
        ),
    ]
    static let all =
        [policy, members, origin, route].map(\.name) + numbers.map(\.name) + mappings.map(\.name)
    static let mappings = [ejection, backOff, check, retry]
}

private enum MemberKeys {
    static let endpoint = Key(
        "endpoint",
        "\"192.0.2.1:80\"",
        "Where it listens: IPv4:PORT, [IPv6]:PORT or unix:PATH."
    )
    static let name = Key(
        "name",
        "a",
        "What END, logs and the policy hash know it by: 1 to 64 letters, digits, '.', '-', '_'. Default: the endpoint."
    )
    static let backup = Key(
        "backup",
        "false",
        "Whether it is chosen only while no other member can be: true or false. Default: false."
    )
    static let numbers: [NumberKey<GroupMember>] = [
        NumberKey(
            "weight",
            \.weight,
            .number,
            0...GroupMember.weightMax,
            "Its share beside others; 0: it is not chosen. Read again at SIGHUP"
        ),
        NumberKey(
            "connections-max",
            \.connectionsMax,
            .number,
            0...1_000_000,
            "Connections of the process to it; 0: no limit but connections-per-endpoint-max"
        ),
    ]
    static let all = [endpoint.name, name.name, backup.name] + numbers.map(\.name)
}

extension Section {
    static let groups = Section(
        key: Key("groups", ""),
        read: { node, reading, settings in
            for entry in reading.mapping(node, "groups") ?? [] where reading.isName(entry, "groups") {
                let group = reading.group(entry.value, entry.mark, "groups: \(entry.key)", settings)
                settings.named.groups[entry.key] = group
            }
        },
        check: { _, _ in },
        lines: lines
    )

    private static func lines() -> [String] {
        let indent = "    "
        let inner = "      "
        let item = "        "
        let defaults = NamedGroup()
        let member = GroupMember(name: "", endpoint: .unix(path: []))
        var lines = [
            "# Groups of servers or peers by name (1 to 64 letters, digits, '.', '-', '_') that requests refer to in",
            "# place of endpoints.",
            "groups:", "  #origins:",
        ]
        lines += GroupKeys.policy.lines(indent: indent) + GroupKeys.members.lines(indent: indent)
        lines += MemberKeys.endpoint.help.map { "\(inner)# \($0)" }
        lines.append("\(inner)#- endpoint: \(MemberKeys.endpoint.example)")
        lines += MemberKeys.name.lines(indent: item) + MemberKeys.backup.lines(indent: item)
        lines += MemberKeys.numbers.flatMap { $0.lines(indent: item, member) }
        lines += GroupKeys.origin.lines(indent: indent) + GroupKeys.route.lines(indent: indent)
        lines += GroupKeys.numbers.flatMap { $0.lines(indent: indent, defaults) }
        lines += GroupKeys.ejection.lines(indent: indent) + GroupHealthLines.ejection(inner)
        lines += GroupKeys.backOff.lines(indent: indent) + GroupHealthLines.backOff(inner)
        lines += GroupKeys.check.lines(indent: indent) + GroupHealthLines.check(inner)
        lines += GroupKeys.retry.lines(indent: indent) + GroupHealthLines.retry(inner)
        return lines + [""]
    }
}

extension Reading {
    /// Reads a group. What is wrong in it keeps its default.
    fileprivate mutating func group(
        _ node: Node,
        _ mark: Mark,
        _ name: String,
        _ settings: Settings
    ) -> NamedGroup {
        var group = NamedGroup()
        guard let entries = mapping(node, name) else { return group }
        let fields = fields(entries, name, GroupKeys.all)
        if let node = fields[GroupKeys.policy] {
            group.policy = choice(node, "\(name): policy", GroupKeys.policies) ?? group.policy
        }
        takeNumbers(fields, name, GroupKeys.numbers, &group)
        if let node = fields[GroupKeys.members], !node.isAbsent {
            takeMembers(node, "\(name): members", &group)
        } else {
            error(mark, "\(name): members are missing")
        }
        if let node = fields[GroupKeys.ejection] { group.ejection = ejection(node, "\(name): ejection") }
        if let node = fields[GroupKeys.backOff] { group.backOff = backOff(node, "\(name): back-off") }
        if let node = fields[GroupKeys.check] { group.check = check(node, "\(name): check", settings) }
        if let node = fields[GroupKeys.retry] { group.retry = retry(node, "\(name): retry") }
        takeExpected(fields, name, settings, &group)
        return group
    }

    private mutating func takeExpected(
        _ fields: Fields,
        _ name: String,
        _ settings: Settings,
        _ group: inout NamedGroup
    ) {
        if let node = fields[GroupKeys.origin], let text = text(node, "\(name): origin", 8...263) {
            let schemes = [("http://", Scheme.http), ("https://", .https)]
            if let (prefix, scheme) = schemes.first(where: { text.hasPrefix($0.0) }),
                Self.isHost(String(text.dropFirst(prefix.count)))
            {
                group.expects.scheme = scheme
                group.expects.authority = String(text.dropFirst(prefix.count))
            } else {
                error(node.mark, "\(name): origin: http://HOST or https://HOST is wanted, and no path")
            }
        }
        if let node = fields[GroupKeys.route], let text = text(node, "\(name): route", 1...64) {
            if let route = settings.named.routes[text] {
                group.expects.route = route
            } else {
                let known = settings.named.routes.keys.sorted()
                error(node.mark, "\(name): route: there is no such route\(hint(text, among: known))")
            }
        }
        guard group.standbyConnectionsMin > 0, group.expects == ExpectedRequests(), let check = group.check
        else { return }
        switch check.kind {
        case .tcp, .http: break
        case .tls, .https:
            guard let place = fields.mark(GroupKeys.check) else { return }
            let words = "checks are over TLS, but connections that are kept ready are not; see origin"
            warn(place, "\(name): \(words)")
        }
    }

    private mutating func takeMembers(_ node: Node, _ name: String, _ group: inout NamedGroup) {
        guard let nodes = list(node, name, countMax: NamedGroup.membersMax) else { return }
        // Of a thousand members each is compared with a set, not with all others.
        var names: Set<String> = []
        var endpoints: Set<Endpoint> = []
        for node in nodes {
            guard let member = member(node, name) else { continue }
            if !names.insert(member.name).inserted {
                error(node.mark, "\(name): another member has this name")
            } else if !endpoints.insert(member.endpoint).inserted {
                error(node.mark, "\(name): another member has this endpoint")
            }
            group.members.append(member)
        }
        if nodes.isEmpty { error(node.mark, "\(name): at least 1") }
        // Of those that are wrong nothing more is said.
        guard group.members.count == nodes.count, !nodes.isEmpty else { return }
        if group.members.allSatisfy({ $0.weight == 0 }) {
            warn(node.mark, "\(name): each has a weight of 0, so that none is ever chosen")
        } else if group.members.allSatisfy(\.isBackup) {
            warn(node.mark, "\(name): each is a backup")
        }
    }

    private mutating func member(_ node: Node, _ name: String) -> GroupMember? {
        var fields = Fields(entries: [])
        var place = node
        switch node.content {
        case .text: break
        case .list:
            error(node.mark, "\(name): an endpoint or a mapping is wanted here")
            return nil
        case .mapping(let entries):
            fields = self.fields(entries, name, MemberKeys.all)
            guard let found = fields[MemberKeys.endpoint] else {
                error(node.mark, "\(name): endpoint is missing")
                return nil
            }
            place = found
        }
        guard case .text(let text, _) = place.content, let endpoint = endpoint(text) else {
            error(place.mark, "\(name): IPv4:PORT, [IPv6]:PORT or unix:PATH; names are not resolved")
            return nil
        }
        var member = GroupMember(name: endpoint.text, endpoint: endpoint)
        if let node = fields[MemberKeys.name] {
            if case .text(let text, _) = node.content, Self.isName(text) {
                member.name = text
            } else {
                error(node.mark, "\(name): name: 1 to 64 letters, digits, '.', '-', '_'")
            }
        }
        if let node = fields[MemberKeys.backup] {
            member.isBackup = isTrue(node, "\(name): backup") ?? false
        }
        takeNumbers(fields, name, MemberKeys.numbers, &member)
        return member
    }
}
