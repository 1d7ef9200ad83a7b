// WayPlan.swift: the way that a request asks for, and what an upstream has to see of it.
// Owns: an oracle of identity that shares no code with the engine's. Source: DESIGN "Identity is part of the key";
// proto/outrigger.proto, messages Request, Tls and Hop.
import Model

/// Everything about a request in which another has to be equal before they may share a connection.
struct WayPlan: Equatable {
    var route = Route.direct
    var isSecure = false
    var host = "origin.example"
    var localAddress: IPAddress?
    /// TLS to the origin.
    var tls: TLSRequest?
    /// TLS to the peer.
    var peerTLS: TLSRequest?
    /// Value of the field that only a peer may see; `nil`: the peer is shown none.
    var peerSecret: String?
    var proxyProtocol = ProxyProtocol.none
    var proxySource: Endpoint?
    var proxyDestination: Endpoint?

    static let hosts = ["origin.example", "other.example", "192.0.2.7"]
    static let localAddresses: [IPAddress?] = [nil, .v4(0x0A00_00FE), .v4(0x0A00_00FD)]
    private static let sources: [Endpoint] = [
        .ip(.v4(0xC633_6401), port: 4001), .ip(.v4(0xC633_6402), port: 4001),
        .ip(.v6(high: 0x2001_0DB8_0000_0000, low: 0xFF, scope: 0), port: 4002),
    ]
    private static let destinations: [Endpoint] = [
        .ip(.v4(0xC633_64C8), port: 443),
        .ip(.v6(high: 0x2001_0DB8_0000_0000, low: 0xC8, scope: 0), port: 443),
    ]

    var port: Int { isSecure ? 443 : 80 }

    /// A way of any kind.
    init(random: inout SeededRandom) {
        route = random.pick([.direct, .direct, .peer, .peerTunnel, .peerTunnel])
        isSecure = random.chance(60)
        host = random.pick(Self.hosts)
        if random.chance(20) { localAddress = random.pick(Self.localAddresses) }
        if random.chance(40) { tls = Self.tls(&random) }
        if random.chance(50) { peerTLS = Self.tls(&random) }
        if random.chance(50) { peerSecret = random.pick(["a", "b"]) }
        if random.chance(25) { chooseHeader(&random) }
    }

    init() {}

    /// The same but for one thing.
    func changed(_ random: inout SeededRandom) -> WayPlan {
        var way = self
        switch random.below(8) {
        case 0: way.route = random.pick([.direct, .peer, .peerTunnel])
        case 1: way.isSecure.toggle()
        case 2: way.host = random.pick(Self.hosts)
        case 3: way.localAddress = random.pick(Self.localAddresses)
        case 4: way.tls = random.chance(50) ? nil : Self.tls(&random)
        case 5: way.peerTLS = random.chance(50) ? nil : Self.tls(&random)
        case 6: way.peerSecret = random.pick([nil, "a", "b"])
        default: way.chooseHeader(&random)
        }
        return way
    }

    private mutating func chooseHeader(_ random: inout SeededRandom) {
        proxyProtocol = random.pick([.none, .v1, .v2])
        (proxySource, proxyDestination) = (nil, nil)
        guard proxyProtocol != .none, random.chance(75) else { return }
        let source = random.pick(Self.sources)
        proxySource = source
        if case .ip(.v6, _) = source {
            proxyDestination = Self.destinations[1]
        } else {
            proxyDestination = Self.destinations[0]
        }
    }

    private static func tls(_ random: inout SeededRandom) -> TLSRequest {
        var tls = TLSRequest()
        tls.serverName = random.pick(["sni.example", "sni.example", "sni2.example"])
        switch random.below(7) {
        case 0: tls.verifyName = "verified.example"
        case 1: tls.trust = .file("/etc/one.pem")
        case 2: tls.certificateFile = "/etc/client.pem"
        case 3: tls.versionMin = .v13
        case 4: tls.alpn = ["http/1.1", "x"]
        case 5: tls.pins = [[UInt8](repeating: 7, count: 32)]
        default: break
        }
        return tls
    }

    /// Without what contradicts itself. - Parameter isConnect: the request's method is CONNECT.
    func legal(isConnect: Bool) -> WayPlan {
        var way = self
        if isConnect { way.isSecure = false }
        if !way.isSecure || route == .peer { way.tls = nil }
        if route == .direct { way.peerTLS = nil }
        let hasConnect = route == .peerTunnel || (isConnect && route == .peer)
        if !hasConnect { way.peerSecret = nil }
        return way
    }

    // As a REQUEST says it.

    /// Fields that only the peer is shown.
    var connectFields: [(name: String, value: String)] {
        guard let peerSecret else { return [] }
        return [("Proxy-Authorization", "Basic \(peerSecret)"), ("X-Peer", peerSecret)]
    }

    var hop: HopRequest? {
        var hop = HopRequest()
        hop.tls = peerTLS
        hop.connectFields = connectFields.map {
            HeaderField(name: Array($0.name.utf8), value: Array($0.value.utf8))
        }
        hop.proxyProtocol = proxyProtocol
        hop.proxySource = proxySource
        hop.proxyDestination = proxyDestination
        return hop == HopRequest() ? nil : hop
    }

    // As an upstream sees it.

    /// The way by the time that the request is there.
    /// - Parameters:
    ///   - endpoint: the address that was dialed.
    ///   - isConnect: the request's method is CONNECT.
    /// - Returns: what a right engine has made of it.
    func seen(at endpoint: Endpoint, isConnect: Bool) -> SeenWay {
        var seen = SeenWay()
        seen.localAddress = localAddress
        if proxyProtocol != .none {
            var header = SeenProxyHeader(version: proxyProtocol == .v1 ? 1 : 2)
            if let proxySource {
                header.source = proxySource
                header.destination = proxyDestination ?? endpoint
            }
            seen.header = header
        }
        let goesThrough = route == .peerTunnel && !isConnect
        let toOrigin = isSecure ? Self.identity(tls ?? TLSRequest(), host: host) : nil
        seen.outer = route == .direct ? toOrigin : peerTLS.map { Self.identity($0, host: "") }
        if goesThrough {
            seen.inner = toOrigin
            seen.tunnel = SeenTunnel(
                authority: "\(host):\(port)",
                fields: connectFields.map { "\($0.name): \($0.value)" }
            )
        }
        seen.kind =
            switch (route, isConnect) {
            case (.direct, true): .raw
            case (.direct, false): .origin
            case (.peer, _), (.peerTunnel, true): .peer
            case (.peerTunnel, false): .tunnel
            }
        return seen
    }

    private static func identity(_ tls: TLSRequest, host: String) -> TLSIdentity {
        var settings = TLSSettings()
        if let trust = tls.trust { settings.trust = trust }
        settings.certificateFile = tls.certificateFile
        if let version = tls.versionMin { settings.versionMin = version }
        if !tls.alpn.isEmpty { settings.alpn = tls.alpn }
        settings.pins = tls.pins
        let isAddress = host.allSatisfy { $0.isNumber || $0 == "." }
        let server = tls.serverName.isEmpty ? (isAddress ? "" : host) : tls.serverName
        var verify = tls.verifyName
        if verify.isEmpty { verify = tls.serverName.isEmpty ? host : tls.serverName }
        return TLSIdentity(
            settings: settings,
            serverName: Array(server.utf8),
            verifyName: Array(verify.utf8)
        )
    }
}
