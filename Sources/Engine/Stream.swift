// Stream.swift: what the engine holds of one exchange: the request as it goes out, credit, times.
// Owns: the bytes for the upstream until they are written or cannot be asked for again.
import HTTP1
import Model

/// Where a stream is.
enum StreamPhase: Equatable {
    /// It waits for a connection.
    case waiting
    /// It has this connection (a slot of the connection table).
    case active(Int)
    /// It waits for this pinned connection (a slot of the table of pins).
    case queued(Int)
    /// It was opened and is about to end, or its slot is free.
    case none
}

/// How much of the request may be written.
enum UploadGate: Equatable {
    case open
    /// Only the head: 100 (Continue) is awaited. Source: RFC 9110 §10.1.1.
    case awaitsContinue
    /// Only the head: 101, or 2xx to CONNECT, is awaited; before it no byte of the tunnel may leave.
    /// Source: RFC 9110 §7.8, §9.3.6.
    case awaitsUpgrade
    /// Only the head, which says that there is no body: the body waits for the token that lets it in.
    case awaitsToken
    /// Nothing: a peer refused the tunnel that the request should have gone through.
    case shut
}

/// One stream.
struct Stream: ~Copyable {
    var phase = StreamPhase.none
    /// Slot of its session.
    var session = 0
    var id: UInt32 = 0

    // The request.
    /// Head and body on the wire: `uploadWritten` bytes of it are written, the rest waits.
    var upload = ByteBuffer()
    var uploadWritten = 0
    /// Bytes at the front of `upload` that are the head.
    var headBytes = 0
    /// Whether `upload` still begins with the request's first byte, so that it can be sent again.
    var isReplayHeld = true
    var gate = UploadGate.open
    var body = RequestBody.none
    /// Whether the rest of a BODY frame is on its way, which will leave together with what is here of it.
    var awaitsRest = false
    /// Body bytes that came from the proxy.
    var bodyReceived: UInt64 = 0
    /// Body bytes known to be written to the upstream.
    var bodyWritten: UInt64 = 0
    /// Whether the proxy sent END_STREAM.
    var isProxyDone = false
    /// Whether the FIN that follows it in a tunnel was ordered.
    var isUploadShut = false
    var encoded = EncodedRequest()
    var retry = RetryRule.idempotentOnly
    var hasRetried = false
    /// Whether its connection came out of the pool, where the upstream may have closed it at any time.
    var isOnIdle = false
    /// Whether any byte of the request was ever written.
    var isStarted = false
    /// Whether some of `output(of:)` is on its way to the connection it has now, though nothing was reported as written.
    var isCommitted = false
    /// Body bytes that the proxy may still send.
    var uploadCredit = 0
    /// Body bytes taken from the proxy and not yet given back as credit.
    var creditOwed = 0

    // The reply.
    /// Body bytes that may still be sent to the proxy.
    var replyCredit: Int64 = 0
    var replyBytes: UInt64 = 0
    /// Whether the head of a final reply was seen.
    var isReplyBegun = false
    /// Whether the proxy was told of an interim reply.
    var hasPassedInterim = false
    var isTunnel = false
    /// Whether the upstream's end of a tunnel over TLS came without close_notify.
    var isCut = false
    /// Status of the reply to CONNECT, where that was no 2xx; else 0.
    var refusalStatus = 0
    /// Whether it is among the session's `stalled`.
    var isStalled = false
    /// Whether the upstream's side of a tunnel has ended.
    var isDownloadDone = false
    /// Its place in the session's queue of bodies.
    var outputMark: UInt64 = 0

    // Its client.
    /// Its token; empty: none.
    var pinToken: [UInt8] = []
    var pinMode = PinMode.auto
    /// The pin that its connection becomes when the reply begins.
    var pin: Int?
    /// Whether the token was unpinned since: nothing is pinned to it for this stream any more.
    var isUnpinned = false
    /// Whether only a connection that nobody has used will do.
    var needsFresh = false
    /// Whether the request carries credentials of NTLM or Negotiate.
    var hasBindingCredentials = false
    /// What it can answer challenges with; `nil`: nothing.
    var authenticationAside = Aside<StreamAuthentication>()
    var authentication: StreamAuthentication? {
        get { authenticationAside.value }
        set { authenticationAside.value = newValue }
    }
    /// Whether what follows is the body of a challenge that is answered.
    var isDropping = false
    /// A context on its way to the connection on which it begins.
    var security: SecurityExchange?
    /// Why a challenge was passed on, or a connection not pinned.
    var authenticationWords = ""

    // Getting a connection.
    var turn = Turn.none
    /// When it may go on although there is no room in its session's window.
    var heldUntil = Instant.never
    /// Number of its group, which `errands` has more of; negative: none.
    var group: Int32 = -1
    var endpoints: [Endpoint] = []
    var route = RouteID.direct
    /// Whether it is a CONNECT that is answered by connecting.
    var isRaw = false
    var localAddress: IPAddress?
    /// The next endpoint to be tried.
    var endpointNext = 0
    /// Waiters of this stream that exist, in the order in which they began.
    var waiters: [Int32] = []
    var attempts: [Attempt] = []
    /// The endpoint that its connection goes to.
    var endpointIndex = 0

    // Time.
    var openedAt = Instant(nanoseconds: 0)
    var connectedAt: Instant?
    var sentAt: Instant?
    var firstByteAt: Instant?
    var lastActivityAt = Instant(nanoseconds: 0)
    var deadlines = Deadlines()
    var queueUntil = Instant.never
    /// Whether a dial was begun for it, so that `connectUntil` holds and not `queueUntil`.
    var isConnecting = false
    var connectUntil = Instant.never
    var raceAt = Instant.never
    var continueUntil = Instant.never
    var totalUntil = Instant.never

    /// Bytes of `upload` that may be written now.
    var uploadLimit: Int {
        if awaitsRest || isDropping { return uploadWritten }
        if gate == .open { return upload.count }
        return gate == .shut ? 0 : headBytes
    }

    /// Whether the proxy has nothing more to add to the request.
    var isUploadComplete: Bool { isProxyDone || body == .length(bodyReceived) }

    /// Whether a connection that was assigned has not been written to yet.
    var isUploadUntouched: Bool { uploadWritten == 0 && isReplayHeld && !isCommitted && gate != .shut }

    /// Whether it asked for a tunnel by itself.
    var isConnect: Bool { encoded.isConnect }

    /// Whether the request may be sent again although some of it was written. Source: RFC 9110 §9.2.2.
    var mayRepeat: Bool {
        switch retry {
        // A CONNECT that was not answered has not carried a byte of its tunnel.
        case .idempotentOnly: (encoded.isIdempotent || encoded.isConnect) && !isTunnel
        case .never: false
        case .replayable: true
        }
    }

    /// Whether every byte of the request is written. What follows an Upgrade is not part of it.
    var isRequestWhole: Bool {
        switch gate {
        case .open: isTunnel || (isUploadComplete && uploadWritten == upload.count)
        case .awaitsContinue: false
        case .awaitsUpgrade, .awaitsToken: uploadWritten == headBytes
        // The CONNECT was.
        case .shut: true
        }
    }

    /// Back to the start, keeping the memory of its arrays; `upload` is the caller's.
    mutating func reset(session: Int, id: UInt32, now: Instant) {
        phase = .none
        self.session = session
        self.id = id
        uploadWritten = 0
        headBytes = 0
        isReplayHeld = true
        gate = .open
        awaitsRest = false
        body = .none
        bodyReceived = 0
        bodyWritten = 0
        isProxyDone = false
        isUploadShut = false
        encoded = EncodedRequest()
        retry = .idempotentOnly
        hasRetried = false
        isOnIdle = false
        isStarted = false
        isCommitted = false
        uploadCredit = 0
        creditOwed = 0
        replyCredit = 0
        replyBytes = 0
        isReplyBegun = false
        hasPassedInterim = false
        isTunnel = false
        isCut = false
        refusalStatus = 0
        isDownloadDone = false
        outputMark = 0
        resetClient()
        group = -1
        route = .direct
        isRaw = false
        localAddress = nil
        endpointNext = 0
        attempts.removeAll(keepingCapacity: true)
        endpointIndex = 0
        resetTimes(now)
    }

    private mutating func resetClient() {
        if !pinToken.isEmpty { pinToken.removeAll(keepingCapacity: true) }
        pinMode = .auto
        pin = nil
        isUnpinned = false
        needsFresh = false
        hasBindingCredentials = false
        authenticationAside.clear()
        isDropping = false
        if !authenticationWords.isEmpty { authenticationWords = "" }
    }

    private mutating func resetTimes(_ now: Instant) {
        openedAt = now
        connectedAt = nil
        sentAt = nil
        firstByteAt = nil
        lastActivityAt = now
        queueUntil = .never
        heldUntil = .never
        isConnecting = false
        connectUntil = .never
        raceAt = .never
        continueUntil = .never
        totalUntil = .never
    }
}
