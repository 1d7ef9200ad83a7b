// MessageDecoder.swift: payloads in, messages out, unpacked by protobuf-c into a capped arena.
// Owns: what makes a message well formed. Never touches: sessions. Source: proto/outrigger.proto.
import COutriggerProto
import Model

/// Decodes payloads. What it fills points into `block`, which doubles as protobuf-c's arena and keeps its
/// memory. Every function throws `badMessage` when the payload is not the message, breaks a limit or does
/// not fit the arena; `block` then holds nothing of use. The words in an error never repeat what the payload
/// says.
package struct MessageDecoder: ~Copyable, Sendable {
    private static let creditBytesRange: ClosedRange<UInt32> = 1...16_777_216
    private static let framePayloadBytesRange: ClosedRange<UInt32> = 1024...1_048_576
    private static let instanceBytesMax = 64
    private static let capabilitiesMax = 64
    private static let softwareBytesMax = 256
    private static let pingBytesMax = 64

    private let messageBytesMax: Int
    private let requestReader: RequestReader
    private let requestScanner: RequestScanner
    private var endpoints = EndpointReader()
    /// The arena of messages that are copied out whole.
    private var scratch = ByteBuffer()

    /// - Parameters:
    ///   - messageBytesMax: memory that one unpacked message may take. Reached: `badMessage`. A request that
    ///     is read in place takes its payload and no more.
    ///   - endpointsMax: of one request. Reached: `Request.invalid`.
    ///   - fieldCountMax: of one request. Reached: `Request.invalid`.
    package init(messageBytesMax: Int, endpointsMax: Int = 16, fieldCountMax: Int = 256) {
        self.messageBytesMax = messageBytesMax
        requestReader = RequestReader(endpointsMax: endpointsMax, fieldCountMax: fieldCountMax)
        requestScanner = RequestScanner(endpointsMax: endpointsMax, fieldCountMax: fieldCountMax)
    }

    /// - Throws: `badHello` for numbers out of range, but only in version 1: another version means them
    /// otherwise.
    package mutating func hello(_ payload: Span<UInt8>) throws(FrameError) -> Hello {
        // SAFETY: the message is read while its arena is alive.
        try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__hello__unpack,
            read: { (unpacked) throws(FrameError) in try unsafe MessageDecoder.hello(unpacked) }
        )
    }

    /// Resets and fills `request`; its slices point into `block`, which is secret when it has a credential: whoever has done
    /// with it wipes it. Fields of a plain request are not looked at for that. What is well formed but cannot be served
    /// (`invalid`) does not throw: it ends the stream, not the session.
    package mutating func request(
        _ payload: Span<UInt8>,
        into request: inout Request,
        block: inout ByteBuffer
    ) throws(FrameError) {
        request.reset()
        block.removeAll()
        block.append(payload)
        if requestScanner.scan(block.bytes, into: &request) { return }
        block.isSecret = SecretFinder.mayHaveSecrets(payload)
        try unpackRequest(payload, into: &request, block: &block)
    }

    /// Any request, by protobuf-c: what `request` leaves, and what tests compare it with.
    package mutating func unpackRequest(
        _ payload: Span<UInt8>,
        into request: inout Request,
        block: inout ByteBuffer
    ) throws(FrameError) {
        request.reset()
        // SAFETY: the message is read while its arena is alive; slices outlive it because `block` does.
        try unsafe block.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__request__unpack,
            read: { (unpacked) throws(FrameError) in
                try unsafe requestReader.read(unpacked, into: &request, endpoints: &endpoints)
            }
        )
    }

    /// Where the data of a BODY payload stands, when it has the usual shape (one field); else decodes into
    /// `block`.
    package mutating func body(
        _ payload: Span<UInt8>,
        block: inout ByteBuffer
    ) throws(FrameError) -> BodyPlace {
        if let range = BodyPlace.find(in: payload) { return .payload(range) }
        // SAFETY: the message is read while its arena is alive.
        return try unsafe block.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__body_chunk__unpack,
            read: { (unpacked) in unsafe .block(unpacked.slice(unpacked.message.pointee.data)) }
        )
    }

    /// Replaces `fields`.
    package mutating func trailers(
        _ payload: Span<UInt8>,
        into fields: inout [FieldSlice],
        block: inout ByteBuffer
    ) throws(FrameError) {
        fields.removeAll(keepingCapacity: true)
        // SAFETY: the message is read while its arena is alive.
        try unsafe block.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__trailers__unpack,
            read: { (unpacked) throws(FrameError) in
                unsafe unpacked.appendFields(
                    unpacked.message.pointee.fields,
                    count: unpacked.message.pointee.n_fields,
                    to: &fields
                )
            }
        )
    }

    package mutating func cancel(_ payload: Span<UInt8>) throws(FrameError) {
        // SAFETY: the message is read while its arena is alive.
        try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__cancel__unpack,
            read: { (unpacked) throws(FrameError) in
                _ = try unsafe unpacked.text(unpacked.message.pointee.detail, "detail")
            }
        )
    }

    /// - Returns: bytes, 1...16777216.
    package mutating func credit(_ payload: Span<UInt8>) throws(FrameError) -> UInt32 {
        // SAFETY: the message is read while its arena is alive.
        let bytes = try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__credit__unpack,
            read: { (unpacked) in unsafe unpacked.message.pointee.bytes }
        )
        guard MessageDecoder.creditBytesRange.contains(bytes) else {
            throw .badMessage("credit outside 1...16777216 bytes")
        }
        return bytes
    }

    /// The token of an UNPIN, 1 to 64 bytes.
    package mutating func unpin(_ payload: Span<UInt8>) throws(FrameError) -> [UInt8] {
        // SAFETY: the message is read while its arena is alive.
        let token = try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__unpin__unpack,
            read: { (unpacked) in unsafe unpacked.array(unpacked.message.pointee.token) }
        )
        guard 1...RequestBound.tokenBytesMax ~= token.count else {
            throw .badMessage("token outside 1...64 bytes")
        }
        return token
    }

    /// Of PING and PONG. - Returns: where the data stands in `block`; at most 64 bytes.
    package mutating func ping(_ payload: Span<UInt8>, block: inout ByteBuffer) throws(FrameError) -> Slice {
        // SAFETY: the message is read while its arena is alive.
        let data = try unsafe block.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__ping__unpack,
            read: { (unpacked) in unsafe unpacked.slice(unpacked.message.pointee.data) }
        )
        guard data.count <= MessageDecoder.pingBytesMax else { throw .badMessage("ping over 64 bytes") }
        return data
    }

    // What a proxy receives.
    /// Of INTERIM and REPLY. `facts` is as after `init()` when the message has none.
    package mutating func reply(
        _ payload: Span<UInt8>,
        into head: inout ReplyHead,
        facts: inout ConnectionFacts,
        block: inout ByteBuffer
    ) throws(FrameError) {
        // SAFETY: the message is read while its arena is alive; slices outlive it because `block` does.
        try unsafe block.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__reply_head__unpack,
            read: { (unpacked) throws(FrameError) in
                try unsafe unpacked.read(into: &head)
                facts = try unsafe ConnectionFacts(unpacked.message.pointee.connection, &endpoints)
                try unsafe unpacked.readWords(into: &facts)
            }
        )
    }

    package mutating func end(_ payload: Span<UInt8>) throws(FrameError) -> (EndReport, [Attempt]) {
        // SAFETY: the message is read while its arena is alive.
        try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__end__unpack,
            read: { (unpacked) throws(FrameError) in
                var report = try unsafe unpacked.report()
                let attempts = try unsafe unpacked.attempts(&report)
                return (report, attempts)
            }
        )
    }

    package mutating func pin(_ payload: Span<UInt8>) throws(FrameError) -> PinEvent {
        // SAFETY: the message is read while its arena is alive.
        try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__pin_event__unpack,
            read: { (unpacked) throws(FrameError) in
                let message = unsafe unpacked.message
                guard let change = unsafe PinChange(rawValue: Int(message.pointee.change.rawValue)) else {
                    throw .badMessage("change is unknown")
                }
                var event = PinEvent(token: unsafe unpacked.array(message.pointee.token), change: change)
                event.detail = try unsafe unpacked.text(message.pointee.detail, "detail")
                if let remote = unsafe message.pointee.remote {
                    event.remote = try unsafe endpoints.endpointOfReply(remote)
                }
                return event
            }
        )
    }

    package mutating func goAway(_ payload: Span<UInt8>) throws(FrameError) -> (GoAwayCode, String) {
        // SAFETY: the message is read while its arena is alive.
        try unsafe scratch.unpack(
            payload,
            messageBytesMax: messageBytesMax,
            with: outrigger__v1__go_away__unpack,
            read: { (unpacked) throws(FrameError) in
                guard let code = unsafe GoAwayCode(rawValue: Int(unpacked.message.pointee.code.rawValue))
                else {
                    throw .badMessage("code is unknown")
                }
                return (code, try unsafe unpacked.text(unpacked.message.pointee.detail, "detail"))
            }
        )
    }

    private static func hello(_ unpacked: Unpacked<Outrigger__V1__Hello>) throws(FrameError) -> Hello {
        // SAFETY: the message's arena is alive; `capabilities` has `n_capabilities` strings.
        let message = unsafe unpacked.message.pointee
        var hello = Hello()
        hello.version = unsafe message.version
        guard hello.version == 1 else { return hello }
        // 0 cannot be told from absent in proto3, so it is the default.
        if let bytes = unsafe nonZero(message.frame_payload_bytes_max) {
            guard framePayloadBytesRange.contains(bytes) else {
                throw .badHello("frame_payload_bytes_max outside 1024...1048576")
            }
            hello.framePayloadBytesMax = Int(bytes)
        }
        if let bytes = unsafe nonZero(message.initial_credit_bytes) {
            guard creditBytesRange.contains(bytes) else {
                throw .badHello("initial_credit_bytes outside 1...16777216")
            }
            hello.initialCreditBytes = Int(bytes)
        }
        hello.instanceID = unsafe unpacked.array(message.instance_id)
        guard hello.instanceID.count <= instanceBytesMax else { throw .badHello("instance_id over 64 bytes") }
        hello.streamsMax = unsafe Int(message.streams_max)
        guard unsafe message.n_capabilities <= capabilitiesMax else {
            throw .badHello("over 64 capabilities")
        }
        for index in unsafe 0..<message.n_capabilities {
            hello.capabilities.append(try unsafe unpacked.text(message.capabilities[index], "a capability"))
        }
        hello.software = try unsafe unpacked.text(message.software, "software")
        guard hello.software.utf8.count <= softwareBytesMax else {
            throw .badHello("software over 256 bytes")
        }
        return hello
    }

    private static func nonZero(_ number: UInt32) -> UInt32? { number == 0 ? nil : number }
}
