// GroupWorld.swift: what a world has of groups: members, policies, limits, and how requests name them.
// Owns: the choice of it, with numbers of its own, so that a world without groups is what it was.
// Source: Sources/Model/NamedGroup.swift; proto/outrigger.proto, message Request.
import Model

/// Everything about groups that is decided before a world begins.
struct GroupWorld {
    /// What all names of groups begin with; their numbers follow, which are also the engine's.
    private static let mark = "g"
    /// The target by which checks are told from requests.
    static let checkPath = "/check"

    private(set) var groups: [NamedGroup] = []
    /// By group: where its members are among the scenario's endpoints.
    private(set) var endpoints: [[Int]] = []
    /// Requests of a group, and those that have their endpoints balanced, percent; in a short world.
    private(set) var groupPercent = 0
    private(set) var adHocPercent = 0
    /// `nil`: the world is as short as others.
    private(set) var long: LongRun?

    /// The groups as the configuration says them.
    var named: NamedSettings {
        var named = NamedSettings()
        for (number, group) in groups.enumerated() { named.groups[Self.name(number)] = group }
        return named
    }

    static func name(_ number: Int) -> String { mark + String(number) }

    static func memberName(_ number: Int) -> String { "m\(number)" }

    /// For a short world: groups of the endpoints that are there.
    init(_ random: inout SeededRandom, endpoints all: [SimEndpoint], roughness: Roughness) {
        groupPercent = random.pick([30, 60, 90])
        adHocPercent = random.pick([0, 10, 50])
        for _ in 0..<random.between(1, 2) {
            var order = Array(all.indices)
            random.shuffle(&order)
            let members = Array(order.prefix(random.between(1, order.count)))
            var group = Self.group(&random, members.map { all[$0].endpoint })
            Self.limit(&group, &random)
            if roughness == .calm { Self.calm(&group) }
            groups.append(group)
            endpoints.append(members)
        }
    }

    /// For hours: members of their own, each in one group.
    init(_ random: inout SeededRandom) {
        var count = 0
        for _ in 0..<random.pick([1, 1, 2]) {
            let members = Array(count..<count + random.between(3, 5))
            count += members.count
            var group = Self.group(&random, members.map { Self.endpoint($0) })
            if random.chance(35) { Self.limit(&group, &random) }
            Self.makeLong(&group, &random)
            groups.append(group)
            endpoints.append(members)
        }
        long = LongRun(&random, groups: groups, endpoints: endpoints)
    }

    static func endpoint(_ number: Int) -> Endpoint { .ip(.v4(0x0A00_0100 + UInt32(number)), port: 80) }

    private static func group(_ random: inout SeededRandom, _ endpoints: [Endpoint]) -> NamedGroup {
        var group = NamedGroup()
        group.policy = random.pick(GroupPolicy.allCases)
        for (number, endpoint) in endpoints.enumerated() {
            group.members.append(GroupMember(name: memberName(number), endpoint: endpoint))
        }
        if random.chance(40) {
            for number in endpoints.indices { group.members[number].weight = random.pick([1, 1, 2, 3]) }
        }
        if endpoints.count > 2 && random.chance(30) { group.members[endpoints.count - 1].isBackup = true }
        group.slowStartMilliseconds = random.pick([0, 1000, 10_000])
        group.standbyConnectionsMin = random.pick([0, 0, 0, 1, 3])
        group.panicPercent = random.pick([0, 10, 50])
        group.ejection.dialFailures = random.pick([0, 1, 3])
        group.ejection.replyFailures = random.pick([0, 1, 2, 5])
        // A plain 500 is what simulated upstreams say of their own accord.
        group.ejection.statuses = random.pick([[], [501...599], [500...599]])
        group.ejection.baseMilliseconds = random.pick([200, 2000])
        group.ejection.millisecondsMax = random.pick([2000, 60_000])
        group.ejection.jitterPercent = random.pick([0, 10, 30])
        group.ejection.ejectedPercentMax = random.pick([20, 50, 75, 100])
        group.backOff.baseMilliseconds = random.pick([0, 100, 1000])
        group.retry.percent = random.pick([0, 20, 100])
        group.retry.concurrencyMin = random.pick([0, 1, 3, 10])
        group.retry.attemptsMax = random.between(1, 4)
        group.retry.statuses = random.pick([[], [503...503], [500...599]])
        return group
    }

    /// Few connections for each member, checks, and a queue that may be short.
    private static func limit(_ group: inout NamedGroup, _ random: inout SeededRandom) {
        let most = random.pick([0, 1, 2, 4])
        for number in group.members.indices {
            group.members[number].connectionsMax = random.chance(25) ? 0 : most
        }
        group.queueLengthMax = random.pick([0, 2, 1024, 1024])
        guard random.chance(30) else { return }
        var check = CheckSettings(kind: random.pick([.tcp, .http]))
        check.path = checkPath
        check.host = "check.example"
        check.statuses = [200...200]
        check.intervalMilliseconds = random.pick([300, 2000])
        check.timeoutMilliseconds = random.pick([200, 1000])
        check.rise = random.between(1, 2)
        check.fall = random.between(1, 3)
        group.check = check
    }

    /// Without what may end a request although nothing goes wrong.
    private static func calm(_ group: inout NamedGroup) {
        group.queueLengthMax = 1024
        group.check?.timeoutMilliseconds = 60_000
    }

    /// Times that are worth hours. Statuses that upstreams answer of their own accord are no failures there.
    private static func makeLong(_ group: inout NamedGroup, _ random: inout SeededRandom) {
        group.slowStartMilliseconds = random.pick([0, 10_000, 10_000, 60_000])
        group.ejection.dialFailures = random.pick([1, 3, 3])
        group.ejection.replyFailures = random.pick([1, 2, 5])
        group.ejection.statuses = [501...599]
        group.ejection.baseMilliseconds = random.pick([5000, 30_000])
        group.ejection.millisecondsMax = random.pick([60_000, 300_000])
        group.retry.percent = random.pick([0, 20, 20, 100])
        group.retry.concurrencyMin = random.pick([0, 1, 1, 3])
        group.retry.attemptsMax = random.between(1, 4)
        group.retry.statuses = random.pick([[], [503...503]])
        group.backOff.baseMilliseconds = random.pick([0, 0, 100, 1000])
        group.check?.intervalMilliseconds = random.pick([20_000, 60_000])
        group.check?.timeoutMilliseconds = 2000
    }
}

extension Scenario {
    /// Groups in some worlds; some of these last for hours.
    mutating func chooseGroups() {
        var random = SeededRandom(seed: seed ^ 0x67_726F_7570)
        if random.chance(14) {
            let groups = GroupWorld(&random)
            becomeLong(groups, &random)
            self.groups = groups
        } else if random.chance(30) {
            groups = GroupWorld(&random, endpoints: endpoints, roughness: roughness)
        }
    }

    /// Little but what is about groups goes wrong, so that what follows from a member's faults can be foretold.
    private mutating func becomeLong(_ groups: GroupWorld, _ random: inout SeededRandom) {
        roughness = .mild
        upstreamRoughness = .calm
        endpoints = groups.endpoints.flatMap { $0 }
            .map { SimEndpoint(endpoint: GroupWorld.endpoint($0), manner: .serves) }
        limits = Limits()
        limits.idleTakeoverMilliseconds = random.pick([0, 20, 1000])
        // What is kept ready is dialed anew so often, for hours.
        limits.idleConnectionMilliseconds = random.pick([60_000, 120_000, 600_000])
        limits.firstByteMilliseconds = random.pick([500, 3000])
        limits.connectMilliseconds = random.pick([300, 2000])
        limits.queueMilliseconds = random.pick([1000, 10_000])
        limits.requestsPerConnectionMax = random.pick([0, 0, 3])
        workerCount = random.pick([1, 2, 2, 3, 4])
        mailMicrosecondsMax = random.pick([0, 50, 1000, 100_000])
        delayMicrosecondsMax = random.pick([0, 20, 500, 5000])
        proxyCount = workerCount + random.below(3)
        (hasHostileProxy, hasForbiddenProxy) = (false, false)
        (requestCount, stepMilliseconds, setupFaultPercent) = (0, 0, 0)
        (ways, drainAt, pins) = ([], nil, nil)
        bodyBytesMax = 300
        (readBytesMax, pipeBytes, spuriousPercent) = (65_536, [65_536], random.pick([0, 0, 10]))
        // Who has said HELLO cannot be late with it.
        (jumpsMax, jumpsAfter) = (random.pick([0, 0, 0, 2]), Instant(nanoseconds: 5_000_000_000))
        jumpOdds = 5000
    }
}

extension RequestPlan {
    /// Some requests go to a group, or have their endpoints balanced. Keys are few, so that they come again.
    mutating func chooseGroup(_ scenario: Scenario, _ groups: GroupWorld) {
        var random = SeededRandom(
            seed: scenario.seed ^ 0x67_7270 ^ UInt64(id + 1) &* 0x9E37_79B9_7F4A_7C15
        )
        if random.chance(groups.groupPercent) {
            join(random.below(groups.groups.count), groups)
            if random.chance(70) { hashKey = "key \(random.below(8))" }
        } else if random.chance(groups.adHocPercent) {
            balancing = random.pick(GroupPolicy.allCases)
        }
    }

    mutating func join(_ group: Int, _ groups: GroupWorld) {
        self.group = group
        endpoints = groups.endpoints[group]
    }
}
