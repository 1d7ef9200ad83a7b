// Limits.swift: every limit of a sidecar with its unit and default. What happens at each is said beside it.

/// Limits of one sidecar. All are exact: never one more. Those that say so hold over all its workers.
package struct Limits: Sendable {
    // Sessions.
    /// Largest frame payload that we accept, bytes; offered in HELLO. Reached: GOAWAY FRAME_TOO_LARGE.
    package var framePayloadBytesMax = 131_072
    /// Request body bytes that a proxy may send on a stream before it needs credit. Exceeded: GOAWAY CREDIT_EXCEEDED.
    package var initialCreditBytes = 262_144
    /// Streams open at once on one session. Reached: END OVERLOADED.
    package var streamsPerSessionMax = 4096
    /// Time a session has for its HELLO. Reached: GOAWAY HELLO_TIMEOUT.
    package var helloMilliseconds = 10_000
    /// Bytes waiting for a session from which on its streams read no more from upstreams, until half is written.
    package var sessionOutputPauseBytes = 524_288
    /// Bytes waiting for a session that does not read. Reached: session closed with GOAWAY SLOW_READER.
    package var sessionOutputBytesMax = 67_108_864
    /// Memory for one unpacked message, bytes. Reached: GOAWAY BAD_MESSAGE.
    package var messageBytesMax = 524_288

    // Requests and replies.
    /// Request head on the wire, bytes. Reached: END BAD_REQUEST.
    package var requestHeadBytesMax = 65_536
    /// Reply head, bytes; also of a trailer section. Reached: END BAD_REPLY.
    package var replyHeadBytesMax = 65_536
    /// Field lines in a head or a trailer section. Reached: BAD_REQUEST or BAD_REPLY.
    package var fieldCountMax = 256
    /// One chunk-size line with its extensions, bytes. Reached: END BAD_REPLY.
    package var chunkLineBytesMax = 4096
    /// Chunk framing bytes beyond 20 for each chunk and one for each body byte. Reached: END BAD_REPLY.
    package var chunkOverheadBytesMax = 65_536
    /// Interim replies to one request. Reached: END BAD_REPLY.
    package var interimRepliesMax = 100
    /// Endpoints of one request. Reached: END BAD_REQUEST.
    package var endpointsMax = 16
    /// Bytes of head and body kept so that a request can be sent again. Reached: it is not sent again.
    package var replayBytesMax = 65_536
    /// Body of a challenge that is answered by the sidecar, which nobody reads, bytes. Reached: the connection is closed and
    /// the request sent again on another.
    package var challengeBodyBytesMax = 65_536
    /// Missing bytes of a reply from which on it goes to its session through a pipe, without being copied to us.
    package var spliceBytesMin = 262_144
    /// Pipes of one worker for that; 0: never. Reached: the reply is copied.
    package var pipesMax = 64

    // Connections.
    /// Connections of the process to one endpoint, dialing ones included, over all workers; 0: no limit. Reached: an idle
    /// one of another key is closed, else requests wait in the queue.
    package var connectionsPerEndpointMax = 0
    /// Connections of the process, over all workers. Reached: the oldest idle one of the worker that needs room is closed,
    /// else one of another worker, else requests wait in the queue.
    package var connectionsMax = 16_384
    /// Requests of the process that wait for a connection, over all workers. Reached: END OVERLOADED.
    package var queueLengthMax = 8192
    /// Requests that one session may always have under way at one endpoint or group, beyond as many wherever it likes, until
    /// their replies begin; 0: no limit. Reached: while others have requests there and their replies take longer for it, it
    /// has more only as far as that does not go on; the rest waits in the queue, and goes on in the last quarter of its deadline.
    package var sessionWindowMin = 8
    /// Idle connections of one pool key in each worker. Reached: its oldest is closed.
    package var idlePerKeyMax = 256
    /// Idle connections of the process, shared out evenly to its workers. Reached in a worker: its oldest is closed.
    package var idleMax = 16_384
    /// Idle time of a connection; the upstream's Keep-Alive timeout less a second shortens it. Reached: closed.
    package var idleConnectionMilliseconds = 60_000
    /// Idle time after which a connection may go to another worker, which would else dial.
    package var idleTakeoverMilliseconds = 20
    /// Idle time after which a connection is asked for its health with a system call before it is used again.
    package var livenessProbeIdleMilliseconds = 1000
    /// Requests on one connection; 0: no limit. Reached: closed after the reply.
    package var requestsPerConnectionMax = 0
    /// Age of a connection; 0: no limit. Reached: closed after the reply, or when idle.
    package var connectionAgeMilliseconds = 0
    /// Head start of one address before the next is tried beside it (RFC 8305 §5).
    package var racingDelayMilliseconds = 250

    /// Lists of endpoints with a balancing policy that each worker remembers load and health of. Reached: the one used longest
    /// ago is forgotten; are all in use: END OVERLOADED.
    package var adHocGroupsMax = 256

    // Pins.
    /// Pinned connections of the process, over all workers. Reached: END OVERLOADED; one that would bind itself is closed.
    package var pinsMax = 8192
    /// Pinned connections of one proxy, over all its sessions and all workers. Reached: the same.
    package var pinsPerProxyMax = 8192
    /// Targets that one token may pin. Reached: the same.
    package var pinTargetsPerTokenMax = 8
    /// Requests of one worker that wait for one pinned connection. Reached: END PIN_BUSY. One that has a connection brought
    /// from another worker waits for it even at 0.
    package var pinQueueLengthMax = 64
    /// Time that a pinned connection may be unused; the upstream's own timeout less a second shortens it. Reached: closed,
    /// PIN_EXPIRED.
    package var pinIdleMilliseconds = 120_000
    /// Age of a pin. Reached: closed behind the exchange on it, PIN_EXPIRED.
    package var pinAgeMilliseconds = 3_600_000
    /// Time for which the pins of a proxy that lost its last session wait for it to come back. Reached: closed.
    package var pinGraceMilliseconds = 10_000

    // TLS, for each worker.
    /// Contexts, one for each set of settings. Reached: the one that was not used for longest is dropped.
    package var tlsContextsMax = 64
    /// Servers, each with its identity, of which sessions are kept. Reached: those of the one used longest ago are dropped.
    package var tlsSessionKeysMax = 1024
    /// Sessions of one server. Reached: the oldest is dropped. One of 1.3 is good for one connection: so many can be made
    /// at the same time without a full handshake.
    package var tlsSessionsPerKeyMax = 64
    /// Sessions of all servers. Reached: the oldest of the server used longest ago is dropped. One takes about 2 KiB.
    package var tlsSessionsMax = 4096
    /// Time for which the files of a context are taken to be unchanged.
    package var tlsFileCheckMilliseconds = 1000

    // Authentication, for each worker.
    /// Servers, each with a credential, of which nonces and protection spaces are remembered. Reached: the one used longest
    /// ago is forgotten, and will ask again.
    package var authenticationSpacesMax = 1024
    /// One token of Negotiate or NTLM, ours or the server's, bytes before base64. Reached: the challenge is passed on.
    package var securityTokenBytesMax = 49_152
    /// Threads of the process that take steps of Negotiate and NTLM, which may wait for a KDC.
    package var securityThreads = 2
    /// Steps that wait for one such thread. Reached: the step fails, and the next best scheme is taken.
    package var securityQueueLengthMax = 1024

    // Deadlines of an exchange where the request does not say; 0: none.
    package var queueMilliseconds = 10_000
    package var connectMilliseconds = 10_000
    package var firstByteMilliseconds = 60_000
    package var idleMilliseconds = 60_000
    package var totalMilliseconds = 0
    /// Time to wait for 100 (Continue) before the body is sent without it (RFC 9110 §10.1.1).
    package var continueMilliseconds = 1000

    // Shutdown.
    /// Time that open streams have after SIGTERM. Reached: END DRAINING.
    package var drainMilliseconds = 25_000

    package init() {}
}
