// ExpectedWays.swift: the way that the configuration says requests of a group will take, before any has come.
// Owns: how it follows from an origin and a named route. Never touches: what requests ask for (RouteResolver.swift).
// Source: Sources/Model/NamedGroup.swift, ExpectedRequests; Engine.docc/Groups.md.
import Model

extension WorkerEngine {
    /// Has every group of the configuration know its way; those that keep connections ready begin at once.
    mutating func expectWays() {
        for group in 0..<groups.namedCount {
            let expects = groups.states[group].settings.expects
            let way = wayOf(expects)
            if expects != ExpectedRequests() { groups.states[group].expectedWay = way }
            groups.states[group].standby.route = way
            groups.states[group].standby.localAddress = expects.route?.localAddress
            groups.states[group].standby.isFixed = expects != ExpectedRequests()
            if groups.states[group].standby.countMin > 0 { wakeAtOnce(group) }
        }
    }

    /// A way that stays. Of tunnels it is the one to their peer, as where they lead is not known.
    private mutating func wayOf(_ expects: ExpectedRequests) -> RouteID {
        var identity = RouteIdentity()
        let route = expects.route ?? NamedRoute()
        identity.proxyProtocol = route.proxyProtocol
        switch route.kind {
        case .direct:
            if expects.scheme == .https {
                let profile = route.originTLS ?? namedSettings.tlsProfiles["default"] ?? TLSProfile()
                identity.outer = configuredTLS(profile, host: expects.authority)
            }
        case .peer, .peerTunnel:
            identity.kind = .peer
            if let profile = route.peerTLS { identity.outer = configuredTLS(profile, host: "") }
        }
        let way = targets.routes.retain(identity)
        if !identity.outer.isClear { targets.routes.release(settings: identity.outer.settings) }
        return way
    }

    /// TLS as the configuration alone says it: the names of a profile, else those of a host; none: the endpoint's address.
    /// Its settings have one more user.
    mutating func configuredTLS(_ profile: TLSProfile, host: String) -> HopTLS {
        var hop = HopTLS()
        hop.settings = targets.routes.retain(profile.settings)
        hop.serverName = Array(profile.serverName.utf8)
        let name = profile.verifyName.isEmpty ? profile.serverName : profile.verifyName
        hop.verifyName = Array(name.utf8)
        if !host.isEmpty { Self.fillNames(&hop, Array(host.utf8).span) }
        return hop
    }
}
