// DeadlineTests.swift: each deadline of an exchange and its outcome.
// Source: issue "Connections"; proto Deadlines.
import Testing

struct DeadlineTests {
    static let rows = [
        Row(
            "connecting, all endpoints together: CONNECT_TIMEOUT",
            script: {
                $0.ask(1, "ab") { $0.deadlines.connectMilliseconds = 300 }
                $0.pass(299)
                $0.note("299 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                299 ms
                close 1
                close 0
                1 end connectTimeout none [timeout0 timeout1] unsent
                """
        ),
        Row(
            "no byte of a reply: REPLY_TIMEOUT",
            script: {
                $0.ask(1) { $0.deadlines.firstByteMilliseconds = 400 }
                $0.pass(100)
                $0.connect(0)
                $0.pass(399)
                $0.note("399 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                399 ms
                close 0
                1 end replyTimeout closed [connected0]
                """
        ),
        Row(
            "the first byte of a reply ends its deadline; from there the idle deadline holds",
            script: {
                $0.ask(1) {
                    $0.deadlines.firstByteMilliseconds = 400
                    $0.deadlines.idleMilliseconds = 300
                }
                $0.connect(0)
                $0.pass(350)
                $0.hear(0, "HTTP/1.1 2")
                $0.pass(299)
                $0.note("299 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                299 ms
                close 0
                1 end idleTimeout closed [connected0]
                """
        ),
        Row(
            "an interim reply is not the reply's first byte",
            script: {
                $0.ask(1) { $0.deadlines.firstByteMilliseconds = 400 }
                $0.connect(0)
                $0.pass(350)
                $0.hear(0, "HTTP/1.1 103 Early")
                $0.hear(0, " Hints||")
                $0.pass(50)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 interim 103
                close 0
                1 end replyTimeout closed [connected0]
                """
        ),
        Row(
            "every byte moves the idle deadline: IDLE_TIMEOUT",
            script: {
                $0.ask(1) { $0.deadlines.idleMilliseconds = 300 }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 4||a")
                $0.pass(200)
                $0.hear(0, "b")
                $0.pass(200)
                $0.hear(0, "c")
                $0.pass(299)
                $0.note("299 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body abc
                299 ms
                close 0
                1 end idleTimeout closed [connected0]
                """
        ),
        Row(
            "a body that does not come from the proxy: IDLE_TIMEOUT",
            script: {
                $0.post(1, 5) { $0.deadlines.idleMilliseconds = 300 }
                $0.connect(0)
                $0.pass(200)
                $0.body(1, "he")
                $0.pass(299)
                $0.note("299 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more he
                299 ms
                close 0
                1 end idleTimeout closed [connected0] unrepeatable
                """
        ),
        Row(
            "nothing runs while the proxy gives no credit",
            script: {
                let session = $0.greet(credit: 2)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.answer(0, "abcd")
                $0.pass(1_000_000)
                $0.note("1000 s")
                $0.credit(1, 2, session)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 200
                s1 1 body ab
                1000 s
                resume 0
                s1 1 body cd
                s1 1 end complete pooled [connected0]
                """
        ),
        Row(
            "given credit, the idle deadline runs again",
            script: {
                let session = $0.greet(credit: 2)
                $0.ask(1, "a", session) { $0.deadlines.idleMilliseconds = 300 }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 9||abc")
                $0.pass(1_000_000)
                $0.credit(1, 5, session)
                $0.pass(300)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 200
                s1 1 body ab
                resume 0
                s1 1 body c
                close 0
                s1 1 end idleTimeout closed [connected0]
                """
        ),
        Row(
            "the whole exchange, whatever moves: DEADLINE",
            script: {
                $0.ask(1) { $0.deadlines.totalMilliseconds = 500 }
                $0.pass(300)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 4||a")
                $0.pass(199)
                $0.hear(0, "b")
                $0.pass(1)
                $0.ask(2) { $0.deadlines.totalMilliseconds = 500 }
                $0.pass(500)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body ab
                close 0
                1 end deadline closed [connected0]
                dial 1 a
                close 1
                2 end deadline none [abandoned0] unsent
                """
        ),
        Row(
            "a deadline of 0 is none",
            {
                $0.queueMilliseconds = 0
                $0.connectMilliseconds = 0
                $0.firstByteMilliseconds = 0
                $0.idleMilliseconds = 0
                $0.connectionsPerEndpointMax = 1
            },
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.pass(3_600_000)
                $0.connect(0)
                $0.pass(3_600_000)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 2||o")
                $0.pass(3_600_000)
                $0.hear(0, "k")
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body o
                0 got GET /2
                1 body k
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "a stream in a used slot has its own deadlines",
            script: {
                $0.ask(1) { $0.deadlines.totalMilliseconds = 500 }
                $0.cancel(1)
                $0.pass(400)
                $0.forget()
                $0.ask(2) { $0.deadlines.totalMilliseconds = 500 }
                $0.pass(499)
                $0.note("499 ms")
                $0.pass(1)
            },
            expected: """
                dial 1 a
                499 ms
                close 1
                2 end deadline none [abandoned0] unsent
                """
        ),
    ]

    @Test(arguments: rows) func `every deadline has its own outcome`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
