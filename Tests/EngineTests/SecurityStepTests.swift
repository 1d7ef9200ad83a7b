// SecurityStepTests.swift: Negotiate and NTLM answered here: one step after the other, and what their failures mean.
// Source: RFC 4559 §4, §5; MS-NTHT §3; issue "Local authentication".
import Model
import Testing

struct SecurityStepTests {
    static let rows = [
        Row(
            "two steps on one connection, which serves nobody else",
            script: {
                $0.ask(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.said(0)
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.said(0)
                $0.answer(0)
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                0 said Authorization: NTLM one
                pause 0
                step 1 NTLM HTTP@h u given two
                resume 0
                probe 0
                0 got GET /1
                0 said Authorization: NTLM three
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0 reused0]
                dial 1 a
                """
        ),
        Row(
            "a server that proves itself: the reply waits for that",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("ticket")
                $0.admit(0, "Negotiate", "proof")
                $0.note("nothing was passed on yet")
                $0.lastStep()
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u given proof
                nothing was passed on yet
                resume 0
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0]
                """
        ),
        Row(
            "a server that fails to prove itself is not believed",
            script: {
                for stream in UInt32(1)...3 {
                    $0.ask(stream) { $0.knows("u") }
                    $0.connect(Int(stream) - 1)
                    $0.demand(Int(stream) - 1, "Negotiate")
                    $0.step("ticket")
                    $0.admit(Int(stream) - 1, "Negotiate", "proof")
                    switch stream {
                    case 1: $0.step(.failed("wrong"))
                    case 2: $0.step("more")
                    default: $0.lastStep("more")
                    }
                }
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u given proof
                resume 0
                close 0
                drop context 1
                1 end badReply closed [connected0 reused0]
                dial 1 a
                1 got GET /2
                pause 1
                step 2 Negotiate HTTP@h u
                resume 1
                probe 1
                1 got GET /2
                pause 1
                step 2 Negotiate HTTP@h u given proof
                resume 1
                close 1
                drop context 2
                2 end badReply closed [connected0 reused0]
                dial 2 a
                2 got GET /3
                pause 2
                step 3 Negotiate HTTP@h u
                resume 2
                probe 2
                2 got GET /3
                pause 2
                step 3 Negotiate HTTP@h u given proof
                resume 2
                close 2
                drop context 3
                3 end badReply closed [connected0 reused0]
                """
        ),
        Row(
            "one that says nothing is: it may not know how",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("ticket")
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0]
                """
        ),
        Row(
            "refused: the challenge goes back",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.demand(0, "NTLM")
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
                probe 0
                0 got GET /1
                drop context 1
                close 0
                1 reply 401 reused
                1 body no
                1 end complete closed [connected0 reused0 reused0]
                """
        ),
        Row(
            "a server that wants more than there is",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.lastStep("one")
                $0.demand(0, "NTLM", "two")
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
            "no first step: the next best scheme",
            script: {
                $0.ask(1) { $0.origin = .of("u", [.negotiate, .ntlm, .basic]) }
                $0.connect(0)
                $0.hear(
                    0,
                    "HTTP/1.1 401 No|WWW-Authenticate: Negotiate, NTLM, Basic realm=r|Content-Length: 2||no"
                )
                $0.step(.failed("no KDC"))
                $0.step(.failed("no NTLM"))
                $0.answer(0)
                $0.ask(2, "b") { $0.knows("u") }
                $0.connect(1)
                $0.demand(1, "Negotiate")
                $0.step(.failed("no KDC"))
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                drop context 1
                pause 0
                step 2 NTLM HTTP@h u
                resume 0
                drop context 2
                probe 0
                0 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pooled [connected0 reused0]
                dial 1 b
                1 got GET /2
                pause 1
                step 3 Negotiate HTTP@h u
                resume 1
                drop context 3
                close 1
                2 reply 401
                2 body no
                2 end complete closed [connected0]
                """
        ),
        Row(
            "a later step that fails ends it",
            script: {
                $0.ask(1) { $0.origin = .of("u", [.ntlm, .basic]) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.hear(
                    0,
                    "HTTP/1.1 401 No|WWW-Authenticate: NTLM dHdv, Basic realm=r|Content-Length: 2||no"
                )
                $0.step(.failed("no"))
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
                close 0
                1 reply 401 reused
                1 body no
                1 end complete closed [connected0 reused0]
                """
        ),
    ]

    @Test(arguments: rows) func `a challenge for tokens is answered step by step`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: a challenge for tokens is answered step by step`(_ row: Row, _ reading: Reading)
    {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
