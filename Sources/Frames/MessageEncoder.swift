// MessageEncoder.swift: messages in, whole frames out, packed by protobuf-c straight into the output buffer.
// Owns: scratch memory for protobuf-c's structs. Never touches: sessions. Source: proto/outrigger.proto.
import Model

/// Appends frames to a buffer. Allocates nothing per frame once warm.
package struct MessageEncoder: ~Copyable, Sendable {
    /// - Parameter fieldCountMax: field lines in one message.
    package init(fieldCountMax: Int) {}

    package mutating func hello(_ hello: Hello, into output: inout ByteBuffer) {}

    /// Of INTERIM (`facts` is `nil`) and REPLY.
    /// - Parameter block: what the head's slices point into.
    package mutating func reply(
        _ head: borrowing ReplyHead,
        in block: Span<UInt8>,
        facts: ConnectionFacts?,
        stream: UInt32,
        into output: inout ByteBuffer
    ) {}

    /// One or more BODY frames with a copy of `data`, each payload at most `payloadBytesMax`.
    package mutating func body(
        _ data: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        payloadBytesMax: Int,
        into output: inout ByteBuffer
    ) {}

    /// One BODY frame of up to `countMax` bytes that `read` puts in place, behind a header that is filled in after.
    /// Appends nothing when `read` adds nothing.
    /// - Returns: bytes of data added.
    package mutating func body(
        upTo countMax: Int,
        stream: UInt32,
        into output: inout ByteBuffer,
        read: (inout OutputSpan<UInt8>) -> Void
    ) -> Int { 0 }

    package mutating func trailers(
        _ fields: [FieldSlice],
        in block: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        into output: inout ByteBuffer
    ) {}
    package mutating func credit(_ bytes: UInt32, stream: UInt32, into output: inout ByteBuffer) {}
    package mutating func ping(_ data: Span<UInt8>, isReply: Bool, into output: inout ByteBuffer) {}
    package mutating func end(
        _ report: borrowing EndReport,
        attempts: borrowing [Attempt],
        stream: UInt32,
        into output: inout ByteBuffer
    ) {}
    package mutating func goAway(_ code: GoAwayCode, detail: String, into output: inout ByteBuffer) {}

    // What a proxy sends.
    /// - Parameter endsStream: set with a body of `.none` unless an upgrade is asked for.
    package mutating func request(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        into output: inout ByteBuffer
    ) {}
    package mutating func cancel(detail: String, stream: UInt32, into output: inout ByteBuffer) {}
}
