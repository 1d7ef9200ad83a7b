// CheckTests.swift: active checks of members.
// Source: HAProxy, "check", "inter", "rise", "fall"; issue "Groups". When checks are due is in BalancingTests.
import Model
import Testing

struct CheckTests {
    static let checks = [
        Row(
            "a check by TCP is a connection",
            named: .group("a") { $0.check = .often(.tcp) },
            script: { rig in
                rig.pass(100)
                rig.connect(0)
                rig.drain()
            },
            expected: "dial 0 a\nclose 0\ngoaway draining"
        ),
        Row(
            "a check by TLS ends with the handshake",
            named: .group("a") { $0.check = .often(.tls) },
            script: { rig in
                rig.pass(100)
                rig.connect(0)
                rig.secure(0)
                rig.drain()
            },
            expected: "dial 0 a\ntls 0 outer /0.0.0.1\nclose 0\ngoaway draining"
        ),
        Row(
            "the name in a check over TLS is its host's",
            named: .group("a") { group in
                group.check = .often(.https)
                group.check?.host = "origin.example"
            },
            script: { rig in
                rig.pass(100)
                rig.connect(0)
                rig.secure(0)
                rig.hear(0, "HTTP/1.1 204 No Content||")
                rig.drain()
            },
            expected: """
                dial 0 a
                tls 0 outer origin.example/origin.example
                0 got GET /
                close 0
                goaway draining
                """
        ),
        Row(
            "a check by HTTP is a GET whose status counts",
            named: .group("ab", .first) { group in
                group.check = .often(.http)
                group.check?.path = "/health"
                group.check?.fall = 1
                group.members[1].isBackup = true
            },
            script: { rig in
                rig.pass(100)
                let (a, b) = rig.lines[0] == "dial 0 a" ? (0, 1) : (1, 0)
                rig.connect(b)
                rig.hear(b, "HTTP/1.1 204 No Content||")
                rig.connect(a)
                rig.hear(a, "HTTP/1.1 503 No|Content-Length: 9||")
                rig.forget()
                rig.askGroup(1)
                rig.drain()
                rig.cancel(1)
            },
            expected: "dial 2 b\ngoaway draining\nclose 2\n1 end cancelled none [abandoned at b] by b unsent"
        ),
        Row(
            "a member is down after so many checks that fail, and up after so many that pass",
            named: .group("ab", .first) { $0.check = .often(.tcp) },
            script: { rig in
                rig.answerChecks(failing: "a")
                rig.askAndCancel(1)
                rig.answerChecks(failing: "a")
                rig.askAndCancel(2)
                rig.answerChecks()
                rig.askAndCancel(3)
                rig.answerChecks()
                rig.askAndCancel(4)
                rig.drain()
            },
            expected: "1 went to a\n2 went to b\n3 went to b\n4 went to a\ngoaway draining"
        ),
        Row(
            "a check that takes too long has failed, and is over",
            named: .group("a") { group in
                group.check = .often(.tcp)
                group.check?.timeoutMilliseconds = 50
            },
            script: { rig in
                rig.pass(150)
                rig.drain()
            },
            expected: "dial 0 a\nclose 0\ngoaway draining"
        ),
        Row(
            "at a member's limit there is no check, and it stays as it is",
            named: .group("a") { group in
                group.check = .often(.tcp)
                group.check?.fall = 1
                group.members[0].connectionsMax = 1
            },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.pass(1000)
                rig.answer(0)
                rig.drain()
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected at a] by a
                close 0
                goaway draining
                """
        ),
    ]

    /// A check without a host of its own, of a group that says what requests ask for.
    private static func naming(
        _ rule: String,
        _ kind: CheckSettings.Kind,
        by change: @escaping @Sendable (inout NamedGroup) -> Void = { _ in },
        expected: String
    ) -> Row {
        Row(
            rule,
            named: .group("a") { group in
                group.check = .often(kind)
                (group.expects.scheme, group.expects.authority) = (.https, "origin.example:8443")
                change(&group)
            },
            script: { rig in
                rig.pass(100)
                rig.connect(0)
                if kind == .tls || kind == .https { rig.secure(0) }
                let host = rig.written(0).split(separator: "\r\n").first { $0.hasPrefix("Host") }
                rig.drain()
                let told = rig.lines.first { $0.hasPrefix("tls") } ?? "no TLS"
                rig.forget()
                rig.note("\(told), \(host ?? "no Host")")
            },
            expected: expected
        )
    }

    static let namings = [
        naming(
            "a GET over TLS names the group's origin, to TLS without its port",
            .https,
            expected: "tls 0 outer origin.example/origin.example, Host: origin.example:8443"
        ),
        naming("a GET in clear text too", .http, expected: "no TLS, Host: origin.example:8443"),
        naming("and a handshake", .tls, expected: "tls 0 outer origin.example/origin.example, no Host"),
        naming(
            "a host of its own is stronger",
            .https,
            by: { $0.check?.host = "other.example" },
            expected: "tls 0 outer other.example/other.example, Host: other.example"
        ),
        naming(
            "so are the names of its profile, to TLS",
            .https,
            by: { group in
                group.check?.tls = TLSProfile()
                group.check?.tls?.serverName = "profile.example"
            },
            expected: "tls 0 outer profile.example/profile.example, Host: origin.example:8443"
        ),
        naming(
            "TLS is as requests of the group have it to origins",
            .https,
            by: { group in
                group.expects.route = NamedRoute()
                group.expects.route?.originTLS = TLSProfile()
                group.expects.route?.originTLS?.serverName = "route.example"
            },
            expected: "tls 0 outer route.example/route.example, Host: origin.example:8443"
        ),
        naming(
            "and to peers",
            .tls,
            by: { group in
                group.expects.route = NamedRoute()
                group.expects.route?.kind = .peer
                group.expects.route?.peerTLS = TLSProfile()
                group.expects.route?.peerTLS?.serverName = "peer.example"
            },
            expected: "tls 0 outer peer.example/peer.example, no Host"
        ),
        naming(
            "a peer is no origin",
            .https,
            by: { group in
                group.expects.route = NamedRoute()
                group.expects.route?.kind = .peer
            },
            expected: "tls 0 outer /0.0.0.1, Host: 0.0.0.1:80"
        ),
        naming(
            "nor is one that leads to it by a tunnel",
            .tls,
            by: { group in
                group.expects.route = NamedRoute()
                group.expects.route?.kind = .peerTunnel
            },
            expected: "tls 0 outer /0.0.0.1, no Host"
        ),
        naming(
            "a route that is direct changes nothing",
            .tls,
            by: { $0.expects.route = NamedRoute() },
            expected: "tls 0 outer origin.example/origin.example, no Host"
        ),
        naming(
            "without an origin it is the endpoint",
            .https,
            by: { $0.expects.authority = "" },
            expected: "tls 0 outer /0.0.0.1, Host: 0.0.0.1:80"
        ),
    ]

    @Test(arguments: checks + namings) func `members are checked`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}

extension CheckSettings {
    /// Every 100 ms; two in a row count.
    static func often(_ kind: CheckSettings.Kind) -> CheckSettings {
        var check = CheckSettings(kind: kind)
        check.intervalMilliseconds = 100
        check.timeoutMilliseconds = 5000
        check.rise = 2
        check.fall = 2
        return check
    }
}

extension Rig {
    /// Every check that comes within the next 111 ms passes, but those of one member.
    fileprivate func answerChecks(failing: Character? = nil) {
        let before = lines
        pass(111)
        for line in lines.dropFirst(before.count) where line.hasPrefix("dial") {
            let socket = Int(line.split(separator: " ")[1]) ?? 0
            if line.last == failing { fail(socket) } else { connect(socket) }
        }
        forget()
        for line in before { note(line) }
    }

    /// Notes where a request of the group goes.
    fileprivate func askAndCancel(_ stream: UInt32) {
        let before = lines
        askGroup(stream)
        let member = lines.last?.last.map { String($0) } ?? ""
        cancel(stream)
        forget()
        for line in before { note(line) }
        note("\(stream) went to \(member)")
    }
}
