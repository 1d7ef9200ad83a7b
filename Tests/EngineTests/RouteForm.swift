// RouteForm.swift: requests that go by TLS, peers and tunnels, in few words.
import Model

extension Form {
    /// https, through a tunnel at a peer.
    mutating func tunnel(_ authority: String = "h:443") {
        self.authority = authority
        scheme = .https
        route = .peerTunnel
    }

    mutating func connect(_ route: Route = .direct) {
        method = "CONNECT"
        authority = "h:443"
        self.route = route
    }

    /// Changes the hop, which is made when there is none.
    mutating func hop(_ change: (inout HopRequest) -> Void) {
        var hop = hop ?? HopRequest()
        change(&hop)
        self.hop = hop
    }
}

extension HeaderField {
    init(_ name: String, _ value: String) { self.init(name: Array(name.utf8), value: Array(value.utf8)) }
}
