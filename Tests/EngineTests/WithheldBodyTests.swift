// WithheldBodyTests.swift: bodies that are not held, withheld until NTLM's first message has brought the server's challenge.
// Source: RFC 9110 §10.1.1; MS-NTHT §3.2.5; proto/outrigger.proto, Credentials.
import Model
import Testing

struct WithheldBodyTests {
    static let rows = [
        Row(
            "NTLM: the first message goes without the body, which then goes once, with the last",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.demand(1, "NTLM", "two")
                $0.lastStep("three")
                $0.rest(1)
                $0.framed(0)
                $0.framed(1)
                $0.said(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                pause 1
                step 1 NTLM HTTP@h u given two
                resume 1
                probe 1
                1 got POST /1
                1 more 500 bytes, sum 720117504
                0 had POST /1 HTTP/1.1, Content-Length: 500, Expect: 100-continue
                1 had POST /1 HTTP/1.1, Content-Length: 0, POST /1 HTTP/1.1, Content-Length: 500
                1 said Authorization: NTLM three
                drop context 1
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 connected0 reused0] unrepeatable
                """
        ),
        Row(
            "the same of a chunked one with an Expect of its own, which stays with the body",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1, chunked: true) {
                    $0.knows("u", .ntlm)
                    $0.fields = [("Expect", "100-continue"), ("X", "x")]
                }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.demand(1, "NTLM", "two")
                $0.lastStep("three")
                $0.framed(1)
                $0.hear(1, "HTTP/1.1 100 Continue||")
                $0.rest(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                pause 1
                step 1 NTLM HTTP@h u given two
                resume 1
                probe 1
                1 got POST /1
                1 had POST /1 HTTP/1.1, Content-Length: 0, POST /1 HTTP/1.1, Expect: 100-continue, Transfer-Encoding: chunked
                1 more 106 bytes, sum 2522360888
                1 interim 100
                1 more 412 bytes, sum 3713927016
                drop context 1
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 connected0 reused0] unrepeatable
                """
        ),
        Row(
            "a body that is held goes with every message",
            script: {
                $0.post(1, 4) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.body(1, "body", ends: true)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.framed(0)
                $0.answer(0)
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
                0 had POST /1 HTTP/1.1, Content-Length: 4, bodyPOST /1 HTTP/1.1, Content-Length: 4, bodyPOST /1 HTTP/1.1, Content-Length: 4
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0 reused0] unrepeatable
                """
        ),
        Row(
            "a server that takes the head without a body for the request: its reply is not the request's",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.answer(1, "for nothing")
                $0.framed(1)
                $0.hear(1, "HTTP/1.1 100 Continue||")
                $0.rest(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                drop context 1
                1 got POST /1
                1 had POST /1 HTTP/1.1, Content-Length: 0, POST /1 HTTP/1.1, Content-Length: 500, Expect: 100-continue
                1 more 100 bytes, sum 1680682496
                1 interim 100
                1 more 400 bytes, sum 2105209088
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 connected0 reused0] unrepeatable
                """
        ),
        Row(
            "one that refuses it altogether: that goes back",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.hear(1, "HTTP/1.1 403 No|Content-Length: 2||no")
                $0.rest(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                drop context 1
                close 1
                1 reply 403
                1 body no
                1 end complete closed [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "one that refuses the password: the challenge goes back",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.demand(1, "NTLM", "two")
                $0.lastStep("three")
                $0.rest(1)
                $0.demand(1, "NTLM")
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                pause 1
                step 1 NTLM HTTP@h u given two
                resume 1
                probe 1
                1 got POST /1
                1 more 500 bytes, sum 720117504
                drop context 1
                close 1
                1 reply 401 reused
                1 body no
                1 end complete closed [connected0 connected0 reused0] unrepeatable
                """
        ),
        Row(
            "Negotiate may be done with its first token, which goes with an Expect",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .negotiate) }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("one")
                $0.connect(1)
                $0.framed(1)
                $0.hear(1, "HTTP/1.1 100 Continue||")
                $0.rest(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                1 had POST /1 HTTP/1.1, Content-Length: 500, Expect: 100-continue
                1 more 100 bytes, sum 1680682496
                1 interim 100
                1 more 400 bytes, sum 2105209088
                drop context 1
                close 1
                1 reply 200
                1 body ok
                1 end complete closed [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "NTLM of a peer, and a credential for the origin that has not been asked for yet",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) {
                    $0.route = .peer
                    $0.peer = .of("p", .ntlm)
                    $0.originUser = "u"
                }
                $0.connect(0)
                $0.demand(0, "NTLM", status: 407)
                $0.step("one")
                $0.connect(1)
                $0.demand(1, "NTLM", "two", status: 407)
                $0.lastStep("three")
                $0.framed(1)
                $0.hear(1, "HTTP/1.1 100 Continue||")
                $0.rest(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST http://h/1
                pause 0
                step 1 NTLM HTTP@0.0.0.1 p as a peer's
                resume 0
                close 0
                dial 1 a
                1 got POST http://h/1
                pause 1
                step 1 NTLM HTTP@0.0.0.1 p as a peer's given two
                resume 1
                probe 1
                1 got POST http://h/1
                1 had POST http://h/1 HTTP/1.1, Content-Length: 0, POST http://h/1 HTTP/1.1, Content-Length: 500, Expect: 100-continue
                1 more 100 bytes, sum 1680682496
                1 interim 100
                1 more 400 bytes, sum 2105209088
                drop context 1
                close 1
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 connected0 reused0] unrepeatable
                """
        ),
        Row(
            "the connection dies between the messages",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.knows("u", .ntlm) }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.connect(1)
                $0.reset(1)
                $0.rest(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                drop context 1
                1 end reset closed [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "cancelled, and timed out, while the body waits",
            {
                $0.replayBytesMax = 400
                $0.firstByteMilliseconds = 100
            },
            script: {
                for stream in UInt32(1)...2 {
                    $0.upload(stream) { $0.knows("u", .ntlm) }
                    let socket = 2 * Int(stream) - 2
                    $0.connect(socket)
                    $0.demand(socket, "NTLM")
                    $0.step("one")
                    $0.connect(socket + 1)
                }
                $0.cancel(1)
                $0.pass(200)
                $0.rest(2)
            },
            expected: """
                dial 0 a
                0 got POST /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                close 0
                dial 1 a
                1 got POST /1
                dial 2 a
                2 got POST /2
                pause 2
                step 2 NTLM HTTP@h u
                resume 2
                close 2
                dial 3 a
                3 got POST /2
                close 1
                drop context 1
                1 end cancelled closed [connected0 connected0] unrepeatable
                close 3
                drop context 2
                2 end replyTimeout closed [connected0 connected0] unrepeatable
                """
        ),
    ]

    @Test(arguments: rows) func `a body goes out once, with the token that lets it in`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: withheld bodies`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
