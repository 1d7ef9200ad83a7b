// BodyPlace.swift: the one message that is read and written in place. Source: proto/outrigger.proto,
// BodyChunk.
import Model

/// Where the data of a BODY frame stands.
package enum BodyPlace: Equatable, Sendable {
    case payload(Range<Int>)
    case block(Slice)

    /// Key of field 1, wire type 2 (length-delimited).
    static let key: UInt8 = 0x0a

    /// Finds the data of a payload that is one field 1 and nothing else, its length prefix padded or not.
    /// - Returns: `nil` for any other shape, valid or not.
    static func find(in payload: Span<UInt8>) -> Range<Int>? {
        start(in: payload, payloadBytes: payload.count).map { $0..<payload.count }
    }

    /// Where the data begins in a payload of that shape.
    /// - Parameters:
    ///   - payload: as much of it as has come.
    ///   - payloadBytes: of the whole.
    /// - Returns: `nil` for any other shape, and while that is not known.
    package static func start(in payload: Span<UInt8>, payloadBytes: Int) -> Int? {
        guard payload.count >= 2 && payload[0] == key else { return nil }
        var length = 0
        // Five bytes of seven bits hold any length; protobuf-c reads no more either.
        for index in 1..<min(payload.count, 6) {
            length |= Int(payload[index] & 0x7f) << (7 * (index - 1))
            if payload[index] < 0x80 {
                let start = index + 1
                return length == payloadBytes - start ? start : nil
            }
        }
        return nil
    }

    /// Bytes that a length of `count` takes as a varint.
    static func varintBytes(_ count: Int) -> Int {
        max(1, (Int.bitWidth - count.leadingZeroBitCount + 6) / 7)
    }

    /// Data bytes that fit a BODY payload of `payloadBytesMax` bytes.
    package static func dataBytesMax(payloadBytesMax: Int) -> Int {
        payloadBytesMax - 1 - varintBytes(payloadBytesMax)
    }
}
