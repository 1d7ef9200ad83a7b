// LeakTests.swift: what a client makes of OpenSSL's objects, it gives back.
import COpenSSL
import Glibc
import Model
import Synchronization
import TLS
import Testing

/// Objects of OpenSSL's that live, by kind and by the thread that makes and frees them: tests run side by
/// side.
private enum Living {
    static let kinds = [
        CRYPTO_EX_INDEX_SSL, CRYPTO_EX_INDEX_SSL_CTX, CRYPTO_EX_INDEX_SSL_SESSION, CRYPTO_EX_INDEX_BIO,
    ]

    private struct Place: Hashable {
        let thread: UInt
        let kind: Int
    }

    private static let counts = Mutex<[Place: Int]>([:])

    private static func count(_ kind: Int, _ difference: Int) {
        let place = Place(thread: UInt(pthread_self()), kind: kind)
        counts.withLock { $0[place, default: 0] += difference }
    }

    /// Registers the callbacks that count, once.
    private static let isCounting: Bool = {
        for kind in kinds {
            // SAFETY: the functions have no state but `counts`; `kind` comes back to them.
            let index = unsafe CRYPTO_get_ex_new_index(
                kind,
                Int(kind),
                nil,
                { _, _, _, _, kind, _ in Living.count(kind, 1) },
                { _, _, _, _, _, _ in 1 },
                { _, _, _, _, kind, _ in Living.count(kind, -1) }
            )
            precondition(index >= 0, "no index")
        }
        return true
    }()

    /// Those of this thread.
    static var now: [Int] {
        precondition(isCounting)
        let thread = UInt(pthread_self())
        return counts.withLock { counts in kinds.map { counts[Place(thread: thread, kind: Int($0))] ?? 0 } }
    }
}

@Suite struct LeakTests {
    /// A thousand connections of every kind of end: resumed, refused, cut, closed, never begun.
    private func connect(_ client: inout TLSClient, _ contexts: [ServerContext]) throws {
        for number in 0..<1000 {
            let server = Server(contexts[number % 2])
            let name = number % 7 == 0 ? "c.example" : "a.example"
            var layer = try client.connect(peer(name), scope: [UInt8(number % 40)], now: at(number * 100))
            if number % 11 == 0 { continue }
            var way = Way()
            guard case .done = way.handshake(&layer, server) else { continue }
            if number % 3 == 0 { _ = way.readAll(&layer, server) }
            way.write([1, 2, 3], &layer, server)
            if number % 5 == 0 { layer.closeNotify() }
            _ = try? client.connect(peer { $0.alpn = ["\(number)"] }, scope: [], now: at(number * 100))
            #expect(throws: TLSFailure.self) {
                _ = try client.connect(peer("not a name"), scope: [], now: at(0))
            }
        }
    }

    @Test func `a thousand connections leave nothing behind`() throws {
        let contexts = [ServerContext(), ServerContext(ServerForm(versionMax: TLS1_2_VERSION))]
        _ = Server(contexts[0])
        let before = Living.now
        do {
            var limits = TLSClient.Limits()
            limits.sessionKeysMax = 30
            limits.sessionsPerKeyMax = 4
            limits.contextsMax = 8
            var client = TLSClient(limits: limits)
            try connect(&client, contexts)
            let between = Living.now
            #expect(client.contextCount == 8 && client.sessionCount <= 120)
            // No connection lives on; a context for each entry; sessions in the cache and in the servers'
            // own.
            #expect(between[0] == before[0] && between[1] == before[1] + 8 && between[3] == before[3])
            for context in contexts { context.forgetSessions() }
            #expect(Living.now[2] - before[2] == client.sessionCount && client.sessionCount > 20)
        }
        #expect(Living.now == before)
    }
}
