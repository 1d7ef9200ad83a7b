// RouteResolver.swift: from what a request says of its way to the number of a way; or why it cannot be gone.
// Owns: what absent fields mean, and which of them contradict each other. Source: proto/outrigger.proto, messages Request,
// Hop and Tls; RFC 6066 §3 (no SNI for addresses); RFC 9110 §9.3.6.
import HTTP1
import Model

/// A TLS profile whose settings have a number.
struct ResolvedProfile {
    var settings: Int
    var serverName: [UInt8]
    var verifyName: [UInt8]

    init(_ profile: TLSProfile, in routes: inout RouteTable) {
        settings = routes.retain(profile.settings)
        serverName = Array(profile.serverName.utf8)
        verifyName = Array(profile.verifyName.utf8)
    }
}

/// Why a request's way is refused, in words.
struct RouteFault: Error {
    var words: String

    init(_ words: String) { self.words = words }
}

extension WorkerEngine {
    /// Fills in what the request leaves to the named route. - Returns: why it cannot.
    mutating func applyNamedRoute() -> String? {
        namedRouteAside.clear()
        if request.hopAside.isAbsent { return nil }
        guard let hop = request.hop, !hop.name.isEmpty else { return nil }
        guard let named = namedSettings.routes[hop.name] else { return "no route is named \(hop.name)" }
        namedRoute = named
        if request.route == .direct { request.route = named.kind }
        if request.endpoints.isEmpty && request.group.isEmpty { request.endpoints = named.endpoints }
        if request.localAddress == nil { request.localAddress = named.localAddress }
        return nil
    }

    /// Gives the stream its way, which it uses until it is freed. - Returns: why there is none.
    mutating func resolveRoute(_ stream: Int) -> String? {
        let isPlain = request.hopAside.isAbsent && request.tlsAside.isAbsent
        if isPlain && request.scheme == .http && !request.isConnect && request.route != .peerTunnel {
            streams[stream].route = request.route == .direct ? .direct : .peer
            return nil
        }
        var identity = RouteIdentity()
        swap(&identity, &routeScratch)
        defer { swap(&identity, &routeScratch) }
        identity.reset()
        var leases: [Int] = []
        defer { for lease in leases { targets.routes.release(settings: lease) } }
        do throws(RouteFault) {
            try checkRoute()
            try describeHop(&identity)
            try describeTLS(&identity, &leases)
            try describeTunnel(&identity)
        } catch {
            return error.words
        }
        streams[stream].route = targets.routes.retain(identity)
        // It lives on in the routes, and ends there.
        identity.credential = nil
        identity.connectLines = nil
        streams[stream].isRaw = identity.kind == .raw
        return nil
    }

    /// What contradicts itself.
    private func checkRoute() throws(RouteFault) {
        if request.isConnect {
            if request.scheme == .https { throw RouteFault("CONNECT goes with scheme http") }
            if request.body != .none || !request.upgrade.isEmpty {
                throw RouteFault("CONNECT goes with neither body nor upgrade")
            }
        }
        let hasOriginTLS = request.scheme == .https && request.route != .peer
        if request.tls != nil && !hasOriginTLS {
            throw RouteFault("tls needs scheme https, over a direct route or a tunnel")
        }
        guard let hop = request.hop else { return }
        if hop.tls != nil && request.route == .direct { throw RouteFault("hop.tls needs a peer") }
        let hasConnect = request.route == .peerTunnel || (request.isConnect && request.route == .peer)
        if !hop.connectFields.isEmpty && !hasConnect {
            throw RouteFault("connect_fields need a tunnel through a peer")
        }
        if hop.proxyDestination != nil && hop.proxySource == nil {
            throw RouteFault("proxy_destination needs proxy_source")
        }
    }

    /// Kind and PROXY header.
    private func describeHop(_ identity: inout RouteIdentity) throws(RouteFault) {
        switch request.route {
        case .direct: identity.kind = request.isConnect ? .raw : .direct
        case .peer: identity.kind = .peer
        // The proxy's own CONNECT goes to the peer as it is.
        case .peerTunnel: identity.kind = request.isConnect ? .peer : .tunnel
        }
        let asked = request.hop?.proxyProtocol ?? .none
        identity.proxyProtocol = asked == .none ? namedRoute?.proxyProtocol ?? .none : asked
        let source = request.hop?.proxySource
        let destination = request.hop?.proxyDestination
        if identity.proxyProtocol == .none {
            if source != nil { throw RouteFault("proxy_source needs proxy_protocol") }
            return
        }
        guard let source else { return }
        let isPaired: Bool
        if let destination {
            isPaired = Self.isPair(source, destination)
        } else {
            isPaired = requestEndpoints.allSatisfy { Self.isPair(source, $0) }
        }
        if !isPaired { throw RouteFault("proxy_source and destination are not of one IP family") }
        identity.proxySource = source
        identity.proxyDestination = destination
    }

    private static func isPair(_ one: Endpoint, _ other: Endpoint) -> Bool {
        switch (one, other) {
        case (.ip(.v4, _), .ip(.v4, _)), (.ip(.v6, _), .ip(.v6, _)): true
        default: false
        }
    }

    // TLS.

    private mutating func describeTLS(
        _ identity: inout RouteIdentity,
        _ leases: inout [Int]
    ) throws(RouteFault) {
        if request.route != .direct && (request.hop?.tls != nil || namedRoute?.peerTLS != nil) {
            // The name of a peer does not follow from the request: without one it is known by its address.
            let fallback = namedRoute?.peerTLS
            try describe(&identity.outer, request.hop?.tls, fallback, hasHost: false, &leases)
        }
        if request.scheme == .https && request.route != .peer {
            let fallback = namedRoute?.originTLS
            if request.route == .direct {
                try describe(&identity.outer, request.tls, fallback, hasHost: true, &leases)
            } else {
                try describe(&identity.inner, request.tls, fallback, hasHost: true, &leases)
            }
        }
    }

    /// One hop: the request's words first, then the profile's, then what follows from the authority.
    private mutating func describe(
        _ hop: inout HopTLS,
        _ asked: TLSRequest?,
        _ fallback: TLSProfile?,
        hasHost: Bool,
        _ leases: inout [Int]
    ) throws(RouteFault) {
        if let asked {
            let profile = try profile(asked, fallback)
            hop.settings = targets.routes.retain(try Self.settings(asked, profile.settings))
            leases.append(hop.settings)
            let server = asked.serverName.isEmpty ? profile.serverName : asked.serverName
            let verify = asked.verifyName.isEmpty ? profile.verifyName : asked.verifyName
            hop.serverName.append(contentsOf: server.utf8)
            hop.verifyName.append(contentsOf: verify.utf8)
        } else if let fallback {
            hop.settings = targets.routes.retain(fallback.settings)
            leases.append(hop.settings)
            hop.serverName.append(contentsOf: fallback.serverName.utf8)
            hop.verifyName.append(contentsOf: fallback.verifyName.utf8)
        } else {
            hop.settings = defaultProfile.settings
            hop.serverName.append(contentsOf: defaultProfile.serverName)
            hop.verifyName.append(contentsOf: defaultProfile.verifyName)
        }
        if hop.verifyName.isEmpty { hop.verifyName.append(contentsOf: hop.serverName) }
        if hasHost { Self.fillNames(&hop, block.bytes.extracting(request.authority)) }
    }

    /// SNI and the name to verify from the authority, where nobody has said otherwise.
    static func fillNames(_ hop: inout HopTLS, _ authority: Span<UInt8>) {
        let colon = RequestEncoder.portStart(authority).map { $0 - 1 } ?? authority.count
        var host = authority.extracting(first: colon)
        let isAddress = isIPAddress(host)
        if host.count > 2 && host[0] == UInt8(ascii: "[") {
            host = host.extracting(1..<host.count - 1)
        }
        if hop.verifyName.isEmpty { append(host, to: &hop.verifyName) }
        if hop.serverName.isEmpty && !isAddress { append(host, to: &hop.serverName) }
    }

    private static func append(_ bytes: Span<UInt8>, to array: inout [UInt8]) {
        for index in bytes.indices { array.append(bytes[index]) }
    }

    /// A bracketed address, or digits and dots only: no DNS name ends in a number (RFC 3696 §2).
    private static func isIPAddress(_ host: Span<UInt8>) -> Bool {
        if host.isEmpty || host[0] == UInt8(ascii: "[") { return true }
        for index in host.indices {
            let isDigit = host[index] >= UInt8(ascii: "0") && host[index] <= UInt8(ascii: "9")
            if !isDigit && host[index] != UInt8(ascii: ".") { return false }
        }
        return true
    }

    private func profile(_ asked: TLSRequest, _ fallback: TLSProfile?) throws(RouteFault) -> TLSProfile {
        if !asked.profile.isEmpty {
            guard let named = namedSettings.tlsProfiles[asked.profile] else {
                throw RouteFault("no TLS profile is named \(asked.profile)")
            }
            return named
        }
        return fallback ?? namedSettings.tlsProfiles["default"] ?? TLSProfile()
    }

    private static func settings(
        _ asked: TLSRequest,
        _ profile: TLSSettings
    ) throws(RouteFault) -> TLSSettings {
        var settings = profile
        if let trust = asked.trust { settings.trust = trust }
        if !asked.certificateFile.isEmpty {
            settings.certificateFile = asked.certificateFile
            settings.keyFile = asked.keyFile
        } else if !asked.keyFile.isEmpty {
            throw RouteFault("tls key_path without certificate_path")
        }
        if let version = asked.versionMin { settings.versionMin = version }
        if let version = asked.versionMax { settings.versionMax = version }
        if settings.versionMin > settings.versionMax { throw RouteFault("tls version_min above version_max") }
        if !asked.ciphers.isEmpty { settings.ciphers = asked.ciphers }
        if !asked.cipherSuites.isEmpty { settings.cipherSuites = asked.cipherSuites }
        if !asked.alpn.isEmpty { settings.alpn = asked.alpn }
        if !asked.pins.isEmpty { settings.pins = asked.pins }
        if asked.requiresStaple { settings.requiresStaple = true }
        return settings
    }

    // Tunnels.

    /// Whether the request has a field of that name of its own.
    private func requestHas(_ field: HeaderField) -> Bool {
        request.fields.contains { own in
            let name = block.bytes.extracting(own.name)
            return HeaderField(name: name.indices.map { name[$0] }, value: []).hasName(of: field)
        }
    }

    private func tunnelCredential() throws(RouteFault) -> Credential? {
        guard let asked = request.credentials else { return nil }
        if let credential = asked.peer { return credential }
        if asked.peerName.isEmpty { return nil }
        guard let credential = namedSettings.credentials[asked.peerName] else {
            throw RouteFault("no credentials are named \(asked.peerName)")
        }
        return credential
    }

    /// Where the tunnel leads, and what the peer is shown. Of the proxy's own CONNECT the lines go into its head.
    private mutating func describeTunnel(_ identity: inout RouteIdentity) throws(RouteFault) {
        connectLines = nil
        let goesToPeer = request.route == .peerTunnel || (request.isConnect && request.route == .peer)
        guard goesToPeer else { return }
        if !request.isConnect && !hasConnectLine("proxy-authorization") {
            identity.credential = try tunnelCredential()
        }
        identity.bindsPeer = connectLinesBind
        do throws(RequestError) {
            // Two Proxy-Authorization would be two users: what the request has among its own fields stands.
            let asked = (request.hop?.connectFields ?? []).filter { field in
                !(request.isConnect && field.name.span.isEqual(ignoringCase: "proxy-authorization")
                    && requestHas(field))
            }
            // What the request says itself stands in place of what its route has by the same name.
            let named = (namedRoute?.connectFields ?? []).filter { field in
                !asked.contains { $0.hasName(of: field) } && !(request.isConnect && requestHas(field))
            }
            let lines = named + asked
            if !lines.isEmpty { connectLines = try RequestEncoder.connectLines(lines, limits: limits) }
            if request.isConnect { return }
            identity.connectLines = connectLines
            let authority = block.bytes.extracting(request.authority)
            Self.append(authority, to: &identity.authority)
            if RequestEncoder.portStart(authority) == nil {
                identity.authority += request.scheme == .https ? Array(":443".utf8) : Array(":80".utf8)
            }
            try RequestEncoder.checkTunnel(identity.authority.span)
        } catch {
            throw RouteFault(error.detail)
        }
    }
}
