// SessionTests.swift: which sessions are resumed, and which never.
import COpenSSL
import Model
import Testing

@testable import TLS

private let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

private func only(_ version: Int32) -> ServerForm { ServerForm(versionMin: version, versionMax: version) }

/// One field of what a session is bound to, changed so that the handshake still succeeds.
private struct Difference: CustomTestStringConvertible, Sendable {
    let field: String
    /// Versions in which both identities can be spoken.
    var versions = [TLS1_2_VERSION, TLS1_3_VERSION]
    let change: @Sendable (inout TLSIdentity, inout [UInt8]) -> Void

    var testDescription: String { field }
}

@Suite struct SessionTests {
    /// An identity in which every field says something, so that each can be changed.
    static let base = peer {
        $0.certificateFile = Files.client
        $0.pins = [Issued.good.pin]
        $0.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"
        $0.cipherSuites = "TLS_AES_256_GCM_SHA384"
    }

    private static let differences = [
        Difference(field: "trust") { identity, _ in identity.settings.trust = .anyone },
        Difference(field: "certificateFile") { identity, _ in identity.settings.certificateFile = "" },
        Difference(field: "keyFile") { identity, _ in identity.settings.keyFile = Files.client },
        Difference(field: "versionMin", versions: [TLS1_3_VERSION]) { identity, _ in
            identity.settings.versionMin = .v13
        },
        Difference(field: "versionMax", versions: [TLS1_2_VERSION]) { identity, _ in
            identity.settings.versionMax = .v12
        },
        Difference(field: "ciphers") { identity, _ in
            identity.settings.ciphers += ":ECDHE-ECDSA-AES128-GCM-SHA256"
        },
        Difference(field: "cipherSuites") { identity, _ in
            identity.settings.cipherSuites += ":TLS_AES_128_GCM_SHA256"
        },
        Difference(field: "alpn") { identity, _ in identity.settings.alpn = [] },
        Difference(field: "pins") { identity, _ in identity.settings.pins.append(Issued.root.pin) },
        Difference(field: "requiresStaple") { identity, _ in identity.settings.requiresStaple = true },
        Difference(field: "serverName") { identity, _ in identity.serverName = Array("b.example".utf8) },
        Difference(field: "verifyName") { identity, _ in identity.verifyName = Array("b.example".utf8) },
        Difference(field: "scope") { _, scope in scope.append(0) },
    ]

    @Test func `the table of differences names every field`() {
        let settings = Mirror(reflecting: TLSSettings()).children.compactMap(\.label)
        let names = Mirror(reflecting: Self.base).children.compactMap(\.label).filter { $0 != "settings" }
        #expect(Set(settings + names + ["scope"]) == Set(Self.differences.map(\.field)))
        let key = SessionKey(identity: Self.base, scope: [])
        #expect(Mirror(reflecting: key).children.compactMap(\.label) == ["identity", "scope"])
    }

    @Test(arguments: differences, versions) private func `no session crosses from one identity to another`(
        row: Difference,
        version: Int32
    ) throws {
        guard row.versions.contains(version) else { return }
        var form = only(version)
        form.staple = StapleForm().bytes(about: Issued.good, signedBy: Issued.root)
        let context = ServerContext(form)
        var (other, otherScope) = (Self.base, [UInt8(1)])
        row.change(&other, &otherScope)
        #expect(other != Self.base || otherScope != [1])

        var client = TLSClient()
        func isResumed(_ identity: TLSIdentity, _ scope: [UInt8]) throws -> Bool {
            try outcome(&client, identity, scope: scope, Server(context)).get().isResumed
        }
        #expect(try !isResumed(Self.base, [1]))
        #expect(try isResumed(Self.base, [1]))
        #expect(try !isResumed(other, otherScope))
        #expect(try isResumed(other, otherScope))
        #expect(try isResumed(Self.base, [1]))
    }

    @Test(arguments: Cut.all, versions) func `a resumed session tells so, and the same certificate`(
        cut: Cut,
        version: Int32
    ) throws {
        let context = ServerContext(only(version))
        var client = TLSClient()
        var expected = try outcome(&client, peer(), Server(context), cut: cut).get()
        expected.isResumed = true
        for _ in 0..<5 { #expect(outcome(&client, peer(), Server(context), cut: cut) == .success(expected)) }
    }

    @Test func `a ticket of 1.3 is used once, a session of 1.2 while it lasts`() throws {
        for (version, before, after) in [(TLS1_3_VERSION, 2, 0), (TLS1_2_VERSION, 1, 1)] {
            let context = ServerContext(only(version))
            var client = TLSClient()
            _ = try outcome(&client, peer(), Server(context)).get()
            #expect(client.sessionCount == before)
            // Three at a time: with two tickets, the third shakes hands in full.
            var resumed = 0
            for _ in 0..<3 {
                var layer = try client.connect(peer(), scope: [], now: at(0))
                var way = Way()
                guard case .done(let facts) = way.handshake(&layer, Server(context)) else { continue }
                resumed += facts.isResumed ? 1 : 0
            }
            #expect(resumed == (version == TLS1_3_VERSION ? 2 : 3) && client.sessionCount == after)
        }
    }

    @Test(arguments: versions) func `a session that the server has forgotten costs nothing but itself`(
        version: Int32
    ) throws {
        let context = ServerContext(only(version))
        var client = TLSClient()
        _ = try outcome(&client, peer(), Server(context)).get()
        context.forgetSessions()
        #expect(try !outcome(&client, peer(), Server(context)).get().isResumed)
        if version == TLS1_2_VERSION { #expect(client.sessionCount == 1) }
        #expect(try outcome(&client, peer(), Server(context)).get().isResumed)
    }

    @Test(arguments: versions) func `of a refused peer nothing is kept`(version: Int32) throws {
        var client = TLSClient()
        for identity in [
            peer("c.example"), peer { $0.pins = [Issued.root.pin.reversed()] },
            peer { $0.requiresStaple = true },
        ] {
            guard case .failure = outcome(&client, identity, Server(only(version))) else {
                Issue.record("not refused")
                continue
            }
            #expect(client.sessionCount == 0)
        }
        var form = only(version)
        form.alpn = "h3"
        _ = outcome(&client, peer(), Server(form))
        #expect(client.sessionCount == 0)
    }

    @Test(arguments: versions) func `an end without close_notify does not cost the session`(
        version: Int32
    ) throws {
        let context = ServerContext(only(version))
        var client = TLSClient()
        for round in 0..<3 {
            let server = Server(context)
            var layer = try client.connect(peer(), scope: [], now: at(0))
            var way = Way()
            guard case .done(let facts) = way.handshake(&layer, server) else { return #expect(Bool(false)) }
            #expect(facts.isResumed == (round > 0))
            _ = way.readAll(&layer, server)
            layer.endOfInput()
            #expect(layer.read(room: 1).verdict == .truncated)
        }
    }

    @Test func `a fatal alert costs the session that was used`() throws {
        let context = ServerContext(only(TLS1_2_VERSION))
        var client = TLSClient()
        _ = try outcome(&client, peer(), Server(context)).get()
        let server = Server(context)
        var way = Way()
        var layer = try connected(&client, server, &way)
        server.inject([21, 3, 3, 0, 2, 2, 40])
        _ = way.readAll(&layer, server)
        #expect(try !outcome(&client, peer(), Server(context)).get().isResumed)
    }

    // The cache by itself.

    private let keys = (0..<4).map { SessionKey(identity: peer(), scope: [$0]) }

    private func session(
        context: Int = 1,
        until: Int64 = 100,
        version: Int32 = TLS1_3_VERSION,
        id: [UInt8] = [1]
    ) -> Session {
        // SAFETY: a session of its own, with what makes it resumable.
        let session = unsafe made(SSL_SESSION_new())
        unsafe SSL_SESSION_set1_id(session, id, UInt32(id.count))
        unsafe SSL_SESSION_set_protocol_version(session, version)
        return unsafe Session(owning: session, context: context, usableUntil: until)
    }

    @Test func `the newest is taken first, and a key keeps its newest`() {
        let cache = SessionCache(keysMax: 4, perKeyMax: 3, countMax: 12)
        let sessions = (0..<5).map { _ in session() }
        for session in sessions { cache.store(session, for: keys[0]) }
        #expect(cache.count == 3)
        for expected in sessions.suffix(3).reversed() {
            #expect(cache.take(keys[0], context: 1, at: 0) === expected)
        }
        #expect(cache.take(keys[0], context: 1, at: 0) == nil && cache.count == 0)
    }

    @Test func `a session of 1.2 stays until it is removed`() {
        let cache = SessionCache(keysMax: 4, perKeyMax: 3, countMax: 12)
        let one = session(version: TLS1_2_VERSION)
        cache.store(one, for: keys[0])
        for _ in 0..<3 { #expect(cache.take(keys[0], context: 1, at: 0) === one) }
        cache.remove(one, for: keys[1])
        #expect(cache.count == 1)
        cache.remove(one, for: keys[0])
        #expect(cache.take(keys[0], context: 1, at: 0) == nil)
    }

    @Test func `what has ended or belongs to another context is dropped`() {
        let cache = SessionCache(keysMax: 4, perKeyMax: 3, countMax: 12)
        cache.store(session(), for: keys[0])
        #expect(cache.take(keys[0], context: 2, at: 0) == nil && cache.count == 0)
        cache.store(session(until: 100), for: keys[0])
        #expect(cache.take(keys[0], context: 1, at: 100) == nil && cache.count == 0)
        // Without id and ticket there is nothing to offer; an older one is taken.
        let older = session()
        cache.store(older, for: keys[0])
        cache.store(session(id: []), for: keys[0])
        #expect(cache.take(keys[0], context: 1, at: 0) === older && cache.count == 0)
        cache.store(session(context: 1), for: keys[0])
        cache.store(session(context: 2), for: keys[0])
        cache.removeAll(context: 2)
        #expect(cache.count == 1 && cache.take(keys[0], context: 1, at: 99) != nil)
    }

    @Test(arguments: 0..<32) func `keys and sessions are dropped in the order of their last use`(seed: UInt64)
    {
        let countMax = seed % 2 == 0 ? 6 : 4
        let cache = SessionCache(keysMax: 3, perKeyMax: 2, countMax: countMax)
        let keys = (0..<8).map { SessionKey(identity: peer(), scope: [$0]) }
        // The same in the plainest way: keys in order of use, with their sessions.
        var model: [(key: SessionKey, sessions: [Session])] = []
        var random = Seeded(state: seed)
        for _ in 0..<300 {
            let key = keys[Int.random(in: 0..<8, using: &random)]
            let place = model.firstIndex { $0.key == key }
            var entry = place.map { model.remove(at: $0) }
            if Bool.random(using: &random) {
                let made = session()
                cache.store(made, for: key)
                let sessions = entry?.sessions ?? []
                model.append((key, sessions.count == 2 ? [sessions[1]] : sessions))
                if model.count > 3 { model.removeFirst() }
                if sessions.count < 2, model.reduce(0, { $0 + $1.sessions.count }) == countMax {
                    let place = model.firstIndex { !$0.sessions.isEmpty }
                    if let place { model[place].sessions.removeFirst() }
                }
                model[model.count - 1].sessions.append(made)
            } else {
                let taken = cache.take(key, context: 1, at: 0)
                let expected = entry?.sessions.popLast()
                #expect(taken === expected)
                if let entry { model.append(entry) }
            }
            #expect(cache.count == model.reduce(0) { $0 + $1.sessions.count })
        }
    }
}
