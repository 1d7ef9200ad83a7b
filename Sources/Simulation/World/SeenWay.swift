// SeenWay.swift: what the far ends of one connection have seen of the way on which a request came.
// Owns: the comparison. Never touches: the engine. Source: DESIGN "Identity is part of the key".
import Model

/// A PROXY protocol header, read.
struct SeenProxyHeader: Equatable {
    var version: Int
    /// `nil`: nothing is known of the client.
    var source: Endpoint?
    var destination: Endpoint?
}

/// A CONNECT that made a tunnel, or was to make one.
struct SeenTunnel: Equatable {
    var authority: String
    /// Field lines but Host, in order.
    var fields: [String]
}

/// A connection from where its far ends stand.
struct SeenWay: Equatable {
    /// What requests on it look like.
    enum Kind: Equatable {
        /// Nothing was asked yet.
        case fresh
        case origin
        /// In absolute-form, or CONNECT.
        case peer
        /// Behind a CONNECT that was granted.
        case tunnel
        /// Bytes from the start.
        case raw
    }

    var kind = Kind.fresh
    var localAddress: IPAddress?
    var header: SeenProxyHeader?
    var outer: TLSIdentity?
    /// Also of a tunnel that was refused, until something else is asked.
    var tunnel: SeenTunnel?
    var inner: TLSIdentity?

    /// The first difference to `other`, in words; `nil`: none.
    func difference(from other: SeenWay) -> String? {
        if kind != other.kind { return "\(kind), not \(other.kind)" }
        if localAddress != other.localAddress { return "another local address" }
        if header != other.header {
            return "PROXY header \(String(describing: header)), not \(String(describing: other.header))"
        }
        if outer != other.outer { return "TLS as \(Self.words(outer)), not \(Self.words(other.outer))" }
        if tunnel != other.tunnel {
            return "tunnel \(String(describing: tunnel)), not \(String(describing: other.tunnel))"
        }
        if inner != other.inner {
            return "TLS inside as \(Self.words(inner)), not \(Self.words(other.inner))"
        }
        return nil
    }

    private static func words(_ identity: TLSIdentity?) -> String {
        guard let identity else { return "clear text" }
        let names = [identity.serverName, identity.verifyName].map { String(decoding: $0, as: UTF8.self) }
        return names.joined(separator: "/") + " \(identity.settings)"
    }
}
