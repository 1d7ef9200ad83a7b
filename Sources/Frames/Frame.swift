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
}

/// A decoded frame header.
package struct FrameHeader: Equatable, Sendable {
    /// Bytes on the wire.
    package static let byteCount = 12

    package var payloadBytes: Int
    package var stream: UInt32
    /// `nil`: an unknown type of 0x80 or more, to be skipped.
    package var type: FrameType?
    package var endsStream: Bool

    /// Decodes the header at the front of `bytes`.
    /// - Returns: `nil` when fewer than `byteCount` bytes are there.
    package static func decode(
        _ bytes: Span<UInt8>,
        payloadBytesMax: Int
    ) throws(FrameError) -> FrameHeader? {
        nil
    }
}
