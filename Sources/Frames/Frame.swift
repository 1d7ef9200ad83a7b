// Frame.swift: the 12 bytes in front of every message. Source: DESIGN "The protocol".
import Model

/// Types of frames. Raw values are those on the wire.
package enum FrameType: UInt8, CaseIterable, Sendable {
    case hello = 0x01
    case request = 0x02
    case body = 0x03
    case trailers = 0x04
    case cancel = 0x05
    case credit = 0x06
    case unpin = 0x07
    case ping = 0x08
    case pong = 0x09
    case interim = 0x10
    case reply = 0x11
    case end = 0x12
    case pin = 0x13
    case goAway = 0x14
}

/// Why bytes of a session are not valid frames.
package enum FrameError: Error, Equatable, Sendable {
    case payloadTooLarge(bytes: Int, limitBytes: Int)
    case reservedNotZero
    case unknownType(UInt8)
    case unknownFlags(UInt8)
    /// The payload is not the message it should be; what is wrong, in words.
    case badMessage(String)
    /// A version 1 HELLO whose numbers are out of range; which, in words.
    case badHello(String)

    /// What the other side is told when the session ends for this.
    package var goAwayCode: GoAwayCode {
        switch self {
        case .payloadTooLarge: .frameTooLarge
        case .reservedNotZero, .unknownType, .unknownFlags: .badFrame
        case .badMessage: .badMessage
        case .badHello: .badHello
        }
    }

    /// For people; never a byte of a message.
    package var detail: String {
        switch self {
        case .payloadTooLarge(let bytes, let limitBytes):
            "payload of \(bytes) bytes, the limit is \(limitBytes)"
        case .reservedNotZero: "the last two bytes of a frame header must be zero"
        case .unknownType(let type): "unknown frame type \(type)"
        case .unknownFlags(let flags): "unknown flags \(flags)"
        case .badMessage(let words), .badHello(let words): words
        }
    }
}

/// A decoded frame header.
package struct FrameHeader: Equatable, Sendable {
    /// Bytes on the wire.
    package static let byteCount = 12
    /// The only flag: the sender is done with this stream.
    package static let endStreamFlag: UInt8 = 0x01
    /// Types from here on may come in later versions and are skipped, their flags unread.
    package static let skippedTypeMin: UInt8 = 0x80

    package var payloadBytes: Int
    package var stream: UInt32
    /// `nil`: an unknown type of 0x80 or more, to be skipped.
    package var type: FrameType?
    package var endsStream: Bool

    /// A header; `payloadBytes` is 0...1048576.
    package init(payloadBytes: Int, stream: UInt32, type: FrameType?, endsStream: Bool) {
        self.payloadBytes = payloadBytes
        self.stream = stream
        self.type = type
        self.endsStream = endsStream
    }

    /// Decodes the header at the front of `bytes`; `nil` when fewer than `byteCount` bytes are there.
    /// `payloadBytesMax` is what we offered in HELLO. The reserved bytes are judged first, then type and
    /// flags, then the length.
    package static func decode(
        _ bytes: Span<UInt8>,
        payloadBytesMax: Int
    ) throws(FrameError) -> FrameHeader? {
        guard bytes.count >= byteCount else { return nil }
        guard bytes[10] == 0 && bytes[11] == 0 else { throw .reservedNotZero }
        let type = FrameType(rawValue: bytes[8])
        let flags = bytes[9]
        if type == nil {
            guard bytes[8] >= skippedTypeMin else { throw .unknownType(bytes[8]) }
        } else {
            guard flags & ~endStreamFlag == 0 else { throw .unknownFlags(flags) }
        }
        let payloadBytes = Int(bigEndian(bytes, at: 0))
        guard payloadBytes <= payloadBytesMax else {
            throw .payloadTooLarge(bytes: payloadBytes, limitBytes: payloadBytesMax)
        }
        return FrameHeader(
            payloadBytes: payloadBytes,
            stream: bigEndian(bytes, at: 4),
            type: type,
            endsStream: type != nil && flags == endStreamFlag
        )
    }

    /// The header's bytes in two words, in the order in which they go out.
    static func words(
        payloadBytes: Int,
        stream: UInt32,
        type: FrameType,
        endsStream: Bool
    ) -> (UInt64, UInt32) {
        let front = UInt64(UInt32(payloadBytes)) << 32 | UInt64(stream)
        let back = UInt32(type.rawValue) << 24 | UInt32(endsStream ? endStreamFlag : 0) << 16
        return (front.bigEndian, back.bigEndian)
    }

    private static func bigEndian(_ bytes: Span<UInt8>, at offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16
            | UInt32(bytes[offset + 2]) << 8 | UInt32(bytes[offset + 3])
    }
}
