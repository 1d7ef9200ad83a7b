// Endpoint.swift: where to connect, over what route, and what makes two connections interchangeable.
// Owns: the identity of a connection. Source: DESIGN "Identity is part of the key".

/// An IP address. Comparing compares every bit.
package enum IPAddress: Hashable, Sendable {
    /// Four bytes in network order, the first in the highest bits.
    case v4(UInt32)
    /// Sixteen bytes in network order, and the scope (interface index; 0: none).
    case v6(high: UInt64, low: UInt64, scope: UInt32)
}

/// An address that is already resolved.
package enum Endpoint: Hashable, Sendable {
    case ip(IPAddress, port: UInt16)
    /// Path of a Unix stream socket: 1 to 107 bytes, no NUL.
    case unix(path: [UInt8])
}

/// Names everything about the way from an endpoint to the origin in which two requests have to be equal before they may
/// share a connection: route, TLS of each hop, tunnel, PROXY header. Whoever gives out the names compares that whole, and
/// gives equal names to equal ways only.
package struct RouteID: Hashable, Sendable {
    package var slot: UInt32

    package init(slot: Int) { self.slot = UInt32(slot) }

    /// Clear text to the origin.
    package static let direct = RouteID(slot: 0)
    /// Clear text to a peer that is asked in absolute-form.
    package static let peer = RouteID(slot: 1)
    /// Clear bytes, no HTTP: a CONNECT that is answered by connecting.
    package static let raw = RouteID(slot: 2)
}

/// Everything in which two requests have to be equal before they may share a connection. Compared whole.
package struct PoolKey: Hashable, Sendable {
    package var endpoint: Endpoint
    package var route: RouteID
    /// Local address that the connection is bound to; `nil`: the kernel's choice.
    package var localAddress: IPAddress?

    package init(endpoint: Endpoint, route: RouteID, localAddress: IPAddress?) {
        self.endpoint = endpoint
        self.route = route
        self.localAddress = localAddress
    }
}
