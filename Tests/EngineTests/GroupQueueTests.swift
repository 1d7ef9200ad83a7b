// GroupQueueTests.swift: limits of members, and who waits when all are at theirs.
// Source: issue "Groups": connection limit per member with a queue per group.
import Model
import Testing

struct GroupQueueTests {
    static let rows = [
        Row(
            "at the limits of all members requests wait, first come first served",
            named: .group("ab") { group in
                group.members[0].connectionsMax = 1
                group.members[1].connectionsMax = 1
            },
            script: { rig in
                rig.askGroups(1...4)
                rig.connect(0)
                rig.connect(1)
                rig.answer(1)
                rig.answer(0)
            },
            expected: """
                dial 0 a
                dial 1 b
                0 got GET /1
                1 got GET /2
                1 got GET /3
                2 reply 200
                2 body ok
                2 end complete pooled [connected at b] by b
                0 got GET /4
                1 reply 200
                1 body ok
                1 end complete pooled [connected at a] by a
                """
        ),
        Row(
            "one that has waited in vain for another member ends with what was wrong at the one it reached",
            named: .group("ab", .first) { $0.members[1].connectionsMax = 1 },
            script: { rig in
                rig.askGroup(1)
                rig.setWeight(0, 0)
                rig.setWeight(1, 1)
                rig.askGroup(2)
                rig.setWeight(0, 1)
                rig.fail(0)
                rig.setWeight(1, 0)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 end connectRefused none [refused at a] by a unsent
                """
        ),
        Row(
            "one more than the queue of the group may hold ends OVERLOADED",
            named: .group("a") { group in
                group.members[0].connectionsMax = 1
                group.queueLengthMax = 1
            },
            script: { rig in rig.askGroups(1...3) },
            expected: "dial 0 a\n3 end overloaded none [] unsent"
        ),
        Row(
            "who waits too long ends QUEUE_TIMEOUT, and leaves its place",
            named: .group("a") { group in
                group.members[0].connectionsMax = 1
                group.queueLengthMax = 1
            },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.askGroup(2) { $0.deadlines.queueMilliseconds = 100 }
                rig.pass(100)
                rig.askGroup(3)
                rig.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                2 end queueTimeout none [] unsent
                0 got GET /3
                1 reply 200
                1 body ok
                1 end complete pooled [connected at a] by a
                """
        ),
        Row(
            "END names whom a request was tried at, and not whom it waited for",
            named: .group("ab", .first) { group in
                group.backOff.baseMilliseconds = 1000
                group.retry.attemptsMax = 2
            },
            script: { rig in
                rig.askGroup(1)
                rig.askGroup(2)
                rig.fail(1)
                rig.fail(2)
                rig.fail(0)
                rig.forget()
                rig.cancel(1)
            },
            expected: "1 end cancelled none [refused at a] by a unsent"
        ),
        Row(
            "who waits is served by the first member that has room, and by one only",
            named: .group("ab") { group in
                group.members[0].connectionsMax = 1
                group.members[1].connectionsMax = 1
            },
            script: { rig in
                rig.askGroups(1...3)
                rig.connect(0)
                rig.connect(1)
                rig.cancel(2)
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                0 got GET /1
                1 got GET /2
                close 1
                dial 2 b
                2 end cancelled closed [connected at b] by b
                close 0
                1 end cancelled closed [connected at a] by a
                """
        ),
        Row(
            "the limit of a member holds over all workers",
            named: .group("ab", .first) { group in
                group.members[0].connectionsMax = 1
                group.members[1].connectionsMax = 1
            },
            workers: 2,
            script: { rig in
                let room = rig.neighbourTakes("a")
                rig.askGroups(1...2)
                rig.neighbourGivesBack(room)
            },
            expected: "dial 0 b\nneighbour hears a is wanted\ndial 1 a"
        ),
        Row(
            "connections beside the group count towards the limit of its member",
            named: .group("ab", .first) { $0.members[0].connectionsMax = 1 },
            script: {
                $0.ask(1, "a")
                $0.askGroup(2)
            },
            expected: "dial 0 a\ndial 1 b"
        ),
        Row(
            "a member that has room again is chosen again",
            named: .group("ab", .first) { $0.members[0].connectionsMax = 1 },
            workers: 2,
            script: { rig in
                let room = rig.neighbourTakes("a")
                rig.askGroup(1)
                rig.neighbourGivesBack(room)
                rig.pass(20)
                rig.askGroup(2)
            },
            expected: "dial 0 b\ndial 1 a"
        ),
        Row(
            "a request that waits is one in the queue of the process",
            { $0.queueLengthMax = 1 },
            named: .group("ab") { group in
                group.members[0].connectionsMax = 1
                group.members[1].connectionsMax = 1
            },
            script: { rig in
                rig.askGroups(1...3)
                rig.note("\(rig.counts.waiting) waits")
                rig.askGroup(4)
            },
            expected: "dial 0 a\ndial 1 b\n1 waits\n4 end overloaded none [] unsent"
        ),
    ]

    @Test(arguments: rows) func `limits of members hold, and the group has one queue`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
