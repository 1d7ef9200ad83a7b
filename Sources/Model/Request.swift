// Request.swift: a request as the proxy sent it, read in place: slices point into the block it was decoded with.
// Source: proto/outrigger.proto, message Request, where every field has its unit, default and limit.

/// How the origin wants to be spoken to.
package enum Scheme: Sendable {
    case http
    case https
}

/// The body that follows a request head.
package enum RequestBody: Equatable, Sendable {
    case none
    /// Exactly so many bytes.
    case length(UInt64)
    case chunked
}

/// Whether a request may be sent again. Source: RFC 9110 §9.2.2.
package enum RetryRule: Sendable {
    case idempotentOnly
    case never
    case replayable
}

/// Times that a part of an exchange may take, milliseconds; 0: the sidecar's default.
package struct Deadlines: Equatable, Sendable {
    package var queueMilliseconds = 0
    package var connectMilliseconds = 0
    package var firstByteMilliseconds = 0
    package var idleMilliseconds = 0
    package var totalMilliseconds = 0

    package init() {}
}

/// A part of the protocol that this version refuses with BAD_REQUEST.
package enum UnsupportedFeature: String, Sendable {
    case pin, tls, credentials, group
    case peerTunnel = "route PEER_TUNNEL"
    case https = "scheme https"
    case connect = "method CONNECT"
}

/// One decoded REQUEST. Reused from message to message: the arrays keep their memory.
package struct Request: Sendable {
    package var method = Slice.empty
    package var scheme = Scheme.http
    package var authority = Slice.empty
    package var target = Slice.empty
    package var fields: [FieldSlice] = []
    package var endpoints: [Endpoint] = []
    package var route = Route.direct
    package var localAddress: IPAddress?
    package var body = RequestBody.none
    package var deadlines = Deadlines()
    package var retry = RetryRule.idempotentOnly
    /// Protocol to upgrade to; empty: none.
    package var upgrade = Slice.empty
    package var tag = Slice.empty
    /// The first part of the message, in field order, that cannot be served yet.
    package var unsupported: UnsupportedFeature?
    /// Why the request has to end BAD_REQUEST though its message is well formed, in words; `nil`: nothing found yet.
    package var invalid: String?

    package init() {}

    /// Back to the state of `init()`, keeping memory.
    package mutating func reset() {
        method = .empty
        scheme = .http
        authority = .empty
        target = .empty
        fields.removeAll(keepingCapacity: true)
        endpoints.removeAll(keepingCapacity: true)
        route = .direct
        localAddress = nil
        body = .none
        deadlines = Deadlines()
        retry = .idempotentOnly
        upgrade = .empty
        tag = .empty
        unsupported = nil
        invalid = nil
    }
}
