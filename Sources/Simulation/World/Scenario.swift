// Scenario.swift: what kind of world a seed makes: its size, its speed, how hostile it is, which limits hold.
import Model

/// How much goes wrong.
package enum Roughness: Int, Sendable {
    /// Nothing: every stream has to be complete.
    case calm
    case mild
    case rough
}

/// How an endpoint takes connections.
enum EndpointManner: Equatable {
    case serves, refuses, unreachable, blackHole
    /// Answers after seconds.
    case slow
    /// Any of the others, each time anew.
    case unsteady
}

/// An address in the world.
struct SimEndpoint {
    var endpoint: Endpoint
    var manner: EndpointManner
}

/// Everything about a world that is decided before it begins.
package struct Scenario {
    package let seed: UInt64
    package internal(set) var roughness: Roughness
    /// How much goes wrong at upstreams of their own accord.
    var upstreamRoughness: Roughness
    var limits = Limits()
    var endpoints: [SimEndpoint] = []
    var workerCount = 1
    /// Longest time that news are under way from worker to worker.
    var mailMicrosecondsMax = 0
    var proxyCount = 1
    var hasHostileProxy = false
    var hasForbiddenProxy = false
    var requestCount = 1
    /// Ways that requests go; empty: all go in clear text to the origin or an absolute-form peer.
    var ways: [WayPlan] = []
    /// Longest time that a handshake takes.
    var handshakeMicrosecondsMax = 0
    /// Handshakes and CONNECTs that go wrong, percent.
    var setupFaultPercent = 0
    /// Milliseconds from one request to the next, all to one endpoint, so that connections are used again and again;
    /// 0: requests come in heaps, to any.
    var stepMilliseconds = 0
    /// Requests on a connection that was used before which meet its end, percent.
    var racePercent = 30
    /// Largest body, bytes.
    var bodyBytesMax = 1000
    var passBytesMin = 4096
    /// Whether the worker runs orders after each call or once at the end of a turn.
    var runsEffectsAtOnce = false
    /// Whether the worker reports bytes that it writes after `closeSession`.
    var reportsLastWrites = false
    /// Bytes the worker reads from a socket at a time, and times in a turn.
    var readBytesMax = 65_536
    var readsPerTurnMax = 1
    var pipeBytes = [65_536]
    var delayMicrosecondsMax = 0
    /// Calls that would block although they need not, percent.
    var spuriousPercent = 0
    /// Jumps of the clock still to come, and when the first may be.
    var jumpsMax = 0
    var jumpsAfter = Instant(nanoseconds: 0)
    /// Events to one of them.
    var jumpOdds = 200
    /// When SIGTERM comes.
    var drainAt: Instant?
    /// `nil`: no request has a token.
    var pins: PinWorld?
    /// `nil`: pins are left to chance.
    var plot: PinPlot?
    /// `nil`: no request has a group.
    var groups: GroupWorld?

    package init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        self.seed = seed
        let roughness = random.pick([Roughness.calm, .mild, .mild, .rough, .rough])
        self.roughness = roughness
        upstreamRoughness = roughness
        proxyCount = random.between(1, 4)
        requestCount = random.pick([1, 3, 8, 15, 25, 40])
        runsEffectsAtOnce = random.chance(50)
        reportsLastWrites = random.chance(50)
        delayMicrosecondsMax = random.pick([0, 20, 500, 20_000])
        readBytesMax = random.pick([65_536, 65_536, 16_384, 1024, 61, 1])
        readsPerTurnMax = random.between(1, 4)
        pipeBytes = random.pick([[65_536], [65_536, 4096], [4096, 300], [300, 65_536, 50]])
        spuriousPercent = random.pick([0, 0, 10, 60])
        bodyBytesMax = random.pick([300, 2000, 20_000, 120_000])
        if readBytesMax < 100 || (pipeBytes.min() ?? 0) < 100 { bodyBytesMax = min(bodyBytesMax, 2000) }
        if spuriousPercent > 50 { bodyBytesMax = min(bodyBytesMax, 20_000) }
        hasHostileProxy = roughness != .calm && random.chance(35)
        hasForbiddenProxy = random.chance(10)
        if roughness == .rough && random.chance(15) {
            drainAt = Instant(nanoseconds: Int64(random.between(1, 3_000)) * 1_000_000)
        }
        if roughness == .rough && random.chance(40) { jumpsMax = random.between(1, 3) }
        chooseLimits(&random)
        chooseEndpoints(&random)
        workerCount = random.pick([1, 1, 2, 3, 4])
        mailMicrosecondsMax = random.pick([0, 50, 1000, 100_000])
        // Several workers are there to get in each other's way.
        if workerCount > 1 && random.chance(70) {
            limits.connectionsPerEndpointMax = random.pick([0, 1, 2, 3])
            proxyCount = max(proxyCount, workerCount)
            requestCount += 8 * workerCount
        }
        if random.chance(60) { chooseWays(&random) }
        if random.chance(45) { chooseSteps(&random) }
        var idle = SeededRandom(seed: seed ^ 0x69_646C_65)
        limits.idleTakeoverMilliseconds = idle.pick([0, 0, 1, 20, 1000])
        var own = SeededRandom(seed: seed ^ 0x70_6969_6E73)
        if own.chance(40) { choosePins(&own) }
        chooseGroups()
        choosePlot()
    }

    private mutating func choosePins(_ random: inout SeededRandom) {
        let pins = PinWorld(&random, proxies: proxyCount, roughness: roughness)
        pins.limit(&limits, &random, roughness)
        proxyCount = pins.identities.count
        self.pins = pins
    }

    /// Requests one by one: what matters is how a connection goes on from one to the next.
    private mutating func chooseSteps(_ random: inout SeededRandom) {
        stepMilliseconds = random.pick([5, 50, 300])
        requestCount += 15
        racePercent = random.pick([30, 60, 90])
        ways = Array(ways.prefix(1))
        proxyCount = min(proxyCount, 2)
        limits.idlePerKeyMax = max(limits.idlePerKeyMax, 4)
        limits.idleConnectionMilliseconds = max(limits.idleConnectionMilliseconds, 10_000)
        limits.requestsPerConnectionMax = random.pick([0, 0, 3])
    }

    private mutating func chooseWays(_ random: inout SeededRandom) {
        for _ in 0..<random.between(1, 3) { ways.append(WayPlan(random: &random)) }
        if random.chance(30) { ways.append(WayPlan()) }
        handshakeMicrosecondsMax = random.pick([0, 1000, 30_000, 400_000])
        switch roughness {
        case .calm: setupFaultPercent = 0
        case .mild: setupFaultPercent = 5
        case .rough: setupFaultPercent = random.pick([5, 20])
        }
    }

    /// Of worlds whose sessions often wait for themselves.
    static let sessionWindowMinNarrow = 1

    private mutating func chooseLimits(_ random: inout SeededRandom) {
        limits.framePayloadBytesMax = random.pick([1024, 4096, 65_536])
        limits.initialCreditBytes = random.pick([1, 100, 4096, 262_144])
        limits.livenessProbeIdleMilliseconds = random.pick([0, 1000, 1000])
        limits.idleConnectionMilliseconds = random.pick([500, 10_000, 60_000])
        limits.requestsPerConnectionMax = random.pick([0, 0, 1, 3])
        limits.connectionAgeMilliseconds = random.pick([0, 0, 2000])
        limits.connectionsPerEndpointMax = random.pick([0, 0, 1, 2, 4])
        limits.idlePerKeyMax = random.pick([256, 256, 1, 0])
        limits.replayBytesMax = random.pick([65_536, 65_536, 1000, 0])
        passBytesMin = random.pick([4096, 100, 1])
        // Drawn from what is there, so that the seeds mean what they meant.
        limits.spliceBytesMin = limits.initialCreditBytes == 4096 ? 1_000_000 : 2
        limits.pipesMax = 2
        if limits.initialCreditBytes == 100 { limits.sessionWindowMin = Self.sessionWindowMinNarrow }
        limits.queueMilliseconds = 600_000
        limits.idleMilliseconds = 600_000
        limits.firstByteMilliseconds = 600_000
        limits.connectMilliseconds = 60_000
        // With so little credit every byte is a round trip.
        if limits.initialCreditBytes < 1000 {
            bodyBytesMax = min(bodyBytesMax, 20 + 20 * limits.initialCreditBytes)
        }
        guard roughness != .calm else { return }
        limits.connectMilliseconds = random.pick([300, 10_000])
        limits.firstByteMilliseconds = random.pick([200, 5000, 60_000])
        limits.idleMilliseconds = random.pick([200, 5000, 60_000])
        limits.queueMilliseconds = random.pick([100, 10_000])
        guard roughness == .rough else { return }
        limits.connectionsMax = random.pick([1, 2, 5, 16_384])
        limits.queueLengthMax = random.pick([0, 2, 8192, 8192])
        limits.idleMax = random.pick([0, 1, 16_384, 16_384])
        limits.streamsPerSessionMax = random.pick([1, 5, 4096, 4096])
        limits.totalMilliseconds = random.pick([0, 0, 3000])
        limits.sessionOutputBytesMax = random.pick([1 << 30, 1 << 30, 30_000])
        limits.drainMilliseconds = random.pick([0, 500, 25_000])
        limits.continueMilliseconds = random.pick([10, 1000])
    }

    private mutating func chooseEndpoints(_ random: inout SeededRandom) {
        let addresses: [Endpoint] = [
            .ip(.v4(0x0A00_0001), port: 80),
            .ip(.v4(0x0A00_0001), port: 81),
            .ip(.v6(high: 0x2001_0DB8_0000_0000, low: 1, scope: 0), port: 80),
            .unix(path: Array("/run/origin".utf8)),
        ]
        let manners: [EndpointManner] =
            switch roughness {
            case .calm: [.serves]
            case .mild: [.serves, .serves, .serves, .refuses, .slow]
            case .rough: [.serves, .serves, .serves, .refuses, .unreachable, .blackHole, .slow, .unsteady]
            }
        for (index, address) in addresses.prefix(random.between(1, 4)).enumerated() {
            endpoints.append(
                SimEndpoint(endpoint: address, manner: index == 0 ? .serves : random.pick(manners))
            )
        }
    }
}
