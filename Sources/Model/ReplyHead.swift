// ReplyHead.swift: the head of a reply, read in place: slices point into the block it was decoded from.
// Source: RFC 9112 §4, §5, §6.

/// What delimits the body of a reply. Source: RFC 9112 §6.3.
package enum ReplyBody: Equatable, Sendable {
    case none
    case length(UInt64)
    case chunked
    case untilEOF
    /// 101, or 2xx to CONNECT: bytes in both directions from here on.
    case tunnel
}

/// A decoded status line and field section. Reused: the array keeps its memory.
package struct ReplyHead: Sendable {
    /// 100...999.
    package var status = 0
    package var reason = Slice.empty
    /// 10 for HTTP/1.0, 11 for HTTP/1.1.
    package var version = 11
    package var fields: [FieldSlice] = []
    package var body = ReplyBody.none

    package init() {}
}

/// What is known about the connection that serves a stream.
package struct ConnectionFacts: Equatable, Sendable {
    package var reused = false
    /// Index into the request's endpoints.
    package var endpointIndex = 0
    /// Requests sent on the connection, this one included.
    package var requests = 1
    /// Whether it is bound to the request's pin token.
    package var isPinned = false
    package var remote: Endpoint?
    package var local: Endpoint?
    /// TLS to the origin; `nil`: clear text.
    package var tlsAside = Aside<TLSFacts>()
    package var tls: TLSFacts? {
        get { tlsAside.value }
        set { tlsAside.value = newValue }
    }
    /// TLS to the peer; `nil`: clear text or no peer.
    package var peerTLSAside = Aside<TLSFacts>()
    package var peerTLS: TLSFacts? {
        get { peerTLSAside.value }
        set { peerTLSAside.value = newValue }
    }
    /// Whether this exchange binds the connection to one client.
    package var isBound = false
    /// Why a challenge was passed on although credentials were given for it; empty: nothing was withheld.
    package var authentication = ""

    package init() {}
}
