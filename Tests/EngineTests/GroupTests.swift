// GroupTests.swift: which member of a group a request goes to, and who waits. Source: issue "Groups"; the mathematics of
// the policies is in BalancingTests.
import Model
import Testing

struct GroupTests {
    static let policies = [
        Row(
            "round robin takes members in turn",
            named: .group("abc"),
            script: { rig in rig.askGroups(1...4) },
            expected: "dial 0 a\ndial 1 b\ndial 2 c\ndial 3 a"
        ),
        Row(
            "round robin goes by weight",
            named: .group("ab") { $0.members[0].weight = 3 },
            script: { rig in rig.askGroups(1...4) },
            expected: "dial 0 a\ndial 1 a\ndial 2 b\ndial 3 a"
        ),
        Row(
            "least connections passes over who is busy",
            named: .group("ab", .leastConnections),
            script: {
                $0.askGroup(1)
                $0.connect(0)
                $0.askGroup(2)
                $0.connect(1)
                $0.answer(1)
                $0.askGroup(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 b
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected at b] by b
                1 got GET /3
                """
        ),
        Row(
            "of two the less loaded one is taken",
            named: .group("ab", .powerOfTwoChoices),
            script: { rig in
                rig.askGroups(1...4)
                // Of two members both are asked: the second and the fourth request go to who has one less.
                let count = rig.lines.filter { $0.hasSuffix("a") }.count
                rig.forget()
                rig.note("\(count) of 4 to a")
            },
            expected: "2 of 4 to a"
        ),
        Row(
            "peak EWMA leaves a slow member alone",
            named: .group("ab", .peakEWMA),
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.pass(1000)
                rig.answer(0)
                rig.askGroup(2)
                rig.connect(1)
                rig.answer(1)
                rig.forget()
                for stream in 3...6 as ClosedRange<UInt32> {
                    rig.askGroup(stream)
                    rig.answer(1)
                }
                let count = rig.lines.filter { $0.hasPrefix("1 got") }.count
                rig.forget()
                rig.note("\(count) of 4 to the fast one")
            },
            expected: "4 of 4 to the fast one"
        ),
        Row(
            "equal keys go to the same member",
            named: .group("abcdefgh", .hash),
            script: { rig in
                rig.askGroup(1) { $0.key = "k" }
                rig.connect(0)
                rig.answer(0)
                rig.forget()
                rig.askGroup(2) { $0.key = "k" }
                rig.cancel(2)
            },
            expected: "0 got GET /2\nclose 0\n2 end cancelled closed [reused at c] by c"
        ),
        Row(
            "without a key the authority and the target are one",
            named: .group("abcdefgh", .hash),
            script: { rig in
                rig.askGroup(1) { $0.target = "/x" }
                rig.connect(0)
                rig.answer(0)
                rig.forget()
                rig.askGroup(2) { $0.target = "/x" }
                rig.answer(0)
                rig.askGroup(3) { form in
                    form.target = "/x"
                    form.authority = "i"
                }
            },
            expected: """
                0 got GET /x
                2 reply 200 reused
                2 body ok
                2 end complete pooled [reused at d] by d
                dial 1 f
                """
        ),
        Row(
            "first goes in order, and on at a limit",
            named: .group("ab", .first) { $0.members[0].connectionsMax = 1 },
            script: { rig in rig.askGroups(1...3) },
            expected: "dial 0 a\ndial 1 b\ndial 2 b"
        ),
        Row(
            "an idle connection of the member is taken first",
            named: .group("ab", .first),
            script: {
                $0.serveGroup(1, 0)
                $0.forget()
                $0.askGroup(2)
            },
            expected: "0 got GET /2"
        ),
        Row(
            "backups are chosen only when nobody else can be",
            named: .group("ab") { group in
                group.members[1].isBackup = true
                group.ejection.dialFailures = 1
            },
            script: {
                $0.askGroup(1)
                $0.askGroup(2)
                $0.fail(0)
                $0.askGroup(3)
            },
            expected: "dial 0 a\ndial 1 a\ndial 2 b\ndial 3 b"
        ),
        Row(
            "a weight of 0 keeps a member out",
            named: .group("ab") { $0.members[0].weight = 0 },
            script: { rig in rig.askGroups(1...2) },
            expected: "dial 0 b\ndial 1 b"
        ),
        Row(
            "who has nobody to be given to ends at once",
            named: .group("a") { $0.members[0].weight = 0 },
            script: { $0.askGroup(1) },
            expected: "1 end connectUnreachable none [] unsent"
        ),
        Row(
            "a weight that is changed holds from the next request on",
            named: .group("ab"),
            script: { rig in
                rig.setWeight(0, 0)
                rig.askGroups(1...2)
            },
            expected: "dial 0 b\ndial 1 b"
        ),
        Row(
            "a group that nobody has configured is a bad request",
            named: .group("ab"),
            script: { $0.askGroup(1) { $0.group = "h" } },
            expected: "1 end badRequest none [] unsent"
        ),
    ]

    static let adHoc = [
        Row(
            "endpoints that are balanced are a group of their own",
            script: { rig in
                for stream in 1...3 as ClosedRange<UInt32> {
                    rig.ask(stream, "ab") { $0.balancing = .roundRobin }
                }
            },
            expected: "dial 0 a\ndial 1 b\ndial 2 a"
        ),
        Row(
            "each list and each policy is one group",
            script: { rig in
                rig.ask(1, "ab") { $0.balancing = .roundRobin }
                rig.ask(2, "ba") { $0.balancing = .roundRobin }
                rig.ask(3, "ab") { $0.balancing = .first }
                rig.ask(4, "ab") { $0.balancing = .roundRobin }
            },
            expected: "dial 0 a\ndial 1 b\ndial 2 a\ndial 3 b"
        ),
        Row(
            "END names members by their addresses",
            script: { rig in
                rig.ask(1, "ab") { $0.balancing = .first }
                rig.fail(0)
                rig.connect(1)
                rig.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [refused at 0.0.0.1:80 connected at 0.0.0.2:80] by 0.0.0.2:80
                """
        ),
        Row(
            "the list used longest ago is forgotten",
            { $0.adHocGroupsMax = 1 },
            script: { rig in
                rig.ask(1, "ab") { $0.balancing = .roundRobin }
                rig.cancel(1)
                rig.ask(2, "ac") { $0.balancing = .roundRobin }
                rig.cancel(2)
                rig.forget()
                rig.ask(3, "ab") { $0.balancing = .roundRobin }
            },
            expected: "dial 2 a"
        ),
        Row(
            "one more than may be in use ends OVERLOADED",
            { $0.adHocGroupsMax = 1 },
            script: { rig in
                rig.ask(1, "ab") { $0.balancing = .roundRobin }
                rig.ask(2, "ac") { $0.balancing = .roundRobin }
            },
            expected: "dial 0 a\n2 end overloaded none [] unsent"
        ),
    ]

    static let pins = [
        Row(
            "a pinned client stays at its member",
            named: .group("ab"),
            script: { rig in
                rig.askGroup(1) { $0.pin = ("t", .make) }
                rig.connect(0)
                rig.answer(0)
                rig.forget()
                for stream in 2...3 as ClosedRange<UInt32> {
                    rig.askGroup(stream) { $0.pin = ("t", .auto) }
                    rig.answer(0)
                }
            },
            expected: """
                0 got GET /2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused at a] by a
                0 got GET /3
                3 reply 200 reused
                3 body ok
                3 end complete pinned [reused at a] by a
                """
        ),
        Row(
            "a pin at a member that is full waits for that one alone",
            named: .group("a") { $0.members[0].connectionsMax = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.askGroup(2) { $0.pin = ("t", .prefer) }
                rig.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 a
                1 reply 200
                1 body ok
                1 end complete closed [connected at a] by a
                """
        ),
        Row(
            "what was written on a pinned connection goes nowhere else",
            named: .group("ab"),
            script: { rig in
                rig.askGroup(1) { $0.pin = ("t", .make) }
                rig.connect(0)
                rig.answer(0)
                rig.forget()
                rig.askGroup(2) { $0.pin = ("t", .auto) }
                rig.reset(0)
            },
            expected: "0 got GET /2\npin t lost\n2 end reset closed [reused at a] by a"
        ),
    ]

    @Test func `groups are listed with load and health`() {
        let named = NamedSettings.group("ab", .first) { group in
            group.ejection.dialFailures = 1
            group.ejection.baseMilliseconds = 1000
            group.ejection.jitterPercent = 0
            group.members[1].connectionsMax = 1
        }
        let rig = Rig(named: named)
        rig.greet()
        rig.refuseGroup(1, 0)
        rig.askGroup(2)
        let report = rig.groupReports[0]
        #expect(report.name == "g" && report.policy == .first && !report.isPanicking)
        #expect(report.requests == 2 && report.waiting == 1)
        #expect(report.members.map(\.name) == ["a", "b"])
        #expect(report.members.map(\.view.active) == [0, 1])
        #expect(report.members.map(\.view.ejectedMilliseconds) == [1000, 0])
    }

    @Test(arguments: policies) func `the policy chooses the member`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: adHoc) func `a list of endpoints is a group without a name`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: pins) func `pins stay at their members`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
