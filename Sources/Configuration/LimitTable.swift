// LimitTable.swift: every limit as a setting: name, unit, range and help. Its default is in `Limits`.
// To add a limit, add a row here: file, variable, flag, help and the printed file follow from it, and a test
// fails for as long as one is missing. Source: Sources/Model/Limits.swift.
import Model

private let gibibyte = 1 << 30
private let count = 1_000_000
/// A day in milliseconds.
private let day = 86_400_000

private func limit(
    _ name: String,
    _ path: WritableKeyPath<Settings, Int> & Sendable,
    _ unit: Setting.Unit,
    _ range: ClosedRange<Int>,
    _ help: String
) -> Setting {
    Setting(name, .number(unit, range, path), help)
}

extension Setting {
    /// In the order of `Limits`.
    package static let limits: [Setting] = [
        // Sessions.
        limit(
            "frame-payload-bytes-max",
            \.limits.framePayloadBytesMax,
            .bytes,
            16_384...1_048_576,
            "Largest frame payload that is taken, offered in HELLO"
        ),
        limit(
            "initial-credit-bytes",
            \.limits.initialCreditBytes,
            .bytes,
            1...16_777_216,
            "Request body bytes that a proxy may send before it needs credit"
        ),
        limit(
            "streams-per-session-max",
            \.limits.streamsPerSessionMax,
            .number,
            1...count,
            "Streams open at once on one session"
        ),
        limit(
            "hello-milliseconds",
            \.limits.helloMilliseconds,
            .milliseconds,
            1...day,
            "Time a session has for its HELLO"
        ),
        limit(
            "session-output-pause-bytes",
            \.limits.sessionOutputPauseBytes,
            .bytes,
            65_536...gibibyte,
            "Bytes waiting for a session at which its upstreams pause"
        ),
        limit(
            "session-output-bytes-max",
            \.limits.sessionOutputBytesMax,
            .bytes,
            65_536...16 * gibibyte,
            "Bytes waiting for a session at which it is closed"
        ),
        limit(
            "message-bytes-max",
            \.limits.messageBytesMax,
            .bytes,
            65_536...gibibyte,
            "Memory for one unpacked message"
        ),
        // Requests and replies.
        limit(
            "request-head-bytes-max",
            \.limits.requestHeadBytesMax,
            .bytes,
            1024...1_048_576,
            "Request head as sent"
        ),
        limit(
            "reply-head-bytes-max",
            \.limits.replyHeadBytesMax,
            .bytes,
            1024...1_048_576,
            "Reply head, and trailer section"
        ),
        limit(
            "field-count-max",
            \.limits.fieldCountMax,
            .number,
            8...65_536,
            "Field lines in a head or trailer section"
        ),
        limit(
            "chunk-line-bytes-max",
            \.limits.chunkLineBytesMax,
            .bytes,
            16...65_536,
            "One chunk-size line with its extensions"
        ),
        limit(
            "chunk-overhead-bytes-max",
            \.limits.chunkOverheadBytesMax,
            .bytes,
            1024...gibibyte,
            "Chunk framing beyond 20 bytes for each chunk and one for each body byte"
        ),
        limit(
            "interim-replies-max",
            \.limits.interimRepliesMax,
            .number,
            0...10_000,
            "Interim replies to one request"
        ),
        limit("endpoints-max", \.limits.endpointsMax, .number, 1...1024, "Endpoints of one request"),
        limit(
            "replay-bytes-max",
            \.limits.replayBytesMax,
            .bytes,
            0...gibibyte,
            "Bytes of a request kept so that it can be sent again"
        ),
        limit(
            "challenge-body-bytes-max",
            \.limits.challengeBodyBytesMax,
            .bytes,
            0...gibibyte,
            "Body of a challenge that is answered here"
        ),
        limit(
            "splice-bytes-min",
            \.limits.spliceBytesMin,
            .bytes,
            65_536...gibibyte,
            "Missing bytes of a clear-text reply from which on it goes through a pipe"
        ),
        limit(
            "pipes-max",
            \.limits.pipesMax,
            .number,
            0...4096,
            "Pipes of one worker for large replies; 0: none"
        ),
        // Connections.
        limit(
            "connections-per-endpoint-max",
            \.limits.connectionsPerEndpointMax,
            .number,
            0...count,
            "Connections of the process to one endpoint; 0: no limit"
        ),
        limit(
            "connections-max",
            \.limits.connectionsMax,
            .number,
            1...count,
            "Connections of the process"
        ),
        limit(
            "queue-length-max",
            \.limits.queueLengthMax,
            .number,
            0...count,
            "Requests of the process that wait for a connection"
        ),
        limit(
            "session-window-min",
            \.limits.sessionWindowMin,
            .number,
            0...count,
            "Requests that a session may always have awaiting replies at one endpoint or group; 0: no limit"
        ),
        limit(
            "idle-per-key-max",
            \.limits.idlePerKeyMax,
            .number,
            0...count,
            "Idle connections of a worker that are interchangeable"
        ),
        limit(
            "idle-max",
            \.limits.idleMax,
            .number,
            0...count,
            "Idle connections of the process, shared out evenly to the workers"
        ),
        limit(
            "idle-connection-milliseconds",
            \.limits.idleConnectionMilliseconds,
            .milliseconds,
            0...day,
            "Time after which an idle connection is closed"
        ),
        limit(
            "idle-takeover-milliseconds",
            \.limits.idleTakeoverMilliseconds,
            .milliseconds,
            0...day,
            "Idle time after which a connection may go to another worker, which would else dial"
        ),
        limit(
            "liveness-probe-idle-milliseconds",
            \.limits.livenessProbeIdleMilliseconds,
            .milliseconds,
            0...day,
            "Idle time after which a connection is probed before it is used"
        ),
        limit(
            "requests-per-connection-max",
            \.limits.requestsPerConnectionMax,
            .number,
            0...Int(Int32.max),
            "Requests on one connection; 0: no limit"
        ),
        limit(
            "connection-age-milliseconds",
            \.limits.connectionAgeMilliseconds,
            .milliseconds,
            0...30 * day,
            "Age at which a connection is closed; 0: no limit"
        ),
        limit(
            "racing-delay-milliseconds",
            \.limits.racingDelayMilliseconds,
            .milliseconds,
            10...day,
            "Head start of one address before the next is tried beside it"
        ),
        limit(
            "ad-hoc-groups-max",
            \.limits.adHocGroupsMax,
            .number,
            1...100_000,
            "Lists of endpoints with a balancing policy that each worker remembers"
        ),
        // Pins.
        limit("pins-max", \.limits.pinsMax, .number, 0...count, "Pinned connections"),
        limit(
            "pins-per-proxy-max",
            \.limits.pinsPerProxyMax,
            .number,
            0...count,
            "Pinned connections of one proxy"
        ),
        limit(
            "pin-targets-per-token-max",
            \.limits.pinTargetsPerTokenMax,
            .number,
            1...1024,
            "Targets that one token may pin"
        ),
        limit(
            "pin-queue-length-max",
            \.limits.pinQueueLengthMax,
            .number,
            0...65_536,
            "Requests of one worker that wait for one pinned connection"
        ),
        limit(
            "pin-idle-milliseconds",
            \.limits.pinIdleMilliseconds,
            .milliseconds,
            1...day,
            "Time that a pinned connection may be unused"
        ),
        limit(
            "pin-age-milliseconds",
            \.limits.pinAgeMilliseconds,
            .milliseconds,
            1...day,
            "Age of a pinned connection"
        ),
        limit(
            "pin-grace-milliseconds",
            \.limits.pinGraceMilliseconds,
            .milliseconds,
            0...day,
            "Time that a proxy's pins outlive its last session"
        ),
        // TLS.
        limit(
            "tls-contexts-max",
            \.limits.tlsContextsMax,
            .number,
            1...count,
            "TLS contexts of a worker, one for each set of settings in use"
        ),
        limit(
            "tls-session-keys-max",
            \.limits.tlsSessionKeysMax,
            .number,
            1...count,
            "Servers of a worker, each with its identity, of which TLS sessions are kept"
        ),
        limit(
            "tls-sessions-per-key-max",
            \.limits.tlsSessionsPerKeyMax,
            .number,
            1...1024,
            "TLS sessions kept of one of them"
        ),
        limit(
            "tls-sessions-max",
            \.limits.tlsSessionsMax,
            .number,
            1...count,
            "TLS sessions that a worker keeps in all"
        ),
        limit(
            "tls-file-check-milliseconds",
            \.limits.tlsFileCheckMilliseconds,
            .milliseconds,
            0...day,
            "Time for which the files of a TLS context are taken to be unchanged"
        ),
        // Authentication.
        limit(
            "authentication-spaces-max",
            \.limits.authenticationSpacesMax,
            .number,
            1...count,
            "Servers, each with a credential, of which a worker remembers authentication"
        ),
        limit(
            "security-token-bytes-max",
            \.limits.securityTokenBytesMax,
            .bytes,
            1024...gibibyte,
            "One token of Negotiate or NTLM"
        ),
        limit(
            "security-threads",
            \.limits.securityThreads,
            .number,
            1...64,
            "Threads that take steps of Negotiate and NTLM"
        ),
        limit(
            "security-queue-length-max",
            \.limits.securityQueueLengthMax,
            .number,
            1...count,
            "Steps of Negotiate and NTLM that wait for one thread"
        ),
        // Deadlines.
        limit(
            "queue-milliseconds",
            \.limits.queueMilliseconds,
            .milliseconds,
            0...day,
            "Deadline for getting a connection to dial or use; 0: none"
        ),
        limit(
            "connect-milliseconds",
            \.limits.connectMilliseconds,
            .milliseconds,
            0...day,
            "Deadline for connecting; 0: none"
        ),
        limit(
            "first-byte-milliseconds",
            \.limits.firstByteMilliseconds,
            .milliseconds,
            0...day,
            "Deadline for the first byte of a reply; 0: none"
        ),
        limit(
            "idle-milliseconds",
            \.limits.idleMilliseconds,
            .milliseconds,
            0...day,
            "Time in which something has to move in an exchange; 0: none"
        ),
        limit(
            "total-milliseconds",
            \.limits.totalMilliseconds,
            .milliseconds,
            0...30 * day,
            "Deadline for a whole exchange; 0: none"
        ),
        limit(
            "continue-milliseconds",
            \.limits.continueMilliseconds,
            .milliseconds,
            0...day,
            "Time to wait for 100 (Continue) before the body is sent"
        ),
        limit(
            "drain-milliseconds",
            \.limits.drainMilliseconds,
            .milliseconds,
            0...day,
            "Time that open streams have after SIGTERM"
        ),
    ]
}
