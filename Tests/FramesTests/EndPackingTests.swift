// EndPackingTests.swift: END is packed byte for byte, and protobuf-c reads it back.
// Source: proto/outrigger.proto, messages End, Attempt and Timings.
import Frames
import Model
import Testing

/// An END frame of a report with the numbers given.
private func packed(_ report: EndReport, _ attempts: [Attempt] = []) throws -> [UInt8] {
    let frame = written {
        var encoder = MessageEncoder(fieldCountMax: 1)
        encoder.end(report, attempts: attempts, stream: 3, into: &$0)
    }
    let header = FrameHeader(payloadBytes: frame.payload.count, stream: 3, type: .end, endsStream: true)
    #expect(try FrameHeader.decode(frame.span, payloadBytesMax: 1024) == header)
    return frame.payload
}

private func read(_ payload: [UInt8]) throws -> (EndReport, [Attempt]) {
    var decoder = MessageDecoder(messageBytesMax: 524_288)
    return try decoder.end(payload.span)
}

/// Words and what of them goes out.
struct DetailRow: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let detail: String
    let sent: String

    init(_ rule: String, _ detail: String, sent: String) {
        testDescription = rule
        self.detail = detail
        self.sent = sent
    }

    private static func letters(_ count: Int) -> String { String(repeating: "d", count: count) }

    static let rows: [DetailRow] = [
        DetailRow("none", "", sent: ""),
        DetailRow("127 bytes", letters(127), sent: letters(127)),
        DetailRow("128 bytes", letters(128), sent: letters(128)),
        DetailRow("256 bytes", letters(256), sent: letters(256)),
        DetailRow("257 bytes are cut", letters(257), sent: letters(256)),
        DetailRow("2 bytes that end at 256", letters(254) + "é!", sent: letters(254) + "é"),
        DetailRow("2 bytes across 256 are left out", letters(255) + "é", sent: letters(255)),
        DetailRow("nothing follows what was left out", letters(255) + "éd", sent: letters(255)),
        DetailRow("3 bytes that end at 256", letters(253) + "€", sent: letters(253) + "€"),
        DetailRow("3 bytes across 256 are left out", letters(254) + "€", sent: letters(254)),
        DetailRow("4 bytes that end at 256", letters(252) + "😀", sent: letters(252) + "😀"),
        DetailRow("4 bytes across 256 are left out", letters(253) + "😀", sent: letters(253)),
        DetailRow("an accent of its own may be parted", letters(255) + "e\u{301}", sent: letters(255) + "e"),
        DetailRow("cut before a NUL", "a\0b", sent: "a"),
        DetailRow("a NUL in front leaves nothing", "\0b", sent: ""),
        DetailRow("a NUL behind 256 bytes", letters(256) + "\0", sent: letters(256)),
    ]
}

@Suite struct EndPackingTests {
    private static let boundaries: [UInt64] = [
        0, 1, 127, 128, 1 << 14 - 1, 1 << 14, 1 << 28, 1 << 32 - 1, 1 << 32, 1 << 35, 1 << 56, 1 << 63, .max,
    ]

    @Test(arguments: DetailRow.rows) func `words are cut at 256 bytes or a NUL`(_ row: DetailRow) throws {
        let payload = try packed(EndReport(.reset, detail: row.detail))
        let head = Wire().number(1, 21)
        let expected = (row.sent.isEmpty ? head : head.text(2, row.sent)).data(9, [])
        #expect(payload.hex == expected.bytes.hex)
        #expect(try read(payload).0 == EndReport(.reset, detail: row.sent))
    }

    @Test(arguments: boundaries) func `every number of a report`(number: UInt64) throws {
        var report = EndReport(.complete)
        report.requestBodyBytes = number
        report.replyBodyBytes = number
        report.timings.connectedMicroseconds = number
        report.timings.sentMicroseconds = number
        report.timings.firstByteMicroseconds = number
        report.timings.totalMicroseconds = number
        var expected = Wire().number(1, 1)
        var timings = Wire()
        if number > 0 {
            expected = expected.number(3, number).number(4, number)
            for field in 1...4 { timings = timings.number(field, number) }
        }
        let payload = try packed(report)
        #expect(payload.hex == expected.message(9, timings).bytes.hex)
        #expect(try read(payload).0 == report)
    }

    @Test(arguments: [true, false], [true, false])
    func `flags and fates`(requestStarted: Bool, repeatable: Bool) throws {
        for (fate, number) in [(ConnectionFate.none, 0), (.pooled, 1), (.closed, 2), (.pinned, 3)] {
            var report = EndReport(.internal)
            report.requestStarted = requestStarted
            report.repeatable = repeatable
            report.connection = fate
            var expected = Wire().number(1, 23)
            if requestStarted { expected = expected.number(5, 1) }
            if repeatable { expected = expected.number(6, 1) }
            if number > 0 { expected = expected.number(8, UInt64(number)) }
            let payload = try packed(report)
            #expect(payload.hex == expected.data(9, []).bytes.hex)
            #expect(try read(payload).0 == report)
        }
    }

    @Test(arguments: [0, 1, 27, 28, 29, 99]) func `the first 28 attempts are sent`(count: Int) throws {
        let results = AttemptResult.allCases
        let attempts = (0..<count).map {
            Attempt(
                endpointIndex: $0,
                result: results[$0 % results.count],
                startMicroseconds: UInt64($0) * 1000,
                durationMicroseconds: 7
            )
        }
        var expected = Wire().number(1, 19)
        for (index, attempt) in attempts.prefix(28).enumerated() {
            var wire = index == 0 ? Wire() : Wire().number(1, UInt64(index))
            wire = wire.number(2, UInt64(attempt.result.rawValue))
            if index > 0 { wire = wire.number(3, UInt64(index) * 1000) }
            expected = expected.message(7, wire.number(4, 7))
        }
        let payload = try packed(EndReport(.idleTimeout), attempts)
        #expect(payload.hex == expected.data(9, []).bytes.hex)
        #expect(try read(payload).1 == Array(attempts.prefix(28)))
    }

    @Test func `members are named by END and by each attempt`() throws {
        var report = EndReport(.complete)
        report.members = ["b", "a"]
        report.member = 0
        let attempts = [1, 0].map { member in
            var attempt = Attempt(
                endpointIndex: 0,
                result: .refused,
                startMicroseconds: 0,
                durationMicroseconds: 0
            )
            attempt.member = member
            return attempt
        }
        let expected = Wire().number(1, 1).message(7, Wire().number(2, 3).text(6, "a"))
            .message(7, Wire().number(2, 3).text(6, "b")).data(9, []).text(10, "b")
        let payload = try packed(report, attempts)
        #expect(payload.hex == expected.bytes.hex)
        let (readReport, readAttempts) = try read(payload)
        #expect(readReport == report)
        #expect(readAttempts == attempts)
    }

    @Test(arguments: [1, 64, 112, 336])
    func `long names leave out attempts, and the frame stays within 1024 bytes`(
        count: Int
    ) throws {
        var report = EndReport(.connectRefused, detail: String(repeating: "d", count: 300))
        report.members = [String(repeating: "m", count: count)]
        report.member = 0
        var attempt = Attempt(
            endpointIndex: 0,
            result: .refused,
            startMicroseconds: .max,
            durationMicroseconds: .max,
            transportMicroseconds: .max
        )
        attempt.member = 0
        let payload = try packed(report, Array(repeating: attempt, count: 99))
        let (readReport, readAttempts) = try read(payload)
        #expect(payload.count <= 1024)
        #expect(readReport.members == report.members)
        #expect(!readAttempts.isEmpty && readAttempts.allSatisfy { $0.member == 0 })
    }

    @Test(arguments: boundaries) func `an attempt's times stay at the largest of 32 bits`(time: UInt64) throws
    {
        let attempt = Attempt(
            endpointIndex: 15,
            result: .stale,
            startMicroseconds: time,
            durationMicroseconds: time
        )
        let sent = min(time, 1 << 32 - 1)
        var wire = Wire().number(1, 15).number(2, 7)
        if sent > 0 { wire = wire.number(3, sent).number(4, sent) }
        let payload = try packed(EndReport(.reset), [attempt])
        #expect(payload.hex == Wire().number(1, 21).message(7, wire).data(9, []).bytes.hex)
        let readAttempt = try #require(try read(payload).1.first)
        #expect(readAttempt.startMicroseconds == sent && readAttempt.durationMicroseconds == sent)
    }
}
