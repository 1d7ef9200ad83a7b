// SessionWindowTests.swift: who waits for others of its session, and until when. Source: SessionWindows.swift.
// What windows are told, and what the real ledger makes of it, is in WindowReportTests.swift.
import Model
import Testing

@testable import Engine

struct SessionWindowTests {
    static let rows = [
        Row(
            "a session that has as much under way as its window goes on in order, one reply at a time",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...4 { $0.ask(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.answer(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 a
                0 got GET /1
                1 got GET /2
                1 got GET /3
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                1 got GET /4
                3 reply 200 reused
                3 body ok
                3 end complete pooled [reused0]
                """
        ),
        Row(
            "other sessions, and the session's requests elsewhere, do not wait",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) }
                $0.greet()
                $0.forget()
                $0.ask(4, "b")
                $0.ask(1, "a", 1)
                $0.ask(2, "a", 1)
                $0.ask(3, "a", 1)
            },
            expected: """
                dial 2 b
                dial 3 a
                dial 4 a
                """
        ),
        Row(
            "as long as nobody else suffers, nobody waits",
            Limits.narrow,
            script: {
                for stream: UInt32 in 1...4 { $0.ask(stream) }
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                dial 3 a
                """
        ),
        Row(
            "without a least window nobody asks and nobody waits",
            { $0.sessionWindowMin = 0 },
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...4 { $0.ask(stream) }
                $0.reported()
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                dial 3 a
                """
        ),
        Row(
            "a reply that has begun takes no room, however long it goes on",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.forget()
                $0.hear(1, "HTTP/1.1 200 OK|Content-Length: 20||begun")
                $0.connect(2)
            },
            expected: """
                dial 2 a
                2 reply 200
                2 body begun
                2 got GET /3
                """
        ),
        Row(
            "nor does a tunnel, and nothing keeps one back",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) }
                $0.forget()
                $0.ask(4) {
                    $0.method = "CONNECT"
                    $0.authority = "h:443"
                }
            },
            expected: "dial 2 a"
        ),
        Row(
            "one that is cancelled makes room for the next",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...4 { $0.ask(stream) }
                $0.forget()
                $0.cancel(3)
                $0.cancel(2)
            },
            expected: """
                3 end cancelled none [] unsent
                close 1
                dial 2 a
                2 end cancelled none [abandoned0] unsent
                """
        ),
        Row(
            "the window grows: all that it has room for go on",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...6 { $0.ask(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.pass(15)
                $0.windows.window = Window(requestsMax: 3, crowdedSince: .longAgo)
                $0.forget()
                $0.answer(1)
            },
            expected: """
                dial 2 a
                dial 3 a
                1 got GET /3
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                """
        ),
        Row(
            "that is seen though no reply comes",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...6 { $0.ask(stream) }
                $0.forget()
                $0.narrow(to: 3)
                $0.note("three")
                $0.narrow(to: nil)
            },
            expected: """
                dial 2 a
                dial 3 a
                three
                dial 4 a
                dial 5 a
                """
        ),
        Row(
            "but not where a limit would have them wait",
            {
                Limits.narrow(&$0)
                $0.connectionsPerEndpointMax = 2
            },
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...6 { $0.ask(stream) }
                $0.narrow(to: 2)
                $0.note("held: \($0.engine.shares[0].held.count)")
                $0.narrow(to: nil)
                $0.note("held: \($0.engine.shares[0].held.count)")
            },
            expected: """
                dial 0 a
                dial 1 a
                held: 3
                held: 3
                """
        ),
        Row(
            "one goes on without room after three quarters of its queue's deadline",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) { $0.deadlines.queueMilliseconds = 400 } }
                $0.forget()
                $0.pass(299)
                $0.note("at 299 ms")
                $0.pass(1)
            },
            expected: """
                at 299 ms
                dial 2 a
                """
        ),
        Row(
            "many go on one after the other over the last quarter, and none ends for it",
            Limits.narrow,
            script: { rig in
                rig.narrow(to: 1)
                for stream: UInt32 in 1...12 { rig.ask(stream) { $0.deadlines.queueMilliseconds = 400 } }
                rig.pass(280)
                rig.noteHeld()
                for _ in 1...5 {
                    rig.pass(20)
                    rig.noteHeld()
                }
            },
            expected: """
                10 held
                7 held
                4 held
                2 held
                0 held
                0 held
                """
        ),
        Row(
            "one with little time does so though one with much is before it",
            Limits.narrow,
            script: { rig in
                rig.narrow(to: 1)
                for stream: UInt32 in 1...3 { rig.ask(stream) { $0.deadlines.queueMilliseconds = 4000 } }
                rig.ask(4) { $0.deadlines.queueMilliseconds = 400 }
                rig.forget()
                rig.pass(280)
                rig.note("at 280 ms")
                rig.pass(120)
            },
            expected: """
                at 280 ms
                dial 2 a
                """
        ),
        Row(
            "who has hardly any time is not held back",
            Limits.narrow,
            script: { rig in
                rig.narrow(to: 1)
                for stream: UInt32 in 1...4 { rig.ask(stream) { $0.deadlines.queueMilliseconds = 159 } }
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                dial 3 a
                """
        ),
        Row(
            "the rest of that deadline is for what comes then",
            {
                Limits.narrow(&$0)
                $0.connectionsPerEndpointMax = 2
            },
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) { $0.deadlines.queueMilliseconds = 400 } }
                $0.connect(0)
                $0.connect(1)
                $0.forget()
                $0.pass(399)
                $0.note("at 399 ms")
                $0.pass(1)
            },
            expected: """
                at 399 ms
                3 end queueTimeout none [abandoned0] unsent
                """
        ),
        Row(
            "and so it is in the line of a pin that was begun meanwhile",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...2 { $0.ask(stream) }
                $0.pin(3, "t", .auto) { $0.deadlines.queueMilliseconds = 400 }
                $0.pin(4, "t", .make)
                $0.forget()
                $0.pass(399)
                $0.note("at 399 ms")
                $0.pass(1)
            },
            expected: """
                at 399 ms
                3 end queueTimeout none [] unsent
                """
        ),
        Row(
            "the deadline of the exchange ends who waits",
            Limits.narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) { $0.deadlines.totalMilliseconds = 100 } }
                $0.forget()
                $0.pass(100)
            },
            expected: """
                close 0
                close 1
                1 end deadline none [abandoned0] unsent
                2 end deadline none [abandoned0] unsent
                3 end deadline none [] unsent
                """
        ),
        Row(
            "who waits counts in the queue; when that is full nobody waits",
            {
                Limits.narrow(&$0)
                $0.queueLengthMax = 1
            },
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...4 { $0.ask(stream) }
                $0.note("waiting: \($0.counts.waiting)")
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                waiting: 1
                """
        ),
        Row(
            "a pinned connection has no others to wait for",
            Limits.narrow,
            script: {
                $0.madePin()
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.ask(stream) }
                $0.forget()
                $0.pin(4, "t", .require)
            },
            expected: "0 got GET /4"
        ),
        Row(
            "a group is one destination: who waits goes to the member that is chosen then",
            Limits.narrow,
            named: .group("ab"),
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...3 { $0.askGroup(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.answer(1)
                $0.reported()
            },
            expected: """
                dial 0 a
                dial 1 b
                0 got GET /1
                1 got GET /2
                dial 2 a
                2 reply 200
                2 body ok
                2 end complete pooled [connected at b] by b
                group 0: full, at most 1, 0 alone
                """
        ),
    ]

    @Test(arguments: rows)
    func `a session with many requests under way waits for its own replies`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
