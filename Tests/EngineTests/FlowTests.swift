// FlowTests.swift: credit both ways, pausing, the order of frames.
// Source: DESIGN "Back-pressure", "The protocol".
import Model
import Testing

struct FlowTests {
    static let rows = [
        Row(
            "what waits for credit may complete the reply: the connection is read again and serves the next",
            script: {
                let session = $0.greet(credit: 4)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.answer(0, "abcdefgh")
                $0.credit(1, 4, session)
                $0.ask(2, "a", session)
                $0.answer(0, "ok")
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 200
                s1 1 body abcd
                resume 0
                s1 1 body efgh
                s1 1 end complete pooled [connected0]
                probe 0
                0 got GET /2
                s1 2 reply 200 reused
                s1 2 body ok
                s1 2 end complete pooled [reused0]
                """
        ),
        Row(
            "bytes that wait for credit come before the upstream's end",
            script: {
                let session = $0.greet(credit: 4)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK||abcdefgh")
                $0.end(0)
                $0.credit(1, 2, session)
                $0.credit(1, 9, session)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 200
                s1 1 body abcd
                resume 0
                pause 0
                s1 1 body ef
                resume 0
                s1 1 body gh
                close 0
                s1 1 end completeByEOF closed [connected0]
                """
        ),
        Row(
            "an end that is told while bytes wait counts behind them, and the connection is not kept",
            script: {
                let session = $0.greet(credit: 4)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.answer(0, "abcdefgh")
                $0.endAtOnce(0)
                $0.note("end")
                $0.credit(1, 4, session)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                s1 1 reply 200
                s1 1 body abcd
                end
                resume 0
                close 0
                s1 1 body efgh
                s1 1 end complete closed [connected0]
                """
        ),
        Row(
            "a stream without credit holds up no other",
            script: {
                let session = $0.greet(credit: 4)
                $0.ask(1, "a", session)
                $0.ask(2, "b", session)
                $0.connect(0)
                $0.connect(1)
                $0.answer(0, "abcdefgh")
                $0.forget()
                $0.answer(1)
            },
            expected: """
                s1 2 reply 200
                s1 2 body ok
                s1 2 end complete pooled [connected0]
                """
        ),
        Row(
            "a chunked body of no bytes may end with REQUEST: its last chunk goes out, and the connection is kept",
            script: {
                $0.post(1) { $0.ends = true }
                $0.connect(0)
                $0.answer(0)
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more 0||
                1 reply 200
                1 body ok
                1 end complete pooled [connected0] unrepeatable
                0 got GET /2
                """
        ),
        Row(
            "credit is given back when the bytes are written, in steps of half",
            { $0.initialCreditBytes = 10 },
            script: {
                $0.post(1, 100)
                $0.connect(0)
                $0.body(1, "0123")
                $0.body(1, "4")
                $0.isWriting = false
                $0.body(1, "56789")
                $0.note("not written")
                $0.write(0)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more 01234
                1 credit 5
                not written
                0 more 56789
                1 credit 5
                """
        ),
        Row(
            "credit stops where it covers the rest of the body",
            { $0.initialCreditBytes = 10 },
            script: {
                $0.post(1, 15)
                $0.connect(0)
                $0.body(1, "0123456789")
                $0.body(1, "01234", ends: true)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more 0123456789
                1 credit 10
                0 more 01234
                """
        ),
        Row(
            "an upstream that takes little at a time gets every byte in order",
            script: {
                $0.isWriting = false
                $0.post(1)
                $0.connect(0)
                $0.body(1, "hello")
                $0.body(1, "", ends: true)
                for _ in 0..<5 {
                    $0.note("7 bytes")
                    $0.write(0, 7)
                }
                $0.note("7 bytes each")
                for _ in 0..<20 { $0.write(0, 7) }
            },
            expected: """
                dial 0 a
                7 bytes
                0 more POST /1
                7 bytes
                0 more  HTTP/1
                7 bytes
                0 more .1|Hos
                7 bytes
                0 more t: h|T
                7 bytes
                0 more ransfer
                7 bytes each
                0 more -Encoding: chunked||5|hello|0||
                """
        ),
        Row(
            "a session with too much output stops its upstreams until half is read",
            { $0.sessionOutputPauseBytes = 400 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.setReading(false)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 600||")
                $0.hearBytes(0, Array(repeating: 0, count: 400))
                $0.hearBytes(0, Array(repeating: 0, count: 200))
                $0.read($0.waitingBytes() - 201)
                $0.note("201 wait")
                $0.read(1)
                $0.setReading(true)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                1 reply 200
                201 wait
                resume 0
                1 body 600 bytes, sum 0
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "control frames overtake bodies, but not inside a frame; a stream's own frames keep their order",
            script: {
                let session = $0.greet(credit: 1_000_000)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.setReading(false, session)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 140000||")
                $0.hearBytes(0, Array(repeating: 0, count: 140_000))
                $0.ping(session)
                $0.read(100, session)
                $0.read(500, session)
                $0.ping(session)
                $0.setReading(true, session)
            },
            expected: """
                dial 0 a
                0 got GET /1
                s1 1 reply 200
                s1 pong
                s1 1 body 65532 bytes, sum 0
                s1 pong
                s1 1 body 74468 bytes, sum 0
                s1 1 end complete pooled [connected0]
                """
        ),
    ]

    @Test(arguments: rows) func `credit and room bound every stream`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    // Without the last row, which tells how much of a body a frame holds: in place it is 2 bytes less.
    @Test(arguments: rows.dropLast()) func `a read that is held changes no frame`(_ row: Row) {
        func frames(_ reading: Reading) -> [String] {
            row.lines(reading).filter { !$0.hasPrefix("pause") && !$0.hasPrefix("resume") }
        }
        #expect(frames(.inPlace) == frames(.whole))
    }

    @Test func `a read is held while the proxy can take nothing, and its idle deadline does not run`() {
        let rig = Rig()
        let session = rig.greet(credit: 4)
        rig.reading = .inPlace
        rig.ask(1, "a", session) { $0.deadlines.idleMilliseconds = 300 }
        rig.connect(0)
        rig.hear(0, "HTTP/1.1 200 OK|Content-Length: 8||abcd")
        rig.hear(0, "efgh")
        #expect(rig.holds == 1)
        rig.pass(1_000_000)
        rig.forget()
        rig.credit(1, 4, session)
        #expect(rig.lines == ["resume 0", "1 body efgh", "1 end complete pooled [connected0]"])
    }

    /// Replies that are read in several ways.
    static let replies = [
        reply("by length", "HTTP/1.1 200 OK|Content-Length: 4200||", 4200, ""),
        reply("chunked", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||1068|", 4200, "|0||"),
        reply(
            "chunked with trailers",
            "HTTP/1.1 200 OK|Transfer-Encoding: chunked||1068|",
            4200,
            "|0|A: b||"
        ),
        reply("until the end", "HTTP/1.1 200 OK||", 4200, ""),
        reply("interim first", "HTTP/1.1 103 Early Hints||HTTP/1.1 200 OK|Content-Length: 0||", 0, ""),
        reply("cut short", "HTTP/1.1 200 OK|Content-Length: 4201||", 4200, ""),
    ]

    private static func reply(_ rule: String, _ head: String, _ count: Int, _ tail: String) -> Row {
        Row(
            rule,
            script: {
                let session = $0.greet(credit: 1_000_000)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.hear(0, head)
                $0.hearBytes(0, (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 &+ 3) })
                $0.hear(0, tail)
                $0.end(0)
            },
            expected: ""
        )
    }

    @Test(arguments: replies)
    func `a reply means the same however it is cut, and read in place`(_ row: Row) {
        // Closing an idle connection comes before or after END, as the reply and the end are cut.
        let whole = row.lines(.whole)
        #expect(whole.contains { $0.hasPrefix("s1 1 end") })
        #expect(row.lines(.byteByByte) == whole)
        #expect(row.lines(.inPlace) == whole)
    }

    @Test func `bytes are read in place where they are a body's`() {
        let rig = Rig()
        let session = rig.greet(credit: 1_000_000)
        rig.reading = .inPlace
        rig.ask(1, "a", session)
        rig.connect(0)
        rig.hear(0, "HTTP/1.1 200 OK|Content-Length: 4200||")
        #expect(rig.inPlaceBytes == 0)
        rig.hearBytes(0, Array(repeating: 0, count: 4200))
        #expect(rig.inPlaceBytes == 4200)
    }
}
