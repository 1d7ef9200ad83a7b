// MessageDecoder.swift: payloads in, messages out, unpacked by protobuf-c into a capped arena.
// Owns: the arena's rules. Never touches: sessions. Source: proto/outrigger.proto.
import Model

/// Decodes payloads. What it fills points into `block`, which doubles as protobuf-c's arena and keeps its memory.
package struct MessageDecoder: ~Copyable, Sendable {
    /// - Parameter messageBytesMax: memory that one unpacked message may take. Reached: `badMessage`.
    package init(messageBytesMax: Int) {}

    package mutating func hello(_ payload: Span<UInt8>) throws(FrameError) -> Hello { Hello() }

    /// - Parameter request: reset, then filled; its slices point into `block`.
    package mutating func request(
        _ payload: Span<UInt8>,
        into request: inout Request,
        block: inout ByteBuffer
    ) throws(FrameError) {}

    /// Where the data of a BODY payload stands, when it has the usual shape (one field); else decodes into `block`.
    package mutating func body(
        _ payload: Span<UInt8>,
        block: inout ByteBuffer
    ) throws(FrameError) -> BodyPlace { .payload(0..<0) }

    package mutating func trailers(
        _ payload: Span<UInt8>,
        into fields: inout [FieldSlice],
        block: inout ByteBuffer
    ) throws(FrameError) {}

    package mutating func cancel(_ payload: Span<UInt8>) throws(FrameError) {}
    package mutating func credit(_ payload: Span<UInt8>) throws(FrameError) -> UInt32 { 0 }
    package mutating func unpin(_ payload: Span<UInt8>) throws(FrameError) {}
    /// Of PING and PONG. - Returns: where the data stands in `block`.
    package mutating func ping(_ payload: Span<UInt8>, block: inout ByteBuffer) throws(FrameError) -> Slice { .empty }

    // What a proxy receives.
    package mutating func reply(
        _ payload: Span<UInt8>,
        into head: inout ReplyHead,
        facts: inout ConnectionFacts,
        block: inout ByteBuffer
    ) throws(FrameError) {}
    package mutating func end(_ payload: Span<UInt8>) throws(FrameError) -> (EndReport, [Attempt]) {
        (EndReport(.internal), [])
    }
    package mutating func goAway(_ payload: Span<UInt8>) throws(FrameError) -> (GoAwayCode, String) { (.draining, "") }
}

/// Where the data of a BODY frame stands.
package enum BodyPlace: Equatable, Sendable {
    case payload(Range<Int>)
    case block(Slice)
}
