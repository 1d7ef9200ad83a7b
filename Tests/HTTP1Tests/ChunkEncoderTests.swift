// ChunkEncoderTests.swift: chunks and trailers of a request, and encoder against decoder.
// Source: RFC 9112 §7.1; RFC 9110 §6.5.1.
import HTTP1
import Model
import Testing

@Suite struct ChunkEncoderTests {
    static let sizes = [
        (1, "1"), (9, "9"), (10, "a"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000"), (65_537, "10001"),
    ]

    @Test(arguments: sizes) func `a chunk is its size in hexadecimal and its data`(
        _ count: Int,
        _ size: String
    ) {
        let data = [UInt8](repeating: 0x61, count: count)
        var output = ByteBuffer()
        RequestEncoder.appendChunk(data.span, into: &output)
        #expect(output.text == size + "\r\n" + String(repeating: "a", count: count) + "\r\n")
    }

    @Test func `an empty chunk would be the last and is not written`() {
        var output = ByteBuffer()
        RequestEncoder.appendChunk(Span(), into: &output)
        #expect(output.text == "")
    }

    /// The output, or the refusal, with bytes before it that must stay.
    private func trailers(
        _ fields: [(String, String)],
        limits: Limits = Limits()
    ) -> Result<String, RequestError> {
        let (request, block) = RequestRow("", "") { $0.fields = fields.map { (name: $0.0, value: $0.1) } }
            .request()
        var output = ByteBuffer()
        output.append("before")
        do {
            try RequestEncoder.appendLastChunk(
                trailers: request.fields,
                in: block.span,
                limits: limits,
                into: &output
            )
            return .success(output.text)
        } catch {
            #expect(output.text == "before", "bytes of refused trailers")
            return .failure(error)
        }
    }

    @Test func `the last chunk has its trailers and an empty line`() {
        #expect(trailers([]) == .success("before0\r\n\r\n"))
        #expect(
            trailers([("A", "b"), ("X-Sum", " c ")]) == .success("before0\r\nA: b\r\nX-Sum:  c \r\n\r\n")
        )
    }

    static let forbidden = [
        "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Proxy-Authorization", "Cookie",
        "Set-Cookie",
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "Expect", "Max-Forwards",
        "Cache-Control", "Pragma", "Range", "If-Match", "If-None-Match", "If-Modified-Since",
        "If-Unmodified-Since",
        "If-Range", "Content-Encoding", "Content-Type", "Content-Range", "WWW-Authenticate",
        "Proxy-Authenticate",
    ]

    @Test(arguments: forbidden) func `a trailer cannot frame, route, authenticate or modify`(_ name: String) {
        #expect(trailers([("A", "b"), (name, "x")]) == .failure(.trailerForbidden(line: 2)))
        #expect(trailers([(name.lowercased(), "x")]) == .failure(.trailerForbidden(line: 1)))
        #expect(trailers([(name + "s", "x")]) == .success("before0\r\n\(name)s: x\r\n\r\n"))
    }

    @Test func `a trailer is a field line within limits`() {
        #expect(trailers([("A b", "x")]) == .failure(.fieldName(line: 1)))
        #expect(trailers([("", "x")]) == .failure(.fieldName(line: 1)))
        #expect(trailers([("A", "x"), ("B", "y\r\nC: d")]) == .failure(.fieldValue(line: 2)))
        #expect(trailers([("A", "x\0")]) == .failure(.fieldValue(line: 1)))
        var limits = Limits()
        limits.fieldCountMax = 1
        #expect(trailers([("A", "x")], limits: limits) == .success("before0\r\nA: x\r\n\r\n"))
        #expect(trailers([("A", "x"), ("B", "y")], limits: limits) == .failure(.tooManyFields(limit: 1)))
        limits.requestHeadBytesMax = 10
        #expect(trailers([("A", "x")], limits: limits) == .failure(.headTooLong(limitBytes: 10)))
    }

    @Test(arguments: 0..<64) func `what is written in chunks is read from chunks`(seed: UInt64) throws {
        var random = Seeded(seed)
        var output = ByteBuffer()
        var data: [UInt8] = []
        output.append("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let count = Int.random(in: 0...40, using: &random)
            // Bytes that look like framing.
            let piece = (0..<count).map { _ in Array("0\r\n;1a".utf8).randomElement(using: &random) ?? 0 }
            RequestEncoder.appendChunk(piece.span, into: &output)
            data += piece
        }
        try RequestEncoder.appendLastChunk(trailers: [], in: Span(), limits: Limits(), into: &output)
        let middle = data.isEmpty ? "" : String(decoding: data, as: UTF8.self) + " | "
        ReplyRow("seed \(seed)", output.text, "200 chunked | \(middle)complete reuse").check()
    }

    static let errors: [RequestError] = [
        .method, .methodTooLong(limitBytes: 7), .connectTarget, .connectField(line: 7), .target,
        .asteriskTarget, .authority,
        .authorityTooLong(limitBytes: 7), .authorityMissing, .fieldName(line: 7), .fieldValue(line: 7),
        .tooManyFields(limit: 7), .tooManyConnectionOptions(limit: 7), .headTooLong(limitBytes: 7),
        .hostRepeated,
        .hostContradiction, .contentLengthContradiction, .transferEncodingContradiction, .upgrade,
        .upgradeTooLong(limitBytes: 7), .upgradeWithBody, .trailerForbidden(line: 7),
    ]

    @Test func `every refusal says something of its own, with its number`() {
        #expect(Set(Self.errors.map(\.detail)).count == Self.errors.count)
        for error in Self.errors where "\(error)".contains("(") {
            #expect(error.detail.contains("7"), "\(error)")
        }
    }
}
