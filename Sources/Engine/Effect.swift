// Effect.swift: what the engine orders and what the worker answers.
import Model

/// Names a session for as long as it lives; never reused while anyone can still hold it.
package struct SessionID: Hashable, Sendable {
    package var slot: UInt32
    package var generation: UInt32
}

/// Names a connection for as long as it lives.
package struct ConnectionID: Hashable, Sendable {
    package var slot: UInt32
    package var generation: UInt32
}

/// A hop that TLS can be spoken on.
package enum TLSHop: Equatable, Sendable {
    /// To the endpoint.
    case outer
    /// To the origin, through a tunnel at the endpoint.
    case inner
}

/// One order to the worker, run after the engine has returned, in the order given.
package enum Effect: Equatable, Sendable {
    /// Connect without blocking; answer with `dialed` once, unless `closeConnection` comes first.
    /// `address(of:)` says where to and from where.
    case dial(ConnectionID)
    /// Begin TLS on the connection, over what it has so far; answer with `secured` once, unless `closeConnection` comes
    /// first. `tlsIdentity(of:_:)` says with whom. All bytes of the connection are those inside from then on.
    case startTLS(ConnectionID, TLSHop)
    /// Write `output(of:)`, now and whenever there is room, until it is empty; report each time with `wrote`.
    /// It may be empty at once.
    /// With `probeFirst`: when the socket has anything to read or is closed, write nothing and report `closed`.
    case writeConnection(ConnectionID, probeFirst: Bool)
    /// The same for a session's `outputSegment`s.
    case writeSession(SessionID)
    /// Pass on no bytes of this connection until `resumeReading`; what arrives stays in the kernel.
    case pauseReading(ConnectionID)
    case resumeReading(ConnectionID)
    /// Everything is written: send FIN, over TLS behind close_notify, and go on reading.
    case shutdownWriting(ConnectionID)
    /// Say close_notify, as far as the socket takes it at once: `closeConnection` follows, and nothing is missing.
    case notifyClose(ConnectionID)
    /// Close the socket. The id is dead; report nothing more for it.
    case closeConnection(ConnectionID)
    /// Give a room back to the budget; the socket that had it is closed.
    case giveBack(Room)
    /// The same for a room that a wish has claimed.
    case handOver(Room, Heir)
    /// Send the next so many letters, `takeLetters(_:)`, to other workers. A connection that goes to one is no longer this
    /// worker's: what was ordered for it stands before, and the next one in its slot behind.
    case sendLetters(Int)
    /// Take the step that `securityOrder(of:)` says, where it may block; answer with `stepped` once.
    case stepSecurity(ConnectionID)
    /// Forget the context, whether it has been made or not. Nobody waits for a step of it any more.
    case dropSecurity(SecurityContextID)
    /// Write what the socket takes at once of the output, close it, and report `closed` for it.
    case closeSession(SessionID)
}

/// How a dial went.
package enum DialResult: Equatable, Sendable {
    /// - local: the socket's own address; `nil` for Unix sockets.
    case connected(local: Endpoint?)
    /// `.refused`, `.unreachable`, `.timeout` or `.failed`.
    case failed(AttemptResult)
}

/// How a socket ended without being asked to.
package enum CloseCause: Equatable, Sendable {
    /// ECONNRESET, EPIPE and the like.
    case reset
    /// A probe before reuse found it dead; nothing was written.
    case stale
    /// TLS broke after its handshake: an alert (a client certificate that is not accepted comes so late in 1.3), or a
    /// record that is none.
    case broken(TLSFailure)
}

/// What one engine has open, and what it has done since it began.
package struct Counts: Equatable, Sendable {
    package var sessions = 0
    package var streams = 0
    package var connections = 0
    package var idleConnections = 0
    /// Pinned connections, those that serve a request included.
    package var pins = 0
    package var waiting = 0
    package var requestsTotal: UInt64 = 0
    package var dialsTotal: UInt64 = 0
    package var reusesTotal: UInt64 = 0
    package var retriesTotal: UInt64 = 0
    /// Requests that were held back for others of their session.
    package var heldTotal: UInt64 = 0

    package init() {}
}
