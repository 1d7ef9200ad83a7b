// IsolationTests.swift: nothing of one user or server reaches another. Source: SECURITY rows 1 to 7, 11, 24.
import Authentication
import Model
import Testing

@Suite struct IsolationTests {
    /// Accepted once, with Digest and Basic.
    private func accept(_ authenticator: inout Authenticator, _ change: (inout Exchange) -> Void) {
        for challenge in [AuthenticatorTests.md5, AuthenticatorTests.basic] {
            var exchange = Exchange(change)
            if challenge == AuthenticatorTests.basic { exchange.credential.schemes = .basic }
            exchange.begin(&authenticator)
            #expect(exchange.challenged(&authenticator, challenge) == .resubmit)
            exchange.succeeded(&authenticator)
        }
    }

    private func sends(_ authenticator: inout Authenticator, _ change: (inout Exchange) -> Void) -> Bool {
        var exchange = Exchange(change)
        exchange.begin(&authenticator)
        return exchange.value != nil
    }

    private static func origin(_ scheme: Scheme, _ authority: String) -> AuthenticationSpace {
        .origin(scheme, authority: authority.utf8.span)
    }

    @Test func `what one server accepted is sent to no other`() {
        var authenticator = Authenticator()
        let same = Self.origin(.http, "example.org")
        accept(&authenticator) { $0.space = same }
        for authority in ["example.org", "EXAMPLE.org", "example.org:80", "example.org:"] {
            #expect(sends(&authenticator) { $0.space = Self.origin(.http, authority) }, "\(authority)")
        }
        let others = [
            Self.origin(.https, "example.org"), Self.origin(.http, "example.org:443"),
            Self.origin(.http, "example.org:8080"), Self.origin(.http, "www.example.org"),
            Self.origin(.http, "example.com"), Self.origin(.http, ""), Self.origin(.http, ":80"),
            .peer(Array("example.org".utf8)), .peer([]),
        ]
        for other in others { #expect(!sends(&authenticator) { $0.space = other }, "\(other)") }
    }

    @Test func `CVE-2026-7168: what one peer accepted is sent to no other before it asks`() {
        var authenticator = Authenticator()
        accept(&authenticator) { $0.space = .peer([1, 2, 3]) }
        #expect(sends(&authenticator) { $0.space = .peer([1, 2, 3]) })
        #expect(!sends(&authenticator) { $0.space = .peer([1, 2, 4]) })
        #expect(!sends(&authenticator) { $0.space = .peer([1, 2]) })
        #expect(!sends(&authenticator) { $0.space = .peer([1, 2, 3, 4]) })
        // The nonce of one is no answer to the other either.
        var exchange = Exchange { $0.space = .peer([9]) }
        exchange.begin(&authenticator)
        #expect(
            exchange.challenged(&authenticator, #"Digest realm="m", nonce="other", qop="auth""#) == .resubmit
        )
        #expect(exchange.value?.contains(#"nonce="other", nc=00000001"#) == true)
    }

    static let others: [@Sendable (inout Credential) -> Void] = [
        { $0.name = "other" }, { $0.user = Array("eve".utf8) }, { $0.password = Secret("pX") },
        { $0.password = Secret("pw ") }, { $0.password = nil }, { $0.bearerToken = Secret("t") },
        { $0.realm = Array("m".utf8) }, { $0.ntlmDomain = [0x44] }, { $0.schemes = [.digest] },
    ]

    @Test func `CVE-2026-3784: credentials that differ in anything are two users`() {
        let credential = Credential("bob", "pw", [.basic, .digest])
        #expect(credential == Credential("bob", "pw", [.basic, .digest]))
        #expect(credential.hashValue == Credential("bob", "pw", [.basic, .digest]).hashValue)
        var all: Set<Credential> = [credential, Credential("bob", "pw", [.basic, .digest])]
        #expect(all.count == 1)
        var authenticator = Authenticator()
        accept(&authenticator) { $0.credential = credential }
        for change in Self.others {
            var other = credential
            change(&other)
            #expect(other != credential && credential != other)
            all.insert(other)
            #expect(!sends(&authenticator) { $0.credential = other })
        }
        #expect(all.count == 1 + Self.others.count)
        #expect(sends(&authenticator) { $0.credential = credential })
    }

    @Test func `an answer of one side to the other stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var authenticator = Authenticator()
            var exchange = Exchange { $0.space = .peer([1]) }
            exchange.begin(&authenticator)
            let challenges = Challenges([AuthenticatorTests.basic], side: .origin)
            let empty: [UInt8] = []
            let request = AuthenticatedRequest(method: empty.span, target: empty.span, body: empty.span)
            var attempt = AuthenticationAttempt()
            var output = ByteBuffer()
            _ = authenticator.answer(
                challenges.list,
                in: challenges.block.span,
                .peer([1]),
                exchange.credential,
                request,
                &attempt,
                appendingTo: &output
            )
        }
    }

    @Test func `contexts are made for one user at one host`() {
        let credential = Credential("bob", "pw", .negotiate)
        let request = SecurityContextRequest(
            mechanism: .negotiate,
            side: .origin,
            host: [0x61],
            credential: credential
        )
        var all: Set<SecurityContextRequest> = [request]
        for change in Self.others {
            var other = request
            change(&other.credential)
            all.insert(other)
        }
        var other = request
        other.mechanism = .ntlm
        all.insert(other)
        other = request
        other.side = .peer
        all.insert(other)
        other = request
        other.host = [0x62]
        all.insert(other)
        #expect(all.count == 1 + Self.others.count + 3)
    }

    @Test func `the server and user used longest ago are forgotten`() {
        var authenticator = Authenticator(spacesMax: 3)
        func accept(_ name: UInt8) {
            var exchange = Exchange { $0.space = .peer([name]) }
            exchange.begin(&authenticator)
            _ = exchange.challenged(&authenticator, AuthenticatorTests.md5)
            exchange.succeeded(&authenticator)
        }
        for name in [1, 2, 3] as [UInt8] { accept(name) }
        #expect(sends(&authenticator) { $0.space = .peer([1]) })
        accept(4)
        #expect(authenticator.spaceCount == 3)
        #expect(!sends(&authenticator) { $0.space = .peer([2]) })
        for name in [1, 3, 4] as [UInt8] { #expect(sends(&authenticator) { $0.space = .peer([name]) }) }
        accept(5)
        #expect(!sends(&authenticator) { $0.space = .peer([1]) })
        for name in 0..<200 as Range<UInt8> { accept(name) }
        #expect(authenticator.spaceCount == 3)
        authenticator.removeAll()
        #expect(authenticator.spaceCount == 0)
        #expect(!sends(&authenticator) { $0.space = .peer([199]) })
        accept(7)
        #expect(sends(&authenticator) { $0.space = .peer([7]) })
    }

    @Test(arguments: 0..<16) func `order of use decides who is forgotten`(seed: UInt64) {
        var random = Seeded(state: seed)
        var authenticator = Authenticator(spacesMax: 4)
        var order: [UInt8] = []
        for _ in 0..<300 {
            let name = UInt8.random(in: 0..<8, using: &random)
            var exchange = Exchange { $0.space = .peer([name]) }
            exchange.begin(&authenticator)
            #expect((exchange.value != nil) == order.contains(name))
            if exchange.value == nil { _ = exchange.challenged(&authenticator, AuthenticatorTests.md5) }
            exchange.succeeded(&authenticator)
            order.removeAll { $0 == name }
            order.append(name)
            if order.count > 4 { order.removeFirst() }
        }
    }

    @Test func `many realms of one server do not push out the limit`() {
        var authenticator = Authenticator()
        for number in 0..<50 {
            var exchange = Exchange { $0.target = "/\(number)/x" }
            exchange.begin(&authenticator)
            _ = exchange.challenged(
                &authenticator,
                #"Digest realm="\#(number)", nonce="n", domain="/\#(number)/""#
            )
            exchange.succeeded(&authenticator)
        }
        #expect(authenticator.spaceCount == 1)
        let kept = (0..<50).filter { number in sends(&authenticator) { $0.target = "/\(number)/x" } }
        #expect(kept == Array(42..<50))
    }

    @Test func `no secret is printed`() {
        let canary = "kanarienvogel"
        var credential = Credential("bob", canary, .all)
        credential.bearerToken = Secret(canary)
        var authenticator = Authenticator()
        var exchange = Exchange { $0.credential = credential }
        exchange.begin(&authenticator)
        _ = exchange.challenged(&authenticator, AuthenticatorTests.sha256)
        let request = SecurityContextRequest(
            mechanism: .ntlm,
            side: .peer,
            host: [0x61],
            credential: credential
        )
        var text = "\(credential) \(exchange.attempt) \(request) \([credential.password])"
        text +=
            String(reflecting: credential) + String(reflecting: exchange.attempt)
            + String(reflecting: request)
        dump(credential, to: &text)
        dump(exchange.attempt, to: &text)
        dump(request, to: &text)
        #expect(!text.contains(canary))
        #expect(!text.contains(sha256("bob:s:\(canary)")))
        #expect(text.contains("<secret>") && text.contains("test"))
    }
}
