// End.swift: the last word about a stream. Source: DESIGN "End"; proto/outrigger.proto, message End.

/// How a stream ended. Raw values are those of the protocol.
package enum Outcome: Int, CaseIterable, Sendable {
    case complete = 1
    case completeByEOF
    case truncated
    case badReply
    case badRequest
    case cancelled
    case overloaded
    case queueTimeout
    case pinLost
    case pinMismatch
    case pinBusy
    case connectRefused
    case connectUnreachable
    case connectTimeout
    case tlsHandshake
    case tlsVerify
    case peerRefused
    case replyTimeout
    case idleTimeout
    case deadline
    case reset
    case draining
    case `internal`
}

/// How one try to get a connection went. Raw values are those of the protocol.
package enum AttemptResult: Int, CaseIterable, Sendable {
    case connected = 1
    case reused
    case refused
    case unreachable
    case timeout
    case abandoned
    case stale
    case failed
    case tlsFailed
    case peerRefused
    case exchangeFailed
}

/// One try to get a connection.
package struct Attempt: Equatable, Sendable {
    /// Index into the request's endpoints.
    package var endpointIndex: Int
    package var result: AttemptResult
    /// When it began, microseconds after the request came in.
    package var startMicroseconds: UInt64
    package var durationMicroseconds: UInt64
    /// Of that, until the transport stood; 0 for an idle connection.
    package var transportMicroseconds: UInt64
    /// Of a group: index into `EndReport.members`; negative: no group.
    package var member = -1

    package init(
        endpointIndex: Int,
        result: AttemptResult,
        startMicroseconds: UInt64,
        durationMicroseconds: UInt64,
        transportMicroseconds: UInt64 = 0
    ) {
        self.endpointIndex = endpointIndex
        self.result = result
        self.startMicroseconds = startMicroseconds
        self.durationMicroseconds = durationMicroseconds
        self.transportMicroseconds = transportMicroseconds
    }
}

/// What became of the connection when the stream ended. Raw values are those of the protocol.
package enum ConnectionFate: Int, Sendable {
    case none = 0
    case pooled
    case closed
    case pinned
}

/// Microseconds after the request came in; 0: it did not get there.
package struct Timings: Equatable, Sendable {
    package var connectedMicroseconds: UInt64 = 0
    package var sentMicroseconds: UInt64 = 0
    package var firstByteMicroseconds: UInt64 = 0
    package var totalMicroseconds: UInt64 = 0

    package init() {}
}

/// Everything an END frame says, but the attempts, which are handed beside it.
package struct EndReport: Equatable, Sendable {
    package var outcome: Outcome
    /// For people and logs; empty when complete. Never a secret.
    package var detail: String
    package var requestBodyBytes: UInt64 = 0
    package var replyBodyBytes: UInt64 = 0
    package var requestStarted = false
    package var repeatable = false
    package var connection = ConnectionFate.none
    package var timings = Timings()
    /// Names that `member`, and that of attempts, refer to; empty: no group.
    package var members: [String] = []
    /// Who served the request, or was the last that it was tried at; negative: nobody.
    package var member = -1

    package init(_ outcome: Outcome, detail: String = "") {
        self.outcome = outcome
        self.detail = detail
    }
}

/// Why a session is told to go away. Raw values are those of the protocol.
package enum GoAwayCode: Int, CaseIterable, Sendable {
    case draining = 0
    case protocolVersion
    case badHello
    case badFrame
    case frameTooLarge
    case badMessage
    case streamReused
    case streamState
    case creditExceeded
    case helloTimeout
    case forbidden
    case slowReader
}

/// What both sides say first on a session.
package struct Hello: Equatable, Sendable {
    package var version: UInt32 = 1
    package var framePayloadBytesMax = 65_536
    package var initialCreditBytes = 262_144
    package var instanceID: [UInt8] = []
    package var streamsMax = 0
    package var capabilities: [String] = []
    package var software = ""

    package init() {}
}
