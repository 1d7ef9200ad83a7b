// PinWorld.swift: what a world has of pins: who its proxies are, their tokens, and how upstreams bind connections.
// Owns: the choice of it, with numbers of its own, so that a world without pins is what it was.
// Source: DESIGN "Pins are exclusive"; proto/outrigger.proto, message Pin.
import Model

/// A proxy as its HELLO and its socket name it.
struct SimIdentity: Hashable {
    var userID: UInt32 = 0
    /// Empty: the session shares its tokens with no other.
    var instanceID: [UInt8] = []
}

/// Everything about pins that is decided before a world begins.
struct PinWorld {
    /// By proxy. Several sessions may be of one.
    private(set) var identities: [SimIdentity] = []
    /// Proxies behind these come later: back with an instance that was there, or new.
    private(set) var earlyProxies = 0
    private(set) var tokens: [[UInt8]] = []
    /// Requests with a token, percent.
    private(set) var tokenPercent = 0
    private(set) var modes: [PinMode] = []
    /// Requests with credentials of NTLM or Negotiate, and replies that bind their connection, percent.
    private(set) var credentialsPercent = 0
    private(set) var challengePercent = 0
    /// UNPINs of one session, at most.
    private(set) var unpinsMax = 0

    /// `random` is its own.
    init(_ random: inout SeededRandom, proxies: Int, roughness: Roughness) {
        earlyProxies = proxies
        let all = proxies + random.between(0, 3)
        let instances = random.pick([["a"], ["a"], ["a", "b"], ["a", "b", ""]])
        for _ in 0..<all {
            var identity = SimIdentity(instanceID: Array(random.pick(instances).utf8))
            if random.chance(10) { identity.userID = 7 }
            identities.append(identity)
        }
        for _ in 0..<random.between(1, 3) { tokens.append([UInt8(tokens.count), 0, 255]) }
        tokenPercent = random.pick([30, 70, 95])
        modes = random.pick([[.prefer], [.make], [.auto], [.auto, .prefer, .make]])
        credentialsPercent = random.pick([0, 10, 40])
        challengePercent = random.pick([0, 15, 50])
        if roughness == .calm { return }
        modes.append(.require)
        unpinsMax = random.pick([0, 1, 4])
    }

    /// More sessions, behind those that are there.
    mutating func join(_ others: [SimIdentity]) { identities += others }

    /// Small limits and short lives; in a calm world none that ends a stream.
    func limit(_ limits: inout Limits, _ random: inout SeededRandom, _ roughness: Roughness) {
        limits.pinIdleMilliseconds = random.pick([300, 5000])
        limits.pinAgeMilliseconds = random.pick([3_600_000, 3_600_000, 2000, 300])
        limits.pinGraceMilliseconds = random.pick([0, 200, 10_000])
        limits.pinTargetsPerTokenMax = 1000
        guard roughness != .calm else { return }
        limits.pinIdleMilliseconds = random.pick([300, 5000, 120_000])
        limits.pinQueueLengthMax = random.pick([0, 1, 2, 64])
        limits.pinTargetsPerTokenMax = random.pick([1, 8, 8])
        guard roughness == .rough else { return }
        limits.pinsMax = random.pick([1, 3, 8192, 8192])
        limits.pinsPerProxyMax = random.pick([1, 2, 8192, 8192])
    }
}

/// Whose a token is. Two proxies never share one, whatever its bytes are.
struct PinHolder: Hashable {
    var identity: SimIdentity
    /// The session, where no instance says that others are of the same proxy.
    var proxy: Int?
    var token: [UInt8]
}

extension Scenario {
    /// Who has the tokens of a session.
    func holder(proxy: Int, token: [UInt8]) -> PinHolder {
        var identity = SimIdentity()
        if let pins, pins.identities.indices.contains(proxy) { identity = pins.identities[proxy] }
        return PinHolder(
            identity: identity,
            proxy: identity.instanceID.isEmpty ? proxy : nil,
            token: token
        )
    }
}

extension RequestPlan {
    /// A token, credentials, and mostly one way for all that have a token, so that lines form.
    mutating func choosePin(_ scenario: Scenario, _ pins: PinWorld) {
        var random = SeededRandom(seed: scenario.seed ^ 0x70696E ^ UInt64(id + 1) &* 0x9E37_79B9_7F4A_7C15)
        if random.chance(pins.tokenPercent) {
            token = random.pick(pins.tokens)
            pinMode = random.pick(pins.modes)
            if random.chance(75) && !isConnect {
                endpoints = [0]
                way = (scenario.ways.first ?? WayPlan()).legal(isConnect: false)
            }
        }
        // A tunnel of raw bytes has no request that could be pinned.
        if isRaw { token = [] }
        if !isConnect && random.chance(pins.credentialsPercent) {
            credentials = random.pick(["NTLM TlRM", "Negotiate YII=", "negotiate YII=", "NTLM2 TlRM"])
        }
    }

    /// Whether it makes its connection one client's. Source: RFC 4559 §6.
    var bindsConnection: Bool { !credentials.isEmpty && credentials != "NTLM2 TlRM" }
}

/// What binds a connection, as seen from outside.
struct LinkBinding {
    /// Place among the link's requests of the first that only the holder may have.
    var from: Int
    /// `nil`: nobody may.
    var holder: PinHolder?
    /// Whether the holder is not known yet: what binds is the answer to a CONNECT of the engine's, and for whom that was made
    /// is told by the reply that its proxy gets.
    var isOpen = false
    /// A reply said that it is pinned.
    var isPinned = false
    /// Place of that in the order of the record.
    var pinnedOrder = Int.max
}

/// How often what may happen to pins has happened.
package struct PinTally: Sendable, Equatable {
    package var made = 0
    package var lost = 0
    package var expired = 0
    package var unpinned = 0
    package var orphaned = 0
    package var moved = 0
    package var gone = 0
    /// UNPINs while a request of their token was open, and requests on a connection that waited for its proxy.
    package var raced = 0
    package var returned = 0
    /// Connections that are nobody's, from worker to worker.
    package var idleMoved = 0

    package init() {}

    package mutating func add(_ other: PinTally) {
        made += other.made
        lost += other.lost
        expired += other.expired
        unpinned += other.unpinned
        orphaned += other.orphaned
        moved += other.moved
        gone += other.gone
        raced += other.raced
        returned += other.returned
        idleMoved += other.idleMoved
    }

    mutating func note(_ event: Observation, _ record: Record, now: Instant) {
        switch event {
        case .pinTold(_, let told):
            switch told.change {
            case .made: made += 1
            case .lost: lost += 1
            case .expired: expired += 1
            }
        case .pinMoved: moved += 1
        case .idleMoved: idleMoved += 1
        case .pinGone: gone += 1
        case .unpinSent(let proxy, let token):
            let holder = record.scenario.holder(proxy: proxy, token: token)
            let isRace = record.requests.indices.contains {
                record.requests[$0].isOwed && record.holder(of: $0) == holder
            }
            if isRace { raced += 1 }
        case .requestBegan(let link, let request):
            guard let request, record.isOnBound(request, link), let holder = record.holder(of: request)
            else { return }
            if record.hasReturned(holder, since: record.links[link].dialedAt) { returned += 1 }
        case .socketClosed(let link):
            guard let binding = record.links[link].binding, binding.isPinned, let holder = binding.holder
            else { return }
            if record.unpins.contains(where: { $0.holder == holder && $0.order > binding.pinnedOrder }) {
                unpinned += 1
            } else if let gone = record.goneSince(holder) {
                let grace = record.scenario.limits.pinGraceMilliseconds
                if gone.adding(milliseconds: grace) <= now { orphaned += 1 }
            }
        default: break
        }
    }
}
