// AddressTests.swift: addresses, URLs and field lines as people write them.
import Model
import OutriggerClient
import Testing

struct AddressRow: Sendable, CustomTestStringConvertible {
    let text: String
    /// As it is printed; `nil`: no address.
    let printed: String?
    var testDescription: String { text }

    init(_ text: String, _ printed: String?) {
        self.text = text
        self.printed = printed
    }
}

private let addresses = [
    AddressRow("127.0.0.1:80", "127.0.0.1:80"),
    AddressRow("255.255.255.255:65535", "255.255.255.255:65535"),
    AddressRow("[::1]:8080", "[::1]:8080"),
    AddressRow("[::]:1", "[::]:1"),
    AddressRow("[2001:DB8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80"),
    AddressRow("[1:2:3:4:5:6:7:8]:80", "[1:2:3:4:5:6:7:8]:80"),
    AddressRow("[1:0:3:4:5:6:7:8]:80", "[1:0:3:4:5:6:7:8]:80"),
    AddressRow("[1::]:80", "[1::]:80"),
    AddressRow("[::ffff:192.0.2.1]:80", "[::ffff:c000:201]:80"),
    AddressRow("[fe80::1%3]:80", "[fe80::1%3]:80"),
    AddressRow("unix:/run/a b.sock", "unix:/run/a b.sock"),
    AddressRow("unix:" + String(repeating: "a", count: 107), "unix:" + String(repeating: "a", count: 107)),
    AddressRow("unix:" + String(repeating: "a", count: 108), nil),
    AddressRow("unix:", nil),
    AddressRow("unix:a\0b", nil),
    AddressRow("localhost:80", nil),
    AddressRow("127.0.0.1", nil),
    AddressRow("127.0.0.1:0", nil),
    AddressRow("127.0.0.1:65536", nil),
    AddressRow("127.0.0.1:+80", nil),
    AddressRow("127.0.0.01:80", nil),
    AddressRow("127.0.0.256:80", nil),
    AddressRow("127.0.0:80", nil),
    AddressRow("::1:80", nil),
    AddressRow("[::1:80", nil),
    AddressRow("[1::2::3]:80", nil),
    AddressRow("[1:2:3:4:5:6:7]:80", nil),
    AddressRow("[1:2:3:4:5:6:7:8:9]:80", nil),
    AddressRow("[1:2:3:4::5:6:7:8]:80", nil),
    AddressRow("[:1:2:3:4:5:6:7]:80", nil),
    AddressRow("[1:2:3:4:5:6:7:]:80", nil),
    AddressRow("[12345::]:80", nil),
    AddressRow("[-1::]:80", nil),
    AddressRow("[1.2.3.4::]:80", nil),
    AddressRow("[fe80::1%eth0]:80", nil),
    AddressRow("", nil),
]

struct URLRow: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// authority, target, literal address; `nil`: no URL.
    let parts: [String]?

    init(_ text: String, _ parts: [String]?) {
        testDescription = text
        self.parts = parts
    }
}

private let urls = [
    URLRow("http://a.example/x?y=1", ["a.example", "/x?y=1", "a.example:80"]),
    URLRow("HTTP://a:81", ["a:81", "/", "a:81"]),
    URLRow("a.example?q", ["a.example", "/?q", "a.example:80"]),
    URLRow("http://[::1]/", ["[::1]", "/", "[::1]:80"]),
    URLRow("http://[::1]:81/x#part", ["[::1]:81", "/x", "[::1]:81"]),
    URLRow("a/http://b/", ["a", "/http://b/", "a:80"]),
    URLRow("https://a.example/x", ["a.example", "/x", "a.example:443"]),
    URLRow("HTTPS://a:80", ["a:80", "/", "a:80"]),
    URLRow("https://[::1]?q", ["[::1]", "/?q", "[::1]:443"]),
    URLRow("http://", nil),
    URLRow("https://", nil),
    URLRow("https://user:secret@a/", nil),
    URLRow("http:///x", nil),
    URLRow("ftp://a/", nil),
    URLRow("http://user@a/", nil),
    URLRow("http://a/x y", nil),
    URLRow("http://a/\r\nX: y", nil),
    URLRow("", nil),
]

struct FieldLineRow: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// name, value, "empty" where that is meant; `nil`: no field line.
    let parts: [String]?

    init(_ text: String, _ parts: [String]?) {
        testDescription = text
        self.parts = parts
    }
}

private let fieldLines = [
    FieldLineRow("Name: value", ["Name", "value"]),
    FieldLineRow("Name:value", ["Name", "value"]),
    FieldLineRow("Name: \t a b \t", ["Name", "a b"]),
    FieldLineRow("Name: a:b;c", ["Name", "a:b;c"]),
    FieldLineRow("Name:", ["Name", ""]),
    FieldLineRow("Name;", ["Name", "", "empty"]),
    FieldLineRow("no colon", nil),
    FieldLineRow(": value", nil),
    FieldLineRow(";", nil),
    FieldLineRow("", nil),
]

@Suite struct AddressTests {
    @Test(arguments: addresses) func `an address is read strictly and printed shortly`(_ row: AddressRow) {
        #expect(Endpoint(text: row.text)?.text == row.printed)
    }

    @Test(arguments: urls) func `a URL gives authority and target as written`(_ row: URLRow) {
        let url = HTTPURL(row.testDescription)
        #expect(url.map { [$0.authority, $0.target, $0.literalAddress] } == row.parts)
    }

    @Test(arguments: [("a", false), ("http://a", false), ("https://a", true), ("HtTpS://a", true)])
    func `https alone asks for TLS`(_ text: String, _ isSecure: Bool) {
        #expect(HTTPURL(text)?.isSecure == isSecure)
    }

    @Test(arguments: fieldLines) func `a field line is read as curl reads it`(_ row: FieldLineRow) {
        let line = FieldLine(row.testDescription)
        #expect(line.map { [$0.name, $0.value] + ($0.isMeantEmpty ? ["empty"] : []) } == row.parts)
    }

    @Test func `outcomes print as the protocol names them`() {
        #expect(Outcome.completeByEOF.word == "COMPLETE_BY_EOF")
        #expect(Outcome.internal.word == "INTERNAL")
        #expect(GoAwayCode.frameTooLarge.word == "FRAME_TOO_LARGE")
    }

    @Test(arguments: [
        ("Accept", "*/*", "Accept: */*"),
        ("Proxy-Authorization", "Basic c2VjcmV0", "Proxy-Authorization: Basic (not shown)"),
        ("AUTHORIZATION", "c2VjcmV0", "AUTHORIZATION: (not shown)"),
        ("Set-Cookie", "a=c2VjcmV0; Path=/", "Set-Cookie: (not shown)"),
        ("cookie", "a=c2VjcmV0", "cookie: (not shown)"),
    ])
    func `a secret is not shown to people`(name: String, value: String, shown: String) {
        #expect(FieldLine.shown(name, value) == shown)
    }
}
