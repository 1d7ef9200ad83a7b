// CheckTests.swift: active checks of members, and connections that are kept ready for them.
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

    static let standby = [
        Row(
            "so many idle connections are kept ready, of the kind that was asked for last",
            named: .group("ab", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.pass(1)
                for socket in 0...2 { rig.connect(socket) }
                rig.answer(0)
                rig.note("used")
                rig.askGroup(2)
                rig.pass(1)
                rig.drain()
                rig.cancel(2)
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 b
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected at a] by a
                used
                0 got GET /2
                close 1
                close 2
                goaway draining
                close 0
                2 end cancelled closed [reused at a] by a
                """
        ),
        Row(
            "one that is closed is dialed again",
            named: .group("a", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.pass(1)
                rig.connect(1)
                rig.pass(1000)
                rig.end(1)
                rig.pass(1)
                rig.drain()
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 a
                close 1
                dial 2 a
                goaway draining
                close 0
                1 end cancelled closed [connected at a] by a
                """
        ),
        Row(
            "one that is closed before it was any use is dialed again a second after the last time",
            named: .group("a", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.pass(1)
                rig.connect(1)
                rig.end(1)
                rig.pass(900)
                rig.note("900 ms")
                rig.pass(100)
                rig.fail(2)
                rig.pass(900)
                rig.note("900 ms")
                rig.pass(100)
                rig.drain()
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 a
                close 1
                900 ms
                dial 2 a
                900 ms
                dial 3 a
                goaway draining
                close 0
                1 end cancelled closed [connected at a] by a
                """
        ),
        Row(
            "the back-off of its member holds for it too",
            named: .group("a", .first) { group in
                group.standbyConnectionsMin = 1
                group.backOff.baseMilliseconds = 1000
            },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.pass(1)
                rig.fail(1)
                rig.pass(700)
                rig.note("700 ms")
                rig.pass(600)
                rig.drain()
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 a
                700 ms
                dial 2 a
                goaway draining
                close 0
                1 end cancelled closed [connected at a] by a
                """
        ),
        Row(
            "limits hold for it too",
            named: .group("a", .first) { group in
                group.standbyConnectionsMin = 2
                group.members[0].connectionsMax = 2
            },
            script: { rig in
                rig.askGroup(1)
                rig.pass(100)
                rig.drain()
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                dial 1 a
                goaway draining
                close 0
                1 end cancelled none [abandoned at a] by a unsent
                """
        ),
    ]

    @Test(arguments: checks) func `members are checked`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: standby) func `connections are kept ready`(_ row: Row) {
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
