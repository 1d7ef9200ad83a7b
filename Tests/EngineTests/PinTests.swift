// PinTests.swift: who gets a pinned connection.
// Source: proto/outrigger.proto, message Pin; DESIGN "Pins are exclusive".
import Model
import Testing

struct PinTests {
    static let rows = [
        Row(
            "make: whatever serves the request is pinned when its reply begins",
            script: {
                $0.pin(1, "t", .make)
                $0.connect(0)
                $0.answer(0)
                $0.pin(2, "t", .require)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pin t made
                1 reply 200
                1 body ok
                1 end complete pinned [connected0]
                0 got GET /2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0]
                """
        ),
        Row(
            "a pin that comes to another endpoint leaves those in line who cannot go there to themselves",
            script: {
                $0.pin(1, "t", .make, "ab")
                $0.pin(2, "t", .prefer, "a")
                $0.pin(3, "t", .require, "ab")
                $0.fail(0)
                $0.connect(1)
                $0.answer(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got GET /1
                dial 2 a
                1 got GET /3
                pin t made
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pinned [refused0 connected1]
                3 reply 200 reused endpoint 1
                3 body ok
                3 end complete pinned [reused1]
                """
        ),
        Row(
            "what was written on a pin goes nowhere else, though its token was unpinned since",
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.unpin("t")
                $0.reset(0)
            },
            expected: """
                0 got GET /1
                1 end reset closed [reused0]
                """
        ),
        Row(
            "make takes an idle connection, prefer a fresh one",
            script: {
                $0.warm(0)
                $0.pin(1, "t", .prefer)
                $0.pin(2, "u", .make)
            },
            expected: """
                dial 1 a
                0 got GET /2
                """
        ),
        Row(
            "prefer does not take a connection that becomes free, make does",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.forget()
                $0.pin(2, "t", .prefer)
                $0.pin(3, "u", .make)
                $0.answer(0)
            },
            expected: """
                dial 1 a
                dial 2 a
                0 got GET /3
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "require without a pin is lost, with one for another target a mismatch",
            script: {
                $0.pin(1, "t", .require)
                $0.madePin()
                $0.pin(2, "t", .require, "b")
                $0.pin(3, "t", .require) { $0.localAddress = .v4(9) }
                $0.pin(4, "u", .require)
            },
            expected: """
                2 end pinMismatch none [] unsent
                3 end pinMismatch none [] unsent
                4 end pinLost none [] unsent
                """
        ),
        Row(
            "a pinned connection serves neither another token nor none",
            script: {
                $0.madePin()
                $0.ask(1)
                $0.pin(2, "u", .make)
                $0.pin(3, "tt", .auto)
                $0.pin(4, "t", .auto)
            },
            expected: """
                dial 1 a
                dial 2 a
                dial 3 a
                0 got GET /4
                """
        ),
        Row(
            "one stream at a time: the others wait in order, one too many is refused",
            { $0.pinQueueLengthMax = 2 },
            script: {
                $0.madePin()
                for stream in 1...4 { $0.pin(UInt32(stream), "t", .require) }
                $0.answer(0)
                $0.cancel(3)
                $0.answer(0)
            },
            expected: """
                0 got GET /1
                4 end pinBusy none [] unsent
                0 got GET /2
                1 reply 200 reused
                1 body ok
                1 end complete pinned [reused0]
                3 end cancelled none [] unsent
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0]
                """
        ),
        Row(
            "others wait for a pin that is being made, and for the queue's deadline at most",
            { $0.queueMilliseconds = 100 },
            script: {
                $0.pin(1, "t", .prefer)
                $0.pin(2, "t", .prefer)
                $0.pin(3, "t", .require)
                $0.connect(0)
                $0.answer(0)
                $0.pass(200)
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /2
                pin t made
                1 reply 200
                1 body ok
                1 end complete pinned [connected0]
                3 end queueTimeout none [] unsent
                """
        ),
        Row(
            "when the one who was to make it fails, the next one makes it; require is lost",
            script: {
                $0.pin(1, "t", .prefer)
                $0.pin(2, "t", .require)
                $0.pin(3, "t", .prefer)
                $0.fail(0)
                $0.connect(1)
            },
            expected: """
                dial 0 a
                dial 1 a
                1 end connectRefused none [refused0] unsent
                2 end pinLost none [] unsent
                1 got GET /3
                """
        ),
        Row(
            "a token may pin several targets, up to a limit",
            { $0.pinTargetsPerTokenMax = 2 },
            script: {
                $0.madePin("t", "a", 0)
                $0.madePin("t", "b", 1)
                $0.pin(1, "t", .make, "c")
                $0.pin(2, "t", .require, "b")
                $0.pin(3, "t", .require, "a")
            },
            expected: """
                1 end overloaded none [] unsent
                1 got GET /2
                0 got GET /3
                """
        ),
        Row(
            "limits on pins of a proxy and in all",
            {
                $0.pinsMax = 2
                $0.pinsPerProxyMax = 1
            },
            script: {
                $0.madePin("t", "a", 0)
                $0.pin(1, "u", .make)
                $0.greet()
                $0.pin(1, "u", .make, "a", 1)
                $0.greet()
                $0.pin(1, "u", .make, "a", 2)
            },
            expected: """
                1 end overloaded none [] unsent
                dial 1 a
                s2 1 end overloaded none [] unsent
                """
        ),
        Row(
            "tokens of two sessions without an instance have nothing to do with each other",
            script: {
                $0.madePin()
                $0.greet()
                $0.pin(1, "t", .require, "a", 1)
                $0.unpin("t", 1)
                $0.pin(1, "t", .require)
            },
            expected: """
                s1 1 end pinLost none [] unsent
                0 got GET /1
                """
        ),
        Row(
            "several endpoints: the pin is the connection that served",
            script: {
                $0.pin(1, "t", .prefer, "ab")
                $0.fail(0)
                $0.connect(1)
                $0.answer(1)
                $0.pin(2, "t", .require, "b")
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got GET /1
                pin t made
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pinned [refused0 connected1]
                1 got GET /2
                """
        ),
    ]

    @Test(arguments: rows) func `a pinned connection serves its token only`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows + PinEndingTests.rows, [Reading.inPlace])
    func `however replies are cut`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
