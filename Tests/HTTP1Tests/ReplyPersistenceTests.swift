// ReplyPersistenceTests.swift: interim replies, upgrades, and whether the connection may be used again.
// Source: RFC 9110 §7.8, §15.2; RFC 9112 §9.3.
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

@Suite struct ReplyPersistenceTests {
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
