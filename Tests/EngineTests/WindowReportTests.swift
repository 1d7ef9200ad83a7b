// WindowReportTests.swift: whom a session's window is for: what the directory is told of replies, and what the ledger makes of
// it. Source: SessionWindows.swift, WindowLedger.swift.
import Model
import Testing

@testable import Engine

extension Rig {
    /// Session 1 has a reply; session 0 sends six requests at once.
    fileprivate func flood(beside endpoints: String, closing: Bool) {
        windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
        greet()
        ask(1, endpoints, 1)
        if endpoints.first != "a" { fail(0) }
        let socket = sockets.count - 1
        connect(socket)
        pass(10)
        answer(socket, "ok", closing ? "Connection: close|" : "")
        if closing { end(socket) }
        pass(10)
        for stream: UInt32 in 1...6 { ask(stream, endpoints) }
        noteHeld()
    }
}

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
        Row(
            "it is for others whose upstream closes each connection",
            Limits.narrow,
            script: { $0.flood(beside: "a", closing: true) },
            expected: "4 held"
        ),
        Row(
            "it is for others whose first endpoint is dead",
            Limits.narrow,
            script: { $0.flood(beside: "ba", closing: false) },
            expected: "4 held"
        ),
        Row(
            "it is for others that have few there and many elsewhere",
            Limits.narrow,
            script: { rig in
                rig.windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
                rig.greet()
                for stream: UInt32 in 11...14 { rig.ask(stream, "c", 1) }
                rig.ask(15, "a", 1)
                rig.connect(4)
                rig.pass(10)
                rig.answer(4)
                for stream: UInt32 in 1...6 { rig.ask(stream) }
                rig.noteHeld()
            },
            expected: "4 held"
        ),
        Row(
            "one by itself that has many elsewhere as well is not",
            Limits.narrow,
            script: { rig in
                rig.windows.ledger = WindowLedger(requestsMin: 1, workers: 1)
                for stream: UInt32 in 11...14 { rig.ask(stream, "c") }
                rig.ask(15)
                rig.connect(4)
                rig.pass(10)
                rig.answer(4)
                for stream: UInt32 in 1...6 { rig.ask(stream) }
                rig.noteHeld()
            },
            expected: "0 held"
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
                0.0.0.1:80: not full, at most 0, 0 alone
                0.0.0.1:80: not full, at most 0, 1 alone in 5000 µs
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
            expected: "0.0.0.1:80: not full, at most 0, 172 alone in 172000 µs"
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
                for stream: UInt32 in 6...8 { $0.ask(stream, "a", 1) }
                $0.forget()
                $0.reported()
            },
            expected: "0.0.0.1:80: full, at most 3, 0 alone, 1 beside in 7000 µs"
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
                for stream: UInt32 in 5...7 { $0.ask(stream) }
                $0.forget()
                $0.reported()
            },
            expected: "0.0.0.1:80: full, at most 3, 0 alone"
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
            expected: "0.0.0.1:80: full, at most 2, 0 alone"
        ),
    ]

    @Test func `while nobody asks, others are noted ten times a second`() {
        let rig = Rig()
        rig.greet()
        rig.ask(1)
        rig.connect(0)
        rig.answer(0)
        for stream: UInt32 in 2...1000 {
            rig.pass(1)
            rig.ask(stream)
            rig.answer(0)
        }
        #expect(rig.windows.notes.count == 10)
    }

    @Test func `a session with much under way at many places, and few at each, asks of none`() {
        let rig = Rig()
        rig.greet()
        for stream: UInt32 in 1...8 { rig.ask(stream, "c") }
        for stream: UInt32 in 9...16 { rig.ask(stream) }
        for socket in 8...15 { rig.connect(socket) }
        for stream: UInt32 in 17...1000 {
            rig.answer(8)
            rig.ask(stream)
        }
        #expect(rig.windows.reports.isEmpty)
        rig.ask(1001)
        #expect(rig.windows.reports.map(\.report.isFull) == [true])
    }

    @Test func `one whose requests come in bursts asks of each place a hundred times a second at most`() {
        let rig = Rig()
        rig.greet()
        for stream: UInt32 in 1...8 { rig.ask(stream, "c") }
        for burst: UInt32 in 1...100 {
            for stream in 1...9 { rig.ask(10 * burst + UInt32(stream)) }
            if burst == 1 { for socket in 8...16 { rig.connect(socket) } }
            for socket in 8...16 { rig.answer(socket) }
            rig.pass(1)
        }
        #expect((9...11).contains(rig.windows.reports.count), "\(rig.windows.reports.count)")
    }

    @Test func `what replies take is told of those that came since it was asked, the last one as well`() {
        let rig = Rig()
        rig.greet()
        for stream: UInt32 in 1...12 {
            rig.ask(stream)
            if stream == 1 { rig.connect(0) }
            if stream > 10 { rig.windows.isAsked = true }
            rig.pass(stream > 10 ? 900 : 1)
            rig.answer(0)
        }
        let told = rig.windows.reports.map(\.report.others)
        #expect(told.map(\.count) == [1, 1])
        #expect(told.map(\.microseconds) == [900_000, 900_000])
    }

    @Test func `a note says when others were at its destination, and nothing of another`() {
        let (one, other): (Destination, Destination) = (.endpoint(.lettered("a")), .group(3))
        for seconds in [0, 1, 100_000_000] as [Int64] {
            let at = Instant(nanoseconds: seconds * 1_000_000_000)
            let note = OthersNote(word: OthersNote(of: one.fingerprint, at: at).word)
            let now = at.adding(milliseconds: 700)
            let told = note.time(of: one.fingerprint, now: now)
            #expect(told <= at && told.adding(milliseconds: 17) >= at, "\(seconds) s")
            #expect(note.time(of: other.fingerprint, now: now) == .longAgo)
        }
        let none = OthersNote(word: 0).time(of: one.fingerprint, now: Instant(nanoseconds: 1_000_000_000))
        #expect(none == .longAgo)
    }

    @Test func `of endpoints without a connection as many windows are kept as may be`() {
        let rig = Rig()
        rig.greet()
        let letters = (0..<300).compactMap { UnicodeScalar(UInt32(97 + $0)).map { String(Character($0)) } }
        for (number, letter) in letters.enumerated() {
            rig.ask(UInt32(number + 1), letter)
            rig.connect(number)
            rig.answer(number, "ok", "Connection: close|")
            rig.end(number)
        }
        let kept = letters.map { rig.engine.targets.find(endpoint: .lettered(Character($0))) != nil }
        #expect(kept == Array(repeating: false, count: 44) + Array(repeating: true, count: 256))
    }

    @Test(arguments: reports)
    func `the directory is told what was seen`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test func `of many destinations some are forgotten at a time, so that each new one costs little`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1, destinationsMax: 64)
        var counts: [Int] = []
        let now = Instant(nanoseconds: 0)
        var report = WindowReport()
        report.isFull = true
        for group in 0..<70 {
            _ = ledger.exchange(.group(group), report, by: 0, now: now.adding(milliseconds: group))
            counts.append(ledger.count)
        }
        #expect(counts.suffix(7) == [64, 61, 62, 63, 64, 61, 62])
    }
}
