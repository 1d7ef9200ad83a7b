// RouteForm.swift: requests that go by TLS, peers and tunnels, endpoints and bytes, in few words.
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

extension Endpoint {
    /// Endpoints of tests are 0.0.0.1, 0.0.0.2 …, port 80: a, b …
    static func lettered(_ letter: Character) -> Endpoint {
        .ip(.v4(UInt32(letter.asciiValue ?? 0) - 96), port: 80)
    }

    var letter: String {
        guard case .ip(.v4(let number), _) = self else { return "?" }
        return String(UnicodeScalar(UInt8(number + 96)))
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// A copy of bytes.
func array(_ bytes: Span<UInt8>) -> [UInt8] { bytes.indices.map { bytes[$0] } }
