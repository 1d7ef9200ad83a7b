// SessionWindowTests.swift: who waits for others of its session, and until when. Source: SessionWindows.swift.
import Model
import Testing

@testable import Engine

extension Rig {
    /// Notes how many requests are held back, and forgets everything before but such notes.
    fileprivate func noteHeld() {
        let notes = lines.filter { $0.hasSuffix("held") }
        forget()
        for line in notes { note(line) }
        note("\(counts.waiting) held")
    }
}

struct SessionWindowTests {
    /// One request of a session is not looked at, and each destination leaves it one more.
    @Sendable private static func narrow(_ limits: inout Limits) { limits.sessionWindowMin = 1 }

    static let rows = [
        Row(
            "a session that has as much under way as its window goes on in order, one reply at a time",
            narrow,
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
            narrow,
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
            narrow,
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
            narrow,
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
            narrow,
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
            narrow,
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
            narrow,
            script: {
                $0.narrow(to: 1)
                for stream: UInt32 in 1...6 { $0.ask(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.pass(15)
                $0.windows.window = Window(requestsMax: 3, isCrowded: true)
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
            narrow,
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
                narrow(&$0)
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
            narrow,
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
            narrow,
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
            "who has hardly any time is not held back",
            narrow,
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
                narrow(&$0)
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
            narrow,
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
            narrow,
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
                narrow(&$0)
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
            narrow,
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
            narrow,
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
                group 0: shares, at most 0, 0 alone
                group 0: shares, at most 1, 0 alone
                """
        ),
    ]

    @Test(arguments: rows)
    func `a session with many requests under way waits for its own replies`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    // With the ledger itself.

    static let wholes = [
        Row(
            "a session by itself is not held back, whatever it did before",
            narrow,
            script: { rig in
                rig.windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
                for stream: UInt32 in 1...3 {
                    rig.ask(stream)
                    if stream == 1 { rig.connect(0) }
                    rig.pass(100)
                    rig.answer(0)
                }
                for round: UInt32 in 1...3 {
                    for stream: UInt32 in 1...6 { rig.ask(10 * round + stream) }
                    rig.noteHeld()
                    for stream: UInt32 in 1...6 { rig.cancel(10 * round + stream) }
                    rig.pass(100)
                    rig.noteHeld()
                }
            },
            expected: """
                0 held
                0 held
                0 held
                0 held
                0 held
                0 held
                """
        ),
        Row(
            "as soon as another has a reply it is",
            narrow,
            script: { rig in
                rig.windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
                rig.greet()
                for stream: UInt32 in 1...3 {
                    rig.ask(stream, "a", 1)
                    if stream == 1 { rig.connect(0) }
                    rig.pass(100)
                    rig.answer(0)
                }
                rig.ask(4, "a", 1)
                for stream: UInt32 in 11...16 { rig.ask(stream) }
                rig.noteHeld()
                rig.pass(900)
                rig.answer(0)
                rig.pass(900)
                // One has gone on by now, as the other did not suffer.
                rig.ask(17)
                rig.noteHeld()
            },
            expected: """
                4 held
                4 held
                """
        ),
        Row(
            "a second after the last one it is not",
            narrow,
            script: { rig in
                rig.windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
                rig.greet()
                rig.ask(1, "a", 1)
                rig.connect(0)
                rig.pass(100)
                rig.answer(0)
                for stream: UInt32 in 11...16 { rig.ask(stream) }
                rig.noteHeld()
                rig.pass(1020)
                rig.cancel(12)
                rig.noteHeld()
            },
            expected: """
                4 held
                0 held
                """
        ),
    ]

    @Test(arguments: wholes)
    func `others are those who have few requests under way`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    // What the directory is told.

    static let reports = [
        Row(
            "replies of a session with few requests are timed, and told when it is asked the next time",
            narrow,
            script: {
                $0.windows.isAsked = true
                $0.ask(1)
                $0.connect(0)
                $0.pass(5)
                $0.answer(0)
                $0.pass(100)
                $0.ask(2)
                $0.forget()
                $0.answer(0)
                $0.forget()
                $0.reported()
            },
            expected: """
                0.0.0.1:80: no shares, at most 0, 0 alone
                0.0.0.1:80: no shares, at most 0, 1 alone in 5000 µs
                """
        ),
        Row(
            "what nobody takes is kept; of much the older half counts half",
            narrow,
            script: { rig in
                rig.windows.isAsked = true
                rig.windows.window = nil
                for stream: UInt32 in 1...300 {
                    rig.ask(stream)
                    if stream == 1 { rig.connect(0) }
                    rig.pass(1)
                    rig.answer(0)
                }
                rig.windows.window = .open
                rig.windows.forget()
                rig.pass(100)
                for stream: UInt32 in 301...302 {
                    rig.ask(stream)
                    rig.answer(0)
                }
                rig.forget()
                rig.reported()
            },
            expected: "0.0.0.1:80: no shares, at most 0, 172 alone in 172000 µs"
        ),
        Row(
            "replies beside a session with much under way are told apart; its own are not timed for a second",
            narrow,
            script: {
                $0.greet()
                for stream: UInt32 in 1...4 { $0.ask(stream, "a", 1) }
                $0.ask(1)
                for socket in 0...4 { $0.connect(socket) }
                $0.pass(7)
                $0.answer(4)
                for socket in 0...3 { $0.answer(socket) }
                $0.ask(5, "a", 1)
                $0.pass(100)
                $0.answer(3)
                $0.windows.forget()
                $0.pass(800)
                for stream: UInt32 in 6...7 { $0.ask(stream, "a", 1) }
                $0.forget()
                $0.reported()
            },
            expected: "0.0.0.1:80: shares, at most 3, 0 alone, 1 beside in 7000 µs"
        ),
        Row(
            "a session that has much under way for long is none of the others",
            narrow,
            script: {
                for stream: UInt32 in 1...4 { $0.ask(stream) }
                for socket in 0...3 { $0.connect(socket) }
                $0.pass(1500)
                for socket in 0...3 { $0.answer(socket) }
                $0.windows.forget()
                for stream: UInt32 in 5...6 { $0.ask(stream) }
                $0.forget()
                $0.reported()
            },
            expected: "0.0.0.1:80: shares, at most 3, 0 alone"
        ),
        Row(
            "who was served by another of its endpoints met others at the first",
            narrow,
            script: {
                $0.windows.isAsked = true
                $0.greet()
                for stream: UInt32 in 1...3 { $0.ask(stream, "ab", 1) }
                $0.ask(1, "ab")
                $0.fail(3)
                $0.connect(4)
                $0.pass(100)
                $0.windows.forget()
                $0.answer(4)
                $0.forget()
                $0.reported()
            },
            expected: "0.0.0.1:80: shares, at most 2, 0 alone"
        ),
    ]

    @Test(arguments: reports)
    func `the directory is told what was seen`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
