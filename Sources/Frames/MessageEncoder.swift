// MessageEncoder.swift: messages in, whole frames out, packed by protobuf-c straight into the output buffer.
// What every exchange has is packed by ReplyPacking.swift.
// Owns: scratch memory for protobuf-c's structs. Never touches: sessions. Source: proto/outrigger.proto.
import COutriggerProto
import Model

/// Appends frames to a buffer. Allocates nothing per frame once warm, but for HELLO.
package struct MessageEncoder: ~Copyable, Sendable {
    /// Attempts that one END reports, the first ones. With the words cut to 256 bytes an END is never longer than
    /// the smallest payload limit that a HELLO can ask for.
    package static let attemptsMax = 28

    private var scratch: Scratch

    /// - Parameter fieldCountMax: field lines in one message. More are encoded too, at the price of an allocation.
    package init(fieldCountMax: Int) {
        scratch = Scratch(fieldCountMax: fieldCountMax)
    }

    /// BODY frames with a copy of `data`, each payload at most `payloadBytesMax`. Without data one empty frame that
    /// ends the stream, or nothing.
    package mutating func body(
        _ data: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        payloadBytesMax: Int,
        into output: inout ByteBuffer
    ) {
        if data.isEmpty && endsStream {
            // SAFETY: nothing is written.
            unsafe output.appendFrame(.body, stream: stream, endsStream: true, bound: 0) { _ in 0 }
        }
        let pieceMax = BodyPlace.dataBytesMax(payloadBytesMax: payloadBytesMax)
        var rest = data
        while !rest.isEmpty {
            let piece = rest.extracting(first: pieceMax)
            rest = rest.extracting(droppingFirst: piece.count)
            _ = output.appendBodyFrame(
                upTo: piece.count,
                stream: stream,
                endsStream: endsStream && rest.isEmpty
            ) { $0.append(copying: piece) }
        }
    }

    /// One BODY frame of up to `countMax` bytes that `read` puts in place, behind a header that is filled in after.
    /// Appends nothing when `read` adds nothing. `countMax` must not exceed `BodyPlace.dataBytesMax` of what the
    /// other side accepts. Returns the bytes of data added.
    package mutating func body(
        upTo countMax: Int,
        stream: UInt32,
        into output: inout ByteBuffer,
        read: (inout OutputSpan<UInt8>) -> Void
    ) -> Int {
        output.appendBodyFrame(upTo: countMax, stream: stream, endsStream: false, read: read)
    }

    /// What stands before `count` bytes of data, at least 1, in a BODY frame: they follow from elsewhere.
    package mutating func bodyFront(_ count: Int, stream: UInt32, into output: inout ByteBuffer) {
        output.appendBodyFront(count, stream: stream)
    }

    /// Returns whether the payload is within `payloadBytesMax`; if not, nothing is appended.
    @discardableResult
    package mutating func trailers(
        _ fields: [FieldSlice],
        in block: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        payloadBytesMax: Int = .max,
        into output: inout ByteBuffer
    ) -> Bool {
        let bound = scratch.setFields(fields, in: block)
        // SAFETY: the struct and all that it points to (scratch, `block`) live until it is packed.
        var message = unsafe Outrigger__V1__Trailers()
        unsafe outrigger__v1__trailers__init(&message)
        unsafe message.n_fields = fields.count
        unsafe message.fields = scratch.fields.pointers
        return unsafe output.appendFrame(
            .trailers,
            stream: stream,
            endsStream: endsStream,
            bound: bound,
            payloadBytesMax: payloadBytesMax
        ) { unsafe outrigger__v1__trailers__pack(&message, $0) }
    }

    /// `bytes` is 1...16777216.
    package mutating func credit(_ bytes: UInt32, stream: UInt32, into output: inout ByteBuffer) {
        // SAFETY: a struct of one number.
        var message = unsafe Outrigger__V1__Credit()
        unsafe outrigger__v1__credit__init(&message)
        unsafe message.bytes = bytes
        unsafe output.appendFrame(.credit, stream: stream, bound: Bound.number) {
            unsafe outrigger__v1__credit__pack(&message, $0)
        }
    }

    /// PING, or PONG when `isReply`, with at most 64 bytes.
    package mutating func ping(_ data: Span<UInt8>, isReply: Bool, into output: inout ByteBuffer) {
        // SAFETY: the struct and `data` live until it is packed.
        var message = unsafe Outrigger__V1__Ping()
        unsafe outrigger__v1__ping__init(&message)
        unsafe message.data = Scratch.bytes(Slice(start: 0, count: data.count), in: data)
        unsafe output.appendFrame(isReply ? .pong : .ping, stream: 0, bound: Bound.prefix + data.count) {
            unsafe outrigger__v1__ping__pack(&message, $0)
        }
    }

    /// `detail` is cut to 256 bytes, and before a NUL.
    package mutating func goAway(_ code: GoAwayCode, detail: String, into output: inout ByteBuffer) {
        // SAFETY: the struct and the scratch memory that it points to live until it is packed.
        var message = unsafe Outrigger__V1__GoAway()
        unsafe outrigger__v1__go_away__init(&message)
        unsafe message.code = Outrigger__V1__GoAwayCode(UInt32(code.rawValue))
        unsafe message.detail = scratch.cString(detail)
        unsafe output.appendFrame(.goAway, stream: 0, bound: Bound.number + Bound.text) {
            unsafe outrigger__v1__go_away__pack(&message, $0)
        }
    }

    // What a proxy sends.
    /// `endsStream` is set with a body of `.none` unless an upgrade is asked for. The request's `invalid`
    /// is not looked at. Returns whether the payload is within `payloadBytesMax`, what the other side
    /// accepts; if not, nothing is appended.
    @discardableResult
    package mutating func request(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        stream: UInt32,
        endsStream: Bool,
        payloadBytesMax: Int = .max,
        into output: inout ByteBuffer
    ) -> Bool {
        var bound = scratch.setFields(request.fields, in: block)
        // SAFETY: the struct and all that it points to (scratch, `block`) live until it is packed.
        var message = unsafe Outrigger__V1__Request()
        unsafe outrigger__v1__request__init(&message)
        unsafe message.n_fields = request.fields.count
        unsafe message.fields = scratch.fields.pointers
        bound += unsafe scratch.setRequest(request, in: block, of: &message)
        // Fields of a message may stand in any order, so those that are packed by hand come last.
        let way = WireMessage.way(request, in: block)
        return unsafe output.appendFrame(
            .request,
            stream: stream,
            endsStream: endsStream,
            bound: bound + way.count,
            payloadBytesMax: payloadBytesMax
        ) { payload in
            let count = unsafe outrigger__v1__request__pack(&message, payload)
            for index in way.indices { unsafe payload[count + index] = way[index] }
            return count + way.count
        }
    }

    /// `detail` is cut to 256 bytes, and before a NUL.
    package mutating func cancel(detail: String, stream: UInt32, into output: inout ByteBuffer) {
        // SAFETY: the struct and the scratch memory that it points to live until it is packed.
        var message = unsafe Outrigger__V1__Cancel()
        unsafe outrigger__v1__cancel__init(&message)
        unsafe message.detail = scratch.cString(detail)
        unsafe output.appendFrame(.cancel, stream: stream, bound: Bound.text) {
            unsafe outrigger__v1__cancel__pack(&message, $0)
        }
    }

    /// `token` is 1 to 64 bytes.
    package mutating func unpin(token: Span<UInt8>, into output: inout ByteBuffer) {
        // SAFETY: the struct and `token` live until it is packed.
        var message = unsafe Outrigger__V1__Unpin()
        unsafe outrigger__v1__unpin__init(&message)
        unsafe message.token = Scratch.bytes(Slice(start: 0, count: token.count), in: token)
        unsafe output.appendFrame(.unpin, stream: 0, bound: Bound.prefix + token.count) {
            unsafe outrigger__v1__unpin__pack(&message, $0)
        }
    }
}
