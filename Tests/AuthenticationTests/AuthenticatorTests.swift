// AuthenticatorTests.swift: which challenge is answered, with what, and for whom it is remembered.
// Source: RFC 9110 §11; RFC 7617 §2; RFC 6750 §2.1; RFC 7616 §3.3; SECURITY rows 1 to 7 and 24.
import Authentication
import Model
import Testing

struct ChoiceRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var values: [String]
    var schemes: AuthenticationSchemes
    /// Start of the value, or what else is done.
    var expected: String
    var change: @Sendable (inout Exchange) -> Void

    init(
        _ rule: String,
        _ values: [String],
        _ schemes: AuthenticationSchemes,
        _ expected: String,
        _ change: @escaping @Sendable (inout Exchange) -> Void = { _ in }
    ) {
        self.rule = rule
        self.values = values
        self.schemes = schemes
        self.expected = expected
        self.change = change
    }

    var testDescription: String { rule }
}

extension AuthenticationSchemes {
    static let all: AuthenticationSchemes = [.basic, .digest, .bearer, .negotiate, .ntlm]
}

@Suite struct AuthenticatorTests {
    static let basic = "Basic realm=b"
    static let md5 = #"Digest realm="m", nonce="n", qop="auth", algorithm=MD5"#
    static let sha256 = #"Digest realm="s", nonce="n", qop="auth", algorithm=SHA-256"#
    static let sha512 = #"Digest realm="l", nonce="n", qop="auth", algorithm=SHA-512-256"#
    static let integrity = #"Digest realm="i", nonce="n", qop="auth-int", algorithm=SHA-256"#

    static let choices = [
        ChoiceRow(
            "the strongest of all",
            [basic, md5, "NTLM", "Bearer", sha256, "Negotiate", sha512],
            .all,
            "context negotiate "
        ),
        ChoiceRow(
            "without Negotiate: the token",
            [basic, md5, "NTLM", "Bearer", sha512],
            .all,
            "Bearer abc"
        ),
        ChoiceRow(
            "then SHA-512-256",
            [basic, md5, sha512, "NTLM", sha256],
            .all,
            #"Digest username="bob", realm="l""#
        ),
        ChoiceRow(
            "then SHA-256",
            [md5 + "," + sha256 + "," + basic],
            .all,
            #"Digest username="bob", realm="s""#
        ),
        ChoiceRow("then MD5", ["NTLM, " + basic + ", " + md5], .all, #"Digest username="bob", realm="m""#),
        ChoiceRow("then NTLM", [basic, "NTLM"], .all, "context ntlm "),
        ChoiceRow("then Basic", [basic], .all, "Basic Ym9iOnB3"),
        ChoiceRow(
            "of equal ones the first",
            [#"Digest realm="1", nonce="n""#, md5],
            .all,
            #"Digest username="bob", realm="1""#
        ),
        ChoiceRow(
            "only what the credential permits",
            [basic, md5, "NTLM", "Negotiate"],
            .basic,
            "Basic Ym9iOnB3"
        ),
        ChoiceRow(
            "nothing that it does not permit",
            [basic, "Negotiate"],
            [.digest, .ntlm],
            "noPermittedScheme"
        ),
        ChoiceRow("only schemes that nobody knows", ["X, Y a=b"], .all, "noChallenge"),
        ChoiceRow("no challenge", [], .all, "noChallenge"),
        ChoiceRow("a broken one gives way to a weaker one", [sha256 + " x", basic], .all, "Basic Ym9iOnB3"),
        ChoiceRow("only a broken one", [sha256 + " x"], .all, "noChallenge"),
        ChoiceRow(
            "an algorithm that nobody knows gives way",
            [#"Digest realm="x", nonce="n", algorithm=SHA-3"#, md5],
            .all,
            #"Digest username="bob", realm="m""#
        ),
        ChoiceRow(
            "an algorithm that nobody knows, alone",
            [#"Digest realm="x", nonce="n", algorithm=SHA-3"#],
            .all,
            "noChallenge"
        ),
        ChoiceRow(
            "auth-int gives way when the body is not held",
            [integrity, md5],
            .all,
            #"Digest username="bob", realm="m""#
        ) { $0.body = nil },
        ChoiceRow("auth-int alone, body not held", [integrity, "X"], .all, "bodyNotHeld") { $0.body = nil },
        ChoiceRow("auth-int, body held", [integrity, md5], .all, #"Digest username="bob", realm="i""#),
        ChoiceRow("a realm of the credential's own", [sha512, basic], .all, "Basic Ym9iOnB3") {
            $0.credential.realm = Array("b".utf8)
        },
        ChoiceRow("no realm of its own", [sha512, basic, "Negotiate", "NTLM"], .all, "otherRealm") {
            $0.credential.realm = Array("B".utf8)
        },
        ChoiceRow("an empty realm is a realm", ["Bearer", #"Basic realm="""#], .basic, "Basic Ym9iOnB3") {
            $0.credential.realm = []
        },
        ChoiceRow("RFC 7617 §2: a user with a colon", [basic], .basic, "unusableCredential") {
            $0.credential.user = Array("a:b".utf8)
        },
        ChoiceRow("RFC 7617 §2: a control in the user", [basic], .basic, "unusableCredential") {
            $0.credential.user = [0x61, 0x0A]
        },
        ChoiceRow("RFC 7617 §2: a control in the password", [basic], .basic, "unusableCredential") {
            $0.credential.password = Secret("a\r\nb")
        },
        ChoiceRow("RFC 7617 §2: a tab in the password", [basic], .basic, "unusableCredential") {
            $0.credential.password = Secret("a\tb")
        },
        ChoiceRow("a user with a colon in Digest", [basic, md5], .all, #"Digest username="a:b", realm="m""#) {
            $0.credential.user = Array("a:b".utf8)
        },
        ChoiceRow("no password", [basic, md5], .all, "unusableCredential") { $0.credential.password = nil },
        ChoiceRow("an empty password", [basic], .all, "Basic Ym9iOg==") {
            $0.credential.password = Secret("")
        },
        ChoiceRow(
            "RFC 7617 §2.1: UTF-8",
            [#"Basic realm="foo", charset="UTF-8""#],
            .basic,
            "Basic dGVzdDoxMjPCow=="
        ) {
            $0.credential = Credential("test", "123£", .basic)
        },
        ChoiceRow("RFC 7617 §2: Aladdin", ["Basic realm=x"], .basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") {
            $0.credential = Credential("Aladdin", "open sesame", .basic)
        },
        ChoiceRow("RFC 6750 §2.1: every byte of b64token", ["Bearer"], .bearer, "Bearer aZ09-._~+/==") {
            $0.credential.bearerToken = Secret("aZ09-._~+/==")
        },
        ChoiceRow("RFC 6750 §2.1: a token with a space", ["Bearer"], .bearer, "unusableCredential") {
            $0.credential.bearerToken = Secret("a b")
        },
        ChoiceRow("RFC 6750 §2.1: a token that splits the message", ["Bearer"], .bearer, "unusableCredential")
        { $0.credential.bearerToken = Secret("a\r\nb") },
        ChoiceRow("RFC 6750 §2.1: an empty token", ["Bearer"], .bearer, "unusableCredential") {
            $0.credential.bearerToken = Secret("")
        },
        ChoiceRow("no token", ["Bearer", basic], .all, "Basic Ym9iOnB3") { $0.credential.bearerToken = nil },
        ChoiceRow("a token of a context before ours is not taken", ["NTLM TlRM"], .all, "context ntlm "),
        ChoiceRow("base64 that is none", ["NTLM TlR"], .all, "badToken"),
    ]

    @Test(arguments: choices, [AuthenticationSide.origin, .peer])
    func `the best challenge that the credential can answer is answered`(
        _ row: ChoiceRow,
        _ side: AuthenticationSide
    ) {
        var authenticator = Authenticator()
        var exchange = Exchange {
            if side == .peer { $0.space = .peer([1, 2, 3]) }
            $0.credential = Credential("bob", "pw", row.schemes)
            $0.credential.bearerToken = Secret("abc")
            row.change(&$0)
            $0.credential.schemes = row.schemes
        }
        exchange.begin(&authenticator)
        #expect(exchange.value == nil)
        let challenges = row.values.joined(separator: ", ")
        let actual: String
        switch exchange.challenged(&authenticator, challenges) {
        case .resubmit: actual = exchange.value ?? ""
        case .none(let reason): actual = "\(reason)"
        case .securityContext(let step):
            actual = "context \(step.mechanism) " + String(decoding: step.input, as: UTF8.self)
        }
        #expect(actual == row.expected || actual.hasPrefix(row.expected) && row.expected.hasPrefix("Digest "))
    }

    @Test func `Basic goes to everything below the path that took it`() {
        var authenticator = Authenticator()
        func value(_ target: String, _ authenticator: inout Authenticator) -> String? {
            var exchange = Exchange { $0.target = target }
            exchange.begin(&authenticator)
            return exchange.value
        }
        var first = Exchange { $0.target = "/a/b/c?q=/x/y" }
        first.begin(&authenticator)
        #expect(first.challenged(&authenticator, Self.basic) == .resubmit)
        // Nothing is accepted yet.
        #expect(value("/a/b/c", &authenticator) == nil)
        first.succeeded(&authenticator)
        for target in ["/a/b/", "/a/b/c", "/a/b/c/d/e?f", "/a/b/?x", "http://example.org/a/b/c"] {
            #expect(value(target, &authenticator) == "Basic Ym9iOnB3", "\(target)")
        }
        for target in [
            "/", "/a/", "/a/b", "/a/bb/", "/A/b/c", "*", "example.org:443", "http://example.org", "?/a/b/",
        ] {
            #expect(value(target, &authenticator) == nil, "\(target)")
        }
        var second = Exchange { $0.target = "http://example.org" }
        second.begin(&authenticator)
        #expect(second.challenged(&authenticator, Self.basic) == .resubmit)
        second.succeeded(&authenticator)
        for target in ["/", "/a/", "http://example.org", "http://example.org?x"] {
            #expect(value(target, &authenticator) != nil, "\(target)")
        }
        #expect(value("*", &authenticator) == nil)
    }

    @Test func `a refused secret is not sent twice, and is no longer sent unasked`() {
        for (schemes, challenge) in [
            (AuthenticationSchemes.basic, Self.basic), (.bearer, "Bearer realm=x, error=\"invalid_token\""),
        ] {
            var authenticator = Authenticator()
            func make() -> Exchange {
                Exchange {
                    $0.credential = Credential("bob", "pw", schemes)
                    $0.credential.bearerToken = Secret("abc")
                }
            }
            var first = make()
            first.begin(&authenticator)
            #expect(first.challenged(&authenticator, challenge) == .resubmit)
            first.succeeded(&authenticator)
            var second = make()
            second.begin(&authenticator)
            #expect(second.value != nil)
            #expect(second.challenged(&authenticator, challenge) == .none(.rejected))
            var third = make()
            third.begin(&authenticator)
            #expect(third.value == nil)
            #expect(third.challenged(&authenticator, challenge) == .resubmit)
            #expect(third.challenged(&authenticator, challenge) == .none(.rejected))
        }
    }

    static let domains: [(String, covered: [String], not: [String])] = [
        ("", ["/", "/x", "*"], []),
        (" ", ["/", "/x"], []),
        ("/a /b/", ["/a", "/ab", "/a/c?d", "/b/", "http://example.org/a"], ["/", "/b", "/c/a", "*"]),
        ("http://example.org/a", ["/a", "/a/b"], ["/", "/b"]),
        ("HTTP://EXAMPLE.ORG:80/a", ["/a", "/a/b"], ["/", "/b"]),
        ("http://example.org", ["/", "/b"], []),
        ("https://example.org/", [], ["/", "/b"]),
        ("http://example.com/ http://example.org.evil/ //example.org/x", [], ["/", "/b"]),
        ("http://user@example.org/", [], ["/"]),
    ]

    @Test(arguments: domains)
    func `Digest goes to what the domain names on the same server`(
        domain: String,
        covered: [String],
        not: [String]
    ) {
        var authenticator = Authenticator()
        var first = Exchange { $0.target = "/somewhere" }
        first.begin(&authenticator)
        #expect(first.challenged(&authenticator, Self.md5 + #", domain="\#(domain)""#) == .resubmit)
        first.succeeded(&authenticator)
        for (targets, isCovered) in [(covered, true), (not, false)] {
            for target in targets {
                var exchange = Exchange { $0.target = target }
                exchange.begin(&authenticator)
                #expect((exchange.value != nil) == isCovered, "\(target)")
            }
        }
        // RFC 7616 §3.3: no meaning with a peer.
        var peer = Exchange { $0.space = .peer([1]) }
        peer.begin(&authenticator)
        #expect(peer.challenged(&authenticator, Self.md5 + #", domain="\#(domain)""#) == .resubmit)
        peer.succeeded(&authenticator)
        for target in covered + not + ["example.org:443"] {
            var exchange = Exchange { ($0.space, $0.target) = (.peer([1]), target) }
            exchange.begin(&authenticator)
            #expect(exchange.value != nil, "\(target)")
        }
    }

    @Test func `of several realms the one nearest to the path is used`() {
        var authenticator = Authenticator()
        for (target, challenge) in [
            ("/a/x", Self.md5), ("/a/b/x", Self.sha256), ("/c/x", Self.basic),
            ("/c/d/x", "Basic realm=other"),
        ] {
            var exchange = Exchange { $0.target = target }
            exchange.begin(&authenticator)
            _ = exchange.challenged(&authenticator, challenge)
            exchange.succeeded(&authenticator)
        }
        for (target, realm) in [("/a/y", "m"), ("/a/b/y", "s"), ("/a/b/c/y", "s"), ("/a/y", "m")] {
            var exchange = Exchange { $0.target = target }
            exchange.begin(&authenticator)
            #expect(exchange.value?.contains(#"realm="\#(realm)""#) == true, "\(target)")
        }
        for target in ["/c/y", "/c/d/y"] {
            var exchange = Exchange { $0.target = target }
            exchange.begin(&authenticator)
            #expect(exchange.value == "Basic Ym9iOnB3", "\(target)")
        }
    }
}
