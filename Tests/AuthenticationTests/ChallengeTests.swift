// ChallengeTests.swift: what challenges a field holds. Source: RFC 9110 §5.6, §11.2, §11.3, §11.6.1.
import Authentication
import FuzzOracles
import Model
import Testing

struct ChallengeRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var values: [String]
    /// Whole challenges, each `scheme token68` or `scheme name=value|name=value`, values without escapes.
    var expected: [String]
    var broken: Int

    init(_ rule: String, _ values: String..., gives expected: [String], broken: Int = 0) {
        self.rule = rule
        self.values = values
        self.expected = expected
        self.broken = broken
    }

    var testDescription: String { rule }
}

extension Challenges {
    var words: [String] {
        list.challenges.map { challenge in
            let name = "\(challenge.scheme)"
            if let token = challenge.token68 { return name + " " + text(token) }
            let parameters = list.parameters[challenge.parameters].map { parameter in
                let key = text(parameter.name)
                let value = list.value(key.lowercased(), of: challenge, in: block.span) ?? []
                return key + "=" + String(decoding: value, as: UTF8.self)
            }
            return parameters.isEmpty ? name : name + " " + parameters.joined(separator: "|")
        }
    }

    private func text(_ slice: Slice) -> String {
        String(decoding: block[Int(slice.start)..<Int(slice.start + slice.count)], as: UTF8.self)
    }
}

@Suite struct ChallengeTests {
    static let whole = [
        ChallengeRow("nothing", "", gives: []),
        ChallengeRow("§5.6.1: empty elements", " ,\t, ,", gives: []),
        ChallengeRow("§11.3: a scheme alone", "NTLM", gives: ["ntlm"]),
        ChallengeRow(
            "§11.3: several",
            "Negotiate, NTLM,Basic realm=x",
            gives: ["negotiate", "ntlm", "basic realm=x"]
        ),
        ChallengeRow("§11.3: in several fields", "Negotiate", "NTLM", gives: ["negotiate", "ntlm"]),
        ChallengeRow(
            "§11.2: token68",
            "NTLM TlRMTVNTUAAC, Negotiate YII=",
            gives: ["ntlm TlRMTVNTUAAC", "negotiate YII="]
        ),
        ChallengeRow(
            "§11.2: token68 of every kind of byte",
            "Bearer aZ09-._~+/==",
            gives: ["bearer aZ09-._~+/=="]
        ),
        ChallengeRow("§11.2: token68 that could be a name", "Basic realm", gives: ["basic realm"]),
        ChallengeRow(
            "§11.2: token68 that could be a parameter's start",
            "Basic realm=",
            gives: ["basic realm="]
        ),
        ChallengeRow("§11.2: parameters", #"Digest a=b, c="d", e=f"#, gives: ["digest a=b|c=d|e=f"]),
        ChallengeRow(
            "§11.2: blanks at the equals sign",
            "Digest \t a \t=\t b ,c= \"d\"",
            gives: ["digest a=b|c=d"]
        ),
        ChallengeRow("§11.2: names keep their case", "Digest Realm=x", gives: ["digest Realm=x"]),
        ChallengeRow(
            "§5.6.4: commas and schemes in quotes",
            #"Basic realm="a, NTLM, b", x=y"#,
            gives: ["basic realm=a, NTLM, b|x=y"]
        ),
        ChallengeRow("§5.6.4: escapes", #"Basic realm="a\"b\\c\d""#, gives: [#"basic realm=a"b\cd"#]),
        ChallengeRow("§5.6.4: an empty string", #"Basic realm="""#, gives: ["basic realm="]),
        ChallengeRow(
            "§5.6.4: a tab and bytes beyond ASCII",
            "Basic realm=\"\té\"",
            gives: ["basic realm=\té"]
        ),
        ChallengeRow(
            "§5.6.2: every byte of a token",
            "Basic !#$%&'*+-.^_`|~aZ9=!#$%&'*+-.^_`|~",
            gives: ["basic !#$%&'*+-.^_`|~aZ9=!#$%&'*+-.^_`|~"]
        ),
        ChallengeRow(
            "CVE-2019-12525: a value of one single quote",
            "Digest realm='",
            gives: ["digest realm='"]
        ),
        ChallengeRow(
            "§11.1: schemes in any case",
            "nTLM, NEGOTIATE, bASIC, DiGeSt, beaRER",
            gives: ["ntlm", "negotiate", "basic", "digest", "bearer"]
        ),
        ChallengeRow(
            "§11.3: the example",
            #"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
            gives: ["basic realm=simple"]
        ),
        ChallengeRow(
            "unknown schemes are skipped",
            "X a=b, Y, Basic realm=x, Z Zz==, c",
            gives: ["basic realm=x"]
        ),
        ChallengeRow(
            "a scheme by a prefix is another",
            "NTLMx, Negotiated, Basi, Digests, xNTLM, NTLM-x",
            gives: []
        ),
        ChallengeRow(
            "the same scheme twice",
            #"Digest realm=a, nonce=b, Digest realm=c"#,
            gives: ["digest realm=a|nonce=b", "digest realm=c"]
        ),
        ChallengeRow(
            "a scheme as a value and as a name",
            "Basic realm=NTLM, NTLM=x",
            gives: ["basic realm=NTLM|NTLM=x"]
        ),
    ]

    static let broken = [
        ChallengeRow("a value that is missing", "Digest realm=a, nonce=, NTLM", gives: ["ntlm"], broken: 1),
        ChallengeRow("a single double quote", #"Digest realm=", NTLM"#, gives: ["ntlm"], broken: 1),
        ChallengeRow(
            "a quote that is never closed",
            #"Basic realm="x, NTLM, Negotiate YII="#,
            gives: ["ntlm", "negotiate YII="],
            broken: 1
        ),
        ChallengeRow("a backslash at the end", #"Basic realm="x\"#, gives: [], broken: 1),
        ChallengeRow(
            "a closing quote that is escaped",
            #"Basic realm="x\", NTLM"#,
            gives: ["ntlm"],
            broken: 1
        ),
        ChallengeRow("text behind a string", #"Basic realm="x"y, NTLM"#, gives: ["ntlm"], broken: 1),
        ChallengeRow("text behind a token", #"Basic realm=x y, NTLM"#, gives: ["ntlm"], broken: 1),
        ChallengeRow(
            "an unquoted value that is no token",
            "Digest nonce=a/b=, realm=x, NTLM",
            gives: ["ntlm"],
            broken: 1
        ),
        ChallengeRow("a control in a string", "Basic realm=\"a\u{1}b\", NTLM", gives: ["ntlm"], broken: 1),
        ChallengeRow("DEL in a string", "Basic realm=\"a\u{7F}b\", NTLM", gives: ["ntlm"], broken: 1),
        ChallengeRow("a name that is missing", "Digest a=b, =x, NTLM", gives: ["ntlm"], broken: 1),
        ChallengeRow(
            "§11.2: a blank before the equals sign is no end of a scheme",
            "Digest =x, NTLM",
            gives: ["ntlm"]
        ),
        ChallengeRow(
            "a name twice, in any case",
            "Digest realm=a, REALM=b, NTLM",
            gives: ["ntlm"],
            broken: 1
        ),
        ChallengeRow(
            "a parameter behind token68",
            "NTLM abc, a=b, Negotiate",
            gives: ["negotiate"],
            broken: 1
        ),
        ChallengeRow(
            "two words behind a scheme",
            "Negotiate Basic realm=x, NTLM",
            gives: ["ntlm"],
            broken: 1
        ),
        ChallengeRow("equals signs within token68", "NTLM a==b, Negotiate", gives: ["negotiate"], broken: 1),
        ChallengeRow("a semicolon", "NTLM;x, Negotiate", gives: ["negotiate"], broken: 1),
        ChallengeRow(
            "only the broken one is lost",
            #"Basic realm=a, Digest realm="b" c, nonce=d, Bearer realm=e"#,
            gives: ["basic realm=a", "bearer realm=e"],
            broken: 1
        ),
        ChallengeRow("a parameter without a challenge", "a=b, NTLM", gives: ["ntlm"]),
        ChallengeRow(
            "a field does not go on in the next",
            "Digest realm=a",
            "nonce=b",
            gives: ["digest realm=a"]
        ),
        ChallengeRow(
            "a quote does not go on in the next field",
            #"Basic realm="a"#,
            #"b", NTLM"#,
            gives: ["ntlm"],
            broken: 1
        ),
    ]

    @Test(arguments: whole + broken) func `challenges follow RFC 9110 §11`(_ row: ChallengeRow) {
        let found = Challenges(row.values)
        #expect(found.words == row.expected)
        #expect(found.list.brokenCount == row.broken)
        #expect(found.list.limit == nil)
    }

    static let fronts = [
        ",", " \t", ", ,", "a=b,", "=,", "\"x, y\",", "\"\\\"\",", "?,", "X,", "X y=\"z\",", "NTLMx abc=,",
        "é,", ";;,",
        "\u{1},",
    ]

    @Test(arguments: whole + broken) func `garbage in front of a challenge takes nothing of it`(
        _ row: ChallengeRow
    ) {
        for front in Self.fronts {
            let found = Challenges([front + row.values[0]] + row.values.dropFirst())
            #expect(found.words == row.expected, "\(front)")
        }
    }

    static let ends = [
        ",", " \t", ", ,", ",X", ", X y=\"z", ", X \"", ", X '=\u{1}, \"", ", X a=b c=d", ", X abc==, d=e",
        ", X\u{7F}",
    ]

    @Test(arguments: whole) func `garbage behind a challenge takes nothing of it`(_ row: ChallengeRow) {
        for end in Self.ends {
            let found = Challenges(row.values.dropLast() + [row.values.last.map { $0 + end } ?? end])
            #expect(found.words == row.expected, "\(end)")
        }
    }

    @Test(arguments: whole + broken) func `a value cut anywhere is read without a crash`(_ row: ChallengeRow)
    {
        let bytes = Array(row.values[0].utf8)
        for count in 0...bytes.count {
            #expect(FuzzOracles.challengeDifference(Array(bytes.prefix(count))) == nil)
            #expect(FuzzOracles.challengeDifference(Array(bytes.suffix(count))) == nil)
        }
    }

    static let pieces = [
        "Basic", "Digest", "NTLM", "Negotiate", "realm", "x", "=", "=", "\"", "\"", "\\", ",", ",", ", ", " ",
        "\t", "/",
        ";", "'", "\u{1}", "é", "a=b", "c=\"d\"", "==",
    ]

    @Test(arguments: 0..<256) func `a slow reader finds the same challenges`(seed: UInt64) {
        var random = Seeded(state: seed)
        for _ in 0..<50 {
            var value: [UInt8] = []
            for _ in 0..<Int.random(in: 0...14, using: &random) {
                value += (Self.pieces.randomElement(using: &random) ?? "").utf8
            }
            let difference = FuzzOracles.challengeDifference(value)
            #expect(difference == nil, "\(String(decoding: value, as: UTF8.self))")
        }
    }

    @Test func `a list has limits`() {
        let schemes = ["NTLM", "Basic realm=x"]
        let many = (0..<40).map { schemes[$0 % 2] }.joined(separator: ",")
        #expect(Challenges([many]).list.challenges.count == ChallengeList.challengesMax)
        #expect(Challenges([many]).list.limit == .challenges(max: ChallengeList.challengesMax))
        #expect(Challenges([many]).list.parameters.count == ChallengeList.challengesMax / 2)
        #expect(Challenges(Array(repeating: "NTLM", count: 16)).list.limit == nil)
        #expect(Challenges(Array(repeating: "X", count: 100) + ["NTLM"]).words == ["ntlm"])

        let parameters = (1...ChallengeList.parametersMax).map { "p\($0)=v" }.joined(separator: ",")
        #expect(Challenges(["Digest " + parameters]).list.challenges.count == 1)
        let more = Challenges(["Digest " + parameters + ",q=v, r=v, NTLM"])
        #expect(more.words == ["ntlm"])
        #expect(more.list.limit == .parameters(max: ChallengeList.parametersMax))
        #expect(more.list.parameters.isEmpty)

        let long = "NTLM " + String(repeating: "a", count: ChallengeList.valueBytesMax - 5)
        #expect(Challenges([long]).list.challenges.count == 1)
        let longer = Challenges([long + "a", "Basic realm=x"])
        #expect(longer.words == ["basic realm=x"])
        #expect(longer.list.limit == .valueBytes(max: ChallengeList.valueBytesMax))
    }

    @Test func `quotes without an end cost no more than the bytes`() {
        // Each "\"," could be read as the start of one string to the end.
        let value = Array(String(repeating: #"\","#, count: 400_000).utf8)
        let clock = ContinuousClock()
        var isBound = true
        let time = clock.measure { isBound = ConnectionBound.isConnectionBound(fieldValue: value.span) }
        #expect(!isBound)
        // Unoptimised it takes 0.1 s; square in the length it would take hours.
        #expect(time < .seconds(20))
    }

    @Test func `fields are taken by name and side`() {
        var block: [UInt8] = []
        func add(_ text: String) -> Slice {
            defer { block += text.utf8 }
            return Slice(start: block.count, count: text.utf8.count)
        }
        let fields = [
            ("WWW-Authenticate", "Basic realm=o"), ("Proxy-Authenticate", "Basic realm=p"),
            ("www-authenticate", "NTLM"),
            ("WWW-Authenticatex", "Negotiate"), ("WWW-Authenticat", "Negotiate"),
        ].map { FieldSlice(name: add($0.0), value: add($0.1)) }
        let origin = ChallengeList(side: .origin, fields: fields, in: block.span)
        #expect(origin.challenges.map(\.scheme) == [.basic, .ntlm] && origin.side == .origin)
        let peer = ChallengeList(side: .peer, fields: fields, in: block.span)
        #expect(peer.challenges.map(\.scheme) == [.basic] && peer.side == .peer)
        let realm = peer.value("realm", of: peer.challenges[0], in: block.span)
        let nonce = peer.value("nonce", of: peer.challenges[0], in: block.span)
        #expect(realm == Array("p".utf8) && nonce == nil)
    }
}
