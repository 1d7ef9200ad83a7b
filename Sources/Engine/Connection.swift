// Connection.swift: what the engine holds of one transport to an upstream.
// Owns: the reply decoder and what it could not take yet. Never touches: the socket.
import Authentication
import HTTP1
import Model

/// Where a connection is in its life.
enum ConnectionState: Equatable {
    /// It is being established, for this waiter first; `nil`: for the pool.
    case dialing(waiter: Int?)
    case idle
    /// It waits for its token's next request.
    case pinned
    /// It serves this stream (a slot of the stream table).
    case busy(stream: Int)
    /// Its slot is free.
    case closed
}

/// What is done on a transport, in this order, before a request may go over it.
enum SetupStep: Equatable {
    /// It is being connected.
    case transport
    /// The PROXY protocol's header is written.
    case proxyHeader
    /// TLS to the endpoint begins.
    case outerTLS
    /// A CONNECT is out and not answered yet.
    case tunnel
    /// TLS to the origin begins inside the tunnel.
    case innerTLS
    case done
}

/// One connection.
struct Connection: ~Copyable {
    var state = ConnectionState.closed
    var setup = SetupStep.transport
    /// What the step of `setup` has to write.
    var setupOutput = ByteBuffer()
    /// Whether some of a CONNECT has left.
    var hasAsked = false
    /// Whether no other request may follow: a CONNECT was answered before it was out, or the connection became one
    /// client's that has no pin for it.
    var isSpent = false
    /// Whether the tunnel is asked for on a connection that came out of the pool.
    var isTunnelOnIdle = false
    /// What the handshakes agreed upon.
    var outerAside = Aside<TLSFacts>()
    var outerFacts: TLSFacts? {
        get { outerAside.value }
        set { outerAside.value = newValue }
    }
    var innerAside = Aside<TLSFacts>()
    var innerFacts: TLSFacts? {
        get { innerAside.value }
        set { innerAside.value = newValue }
    }
    /// Slot of the target it belongs to.
    var target = 0
    /// Its room in the limits; given back when it is closed.
    var room = Room.anywhere
    /// The member of a group that it was dialed for.
    var member = MemberTag.none
    /// The pin that it is (a slot of the table of pins).
    var pin: Int?
    /// What a CONNECT that is not answered yet carries for the peer.
    var tunnelTryAside = Aside<AuthenticationTry>()
    var tunnelTry: AuthenticationTry? {
        get { tunnelTryAside.value }
        set { tunnelTryAside.value = newValue }
    }
    /// A context that is being established on it.
    var security: SecurityExchange?
    /// Whether a token of such a one has left on it: it never enters the pool.
    var carriesTokens = false
    /// As whom it is authenticated; at most one of each side.
    var users: [SecurityContextRequest] = []
    /// Whether the exchange on it binds it to one client.
    var isBinding = false
    var decoder: ReplyDecoder
    /// Bytes of the upstream that the decoder has not taken.
    var inbound = ByteBuffer()
    var createdAt = Instant(nanoseconds: 0)
    /// When it was connected or its last reply ended: the upstream counts from there too.
    var idleSince = Instant(nanoseconds: 0)
    /// What the last reply's Keep-Alive said, seconds.
    var keepAliveSeconds: Int?
    /// When it is closed unless it is used again; of one that is dialed for the pool: unless it stands.
    var idleUntil = Instant.never
    /// Requests sent on it.
    var requests = 0
    /// Its own address; `nil` for Unix sockets.
    var local: Endpoint?
    /// Whether `writeConnection` was ordered and its output has not run empty since.
    var isWriting = false
    /// Whether `writeConnection` was ordered with a probe and nothing is known to be written since.
    var awaitsProbe = false
    var isPaused = false
    /// Whether more bytes may wait in the kernel behind the last ones that were received.
    var mayHaveMore = false
    /// Whether the upstream has sent FIN.
    var hasEnded = false
    /// Whether close_notify came before it.
    var isEndProven = false

    /// Whether no TLS is spoken on it.
    var isClear: Bool { outerAside.isAbsent && innerAside.isAbsent }

    init(limits: Limits) { decoder = ReplyDecoder(limits: limits) }

    /// How long it may be idle: `most`, or the upstream's own timeout less a second, where that is shorter. The upstream
    /// may say any number.
    func idleMilliseconds(atMost most: Int) -> Int {
        guard let keepAliveSeconds else { return most }
        let (milliseconds, isTooLarge) = max(0, keepAliveSeconds - 1).multipliedReportingOverflow(by: 1000)
        return isTooLarge ? most : min(most, milliseconds)
    }

    mutating func reset(target: Int, waiter: Int, limits: Limits, now: Instant) {
        state = .dialing(waiter: waiter)
        setup = .transport
        setupOutput.removeAll(keepingAtMost: 0)
        hasAsked = false
        isSpent = false
        member = .none
        pin = nil
        isBinding = false
        tunnelTryAside.clear()
        carriesTokens = false
        if !users.isEmpty { users = [] }
        isTunnelOnIdle = false
        outerAside.clear()
        innerAside.clear()
        self.target = target
        decoder = ReplyDecoder(limits: limits)
        inbound.removeAll(keepingAtMost: 0)
        createdAt = now
        idleSince = now
        keepAliveSeconds = nil
        idleUntil = .never
        requests = 0
        local = nil
        isWriting = false
        awaitsProbe = false
        isPaused = false
        mayHaveMore = false
        hasEnded = false
        isEndProven = false
    }
}
