// FrameOracle.swift: whatever a decoder of frames accepts, an encoder says again, and that decodes to the
// same.
import Frames
import Model

/// What the fuzzers call. A finding is a trap.
public enum FuzzOracles {
    /// The first byte picks the message, the rest is its payload; other first bytes pick the frame header.
    public static func checkFrames(_ input: Span<UInt8>) {
        if input.isEmpty { return }
        let payload = input.extracting(droppingFirst: 1)
        guard let type = FrameType(rawValue: input[0]) else { return FrameOracle.checkHeader(payload) }
        do throws(FrameError) {
            try FrameOracle.check(type, payload)
        } catch {
            // Refused: whatever the words, they have to map to a code.
            _ = error.goAwayCode
        }
    }
}

enum FrameOracle {
    private static let payloadBytesMax = 1_048_576

    static func checkHeader(_ input: Span<UInt8>) {
        guard let header = try? FrameHeader.decode(input, payloadBytesMax: payloadBytesMax) else {
            return
        }
        precondition(header.payloadBytes <= payloadBytesMax)
        precondition(header.payloadBytes == input.extracting(first: 4).reduceBigEndian())
        precondition(input[10] == 0 && input[11] == 0)
        precondition(header.type == nil ? input[8] >= 0x80 : header.type?.rawValue == input[8])
    }

    static func check(_ type: FrameType, _ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var output = ByteBuffer()
        switch type {
        case .hello: try checkHello(payload)
        case .request: try checkRequest(payload)
        case .body: try checkBody(payload)
        case .trailers: try checkTrailers(payload)
        case .cancel: try decoder.cancel(payload)
        case .credit:
            let bytes = try decoder.credit(payload)
            encoder.credit(bytes, stream: 1, into: &output)
            let again = mustDecode("credit") { () throws(FrameError) in try decoder.credit(output.payload) }
            precondition(again == bytes, "credit changed")
        case .unpin: _ = try decoder.unpin(payload)
        case .ping, .pong: try checkPing(payload, isReply: type == .pong)
        case .interim, .reply: try checkReply(payload)
        case .end: try checkEnd(payload)
        case .pin: break
        case .goAway:
            let (code, detail) = try decoder.goAway(payload)
            encoder.goAway(code, detail: detail, into: &output)
            let again = mustDecode("goAway") { () throws(FrameError) in try decoder.goAway(output.payload) }
            precondition(again.0 == code, "code changed")
            precondition(detail.utf8.count > 256 || again.1 == detail, "detail changed")
        }
    }

    private static func checkHello(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var output = ByteBuffer()
        let hello = try decoder.hello(payload)
        encoder.hello(hello, into: &output)
        let again = mustDecode("hello") { () throws(FrameError) in try decoder.hello(output.payload) }
        precondition(again == hello, "hello changed")
    }

    private static func checkRequest(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var block = ByteBuffer()
        var blockAgain = ByteBuffer()
        var output = ByteBuffer()
        var request = Request()
        checkScanner(payload)
        try decoder.request(payload, into: &request, block: &block)
        let plain = PlainRequest(request, block.bytes)
        encoder.request(request, in: block.bytes, stream: 1, endsStream: false, into: &output)
        var again = Request()
        mustDecode(".request") { () throws(FrameError) in
            try decoder.request(output.payload, into: &again, block: &blockAgain)
        }
        // Lists over a limit are cut.
        if request.invalid != nil { return }
        precondition(PlainRequest(again, blockAgain.bytes) == plain, "request changed")
        precondition(again.invalid == nil, "request refused")
    }

    /// A request that is read in place, and any other, is what protobuf-c's reader says.
    private static func checkScanner(_ payload: Span<UInt8>) {
        // Room enough: a request that is read in place takes none, whatever protobuf-c would take.
        var decoder = MessageDecoder(messageBytesMax: 1 << 24)
        var block = ByteBuffer()
        let usual = verdict { (request) throws(FrameError) in
            try decoder.request(payload, into: &request, block: &block)
            return PlainRequest(request, block.bytes)
        }
        let unpacked = verdict { (request) throws(FrameError) in
            try decoder.unpackRequest(payload, into: &request, block: &block)
            return PlainRequest(request, block.bytes)
        }
        precondition(usual == unpacked, "\(usual) is not \(unpacked)")
    }

    private static func verdict(
        _ read: (inout Request) throws(FrameError) -> PlainRequest
    ) -> Result<PlainRequest, FrameError> {
        var request = Request()
        do throws(FrameError) {
            return .success(try read(&request))
        } catch {
            return .failure(error)
        }
    }

    private static func checkBody(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var block = ByteBuffer()
        var blockAgain = ByteBuffer()
        var output = ByteBuffer()
        let data =
            switch try decoder.body(payload, block: &block) {
            case .payload(let range): payload.extracting(range).array
            case .block(let slice): block.bytes.extracting(slice).array
            }
        encoder.body(data.span, stream: 1, endsStream: false, payloadBytesMax: 4096, into: &output)
        var again: [UInt8] = []
        var rest = output.bytes.array[...]
        while !rest.isEmpty {
            guard let header = try FrameHeader.decode(rest.span, payloadBytesMax: 4096) else { break }
            let frame = Array(rest.dropFirst(FrameHeader.byteCount).prefix(header.payloadBytes))
            switch try decoder.body(frame.span, block: &blockAgain) {
            case .payload(let range): again += frame[range]
            case .block: preconditionFailure("a body of ours in an odd shape")
            }
            rest = rest.dropFirst(FrameHeader.byteCount + header.payloadBytes)
        }
        precondition(again == data, "body changed")
    }

    private static func checkTrailers(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var block = ByteBuffer()
        var blockAgain = ByteBuffer()
        var output = ByteBuffer()
        var fields: [FieldSlice] = []
        try decoder.trailers(payload, into: &fields, block: &block)
        encoder.trailers(fields, in: block.bytes, stream: 1, endsStream: true, into: &output)
        var again: [FieldSlice] = []
        mustDecode("trailers") { () throws(FrameError) in
            try decoder.trailers(output.payload, into: &again, block: &blockAgain)
        }
        precondition(blockAgain.bytes.fields(again) == block.bytes.fields(fields), "trailers changed")
    }

    private static func checkPing(_ payload: Span<UInt8>, isReply: Bool) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var block = ByteBuffer()
        var blockAgain = ByteBuffer()
        var output = ByteBuffer()
        let data = try decoder.ping(payload, block: &block)
        encoder.ping(block.bytes.extracting(data), isReply: isReply, into: &output)
        let again = mustDecode("ping") { () throws(FrameError) in
            try decoder.ping(output.payload, block: &blockAgain)
        }
        precondition(
            blockAgain.bytes.extracting(again).array == block.bytes.extracting(data).array,
            "ping changed"
        )
    }

    private static func checkReply(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var block = ByteBuffer()
        var blockAgain = ByteBuffer()
        var output = ByteBuffer()
        var head = ReplyHead()
        var facts = ConnectionFacts()
        try decoder.reply(payload, into: &head, facts: &facts, block: &block)
        encoder.reply(head, in: block.bytes, facts: facts, stream: 1, into: &output)
        var headAgain = ReplyHead()
        var factsAgain = ConnectionFacts()
        mustDecode("reply") { () throws(FrameError) in
            try decoder.reply(output.payload, into: &headAgain, facts: &factsAgain, block: &blockAgain)
        }
        precondition(
            PlainReply(headAgain, blockAgain.bytes) == PlainReply(head, block.bytes),
            "reply changed"
        )
        precondition(factsAgain == facts, "facts changed")
    }

    private static func checkEnd(_ payload: Span<UInt8>) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var encoder = MessageEncoder(fieldCountMax: 8)
        var output = ByteBuffer()
        let (report, attempts) = try decoder.end(payload)
        encoder.end(report, attempts: attempts, stream: 1, into: &output)
        precondition(output.payload.count <= 1024, "end over the smallest limit")
        var (again, attemptsAgain) = mustDecode("end") { () throws(FrameError) in
            try decoder.end(output.payload)
        }
        if report.detail.utf8.count > 256 { again.detail = report.detail }
        precondition(again == report, "end changed")
        attemptsAgain += attempts.dropFirst(MessageEncoder.attemptsMax)
        precondition(attemptsAgain == attempts, "attempts changed")
    }

    /// What an encoder said has to be read.
    private static func mustDecode<Message>(
        _ what: String,
        _ body: () throws(FrameError) -> Message
    ) -> Message {
        do throws(FrameError) {
            return try body()
        } catch {
            preconditionFailure("\(what) of ours is refused: \(error)")
        }
    }
}
