// VerificationTests.swift: who is accepted as a peer, and what is said of those who are not.
import COpenSSL
import Model
import TLS
import Testing

/// A peer and a wish, with the failure's words; nil: accepted.
struct Row: CustomTestStringConvertible, Sendable {
    let rule: String
    let server: ServerForm
    let identity: TLSIdentity
    let words: String?
    var kind = TLSFailure.Kind.verify

    init(
        _ rule: String,
        _ server: Credential,
        chain: [Credential] = [],
        for identity: TLSIdentity = peer(),
        _ words: String?
    ) {
        self.rule = rule
        self.server = ServerForm(identity: server, chain: chain)
        self.identity = identity
        self.words = words
    }

    var testDescription: String { rule }

    func holds(version: Int32) -> Bool {
        var form = server
        form.versionMin = version
        form.versionMax = version
        switch outcome(identity, Server(form)) {
        case .success: return words == nil
        case .failure(let failure):
            if words.map({ failure.detail.contains($0) }) == true && failure.kind == kind { return true }
            Issue.record("\(rule): \(failure)")
            return false
        }
    }
}

@Suite struct VerificationTests {
    static let trustsNobody = peer { $0.trust = .anyone }

    static let rows = [
        Row("a name among the certificate's", Issued.good, nil),
        Row("another name among them", Issued.good, for: peer("b.example"), nil),
        Row("names are compared without case", Issued.good, for: peer("A.EXAMPLE"), nil),
        Row("an address in version 4", Issued.good, for: peer("192.0.2.1"), nil),
        Row("an address in version 6", Issued.good, for: peer("2001:db8:0:0::1"), nil),
        Row("a chain with an issuer in between", Issued.underMiddle, chain: [Issued.middle], nil),
        Row("a wildcard stands for a label", Issued.good, for: peer("x.wild.example"), nil),
        Row(
            "RFC 9525 §6.3: the dot of the root is no part of a name",
            Issued.good,
            for: peer("b.example."),
            nil
        ),
        Row(
            "a leading dot does not stand for every name below",
            Issued.good,
            for: peer(".wild.example"),
            #"not a name: ".wild.example""#
        ),
        Row("an empty label is none", Issued.good, for: peer("b..example"), #"not a name: "b..example""#),
        Row(
            "a wildcard stands for one label only",
            Issued.good,
            for: peer("x.y.wild.example"),
            #"wrong name: certificate is not for "x.y.wild.example"; subject CN=good"#
        ),
        Row(
            "a wildcard stands for a label, not for none",
            Issued.good,
            for: peer("wild.example"),
            #"wrong name: certificate is not for "wild.example""#
        ),
        Row(
            "a wildcard within a label is none",
            Issued.partialWildcard,
            for: peer("ww.wild.example"),
            "wrong name"
        ),
        Row(
            "a wildcard needs two labels after it",
            Issued.partialWildcard,
            for: peer("a.example"),
            "wrong name"
        ),
        Row(
            "another name",
            Issued.good,
            for: peer("c.example"),
            #"wrong name: certificate is not for "c.example"; subject CN=good"#
        ),
        Row("another address", Issued.good, for: peer("192.0.2.2"), #"not for "192.0.2.2""#),
        Row("another address in version 6", Issued.good, for: peer("2001:db8::2"), #"not for "2001:db8::2""#),
        Row(
            "an address is not looked for among DNS names",
            Issued.partialWildcard,
            for: peer("192.0.2.1"),
            "wrong name"
        ),
        Row(
            "what can only be an address is not taken for a name",
            Issued.good,
            for: peer("300.0.2.1"),
            "not a name or address"
        ),
        Row("a common name is no name", Issued.withoutNames, "wrong name"),
        Row("a NUL in a name does not end it", Issued.withNUL, "wrong name"),
        Row("expired", Issued.expired, "certificate has expired; subject CN=expired"),
        Row("not yet valid", Issued.early, "certificate is not yet valid; subject CN=early"),
        Row(
            "an expired issuer",
            Issued.underExpired,
            chain: [Issued.expiredMiddle],
            "issuer's certificate has expired; subject CN=Expired Middle"
        ),
        Row("an unknown issuer", Issued.unknown, "unknown issuer; subject CN=unknown"),
        Row("a missing issuer", Issued.underMiddle, "unknown issuer; subject CN=under middle"),
        Row(
            "an untrusted root that is sent along",
            Issued.unknown,
            chain: [Issued.otherRoot],
            "unknown issuer: the chain ends in an untrusted root; subject CN=Other Root"
        ),
        Row("self-signed", Issued.selfSigned, "certificate is self-signed; subject CN=self-signed"),
        Row(
            "a certificate for clients",
            Issued.forClients,
            "certificate is refused: unsuitable certificate purpose"
        ),
        Row(
            "a subject's control characters are escaped",
            Issued.hostile,
            #"unknown issuer; subject CN=evil\0D\0A\1B[2J\C3\BCxxx"#
        ),
        Row(
            "a key too short for security level 2",
            Issued.weak,
            "certificate is refused: EE certificate key too weak; subject CN=weak"
        ),
        Row("no name to verify", Issued.good, for: peer(""), "no name to verify"),
        Row("trust in nobody takes anybody", Issued.selfSigned, for: trustsNobody, nil),
        Row("trust in nobody takes the expired", Issued.expired, for: trustsNobody, nil),
        Row(
            "trust in nobody asks for no name",
            Issued.good,
            for: TLSIdentity(settings: trustsNobody.settings, serverName: [], verifyName: []),
            nil
        ),
    ]

    @Test(arguments: rows, [TLS1_2_VERSION, TLS1_3_VERSION])
    func `a peer is accepted by chain, time and name, or refused in words`(_ row: Row, version: Int32) {
        #expect(row.holds(version: version))
    }

    static let pinRows = [
        Row(
            "the peer's key",
            Issued.underMiddle,
            chain: [Issued.middle],
            for: pinned(Issued.underMiddle),
            nil
        ),
        Row("an issuer's key", Issued.underMiddle, chain: [Issued.middle], for: pinned(Issued.middle), nil),
        Row(
            "the root's key, which is not sent",
            Issued.underMiddle,
            chain: [Issued.middle],
            for: pinned(Issued.root),
            nil
        ),
        Row("one of several", Issued.good, for: pinned(Issued.otherRoot, Issued.good), nil),
        Row(
            "a key of nobody in the chain",
            Issued.good,
            for: pinned(Issued.middle),
            "no public key of the chain is pinned; subject CN=good"
        ),
        Row(
            "a certificate that is sent but not in the chain",
            Issued.good,
            chain: [Issued.otherRoot],
            for: pinned(Issued.otherRoot),
            "no public key of the chain is pinned"
        ),
        Row(
            "trust in nobody, the peer's key",
            Issued.selfSigned,
            for: pinned(Issued.selfSigned, trust: .anyone),
            nil
        ),
        Row(
            "trust in nobody, another key",
            Issued.selfSigned,
            for: pinned(Issued.good, trust: .anyone),
            "the public key is not pinned; subject CN=self-signed"
        ),
        Row(
            "trust in nobody, an issuer's key proves nothing",
            Issued.underMiddle,
            chain: [Issued.middle],
            for: pinned(Issued.middle, trust: .anyone),
            "the public key is not pinned"
        ),
        Row(
            "a pinned key does not make up for the name",
            Issued.good,
            for: pinned(Issued.good, name: "c.example"),
            "wrong name"
        ),
        Row(
            "a pinned key does not make up for the issuer",
            Issued.unknown,
            for: pinned(Issued.unknown),
            "unknown issuer"
        ),
    ]

    static func pinned(
        _ pins: Credential...,
        trust: TLSTrust = .file(Files.root),
        name: String = "a.example"
    ) -> TLSIdentity {
        peer(name) {
            $0.trust = trust
            $0.pins = pins.map(\.pin)
        }
    }

    @Test(arguments: pinRows, [TLS1_2_VERSION, TLS1_3_VERSION])
    func `one key of the verified chain has to be pinned`(_ row: Row, version: Int32) {
        #expect(row.holds(version: version))
    }

    @Test func `the server hears why it is refused`() {
        let server = Server(ServerForm(identity: Issued.expired))
        _ = outcome(peer(), server)
        #expect(server.failure == "sslv3 alert certificate expired")
    }

    @Test func `a failure's words end at 200 bytes`() {
        let subject = Issued.longName
        let name = String(repeating: "n", count: 60) + "." + String(repeating: "m", count: 60) + ".example"
        let server = Server(ServerForm(identity: Issued.longSubject))
        let reason = "wrong name: certificate is not for \"" + name.prefix(100) + "\"; subject CN=" + subject
        let words = TLSFailure(.verify, String(reason.prefix(200)))
        #expect(reason.utf8.count > 200 && outcome(peer(name), server) == .failure(words))
    }
}
