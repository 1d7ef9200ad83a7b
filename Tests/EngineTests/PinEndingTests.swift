// PinEndingTests.swift: what ends a pin, and what a proxy is told of it.
// Source: proto/outrigger.proto, message PinEvent; DESIGN "Pins are exclusive".
import Model
import Testing

struct PinEndingTests {
    static let rows = [
        Row(
            "the upstream closes it between requests: the proxy is told at once",
            script: {
                $0.madePin()
                $0.end(0)
                $0.pin(1, "t", .require)
            },
            expected: """
                close 0
                pin t lost
                1 end pinLost none [] unsent
                """
        ),
        Row(
            "bytes that no request asked for end it",
            script: {
                $0.madePin()
                $0.hear(0, "HTTP/1.1 200 OK|")
            },
            expected: """
                close 0
                pin t lost
                """
        ),
        Row(
            "what was written on it is never sent elsewhere; those that wait are told or begin anew",
            script: {
                $0.madePin()
                $0.pin(1, "t", .prefer)
                $0.pin(2, "t", .require)
                $0.pin(3, "t", .prefer)
                $0.reset(0)
            },
            expected: """
                0 got GET /1
                dial 1 a
                pin t lost
                1 end reset closed [reused0]
                2 end pinLost none [] unsent
                """
        ),
        Row(
            "found dead before a byte was written: lost for require, fresh for prefer",
            script: {
                $0.madePin()
                $0.madePin("u", "a", 1)
                $0.pass(2000)
                $0.spoil(0)
                $0.spoil(1)
                $0.pin(1, "t", .require)
                $0.pin(2, "u", .prefer)
            },
            expected: """
                probe 0
                pin t lost
                1 end pinLost none [stale0] unsent
                probe 1
                dial 2 a
                pin u lost
                """
        ),
        Row(
            "it ends with its reply when the upstream closes",
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.hear(0, "HTTP/1.1 200 OK|Connection: close|Content-Length: 0||")
            },
            expected: """
                0 got GET /1
                close 0
                1 reply 200 reused
                pin t lost
                1 end complete closed [reused0]
                """
        ),
        Row(
            "cancelling an exchange that has begun loses the pin, one that waits leaves it",
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.pin(2, "t", .require)
                $0.cancel(2)
                $0.cancel(1)
            },
            expected: """
                0 got GET /1
                2 end cancelled none [] unsent
                close 0
                pin t lost
                1 end cancelled closed [reused0]
                """
        ),
        Row(
            "not used for too long, and too old",
            {
                $0.pinIdleMilliseconds = 100
                $0.pinAgeMilliseconds = 150
            },
            script: {
                $0.madePin()
                $0.madePin("u", "b", 1)
                $0.pass(90)
                $0.pin(1, "u", .require, "b")
                $0.pass(20)
                $0.answer(1)
                $0.pass(100)
            },
            expected: """
                1 got GET /1
                close 0
                pin t expired
                1 reply 200 reused
                1 body ok
                1 end complete pinned [reused0]
                close 1
                pin u expired
                """
        ),
        Row(
            "the upstream's Keep-Alive timeout less a second ends it; one beyond all bounds changes nothing",
            { $0.pinIdleMilliseconds = 5000 },
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.answer(0, "ok", "Keep-Alive: timeout=9223372036854775807|")
                $0.pass(4999)
                $0.pin(2, "t", .require)
                $0.answer(0, "ok", "Keep-Alive: timeout=3|")
                $0.pass(1999)
                $0.note("1999 ms")
                $0.pass(1)
            },
            expected: """
                0 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pinned [reused0]
                probe 0
                0 got GET /2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0]
                1999 ms
                close 0
                pin t expired
                """
        ),
        Row(
            "its age ends it behind the exchange on it",
            { $0.pinAgeMilliseconds = 100 },
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.pin(2, "t", .require)
                $0.pass(200)
                $0.answer(0)
            },
            expected: """
                0 got GET /1
                close 0
                1 reply 200 reused
                1 body ok
                pin t expired
                1 end complete closed [reused0]
                2 end pinLost none [] unsent
                """
        ),
        Row(
            "UNPIN closes it, behind the exchange on it; streams in line end, and the token begins anew",
            script: {
                $0.madePin()
                $0.madePin("u", "b", 1)
                $0.unpin("t")
                $0.pin(1, "u", .require, "b")
                $0.pin(2, "u", .prefer, "b")
                $0.unpin("u")
                $0.pin(3, "u", .require, "b")
                $0.pin(4, "u", .prefer, "b")
                $0.answer(1)
                $0.unpin("nobody's")
            },
            expected: """
                close 0
                1 got GET /1
                2 end pinLost none [] unsent
                3 end pinLost none [] unsent
                dial 2 b
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                """
        ),
        Row(
            "UNPIN of a pin that is being made: the stream goes on, and nothing is pinned",
            script: {
                $0.pin(1, "t", .prefer)
                $0.unpin("t")
                $0.connect(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "draining closes pins that are idle at once, those in use behind their exchange",
            script: {
                $0.madePin()
                $0.madePin("u", "b", 1)
                $0.pin(1, "u", .require, "b")
                $0.drain()
                $0.answer(1)
            },
            expected: """
                1 got GET /1
                close 0
                pin t lost
                goaway draining
                close 1
                1 reply 200 reused
                1 body ok
                pin u lost
                1 end complete closed [reused0]
                """
        ),
    ]

    @Test(arguments: rows) func `a pin that ends is told and never replaced in silence`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
