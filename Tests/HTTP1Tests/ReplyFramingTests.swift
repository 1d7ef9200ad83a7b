// ReplyFramingTests.swift: what delimits a body. Source: RFC 9112 §6; RFC 9110 §6.4.1, §8.6.
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
        ReplyRow("§6.2: 2 to the 64", reply("Content-Length: 18446744073709551616"), fails: .contentLength),
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
}
