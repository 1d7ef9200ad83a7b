// WireFormat.swift: protobuf's wire format, for the messages that every exchange has and that we pack ourselves.
// Owns: varints, keys, lengths. Field numbers here are below 16, so that a key is one byte.
// Source: protobuf.dev/programming-guides/encoding. Tests unpack what is written here with protobuf-c.
import Model

/// Sizes of parts of a message, bytes.
enum WireSize {
    /// A varint: 7 bits a byte.
    @inline(__always)
    static func varint(_ value: UInt64) -> Int { (70 &- max(value | 1, 1).leadingZeroBitCount) / 7 }

    /// A number field; absent when 0, as proto3 has it.
    @inline(__always)
    static func number(_ value: UInt64) -> Int { value == 0 ? 0 : 1 &+ varint(value) }

    /// A field of `count` bytes with its key and length.
    @inline(__always)
    static func bytes(_ count: Int) -> Int { 1 &+ varint(UInt64(count)) &+ count }
}

extension OutputSpan<UInt8> {
    @inline(__always)
    mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// A number field, unless it is 0.
    @inline(__always)
    mutating func appendNumber(_ value: UInt64, field: UInt8) {
        if value == 0 { return }
        append(field &<< 3)
        appendVarint(value)
    }

    /// The key and length in front of `count` bytes: of a bytes, string or message field.
    @inline(__always)
    mutating func appendPrefix(_ count: Int, field: UInt8) {
        append(field &<< 3 | 2)
        appendVarint(UInt64(count))
    }

    @inline(__always)
    mutating func appendBytes(_ bytes: Span<UInt8>, field: UInt8) {
        appendPrefix(bytes.count, field: field)
        append(copying: bytes)
    }

    /// `count` bytes of `value`, the highest first.
    @inline(__always)
    mutating func appendBigEndian(_ value: UInt64, count: Int) {
        var shift = 8 &* count
        while shift > 0 {
            shift &-= 8
            append(UInt8(truncatingIfNeeded: value &>> UInt64(shift)))
        }
    }
}

extension ByteBuffer {
    /// Appends one frame whose payload `write` appends, of exactly `payloadBytes`.
    @inline(__always)
    mutating func appendFrame(
        _ type: FrameType,
        stream: UInt32,
        endsStream: Bool,
        payloadBytes: Int,
        write: (inout OutputSpan<UInt8>) -> Void
    ) {
        append(upTo: FrameHeader.byteCount &+ payloadBytes) { output in
            output.appendBigEndian(UInt64(payloadBytes), count: 4)
            output.appendBigEndian(UInt64(stream), count: 4)
            output.append(type.rawValue)
            output.append(endsStream ? FrameHeader.endStreamFlag : 0)
            output.append(0)
            output.append(0)
            write(&output)
            precondition(output.freeCapacity == 0, "a payload that is not as long as its header says")
        }
    }
}
