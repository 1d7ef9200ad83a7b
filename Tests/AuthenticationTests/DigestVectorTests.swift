// DigestVectorTests.swift: answers to Digest challenges, byte for byte.
// Rows that name an RFC are its examples; the others were computed with Python's hashlib.
import Authentication
import Model
import Testing

struct DigestRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var challenge: String
    var user = "bob"
    var password = "pw"
    var method = "GET"
    var target = "/"
    var body: String? = ""
    var cnonce = "c0ffee"
    var count: UInt32 = 1
    /// `nil`: it cannot be answered.
    var expected: String?

    init(
        _ rule: String,
        _ challenge: String,
        _ expected: String?,
        _ change: (inout DigestRow) -> Void = { _ in }
    ) {
        self.rule = rule
        self.challenge = challenge
        self.expected = expected
        change(&self)
    }

    var testDescription: String { rule }

    /// The field value.
    var actual: String? {
        guard let digest = Challenges([challenge]).digest,
            let protection = digest.protection(isBodyHeld: body != nil)
        else { return nil }
        let credential = Credential(user, password, .digest)
        guard
            let session = DigestSession(
                digest,
                protection,
                credential,
                cnonce: Array(cnonce.utf8),
                serial: 1,
                .real
            )
        else { return nil }
        let text = body ?? ""
        let held = text.utf8.span
        let request = AuthenticatedRequest(
            method: method.utf8.span,
            target: target.utf8.span,
            body: body == nil ? nil : held
        )
        var output = ByteBuffer()
        session.append(request, count: count, .real, to: &output)
        return output.text
    }
}

@Suite struct DigestVectorTests {
    static let mufasa = { @Sendable (row: inout DigestRow) in
        row.user = "Mufasa"
        row.password = "Circle of Life"
        row.target = "/dir/index.html"
        row.cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    }
    static let jason = { @Sendable (row: inout DigestRow) in
        row.user = "Jäsøn Doe"
        row.password = "Secret, or not?"
        row.target = "/doe.json"
        row.cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    }
    static let simpleChallenge =
        #"realm="http-auth@example.org", qop="auth, auth-int", "#
        + #"nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "#
        + #"opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
    static func simpleAnswer(_ algorithm: String, _ response: String) -> String {
        #"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", "#
            + "algorithm=\(algorithm), "
            + #"nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, "#
            + #"cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response=""#
            + response + #"", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
    }
    static let userChallenge =
        #"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, "#
        + #"nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "#
        + #"opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash="#
    static func userAnswer(_ user: String, _ end: String) -> String {
        "Digest \(user), "
            + #"realm="api@example.org", uri="/doe.json", algorithm=SHA-512-256, "#
            + #"nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001, "#
            + #"cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop=auth, "#
            + #"response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5", "#
            + #"opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS""# + end
    }

    static let standards = [
        DigestRow(
            "RFC 7616 §3.9.1, MD5",
            "Digest \(simpleChallenge), algorithm=MD5",
            simpleAnswer("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            mufasa
        ),
        DigestRow(
            "RFC 7616 §3.9.1, SHA-256",
            "Digest \(simpleChallenge), algorithm=SHA-256",
            simpleAnswer("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            mufasa
        ),
        // The RFC's own numbers are of a SHA-512 cut short; its erratum has those of SHA-512/256.
        DigestRow(
            "RFC 7616 §3.9.2, SHA-512-256 with the user hashed",
            userChallenge + "true",
            userAnswer(
                #"username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b""#,
                ", userhash=true"
            ),
            jason
        ),
        DigestRow(
            "RFC 7616 §3.9.2, with the user extended",
            userChallenge + "false",
            userAnswer("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe", ""),
            jason
        ),
        DigestRow(
            "RFC 2617 §3.5",
            #"Digest realm="testrealm@host.com", qop="auth,auth-int", "#
                + #"nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
            #"Digest username="Mufasa", realm="testrealm@host.com", uri="/dir/index.html", "#
                + #"nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", nc=00000001, cnonce="0a4f113b", qop=auth, "#
                + #"response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41""#
        ) {
            $0.user = "Mufasa"
            $0.password = "Circle Of Life"
            $0.target = "/dir/index.html"
            $0.cnonce = "0a4f113b"
        },
        // The example in the RFC has a wrong number; its erratum has this one.
        DigestRow(
            "RFC 2069 §2.4, no qop",
            #"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", "#
                + #"opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
            #"Digest username="Mufasa", realm="testrealm@host.com", uri="/dir/index.html", "#
                + #"nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", response="1949323746fe6a43ef61f9606e7febea", "#
                + #"opaque="5ccc069c403ebaf9f0171e9517f40e41""#
        ) {
            $0.user = "Mufasa"
            $0.password = "CircleOfLife"
            $0.target = "/dir/index.html"
        },
    ]

    static func plain(_ algorithm: String, _ count: String, _ qop: String, _ response: String) -> String {
        #"Digest username="bob", realm="r", uri="/", \#(algorithm)nonce="n", nc=\#(count), "#
            + #"cnonce="c0ffee", qop=\#(qop), response="\#(response)""#
    }

    /// `-sess` with nc 2, auth-int over "hello" with nc a, both over nothing.
    static let computed: [DigestRow] = [
        (
            "MD5", "0d115bd20cc7189d272e2391b71ee92f", "3a8763e98e4addc30af8479e12c6fea2",
            "c06730dd78d27a92e3ba93a988c704f8"
        ),
        (
            "SHA-256", "a723c75b0a3c5a26f4691c2508e67b2e694ea54c6094aefd5b63c5d91f2c2c3c",
            "8f475df31d28d9d32d1733ab798dedf61cfadcd27eddd99e83f0546795d0152d",
            "91a3a62441afddb961fa63d09aa27bfdc4b8268df72793633756632afaf64609"
        ),
        (
            "SHA-512-256", "ca053c3248aeec3b6e14a366f68bb9bb8d45d6aa7f245abde152e65a339a7eb6",
            "bc9f03fcff706295252ab0f48942ff81e2143706b44a03828bafaab5bd3aa606",
            "1329f80509c580ee25edcaa4c5dfa9a6e7846fa7f0a803609aa412f420b5c302"
        ),
    ].flatMap { name, session, integrity, both in
        [
            DigestRow(
                "§3.4.2: \(name)-sess",
                #"Digest realm="r", nonce="n", qop="auth", algorithm=\#(name)-sess"#,
                plain("algorithm=\(name)-sess, ", "00000002", "auth", session)
            ) { $0.count = 2 },
            DigestRow(
                "§3.4.3: \(name) with auth-int",
                #"Digest realm="r", nonce="n", qop="auth-int", algorithm=\#(name)"#,
                plain("algorithm=\(name), ", "0000000a", "auth-int", integrity)
                    .replacing(#"uri="/""#, with: #"uri="/p?a=b""#)
            ) {
                $0.method = "POST"
                $0.target = "/p?a=b"
                $0.body = "hello"
                $0.count = 10
            },
            DigestRow(
                "§3.4.3: \(name)-sess with auth-int and no body",
                #"Digest realm="r", nonce="n", qop=auth-int, algorithm=\#(name)-SESS"#,
                plain("algorithm=\(name)-sess, ", "00000001", "auth-int", both)
            ),
            DigestRow(
                "§3.4.3: \(name) with auth-int and a body that is not held",
                #"Digest realm="r", nonce="n", qop="auth-int", algorithm=\#(name)"#,
                nil
            ) { $0.body = nil },
        ]
    }

    @Test(arguments: standards + computed) func `an answer is the RFC's byte for byte`(_ row: DigestRow) {
        #expect(row.actual == row.expected)
    }

    static let bob = plain("", "00000001", "auth", "d6cf5ae55ca943e492334ccb454130c5")
    static let quoting = [
        DigestRow(
            "§3.4: escapes are taken out for the hash and put back for the field",
            #"Digest realm="a\"r\\", nonce="n\"", qop="auth", algorithm="SHA-256", opaque="\o""#,
            #"Digest username="b\"o\\b", realm="a\"r\\", uri="/q\"", algorithm=SHA-256, nonce="n\"", "#
                + #"nc=00000001, cnonce="c0ffee", qop=auth, "#
                + #"response="f974fca3c9d9b127f216bd8803010e0602c4a3af44a153e6658a1cbd0fe695e3", opaque="o""#
        ) {
            $0.user = #"b"o\b"#
            $0.target = #"/q""#
        },
        DigestRow(
            "§3.4: UTF-8 in user and password",
            #"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256, charset="utf-8""#,
            #"Digest username*=UTF-8''J%C3%A4s%C3%B8n, realm="r", uri="/", algorithm=SHA-256, nonce="n", "#
                + #"nc=00000001, cnonce="c0ffee", qop=auth, "#
                + #"response="2afbb1ceca1ff41747124ce6c8f6653bf239b2ed087ebc4d0518bd0b700ee6e0""#
        ) {
            $0.user = "Jäsøn"
            $0.password = "pässword"
        },
        DigestRow(
            "§4: UTF-8 that was not asked for goes as it is",
            #"Digest realm="r", nonce="n", qop="auth""#,
            plain("", "00000001", "auth", "1afe375156c40ecf4a3a01a201d886a9").replacing("bob", with: "Jäsøn")
        ) { $0.user = "Jäsøn" },
        DigestRow(
            "RFC 8187 §3.2.1: what no quoted string may hold",
            #"Digest realm="r", nonce="n", qop="auth""#,
            plain("", "00000001", "auth", "5399213bd95b6da2d5d8458e32b45dd9")
                .replacing(#"username="bob""#, with: "username*=UTF-8''a%0Ab")
        ) { $0.user = "a\nb" },
        DigestRow(
            "absolute-form is hashed as it stands",
            #"Digest realm="r", nonce="n", qop="auth""#,
            plain("", "00000001", "auth", "c629e0e940f624d3662471a211a83c2b")
                .replacing(#"uri="/""#, with: #"uri="http://h/?a=\"b\\""#)
        ) { $0.target = #"http://h/?a="b\"# },
        DigestRow(
            "empty user, password and realm",
            #"Digest realm="", nonce="n", qop="auth""#,
            plain("", "00000001", "auth", "17e1e0c4571758b2002ce42da3e8c826")
                .replacing("bob", with: "").replacing(#"realm="r""#, with: #"realm="""#)
        ) {
            $0.user = ""
            $0.password = ""
        },
        DigestRow(
            "§3.4: eight digits of the count",
            #"Digest realm="r", nonce="n", qop="auth""#,
            plain("", "fffffffe", "auth", "4afd8856e6662398417c660a7ef99501")
        ) { $0.count = 0xFFFF_FFFE },
        DigestRow(
            "an empty opaque goes back",
            #"Digest realm="r", nonce="n", qop="auth", opaque="""#,
            bob + #", opaque="""#
        ),
    ]

    @Test(arguments: quoting) func `quoting is exact`(_ row: DigestRow) {
        #expect(row.actual == row.expected)
    }

    static let challenges = [
        DigestRow("plain", #"Digest realm="r", nonce="n", qop="auth""#, bob),
        DigestRow("§3.3: auth before auth-int", #"Digest realm="r",nonce="n",qop="auth-int,auth""#, bob),
        DigestRow("§3.3: blanks in the list", "Digest realm=r, nonce=n, qop=\" ,auth-int ,\tauth,, \"", bob),
        DigestRow("§3.3: an unknown qop beside one", #"Digest realm="r",nonce="n",qop="x,auth,y""#, bob),
        DigestRow("§3.3: unknown ones only", #"Digest realm="r", nonce="n", qop="authx, xauth""#, nil),
        DigestRow("§3.3: an empty list", #"Digest realm="r", nonce="n", qop="""#, nil),
        DigestRow("§3.3: names in any case", #"dIGEST REALM="r", Nonce="n", QOP="AUTH""#, bob),
        DigestRow("§3.3: an unknown algorithm", #"Digest realm="r", nonce="n", algorithm=SHA-1"#, nil),
        DigestRow("an algorithm by a prefix", #"Digest realm="r", nonce="n", algorithm=MD55"#, nil),
        DigestRow("an empty algorithm", #"Digest realm="r", nonce="n", algorithm="""#, nil),
        DigestRow("-sess without qop", #"Digest realm="r", nonce="n", algorithm=MD5-sess"#, nil),
        DigestRow("no realm", #"Digest nonce="n", qop="auth""#, nil),
        DigestRow("no nonce", #"Digest realm="r", qop="auth""#, nil),
        DigestRow("nothing", "Digest", nil),
        DigestRow("token68", "Digest abc=", nil),
        DigestRow("a realm twice", #"Digest realm="r", nonce="n", Realm="r""#, nil),
        DigestRow(
            "more than is kept",
            #"Digest realm="r", qop="auth", nonce=""# + String(repeating: "n", count: 4096) + #"""#,
            nil
        ),
    ]

    @Test(arguments: challenges) func `what a challenge says is RFC 7616 §3.3`(_ row: DigestRow) {
        #expect(row.actual == row.expected)
    }

    @Test func `a user that is not UTF-8 is not extended`() {
        let digest = Challenges([#"Digest realm="r", nonce="n", qop="auth", charset=UTF-8"#]).digest
        var credential = Credential("", "pw", .digest)
        credential.user = [0x61, 0xE9]
        guard let digest else {
            Issue.record("no challenge")
            return
        }
        #expect(DigestSession(digest, .auth, credential, cnonce: [0x61], serial: 1, .real) == nil)
    }
}
