// ReplyFramingTests.swift: what delimits a body, and whether the connection may be used again.
// Source: RFC 9112 §6, §9.3; RFC 9110 §6.4.1, §15.
import HTTP1
import Model
import Testing

private func reply(
    _ fields: String,
    _ body: String = "",
    status: String = "200 OK",
    version: String = "1.1"
) -> String {
    "HTTP/\(version) \(status)\r\n\(fields)\(fields.isEmpty ? "" : "\r\n")\r\n\(body)"
}
private let chunks = "5\r\nhello\r\n0\r\n\r\n"

@Suite struct ReplyFramingTests {
    static let lengths = [
        ReplyRow(
            "§6.2: by length",
            reply("Content-Length: 5", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow("§6.2: nothing", reply("Content-Length: 0"), "200 length 0 | complete reuse"),
        ReplyRow(
            "§5: in any case",
            reply("CONTENT-length: 5", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow(
            "§6.2: leading zeros",
            reply("Content-Length: 0005", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 5: a list of equal ones",
            reply("Content-Length: 5, 5", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 5: a list without blanks",
            reply("Content-Length: 5,5,5", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 5: two equal fields",
            reply("Content-Length: 5\r\nContent-Length: 5", "hello"),
            "200 length 5 | hello | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 5: a list that differs",
            reply("Content-Length: 5, 6", "hello"),
            fails: .contentLengthsDiffer
        ),
        ReplyRow(
            "§6.3 item 5: two fields that differ",
            reply("Content-Length: 5\r\nContent-Length: 6", "hello"),
            fails: .contentLengthsDiffer
        ),
        ReplyRow(
            "§6.3 item 5: 5 and none",
            reply("Content-Length: 5\r\nContent-Length:", "hello"),
            fails: .contentLength
        ),
        ReplyRow("§6.2: empty", reply("Content-Length:", "hello"), fails: .contentLength),
        ReplyRow("§6.2: a plus", reply("Content-Length: +5", "hello"), fails: .contentLength),
        ReplyRow("§6.2: a minus", reply("Content-Length: -5", "hello"), fails: .contentLength),
        ReplyRow("§6.2: hexadecimal", reply("Content-Length: 0x5", "hello"), fails: .contentLength),
        ReplyRow("§6.2: an underscore", reply("Content-Length: 1_0", "hello"), fails: .contentLength),
        ReplyRow("§6.2: a blank within", reply("Content-Length: 1 0", "hello"), fails: .contentLength),
        ReplyRow("§6.2: a fraction", reply("Content-Length: 5.0", "hello"), fails: .contentLength),
        ReplyRow("§6.2: an empty element", reply("Content-Length: 5,", "hello"), fails: .contentLength),
        ReplyRow("§6.2: an empty element first", reply("Content-Length: ,5", "hello"), fails: .contentLength),
        ReplyRow(
            "§6.2: digits of another script",
            reply("Content-Length: ٥", "hello"),
            fails: .contentLength
        ),
        ReplyRow(
            "§6.2: the largest that fits",
            reply("Content-Length: 9223372036854775807", "x"),
            "200 length 9223372036854775807 | x | eof cut"
        ),
        ReplyRow("§6.2: one more", reply("Content-Length: 9223372036854775808"), fails: .contentLength),
        ReplyRow(
            "§6.2: past 64 bits",
            reply("Content-Length: 18446744073709551621", "hello"),
            fails: .contentLength
        ),
        ReplyRow("§8: cut short", reply("Content-Length: 5", "hell"), "200 length 5 | hell | eof cut"),
        ReplyRow("§8: cut short before the first byte", reply("Content-Length: 5"), "200 length 5 | eof cut"),
        ReplyRow("§6.3 item 8: neither", reply("", "hello"), "200 untilEOF | hello | eof whole"),
        ReplyRow("§6.3 item 8: neither, and nothing", reply(""), "200 untilEOF | eof whole"),
        ReplyRow(
            "§6.3 item 8: keep-alive does not help",
            reply("Connection: keep-alive", "hello"),
            "200 untilEOF | hello | eof whole"
        ),
    ]

    @Test(arguments: lengths) func `a body by length follows RFC 9112 §6.3`(_ row: ReplyRow) { row.check() }

    static let codings = [
        ReplyRow(
            "§6.1: chunked",
            reply("Transfer-Encoding: chunked", chunks),
            "200 chunked | hello | complete reuse"
        ),
        ReplyRow(
            "§7: in any case",
            reply("transfer-encoding: Chunked", chunks),
            "200 chunked | hello | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 3: with a length, read by coding and closed",
            reply("Content-Length: 3\r\nTransfer-Encoding: chunked", chunks),
            "200 chunked | hello | complete close"
        ),
        ReplyRow(
            "§6.3 item 3: in the other order",
            reply("Transfer-Encoding: chunked\r\nContent-Length: 3", chunks),
            "200 chunked | hello | complete close"
        ),
        ReplyRow(
            "§6.3 item 3: with an equal length",
            reply("Transfer-Encoding: chunked\r\nContent-Length: 5", chunks),
            "200 chunked | hello | complete close"
        ),
        ReplyRow(
            "§6.3 item 3: with a wrong length",
            reply("Transfer-Encoding: chunked\r\nContent-Length: x", chunks),
            fails: .contentLength
        ),
        ReplyRow(
            "§6.3 item 3: with lengths that differ",
            reply("Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 4", chunks),
            fails: .contentLengthsDiffer
        ),
        ReplyRow(
            "§6.1: from HTTP/1.0, read by coding and closed",
            reply("Transfer-Encoding: chunked\r\nConnection: keep-alive", chunks, version: "1.0"),
            "200 chunked | hello | complete close"
        ),
        ReplyRow(
            "§6.1: gzip and chunked",
            reply("Transfer-Encoding: gzip, chunked", chunks),
            fails: .transferEncoding
        ),
        ReplyRow("§6.1: gzip alone", reply("Transfer-Encoding: gzip", "x"), fails: .transferEncoding),
        ReplyRow(
            "§6.1: identity",
            reply("Transfer-Encoding: identity\r\nContent-Length: 5", "hello"),
            fails: .transferEncoding
        ),
        ReplyRow(
            "§6.1: chunked twice",
            reply("Transfer-Encoding: chunked, chunked", chunks),
            fails: .transferEncoding
        ),
        ReplyRow(
            "§6.1: chunked in two fields",
            reply("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunks),
            fails: .transferEncoding
        ),
        ReplyRow(
            "§6.1: gzip in a field before",
            reply("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", chunks),
            fails: .transferEncoding
        ),
        ReplyRow(
            "§6.1: chunked is not last",
            reply("Transfer-Encoding: chunked, gzip", chunks),
            fails: .transferEncoding
        ),
        ReplyRow(
            "§7: a parameter",
            reply("Transfer-Encoding: chunked;q=1", chunks),
            fails: .transferEncoding
        ),
        ReplyRow("§6.1: empty", reply("Transfer-Encoding:", chunks), fails: .transferEncoding),
        ReplyRow(
            "§6.1: an empty element",
            reply("Transfer-Encoding: chunked,", chunks),
            fails: .transferEncoding
        ),
        ReplyRow("§6.1: quoted", reply("Transfer-Encoding: \"chunked\"", chunks), fails: .transferEncoding),
        ReplyRow("§6.1: longer", reply("Transfer-Encoding: xchunked", chunks), fails: .transferEncoding),
    ]

    @Test(arguments: codings) func `a transfer coding follows RFC 9112 §6.1`(_ row: ReplyRow) { row.check() }

    static let bodiless = [
        ReplyRow("§6.3 item 1: HEAD with a length", reply("Content-Length: 5"), "200 none | complete reuse")
            .head,
        ReplyRow(
            "§6.3 item 1: HEAD, chunked",
            reply("Transfer-Encoding: chunked"),
            "200 none | complete reuse"
        ).head,
        ReplyRow("§6.3 item 1: HEAD with neither", reply(""), "200 none | complete reuse").head,
        ReplyRow("§6.3 item 1: HEAD, close", reply("Connection: close"), "200 none | complete close").head,
        ReplyRow(
            "§6.3 item 3: HEAD with both",
            reply("Transfer-Encoding: chunked\r\nContent-Length: 5"),
            "200 none | complete close"
        ).head,
        ReplyRow(
            "§6.3 item 5: HEAD with lengths that differ",
            reply("Content-Length: 5, 6"),
            "200 none | complete close"
        ).head,
        ReplyRow(
            "§6.3 item 5: HEAD with a wrong length",
            reply("Content-Length: x"),
            "200 none | complete close"
        ).head,
        ReplyRow(
            "§6.1: HEAD with an unknown coding",
            reply("Transfer-Encoding: gzip"),
            "200 none | complete close"
        ).head,
        ReplyRow(
            "§6.3 item 1: HEAD, refused",
            reply("Content-Length: 9", status: "404 Not Found"),
            "404 none | complete reuse"
        ).head,
        ReplyRow("§6.3 item 1: 204", reply("", status: "204 No Content"), "204 none | complete reuse"),
        ReplyRow(
            "§6.3 item 1: 204 with a length of 0",
            reply("Content-Length: 0", status: "204 No Content"),
            "204 none | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §8.6: 204 with a length",
            reply("Content-Length: 5", status: "204 No Content"),
            "204 none | complete close"
        ),
        ReplyRow(
            "§6.1: 204, chunked",
            reply("Transfer-Encoding: chunked", status: "204 No Content"),
            "204 none | complete close"
        ),
        ReplyRow("§6.3 item 1: 304", reply("", status: "304 Not Modified"), "304 none | complete reuse"),
        ReplyRow(
            "§6.3 item 1: 304 with a length",
            reply("Content-Length: 5", status: "304 Not Modified"),
            "304 none | complete reuse"
        ),
        ReplyRow(
            "§6.3 item 1: 304, chunked",
            reply("Transfer-Encoding: chunked", status: "304 Not Modified"),
            "304 none | complete reuse"
        ),
        ReplyRow(
            "§6.3: 205 is as any other",
            reply("Content-Length: 5", "hello", status: "205 Reset Content"),
            "205 length 5 | hello | complete reuse"
        ),
    ]

    @Test(arguments: bodiless) func `a reply without body has none whatever its fields say`(_ row: ReplyRow) {
        row.check()
    }

    static let interim = [
        ReplyRow(
            "RFC 9110 §15.2: 100",
            reply("", reply("Content-Length: 0"), status: "100 Continue"),
            "100 | 200 length 0 | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §15.2: 103 and 102",
            reply(
                "Link: </a>",
                reply("", reply("Content-Length: 0"), status: "102 Processing"),
                status: "103 Early Hints"
            ),
            "103 | 102 | 200 length 0 | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §15.2: unknown",
            reply("", reply("Content-Length: 0"), status: "199 ?"),
            "199 | 200 length 0 | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §15.2: close in it means nothing",
            reply("Connection: close", reply("Content-Length: 0"), status: "103 Early Hints"),
            "103 | 200 length 0 | complete reuse"
        ),
        ReplyRow(
            "RFC 9110 §8.6: with a length, closed",
            reply("Content-Length: 5", reply("Content-Length: 0"), status: "103 Early Hints"),
            "103 | 200 length 0 | complete close"
        ),
        ReplyRow(
            "§6.1: chunked, closed",
            reply("Transfer-Encoding: chunked", reply("Content-Length: 0"), status: "100 Continue"),
            "100 | 200 length 0 | complete close"
        ),
        ReplyRow(
            "RFC 9110 §15.2: HEAD",
            reply("", reply("Content-Length: 5"), status: "100 Continue"),
            "100 | 200 none | complete reuse"
        ).head,
        ReplyRow("RFC 9110 §15.2: no final one", reply("", status: "100 Continue"), "100 | eof cut"),
        ReplyRow(
            "RFC 9110 §15.2: a broken final one",
            reply("", "HTTP/1.1 xxx\r\n\r\n", status: "100 Continue"),
            fails: .statusLine,
            after: "100"
        ),
        ReplyRow(
            "just so many",
            String(repeating: reply("", status: "100 Continue"), count: 3) + reply("Content-Length: 0"),
            "100 | 100 | 100 | 200 length 0 | complete reuse"
        ).with { $0.interimRepliesMax = 3 },
        ReplyRow(
            "one more",
            String(repeating: reply("", status: "100 Continue"), count: 3) + reply("Content-Length: 0"),
            fails: .tooManyInterimReplies(limit: 2),
            after: "100 | 100"
        ).with { $0.interimRepliesMax = 2 },
    ]

    @Test(arguments: interim) func `interim replies come before the final one`(_ row: ReplyRow) {
        row.check()
    }

    static let upgrades = [
        ReplyRow(
            "RFC 9110 §7.8: 101 makes a tunnel",
            reply(
                "Upgrade: websocket\r\nConnection: Upgrade",
                "\u{1}\u{2}raw\r\n",
                status: "101 Switching Protocols"
            ),
            "101 tunnel | \u{1}\u{2}raw\r\n | eof whole"
        ).upgrade,
        ReplyRow(
            "RFC 9110 §7.8: framing fields mean nothing",
            reply(
                "Content-Length: 3\r\nTransfer-Encoding: chunked",
                "abcdef",
                status: "101 Switching Protocols"
            ),
            "101 tunnel | abcdef | eof whole"
        ).upgrade,
        ReplyRow(
            "RFC 9110 §7.8: 101 behind 100",
            reply("", reply("", "x", status: "101 Switching Protocols"), status: "100 Continue"),
            "100 | 101 tunnel | x | eof whole"
        ).upgrade,
        ReplyRow(
            "RFC 9110 §7.8: 200 instead is read by length",
            reply("Content-Length: 5", "hello"),
            "200 length 5 | hello | complete reuse"
        ).upgrade,
        ReplyRow(
            "RFC 9110 §7.8: 426 instead",
            reply("Content-Length: 0", status: "426 Upgrade Required"),
            "426 length 0 | complete reuse"
        ).upgrade,
        ReplyRow(
            "RFC 9110 §7.8: 101 unasked",
            reply("Upgrade: websocket", "x", status: "101 Switching Protocols"),
            fails: .unexpectedUpgrade
        ),
        ReplyRow(
            "RFC 9110 §7.8: 101 unasked behind 100",
            reply("", reply("", status: "101 Switching Protocols"), status: "100 Continue"),
            fails: .unexpectedUpgrade,
            after: "100"
        ),
    ]

    @Test(arguments: upgrades) func `only an upgrade that was asked for makes a tunnel`(_ row: ReplyRow) {
        row.check()
    }

    static let persistence = [
        ReplyRow("§9.3: 1.1", reply("Content-Length: 0"), "200 length 0 | complete reuse"),
        ReplyRow(
            "§9.3: 1.1, close",
            reply("Connection: close\r\nContent-Length: 0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: 1.1, Close behind the length",
            reply("Content-Length: 0\r\nconnection: CLOSE"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: 1.1, close in a list",
            reply("Connection: foo ,\tclose\r\nContent-Length: 0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: 1.1, close in a second field",
            reply("Connection: foo\r\nConnection: close\r\nContent-Length: 0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: close wins over keep-alive",
            reply("Connection: close, keep-alive\r\nContent-Length: 0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: closed is another word",
            reply("Connection: closed, xclose\r\nContent-Length: 0"),
            "200 length 0 | complete reuse"
        ),
        ReplyRow("§9.3: 1.0", reply("Content-Length: 0", version: "1.0"), "200 length 0 | complete close"),
        ReplyRow(
            "§9.3: 1.0, keep-alive",
            reply("Connection: Keep-Alive\r\nContent-Length: 0", version: "1.0"),
            "200 length 0 | complete reuse"
        ),
        ReplyRow(
            "§9.3: 1.0, keep-alive in a list",
            reply("Connection: foo, keep-alive\r\nContent-Length: 0", version: "1.0"),
            "200 length 0 | complete reuse"
        ),
        ReplyRow(
            "§9.3: 1.0, both",
            reply("Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0", version: "1.0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: 1.0, Proxy-Connection means nothing",
            reply("Proxy-Connection: keep-alive\r\nContent-Length: 0", version: "1.0"),
            "200 length 0 | complete close"
        ),
        ReplyRow(
            "§9.3: 1.0 without length",
            reply("Connection: keep-alive", "x", version: "1.0"),
            "200 untilEOF | x | eof whole"
        ),
        ReplyRow(
            "§9.3: close and chunked",
            reply("Connection: close\r\nTransfer-Encoding: chunked", chunks),
            "200 chunked | hello | complete close"
        ),
    ]

    @Test(arguments: persistence) func `a connection persists as RFC 9112 §9.3 says`(_ row: ReplyRow) {
        row.check()
    }

    static let keepAlive: [(String, Int?)] = [
        ("timeout=5", 5), ("timeout=5, max=100", 5), ("max=100, Timeout=7", 7), ("max=100", nil),
        ("timeout=", nil),
        ("timeout=x", nil), ("timeout=-1", nil), ("xtimeout=5", nil), ("timeout=9, timeout=4", 4), ("", nil),
        ("timeout=99999999999999999999", nil),
    ]

    @Test(arguments: keepAlive) func `Keep-Alive tells its timeout`(_ value: String, _ seconds: Int?) throws {
        var decoder = ReplyDecoder(limits: Limits())
        decoder.begin(ReplyContext())
        var head = ReplyHead()
        let bytes = Array(reply("Keep-Alive: \(value)\r\nContent-Length: 0").utf8)
        _ = try decoder.decode(bytes.span, head: &head)
        #expect(decoder.keepAliveSeconds == seconds)
        _ = try decoder.decode(Span(), head: &head)
        decoder.begin(ReplyContext())
        #expect(decoder.keepAliveSeconds == nil)
    }
}
