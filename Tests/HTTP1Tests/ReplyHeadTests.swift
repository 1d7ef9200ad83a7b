// ReplyHeadTests.swift: status lines, field lines and limits of heads. Source: RFC 9112 §2, §4, §5.
import HTTP1
import Model
import Testing

private let ok = "HTTP/1.1 200 OK\r\n"
private let empty = "Content-Length: 0\r\n\r\n"

@Suite struct ReplyHeadTests {
    static let statusLines = [
        ReplyRow("§4: a reason phrase", ok + empty, "200 length 0 | complete reuse"),
        ReplyRow("§4: an empty reason", "HTTP/1.1 200 \r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow("§4: no reason and no space", "HTTP/1.1 200\r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow(
            "§4: a reason with spaces, tab and obs-text",
            "HTTP/1.1 200 a  b\té\r\n" + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow(
            "§4: a reason that begins with a space",
            "HTTP/1.1 200  x\r\n" + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow("§4: an unknown status", "HTTP/1.1 999 ?\r\n" + empty, "999 length 0 | complete reuse"),
        ReplyRow(
            "§2.3: minor version 2 is read as 1",
            "HTTP/1.2 200 OK\r\n" + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow(
            "§2.3: minor version 9 is read as 1",
            "HTTP/1.9 200 OK\r\n" + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow("§2.3: version 2.0", "HTTP/2.0 200 OK\r\n" + empty, fails: .notHTTP1),
        ReplyRow("§2.3: version 1 alone", "HTTP/1 200 OK\r\n" + empty, fails: .notHTTP1),
        ReplyRow("§2.3: two digits of minor version", "HTTP/1.10 200 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§2.3: a letter as minor version", "HTTP/1.x 200 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§2.3: the name is case-sensitive", "http/1.1 200 OK\r\n" + empty, fails: .notHTTP1),
        ReplyRow("§2.2: an empty line before the status line", "\r\n" + ok + empty, fails: .notHTTP1),
        ReplyRow("§2.2: a blank before the status line", " " + ok + empty, fails: .notHTTP1),
        ReplyRow("another protocol without a line end", "SSH-2.0", fails: .notHTTP1),
        ReplyRow("another protocol that begins alike", "HTTP/3", fails: .notHTTP1),
        ReplyRow("a TLS alert", bytes: [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46], "error notHTTP1"),
        ReplyRow("§4: two spaces before the status", "HTTP/1.1  200 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: a tab before the status", "HTTP/1.1\t200 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: status of two digits", "HTTP/1.1 20 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: status of two digits and nothing else", "HTTP/1.1 20\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: status of four digits", "HTTP/1.1 2000 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: status 099", "HTTP/1.1 099 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: a sign in the status", "HTTP/1.1 +20 OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: letters in the status", "HTTP/1.1 2xx OK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: no status", "HTTP/1.1\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: a tab behind the status", "HTTP/1.1 200\tOK\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: NUL in the reason", "HTTP/1.1 200 O\0K\r\n" + empty, fails: .statusLine),
        ReplyRow("§4: DEL in the reason", "HTTP/1.1 200 O\u{7F}K\r\n" + empty, fails: .statusLine),
        ReplyRow("§2.2: CR in the reason", "HTTP/1.1 200 O\rK\r\n" + empty, fails: .statusLine),
        ReplyRow("§2.2: bare LF behind the status line", "HTTP/1.1 200 OK\n" + empty, fails: .lineEnding),
        ReplyRow("§2.2: bare LF behind the status", "HTTP/1.1 200\n" + empty, fails: .lineEnding),
        ReplyRow("§2.2: bare LF in a short status line", "HTTP/1.1 2\n" + empty, fails: .lineEnding),
        ReplyRow("§2.2: two CRs behind the status line", "HTTP/1.1 200 OK\r\r\n" + empty, fails: .statusLine),
        ReplyRow("HTTP/0.9 is not spoken", "<html>hello</html>", fails: .notHTTP1),
        ReplyRow("a status line that stops", "HTTP/1.1 200 O", "eof cut"),
        ReplyRow("a wrong status line that stops", "HTTP/1.1 x", "eof cut"),
        ReplyRow("no byte at all", "", "eof cut"),
    ]

    @Test(arguments: statusLines) func `a status line follows RFC 9112 §4`(_ row: ReplyRow) { row.check() }

    static let fieldLines = [
        ReplyRow("§5: no field", "HTTP/1.1 204 No Content\r\n\r\n", "204 none | complete reuse"),
        ReplyRow("§5: an empty value", ok + "A:\r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow("§5: a value of blanks", ok + "A: \t \r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow("§5: no blank behind the colon", ok + "A:b\r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow(
            "§5.6.2: every byte of a token",
            ok + "!#$%&'*+-.^_`|~09azAZ: b\r\n" + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow("§5.5: a tab within a value", ok + "A: b\tc\r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow("§5.5: obs-text in a value", ok + "A: é\r\n" + empty, "200 length 0 | complete reuse"),
        ReplyRow(
            "§5.1: a space before the colon",
            ok + "Content-Length : 5\r\n\r\n",
            fails: .fieldName(line: 1)
        ),
        ReplyRow("§5.1: a tab before the colon", ok + "A: b\r\nC\t: 5\r\n\r\n", fails: .fieldName(line: 2)),
        ReplyRow("§5.1: an empty name", ok + ": b\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: no colon", ok + "abc\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: a space in a name", ok + "a b: c\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: NUL in a name", ok + "a\0b: c\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: obs-text in a name", ok + "é: c\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: CR in a name", ok + "Content\rLength: 5\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.1: a bracket in a name", ok + "a(b): c\r\n\r\n", fails: .fieldName(line: 1)),
        ReplyRow("§5.2: a folded line", ok + "A: b\r\n c\r\n\r\n", fails: .foldedField(line: 2)),
        ReplyRow("§5.2: a line folded with a tab", ok + "A: b\r\n\tc\r\n\r\n", fails: .foldedField(line: 2)),
        ReplyRow("§2.2: a blank behind the status line", ok + " A: b\r\n\r\n", fails: .foldedField(line: 1)),
        ReplyRow("§5.5: NUL in a value", ok + "A: b\0c\r\n\r\n", fails: .fieldValue(line: 1)),
        ReplyRow("§5.5: ESC in a value", ok + "A: \u{1B}[m\r\n\r\n", fails: .fieldValue(line: 1)),
        ReplyRow("§5.5: DEL in a value", ok + "A: b\r\nC: \u{7F}\r\n\r\n", fails: .fieldValue(line: 2)),
        ReplyRow(
            "§5.5: DEL behind eight bytes",
            ok + "A: 123456789\u{7F}\r\n\r\n",
            fails: .fieldValue(line: 1)
        ),
        ReplyRow("§2.2: CR in a value", ok + "A: b\rc\r\n\r\n", fails: .lineEnding),
        ReplyRow("§2.2: CR at the end of a value", ok + "A: b\r\r\n\r\n", fails: .lineEnding),
        ReplyRow("§2.2: bare LF behind a value", ok + "A: b\n\r\n", fails: .lineEnding),
        ReplyRow("§2.2: bare LF behind a value, no more", ok + "A: b\n", fails: .lineEnding),
        ReplyRow("§2.2: bare LF as empty line", ok + "A: b\r\n\n", fails: .lineEnding),
        ReplyRow("§2.2: CR and no LF as empty line", ok + "A: b\r\n\rX\r\n\r\n", fails: .lineEnding),
        ReplyRow("a head that stops", ok + "A: b\r\n", "eof cut"),
        ReplyRow("a head that stops within its last line end", ok + "A: b\r\n\r", "eof cut"),
        ReplyRow("a wrong line that stops", ok + "A b", "eof cut"),
    ]

    @Test(arguments: fieldLines) func `a field line follows RFC 9112 §5`(_ row: ReplyRow) { row.check() }

    static let limits = [
        ReplyRow("a head of just so many bytes", ok + empty, "200 length 0 | complete reuse")
            .with { $0.replyHeadBytesMax = ok.utf8.count + empty.utf8.count },
        ReplyRow("one byte more", ok + empty, fails: .headTooLong(limitBytes: 37))
            .with { $0.replyHeadBytesMax = ok.utf8.count + empty.utf8.count - 1 },
        ReplyRow(
            "a status line without end",
            "HTTP/1.1 200 " + String(repeating: "a", count: 100),
            fails: .headTooLong(limitBytes: 64)
        )
        .with { $0.replyHeadBytesMax = 64 },
        ReplyRow(
            "a value without end",
            ok + "A: " + String(repeating: "a", count: 100),
            fails: .headTooLong(limitBytes: 64)
        )
        .with { $0.replyHeadBytesMax = 64 },
        ReplyRow(
            "the limit holds for each head alone",
            "HTTP/1.1 100 Continue\r\n\r\n" + ok + empty,
            "100 | 200 length 0 | complete reuse"
        )
        .with { $0.replyHeadBytesMax = 38 },
        ReplyRow("just so many fields", ok + "A: 1\r\nB: 2\r\n" + empty, "200 length 0 | complete reuse").with
        { $0.fieldCountMax = 3 },
        ReplyRow("one field more", ok + "A: 1\r\nB: 2\r\n" + empty, fails: .tooManyFields(limit: 2)).with {
            $0.fieldCountMax = 2
        },
        ReplyRow(
            "one field more, and the head stops",
            ok + "A: 1\r\nB: 2\r\n",
            fails: .tooManyFields(limit: 1)
        ).with { $0.fieldCountMax = 1 },
        ReplyRow(
            "256 fields by default",
            ok + String(repeating: "A: 1\r\n", count: 255) + empty,
            "200 length 0 | complete reuse"
        ),
        ReplyRow(
            "257 fields",
            ok + String(repeating: "A: 1\r\n", count: 256) + empty,
            fails: .tooManyFields(limit: 256)
        ),
    ]

    @Test(arguments: limits) func `a head has limits`(_ row: ReplyRow) { row.check() }

    @Test func `fields come back as bytes and in order, whatever they are`() {
        let text =
            "HTTP/1.0 404 Not  Found\r\nSet-Cookie: a=1\r\nset-cookie:\t b=2 \t\r\nX:\r\n"
            + "Connection: close\r\nContent-Length: 0\r\n\r\n"
        let row = ReplyRow("", text, "")
        for cuts in row.cuttings {
            var decoder = ReplyDecoder(limits: Limits())
            decoder.begin(ReplyContext())
            var player = Player(showsFields: true)
            let fields = "[Set-Cookie=a=1,set-cookie=b=2,X=,Connection=close,Content-Length=0]"
            #expect(
                player.play(row.input, cuts: cuts, &decoder)
                    == "404 length 0 10 <Not  Found> \(fields) | complete close"
            )
        }
    }

    @Test(arguments: ["HTTP/1.0", "HTTP/1.1", "HTTP/1.2"]) func `the version is that of the status line`(
        _ version: String
    ) throws {
        var decoder = ReplyDecoder(limits: Limits())
        decoder.begin(ReplyContext())
        var head = ReplyHead()
        let bytes = Array("\(version) 204 x\r\n\r\n".utf8)
        #expect(try decoder.decode(bytes.span, head: &head) == ReplyStep(event: .head, consumed: bytes.count))
        #expect(head.version == (version == "HTTP/1.0" ? 10 : 11))
    }

    /// Quadratic work would take minutes: 65 KB are looked at two thousand million times.
    @Test(.timeLimit(.minutes(1))) func `a large head that comes byte by byte costs no more than its bytes`()
    {
        let long = ReplyRow(
            "",
            ok + "A: " + String(repeating: "a", count: 65_000) + "\r\n" + empty,
            "200 length 0 | complete reuse"
        )
        let lines = String(repeating: "Abcdefg: " + String(repeating: "b", count: 240) + "\r\n", count: 255)
        let many = ReplyRow("", ok + lines + empty, "200 length 0 | complete reuse")
        for row in [long, many] {
            var decoder = ReplyDecoder(limits: Limits())
            decoder.begin(ReplyContext())
            var head = ReplyHead()
            var last: ReplyStep?
            for count in 1...row.input.count {
                last = try? decoder.decode(row.input.span.extracting(first: count), head: &head)
            }
            #expect(last == ReplyStep(event: .head, consumed: row.input.count))
        }
    }
}
