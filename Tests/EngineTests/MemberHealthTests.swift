// MemberHealthTests.swift: which failures are a member's, and who is left alone for a time.
// Source: issue "Groups": passive health.
import Model
import Testing

struct MemberHealthTests {
    /// What a first request meets at member a, which is the first choice, and whom another one goes to then.
    private static func fate(
        _ rule: String,
        _ change: (inout NamedGroup) -> Void,
        meets script: @escaping @Sendable (Rig) -> Void,
        next: String
    ) -> Row {
        Row(
            rule,
            named: .group("ab", .first, change),
            script: { rig in
                rig.askGroup(1)
                script(rig)
                rig.noteNext()
            },
            expected: "next to \(next)"
        )
    }

    static let fates = [
        fate("a dial that fails", { $0.ejection.dialFailures = 1 }, meets: { $0.fail(0) }, next: "b"),
        fate("a dial that is given up", { $0.ejection.dialFailures = 1 }, meets: { $0.cancel(1) }, next: "a"),
        fate("who backs off", { $0.backOff.baseMilliseconds = 1000 }, meets: { $0.fail(0) }, next: "b"),
        fate("an exchange that fails", { $0.ejection.replyFailures = 1 }, meets: { $0.cut(0) }, next: "b"),
        fate(
            "all are ejected, so that all are chosen from",
            { $0.ejectAtOnce() },
            meets: { rig in
                rig.fail(0)
                rig.fail(1)
            },
            next: "a"
        ),
        fate(
            "a success between failures, which begins the count anew",
            { $0.ejection.dialFailures = 2 },
            meets: { rig in
                rig.fail(0)
                rig.askGroup(2)
                rig.connect(2)
                rig.askGroup(3)
                rig.fail(3)
            },
            next: "a"
        ),
    ]

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
    ]

    @Test(arguments: fates + rows) func `members that fail are left alone`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}

extension NamedGroup {
    /// Each failure ejects, and all members may be.
    fileprivate mutating func ejectAtOnce() {
        ejection.dialFailures = 1
        ejection.ejectedPercentMax = 100
    }
}

extension Rig {
    /// A fresh connection that is reset when it has got its request.
    fileprivate func cut(_ socket: Int) {
        connect(socket)
        reset(socket)
    }
}
