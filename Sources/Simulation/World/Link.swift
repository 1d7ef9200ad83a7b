// Link.swift: one simulated socket pair: an end at the worker, an end at a proxy or an upstream.
// Owns: bytes under way and in the kernels' buffers. Never touches: time; the world plans arrivals.
import Engine
import Model

/// One direction of a link. What is written is in flight, then it has arrived, then it is read.
final class Pipe {
    enum Piece: Equatable {
        case bytes([UInt8])
        /// close_notify: over TLS no bytes follow.
        case notify
        /// A record that cannot be decrypted.
        case garbage
        case finish
        case reset
    }

    /// Bytes in flight and arrived that the kernels hold before a writer has to wait.
    let capacity: Int
    private(set) var inFlight: [Piece] = []
    private(set) var arrived = ByteBuffer()
    private var bytesInFlight = 0
    private(set) var writtenTotal = 0
    private(set) var readTotal = 0
    /// When the last piece arrives: pieces do not overtake each other.
    var lastArrival = Instant(nanoseconds: 0)
    private(set) var hasFinishArrived = false
    private(set) var hasNotifyArrived = false
    private(set) var hasGarbageArrived = false
    private(set) var isReset = false
    private(set) var isFinished = false

    init(capacity: Int) { self.capacity = capacity }

    var room: Int { isFinished || isReset ? 0 : max(0, capacity - bytesInFlight - arrived.count) }

    /// Whether a reader has anything to find out.
    var isReadable: Bool {
        !arrived.isEmpty || hasFinishArrived || isReset || hasNotifyArrived || hasGarbageArrived
    }

    func write(_ piece: Piece) {
        precondition(!isFinished, "written behind the end")
        switch piece {
        case .bytes(let bytes):
            bytesInFlight += bytes.count
            writtenTotal += bytes.count
        case .finish, .reset: isFinished = true
        case .notify, .garbage: break
        }
        inFlight.append(piece)
    }

    /// A reset is the one piece that may follow an end.
    func writeReset() {
        isFinished = true
        inFlight.append(.reset)
    }

    /// The oldest piece in flight arrives. - Returns: `nil` when what was planned has been lost since.
    func arrive() -> Piece? {
        guard !inFlight.isEmpty else { return nil }
        let piece = inFlight.removeFirst()
        switch piece {
        case .bytes(let bytes):
            bytesInFlight -= bytes.count
            arrived.append(bytes.span)
        case .notify: hasNotifyArrived = true
        case .garbage: hasGarbageArrived = true
        case .finish: hasFinishArrived = true
        case .reset: isReset = true
        }
        return piece
    }

    func read(upTo countMax: Int) -> [UInt8] {
        let bytes = copy(arrived, upTo: countMax)
        arrived.consume(bytes.count)
        readTotal += bytes.count
        return bytes
    }

    /// Everything under way is lost.
    func dropInFlight() {
        for case .bytes(let bytes) in inFlight { writtenTotal -= bytes.count }
        inFlight.removeAll()
        bytesInFlight = 0
        isFinished = hasFinishArrived || isReset
    }

    /// What has arrived and was not read is lost as well.
    func dropArrived() { arrived.removeAll() }
}

/// Who is at the far end.
enum FarEnd: Equatable {
    case proxy(Int)
    case upstream(Int)
}

/// Both directions, and what the worker knows about its end.
final class Link {
    enum WorkerSide: Equatable {
        case dialing(answer: DialResult, isDue: Bool)
        case open
        /// The engine ordered it closed, or was told that it is over.
        case over
    }

    let id: Int
    let farEnd: FarEnd
    /// Number of the worker whose it is.
    var worker: Int
    let toEngine: Pipe
    let fromEngine: Pipe
    var workerSide: WorkerSide
    var session: SessionID?
    var connection: ConnectionID?
    var isPaused = false
    var wantsWrite = false
    var probesFirst = false
    var isEndOfFileReported = false
    /// The hop on which TLS is being established.
    var handshake: TLSHop?
    /// How that has ended; `nil`: not yet.
    var handshakeResult: TLSFailure.Kind??
    /// TLS stands on at least one hop.
    var isSecure = false
    /// The engine has ordered it closed; the order may not have run yet.
    var isCloseOrdered = false
    /// The far end has closed its socket: what arrives there is answered with a reset.
    var isFarClosed = false
    /// A socket to an upstream, which counts towards limits while it is open.
    var isCounted = false

    init(
        id: Int,
        farEnd: FarEnd,
        worker: Int,
        workerSide: WorkerSide,
        capacities: (toEngine: Int, fromEngine: Int)
    ) {
        self.id = id
        self.farEnd = farEnd
        self.worker = worker
        self.workerSide = workerSide
        toEngine = Pipe(capacity: capacities.toEngine)
        fromEngine = Pipe(capacity: capacities.fromEngine)
    }

    var isOpenAtWorker: Bool { workerSide == .open && !isCloseOrdered }

    /// Whether the worker's poll would report it.
    var isReady: Bool {
        switch workerSide {
        case .dialing(_, let isDue): isDue && !isCloseOrdered
        case .open where handshake != nil:
            !isCloseOrdered && (handshakeResult != nil || toEngine.isReadable)
        case .open:
            !isCloseOrdered
                && ((isReadableNow && !isPaused) || (wantsWrite && (fromEngine.room > 0 || toEngine.isReset)))
        case .over: false
        }
    }

    private var isReadableNow: Bool {
        !toEngine.arrived.isEmpty || toEngine.isReset || toEngine.hasGarbageArrived
            || ((toEngine.hasFinishArrived || toEngine.hasNotifyArrived) && !isEndOfFileReported)
    }
}
