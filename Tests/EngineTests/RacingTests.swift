// RacingTests.swift: several addresses for one stream. Source: DESIGN step 4; RFC 8305 §5.
import Testing

struct RacingTests {
    static let rows = [
        Row(
            "the first address has 250 ms alone",
            script: {
                $0.ask(1, "ab")
                $0.pass(249)
            },
            expected: "dial 0 a"
        ),
        Row(
            "the second address is tried beside it after 250 ms; the loser is closed and told in END",
            script: {
                $0.ask(1, "ab")
                $0.pass(250)
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                close 0
                1 got GET /1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [abandoned0 connected1]
                """
        ),
        Row(
            "attempts stand in the order in which they began",
            script: {
                $0.ask(1, "ab")
                $0.pass(250)
                $0.connect(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                dial 1 b
                close 1
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0 abandoned1]
                """
        ),
        Row(
            "a failure brings the next address at once, which then has 250 ms alone",
            script: {
                $0.ask(1, "abc")
                $0.pass(10)
                $0.fail(0)
                $0.pass(249)
                $0.note("249 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                249 ms
                dial 2 c
                """
        ),
        Row(
            "a failure beside a dial under way waits for that",
            script: {
                $0.ask(1, "ab")
                $0.pass(250)
                $0.fail(0)
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got GET /1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [refused0 connected1]
                """
        ),
        Row(
            "when every address fails the last failure is the outcome",
            script: {
                $0.ask(1, "ab")
                $0.fail(0, .unreachable)
                $0.fail(1, .refused)
                $0.ask(2, "ab")
                $0.fail(2, .refused)
                $0.fail(3, .failed)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 end connectRefused none [unreachable0 refused1] unsent
                dial 2 a
                dial 3 b
                2 end connectUnreachable none [refused0 failed1] unsent
                """
        ),
        Row(
            "an idle connection to any of the addresses comes before a dial",
            script: {
                $0.warm(0, 99, "b")
                $0.ask(1, "ab")
                $0.answer(0)
            },
            expected: """
                0 got GET /1
                1 reply 200 reused endpoint 1
                1 body ok
                1 end complete pooled [reused1]
                """
        ),
        Row(
            "a full queue costs the second address only",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueLengthMax = 0
            },
            script: {
                $0.ask(1, "b")
                $0.connect(0)
                $0.forget()
                $0.ask(2, "ab")
                $0.pass(250)
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0 abandoned1]
                """
        ),
    ]

    @Test(arguments: rows) func `several addresses are raced as RFC 8305 says`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
