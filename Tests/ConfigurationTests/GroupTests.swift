// GroupTests.swift: groups: what they may say, and what is wrong with what they say.
import Configuration
import Model
import Testing

/// In the mapping of a group that begins in column 14 of line 1.
private func row(_ name: String, _ group: String, _ problems: String...) -> Row {
    Row(name, "groups: {g: {\(group)}}", problems)
}

/// Behind its members, which begin in column 23.
private func more(_ name: String, _ group: String, _ problems: String...) -> Row {
    Row(name, "groups: {g: {members: ['[::1]:80'], \(group)}}", problems)
}

private let addresses = "IPv4:PORT, [IPv6]:PORT or unix:PATH; names are not resolved"
private let statuses = "a status from 200 to 599, or a range such as 500-599"
private let policies =
    "one of round-robin, least-connections, power-of-two-choices, peak-ewma, hash, first"

private let rows = [
    row("nothing", "", "1:10: error: groups: g: members are missing"),
    row("no members", "members: ", "1:10: error: groups: g: members are missing"),
    row("an empty list", "members: []", "1:23: error: groups: g: members: at least 1"),
    row(
        "a member in place of a list",
        "members: '[::1]:80'",
        "1:23: error: groups: g: members: a list is wanted here, such as [a, b]"
    ),
    row("members", "members: ['192.0.2.1:1', {endpoint: 'unix:a', name: A.b_c-1}, 'unix:/a']"),
    row("a name", "members: ['origin.example:80']", "1:24: error: groups: g: members: \(addresses)"),
    row(
        "a list as a member",
        "members: [[a]]",
        "1:24: error: groups: g: members: an endpoint or a mapping is wanted here"
    ),
    row(
        "a member that is nowhere",
        "members: [{weight: 1}]",
        "1:24: error: groups: g: members: endpoint is missing"
    ),
    row(
        "a key that is nearly there",
        "members: [{endpoint: 'unix:a', wieght: 1}]",
        "1:45: error: groups: g: members: unknown key 'wieght'; did you mean weight?"
    ),
    row(
        "a weight too great",
        "members: [{endpoint: 'unix:a', weight: 1001}]",
        "1:53: error: groups: g: members: weight: 0 to 1000"
    ),
    row(
        "a weight in quotes",
        "members: [{endpoint: 'unix:a', weight: '1'}]",
        "1:53: error: groups: g: members: weight: 0 to 1000"
    ),
    row(
        "a name with a space",
        "members: [{endpoint: 'unix:a', name: 'a b'}]",
        "1:51: error: groups: g: members: name: 1 to 64 letters, digits, '.', '-', '_'"
    ),
    row(
        "a name twice",
        "members: [{endpoint: 'unix:a', name: a}, {endpoint: 'unix:b', name: a}]",
        "1:55: error: groups: g: members: another member has this name"
    ),
    row(
        "an endpoint twice",
        "members: [{endpoint: '[::1]:80', name: a}, '[0::1]:80']",
        "1:57: error: groups: g: members: another member has this endpoint"
    ),
    row(
        "everybody a backup",
        "members: [{endpoint: 'unix:a', backup: true}]",
        "1:23: warning: groups: g: members: each is a backup"
    ),
    row(
        "nobody with a weight",
        "members: [{endpoint: 'unix:a', weight: 0}]",
        "1:23: warning: groups: g: members: each has a weight of 0, so that none is ever chosen"
    ),
    more("every policy", "policy: peak-ewma"),
    more("a policy of HAProxy's", "policy: roundrobin", "1:45: error: groups: g: policy: \(policies)"),
    more(
        "an unknown key",
        "slow-start: 1",
        "1:37: error: groups: g: unknown key 'slow-start'"
    ),
    more(
        "a number out of its range",
        "panic-percent: 101",
        "1:52: error: groups: g: panic-percent: 0 to 100"
    ),
    more(
        "a time that is no number",
        "slow-start-milliseconds: 10s",
        "1:62: error: groups: g: slow-start-milliseconds: 0 to 86400000 milliseconds"
    ),
    more("mappings that say nothing", "ejection: , back-off: , check: , retry: "),
    more("statuses", "ejection: {statuses: [500, 502-504, 500-599]}"),
    more(
        "statuses that are none",
        "ejection: {statuses: [50, 199, 600, 504-502, 5xx, 502-, [502]]}",
        "1:59: error: groups: g: ejection: statuses: \(statuses)",
        "1:63: error: groups: g: ejection: statuses: \(statuses)",
        "1:68: error: groups: g: ejection: statuses: \(statuses)",
        "1:73: error: groups: g: ejection: statuses: \(statuses)",
        "1:82: error: groups: g: ejection: statuses: \(statuses)",
        "1:87: error: groups: g: ejection: statuses: \(statuses)",
        "1:93: error: groups: g: ejection: statuses: \(statuses)"
    ),
    more(
        "a longest ejection that is shorter than the first",
        "ejection: {max-milliseconds: 1000}",
        "1:47: error: groups: g: ejection: base-milliseconds (30000) is above max-milliseconds (1000)"
    ),
    more(
        "a back-off the wrong way round",
        "back-off: {base-milliseconds: 2, max-milliseconds: 1}",
        "1:47: error: groups: g: back-off: base-milliseconds (2) is above max-milliseconds (1)"
    ),
    more(
        "Envoy's name of a key",
        "ejection: {max-ejection-percent: 5}",
        "1:48: error: groups: g: ejection: unknown key 'max-ejection-percent'"
    ),
    more("a check", "check: {kind: tcp}"),
    more("a check of no kind", "check: {rise: 1}", "1:44: error: groups: g: check: kind is missing"),
    more(
        "a check of an unknown kind",
        "check: {kind: ping}",
        "1:51: error: groups: g: check: kind: one of tcp, tls, http, https"
    ),
    more(
        "a request in a check that makes none",
        "check: {kind: tcp, path: /, host: a, statuses: [200], tls: {}}",
        "1:56: error: groups: g: check: path is of a check of the kind http or https",
        "1:65: error: groups: g: check: host is of a check of the kind http or https",
        "1:74: error: groups: g: check: statuses is of a check of the kind http or https",
        "1:91: error: groups: g: check: tls is of a check of the kind tls or https"
    ),
    more("a path", "check: {kind: http, path: '/a?b=%20'}"),
    more(
        "a path with a space",
        "check: {kind: http, path: '/a b'}",
        "1:63: error: groups: g: check: path: '/' and visible ASCII but '#' is wanted"
    ),
    more(
        "a path that splits the request",
        #"check: {kind: http, path: "/\r\nA: b"}"#,
        "1:63: error: groups: g: check: path: a control character does not belong here"
    ),
    more("a host with a port", "check: {kind: http, host: 'origin.example:8080'}"),
    more("an address as a host", "check: {kind: http, host: '[::1]'}"),
    more("an address and port as a host", "check: {kind: http, host: '192.0.2.1:80'}"),
    more(
        "a host that is a URL",
        "check: {kind: http, host: 'http://a/'}",
        "1:63: error: groups: g: check: host: a name or address, and a port where there is one, is wanted"
    ),
    more(
        "no status that passes",
        "check: {kind: http, statuses: []}",
        "1:67: warning: groups: g: check: statuses: without any, no check passes"
    ),
    more(
        "TLS by a profile that is not there",
        "check: {kind: https, tls: x}",
        "1:63: error: groups: g: check: tls: there is no such profile"
    ),
    more(
        "more attempts than a request can remember",
        "retry: {attempts-max: 9}",
        "1:59: error: groups: g: retry: attempts-max: 1 to 8"
    ),
    more("an origin", "origin: http://h.example"),
    more("an origin with a path", "origin: http://h/", "1:45: error: groups: g: origin: \(origin)"),
    more("an origin of another kind", "origin: ftp://h.example", "1:45: error: groups: g: origin: \(origin)"),
    more("a route that is not there", "route: r", "1:44: error: groups: g: route: there is no such route"),
    more(
        "connections kept ready in clear text where checks are over TLS",
        "standby-connections-min: 1, check: {kind: tls}",
        "1:65: warning: groups: g: checks are over TLS, but connections that are kept ready are not; see origin"
    ),
    more("those with an origin", "standby-connections-min: 1, check: {kind: tls}, origin: https://h"),
    Row("a name for a group", "groups: {'a b': }", "1:10: error: groups: \(name)"),
    Row("a list of groups", "groups: [a]", "1:9: error: groups: keys and values are wanted here"),
]

private let origin = "http://HOST or https://HOST is wanted, and no path"
private let name = "a name has 1 to 64 letters, digits, '.', '-', '_'"

struct GroupTests {
    @Test(arguments: rows) func `a group is sound, or the place of what is not is told`(_ row: Row) {
        #expect(World().read(row.text).problems == row.problems)
    }

    @Test func `every key of a group has its place in the settings`() {
        let text = """
            tls: {t: {server-name: origin.example}}
            routes: {r: {kind: peer}}
            groups:
              all:
                policy: least-connections
                origin: "https://[2001:db8::1]:8443"
                route: r
                members:
                  - endpoint: 192.0.2.1:80
                    name: a
                    weight: 1000
                    backup: true
                    connections-max: 7
                  - unix:o.sock
                queue-length-max: 1
                slow-start-milliseconds: 2
                standby-connections-min: 3
                panic-percent: 4
                decay-milliseconds: 5
                ejection: {dial-failures: 6, reply-failures: 7, base-milliseconds: 8, max-milliseconds: 9,
                  jitter-percent: 10, ejected-percent-max: 11, statuses: [502-504, 500]}
                back-off: {base-milliseconds: 12, max-milliseconds: 13}
                check: {kind: https, path: /a, host: h.example, statuses: [204], tls: t, interval-milliseconds: 114,
                  timeout-milliseconds: 15, rise: 16, fall: 17}
                retry: {percent: 18, concurrency-min: 19, attempts-max: 5, statuses: [503]}
              least: {members: ["192.0.2.1:80"]}
            """
        let answer = World().read(text)
        #expect(answer.problems.isEmpty)
        var all = NamedGroup()
        all.policy = .leastConnections
        var first = GroupMember(name: "a", endpoint: .ip(.v4(0xC000_0201), port: 80))
        (first.weight, first.isBackup, first.connectionsMax) = (1000, true, 7)
        let path = Array("/etc/o.sock".utf8)
        all.members = [first, GroupMember(name: "unix:/etc/o.sock", endpoint: .unix(path: path))]
        (all.queueLengthMax, all.slowStartMilliseconds, all.standbyConnectionsMin) = (1, 2, 3)
        (all.panicPercent, all.decayMilliseconds) = (4, 5)
        (all.ejection.dialFailures, all.ejection.replyFailures) = (6, 7)
        (all.ejection.baseMilliseconds, all.ejection.millisecondsMax) = (8, 9)
        (all.ejection.jitterPercent, all.ejection.ejectedPercentMax) = (10, 11)
        all.ejection.statuses = [502...504, 500...500]
        (all.backOff.baseMilliseconds, all.backOff.millisecondsMax) = (12, 13)
        var check = CheckSettings(kind: .https)
        (check.path, check.host, check.statuses) = ("/a", "h.example", [204...204])
        (check.intervalMilliseconds, check.timeoutMilliseconds, check.rise, check.fall) = (114, 15, 16, 17)
        var profile = TLSProfile()
        profile.serverName = "origin.example"
        check.tls = profile
        all.check = check
        (all.retry.percent, all.retry.concurrencyMin, all.retry.attemptsMax) = (18, 19, 5)
        all.retry.statuses = [503...503]
        (all.expects.scheme, all.expects.authority) = (.https, "[2001:db8::1]:8443")
        all.expects.route = NamedRoute()
        all.expects.route?.kind = .peer
        var least = NamedGroup()
        least.members = [GroupMember(name: "192.0.2.1:80", endpoint: .ip(.v4(0xC000_0201), port: 80))]
        #expect(answer.settings.named.groups == ["all": all, "least": least])
    }

    @Test(arguments: [
        ("round-robin", GroupPolicy.roundRobin), ("least-connections", .leastConnections),
        ("power-of-two-choices", .powerOfTwoChoices), ("peak-ewma", .peakEWMA), ("hash", .hash),
        ("first", .first),
    ])
    func `each policy has its word`(_ word: String, _ policy: GroupPolicy) {
        let answer = World().read("groups: {g: {policy: \(word), members: ['unix:/a']}}")
        #expect(answer.problems.isEmpty && answer.settings.named.groups["g"]?.policy == policy)
    }
}
