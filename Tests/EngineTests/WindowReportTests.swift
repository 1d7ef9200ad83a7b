// WindowReportTests.swift: whom a session's window is for: what the directory is told of replies, and what the ledger makes of
// it. Source: SessionWindows.swift, WindowLedger.swift.
import Model
import Testing

@testable import Engine

struct WindowReportTests {
    // With the ledger itself.

    static let wholes = [
        Row(
            "a session by itself is not held back, whatever it did before",
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
            Limits.narrow,
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
