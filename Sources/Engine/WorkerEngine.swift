// WorkerEngine.swift: the front door of every decision of one worker. Events in, effects out; nothing calls upwards.
// Owns: sessions, streams, connections, pool, queue, deadlines. Never touches: sockets, the clock, threads.
// Source: DESIGN "The way of a request", "Rules".
import Authentication
import Balancing
import BasicContainers
import Frames
import HTTP1
import Model

/// The decisions of one worker. Time must not go backwards from call to call.
///
/// The verbs are spread over files by what they are about: sessions and frames in Sessions.swift and Requests.swift,
/// upstreams in Connections.swift, Replies.swift and ReplyBodies.swift, getting a connection in Dispatcher.swift,
/// Pool.swift, Rooms.swift and Pins.swift, the last word in Ends.swift, time in Time.swift.
package struct WorkerEngine: ~Copyable {
    let limits: Limits
    /// What requests can refer to by name.
    let namedSettings: NamedSettings
    let hello: Hello
    /// The limits that all workers share, and the number by which it knows this one.
    let budget: any ConnectionBudget
    let worker: Int
    /// Body bytes that are worth a write of their own when they arrive; fewer leave with what else waits.
    let passBytesMin: Int
    /// The time of the call that runs.
    var now: Instant

    var sessions = SlotTable<Session>()
    var streams = SlotTable<Stream>()
    var connections = SlotTable<Connection>()
    var waiters = SlotTable<Waiter>()
    var targets = TargetTable()

    /// Links of `Target.idle`.
    var idleLinks = SlotLinks()
    /// Links of `idleOfAll`.
    var idleOfAllLinks = SlotLinks()
    /// Every idle connection, the one that waits longest first.
    var idleOfAll = SlotList()
    /// Links of `Target.waiters`.
    var waiterLinks = SlotLinks()
    /// Links of `Session.stalled`.
    var stalledLinks = SlotLinks()
    /// Links of `EndpointState.idle`.
    var idleOfEndpointLinks = SlotLinks()
    /// Links of `EndpointState.blocked`.
    var blockedLinks = SlotLinks()
    var lines = SlotTable<SessionLine>()
    var lineByKey: [SessionLine.Key: Int] = [:]
    /// Links of `SessionLine.others`.
    var lineLinks = SlotLinks()
    /// Lines whose first has left the line of all.
    var linesToAdvance: [Int] = []
    /// Waiters in any list of blocked ones, and behind others of their session.
    var blockedCount = 0
    /// Endpoints whose list of blocked ones has another first than the budget may know.
    var wishesToRenew: [Int] = []
    /// Waiters whose own dial served somebody who had waited longer.
    var waitersWithoutDial: [Int] = []
    /// Whether any worker waits for room in the process, as far as this one knows.
    var isProcessWanted = false

    /// Where the idle connections of all workers are; `nil`: there are no others.
    let idleDirectory: (any IdleDirectory)?
    /// What was asked of them and is not answered.
    var idleAsks = SlotTable<IdleAsk>()
    /// Links of `Target.strayAsks`.
    var idleAskLinks = SlotLinks()

    // Turns of sessions.
    /// How much one session may have under way where others do; `nil`: as much as it likes.
    let windows: (any WindowDirectory)?
    var shares = SlotTable<Share>()
    var shareByKey: [Share.Key: Int] = [:]
    /// Links of `Share.held`, by slot of the stream.
    var heldLinks = SlotLinks()
    /// Shares with a reply more and streams that are held back.
    var sharesToAdvance: [Int] = []
    /// Endpoints whose windows are kept, and the one of them that is let go next.
    var keptWindows: [Int] = []
    var keptWindowsNext = 0
    /// When those of which streams are held back are looked at, though nothing has ended; `never`: there are none.
    var sharesLookAt = Instant.never

    // Pins.
    let directory: any PinDirectory
    var pins = SlotTable<Pin>()
    /// In the order in which they were made.
    var pinsByToken: [PinToken: [Int]] = [:]
    /// The token that is looked up.
    var pinToken = PinToken()
    /// Streams whose pin is gone.
    var pinOrphans: [Int] = []
    /// For other workers.
    var letters: [Letter] = []
    /// So many of them are covered by `Effect.sendLetters`.
    var lettersOrdered = 0
    /// Proxies without a session, the first to be given up first.
    var graces: [PinGrace] = []

    // Groups.
    let health: any HealthDirectory
    var groups: GroupTable
    var groupLines = GroupLines()
    /// By slot of the stream, where that has a group.
    var errands: [Errand] = []
    /// Of choices among members.
    var random: RandomSource
    /// Number of the group of `request`; negative: none.
    var requestGroup = -1
    let hasMemberLimits: Bool
    /// When the next check is due; only worker 0 makes them.
    var checksAt = Instant.never

    var streamDeadlines = DeadlineHeap()
    var connectionDeadlines = DeadlineHeap()
    var sessionDeadlines = DeadlineHeap()
    var isDraining = false
    var drainUntil = Instant.never

    /// Nonces and what servers have accepted.
    var authenticator: Authenticator
    /// Of Negotiate and NTLM those that somebody can step.
    let mechanisms: AuthenticationSchemes
    /// Contexts begun.
    var securitySerial: UInt64 = 0

    // Reused from message to message.
    var decoder: MessageDecoder
    var encoder: MessageEncoder
    var request = Request()
    /// The named route of `request`.
    var namedRouteAside = Aside<NamedRoute>()
    var namedRoute: NamedRoute? {
        get { namedRouteAside.value }
        set { namedRouteAside.value = newValue }
    }
    var routeScratch = RouteIdentity()
    /// Field lines for the CONNECT of `request`; `nil`: none.
    var connectLines: Secret?
    /// Where neither the request nor its route says anything of TLS.
    let defaultProfile: ResolvedProfile
    var block = ByteBuffer()
    /// Whether bytes that sessions were received have had secrets among them; see `takeSecretsHeard`.
    var hasHeardSecrets = false
    var head = ReplyHead()
    var trailers: [FieldSlice] = []
    /// Buffers of streams that ended, for those that begin.
    var spareBuffers = UniqueArray<ByteBuffer>()

    /// Why the session whose frame is being taken cannot go on.
    var fault: SessionFault?
    /// Sessions with more output than they may have.
    var sessionsTooSlow: [Int] = []
    var effects: [Effect] = []
    /// Makes the engine a type that is passed by address: without it each call of a method that only reads copies all
    /// of these fields to the stack first (measured: 12 % of all instructions).
    private let passedByAddress: (any Sendable)? = nil
    var totals = Counts()

    /// - Parameters:
    ///   - limits: of this worker.
    ///   - named: what requests can refer to by name.
    ///   - instanceID: named in HELLO, at most 64 bytes.
    ///   - software: name and version, named in HELLO.
    ///   - budget: the limits on connections and on the queue; those in `limits` are not looked at.
    ///   - directory: where the pins of all workers are.
    ///   - idleDirectory: where the idle connections of all workers are; `nil`: of this one only.
    ///   - windows: how much one session may have under way where others do; `nil`: as much as it likes.
    ///   - health: where the health of members is.
    ///   - worker: its number in all of them.
    ///   - digests: hash functions of Digest.
    ///   - seed: 32 random bytes, for nonces.
    ///   - mechanisms: of Negotiate and NTLM those for which `Effect.stepSecurity` may be ordered.
    ///   - chance: seed of choices among members.
    ///   - now: the first reading of the clock.
    ///   - passBytesMin: smaller pieces of a request's body are not worth a write of their own.
    package init(
        limits: Limits,
        named: NamedSettings = NamedSettings(),
        instanceID: [UInt8],
        software: String,
        budget: any ConnectionBudget,
        directory: any PinDirectory,
        idleDirectory: (any IdleDirectory)? = nil,
        windows: (any WindowDirectory)? = nil,
        health: any HealthDirectory,
        worker: Int,
        digests: DigestFunctions,
        seed: Secret,
        mechanisms: AuthenticationSchemes = [],
        chance: UInt64,
        now: Instant,
        passBytesMin: Int = 4096
    ) {
        self.limits = limits
        self.passBytesMin = passBytesMin
        self.budget = budget
        self.directory = directory
        self.idleDirectory = idleDirectory
        self.windows = limits.sessionWindowMin > 0 ? windows : nil
        authenticator = Authenticator(functions: digests, seed: seed, limits: limits)
        self.mechanisms = mechanisms
        self.worker = worker
        self.health = health
        random = RandomSource(seed: chance)
        groups = GroupTable(named, worker: worker, workers: health.workers, now: now)
        hasMemberLimits = !named.connectionLimits.isEmpty
        if worker == 0 { checksAt = health.nextCheckAt }
        namedSettings = named
        let profile = named.tlsProfiles["default"] ?? TLSProfile()
        defaultProfile = ResolvedProfile(profile, in: &targets.routes)
        self.now = now
        var hello = Hello()
        hello.framePayloadBytesMax = limits.framePayloadBytesMax
        hello.initialCreditBytes = limits.initialCreditBytes
        hello.instanceID = instanceID
        hello.streamsMax = limits.streamsPerSessionMax
        hello.software = software
        self.hello = hello
        decoder = MessageDecoder(
            messageBytesMax: limits.messageBytesMax,
            endpointsMax: limits.endpointsMax,
            fieldCountMax: limits.fieldCountMax
        )
        encoder = MessageEncoder(fieldCountMax: limits.fieldCountMax)
        expectWays()
    }

    /// Moves the orders given since the last call to the end of `effects`.
    package mutating func takeEffects(into effects: inout [Effect]) {
        if effects.isEmpty {
            swap(&effects, &self.effects)
            return
        }
        effects.append(contentsOf: self.effects)
        self.effects.removeAll(keepingCapacity: true)
    }

    /// What is open now.
    package var counts: Counts {
        var counts = totals
        counts.sessions = sessions.takenCount
        counts.streams = streams.takenCount
        counts.connections = connections.takenCount
        counts.idleConnections = idleOfAll.count
        counts.waiting = blockedCount
        counts.pins = connections.takenCount == 0 ? 0 : pinReports.count
        return counts
    }

    /// Pins, those that are being made or are on their way here included.
    package var pinCount: Int { pins.takenCount }

    func id(ofSession slot: Int) -> SessionID {
        SessionID(slot: UInt32(slot), generation: sessions.generation(of: slot))
    }

    func id(ofConnection slot: Int) -> ConnectionID {
        ConnectionID(slot: UInt32(slot), generation: connections.generation(of: slot))
    }
}
