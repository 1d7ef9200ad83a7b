// ReplyChunkTests.swift: chunked bodies in the strict reading, trailers, and bytes taken in place.
// Source: RFC 9112 §7.1.
import HTTP1
import Model
import Testing

private let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

private func good(_ rule: String, _ body: String, _ data: String) -> ReplyRow {
    ReplyRow(rule, head + body, "200 chunked | " + (data.isEmpty ? "" : data + " | ") + "complete reuse")
}

private func bad(_ rule: String, _ body: String, _ error: ReplyError, after data: String = "") -> ReplyRow {
    ReplyRow(rule, head + body, fails: error, after: "200 chunked" + (data.isEmpty ? "" : " | " + data))
}

@Suite struct ReplyChunkTests {
    static let sizes = [
        good("§7.1: one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1: three chunks", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef"),
        good("§7.1: no data", "0\r\n\r\n", ""),
        good("§7.1: several zeros are the last chunk", "000\r\n\r\n", ""),
        good(
            "§7.1: small and capital digits",
            "a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n",
            "0123456789abcdefghij"
        ),
        good("§7.1: leading zeros", "0000000000000000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1: data that looks like framing", "7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n", "0\r\n\r\n0\r"),
        bad("§7.1: no size", "\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: no size but an extension", ";a\r\n\r\n", .chunkSize),
        bad("§7.1: a plus", "+5\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: a minus", "-5\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: 0x", "0x5\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: an underscore", "1_0\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: no hexadecimal digit", "g\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: a blank before", " 5\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: a blank behind", "5 \r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: a tab behind", "5\t\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: two numbers", "5 5\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: NUL", "5\0\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: a full-width digit", "５\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: 2^63", "8000000000000000\r\n", .chunkSize),
        bad("§7.1: 2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n", .chunkSize),
        ReplyRow("§7.1: the largest that fits", head + "7fffffffffffffff\r\nx", "200 chunked | x | eof cut"),
        bad("§2.2: bare LF behind the size", "5\nhello\r\n0\r\n\r\n", .lineEnding),
        bad("§2.2: CR alone behind the size", "5\rhello\r\n0\r\n\r\n", .chunkSize),
        bad("§2.2: two CRs behind the size", "5\r\r\nhello\r\n0\r\n\r\n", .chunkSize),
        bad("§7.1: data longer than its size", "4\r\nhello\r\n0\r\n\r\n", .chunkEnd, after: "hell"),
        bad("§7.1: data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", .chunkEnd, after: "hello\r"),
        bad("§7.1: LF alone behind the data", "5\r\nhello\n0\r\n\r\n", .chunkEnd, after: "hello"),
        bad("§7.1: CR alone behind the data", "5\r\nhello\r0\r\n\r\n", .chunkEnd, after: "hello"),
        bad("§7.1: a wrong byte behind the data at once", "5\r\nhello!", .chunkEnd, after: "hello"),
        ReplyRow("§8: no chunk", head, "200 chunked | eof cut"),
        ReplyRow("§8: cut in a size", head + "5", "200 chunked | eof cut"),
        ReplyRow("§8: cut behind a size", head + "5\r\n", "200 chunked | eof cut"),
        ReplyRow("§8: cut in data", head + "5\r\nhel", "200 chunked | hel | eof cut"),
        ReplyRow("§8: cut behind data", head + "5\r\nhello", "200 chunked | hello | eof cut"),
        ReplyRow("§8: cut behind a chunk", head + "5\r\nhello\r\n", "200 chunked | hello | eof cut"),
        ReplyRow(
            "§8: cut behind the last chunk",
            head + "5\r\nhello\r\n0\r\n",
            "200 chunked | hello | eof cut"
        ),
    ]

    @Test(arguments: sizes) func `a chunk follows RFC 9112 §7.1`(_ row: ReplyRow) { row.check() }

    static let extensions = [
        good("§7.1.1: a name", "5;a\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1.1: a name and a token", "5;a=b\r\nhello\r\n0;c=d\r\n\r\n", "hello"),
        good("§7.1.1: several", "5;a;b=c;d\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1.1: blanks around the parts", "5 ; a = b ; c\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1.1: a quoted string", "5;a=\"b;c=\\\"d\\\\ \t\"\r\nhello\r\n0\r\n\r\n", "hello"),
        good("§7.1.1: an empty quoted string", "5;a=\"\"\r\nhello\r\n0\r\n\r\n", "hello"),
        bad("§7.1.1: no name", "5;\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: no name between", "5;a;;b\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: no value", "5;a=\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: a blank at the end", "5;a \r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: two names", "5;a b\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: a string without end", "5;a=\"b\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: a string that ends in a backslash", "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: more behind a string", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: NUL in a string", "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§7.1.1: CR in a string", "5;a=\"\r\"\r\nhello\r\n0\r\n\r\n", .chunkExtension),
        bad("§2.2: bare LF behind an extension", "5;a\nhello\r\n0\r\n\r\n", .lineEnding),
        bad("§2.2: bare LF in a string", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", .lineEnding),
        good("a line of just so many bytes", "5;abc\r\nhello\r\n0\r\n\r\n", "hello").with {
            $0.chunkLineBytesMax = 7
        },
        bad("a line of one byte more", "5;abcd\r\nhello\r\n0\r\n\r\n", .chunkLineTooLong(limitBytes: 7))
            .with { $0.chunkLineBytesMax = 7 },
        bad("a line without end", "5;abcdefghijk", .chunkLineTooLong(limitBytes: 7)).with {
            $0.chunkLineBytesMax = 7
        },
        bad(
            "a line without end behind data",
            "1\r\na\r\n5;abcdefghijk",
            .chunkLineTooLong(limitBytes: 7),
            after: "a"
        )
        .with { $0.chunkLineBytesMax = 7 },
    ]

    @Test(arguments: extensions) func `a chunk extension follows RFC 9112 §7.1.1`(_ row: ReplyRow) {
        row.check()
    }

    static let trailers = [
        ReplyRow(
            "§7.1.2: two",
            head + "0\r\nA: b\r\nC: d\r\n\r\n",
            "200 chunked | trailers | complete reuse"
        ),
        ReplyRow(
            "§7.1.2: behind data",
            head + "1;x\r\na\r\n0;y\r\nA: b\r\n\r\n",
            "200 chunked | a | trailers | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §6.5.1: framing in them means nothing",
            head + "0\r\nConnection: close\r\nContent-Length: x\r\n\r\n",
            "200 chunked | trailers | complete reuse"
        ),
        ReplyRow("§7.1.2: cut", head + "0\r\nA: b\r\n", "200 chunked | eof cut"),
        bad("§7.1.2: folded", "0\r\nA: b\r\n c\r\n\r\n", .foldedField(line: 2)),
        bad("§7.1.2: no colon", "0\r\nhello\r\n\r\n", .fieldName(line: 1)),
        bad(
            "§7.1.2: a reply behind the last chunk without the empty line",
            "0\r\nHTTP/1.1 200 OK\r\n\r\n",
            .fieldName(line: 1)
        ),
        bad("§2.2: bare LF", "0\r\nA: b\n\r\n", .lineEnding),
        bad("§2.2: bare LF as empty line", "0\r\n\n", .lineEnding),
        bad("§5.5: NUL", "0\r\nA: \0\r\n\r\n", .fieldValue(line: 1)),
        ReplyRow(
            "just so many",
            head + "0\r\nA: b\r\nC: d\r\n\r\n",
            "200 chunked | trailers | complete reuse"
        ).with { $0.fieldCountMax = 2 },
        bad("one more", "0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", .tooManyFields(limit: 2)).with {
            $0.fieldCountMax = 2
        },
        ReplyRow(
            "just so many bytes",
            head + "0\r\nA: " + String(repeating: "b", count: 53) + "\r\n\r\n",
            "200 chunked | trailers | complete reuse"
        ).with { $0.replyHeadBytesMax = 60 },
        bad(
            "one byte more",
            "0\r\nA: " + String(repeating: "b", count: 54) + "\r\n\r\n",
            .headTooLong(limitBytes: 60)
        ).with { $0.replyHeadBytesMax = 60 },
    ]

    @Test(arguments: trailers) func `a trailer section is whole with its empty line`(_ row: ReplyRow) {
        row.check()
    }

    static let overheads = [
        good(
            "plain chunks of one byte",
            String(repeating: "1\r\na\r\n", count: 40_000) + "0\r\n\r\n",
            String(repeating: "a", count: 40_000)
        ),
        bad(
            "extensions without data",
            String(repeating: "1;" + String(repeating: "x", count: 60) + "\r\na\r\n", count: 10),
            .chunkOverhead(limitBytes: 200),
            after: "aaaa"
        )
        .with { $0.chunkOverheadBytesMax = 200 },
        good(
            "extensions with data",
            String(
                repeating: "64;" + String(repeating: "x", count: 60) + "\r\n"
                    + String(repeating: "a", count: 100) + "\r\n",
                count: 10
            ) + "0\r\n\r\n",
            String(repeating: "a", count: 1000)
        )
        .with { $0.chunkOverheadBytesMax = 100 },
        bad(
            "on the last chunk",
            "0;" + String(repeating: "x", count: 300) + "\r\n\r\n",
            .chunkOverhead(limitBytes: 200)
        )
        .with { $0.chunkOverheadBytesMax = 200 },
    ]

    @Test func `chunk framing is paid for by data`() {
        for row in Self.overheads {
            for cuts in [[], Array(stride(from: 7, to: row.input.count, by: 7_919))] {
                #expect(row.play(row.input, cuts: cuts).transcript == row.expected, "\(row.rule)")
            }
        }
        for row in Self.overheads.dropFirst() { row.check() }
    }

    @Test func `trailers come back as bytes and in order`() {
        let row = ReplyRow("", head + "1\r\na\r\n0\r\nA: b\r\na:c\r\n\r\n", "")
        for cuts in row.cuttings {
            var decoder = ReplyDecoder(limits: Limits())
            decoder.begin(ReplyContext())
            var player = Player(showsFields: true)
            let transcript = player.play(row.input, cuts: cuts, &decoder)
            #expect(transcript.contains("| trailers "))
            #expect(transcript.hasSuffix("[A=b,a=c] | complete reuse"))
        }
    }

    @Test func `opaque bytes are told and counted`() throws {
        var decoder = ReplyDecoder(limits: Limits())
        var fields = ReplyHead()
        #expect(decoder.opaqueBytes == 0)
        decoder.begin(ReplyContext())
        #expect(decoder.opaqueBytes == 0 && !decoder.hasBegun)
        let start = Array((head + "a\r\n012").utf8)
        _ = try decoder.decode(start.span, head: &fields)
        #expect(decoder.opaqueBytes == 0 && decoder.hasBegun)
        let step = try decoder.decode(start.span.extracting(droppingFirst: head.utf8.count), head: &fields)
        #expect(step == ReplyStep(event: .body(3..<6), consumed: 6))
        #expect(decoder.opaqueBytes == 7)
        decoder.consumedOpaque(6)
        #expect(decoder.opaqueBytes == 1)
        decoder.consumedOpaque(1)
        #expect(decoder.opaqueBytes == 0)
        #expect(try decoder.decode(Span(), head: &fields).event == .needMore)
        let end = Array("\r\n0\r\n\r\n".utf8)
        #expect(try decoder.decode(end.span, head: &fields) == ReplyStep(event: .complete, consumed: 7))
    }

    @Test func `a length that was taken in place is complete at once`() throws {
        var decoder = ReplyDecoder(limits: Limits())
        var fields = ReplyHead()
        decoder.begin(ReplyContext())
        let start = Array("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".utf8)
        _ = try decoder.decode(start.span, head: &fields)
        #expect(decoder.opaqueBytes == 3)
        decoder.consumedOpaque(3)
        #expect(try decoder.decode(Span(), head: &fields) == ReplyStep(event: .complete, consumed: 0))
    }

    @Test func `until the end everything is opaque`() throws {
        var decoder = ReplyDecoder(limits: Limits())
        var fields = ReplyHead()
        decoder.begin(ReplyContext())
        let start = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        _ = try decoder.decode(start.span, head: &fields)
        #expect(decoder.opaqueBytes == .max)
        decoder.consumedOpaque(1_000_000)
        #expect(decoder.opaqueBytes == .max)
        let isWhole = decoder.endOfFile()
        #expect(isWhole && !decoder.persists)
        let isWholeAgain = decoder.endOfFile()
        #expect(!isWholeAgain)
    }

    static let errors: [ReplyError] = [
        .notHTTP1, .statusLine, .lineEnding, .fieldName(line: 7), .fieldValue(line: 7), .foldedField(line: 7),
        .headTooLong(limitBytes: 7), .tooManyFields(limit: 7), .contentLength, .contentLengthsDiffer,
        .transferEncoding, .unexpectedUpgrade, .tooManyInterimReplies(limit: 7), .chunkSize, .chunkExtension,
        .chunkLineTooLong(limitBytes: 7), .chunkOverhead(limitBytes: 7), .chunkEnd,
    ]

    @Test func `every error says something of its own, with its number`() {
        #expect(Set(Self.errors.map(\.detail)).count == Self.errors.count)
        for error in Self.errors where "\(error)".contains("(") {
            #expect(error.detail.contains("7"), "\(error)")
        }
    }
}
