// SessionTests.swift: faults of a proxy, late frames, HELLO, draining.
// Source: the protocol reference; proto GoAwayCode.
import Frames
import Model
import Testing

/// What a proxy does wrong and what it is told.
struct Fault: Sendable, CustomTestStringConvertible {
    let words: String
    let code: GoAwayCode
    var limits = Limits()
    /// Done on session 1, whose stream 1 is under way; its stream 2 has its reply and its body is awaited.
    let script: @Sendable (Rig) -> Void

    var testDescription: String { words }

    static func raw(_ words: String, _ code: GoAwayCode, _ bytes: [UInt8]) -> Fault {
        Fault(words: words, code: code) { $0.sendRaw(bytes, 1) }
    }
}

struct SessionTests {
    static let faults = [
        Fault.raw("a payload over the limit", .frameTooLarge, [0, 2, 0, 1, 0, 0, 0, 1, 3, 0, 0, 0]),
        Fault.raw("a reserved byte", .badFrame, [0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 1]),
        Fault.raw("an unknown flag", .badFrame, [0, 0, 0, 0, 0, 0, 0, 1, 5, 2, 0, 0]),
        Fault.raw("an unknown type below 0x80", .badFrame, [0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0, 0, 0]),
        Fault.raw("a request on stream 0", .badFrame, [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0]),
        Fault.raw("a ping on a stream", .badFrame, [0, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0]),
        Fault.raw("a frame that a sidecar sends", .badFrame, [0, 0, 0, 0, 0, 0, 0, 1, 0x12, 1, 0, 0]),
        Fault.raw("garbage for a message", .badMessage, [0, 0, 0, 1, 0, 0, 0, 9, 2, 1, 0, 0, 0xff]),
        Fault.raw("credit of 0", .badMessage, [0, 0, 0, 0, 0, 0, 0, 1, 6, 0, 0, 0]),
        Fault.raw("a second HELLO", .streamState, [0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 8, 1]),
        Fault(words: "a request on an open stream", code: .streamReused) { $0.ask(1, "c", 1) },
        Fault(words: "a body on a stream never opened", code: .streamState) { $0.body(77, "x", 1) },
        Fault(words: "a body behind END_STREAM", code: .streamState) { $0.body(1, "x", 1) },
        Fault(words: "a body behind CANCEL", code: .streamState) {
            $0.cancel(1, 1)
            $0.body(1, "x", 1)
        },
        Fault(words: "more body than announced", code: .streamState) { $0.body(2, "123456", 1) },
        Fault(words: "more body than credit", code: .creditExceeded) { $0.body(2, "123456789", 1) },
        Fault(words: "trailers behind a body with a length", code: .streamState) { rig in
            rig.send(1) { encoder, output in
                encoder.trailers([], in: Span(), stream: 2, endsStream: true, into: &output)
            }
        },
        Fault(words: "a reader so slow that its output passes the limit", code: .slowReader) { rig in
            rig.setReading(false, 1)
            for _ in 0..<300 { rig.ping(1) }
        },
    ]

    @Test(arguments: faults) func `a fault ends its session with a reason and no other`(_ fault: Fault) {
        var limits = Limits()
        limits.initialCreditBytes = 8
        limits.sessionOutputBytesMax = 2000
        let rig = Rig(limits)
        rig.greet()
        rig.greet()
        rig.ask(7, "b")
        rig.ask(1, "a", 1)
        rig.ask(2, "c", 1) {
            $0.method = "POST"
            $0.body = .length(5)
        }
        for socket in 0...2 { rig.connect(socket) }
        rig.forget()
        fault.script(rig)
        rig.answer(0)
        let lines = rig.lines
        #expect(lines.contains("s1 goaway \(fault.code)"))
        #expect(lines.contains("s1 session closed"))
        #expect(lines.contains("close 1") && lines.contains("close 2"))
        #expect(lines.contains("7 end complete pooled [connected0]"))
        #expect(rig.counts.sessions == 1 && rig.counts.streams == 0 && rig.counts.connections == 1)
    }

    static let first: [(String, GoAwayCode, [UInt8])] = [
        ("a first frame that is not HELLO", .badHello, [0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0]),
        ("a HELLO on a stream", .badHello, [0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0, 0, 8, 1]),
        ("another version", .protocolVersion, [0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 8, 2]),
        ("numbers out of range", .badHello, [0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 8, 1, 16, 1]),
    ]

    @Test(arguments: first)
    func `a session begins with HELLO, version 1`(_ words: String, _ code: GoAwayCode, _ bytes: [UInt8]) {
        for cutting in [[bytes], bytes.map { [$0] }] {
            let rig = Rig()
            rig.open()
            for piece in cutting { rig.sendRaw(piece) }
            #expect(rig.lines == ["goaway \(code)", "session closed"])
            #expect(rig.counts.sessions == 0)
        }
    }

    @Test func `a session has its time for HELLO, whoever had its slot before`() {
        let rig = Rig()
        rig.open()
        rig.lose()
        rig.pass(9000)
        rig.open()
        rig.pass(9999)
        #expect(rig.lines.isEmpty)
        rig.pass(1)
        #expect(rig.lines == ["s1 goaway helloTimeout", "s1 session closed"])
    }

    @Test func `frames are taken however they are cut`() {
        let rig = Rig()
        rig.greet()
        rig.sendsByteByByte = true
        rig.post(1, 5)
        rig.connect(0)
        rig.body(1, "hello", ends: true)
        rig.ping()
        #expect(rig.lines == ["dial 0 a", "0 got POST /1", "0 more hello", "pong"])
    }

    static let late = [
        Row(
            "a body behind END is ignored and costs no credit, until END_STREAM",
            { $0.initialCreditBytes = 4 },
            script: {
                $0.post(1)
                $0.fail(0)
                $0.body(1, "12345")
                $0.body(1, "67890", ends: true)
                $0.ping()
                $0.body(1, "x")
            },
            expected: """
                dial 0 a
                1 end connectRefused none [refused0] unsent
                pong
                goaway streamState
                session closed
                """
        ),
        Row(
            "CANCEL behind END ends the proxy's side",
            script: {
                $0.post(1)
                $0.fail(0)
                $0.cancel(1)
                $0.body(1, "x")
            },
            expected: """
                dial 0 a
                1 end connectRefused none [refused0] unsent
                goaway streamState
                session closed
                """
        ),
        Row(
            "the number is free again as soon as END is read",
            script: {
                $0.post(1)
                $0.fail(0)
                $0.body(1, "late")
                $0.post(1, 2)
                $0.connect(1)
                $0.body(1, "ok", ends: true)
            },
            expected: """
                dial 0 a
                1 end connectRefused none [refused0] unsent
                dial 1 a
                1 got POST /1
                1 more ok
                """
        ),
        Row(
            "CREDIT and CANCEL for a number that is not open are ignored",
            script: {
                $0.credit(5, 10)
                $0.cancel(5)
                $0.ping()
            },
            expected: "pong"
        ),
        Row(
            "a proxy that never uses a number again owes nothing for ended streams",
            { $0.streamsPerSessionMax = 2 },
            script: {
                for stream in 1...50 as ClosedRange<UInt32> {
                    $0.post(stream) { $0.endpoints = "" }
                    $0.body(stream, "late")
                }
                $0.forget()
                $0.ping()
            },
            expected: "pong"
        ),
        Row(
            "limits that are raised hold for requests too",
            {
                $0.endpointsMax = 17
                $0.fieldCountMax = 300
            },
            script: {
                $0.ask(1, "abcdefghijklmnopq") { $0.fields = Array(repeating: ("A", "b"), count: 290) }
                $0.ask(2, "abcdefghijklmnopqr")
            },
            expected: """
                dial 0 a
                2 end badRequest none [] unsent
                """
        ),
    ]

    @Test(arguments: late) func `what crosses on the way is no fault`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    static let draining = [
        Row(
            "GOAWAY, idle ones closed, open streams go on, new ones end DRAINING",
            script: {
                $0.warm(0, 99, "b")
                $0.ask(1)
                $0.connect(1)
                $0.drain()
                $0.ask(2)
                $0.note("drained: \($0.isDrained)")
                $0.answer(1)
                $0.note("drained: \($0.isDrained)")
            },
            expected: """
                dial 1 a
                1 got GET /1
                close 0
                goaway draining
                2 end draining none [] unsent
                drained: false
                close 1
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                drained: true
                """
        ),
        Row(
            "what is not done in time ends DRAINING, in whatever state",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2) { $0.deadlines.queueMilliseconds = 60_000 }
                $0.ask(3, "b")
                $0.forget()
                $0.drain()
                $0.pass(24_999)
                $0.note("24999 ms")
                $0.pass(1)
            },
            expected: """
                goaway draining
                close 1
                3 end connectTimeout none [timeout0] unsent
                24999 ms
                close 0
                1 end draining closed [connected0]
                2 end draining none [abandoned0] unsent
                """
        ),
        Row(
            "a session that greets meanwhile hears of it",
            script: {
                $0.drain()
                $0.greet()
            },
            expected: """
                goaway draining
                s1 goaway draining
                """
        ),
    ]

    @Test(arguments: draining) func `draining lets open streams go on for a while`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
