// RequestFieldsTests.swift: what becomes of the fields of a request. Source: RFC 9110 §5, §7.6.1, §8.6,
// §10.1.1;
// RFC 9112 §3.2, §6.
import HTTP1
import Model
import Testing

@Suite struct RequestFieldsTests {
    static let passed = [
        RequestRow("§5.3: in order, and exactly", plain("b: 1", "A:  2 ", "b: 3", "a: \t")) {
            $0.fields = [("b", "1"), ("A", " 2 "), ("b", "3"), ("a", "\t")]
        },
        RequestRow("§5.5: an empty value", plain("A: ")) { $0.fields = [("A", "")] },
        RequestRow("§5.5: a tab and obs-text", plain("A: b\té")) { $0.fields = [("A", "b\té")] },
        RequestRow("§5.1: every byte of a token", plain("!#$%&'*+-.^_`|~09azAZ: b")) {
            $0.fields = [("!#$%&'*+-.^_`|~09azAZ", "b")]
        },
        RequestRow("§5.1: a name past the scratch memory", plain(String(repeating: "n", count: 61) + ": b")) {
            $0.fields = [(String(repeating: "n", count: 61), "b")]
        },
        RequestRow("§5.1: a name that fills it", plain(String(repeating: "n", count: 60) + ": b")) {
            $0.fields = [(String(repeating: "n", count: 60), "b")]
        },
        RequestRow(
            "Via, Cookie, Authorization and Trailer are the proxy's",
            plain("Via: 1.1 x", "Cookie: a=b", "Authorization: Basic eA==", "Trailer: T")
        ) {
            $0.fields = [
                ("Via", "1.1 x"), ("Cookie", "a=b"), ("Authorization", "Basic eA=="), ("Trailer", "T"),
            ]
        },
        RequestRow(
            "names as long as ones of ours",
            plain(
                "ab: 1",
                "most: 2",
                "cookie: 3",
                "referer: 4",
                "user-agent: 5",
                "accept-charset: 6",
                "proxy-xonnection: 7",
                "transfer-xncoding: 8",
                "proxy-xuthorization: 9"
            )
        ) {
            $0.fields = [
                ("ab", "1"), ("most", "2"), ("cookie", "3"), ("referer", "4"), ("user-agent", "5"),
                ("accept-charset", "6"), ("proxy-xonnection", "7"), ("transfer-xncoding", "8"),
                ("proxy-xuthorization", "9"),
            ]
        },
    ]

    @Test(arguments: passed) func `end-to-end fields pass exactly and in order`(_ row: RequestRow) {
        row.check()
    }

    static let refused = [
        RequestRow("§5.1: an empty name", fails: .fieldName(line: 1)) { $0.fields = [("", "x")] },
        RequestRow("§5.1: a colon", fails: .fieldName(line: 2)) { $0.fields = [("A", "x"), ("A:", "x")] },
        RequestRow("§5.1: a space", fails: .fieldName(line: 1)) { $0.fields = [("A ", "x")] },
        RequestRow("§5.1: CR LF", fails: .fieldName(line: 1)) { $0.fields = [("A\r\nB", "x")] },
        RequestRow("§5.1: NUL", fails: .fieldName(line: 1)) { $0.fields = [("A\0", "x")] },
        RequestRow("§5.1: obs-text", fails: .fieldName(line: 1)) { $0.fields = [("É", "x")] },
        RequestRow("§5.1: a CR where Content-Length has its hyphen", fails: .fieldName(line: 1)) {
            $0.fields = [("Content\rLength", "0")]
        },
        RequestRow("§5.1: a CR where Keep-Alive has its hyphen", fails: .fieldName(line: 1)) {
            $0.fields = [("Keep\rAlive", "x")]
        },
        RequestRow("§5.1: CR LF in a long name", fails: .fieldName(line: 1)) {
            $0.fields = [(String(repeating: "n", count: 70) + "\r\n", "x")]
        },
        RequestRow("§5.5: CR LF in a value", fails: .fieldValue(line: 1)) {
            $0.fields = [("A", "secret\r\nB: c")]
        },
        RequestRow("§5.5: CR", fails: .fieldValue(line: 1)) { $0.fields = [("A", "secret\r")] },
        RequestRow("§5.5: LF", fails: .fieldValue(line: 2)) {
            $0.fields = [("A", "x"), ("A", "secret\nB: c")]
        },
        RequestRow("§5.5: NUL", fails: .fieldValue(line: 1)) { $0.fields = [("A", "sec\0ret")] },
        RequestRow("§5.5: ESC", fails: .fieldValue(line: 1)) { $0.fields = [("A", "secret\u{1B}")] },
        RequestRow("§5.5: DEL", fails: .fieldValue(line: 1)) { $0.fields = [("A", "0123456789\u{7F}")] },
        RequestRow("RFC 9112 §5.2: a folded value", fails: .fieldValue(line: 1)) {
            $0.fields = [("A", "secret\r\n folded")]
        },
        RequestRow("§5.5: CR LF in a field that is left out", fails: .fieldValue(line: 1)) {
            $0.fields = [("TE", "trailers\r\nX: y")]
        },
        RequestRow("§5.5: CR LF in a field that Connection names", fails: .fieldValue(line: 2)) {
            $0.fields = [("Connection", "x"), ("X", "secret\r\nX: y")]
        },
        RequestRow("just so many fields and one more", fails: .tooManyFields(limit: 2)) {
            $0.fields = [("A", "1"), ("B", "2"), ("C", "3")]
            $0.limits.fieldCountMax = 2
        },
        RequestRow("a head past its limit", fails: .headTooLong(limitBytes: 49)) {
            $0.fields = [("A", "123456789")]
            $0.limits.requestHeadBytesMax = 49
        },
        RequestRow("a head of just so many bytes", plain("A: 123456789")) {
            $0.fields = [("A", "123456789")]
            $0.limits.requestHeadBytesMax = 51
        },
    ]

    @Test(arguments: refused) func `what could split a message is refused`(_ row: RequestRow) { row.check() }

    static let hops = [
        RequestRow("§7.6.1: ours are left out", plain("A: b")) {
            $0.fields = [
                ("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
                ("TE", "trailers"), ("Upgrade", "h2c"), ("A", "b"),
            ]
        },
        RequestRow("§7.6.1: in any case", plain()) {
            $0.fields = [
                ("CONNECTION", "close"), ("keep-ALIVE", "x"), ("proxy-connection", "x"), ("te", "x"),
                ("uPGRADE", "x"),
            ]
        },
        RequestRow("§7.6.1: a field that Connection names", plain("B: 2")) {
            $0.fields = [("Connection", "A"), ("A", "1"), ("B", "2")]
        },
        RequestRow("§7.6.1: one before it, in any case", plain("B: 2")) {
            $0.fields = [("a", "1"), ("B", "2"), ("Connection", "close, A")]
        },
        RequestRow("§7.6.1: several, in two fields", plain("D: 4")) {
            $0.fields = [
                ("A", "1"), ("Connection", " A ,\tB,, "), ("B", "2"), ("Connection", "c"), ("C", "3"),
                ("D", "4"),
            ]
        },
        RequestRow("§7.6.1: HTTP2-Settings", plain()) {
            $0.fields = [
                ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMA"),
            ]
        },
        RequestRow("§7.6.1: Host and framing cannot be stripped", plain("Content-Length: 5", method: "POST"))
        {
            $0.method = "POST"
            $0.body = .length(5)
            $0.fields = [
                ("Connection", "Host, Content-Length, Transfer-Encoding"), ("Host", "example.org"),
                ("Content-Length", "5"),
            ]
        },
        RequestRow("§7.6.1: Cache-Control cannot be stripped", plain("Cache-Control: no-store")) {
            $0.fields = [("Connection", "cache-control, x"), ("Cache-Control", "no-store"), ("X", "y")]
        },
        RequestRow("§7.6.1: a name that is part of an option", plain("A: 1")) {
            $0.fields = [("Connection", "AA, xA, Ax"), ("A", "1")]
        },
        RequestRow("§7.6.1: Connection names nothing that is there", plain("A: 1")) {
            $0.fields = [("A", "1"), ("Connection", "B")]
        },
        RequestRow("options past the limit", fails: .tooManyConnectionOptions(limit: 3)) {
            $0.fields = [("Connection", "a,b,c,d")]
            $0.limits.fieldCountMax = 3
        },
        RequestRow("§11.7.1: Proxy-Authorization never goes to an origin", plain("A: b")) {
            $0.fields = [("Proxy-Authorization", "Basic secret"), ("A", "b")]
        },
        RequestRow(
            "§11.7.1: Proxy-Authorization goes to a peer",
            "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n"
                + "Proxy-Authorization: Basic secret\r\n\r\n"
        ) {
            $0.route = .peer
            $0.fields = [("Proxy-Authorization", "Basic secret")]
        },
        RequestRow(
            "§7.6.1: unless Connection names it",
            "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n"
        ) {
            $0.route = .peer
            $0.fields = [("Proxy-Authorization", "Basic secret"), ("Connection", "proxy-authorization")]
        },
    ]

    @Test(arguments: hops) func `fields of one hop are ours`(_ row: RequestRow) { row.check() }

    static let hosts = [
        RequestRow("RFC 9112 §3.2: an equal Host goes out once and first", plain("A: b")) {
            $0.fields = [("A", "b"), ("Host", "example.org")]
        },
        RequestRow("RFC 9110 §4.2.3: equal but for case", plain()) { $0.fields = [("hOST", "Example.ORG")] },
        RequestRow("RFC 9112 §3.2: an empty authority", "GET / HTTP/1.1\r\nHost: \r\n\r\n") {
            $0.authority = ""
        },
        RequestRow("RFC 9112 §3.2: an empty authority and an empty Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n")
        {
            $0.authority = ""
            $0.fields = [("Host", "")]
        },
        RequestRow("RFC 9112 §3.2: another Host", fails: .hostContradiction) {
            $0.fields = [("Host", "example.com")]
        },
        RequestRow("RFC 9112 §3.2: a Host with a port", fails: .hostContradiction) {
            $0.fields = [("Host", "example.org:80")]
        },
        RequestRow("RFC 9112 §3.2: a Host where there is no authority", fails: .hostContradiction) {
            $0.authority = ""
            $0.fields = [("Host", "example.org")]
        },
        RequestRow("RFC 9112 §3.2: an empty Host", fails: .hostContradiction) { $0.fields = [("Host", "")] },
        RequestRow("RFC 9112 §3.2: two equal Hosts", fails: .hostRepeated) {
            $0.fields = [("Host", "example.org"), ("Host", "example.org")]
        },
        RequestRow("RFC 9112 §3.2: two Hosts", fails: .hostRepeated) {
            $0.fields = [("Host", "example.org"), ("Host", "example.com")]
        },
    ]

    @Test(arguments: hosts) func `Host is the authority, once`(_ row: RequestRow) { row.check() }

    static let framing = [
        RequestRow("§8.6: no body", plain()),
        RequestRow("§8.6: POST without body", plain("Content-Length: 0", method: "POST")) {
            $0.method = "POST"
        },
        RequestRow("§8.6: PUT without body", plain("Content-Length: 0", method: "PUT")) { $0.method = "PUT" },
        RequestRow("§8.6: PATCH without body", plain("Content-Length: 0", method: "PATCH")) {
            $0.method = "PATCH"
        },
        RequestRow("§8.6: DELETE without body", plain(method: "DELETE")) { $0.method = "DELETE" },
        RequestRow("§8.6: DELETE that says 0", plain("Content-Length: 0", method: "DELETE")) {
            $0.method = "DELETE"
            $0.fields = [("Content-Length", "0")]
        },
        RequestRow("§8.6: by length", plain("Content-Length: 18446744073709551615", method: "POST")) {
            $0.method = "POST"
            $0.body = .length(.max)
        },
        RequestRow("§8.6: a length of 0", plain("Content-Length: 0")) { $0.body = .length(0) },
        RequestRow("§8.6: GET with a body", plain("Content-Length: 1234567890")) {
            $0.body = .length(1_234_567_890)
        },
        RequestRow("RFC 9112 §6.1: chunked", plain("A: b", "Transfer-Encoding: chunked", method: "POST")) {
            $0.method = "POST"
            $0.body = .chunked
            $0.fields = [("A", "b")]
        },
        RequestRow("§8.6: an equal field goes out once", plain("A: b", "Content-Length: 5")) {
            $0.body = .length(5)
            $0.fields = [("content-length", "5"), ("A", "b")]
        },
        RequestRow("§8.6: another number", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "6")]
        },
        RequestRow("§8.6: no number", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "5x")]
        },
        RequestRow("§8.6: a sign", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "+5")]
        },
        RequestRow("§8.6: empty", fails: .contentLengthContradiction) {
            $0.body = .length(0)
            $0.fields = [("Content-Length", "")]
        },
        RequestRow("§8.6: a list", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "5, 5")]
        },
        RequestRow("§8.6: past 64 bits", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "18446744073709551621")]
        },
        RequestRow("§8.6: two that differ", fails: .contentLengthContradiction) {
            $0.body = .length(5)
            $0.fields = [("Content-Length", "5"), ("Content-Length", "6")]
        },
        RequestRow("§8.6: a length and no body", fails: .contentLengthContradiction) {
            $0.fields = [("Content-Length", "5")]
        },
        RequestRow("RFC 9112 §6.2: a length and chunks", fails: .contentLengthContradiction) {
            $0.body = .chunked
            $0.fields = [("Content-Length", "5")]
        },
        RequestRow("RFC 9112 §6.1: chunked is said once", plain("Transfer-Encoding: chunked")) {
            $0.body = .chunked
            $0.fields = [("Transfer-Encoding", "Chunked")]
        },
        RequestRow("RFC 9112 §6.1: gzip and chunked", fails: .transferEncodingContradiction) {
            $0.body = .chunked
            $0.fields = [("Transfer-Encoding", "gzip, chunked")]
        },
        RequestRow("RFC 9112 §6.1: chunked in two fields", fails: .transferEncodingContradiction) {
            $0.body = .chunked
            $0.fields = [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")]
        },
        RequestRow("RFC 9112 §6.1: a coding and a length", fails: .transferEncodingContradiction) {
            $0.body = .length(5)
            $0.fields = [("Transfer-Encoding", "chunked")]
        },
        RequestRow("RFC 9112 §6.1: a coding and no body", fails: .transferEncodingContradiction) {
            $0.fields = [("Transfer-Encoding", "chunked")]
        },
        RequestRow("RFC 9112 §6.1: identity", fails: .transferEncodingContradiction) {
            $0.fields = [("Transfer-Encoding", "identity")]
        },
    ]

    @Test(arguments: framing) func `framing is that of the body`(_ row: RequestRow) { row.check() }

    static let expectations: [(String, RequestBody, Bool)] = [
        ("100-continue", .length(1), true), ("100-Continue", .chunked, true), ("100-continue", .none, false),
        ("100-continue", .length(0), false), ("200-ok", .chunked, false), ("x, 100-continue", .chunked, true),
        ("100-continued", .chunked, false),
    ]

    @Test(arguments: expectations) func `only a body can wait for 100`(
        _ value: String,
        _ body: RequestBody,
        _ waits: Bool
    ) {
        let framing =
            body == .chunked
            ? ["Transfer-Encoding: chunked"] : body == .length(1) ? ["Content-Length: 1"] : []
        let lines = ["Expect: \(value)"] + (body == .length(0) ? ["Content-Length: 0"] : framing)
        let head = "GET / HTTP/1.1\r\nHost: example.org\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
        let encoded = RequestRow(value, head) {
            $0.body = body
            $0.fields = [("Expect", value)]
        }.check()
        #expect(encoded?.expectsContinue == waits)
    }

    @Test func `an expectation that Connection names does not hold the body`() {
        let encoded = RequestRow("", plain("Content-Length: 1")) {
            $0.body = .length(1)
            $0.fields = [("Expect", "100-continue"), ("Connection", "expect")]
        }.check()
        #expect(encoded?.expectsContinue == false)
    }

    @Test func `256 fields by default and not one more`() {
        RequestRow("256", plain(String(repeating: "A: b\r\n", count: 255) + "A: b")) {
            $0.fields = Array(repeating: ("A", "b"), count: 256)
        }.check()
        RequestRow("257", fails: .tooManyFields(limit: 256)) {
            $0.fields = Array(repeating: ("A", "b"), count: 257)
        }.check()
    }
}
