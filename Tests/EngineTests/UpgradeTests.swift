// UpgradeTests.swift: requests whose body waits: Upgrade, Expect; early replies.
// Source: RFC 9110 §7.8, §10.1.1.
import Testing

struct UpgradeTests {
    static let tunnels = [
        Row(
            "no byte of the tunnel leaves before 101; either side's end is passed on",
            script: {
                $0.ask(1) { $0.upgrade = "ws" }
                $0.body(1, "early")
                $0.connect(0)
                $0.note("connected")
                $0.hear(0, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||and")
                $0.hear(0, "back")
                $0.body(1, "bye", ends: true)
                $0.end(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                connected
                0 more early
                1 reply 101
                1 body andback
                0 more bye
                shut 0
                close 0
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "200 instead of 101 is a reply like any other: nothing of the tunnel is sent",
            script: {
                $0.ask(1) { $0.upgrade = "ws" }
                $0.body(1, "early")
                $0.connect(0)
                $0.answer(0)
                $0.body(1, "late", ends: true)
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /2
                """
        ),
        Row(
            "101 that nobody asked for is no reply",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 101 Switching Protocols||")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 end badReply closed [connected0]
                """
        ),
        Row(
            "a tunnel that its last write ends makes room for who waits",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1) { $0.upgrade = "ws" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||")
                $0.ask(2)
                $0.end(0)
                $0.isWriting = false
                $0.body(1, "bye", ends: true)
                $0.forget()
                $0.write(0)
            },
            expected: """
                0 more bye
                close 0
                dial 1 a
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "a tunnel has credit both ways",
            { $0.initialCreditBytes = 4 },
            script: {
                let session = $0.greet(credit: 4)
                $0.ask(1, "a", session) { $0.upgrade = "ws" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||abcdef")
                $0.body(1, "1234", session)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 101
                s1 1 body abcd
                0 more 1234
                s1 1 credit 4
                """
        ),
    ]

    static let expecting = [
        Row(
            "the body waits for 100",
            script: {
                $0.post(1, 5) { $0.fields = [("Expect", "100-continue")] }
                $0.body(1, "hello", ends: true)
                $0.connect(0)
                $0.note("connected")
                $0.hear(0, "HTTP/1.1 100 Continue||")
            },
            expected: """
                dial 0 a
                0 got POST /1
                connected
                0 more hello
                1 interim 100
                """
        ),
        Row(
            "or for a second",
            script: {
                $0.post(1, 5) { $0.fields = [("Expect", "100-continue")] }
                $0.body(1, "hello", ends: true)
                $0.connect(0)
                $0.pass(999)
                $0.note("999 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                999 ms
                0 more hello
                """
        ),
        Row(
            "a final reply instead: the body is not sent, now or later, and the connection is not kept",
            script: {
                $0.post(1, 5) { $0.fields = [("Expect", "100-continue")] }
                $0.body(1, "hello", ends: true)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 2||n")
                $0.pass(2000)
                $0.hear(0, "o")
            },
            expected: """
                dial 0 a
                0 got POST /1
                1 reply 417
                1 body n
                close 0
                1 body o
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "an early final reply with a body unsent: the connection is not kept",
            script: {
                $0.post(1, 5)
                $0.connect(0)
                $0.body(1, "he")
                $0.answer(0)
                $0.body(1, "llo", ends: true)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more he
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "an early final reply while the body goes on: kept when both are whole",
            script: {
                $0.post(1, 5)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 2||o")
                $0.body(1, "hello", ends: true)
                $0.hear(0, "k")
            },
            expected: """
                dial 0 a
                0 got POST /1
                1 reply 200
                1 body o
                0 more hello
                1 body k
                1 end complete pooled [connected0] unrepeatable
                """
        ),
        Row(
            "a body that is shorter than announced: BAD_REQUEST",
            script: {
                $0.post(1, 5)
                $0.connect(0)
                $0.body(1, "he", ends: true)
            },
            expected: """
                dial 0 a
                0 got POST /1
                close 0
                1 end badRequest closed [connected0] unrepeatable
                """
        ),
    ]

    @Test(arguments: tunnels) func `a tunnel begins with 101 and not before`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: expecting) func `a reply may come before the request's body`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
