// RequestLineTests.swift: methods, the forms of targets, authorities and upgrades.
// Source: RFC 9110 §7.8, §9; RFC 9112 §3; RFC 3986 §3.2.
import HTTP1
import Model
import Testing

private func line(_ target: String, host: String = "example.org", method: String = "GET") -> String {
    "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n"
}

@Suite struct RequestLineTests {
    static let methods = [
        RequestRow("RFC 9110 §9.1: GET", line("/")),
        RequestRow("RFC 9110 §9.1: a method of one's own", line("/", method: "x-!#$%&'*+.^_`|~9")) {
            $0.method = "x-!#$%&'*+.^_`|~9"
        },
        RequestRow("RFC 9110 §9.1: small letters are another method", line("/", method: "connect")) {
            $0.method = "connect"
        },
        RequestRow("64 bytes of method", line("/", method: String(repeating: "A", count: 64))) {
            $0.method = String(repeating: "A", count: 64)
        },
        RequestRow("65 bytes of method", fails: .methodTooLong(limitBytes: 64)) {
            $0.method = String(repeating: "A", count: 65)
        },
        RequestRow("RFC 9110 §9.1: no method", fails: .method) { $0.method = "" },
        RequestRow("RFC 9110 §5.6.2: a space in the method", fails: .method) { $0.method = "GET /x" },
        RequestRow("RFC 9110 §5.6.2: CR LF in the method", fails: .method) { $0.method = "GET\r\nX: y" },
        RequestRow("RFC 9110 §5.6.2: NUL in the method", fails: .method) { $0.method = "G\0T" },
        RequestRow("RFC 9110 §5.6.2: a slash in the method", fails: .method) { $0.method = "G/T" },
        RequestRow("RFC 9110 §5.6.2: obs-text in the method", fails: .method) { $0.method = "GÉT" },
    ]

    static let connects = [
        RequestRow(
            "RFC 9112 §3.2.3: authority-form",
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"
        ) { $0.connect("example.org:443") },
        RequestRow(
            "RFC 9112 §3.2.3: an IPv6 address",
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"
        ) { $0.connect("[::1]:443") },
        RequestRow(
            "RFC 9110 §9.3.6: the peer is shown what is meant for it",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Authorization: Basic eDp5\r\nUser-Agent: u\r\n\r\n"
        ) {
            $0.connect("a:1")
            $0.fields = [("Proxy-Authorization", "Basic eDp5"), ("User-Agent", "u"), ("Connection", "close")]
        },
        RequestRow("RFC 9110 §9.3.6: no port", fails: .connectTarget) { $0.connect("example.org") },
        RequestRow("RFC 9110 §9.3.6: an empty port", fails: .connectTarget) { $0.connect("example.org:") },
        RequestRow("RFC 9110 §9.3.6: port 0", fails: .connectTarget) { $0.connect("example.org:0") },
        RequestRow("RFC 9110 §9.3.6: no host", fails: .authority) { $0.connect(":443") },
        RequestRow("RFC 9110 §9.3.6: nothing", fails: .connectTarget) { $0.connect("") },
        RequestRow("RFC 9110 §9.3.6: a target beside it", fails: .connectTarget) {
            $0.connect("a:1")
            $0.target = "/"
        },
        RequestRow("CVE-2019-9740: CR LF", fails: .authority) { $0.connect("a\r\nX: y:1") },
        RequestRow("CVE-2019-9740: a slash", fails: .authority) { $0.connect("a/b:1") },
        RequestRow("CVE-2019-9740: userinfo", fails: .authority) { $0.connect("u@a:1") },
        RequestRow("CVE-2019-9740: a space", fails: .authority) { $0.connect("a b:1") },
        RequestRow("CVE-2019-9740: NUL", fails: .authority) { $0.connect("a\0:1") },
    ]

    @Test(arguments: connects) func `a CONNECT names host and port and nothing else`(_ row: RequestRow) {
        row.check()
    }

    @Test(arguments: [Route.direct, .peer, .peerTunnel])
    func `a CONNECT is not idempotent and has the same form over every route`(route: Route) {
        var row = Self.connects[0]
        row.route = route
        let encoded = row.check()
        #expect(encoded?.isConnect == true && encoded?.isIdempotent == false)
    }

    @Test func `a tunnel's own CONNECT shows its lines only`() throws {
        let fields = [HeaderField(name: Array("User-Agent".utf8), value: Array("u".utf8))]
        let lines = try RequestEncoder.connectLines(fields, limits: Limits())
        var output = ByteBuffer()
        RequestEncoder.appendConnect(authority: Array("a:1".utf8).span, lines: lines, into: &output)
        #expect(output.text == "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: u\r\n\r\n")
    }

    @Test(arguments: [
        ("Host", "x"), ("content-length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
        ("TE", "x"), ("Upgrade", "x"), ("Keep-Alive", "x"), ("Expect", "100-continue"),
    ])
    func `a field that frames a message is not for a CONNECT`(name: String, value: String) {
        let field = HeaderField(name: Array(name.utf8), value: Array(value.utf8))
        #expect(throws: RequestError.connectField(line: 1)) {
            try RequestEncoder.connectLines([field], limits: Limits())
        }
    }

    @Test(arguments: ["a\r\nb: c", "\0", "a\n"]) func `a connect field cannot split the CONNECT`(bad: String)
    {
        let good = Array("x".utf8)
        let inValue = HeaderField(name: good, value: Array(bad.utf8))
        let inName = HeaderField(name: Array(bad.utf8), value: good)
        #expect(throws: RequestError.fieldValue(line: 1)) {
            try RequestEncoder.connectLines([inValue], limits: Limits())
        }
        #expect(throws: RequestError.fieldName(line: 1)) {
            try RequestEncoder.connectLines([inName], limits: Limits())
        }
    }

    @Test(arguments: methods) func `a method is a token`(_ row: RequestRow) { row.check() }

    static let targets = [
        RequestRow("RFC 9112 §3.2.1: a path and a query", line("/a/b?c=d&e=%20")) {
            $0.target = "/a/b?c=d&e=%20"
        },
        RequestRow("RFC 9112 §3.2.1: an empty path is /", line("/")) { $0.target = "" },
        RequestRow("RFC 9112 §3.2.1: two slashes stay", line("//a//b/../c")) { $0.target = "//a//b/../c" },
        RequestRow("RFC 9112 §3.2.1: bytes that no URI has but cannot split a message", line("/\"<>\\^`{|}é"))
        { $0.target = "/\"<>\\^`{|}é" },
        RequestRow("RFC 9112 §3.2.4: asterisk-form", line("*", method: "OPTIONS")) {
            $0.method = "OPTIONS"
            $0.target = "*"
        },
        RequestRow("RFC 9112 §3.2.4: OPTIONS of a path", line("/a", method: "OPTIONS")) {
            $0.method = "OPTIONS"
            $0.target = "/a"
        },
        RequestRow("RFC 9112 §3.2.4: asterisk-form for GET", fails: .asteriskTarget) { $0.target = "*" },
        RequestRow("RFC 9112 §3.2.4: asterisk and more", fails: .target) {
            $0.method = "OPTIONS"
            $0.target = "*/"
        },
        RequestRow("RFC 9112 §3.2.1: no slash", fails: .target) { $0.target = "a" },
        RequestRow("RFC 9112 §3.2.1: a query alone", fails: .target) { $0.target = "?a" },
        RequestRow("RFC 9112 §3.2.2: absolute-form is not the proxy's to write", fails: .target) {
            $0.target = "http://example.org/"
        },
        RequestRow("RFC 9112 §3.2: a space", fails: .target) { $0.target = "/a b" },
        RequestRow("RFC 9112 §3.2: a space and a version", fails: .target) {
            $0.target = "/ HTTP/1.1\r\nX: y"
        },
        RequestRow("RFC 9112 §3.2: CR", fails: .target) { $0.target = "/abcdefgh\r" },
        RequestRow("RFC 9112 §3.2: LF", fails: .target) { $0.target = "/abcdefgh\nijk" },
        RequestRow("RFC 9112 §3.2: NUL", fails: .target) { $0.target = "/\0" },
        RequestRow("RFC 9112 §3.2: a tab", fails: .target) { $0.target = "/\t" },
        RequestRow("RFC 9112 §3.2: DEL", fails: .target) { $0.target = "/abcdefghijk\u{7F}" },
        RequestRow("RFC 9110 §7.1: a fragment", fails: .target) { $0.target = "/a#b" },
        RequestRow("RFC 9110 §7.1: a fragment behind eight bytes", fails: .target) {
            $0.target = "/abcdefghijk#"
        },
        RequestRow("the head limit holds for the target", fails: .headTooLong(limitBytes: 100)) {
            $0.target = "/" + String(repeating: "a", count: 100)
            $0.limits.requestHeadBytesMax = 100
        },
    ]

    @Test(arguments: targets) func `a target is sent in origin-form or asterisk-form`(_ row: RequestRow) {
        row.check()
    }

    static let peers = [
        RequestRow("RFC 9112 §3.2.2: absolute-form", line("http://example.org/a?b")) {
            $0.route = .peer
            $0.target = "/a?b"
        },
        RequestRow("RFC 9112 §3.2.2: with a port", line("http://example.org:8080/", host: "example.org:8080"))
        {
            $0.route = .peer
            $0.authority = "example.org:8080"
        },
        RequestRow("RFC 9112 §3.2.2: https", line("https://example.org/")) {
            $0.route = .peer
            $0.scheme = .https
        },
        RequestRow("RFC 9112 §3.2.2: an empty path is /", line("http://example.org/")) {
            $0.route = .peer
            $0.target = ""
        },
        RequestRow("RFC 9112 §3.2.2: IPv6", line("http://[2001:db8::1]/", host: "[2001:db8::1]")) {
            $0.route = .peer
            $0.authority = "[2001:db8::1]"
        },
        RequestRow(
            "RFC 9112 §3.2.4: asterisk-form has no path",
            line("http://example.org", method: "OPTIONS")
        ) {
            $0.route = .peer
            $0.method = "OPTIONS"
            $0.target = "*"
        },
        RequestRow(
            "RFC 9112 §3.2.4: asterisk-form with a port",
            line("http://example.org:8001", host: "example.org:8001", method: "OPTIONS")
        ) {
            $0.route = .peer
            $0.method = "OPTIONS"
            $0.target = "*"
            $0.authority = "example.org:8001"
        },
        RequestRow("RFC 9112 §3.2.2: no authority", fails: .authorityMissing) {
            $0.route = .peer
            $0.authority = ""
        },
        RequestRow("RFC 9112 §3.2.1: direct and https is origin-form", line("/")) { $0.scheme = .https },
    ]

    @Test(arguments: peers) func `a peer is asked in absolute-form`(_ row: RequestRow) { row.check() }

    static let good = [
        "example.org", "EXAMPLE.org:80", "a", "a_b-c.d~e", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::]:80",
        "[2001:db8:0:0:0:0:0:1]:65535", "[::ffff:192.0.2.1]", "example.org:", "example.org:0",
        "xn--bcher-kva.example",
        "a%2Fb", "a!$&'()*+;=b", "example.org.", "",
    ]

    @Test(arguments: good) func `an authority is host and port and goes into Host`(_ authority: String) {
        RequestRow(authority, line("/", host: authority)) { $0.authority = authority }.check()
    }

    static let bad = [
        "exa mple", " example.org", "example.org ", "a/b", "user@example.org", "a,b", "a?b", "a#b", "a\\b",
        "a\"b", "a<b",
        "a|b", "a^b", "a\r\nX: y", "a\nb", "a\0", "a\tb", "a\u{7F}", "é.example", ":80", "a:b", "a:80:90",
        "a:65536", "a:-1",
        "a:+1", "a:999999999999999999999", "::1", "[::1", "::1]", "[]", "[:]", "[::1]x", "[::1]80", "[::1]:x",
        "[g::1]",
        "[::1%25eth0]", "[::1%eth0]", "[v1.a:b]", "[1]", "[a.b]", "[[::1]]", "a%", "a%2", "a%2g", "a%zz",
        "[" + String(repeating: "1:", count: 40) + "]", "[1:2:3:4:5:6:7:8:9:a]", "a[::1]", "http://a",
    ]

    @Test(arguments: bad) func `what is no authority is refused`(_ authority: String) {
        RequestRow(authority, fails: .authority) { $0.authority = authority }.check()
        RequestRow(authority, fails: .authority) {
            $0.authority = authority
            $0.route = .peer
        }.check()
    }

    @Test func `an authority has a limit`() {
        let long = String(repeating: "a", count: 1024)
        RequestRow("1024 bytes", line("/", host: long)) { $0.authority = long }.check()
        RequestRow("1025 bytes", fails: .authorityTooLong(limitBytes: 1024)) { $0.authority = long + "a" }
            .check()
    }

    static let upgrades = [
        RequestRow("RFC 9110 §7.8: a protocol", plain("Connection: Upgrade", "Upgrade: websocket")) {
            $0.upgrade = "websocket"
        },
        RequestRow("RFC 9110 §7.8: with a version", plain("Connection: Upgrade", "Upgrade: a/1.0")) {
            $0.upgrade = "a/1.0"
        },
        RequestRow(
            "RFC 9110 §7.8: the proxy's own are replaced",
            plain("Sec-WebSocket-Key: x", "Connection: Upgrade", "Upgrade: websocket")
        ) {
            $0.upgrade = "websocket"
            $0.fields = [("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Sec-WebSocket-Key", "x")]
        },
        RequestRow(
            "RFC 9110 §7.8: with POST",
            plain("Content-Length: 0", "Connection: Upgrade", "Upgrade: a", method: "POST")
        ) {
            $0.method = "POST"
            $0.upgrade = "a"
        },
        RequestRow("RFC 9110 §7.8: CR LF", fails: .upgrade) { $0.upgrade = "a\r\nX: y" },
        RequestRow("RFC 9110 §7.8: a list", fails: .upgrade) { $0.upgrade = "a, b" },
        RequestRow("RFC 9110 §7.8: no name", fails: .upgrade) { $0.upgrade = "/1" },
        RequestRow("RFC 9110 §7.8: no version", fails: .upgrade) { $0.upgrade = "a/" },
        RequestRow("RFC 9110 §7.8: two versions", fails: .upgrade) { $0.upgrade = "a/1/2" },
        RequestRow("64 bytes", plain("Connection: Upgrade", "Upgrade: " + String(repeating: "a", count: 64)))
        { $0.upgrade = String(repeating: "a", count: 64) },
        RequestRow("65 bytes", fails: .upgradeTooLong(limitBytes: 64)) {
            $0.upgrade = String(repeating: "a", count: 65)
        },
        RequestRow("an upgrade with a length", fails: .upgradeWithBody) {
            $0.upgrade = "a"
            $0.body = .length(0)
        },
        RequestRow("an upgrade with chunks", fails: .upgradeWithBody) {
            $0.upgrade = "a"
            $0.body = .chunked
        },
    ]

    @Test(arguments: upgrades) func `an upgrade is asked for in two fields`(_ row: RequestRow) { row.check() }

    static let idempotent = [
        ("GET", true), ("HEAD", true), ("OPTIONS", true), ("TRACE", true), ("PUT", true), ("DELETE", true),
        ("POST", false),
        ("PATCH", false), ("PROPFIND", false), ("get", false), ("GETS", false), ("FOO", false),
        ("HEAT", false),
    ]

    @Test(arguments: idempotent) func `a method is idempotent as RFC 9110 §9.2.2 says`(
        _ method: String,
        _ isIdempotent: Bool
    ) {
        let hasBody = method == "POST" || method == "PATCH" || method == "PUT"
        let head = hasBody ? plain("Content-Length: 0", method: method) : plain(method: method)
        let encoded = RequestRow(method, head) { $0.method = method }.check()
        #expect(encoded?.isIdempotent == isIdempotent)
        #expect(encoded?.isHead == (method == "HEAD"))
    }
}
