// RetryTests.swift: when a request is sent again. Source: DESIGN "Semantics", retries; RFC 9110 §9.2.2.
import Testing

struct RetryTests {
    static let repeated = [
        Row(
            "a probe finds the connection dead: any other will do",
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(0)
                $0.answer(1)
                $0.pass(1000)
                $0.forget()
                $0.spoil(1)
                $0.ask(1)
                $0.answer(0)
            },
            expected: """
                probe 1
                probe 0
                0 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pooled [stale0 reused0]
                """
        ),
        Row(
            "an idempotent request on a reused connection that is reset: once more, on a fresh one",
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(0)
                $0.answer(1)
                $0.forget()
                $0.ask(1)
                $0.reset(1)
                $0.connect(2)
                $0.answer(2)
            },
            expected: """
                1 got GET /1
                dial 2 a
                2 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [stale0 connected0]
                """
        ),
        Row(
            "an end of file is as good as a reset",
            script: {
                $0.warm(0)
                $0.ask(1)
                $0.end(0)
            },
            expected: """
                0 got GET /1
                close 0
                dial 1 a
                """
        ),
        Row(
            "a body that is held is sent again",
            script: {
                $0.warm(0)
                $0.post(1, 3) { $0.method = "PUT" }
                $0.body(1, "abc", ends: true)
                $0.reset(0)
                $0.connect(1)
            },
            expected: """
                0 got PUT /1
                0 more abc
                dial 1 a
                1 got PUT /1
                1 more abc
                """
        ),
        Row(
            "a request that may be replayed is, whatever its method",
            script: {
                $0.warm(0)
                $0.post(1, 3) { $0.retry = .replayable }
                $0.body(1, "abc", ends: true)
                $0.reset(0)
            },
            expected: """
                0 got POST /1
                0 more abc
                dial 1 a
                """
        ),
        Row(
            "a request of which nothing was written goes again under every rule",
            script: {
                $0.warm(0)
                $0.isWriting = false
                $0.ask(1) {
                    $0.method = "POST"
                    $0.retry = .never
                }
                $0.reset(0)
            },
            expected: "dial 1 a"
        ),
        Row(
            "bytes before the request is written are nobody's reply",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.forget()
                $0.isWriting = false
                $0.answer(0)
                $0.answer(0, "poison")
                $0.isWriting = true
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                close 0
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [stale0 connected0]
                """
        ),
        Row(
            "an awaited 100 is awaited again",
            script: {
                $0.warm(0)
                $0.post(1, 3) {
                    $0.method = "PUT"
                    $0.fields = [("Expect", "100-continue")]
                }
                $0.body(1, "abc", ends: true)
                $0.pass(1000)
                $0.reset(0)
                $0.connect(1)
                $0.note("connected")
                $0.pass(1000)
            },
            expected: """
                0 got PUT /1
                0 more abc
                dial 1 a
                1 got PUT /1
                connected
                1 more abc
                """
        ),
    ]

    static let notRepeated = [
        Row(
            "not idempotent and written",
            script: {
                $0.warm(0)
                $0.post(1, 0)
                $0.reset(0)
            },
            expected: """
                0 got POST /1
                1 end reset closed [reused0] unrepeatable
                """
        ),
        Row(
            "the rule is never, and it is written",
            script: {
                $0.warm(0)
                $0.ask(1) { $0.retry = .never }
                $0.reset(0)
            },
            expected: """
                0 got GET /1
                1 end reset closed [reused0] unrepeatable
                """
        ),
        Row(
            "the connection was fresh",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.reset(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 end reset closed [connected0]
                """
        ),
        Row(
            "a byte of the reply has come",
            script: {
                $0.warm(0)
                $0.ask(1)
                $0.hear(0, "H")
                $0.reset(0)
            },
            expected: """
                0 got GET /1
                1 end truncated closed [reused0]
                """
        ),
        Row(
            "an interim reply was passed on",
            script: {
                $0.warm(0)
                $0.ask(1)
                $0.hear(0, "HTTP/1.1 103 Early Hints||")
                $0.end(0)
            },
            expected: """
                0 got GET /1
                1 interim 103
                close 0
                1 end truncated closed [reused0]
                """
        ),
        Row(
            "the request is over the replay limit",
            { $0.replayBytesMax = 40 },
            script: {
                $0.warm(0)
                $0.post(1, 3) { $0.method = "PUT" }
                $0.body(1, "abc", ends: true)
                $0.reset(0)
            },
            expected: """
                0 got PUT /1
                0 more abc
                1 end reset closed [reused0]
                """
        ),
        Row(
            "it was sent again before",
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(0)
                $0.forget()
                $0.ask(1)
                $0.reset(0)
                $0.answer(1)
                $0.reset(1)
            },
            expected: """
                0 got GET /1
                dial 2 a
                1 got GET /1
                99 reply 200
                99 body ok
                99 end complete pooled [connected0]
                1 end reset closed [stale0 reused0]
                """
        ),
        Row(
            "an upstream that speaks first is given up after two connections",
            script: {
                $0.isWriting = false
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "220 hello|")
                $0.connect(1)
                $0.hear(1, "220 hello|")
            },
            expected: """
                dial 0 a
                close 0
                dial 1 a
                close 1
                1 end reset closed [stale0 connected0] unsent
                """
        ),
        Row(
            "a tunnel",
            script: {
                $0.warm(0)
                $0.ask(1) { $0.upgrade = "ws" }
                $0.hear(0, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||")
                $0.reset(0)
            },
            expected: """
                0 got GET /1
                1 reply 101 reused
                1 end truncated closed [reused0] unrepeatable
                """
        ),
    ]

    @Test(arguments: repeated) func `a request is sent again when that is safe`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: notRepeated) func `a request is not sent again when that is not safe`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
