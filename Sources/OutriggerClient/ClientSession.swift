// ClientSession.swift: the proxy's side of one session: bytes in, events out; calls in, bytes out.
// Owns: stream ids, credit both ways, HELLO. Never touches: sockets, the clock. Source: DESIGN "The
// protocol".
import Frames
import Model

/// One session as a proxy sees it. Pure: the driver moves the bytes.
///
/// Bytes of the sidecar go in with `received`, events come out of `nextEvent` until it says `nil`; bytes for
/// the sidecar wait in `output` until `wrote` drops them. Allocates nothing per stream once warm, but what
/// END itself holds.
package struct ClientSession: ~Copyable {
    /// What we said in HELLO.
    package let ownHello: Hello
    /// What the sidecar said in HELLO; `nil` until it has.
    package private(set) var hello: Hello?
    /// Why the sidecar takes no new streams; `nil` while it does.
    package private(set) var goAwayCode: GoAwayCode?
    /// What the sidecar's GOAWAY said in words.
    package private(set) var goAwayDetail = ""
    /// What the last PIN frame said.
    package private(set) var pinEvent = PinEvent(token: [], change: .lost)

    /// Of the last `interim`, `reply` or `trailers`: slices into `block`.
    package private(set) var head = ReplyHead()
    /// Of the last `reply`.
    package private(set) var facts = ConnectionFacts()
    /// Of the last `ended`.
    package private(set) var report = EndReport(.internal)
    /// Of the last `ended`.
    package private(set) var attempts: [Attempt] = []

    private var encoder: MessageEncoder
    private var decoder: MessageDecoder
    private var streams = StreamTable()
    private var input = ByteBuffer()
    private var outgoing = ByteBuffer()
    private var messageBlock = ByteBuffer()
    /// Bytes at the front of `input` that the last event was made of.
    private var handledBytes = 0
    private var bodyPlace = BodyPlace.payload(0..<0)
    private var receivedCredit = 0
    private let fieldCountMax: Int

    /// A session that says HELLO first.
    /// - Parameters:
    ///   - hello: ours. `initialCreditBytes` is what the sidecar may send on a new stream.
    ///   - limits: `messageBytesMax` and `fieldCountMax` are used.
    package init(hello: Hello, limits: Limits = Limits()) {
        ownHello = hello
        fieldCountMax = limits.fieldCountMax
        encoder = MessageEncoder(fieldCountMax: limits.fieldCountMax)
        decoder = MessageDecoder(messageBytesMax: limits.messageBytesMax)
        encoder.hello(hello, into: &outgoing)
    }

    // What the last event was made of.
    /// The bytes that `head` points into.
    package var block: Span<UInt8> {
        @_lifetime(borrow self)
        get { messageBlock.bytes }
    }

    /// Of the last `body`.
    package var body: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            switch bodyPlace {
            case .payload(let range): input.bytes.extracting(range)
            case .block(let slice): messageBlock.bytes.extracting(slice)
            }
        }
    }

    // Bytes to write.
    /// Bytes for the sidecar, oldest first.
    package var output: Span<UInt8> {
        @_lifetime(borrow self)
        get { outgoing.bytes }
    }

    /// `count` bytes of `output` are written.
    package mutating func wrote(_ count: Int) { outgoing.consume(count) }

    // Streams.
    /// Number of open streams.
    package var openCount: Int { streams.count }

    /// Whether `open` will give a stream.
    package var canOpen: Bool {
        guard let hello, goAwayCode == nil else { return false }
        return streams.count < StreamTable.slotsMax
            && (hello.streamsMax == 0 || streams.count < hello.streamsMax)
    }

    /// Opens a stream with a request.
    /// - Parameters:
    ///   - request: encoded at once, not kept.
    ///   - block: what the request's slices point into.
    /// - Returns: the stream; `nil` when none may be opened now, see `canOpen`, or the request is too large.
    package mutating func open(_ request: borrowing Request, in block: Span<UInt8>) -> UInt32? {
        guard canOpen, let hello, request.fields.count <= fieldCountMax else { return nil }
        let isSending = request.body != .none || !request.upgrade.isEmpty
        guard
            let id = streams.open(
                sendCredit: hello.initialCreditBytes,
                receiveCredit: ownHello.initialCreditBytes,
                isSending: isSending
            )
        else { return nil }
        let isWritten = encoder.request(
            request,
            in: block,
            stream: id,
            endsStream: !isSending,
            payloadBytesMax: hello.framePayloadBytesMax,
            into: &outgoing
        )
        if isWritten { return id }
        if let slot = streams.slot(of: id) { streams.close(slot) }
        return nil
    }

    /// Sends what credit allows of `data`. When that is not all, `writable` says when to go on.
    /// - Parameters:
    ///   - data: copied.
    ///   - stream: of this session.
    ///   - ends: nothing follows. Takes effect only when all of `data` was taken.
    /// - Returns: bytes taken; all of them when the stream does not listen any more.
    package mutating func sendBody(_ data: Span<UInt8>, stream: UInt32, ends: Bool) -> Int {
        guard let slot = streams.slot(of: stream), streams[slot].isSending else { return data.count }
        let count = min(data.count, streams[slot].sendCredit)
        let isLast = ends && count == data.count
        streams[slot].sendCredit -= count
        streams[slot].isStarved = count < data.count
        if isLast { streams[slot].isSending = false }
        if count > 0 || isLast {
            encoder.body(
                data.extracting(0..<count),
                stream: stream,
                endsStream: isLast,
                payloadBytesMax: hello?.framePayloadBytesMax ?? 0,
                into: &outgoing
            )
        }
        return count
    }

    /// Ends a chunked request body with trailers: `fields`, which point into `block`.
    package mutating func sendTrailers(_ fields: [FieldSlice], in block: Span<UInt8>, stream: UInt32) {
        guard let slot = streams.slot(of: stream), streams[slot].isSending else { return }
        streams[slot].isSending = false
        encoder.trailers(fields, in: block, stream: stream, endsStream: true, into: &outgoing)
    }

    /// Body bytes that may be sent now; 0 also when the stream does not listen.
    package func sendCredit(of stream: UInt32) -> Int {
        guard let slot = streams.slot(of: stream), streams[slot].isSending else { return 0 }
        return streams[slot].sendCredit
    }

    /// Asks the sidecar to end a stream; `ended` still comes.
    package mutating func cancel(_ stream: UInt32, detail: String = "") {
        guard let slot = streams.slot(of: stream) else { return }
        streams[slot].isSending = false
        encoder.cancel(detail: detail, stream: stream, into: &outgoing)
    }

    /// `count` body bytes of a stream are done with: the sidecar may send as many more, unless all that is to
    /// come is covered. Credit goes out when half of what HELLO gave is used up.
    package mutating func consumed(_ count: Int, stream: UInt32) {
        guard let slot = streams.slot(of: stream) else { return }
        streams[slot].owedBytes += count
        let state = streams[slot]
        let isCovered = state.replyBytesLeft <= UInt64(state.receiveCredit)
        guard state.owedBytes > 0, !isCovered, state.receiveCredit <= ownHello.initialCreditBytes / 2 else {
            return
        }
        encoder.credit(UInt32(clamping: state.owedBytes), stream: stream, into: &outgoing)
        streams[slot].receiveCredit += state.owedBytes
        streams[slot].owedBytes = 0
    }

    /// The client of that token went away.
    package mutating func unpin(_ token: Span<UInt8>) { encoder.unpin(token: token, into: &outgoing) }

    /// Asks the sidecar for a sign of life: `pong`.
    package mutating func ping(_ data: Span<UInt8>) { encoder.ping(data, isReply: false, into: &outgoing) }

    // Bytes that arrive.
    /// Takes a copy of a sidecar's bytes.
    package mutating func received(_ bytes: Span<UInt8>) {
        dropHandled()
        input.append(bytes)
    }

    /// Lets `read` put up to `countMax` bytes of the sidecar in place.
    package mutating func received<E: Error>(
        upTo countMax: Int,
        read: (inout OutputSpan<UInt8>) throws(E) -> Void
    ) throws(E) {
        dropHandled()
        try input.append(upTo: countMax, read)
    }

    /// Takes the next frame.
    /// - Returns: what it means; `nil` when no whole frame waits. What the event before pointed to is gone.
    /// - Throws: the session is beyond use then.
    package mutating func nextEvent() throws(ClientError) -> ClientEvent? {
        while true {
            dropHandled()
            let header: FrameHeader?
            do throws(FrameError) {
                header = try FrameHeader.decode(input.bytes, payloadBytesMax: ownHello.framePayloadBytesMax)
            } catch { throw .frame(error) }
            guard let header, input.count >= FrameHeader.byteCount + header.payloadBytes else { return nil }
            handledBytes = FrameHeader.byteCount + header.payloadBytes
            guard let type = header.type else { continue }
            if let event = try take(type, header) { return event }
        }
    }

    private mutating func dropHandled() {
        guard handledBytes > 0 else { return }
        input.consume(handledBytes)
        handledBytes = 0
        bodyPlace = .payload(0..<0)
    }

    private mutating func take(_ type: FrameType, _ header: FrameHeader) throws(ClientError) -> ClientEvent? {
        if type != .goAway && (hello == nil) != (type == .hello) { throw .unexpectedHello }
        // A span of `input` would keep all of `self` from being changed while it lives, so the buffer steps
        // out.
        var frame = ByteBuffer()
        swap(&frame, &input)
        var failure: FrameError?
        do throws(FrameError) {
            try decode(type, frame.bytes.extracting(FrameHeader.byteCount..<handledBytes))
        } catch { failure = error }
        swap(&frame, &input)
        if let failure { throw .frame(failure) }
        switch type {
        case .hello:
            guard let hello, hello.version == 1 else {
                let version = hello?.version ?? 0
                hello = nil
                throw .unsupportedVersion(version)
            }
            return .ready
        case .goAway: return .goAway(goAwayCode ?? .draining)
        case .pong: return .pong
        case .ping: return nil
        case .pin: return .pin
        case .request, .cancel, .unpin: throw .unexpectedFrame(header.stream, type)
        case .body, .trailers, .credit, .interim, .reply, .end: return try takeForStream(type, header)
        }
    }

    /// Unpacks a payload to where its event will look for it.
    private mutating func decode(_ type: FrameType, _ payload: Span<UInt8>) throws(FrameError) {
        switch type {
        case .hello: hello = try decoder.hello(payload)
        case .goAway: (goAwayCode, goAwayDetail) = try decoder.goAway(payload)
        case .ping:
            var block = ByteBuffer()
            let data = try decoder.ping(payload, block: &block)
            encoder.ping(block.bytes.extracting(data), isReply: true, into: &outgoing)
        case .interim, .reply: try decoder.reply(payload, into: &head, facts: &facts, block: &messageBlock)
        case .body:
            bodyPlace = try decoder.body(payload, block: &messageBlock)
            if case .payload(let range) = bodyPlace {
                let start = FrameHeader.byteCount
                bodyPlace = .payload(range.lowerBound + start..<range.upperBound + start)
            }
        case .trailers: try decoder.trailers(payload, into: &head.fields, block: &messageBlock)
        case .credit: receivedCredit = Int(try decoder.credit(payload))
        case .end: (report, attempts) = try decoder.end(payload)
        case .pin: pinEvent = try decoder.pin(payload)
        case .pong, .request, .cancel, .unpin: break
        }
    }

    private mutating func takeForStream(
        _ type: FrameType,
        _ header: FrameHeader
    ) throws(ClientError) -> ClientEvent? {
        let stream = header.stream
        guard let slot = streams.slot(of: stream) else { throw .unknownStream(stream, type) }
        let endsDirection = header.endsStream && type == .body && streams[slot].isTunnel
        guard header.endsStream == (type == .end) || endsDirection else {
            throw .unexpectedFrame(stream, type)
        }
        switch type {
        case .interim where !streams[slot].hasReply: return .interim(stream: stream)
        case .reply where !streams[slot].hasReply:
            streams[slot].hasReply = true
            if case .length(let bytes) = head.body { streams[slot].replyBytesLeft = bytes }
            streams[slot].isTunnel = head.body == .tunnel
            return .reply(stream: stream)
        case .body where streams[slot].hasReply:
            let count = body.count
            guard count <= streams[slot].receiveCredit else { throw .creditExceeded(stream) }
            guard UInt64(count) <= streams[slot].replyBytesLeft else { throw .unexpectedFrame(stream, type) }
            streams[slot].receiveCredit -= count
            if streams[slot].replyBytesLeft != .max { streams[slot].replyBytesLeft -= UInt64(count) }
            // Nobody listens to our direction of a tunnel any more: END follows when it is closed, too.
            if endsDirection { _ = sendBody(Span(), stream: stream, ends: true) }
            return .body(stream: stream)
        case .trailers where streams[slot].hasReply: return .trailers(stream: stream)
        case .credit:
            streams[slot].sendCredit += receivedCredit
            guard streams[slot].isStarved, streams[slot].isSending else { return nil }
            streams[slot].isStarved = false
            return .writable(stream: stream)
        case .end:
            streams.close(slot)
            return .ended(stream: stream)
        case .hello, .request, .body, .trailers, .cancel, .unpin, .ping, .pong, .interim, .reply, .pin,
            .goAway:
            throw .unexpectedFrame(stream, type)
        }
    }
}
