// BodyTests.swift: the message that is read and written in place. Source: proto/outrigger.proto, BodyChunk.
import Frames
import Model
import Testing

struct BodyRow: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let hex: String
    let data: String?
    let isInPlace: Bool

    init(_ rule: String, _ hex: String, data: String?, inPlace: Bool) {
        testDescription = rule
        self.hex = hex
        self.data = data
        isInPlace = inPlace
    }

    static let all: [BodyRow] = [
        BodyRow("one field is read in place", "0a 03 616263", data: "abc", inPlace: true),
        BodyRow("a padded length is read in place", "0a 838000 616263", data: "abc", inPlace: true),
        BodyRow(
            "a length of five bytes is read in place",
            "0a 8380808000 616263",
            data: "abc",
            inPlace: true
        ),
        BodyRow("an empty field is read in place", "0a 00", data: "", inPlace: true),
        BodyRow("no field at all is no data", "", data: "", inPlace: false),
        BodyRow("of a repeated field the last one holds", "0a 01 61 0a 02 6263", data: "bc", inPlace: false),
        BodyRow("an empty last one holds too", "0a 01 61 0a 00", data: "", inPlace: false),
        BodyRow("an unknown field behind is skipped", "0a 01 61 10 05", data: "a", inPlace: false),
        BodyRow("an unknown field in front is skipped", "10 05 0a 01 61", data: "a", inPlace: false),
        BodyRow("a key alone is not a message", "0a", data: nil, inPlace: false),
        BodyRow("a length past the end is not a message", "0a 04 616263", data: nil, inPlace: false),
        BodyRow("a stray byte is not a message", "0a 02 616263", data: nil, inPlace: false),
        BodyRow(
            "a length of six bytes is not a message",
            "0a 838080808000 616263",
            data: nil,
            inPlace: false
        ),
        BodyRow("field 1 as a number is not a message", "08 01", data: nil, inPlace: false),
    ]
}

@Suite struct BodyTests {
    @Test(arguments: BodyRow.all) func `a body payload is read in any valid shape`(_ row: BodyRow) {
        let payload = [UInt8](hex: row.hex)
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var block = ByteBuffer()
        var place: BodyPlace?
        let error = failure { () throws(FrameError) in place = try decoder.body(payload.span, block: &block) }
        switch place {
        case .payload(let range)?:
            #expect(row.isInPlace)
            #expect(String(decoding: payload[range], as: UTF8.self) == row.data)
        case .block(let slice)?:
            #expect(!row.isInPlace)
            #expect(block.bytes.text(slice) == row.data)
        case nil:
            #expect(row.data == nil)
            #expect(error?.goAwayCode == .badMessage)
        }
    }

    @Test(arguments: [1, 100, 127, 128, 16_383, 16_384, 65_000])
    func `what is put in place is a whole frame with a padded length`(countMax: Int) throws {
        for count in Set([1, countMax / 2 + 1, countMax]) {
            var encoder = MessageEncoder(fieldCountMax: 1)
            var output = ByteBuffer()
            output.append("before")
            let added = encoder.body(upTo: countMax, stream: 8, into: &output) {
                #expect($0.isEmpty && $0.capacity == countMax)
                for index in 0..<count { $0.append(UInt8(truncatingIfNeeded: index)) }
            }
            #expect(added == count)
            output.consume("before".utf8.count)
            let frame = output.array
            let header = try FrameHeader.decode(frame.span, payloadBytesMax: .max)
            #expect(
                header
                    == FrameHeader(
                        payloadBytes: frame.payload.count,
                        stream: 8,
                        type: .body,
                        endsStream: false
                    )
            )
            var decoder = MessageDecoder(messageBytesMax: 1024)
            var block = ByteBuffer()
            let place = try decoder.body(frame.payload.span, block: &block)
            #expect(place == .payload(frame.payload.count - count..<frame.payload.count))
            #expect(frame.suffix(count).elementsEqual((0..<count).map { UInt8(truncatingIfNeeded: $0) }))
        }
    }

    @Test func `nothing read is nothing appended`() {
        var encoder = MessageEncoder(fieldCountMax: 1)
        var output = ByteBuffer()
        output.append("before")
        let added = encoder.body(upTo: 1000, stream: 8, into: &output) { _ in }
        #expect(added == 0)
        #expect(output.array == Array("before".utf8))
    }

    @Test(arguments: [1024, 1025, 16_384, 65_536, 1_048_576], [0, 1, 1020, 1021, 1022, 100_000])
    func `a copied body is cut to the other side's payload limit`(payloadBytesMax: Int, count: Int) throws {
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var encoder = MessageEncoder(fieldCountMax: 1)
        var output = ByteBuffer()
        encoder.body(data.span, stream: 2, endsStream: true, payloadBytesMax: payloadBytesMax, into: &output)
        var decoder = MessageDecoder(messageBytesMax: 1024)
        var block = ByteBuffer()
        var read: [UInt8] = []
        var isEnded = false
        while !output.isEmpty {
            let header = try #require(try FrameHeader.decode(output.bytes, payloadBytesMax: payloadBytesMax))
            #expect(!isEnded)
            isEnded = header.endsStream
            let payload = Array(output.array.payload.prefix(header.payloadBytes))
            switch try decoder.body(payload.span, block: &block) {
            case .payload(let range): read += payload[range]
            case .block(let slice): read += block.bytes.extracting(slice).array
            }
            output.consume(FrameHeader.byteCount + header.payloadBytes)
        }
        #expect(isEnded)
        #expect(read == data)
    }
}
