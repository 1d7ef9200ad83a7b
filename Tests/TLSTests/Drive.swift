// Drive.swift: carries ciphertext between a layer and a server, in pieces as asked.
import COpenSSL
import Model
import TLS
import Testing

/// How bytes are cut on their way.
enum Cut: CustomTestStringConvertible, Sendable {
    case whole
    case bytes
    case seeded(UInt64)

    static let all: [Cut] = [.whole, .bytes] + (0..<16).map { .seeded($0) }

    var testDescription: String { "\(self)" }
}

struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

/// The way between the two.
struct Way {
    let cut: Cut
    private var random: Seeded
    /// On their way to the client.
    private var toClient: [UInt8] = []
    private var toServer: [UInt8] = []

    init(_ cut: Cut = .whole) {
        self.cut = cut
        if case .seeded(let seed) = cut { random = Seeded(state: seed) } else { random = Seeded(state: 0) }
    }

    private mutating func size(of waiting: Int) -> Int {
        switch cut {
        case .whole: waiting
        case .bytes: min(waiting, 1)
        case .seeded: Int.random(in: 0...min(waiting, 1500), using: &random)
        }
    }

    /// Moves a piece in each direction; false: nothing is on its way.
    mutating func move(_ layer: inout TLSLayer, _ server: Server) -> Bool {
        takeOutput(&layer)
        toClient += server.take()
        if toClient.isEmpty && toServer.isEmpty && layer.output.isEmpty { return false }
        let up = size(of: toServer.count)
        if up > 0 { server.receive(Array(toServer[..<up])) }
        toServer.removeFirst(up)
        let down = size(of: toClient.count)
        let piece = Array(toClient[..<down])
        toClient.removeFirst(layer.received(piece.span))
        return true
    }

    private mutating func takeOutput(_ layer: inout TLSLayer) {
        let count = size(of: layer.output.count)
        for index in 0..<count { toServer.append(layer.output[index]) }
        layer.wrote(count)
    }

    /// Shakes hands to the end.
    mutating func handshake(_ layer: inout TLSLayer, _ server: Server) -> TLSHandshake {
        while true {
            let step = layer.handshake()
            if step != .needsMore {
                // What the server makes of it: an alert of ours reaches it.
                if case .failed = step { while move(&layer, server) {} }
                return step
            }
            if !move(&layer, server) { return .needsMore }
        }
    }

    /// Reads plaintext until nothing moves any more.
    /// - Returns: what came, and the last verdict.
    mutating func readAll(
        _ layer: inout TLSLayer,
        _ server: Server,
        room: Int = 20_000
    ) -> (bytes: [UInt8], end: TLSRead) {
        var bytes: [UInt8] = []
        while true {
            let (piece, verdict) = layer.read(room: room)
            bytes += piece
            switch verdict {
            case .bytes: continue
            case .wouldBlock: if !move(&layer, server) { return (bytes, verdict) }
            case .endOfFile, .truncated, .failed:
                // What is still to be sent leaves.
                while !layer.output.isEmpty { if !move(&layer, server) { break } }
                return (bytes, verdict)
            }
        }
    }

    /// Writes all of `bytes`.
    mutating func write(_ bytes: [UInt8], _ layer: inout TLSLayer, _ server: Server) {
        var start = 0
        while start < bytes.count {
            start += layer.write(bytes.span.extracting(start..<bytes.count))
            _ = move(&layer, server)
        }
        while move(&layer, server) {}
    }
}

extension TLSLayer {
    /// Sends all that waits.
    mutating func takeOutput() -> [UInt8] {
        let bytes = output.array
        wrote(bytes.count)
        return bytes
    }

    /// One read.
    mutating func read(room: Int) -> (bytes: [UInt8], verdict: TLSRead) {
        var verdict = TLSRead.wouldBlock
        let bytes = [UInt8](capacity: room) { output in verdict = self.read(into: &output) }
        return (bytes, verdict)
    }
}

/// A moment in the life of the tests.
func at(_ milliseconds: Int) -> Instant { Instant(nanoseconds: 0).adding(milliseconds: milliseconds) }

/// Trusts `Issued.root`, for `a.example`.
func peer(_ name: String = "a.example", _ change: (inout TLSSettings) -> Void = { _ in }) -> TLSIdentity {
    var settings = TLSSettings()
    settings.trust = .file(Files.root)
    change(&settings)
    return TLSIdentity(settings: settings, serverName: Array("a.example".utf8), verifyName: Array(name.utf8))
}

/// What a handshake with a new client comes to.
func outcome(
    _ identity: TLSIdentity,
    _ server: Server,
    cut: Cut = .whole
) -> Result<TLSFacts, TLSFailure> {
    var client = TLSClient()
    return outcome(&client, identity, server, cut: cut)
}

/// What a handshake comes to; tickets that follow it reach the client.
func outcome(
    _ client: inout TLSClient,
    _ identity: TLSIdentity,
    scope: [UInt8] = [],
    _ server: Server,
    cut: Cut = .whole,
    now: Instant = at(0)
) -> Result<TLSFacts, TLSFailure> {
    do throws(TLSFailure) {
        var layer = try client.connect(identity, scope: scope, now: now)
        var way = Way(cut)
        let step = way.handshake(&layer, server)
        // Whatever happened, nothing of it may be left for the next connection of this thread.
        #expect(ERR_peek_error() == 0)
        switch step {
        case .done(let facts):
            _ = way.readAll(&layer, server)
            #expect(ERR_peek_error() == 0)
            return .success(facts)
        case .failed(let failure):
            #expect(failure.detail.utf8.count <= 200)
            #expect(failure.detail.utf8.allSatisfy { 0x20...0x7E ~= $0 })
            return .failure(failure)
        case .needsMore: return .failure(TLSFailure(.handshake, "stuck"))
        }
    } catch { return .failure(error) }
}

/// A layer whose handshake is done, for both.
func connected(
    _ client: inout TLSClient,
    _ server: Server,
    _ way: inout Way,
    _ identity: TLSIdentity = peer()
) throws -> TLSLayer {
    var layer = try client.connect(identity, scope: [], now: at(0))
    guard case .done = way.handshake(&layer, server) else { throw TLSFailure(.handshake, "not connected") }
    // In 1.3 our last word is still on its way.
    while !server.isOpen, way.move(&layer, server) {}
    return layer
}

extension Span<UInt8> {
    var array: [UInt8] {
        [UInt8](capacity: count) { output in for index in indices { output.append(self[index]) } }
    }
}

/// Records that stand whole in `bytes`, by their headers.
func records(_ bytes: [UInt8]) -> Int {
    var (count, start) = (0, 0)
    while start + 5 <= bytes.count {
        start += 5 + Int(bytes[start + 3]) << 8 + Int(bytes[start + 4])
        count += 1
    }
    return count
}
