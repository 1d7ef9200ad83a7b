// RouteSection.swift: `routes:`, routes by name.
// Owns: the keys of a route. Never touches: a connection. Source: Sources/Model/NamedRoute.swift; limits:
// messages Hop and Request of proto/outrigger.proto.
import Model

private enum RouteKeys {
    static let kind = Key(
        "kind",
        "peer-tunnel",
        "How the origin is reached: direct, peer (asked in absolute-form) or peer-tunnel (CONNECT). Default: direct."
    )
    static let endpoints = Key(
        "endpoints",
        "[\"192.0.2.1:3128\", \"192.0.2.2:3128\"]",
        "Where to connect for requests that name no endpoint, most wanted first: IPv4:PORT, [IPv6]:PORT, unix:PATH; at",
        "most endpoints-max. Default: none."
    )
    static let localAddress = Key(
        "local-address",
        "192.0.2.7",
        "IP address to connect from. Default: the kernel's choice."
    )
    static let peerTLS = Key(
        "peer-tls",
        "{trust: system, server-name: peer.example}",
        "TLS to the peer: the name of a profile, or a mapping like one. Default: clear text."
    )
    static let originTLS = Key(
        "origin-tls",
        "default",
        "TLS to origins where a request asks for https and names no profile: the name of a profile, or a mapping like",
        "one. Default: the profile \"default\"."
    )
    static let connectFields = Key(
        "connect-fields",
        "{Proxy-Authorization: {env: PEER_AUTHORIZATION}, User-Agent: outrigger}",
        "Field lines of a CONNECT to the peer: a mapping of names to values, or a list of {name: N, value: V}; at most",
        "256 of 65536 bytes. A value may be {env: VARIABLE} or {file: PATH}, so that no secret stands here. Default: none."
    )
    static let proxyProtocol = Key(
        "proxy-protocol",
        "none",
        "Header of the PROXY protocol in front of everything else: none, v1 or v2. Default: none."
    )

    static let all = [kind, endpoints, localAddress, peerTLS, originTLS, connectFields, proxyProtocol]
}

extension Section {
    static let routes = Section(
        key: Key("routes", ""),
        read: { node, reading, settings in
            for entry in reading.mapping(node, "routes") ?? [] where reading.isName(entry, "routes") {
                let name = "routes: \(entry.key)"
                settings.named.routes[entry.key] = reading.route(entry.value, name, settings)
                settings.places[name] = reading.place(entry.value.mark)
            }
        },
        check: { settings, reading in
            let countMax = settings.limits.endpointsMax
            for (key, route) in settings.named.routes where route.endpoints.count > countMax {
                let name = "routes: \(key)"
                let place = settings.places[name] ?? .builtIn
                reading.error(place, "\(name): endpoints: at most \(countMax), as endpoints-max says")
            }
        },
        lines: {
            let head = [
                "# Routes by name (1 to 64 letters, digits, '.', '-', '_') that requests can refer to.",
                "routes:",
                "  #parent:",
            ]
            return head + RouteKeys.all.flatMap { $0.lines(indent: "    ") } + [""]
        }
    )
}

extension Reading {
    /// Reads a route. What is wrong in it keeps its default.
    fileprivate mutating func route(_ node: Node, _ name: String, _ settings: Settings) -> NamedRoute {
        var route = NamedRoute()
        guard let fields = fields(node, name, RouteKeys.all) else { return route }
        var isKindKnown = true
        if let node = fields[RouteKeys.kind] {
            let kinds = [("direct", route.kind), ("peer", .peer), ("peer-tunnel", .peerTunnel)]
            if let kind = choice(node, "\(name): kind", kinds) {
                route.kind = kind
            } else {
                isKindKnown = false
            }
        }
        takeAddresses(fields, name, &route)
        if let node = fields[RouteKeys.peerTLS] {
            route.peerTLS = profile(of: node, "\(name): peer-tls", settings)
        }
        if let node = fields[RouteKeys.originTLS] {
            route.originTLS = profile(of: node, "\(name): origin-tls", settings)
        }
        if let node = fields[RouteKeys.connectFields] {
            route.connectFields = connectFields(node, "\(name): connect-fields")
        }
        if let node = fields[RouteKeys.proxyProtocol] {
            let versions = [("none", ProxyProtocol.none), ("v1", .v1), ("v2", .v2)]
            route.proxyProtocol = choice(node, "\(name): proxy-protocol", versions) ?? .none
        }
        if isKindKnown { checkKind(fields, name, route) }
        return route
    }

    private mutating func takeAddresses(_ fields: Fields, _ name: String, _ route: inout NamedRoute) {
        if let node = fields[RouteKeys.localAddress] {
            if let text = text(node, "\(name): local-address", 1...64), let address = IPAddress(text: text) {
                route.localAddress = address
            } else {
                error(node.mark, "\(name): local-address: an IP address is wanted, without port or brackets")
            }
        }
        guard let node = fields[RouteKeys.endpoints],
            let nodes = list(node, "\(name): endpoints", countMax: Self.endpointsMax)
        else { return }
        for node in nodes {
            guard case .text(let text, _) = node.content, let endpoint = endpoint(text) else {
                error(
                    node.mark,
                    "\(name): endpoints: IPv4:PORT, [IPv6]:PORT or unix:PATH; names are not resolved"
                )
                continue
            }
            if !Self.isReachable(endpoint, from: route.localAddress) {
                error(node.mark, "\(name): endpoints: of another family than local-address")
            }
            route.endpoints.append(endpoint)
        }
    }

    /// The range of the setting endpoints-max ends here.
    private static let endpointsMax = 1024

    /// Reads an endpoint, a relative path of a Unix socket from the file's folder.
    func endpoint(_ text: String) -> Endpoint? {
        guard text.hasPrefix("unix:") else { return Endpoint(text: text) }
        let path = String(text.dropFirst(5))
        return path.isEmpty ? nil : Endpoint(text: "unix:" + resolved(path))
    }

    private static func isReachable(_ endpoint: Endpoint, from local: IPAddress?) -> Bool {
        switch (endpoint, local) {
        case (.unix, _), (_, nil), (.ip(.v4, _), .v4), (.ip(.v6, _), .v6): true
        case (.ip(.v4, _), .v6), (.ip(.v6, _), .v4): false
        }
    }

    /// A profile by name, or one that stands here.
    mutating func profile(of node: Node, _ name: String, _ settings: Settings) -> TLSProfile? {
        guard case .text(let text, _) = node.content, !node.isAbsent else {
            if case .mapping = node.content { return profile(node, name) }
            error(node.mark, "\(name): the name of a profile or a mapping is wanted here")
            return nil
        }
        if let profile = settings.named.tlsProfiles[text] { return profile }
        let known = settings.named.tlsProfiles.keys.sorted()
        error(node.mark, "\(name): there is no such profile\(hint(text, among: known))")
        return nil
    }

    private mutating func checkKind(_ fields: Fields, _ name: String, _ route: NamedRoute) {
        switch route.kind {
        case .direct:
            for key in [RouteKeys.peerTLS, RouteKeys.connectFields] {
                guard let mark = fields.mark(key) else { continue }
                error(mark, "\(name): \(key.name) on a route that is direct, where there is no peer")
            }
        case .peer:
            if let mark = fields.mark(RouteKeys.originTLS) {
                error(
                    mark,
                    "\(name): origin-tls on a route whose peer speaks to origins; see peer-tls, or peer-tunnel"
                )
            }
            if let mark = fields.mark(RouteKeys.connectFields) {
                // A request may choose a tunnel over this route.
                warn(mark, "\(name): connect-fields on a route that makes no tunnel")
            }
        case .peerTunnel: break
        }
    }
}
