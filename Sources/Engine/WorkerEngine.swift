// WorkerEngine.swift: the front door of every decision of one worker. Events in, effects out; nothing calls upwards.
// Owns: sessions, streams, connections, pool, queue, deadlines. Never touches: sockets, the clock, threads.
// Source: DESIGN "The way of a request", "Rules".
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

/// One order to the worker, run after the engine has returned, in the order given.
package enum Effect: Equatable, Sendable {
    /// Connect without blocking; answer with `dialed` once, unless `closeConnection` comes first.
    case dial(ConnectionID, Endpoint, localAddress: IPAddress?)
    /// Write `output(of:)`, now and whenever there is room, until it is empty; report each time with `wrote`.
    /// With `probeFirst`: when the socket has anything to read or is closed, write nothing and report `closed`.
    case writeConnection(ConnectionID, probeFirst: Bool)
    /// The same for a session's `outputSegment`s.
    case writeSession(SessionID)
    /// Pass on no bytes of this connection until `resumeReading`; what arrives stays in the kernel.
    case pauseReading(ConnectionID)
    case resumeReading(ConnectionID)
    /// Everything is written: send FIN and go on reading.
    case shutdownWriting(ConnectionID)
    /// Close the socket. The id is dead; report nothing more for it.
    case closeConnection(ConnectionID)
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
}

/// The decisions of one worker. Time must not go backwards from call to call.
package struct WorkerEngine: ~Copyable {
    /// - Parameters:
    ///   - limits: of this worker.
    ///   - instanceID: named in HELLO, at most 64 bytes.
    ///   - now: the first reading of the clock.
    package init(limits: Limits, instanceID: [UInt8], software: String, now: Instant) { preconditionFailure("stub") }

    // Sessions.
    /// A proxy connected.
    package mutating func opened(now: Instant) -> SessionID { preconditionFailure("stub") }
    /// A proxy connected whom the worker will not serve: GOAWAY FORBIDDEN, then `closeSession`.
    package mutating func refused(detail: String, now: Instant) -> SessionID { preconditionFailure("stub") }
    /// Bytes of a proxy. All are taken; what is no whole frame yet is kept.
    package mutating func received(_ bytes: Span<UInt8>, from session: SessionID, now: Instant) {}
    /// The proxy's end of file or an error, or the answer to `closeSession`. The id is dead.
    package mutating func closed(_ session: SessionID, now: Instant) {}
    /// Output of a session in the order to be written: three segments, any of them empty.
    @_lifetime(borrow self)
    package func outputSegment(_ index: Int, of session: SessionID) -> Span<UInt8> {
        preconditionFailure("stub")
    }
    /// `count` bytes of the segments, counted from the first, are written.
    package mutating func wrote(_ count: Int, to session: SessionID, now: Instant) {}

    // Connections.
    package mutating func dialed(_ connection: ConnectionID, _ result: DialResult, now: Instant) {}
    /// Bytes of an upstream. All are taken.
    package mutating func received(_ bytes: Span<UInt8>, from connection: ConnectionID, now: Instant) {}
    /// Bytes that `receivedInPlace` would take now; 0: read into a buffer and call `received`.
    package func bytesInPlaceMax(_ connection: ConnectionID) -> Int { 0 }
    /// Lets `read` put bytes of an upstream straight into the session's output. Call only after `bytesInPlaceMax` > 0.
    package mutating func receivedInPlace(
        from connection: ConnectionID,
        now: Instant,
        read: (inout OutputSpan<UInt8>) -> Void
    ) {}
    /// The upstream sent FIN: no bytes follow.
    package mutating func endOfFile(from connection: ConnectionID, now: Instant) {}
    /// The socket failed. The id is dead.
    package mutating func closed(_ connection: ConnectionID, _ cause: CloseCause, now: Instant) {}
    /// Bytes to write; empty when there are none.
    @_lifetime(borrow self)
    package func output(of connection: ConnectionID) -> Span<UInt8> {
        preconditionFailure("stub")
    }
    package mutating func wrote(_ count: Int, to connection: ConnectionID, now: Instant) {}

    // Time and shutdown.
    /// Runs every deadline that is due.
    package mutating func advance(to now: Instant) {}
    /// When `advance` is wanted next; `nil`: no deadline.
    package var nextDeadline: Instant? { nil }
    /// GOAWAY DRAINING to all; new streams end DRAINING; what is open goes on until the drain deadline.
    package mutating func drain(now: Instant) {}
    /// Whether `drain` was called and every stream has ended and every session's output is written.
    package var isDrained: Bool { false }

    // Effects and counts.
    /// Moves the orders given since the last call to the end of `effects`.
    package mutating func takeEffects(into effects: inout [Effect]) {}
    /// What is open now.
    package var counts: Counts { Counts() }
}

/// What one engine has open, and what it has done since it began.
package struct Counts: Equatable, Sendable {
    package var sessions = 0
    package var streams = 0
    package var connections = 0
    package var idleConnections = 0
    package var waiting = 0
    package var requestsTotal: UInt64 = 0
    package var dialsTotal: UInt64 = 0
    package var reusesTotal: UInt64 = 0
    package var retriesTotal: UInt64 = 0

    package init() {}
}
