// Worker.swift: one thread's event loop: waits, tells the engine what happened, runs what the engine orders.
// Owns: the poller, the sockets of its sessions and connections. Never decides: that is the engine's.
// Source: DESIGN "Threads", "Modules"; epoll(7).
import Authentication
import Engine
import EventLoop
import Model
import Synchronization
import TLS

/// What other threads tell a worker.
enum WorkerMessage: Sendable {
    /// With the user of the proxy.
    case session(Socket, userID: UInt32)
    /// A proxy that shall only be told that it is not served.
    case refusedSession(Socket, detail: String)
    case drain
    case stop
    case count(Mailbox<Counts>)
    case budget(BudgetNews)
    case pins(PinNews)
    case idle(IdleNews)
    case group(GroupNews)
    case parcel(Handover<ConnectionParcel>)
    case listPins(Mailbox<[PinReport]>)
    /// What came of a step of a security context.
    case stepped(SecurityContextID, ConnectionID, SecurityContextResult)
    case listGroups(Mailbox<[GroupReport]>)
}

/// What a worker shares with other threads.
final class WorkerShare: Sendable {
    let messages: Mailbox<WorkerMessage>
    /// Sessions given to the worker and not closed yet.
    let sessions = Atomic<Int>(0)
    /// Whether everything that was open when draining began has ended.
    let isDrained = Atomic<Bool>(false)

    init() throws(SocketError) { messages = try Mailbox() }
}

/// The loop. It lives on its thread only.
struct Worker: ~Copyable {
    /// Bytes that one read of a session may bring: many, as each frame that a read cuts in two is copied.
    static let sessionReadBytesMax = 1_048_576
    /// Bytes that one read of a connection may bring when they cannot go straight into a session's output: enough for
    /// a head and a small body; what follows of a large one is then read in place, without a copy.
    static let connectionReadBytesMax = 16_384
    /// The same for a connection whose last reply was large: enough for a head.
    static let headReadBytesMax = 2048
    /// Ciphertext that one read of a connection may bring.
    static let cipherReadBytesMax = 65_536
    /// Plaintext that is handed to the engine at once when it cannot go straight into a session's output: enough to find
    /// out, with small replies, that nothing follows.
    static let plaintextBytesMax = 16_384
    /// Time between two looks at which connections are idle; one that is unused at two gives memory back.
    static let memoryLookMilliseconds = 1000
    /// Connections that must have given memory back, about 35 KB each, for the system to get any of it.
    static let releasesBeforeTrim = 64
    /// Names of which it is remembered that they were logged as not verified.
    static let unverifiedNamesMax = 256
    /// Room in the kernel for what a session has not read yet, as far as the system allows (net.core.wmem_max).
    static let sessionSendBufferBytes: Int32 = 524_288
    /// Bytes of one connection in one turn; the rest waits until the others had their turn.
    static let connectionTurnBytesMax = 262_144
    /// Bytes read in one turn after which sessions are written at once, while the bytes are in the cache.
    static let flushBytes = 262_144
    /// Full event arrays that are taken up before sessions get their turn.
    private static let roundsMax = 8

    var engine: WorkerEngine
    var tls: TLSClient
    var unverifiedNames: Set<String> = []
    var poller: Poller
    let share: WorkerShare
    let shared: SharedState
    /// Its number in all of them.
    let number: Int
    var now: Instant

    // By slot of the id; an entry is valid when its whole id matches.
    var sessions: [SessionSlot] = []
    var connections: [ConnectionSlot] = []
    /// Of sessions that have ended: WorkerLingering.swift. By slot of the token.
    var lingering: [LingeringSocket?] = []
    /// When the first of them is closed.
    var lingeringUntil = Instant.never

    var sessionBuffer = ByteBuffer(capacity: sessionReadBytesMax)
    var connectionBuffer = ByteBuffer(capacity: connectionReadBytesMax)
    /// Lent to a connection's TLS while it is read.
    var cipherBuffer = ByteBuffer()
    /// When idle connections are looked at; `never`: none has memory to give back.
    var memoryLookAt = Instant.never
    /// Connections that have given memory back since the system got it.
    var releasedSinceTrim = 0
    /// What large replies go through.
    var pipes: PipePool
    /// Whether any was used since the last look at memory.
    var arePipesUsed = false

    // Work of this turn. Each list keeps its memory.
    private var effects: [Effect] = []
    private var sessionEvents: [PollerEvent] = []
    var unwrittenSessions: [SessionID] = []
    var unwrittenConnections: [ConnectionID] = []
    var readySessions: [SessionID] = []
    var readyConnections: [ConnectionID] = []
    /// Spare lists that are swapped with the ones above while those are worked off.
    private var takenSessions: [SessionID] = []
    private var takenConnections: [ConnectionID] = []
    /// Connections that have used up their turn.
    var deferredConnections: [ConnectionID] = []
    var turnNumber: UInt32 = 0
    var unflushedBytes = 0
    private var isStopping = false
    private var isDraining = false

    init(
        limits: Limits,
        named: NamedSettings,
        instanceID: [UInt8],
        software: String,
        number: Int,
        share: WorkerShare,
        shared: SharedState
    ) throws(SocketError) {
        let poller = try Poller()
        try poller.add(share.messages.descriptor, token: Token.mailbox, writable: false)
        self.poller = poller
        now = Instant(nanoseconds: Clock.now)
        engine = WorkerEngine(
            limits: limits,
            named: named,
            instanceID: instanceID,
            software: software,
            budget: shared.budget,
            directory: shared.pins,
            idleDirectory: shared.idles,
            windows: shared.windows,
            health: shared.health,
            worker: number,
            digests: DigestFunctions(
                md5: { MessageDigest.md5($0, &$1) },
                sha256: { MessageDigest.sha256($0, &$1) },
                sha512256: { MessageDigest.sha512256($0, &$1) }
            ),
            seed: Self.randomSeed(),
            mechanisms: shared.security.mechanisms,
            chance: .random(in: .min ... .max),
            now: now
        )
        var tlsLimits = TLSClient.Limits()
        tlsLimits.contextsMax = limits.tlsContextsMax
        tlsLimits.sessionKeysMax = limits.tlsSessionKeysMax
        tlsLimits.sessionsPerKeyMax = limits.tlsSessionsPerKeyMax
        tlsLimits.sessionsMax = limits.tlsSessionsMax
        tlsLimits.fileCheckMilliseconds = limits.tlsFileCheckMilliseconds
        tls = TLSClient(limits: tlsLimits)
        pipes = PipePool(countMax: limits.pipesMax)
        self.share = share
        self.shared = shared
        self.number = number
    }

    /// What nonces are made from; the system's random numbers.
    private static func randomSeed() -> Secret {
        var bytes = ByteBuffer(capacity: 32)
        for _ in 0..<32 { bytes.append(UInt8.random(in: .min ... .max)) }
        defer { bytes.wipe() }
        return Secret(copying: bytes.bytes)
    }

    /// Runs until it is told to stop, then closes every socket.
    mutating func run() {
        while !isStopping { turn() }
        for slot in connections where slot.isOpen { slot.socket.close() }
        for slot in sessions where slot.isOpen { slot.socket.close() }
        for case let one? in lingering { one.socket.close() }
        pipes.closeAll()
        for message in share.messages.takeAll() {
            switch message {
            case .session(let socket, _), .refusedSession(let socket, _): socket.close()
            case .count(let reply): reply.post(Counts())
            case .listPins(let reply): reply.post([])
            case .listGroups(let reply): reply.post([])
            case .parcel(let parcel): parcel.take().socket?.close()
            case .drain, .stop, .budget, .pins, .idle, .group, .stepped: break
            }
        }
    }

    /// Waits once, and settles everything that follows from what has happened.
    private mutating func turn() {
        let count = poller.wait(timeoutNanoseconds: timeoutNanoseconds)
        now = Instant(nanoseconds: Clock.now)
        turnNumber &+= 1
        swap(&readyConnections, &deferredConnections)
        let hasMail = handleConnections(count)
        readOnConnections()

        // What has been found out about members of groups holds for the next request.
        if hasMail { handleMail() }

        // Only now: what a connection has to say is known before a session's request could be given to it.
        readOnSessions()
        if !sessionEvents.isEmpty {
            for event in sessionEvents { handleSession(event) }
            sessionEvents.removeAll(keepingCapacity: true)
        }
        if let deadline = engine.nextDeadline, deadline <= now { engine.advance(to: now) }
        settle()
        if memoryLookAt <= now { releaseIdleMemory() }
        if lingeringUntil <= now { endLingering() }

        if isDraining, engine.isDrained, !share.isDrained.load(ordering: .relaxed) {
            share.isDrained.store(true, ordering: .releasing)
            shared.control.post(.drained)
        }
    }

    private var timeoutNanoseconds: Int64? {
        if !deferredConnections.isEmpty || !readySessions.isEmpty { return 0 }
        let deadline = min(engine.nextDeadline ?? .never, memoryLookAt, lingeringUntil)
        if deadline == .never { return nil }
        return max(0, deadline.nanoseconds - Clock.now)
    }

    /// Handles the events of connections and keeps those of sessions for later.
    /// - Returns: whether messages from other threads wait.
    private mutating func handleConnections(_ firstCount: Int) -> Bool {
        var hasMail = false
        var count = firstCount
        for round in 1...Self.roundsMax {
            for index in 0..<count {
                let event = poller[index]
                switch Token.kind(event.token) {
                case .connection: handleConnection(event)
                case .session: sessionEvents.append(event)
                case .mailbox: hasMail = true
                case .lingering: handleLingering(event)
                }
            }
            if count < poller.eventsMax || round == Self.roundsMax { break }
            count = poller.wait(timeoutNanoseconds: 0)
        }
        return hasMail
    }

    private mutating func handleMail() {
        for message in share.messages.takeAll() {
            switch message {
            case .session(let socket, let userID):
                open(socket, as: engine.opened(userID: userID, now: now))
            case .refusedSession(let socket, let detail):
                open(socket, as: engine.refused(detail: detail, now: now))
            case .drain:
                isDraining = true
                engine.drain(now: now)
            case .stop: isStopping = true
            case .count(let reply): reply.post(engine.counts)
            case .budget(let news): engine.told(news, now: now)
            case .pins(let news): engine.told(news, now: now)
            case .idle(let news): engine.told(news, now: now)
            case .group(let news): engine.told(news, now: now)
            case .parcel(let parcel): adopt(parcel.take())
            case .listPins(let reply): reply.post(engine.pinReports)
            case .stepped(let context, let connection, let result):
                engine.stepped(context, on: connection, result, now: now)
            case .listGroups(let reply): reply.post(engine.groupReports)
            }
            runEffects()
        }
    }

    /// Runs orders, writes what is to be written and reads what may be read again, until nothing is left to do now.
    /// It ends: all new work comes from reading, which is limited for each turn.
    private mutating func settle() {
        runEffects()
        while !(unwrittenConnections.isEmpty && unwrittenSessions.isEmpty && readyConnections.isEmpty) {
            if !unwrittenConnections.isEmpty {
                swap(&unwrittenConnections, &takenConnections)
                for id in takenConnections { write(id) }
                takenConnections.removeAll(keepingCapacity: true)
            }
            writeSessions()
            runEffects()
            readOnConnections()
        }
    }

    /// Writes every session that has something to be written.
    mutating func writeSessions() {
        unflushedBytes = 0
        if unwrittenSessions.isEmpty { return }
        swap(&unwrittenSessions, &takenSessions)
        for id in takenSessions { write(id) }
        takenSessions.removeAll(keepingCapacity: true)
    }

    private mutating func readOnConnections() {
        if readyConnections.isEmpty { return }
        swap(&readyConnections, &takenConnections)
        for id in takenConnections { readAgain(id) }
        takenConnections.removeAll(keepingCapacity: true)
    }

    private mutating func readOnSessions() {
        if readySessions.isEmpty { return }
        swap(&readySessions, &takenSessions)
        for id in takenSessions { readAgain(id) }
        takenSessions.removeAll(keepingCapacity: true)
    }

    /// Runs every order of the engine, those included that follow from running them.
    mutating func runEffects() {
        engine.takeEffects(into: &effects)
        if effects.isEmpty { return }
        var index = 0
        while index < effects.count {
            run(effects[index])
            index += 1
            if index == effects.count { engine.takeEffects(into: &effects) }
        }
        effects.removeAll(keepingCapacity: true)
    }

    private mutating func run(_ effect: Effect) {
        switch effect {
        case .dial(let id): dial(id)
        case .writeConnection(let id, let probeFirst): willWrite(id, probeFirst: probeFirst)
        case .writeSession(let id): willWrite(id)
        case .pauseReading(let id): pauseReading(id)
        case .resumeReading(let id): resumeReading(id)
        case .shutdownWriting(let id): shutdownWriting(id)
        case .startTLS(let id, let hop): startTLS(id, hop)
        case .notifyClose(let id): notifyClose(id)
        case .closeConnection(let id): close(id)
        case .giveBack(let room): tell(shared.budget.giveBack(room, by: number))
        case .handOver(let room, let heir): tell(shared.budget.handOver(room, to: heir, by: number))
        case .sendLetters(let count): sendLetters(count)
        case .stepSecurity(let id): stepSecurity(id)
        case .dropSecurity(let context): shared.security.drop(context, of: number)
        case .closeSession(let id): closeAsOrdered(id)
        }
    }

    private mutating func tell(_ news: [BudgetNews]) {
        for news in news { engine.told(news, now: now) }
    }
}

/// What an event of the poller belongs to: 2 bits of kind, 30 of generation, 32 of slot.
enum Token {
    enum Kind {
        case connection
        case session
        case mailbox
        case lingering
    }

    static let mailbox = UInt64(2) << 62

    static func connection(_ id: ConnectionID) -> UInt64 {
        UInt64(id.generation & 0x3FFF_FFFF) << 32 | UInt64(id.slot)
    }

    static func session(_ id: SessionID) -> UInt64 {
        1 << 62 | UInt64(id.generation & 0x3FFF_FFFF) << 32 | UInt64(id.slot)
    }

    static func lingering(_ slot: Int) -> UInt64 { 3 << 62 | UInt64(slot) }

    static func kind(_ token: UInt64) -> Kind {
        switch token >> 62 {
        case 0: .connection
        case 1: .session
        case 2: .mailbox
        default: .lingering
        }
    }

    static func slot(_ token: UInt64) -> Int { Int(token & 0xFFFF_FFFF) }
}
