// PoolTests.swift: which connections are kept, and for how long.
// Source: DESIGN "No desynchronisation", steps 3, 8.
import Model
import Testing

struct PoolTests {
    static let kept = [
        Row(
            "the newest idle connection is taken first",
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(1)
                $0.answer(0)
                $0.forget()
                $0.ask(1)
                $0.ask(2)
            },
            expected: """
                0 got GET /1
                1 got GET /2
                """
        ),
        Row(
            "requests share a connection only when the whole key is equal",
            script: {
                $0.warm(0)
                $0.ask(1, "b")
                $0.ask(2) { $0.route = .peer }
                $0.ask(3) { $0.localAddress = .v4(7) }
                $0.ask(4)
            },
            expected: """
                dial 1 b
                dial 2 a
                dial 3 a
                0 got GET /4
                """
        ),
        Row(
            "idle for a second: probed before it is used, not earlier",
            script: {
                $0.warm(0)
                $0.pass(999)
                $0.ask(1)
                $0.answer(0)
                $0.pass(1000)
                $0.forget()
                $0.ask(2)
            },
            expected: """
                probe 0
                0 got GET /2
                """
        ),
        Row(
            "handed on without being idle: not probed",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.pass(5000)
                $0.forget()
                $0.answer(0)
            },
            expected: """
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "assigned and given back unwritten: as good as before, and no younger",
            script: {
                $0.warm(0, 99, "a", "Keep-Alive: timeout=5|")
                $0.pass(900)
                $0.isWriting = false
                $0.ask(1)
                $0.cancel(1)
                $0.pass(3099)
                $0.note("3999 ms")
                $0.pass(1)
            },
            expected: """
                1 end cancelled pooled [reused0] unsent
                3999 ms
                close 0
                """
        ),
    ]

    static let closed = [
        Row(
            "idle as long as we allow, when the upstream's Keep-Alive timeout is beyond all bounds",
            { $0.idleConnectionMilliseconds = 5000 },
            script: {
                $0.warm(0, 99, "a", "Keep-Alive: timeout=9223372036854775807|")
                $0.pass(4999)
                $0.note("5 s")
                $0.pass(1)
            },
            expected: """
                5 s
                close 0
                """
        ),
        Row(
            "idle for the upstream's Keep-Alive timeout less a second",
            script: {
                $0.warm(0, 99, "a", "Keep-Alive: timeout=5|")
                $0.pass(3999)
                $0.note("3999 ms")
                $0.pass(1)
            },
            expected: """
                3999 ms
                close 0
                """
        ),
        Row(
            "idle for as long as is configured",
            { $0.idleConnectionMilliseconds = 2000 },
            script: {
                $0.warm(0, 99, "a", "Keep-Alive: timeout=5|")
                $0.pass(1999)
                $0.note("1999 ms")
                $0.pass(1)
            },
            expected: """
                1999 ms
                close 0
                """
        ),
        Row(
            "the upstream keeps it for a second: closed at once, and END says so",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.answer(0, "ok", "Keep-Alive: timeout=1|")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                """
        ),
        Row(
            "more idle ones of a key than allowed: its oldest",
            { $0.idlePerKeyMax = 1 },
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(0)
                $0.forget()
                $0.answer(1)
            },
            expected: """
                close 0
                99 reply 200
                99 body ok
                99 end complete pooled [connected0]
                """
        ),
        Row(
            "more idle ones than allowed in all: the oldest of whatever key",
            { $0.idleMax = 1 },
            script: {
                $0.warm(0, 99, "a")
                $0.warm(1, 98, "b")
                $0.note("\($0.counts.idleConnections) idle")
                $0.ask(1, "a")
            },
            expected: """
                1 idle
                dial 2 a
                """
        ),
        Row(
            "as many requests as a connection may serve",
            { $0.requestsPerConnectionMax = 2 },
            script: {
                $0.warm(0)
                $0.ask(1)
                $0.answer(0)
            },
            expected: """
                0 got GET /1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                """
        ),
        Row(
            "as old as a connection may be, idle or after its reply",
            { $0.connectionAgeMilliseconds = 5000 },
            script: {
                $0.warm(0)
                $0.ask(1, "b")
                $0.connect(1)
                $0.pass(4999)
                $0.note("4999 ms")
                $0.pass(1)
                $0.answer(1)
            },
            expected: """
                dial 1 b
                1 got GET /1
                4999 ms
                close 0
                close 1
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                """
        ),
        Row(
            "bytes that nobody asked for, and its end",
            script: {
                $0.warm(0, 99, "a")
                $0.warm(1, 98, "b")
                $0.hear(0, "x")
                $0.end(1)
            },
            expected: """
                close 0
                close 1
                """
        ),
        Row(
            "a byte behind a whole reply",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 2||okX")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                """
        ),
        Row(
            "a reply that says close",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.answer(0, "ok", "Connection: close|")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                """
        ),
        Row(
            "a reply that is broken",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: x||")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 end badReply closed [connected0]
                """
        ),
        Row(
            "a reply that its end delimits",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK||abc")
                $0.end(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body abc
                close 0
                1 end completeByEOF closed [connected0]
                """
        ),
    ]

    @Test(arguments: kept) func `an idle connection serves the next request of its key`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: closed) func `a connection that is in doubt or has had its time is closed`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
