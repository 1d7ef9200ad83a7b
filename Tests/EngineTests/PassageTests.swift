// PassageTests.swift: bodies of requests that go straight from the session's buffer to the upstream's socket.
// Source: DESIGN "Buffers and credit".
import Model
import Testing

struct PassageTests {
    /// 12,000 bytes, too many to be kept for a repetition.
    private static let body = String((0..<12_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 23))) })

    private static let limits: Limits = {
        var limits = Limits()
        limits.replayBytesMax = 10_000
        return limits
    }()

    private static func upload(_ rig: Rig, ends: Bool = true) {
        rig.post(1, 12_000)
        rig.body(1, body, ends: ends)
    }

    /// What an upload comes to, however it is cut and written.
    private static let expected = [
        "0 got POST /1", bodyLine, "1 reply 200 reused", "1 body ok",
        "1 end complete pooled [reused0] unrepeatable",
    ]

    private static let bodyLine: String = {
        var record = Record()
        record.add(Array(body.utf8), of: "0 more ")
        return record.lines[0]
    }()

    @Test func `a body that is not kept for a repetition is not copied`() {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        rig.inPieces(of: .max) { Self.upload(rig) }
        #expect(rig.passedBytes == 12_000)
        rig.answer(0)
        #expect(rig.lines == Self.expected)
    }

    @Test(arguments: [1000, 4096, 4200, 5000, 7000, 12_010, 12_050], [1, 100, 5000, Int.max])
    func `however it is cut and written, the upstream gets the same`(pieceBytes: Int, writeBytesMax: Int) {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        if writeBytesMax > 1 { rig.writeBytesMax = writeBytesMax } else { rig.isWriting = false }
        rig.inPieces(of: pieceBytes) { Self.upload(rig) }
        rig.isWriting = true
        rig.writeBytesMax = .max
        rig.write(0)
        rig.answer(0)
        #expect(rig.lines == Self.expected)
    }

    @Test func `a body that may be sent again is kept`() {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        rig.inPieces(of: .max) {
            rig.post(1, 9000) { $0.method = "PUT" }
            rig.body(1, String(repeating: "x", count: 9000), ends: true)
        }
        rig.reset(0)
        rig.connect(1)
        #expect(rig.passedBytes == 0)
        #expect(rig.lines.filter { $0.contains("got") } == ["0 got PUT /1", "1 got PUT /1"])
    }

    @Test func `no byte goes before the probe of a connection that was idle`() {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        rig.pass(5000)
        rig.spoil(0)
        rig.inPieces(of: .max) { Self.upload(rig) }
        rig.connect(1)
        rig.forget()
        rig.answer(1)
        #expect(rig.lines.last == "1 end complete pooled [stale0 connected0] unrepeatable")
    }

    @Test func `a head waits for the frame behind it when that has begun to come`() {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        rig.inPieces(of: 8000) {
            Self.upload(rig)
            rig.note("sent")
        }
        #expect(rig.lines.starts(with: ["sent", "0 got POST /1"]))
    }

    @Test func `a stream that ends inside a frame leaves the session in step`() {
        let rig = Rig(Self.limits)
        rig.greet()
        rig.warm(0)
        rig.post(1, 12_000)
        rig.forget()
        rig.inPieces(of: 8000, then: 0) {
            rig.body(1, Self.body, ends: true)
            rig.ping()
        }
        #expect(
            rig.lines == [
                "close 0", "1 reply 200 reused", "1 body ok", "1 end complete closed [reused0] unrepeatable",
                "pong",
            ]
        )
        // Its number is free again.
        rig.forget()
        rig.ask(1, "b")
        #expect(rig.lines == ["dial 1 b"])
    }

    @Test func `a frame that is passed on counts against credit and length before it is whole`() {
        for (length, credit) in [(9000, 262_144), (12_000, 10_000)] {
            var limits = Self.limits
            limits.initialCreditBytes = credit
            let rig = Rig(limits)
            rig.greet()
            rig.warm(0)
            rig.inPieces(of: 8000) {
                rig.post(1, UInt64(length))
                rig.body(1, Self.body)
            }
            #expect(rig.passedBytes == 0 && rig.lines.contains { $0.hasPrefix("goaway") })
        }
    }
}
