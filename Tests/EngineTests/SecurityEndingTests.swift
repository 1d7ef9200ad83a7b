// SecurityEndingTests.swift: authentications by tokens that are cut short: connections, deadlines, limits, bodies.
// Source: RFC 4559 §6; RFC 9110 §10.1.1; issue "Local authentication".
import Model
import Testing

struct SecurityEndingTests {
    static let rows = [
        Row(
            "the first challenge may end its connection",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM", "", "Connection: close|")
                $0.step("one")
                $0.connect(1)
                $0.said(1)
                $0.demand(1, "NTLM", "two")
                $0.lastStep("three")
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got GET /1
                1 said Authorization: NTLM one
                pause 1
                step 1 NTLM HTTP@h u given two
                resume 1
                probe 1
                1 got GET /1
                drop context 1
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 connected0 reused0]
                """
        ),
        Row(
            "a later one that does goes back",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two", "Connection: close|")
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                drop context 1
                close 0
                1 reply 401 reused
                1 body no
                1 end complete closed [connected0 reused0]
                """
        ),
        Row(
            "a connection that dies while a step is taken, and the answer that comes after all",
            { $0.livenessProbeIdleMilliseconds = 0 },
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two")
                $0.reset(0)
                $0.lastStep("three")
                $0.ask(2, "b") { $0.knows("u") }
                $0.connect(1)
                $0.demand(1, "NTLM")
                $0.spoil(1)
                $0.step("one")
                $0.connect(2)
                $0.note("anew, with a context of its own")
                $0.said(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u given two
                drop context 1
                1 end truncated closed [connected0 reused0]
                dial 1 b
                1 got GET /2
                pause 1
                step 2 NTLM HTTP@h u
                resume 1
                probe 1
                drop context 2
                dial 2 b
                2 got GET /2
                anew, with a context of its own
                2 said nothing
                """
        ),
        Row(
            "a connection that breaks off behind a later challenge",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.hear(0, "HTTP/1.1 401 No|WWW-Authenticate: NTLM dHdv|Content-Length: 9||no")
                $0.lastStep("three")
                $0.reset(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u given two
                resume 0
                drop context 1
                1 end reset none [connected0 reused0]
                """
        ),
        Row(
            "cancelled while a step is taken; its proxy lost; and answers that nobody waits for",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.cancel(1)
                $0.step("late")
                $0.ask(2) { $0.knows("u") }
                $0.connect(1)
                $0.demand(1, "Negotiate")
                $0.lose()
                $0.step("late")
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                close 0
                drop context 1
                1 end cancelled closed [connected0]
                dial 1 a
                1 got GET /2
                pause 1
                step 2 Negotiate HTTP@h u
                close 1
                drop context 2
                """
        ),
        Row(
            "a step that takes longer than the exchange may be idle, and a deadline in it",
            script: {
                $0.ask(1) {
                    $0.knows("u")
                    $0.deadlines.idleMilliseconds = 500
                }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.credit(1, 10)
                $0.pass(499)
                $0.note("not yet")
                $0.pass(1)
                $0.ask(2) {
                    $0.knows("u")
                    $0.deadlines.totalMilliseconds = 400
                }
                $0.connect(1)
                $0.demand(1, "Negotiate")
                $0.pass(400)
                $0.step("late")
                $0.step("late")
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                not yet
                close 0
                drop context 1
                1 end idleTimeout closed [connected0]
                dial 1 a
                1 got GET /2
                pause 1
                step 2 Negotiate HTTP@h u
                close 1
                drop context 2
                2 end deadline closed [connected0]
                """
        ),
        Row(
            "tokens over the limit, ours and theirs",
            { $0.securityTokenBytesMax = 4 },
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("12345")
                $0.ask(2) { $0.knows("u") }
                $0.connect(1)
                $0.demand(1, "Negotiate")
                $0.step("1234")
                $0.demand(1, "Negotiate", "12345")
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                drop context 1
                close 0
                1 reply 401
                1 body no
                1 end complete closed [connected0]
                dial 1 a
                1 got GET /2
                pause 1
                step 2 Negotiate HTTP@h u
                resume 1
                probe 1
                1 got GET /2
                drop context 2
                close 1
                2 reply 401 reused
                2 body no
                2 end complete closed [connected0 reused0]
                """
        ),
        Row(
            "a body that is held goes with each step; one that is not waits for 100",
            { $0.replayBytesMax = 400 },
            script: {
                $0.post(1, 4) { $0.knows("u") }
                $0.connect(0)
                $0.body(1, "body", ends: true)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.answer(0)
                $0.post(2, 500) {
                    $0.knows("v")
                    $0.endpoints = "b"
                }
                $0.connect(1)
                $0.body(2, String(repeating: "x", count: 500), ends: true)
                $0.demand(1, "Negotiate")
                $0.step("ticket")
                $0.connect(2)
                $0.hear(2, "HTTP/1.1 100 Continue||")
                $0.answer(2)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more body
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got POST /1
                0 more body
                pause 0
                step 1 NTLM HTTP@h u given two
                resume 0
                probe 0
                0 got POST /1
                0 more body
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0 reused0] unrepeatable
                dial 1 b
                1 got POST /2
                pause 1
                step 2 Negotiate HTTP@h v
                resume 1
                close 1
                dial 2 b
                2 got POST /2
                2 more 500 bytes, sum 1519117824
                2 interim 100
                drop context 2
                close 2
                2 reply 200
                2 body ok
                2 end complete closed [connected0 connected0] unrepeatable
                """
        ),
    ]

    @Test(arguments: rows) func `an authentication by tokens stays on its connection and ends with it`(
        _ row: Row
    ) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: an authentication by tokens stays on its connection and ends with it`(
        _ row: Row,
        _ reading: Reading
    ) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
