// GroupTurnTests.swift: whose turn it is where many wait for a group.
// Source: issue "Groups"; Sources/Engine/Engine.docc/Groups.md.
import Model
import Testing

struct GroupTurnTests {
    static let turns = [
        Row(
            "who has waited longest gets the connection that becomes free, though it came to this line later",
            named: .group("ab", .first) { $0.oneEach() },
            script: { rig in
                for _ in 1...3 { rig.greet() }
                rig.askGroup(1)
                rig.askGroup(11, 1)
                rig.pass(1)
                rig.askGroup(21, 2)
                rig.askGroup(31, 3)
                rig.connect(1)
                rig.fail(0)
                rig.answer(1)
                rig.forgetBut("got", "dial")
            },
            expected: "dial 0 a\ndial 1 b\n1 got GET /11\ndial 2 a\n1 got GET /1"
        ),
        Row(
            "a session that asks for much at once puts nobody back: sessions take turns",
            named: .group("ab") { $0.oneEach() },
            script: { rig in
                rig.greet()
                rig.askGroups(1...2)
                for socket in 0...1 { rig.connect(socket) }
                rig.askGroups(3...6)
                for stream in 11...12 as ClosedRange<UInt32> { rig.askGroup(stream, 1) }
                rig.note("\(rig.counts.waiting) wait, of the group \(rig.groupReports[0].waiting)")
                rig.forgetBut("wait")
                for turn in 0..<6 { rig.answer(turn % 2) }
                rig.forgetBut("wait", "got")
            },
            expected: """
                6 wait, of the group 6
                0 got GET /3
                1 got GET /11
                0 got GET /4
                1 got GET /12
                0 got GET /5
                1 got GET /6
                """
        ),
        Row(
            "a session alone has all connections of all members",
            named: .group("ab") { group in
                group.members[0].connectionsMax = 2
                group.members[1].connectionsMax = 2
            },
            script: { rig in
                rig.askGroups(1...8)
                for socket in 0...3 { rig.connect(socket) }
                for socket in 0...3 { rig.answer(socket) }
                rig.forgetBut("got")
            },
            expected: """
                0 got GET /1
                1 got GET /2
                2 got GET /3
                3 got GET /4
                0 got GET /5
                1 got GET /6
                2 got GET /7
                3 got GET /8
                """
        ),
        Row(
            "one behind may go, in the order in which they came",
            named: .group("a") { $0.oneEach() },
            script: { rig in
                rig.askGroups(1...5)
                rig.connect(0)
                rig.cancel(3)
                rig.cancel(2)
                rig.forget()
                for _ in 1...2 { rig.answer(0) }
                rig.forgetBut("got")
            },
            expected: "0 got GET /4\n0 got GET /5"
        ),
        Row(
            "those behind count in the queue of the group",
            named: .group("a") { group in
                group.oneEach()
                group.queueLengthMax = 2
            },
            script: { rig in rig.askGroups(1...4) },
            expected: "dial 0 a\n4 end overloaded none [] unsent"
        ),
        Row(
            "however many one session asks for, there are places left for others",
            named: .group("a") { group in
                group.oneEach()
                group.queueLengthMax = 18
            },
            script: { rig in
                rig.greet()
                rig.askGroups(1...20)
                rig.forgetBut("dial", "overloaded")
                for stream in 31...33 as ClosedRange<UInt32> { rig.askGroup(stream, 1) }
            },
            // 17 of 18 are one's own at most; the last one is for who has 8 or fewer.
            expected: """
                dial 0 a
                19 end overloaded none [] unsent
                20 end overloaded none [] unsent
                s1 32 end overloaded none [] unsent
                s1 33 end overloaded none [] unsent
                """
        ),
        Row(
            "those who have asked another worker in vain are not turned away, and keep their age",
            { $0.connectionsPerEndpointMax = 1 },
            named: .group("a") { $0.queueLengthMax = 1 },
            workers: 2,
            script: { rig in
                rig.neighbourHasIdle()
                rig.askGroups(1...4)
                while !rig.asks.isEmpty { rig.neighbourHasNone() }
                rig.askGroup(5)
                rig.connect(0)
                for _ in 1...3 { rig.answer(0) }
                rig.forgetBut("got", "overloaded")
            },
            expected: """
                5 end overloaded none [] unsent
                0 got GET /1
                0 got GET /2
                0 got GET /3
                0 got GET /4
                """
        ),
        Row(
            "and in that of the process",
            { $0.queueLengthMax = 2 },
            named: .group("a") { $0.oneEach() },
            script: { rig in rig.askGroups(1...4) },
            expected: "dial 0 a\n4 end overloaded none [] unsent"
        ),
        Row(
            "those behind wait for no longer than their own deadline",
            named: .group("a") { $0.oneEach() },
            script: { rig in
                rig.askGroups(1...2)
                rig.askGroup(3) { $0.deadlines.queueMilliseconds = 100 }
                rig.pass(100)
            },
            expected: "dial 0 a\n3 end queueTimeout none [] unsent"
        ),
        Row(
            "a deadline runs on when members are looked at again",
            { $0.connectionsPerEndpointMax = 1 },
            named: .group("a"),
            script: { rig in
                rig.askGroup(1)
                for stream in 2...3 as ClosedRange<UInt32> {
                    rig.askGroup(stream) { $0.deadlines.queueMilliseconds = 100 }
                }
                rig.connect(0)
                rig.forget()
                rig.pass(60)
                rig.setWeight(0, 2)
                rig.answer(0)
                rig.pass(40)
                rig.forgetBut("got", "end")
            },
            expected: """
                0 got GET /2
                1 end complete pooled [connected at a] by a
                3 end queueTimeout none [] unsent
                """
        ),
        Row(
            "requests that go another way stand in a line of their own",
            named: .group("a") { $0.oneEach() },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.askGroups(2...3)
                rig.askGroup(4) { $0.route = .peer }
                rig.forget()
                for _ in 1...2 {
                    // Longer than a connection is kept for those of its own way.
                    rig.pass(30)
                    rig.answer(0)
                }
                rig.forgetBut("got", "dial")
            },
            expected: "0 got GET /2\ndial 1 a"
        ),
        Row(
            "when all members begin to back off nobody waits for room at one any more, whenever each came",
            named: .group("a") { group in
                group.oneEach()
                group.backOff.baseMilliseconds = 1000
            },
            script: { rig in
                for _ in 1...3 { rig.greet() }
                rig.askGroup(1)
                rig.askGroup(11, 1)
                rig.askGroup(21, 2)
                rig.pass(1)
                rig.askGroup(31, 3)
                rig.fail(0)
                rig.pass(700)
                rig.note("dialed 700 ms later:")
                rig.pass(600)
                rig.forgetBut("dial")
            },
            expected: "dial 0 a\ndialed 700 ms later:\ndial 1 a"
        ),
        Row(
            "one that failed at a member keeps its age",
            named: .group("ab", .first) { $0.oneEach() },
            script: { rig in
                rig.askGroups(1...2)
                rig.pass(1)
                rig.askGroups(3...4)
                rig.connect(1)
                rig.fail(0)
                rig.connect(2)
                rig.answer(1)
                rig.answer(1)
                rig.forgetBut("got", "dial")
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got GET /2
                dial 2 a
                2 got GET /3
                1 got GET /1
                1 got GET /4
                """
        ),
    ]

    @Test(arguments: turns) func `sessions take turns`(_ row: Row) { #expect(row.actual == row.expected) }
}

extension NamedGroup {
    /// One connection to each member.
    fileprivate mutating func oneEach() {
        for member in members.indices { members[member].connectionsMax = 1 }
    }
}

extension Rig {
    /// Keeps only lines with one of these words.
    fileprivate func forgetBut(_ words: String...) {
        let kept = lines.filter { line in
            line.split(separator: " ").contains { word in words.contains { word.hasPrefix($0) } }
        }
        forget()
        for line in kept { note(line) }
    }
}
