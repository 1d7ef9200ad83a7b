// NamedRoute.swift: what the configuration gives names to, so that requests can refer to it.
// Owns: TLS profiles and routes as values, and the list of all that is named. Never touches: files, the form in which they are written.
// Source: proto/outrigger.proto, messages Hop and Tls.

/// Which PROXY protocol header goes in front of a connection. Source: HAProxy's proxy-protocol.txt.
package enum ProxyProtocol: Hashable, Sendable {
    case none
    case v1
    case v2
}

/// A field line that is kept. What it says is for the peer that gets it.
package struct HeaderField: Hashable, Sendable {
    package var name: [UInt8]
    package var value: Secret

    package init(name: [UInt8], value: Secret) {
        self.name = name
        self.value = value
    }

    package init(name: [UInt8], value: [UInt8]) { self.init(name: name, value: Secret(copying: value.span)) }

    /// Whether two names are one. Source: RFC 9110 §5.1.
    package func hasName(of other: HeaderField) -> Bool {
        name.count == other.name.count
            && zip(name, other.name).allSatisfy { Self.lowercased($0) == Self.lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }
}

/// TLS of one hop by name: settings, and names where they do not follow from the request.
package struct TLSProfile: Hashable, Sendable {
    package var settings = TLSSettings()
    /// SNI; empty: the host of the authority.
    package var serverName = ""
    /// Name to verify; empty: the server name.
    package var verifyName = ""

    package init() {}
}

/// How endpoints are reached, by name.
package struct NamedRoute: Hashable, Sendable {
    package var kind = Route.direct
    /// For requests that name none.
    package var endpoints: [Endpoint] = []
    package var localAddress: IPAddress?
    /// TLS to the peer; `nil`: clear text.
    package var peerTLS: TLSProfile?
    /// TLS to the origin where the request's scheme is https and it names no profile; `nil`: the profile "default".
    package var originTLS: TLSProfile?
    /// Field lines of a CONNECT; those of the request come behind them.
    package var connectFields: [HeaderField] = []
    package var proxyProtocol = ProxyProtocol.none

    package init() {}
}

/// Everything that requests can refer to by name.
package struct NamedSettings: Equatable, Sendable {
    /// The profile "default" is used where a request names none.
    package var tlsProfiles: [String: TLSProfile] = [:]
    package var routes: [String: NamedRoute] = [:]
    package var credentials: [String: Credential] = [:]
    package var groups: [String: NamedGroup] = [:]

    /// Groups in the order of their names: that of the numbers by which workers speak of them.
    package var numberedGroups: [(name: String, group: NamedGroup)] {
        groups.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Connections that the process may have to single endpoints: the least that members of groups say.
    package var connectionLimits: [Endpoint: Int] {
        var limits: [Endpoint: Int] = [:]
        for (_, group) in groups {
            for member in group.members where member.connectionsMax > 0 {
                limits[member.endpoint] = min(limits[member.endpoint] ?? .max, member.connectionsMax)
            }
        }
        return limits
    }

    package init() {}
}
