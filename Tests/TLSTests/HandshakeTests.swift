// HandshakeTests.swift: what a handshake agrees upon, and why it fails; not: whether the peer is trusted.
import COpenSSL
import Model
import TLS
import Testing

private func only(_ version: Int32, _ change: (inout ServerForm) -> Void = { _ in }) -> ServerForm {
    var form = ServerForm()
    form.versionMin = version
    form.versionMax = version
    change(&form)
    return form
}

@Suite struct HandshakeTests {
    @Test(arguments: Cut.all, [TLS1_2_VERSION, TLS1_3_VERSION])
    func `a handshake tells version, cipher, protocol and certificate, however its bytes are cut`(
        cut: Cut,
        version: Int32
    ) {
        let server = Server(only(version) { $0.alpn = "http/1.1" })
        var expected = TLSFacts()
        expected.version = version == TLS1_2_VERSION ? .v12 : .v13
        expected.cipher =
            version == TLS1_2_VERSION ? "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" : "TLS_AES_256_GCM_SHA384"
        expected.alpn = "http/1.1"
        expected.certificateSHA256 = Issued.good.digest
        #expect(outcome(peer(), server, cut: cut) == .success(expected))
        #expect(server.isOpen && server.serverName == "a.example")
    }

    @Test func `a name that is empty is not sent`() {
        let server = Server()
        var identity = peer()
        identity.serverName = []
        #expect(throws: Never.self) { try outcome(identity, server).get() }
        #expect(server.isOpen && server.serverName == "")
    }

    @Test func `the name that is sent need not be the one that is verified`() {
        let server = Server()
        var identity = peer("b.example")
        identity.serverName = Array("front.example".utf8)
        #expect(throws: Never.self) { try outcome(identity, server).get() }
        #expect(server.serverName == "front.example")
    }

    static let choices: [(rule: String, server: ServerForm, settings: TLSIdentity, facts: String)] = [
        ("no protocol offered", ServerForm(alpn: "h2"), peer { $0.alpn = [] }, "TLS_AES_256_GCM_SHA384 "),
        (
            "the second of two", ServerForm(alpn: "x"), peer { $0.alpn = ["http/1.1", "x"] },
            "TLS_AES_256_GCM_SHA384 x"
        ),
        ("a server without any", ServerForm(), peer(), "TLS_AES_256_GCM_SHA384 "),
        (
            "a cipher suite", ServerForm(), peer { $0.cipherSuites = "TLS_CHACHA20_POLY1305_SHA256" },
            "TLS_CHACHA20_POLY1305_SHA256 "
        ),
        (
            "the highest version and a cipher", ServerForm(),
            peer {
                $0.versionMax = .v12
                $0.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"
            }, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 "
        ),
    ]

    @Test(arguments: choices.indices)
    func `versions, ciphers and protocols are chosen among those offered`(index: Int) throws {
        let row = Self.choices[index]
        let facts = try outcome(row.settings, Server(row.server)).get()
        #expect(facts.cipher + " " + facts.alpn == row.facts, "\(row.rule)")
    }

    typealias FailureRow = (
        rule: String, server: ServerForm, identity: TLSIdentity, words: String, blame: TLSFailure.Blame
    )
    static let failures: [FailureRow] = [
        (
            "a protocol that was not offered", ServerForm(alpn: "h3"), peer(),
            "server sent a bad extension, as for a protocol that was not offered", .peer
        ),
        (
            "server's versions too low", only(TLS1_2_VERSION), peer { $0.versionMin = .v13 },
            "server sent alert: protocol version", .either
        ),
        (
            "server's versions too high", only(TLS1_3_VERSION), peer { $0.versionMax = .v12 },
            "server sent alert: protocol version", .either
        ),
        (
            "no cipher in common", only(TLS1_2_VERSION) { $0.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" },
            peer { $0.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }, "server sent alert: handshake failure",
            .either
        ),
        (
            "a certificate is wanted in 1.2", only(TLS1_2_VERSION) { $0.asksForCertificate = true }, peer(),
            "server sent alert: handshake failure", .either
        ),
        (
            "a server without certificate", only(TLS1_2_VERSION) { $0.ciphers = "AECDH-AES256-SHA" },
            peer {
                $0.ciphers = "AECDH-AES256-SHA"
                $0.versionMax = .v12
            }, "no ciphers available", .either
        ),
    ]

    @Test(arguments: failures.indices) func `a failed handshake says why, and who can be at fault`(index: Int)
    {
        let row = Self.failures[index]
        let failure = TLSFailure(.handshake, row.words, blame: row.blame)
        #expect(outcome(row.identity, Server(row.server)) == .failure(failure), "\(row.rule)")
    }

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION]) func `our certificate is shown when it is asked for`(
        version: Int32
    ) {
        let server = Server(only(version) { $0.asksForCertificate = true })
        #expect(throws: Never.self) { try outcome(peer { $0.certificateFile = Files.client }, server).get() }
        #expect(server.isOpen && server.hasClientCertificate)
        let indifferent = Server(only(version))
        #expect(throws: Never.self) {
            try outcome(peer { $0.certificateFile = Files.client }, indifferent).get()
        }
        #expect(indifferent.isOpen && !indifferent.hasClientCertificate)
    }

    @Test func `in 1.3 a server refuses our certificate only after the handshake`() throws {
        var client = TLSClient()
        let server = Server(only(TLS1_3_VERSION) { $0.asksForCertificate = true })
        var way = Way()
        var layer = try connected(&client, server, &way)
        let (_, end) = way.readAll(&layer, server)
        let failure = TLSFailure(.handshake, "server sent alert: certificate required", blame: .either)
        #expect(end == .failed(failure))
        #expect(layer.read(room: 1).verdict == end && layer.write([1].span) == 0)
    }

    @Test func `what is not TLS is said to be none`() throws {
        var client = TLSClient()
        var layer = try client.connect(peer(), scope: [], now: at(0))
        #expect(layer.handshake() == .needsMore)
        let reply = Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
        #expect(layer.received(reply.span) == reply.count)
        let failure = TLSFailure(.handshake, "server does not speak TLS, or sent a broken record")
        #expect(layer.handshake() == .failed(failure))
        #expect(layer.handshake() == .failed(failure))
    }

    @Test(arguments: [0, 3, 500]) func `an end within the handshake is its failure`(after count: Int) throws {
        var client = TLSClient()
        var layer = try client.connect(peer(), scope: [], now: at(0))
        let server = Server()
        #expect(layer.handshake() == .needsMore)
        server.receive(layer.takeOutput())
        let reply = server.take()
        try #require(reply.count > 500)
        #expect(layer.received(reply.span.extracting(first: count)) == count)
        #expect(layer.handshake() == .needsMore)
        layer.endOfInput()
        #expect(
            layer.handshake()
                == .failed(TLSFailure(.handshake, "server closed the connection in the handshake"))
        )
    }

    @Test func `close_notify within the handshake is its failure`() throws {
        var client = TLSClient()
        var layer = try client.connect(peer(), scope: [], now: at(0))
        _ = layer.handshake()
        let alert: [UInt8] = [21, 3, 3, 0, 2, 1, 0]
        _ = layer.received(alert.span)
        #expect(
            layer.handshake()
                == .failed(TLSFailure(.handshake, "server closed the connection in the handshake"))
        )
    }

    static let names: [(name: String, bytes: [UInt8])] = [
        ("NUL", Array("a.example\0.evil".utf8)), ("space", Array("a example".utf8)),
        ("line", Array("a\r\nb".utf8)),
        ("not ASCII", Array("ä.example".utf8)), ("long", [UInt8](repeating: 0x61, count: 256)),
    ]

    @Test(arguments: names.indices) func `what cannot be a name is refused before a byte is sent`(index: Int)
    {
        for isSent in [true, false] {
            var identity = peer()
            if isSent {
                identity.serverName = Self.names[index].bytes
            } else {
                identity.verifyName = Self.names[index].bytes
            }
            guard case .failure(let failure) = outcome(identity, Server()) else {
                Issue.record("\(Self.names[index].name) is taken")
                continue
            }
            #expect(failure.detail.hasPrefix("not a name: "))
        }
    }
}
