// FrameHeaderTests.swift: the 12 bytes. Source: DESIGN "The protocol".
import Frames
import Model
import Testing

struct HeaderRow: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let hex: String
    let expected: Result<FrameHeader?, FrameError>

    init(_ rule: String, _ hex: String, _ expected: Result<FrameHeader?, FrameError>) {
        testDescription = rule
        self.hex = hex
        self.expected = expected
    }

    static let all: [HeaderRow] = [
        HeaderRow(
            "length and stream are big-endian",
            "00000102 03040506 03 00 0000",
            .success(FrameHeader(payloadBytes: 0x102, stream: 0x0304_0506, type: .body, endsStream: false))
        ),
        HeaderRow(
            "flag 0x01 ends the stream",
            "00000000 00000001 12 01 0000",
            .success(FrameHeader(payloadBytes: 0, stream: 1, type: .end, endsStream: true))
        ),
        HeaderRow(
            "a payload of the limit is accepted",
            "00010000 00000001 03 00 0000",
            .success(FrameHeader(payloadBytes: 65_536, stream: 1, type: .body, endsStream: false))
        ),
        HeaderRow(
            "a payload over the limit is refused",
            "00010001 00000001 03 00 0000",
            .failure(.payloadTooLarge(bytes: 65_537, limitBytes: 65_536))
        ),
        HeaderRow(
            "the length has no sign",
            "ffffffff 00000001 03 00 0000",
            .failure(.payloadTooLarge(bytes: 0xffff_ffff, limitBytes: 65_536))
        ),
        HeaderRow(
            "the first reserved byte is zero",
            "00000000 00000001 03 00 0100",
            .failure(.reservedNotZero)
        ),
        HeaderRow(
            "the second reserved byte is zero",
            "00000000 00000001 03 00 0001",
            .failure(.reservedNotZero)
        ),
        HeaderRow("flag 0x02 is unknown", "00000000 00000001 03 02 0000", .failure(.unknownFlags(0x02))),
        HeaderRow("flag 0x80 is unknown", "00000000 00000001 03 81 0000", .failure(.unknownFlags(0x81))),
        HeaderRow("type 0x00 is unknown", "00000000 00000001 00 00 0000", .failure(.unknownType(0x00))),
        HeaderRow("type 0x0a is unknown", "00000000 00000001 0a 00 0000", .failure(.unknownType(0x0a))),
        HeaderRow("type 0x7f is unknown", "00000000 00000001 7f 00 0000", .failure(.unknownType(0x7f))),
        HeaderRow(
            "an unknown type from 0x80 on is skipped, its flags unread",
            "00000007 00000001 80 03 0000",
            .success(FrameHeader(payloadBytes: 7, stream: 1, type: nil, endsStream: false))
        ),
        HeaderRow(
            "a frame to be skipped has the same limit",
            "00010001 00000001 ff 00 0000",
            .failure(.payloadTooLarge(bytes: 65_537, limitBytes: 65_536))
        ),
    ]
}

@Suite struct FrameHeaderTests {
    static func decode(_ bytes: [UInt8]) -> Result<FrameHeader?, FrameError> {
        do throws(FrameError) {
            return .success(try FrameHeader.decode(bytes.span, payloadBytesMax: 65_536))
        } catch {
            return .failure(error)
        }
    }

    @Test(arguments: HeaderRow.all) func `a header is read as DESIGN lays it out`(_ row: HeaderRow) {
        #expect(FrameHeaderTests.decode([UInt8](hex: row.hex)) == row.expected)
    }

    @Test(arguments: HeaderRow.all) func `a header is not judged before it is whole`(_ row: HeaderRow) {
        let bytes = [UInt8](hex: row.hex)
        for count in 0..<bytes.count {
            #expect(FrameHeaderTests.decode(Array(bytes[..<count])) == .success(nil))
        }
    }

    @Test(arguments: HeaderRow.all) func `what follows a header does not change it`(_ row: HeaderRow) {
        #expect(FrameHeaderTests.decode([UInt8](hex: row.hex) + [0xff]) == row.expected)
    }

    @Test(arguments: FrameType.allCases) func `every type is known by its number`(type: FrameType) {
        let bytes: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9, type.rawValue, 0, 0, 0]
        let header = FrameHeader(payloadBytes: 0, stream: 9, type: type, endsStream: false)
        #expect(FrameHeaderTests.decode(bytes) == .success(header))
    }

    @Test func `every error has its GOAWAY code`() {
        #expect(FrameError.payloadTooLarge(bytes: 2, limitBytes: 1).goAwayCode == .frameTooLarge)
        #expect(FrameError.reservedNotZero.goAwayCode == .badFrame)
        #expect(FrameError.unknownType(0).goAwayCode == .badFrame)
        #expect(FrameError.unknownFlags(2).goAwayCode == .badFrame)
        #expect(FrameError.badMessage("").goAwayCode == .badMessage)
        #expect(FrameError.badHello("").goAwayCode == .badHello)
    }
}
