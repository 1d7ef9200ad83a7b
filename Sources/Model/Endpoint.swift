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

/// How the origin is reached.
package enum Route: Hashable, Sendable {
    /// The endpoint is the origin.
    case direct
    /// The endpoint is a peer that is asked in absolute-form.
    case peer
}

/// Everything in which two requests have to be equal before they may share a connection. Compared whole.
package struct PoolKey: Hashable, Sendable {
    package var endpoint: Endpoint
    package var route: Route
    /// Local address that the connection is bound to; `nil`: the kernel's choice.
    package var localAddress: IPAddress?

    package init(endpoint: Endpoint, route: Route, localAddress: IPAddress?) {
        self.endpoint = endpoint
        self.route = route
        self.localAddress = localAddress
    }
}
