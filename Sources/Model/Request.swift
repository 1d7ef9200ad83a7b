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

/// How the origin is reached from the endpoints.
package enum Route: Hashable, Sendable {
    /// The endpoint is the origin.
    case direct
    /// The endpoint is a peer that is asked in absolute-form.
    case peer
    /// The endpoint is a peer that is asked for a tunnel first.
    case peerTunnel
}

/// TLS of one hop as a request asks for it. What is absent comes from the profile.
package struct TLSRequest: Equatable, Sendable {
    /// Empty: the profile "default" where there is one.
    package var profile = ""
    package var serverName = ""
    package var verifyName = ""
    package var trust: TLSTrust?
    package var certificateFile = ""
    package var keyFile = ""
    package var versionMin: TLSVersion?
    package var versionMax: TLSVersion?
    package var ciphers = ""
    package var cipherSuites = ""
    package var alpn: [String] = []
    package var pins: [[UInt8]] = []
    package var requiresStaple = false

    package init() {}
}

/// The way to the endpoints as a request asks for it. What is absent comes from the named route.
package struct HopRequest: Equatable, Sendable {
    /// Name of a route in the configuration; empty: none.
    package var name = ""
    /// TLS to the peer; `nil`: as the named route says, else clear text.
    package var tls: TLSRequest?
    /// Field lines of a CONNECT, checked by whoever sends them.
    package var connectFields: [HeaderField] = []
    package var proxyProtocol = ProxyProtocol.none
    package var proxySource: Endpoint?
    package var proxyDestination: Endpoint?

    package init() {}
}

/// How a request uses the pins of its token. Source: proto/outrigger.proto, enum PinMode.
package enum PinMode: Int, Sendable {
    case auto = 0
    case require = 1
    case prefer = 2
    case make = 3
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
    /// TLS to the origin; `nil`: as the scheme and the configuration say.
    package var tlsAside = Aside<TLSRequest>()
    package var tls: TLSRequest? {
        get { tlsAside.value }
        set { tlsAside.value = newValue }
    }
    package var hopAside = Aside<HopRequest>()
    package var hop: HopRequest? {
        get { hopAside.value }
        set { hopAside.value = newValue }
    }
    package var credentialsAside = Aside<CredentialsRequest>()
    package var credentials: CredentialsRequest? {
        get { credentialsAside.value }
        set { credentialsAside.value = newValue }
    }
    /// The client's token, 1 to 64 bytes; empty: none.
    package var pinToken = Slice.empty
    package var pinMode = PinMode.auto
    /// Whether the method is CONNECT.
    package var isConnect = false
    /// Name of a group, which is in place of endpoints; empty: none.
    package var group = Slice.empty
    /// What the policy `hash` goes by; empty: authority and target.
    package var hashKey = Slice.empty
    /// How one of the endpoints is chosen; `nil`: in order.
    package var balancing: GroupPolicy?
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
        tlsAside.clear()
        hopAside.clear()
        credentialsAside.clear()
        pinToken = .empty
        pinMode = .auto
        isConnect = false
        group = .empty
        hashKey = .empty
        balancing = nil
        invalid = nil
    }
}
