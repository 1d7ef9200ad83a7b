// ExpectRefusalTests.swift: 417 to requests whose body waits for a challenge behind an Expect of ours.
// Source: RFC 9110 §10.1.1, §15.5.18; proto/outrigger.proto, Credentials.
import Model
import Testing

struct ExpectRefusalTests {
    static let rows = [
        Row(
            "417 to our Expect: again without it, on another connection, and nothing of the first is passed on",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 2||no")
                $0.connect(1)
                $0.rest(1)
                $0.framed(0)
                $0.framed(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                close 0
                dial 1 a
                1 got POST /1
                1 more 500 bytes, sum 720117504
                0 had POST /1 HTTP/1.1, Content-Length: 500, Expect: 100-continue
                1 had POST /1 HTTP/1.1, Content-Length: 500
                1 reply 200
                1 body ok
                1 end complete pooled [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "and then a challenge, which goes back as the body is not held",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 0||")
                $0.connect(1)
                $0.rest(1)
                $0.hear(1, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got POST /1
                close 0
                dial 1 a
                1 got POST /1
                1 more 500 bytes, sum 720117504
                1 reply 401
                1 end complete pooled [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "417 twice: the second goes back",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 0||")
                $0.connect(1)
                $0.rest(1)
                $0.hear(1, "HTTP/1.1 417 No|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got POST /1
                close 0
                dial 1 a
                1 got POST /1
                1 more 500 bytes, sum 720117504
                1 reply 417
                1 end complete pooled [connected0 connected0] unrepeatable
                """
        ),
        Row(
            "417 to the proxy's own Expect is the proxy's, and so is one to none",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) {
                    $0.originUser = "u"
                    $0.fields = [("Expect", "100-continue")]
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 0||")
                $0.ask(2, "b") { $0.originUser = "u" }
                $0.connect(1)
                $0.hear(1, "HTTP/1.1 417 No|Content-Length: 0||")
                $0.rest(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                close 0
                1 reply 417
                1 end complete closed [connected0] unrepeatable
                dial 1 b
                1 got GET /2
                2 reply 417
                2 end complete pooled [connected0]
                """
        ),
        Row(
            "417 when the body is on its way already, as 100 did not come: it goes back",
            { $0.replayBytesMax = 400 },
            script: {
                $0.upload(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.pass(1001)
                $0.rest(1)
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more 500 bytes, sum 720117504
                1 reply 417
                1 end complete pooled [connected0] unrepeatable
                """
        ),
        Row(
            "417 on a pinned connection goes back, and the pin with it",
            { $0.replayBytesMax = 400 },
            script: {
                $0.madePin()
                $0.upload(1) {
                    $0.originUser = "u"
                    $0.pin = ("t", .require)
                }
                $0.hear(0, "HTTP/1.1 417 No|Content-Length: 0||")
                $0.rest(1)
            },
            expected: """
                0 got POST /1
                close 0
                1 reply 417 reused
                pin t lost
                1 end complete closed [reused0] unrepeatable
                """
        ),
    ]

    @Test(arguments: rows) func `an Expect that is refused was ours to add, and is ours to leave out`(
        _ row: Row
    ) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: an Expect that is refused`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
