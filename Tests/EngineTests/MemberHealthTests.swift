// MemberHealthTests.swift: which failures are a member's, and who is left alone for a time.
// Source: issue "Groups": passive health.
import Model
import Testing

struct MemberHealthTests {
    static let rows = [
        Row(
            "after so many failures in a row a member is left alone for a time",
            named: .group("ab", .first) { group in
                group.ejection.dialFailures = 2
                group.ejection.baseMilliseconds = 1000
                group.ejection.jitterPercent = 0
            },
            script: { rig in
                rig.askGroups(1...2)
                rig.fail(0)
                rig.fail(1)
                rig.note("ejected")
                rig.askGroup(3)
                rig.pass(999)
                rig.askGroup(4)
                rig.pass(1)
                rig.note("back")
                rig.askGroup(5)
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 b
                dial 3 b
                ejected
                dial 4 b
                dial 5 b
                back
                dial 6 a
                """
        ),
        Row(
            "a success between them begins the count anew",
            named: .group("ab", .first) { $0.ejection.dialFailures = 2 },
            script: { rig in
                rig.refuseGroup(1, 0)
                rig.askGroup(2)
                rig.connect(2)
                rig.askGroup(3)
                rig.fail(3)
                rig.forget()
                rig.askGroup(4)
            },
            expected: "dial 5 a"
        ),
        Row(
            "exchanges that fail count by themselves",
            named: .group("ab", .first) { $0.ejection.replyFailures = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.reset(0)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 2 b"
        ),
        Row(
            "a status that the group calls a failure is one, and passed on",
            named: .group("ab", .first) { group in
                group.ejection.replyFailures = 1
                group.ejection.statuses = [500...599]
            },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 500 No|Content-Length: 0||")
                rig.askGroup(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 500
                1 end complete pooled [connected at a] by a
                dial 1 b
                """
        ),
        Row(
            "a stale connection from the pool is none, and the request goes to the same member",
            named: .group("ab", .first) { $0.ejection.replyFailures = 1 },
            script: { rig in
                rig.serveGroup(1, 0)
                rig.forget()
                rig.askGroup(2)
                rig.reset(0)
                rig.connect(1)
                rig.answer(1)
                rig.askGroup(3)
            },
            expected: """
                0 got GET /2
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [stale at a connected at a] by a
                1 got GET /3
                """
        ),
        Row(
            "nor is it one when the request may not be sent again",
            named: .group("ab", .first) { $0.ejection.replyFailures = 1 },
            script: { rig in
                rig.serveGroup(1, 0)
                rig.forget()
                rig.ask(2, "") { form in
                    form.group = "g"
                    form.method = "POST"
                }
                rig.reset(0)
                rig.askGroup(3)
            },
            expected: """
                0 got POST /2
                2 end reset closed [reused at a] by a unrepeatable
                dial 1 a
                """
        ),
        Row(
            "a dial that is given up is none",
            named: .group("ab", .first) { $0.ejection.dialFailures = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.cancel(1)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 1 a"
        ),
        Row(
            "when all are ejected all are chosen from",
            named: .group("ab", .first) { group in
                group.ejection.dialFailures = 1
                group.ejection.ejectedPercentMax = 100
            },
            script: { rig in
                rig.refuseGroup(1, 0)
                rig.fail(1)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 2 a"
        ),
        Row(
            "a member that backs off is not dialed while another is there",
            named: .group("ab", .first) { $0.backOff.baseMilliseconds = 1000 },
            script: { rig in
                rig.refuseGroup(1, 0)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 2 b"
        ),
        Row(
            "nor while the others are full",
            named: .group("ab", .first) { group in
                group.backOff.baseMilliseconds = 1000
                group.members[1].connectionsMax = 1
            },
            script: { rig in
                rig.refuseGroup(1, 0)
                rig.forget()
                rig.askGroup(2)
                rig.pass(700)
                rig.note("700 ms")
                rig.pass(600)
            },
            expected: "700 ms\ndial 2 a"
        ),
        Row(
            "when all back off requests wait",
            named: .group("a", .first) { $0.backOff.baseMilliseconds = 1000 },
            script: { rig in
                rig.refuseGroup(1, 0)
                rig.forget()
                rig.askGroup(2)
                rig.pass(700)
                rig.note("700 ms")
                rig.pass(600)
            },
            expected: "700 ms\ndial 1 a"
        ),
        Row(
            "a name in a certificate is the request's own",
            named: .group("ab", .first) { $0.ejection.dialFailures = 1 },
            script: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.failTLS(0, .verify)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 2 a"
        ),
        Row(
            "a handshake that fails is the member's",
            named: .group("ab", .first) { $0.ejection.dialFailures = 1 },
            script: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.failTLS(0, .handshake)
                rig.forget()
                rig.askGroup(2)
            },
            expected: "dial 2 b"
        ),
    ]

    @Test(arguments: rows) func `members that fail are left alone`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
