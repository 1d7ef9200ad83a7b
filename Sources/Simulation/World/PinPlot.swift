// PinPlot.swift: scenes about pins that a world plays beside what happens by chance: who asks, unpins, goes and comes when.
// Owns: sessions and tokens of its own, so that the rest of the world is what it was.
// Source: DESIGN "Pins are exclusive"; proto/outrigger.proto, messages Pin, Unpin and PinEvent.
import Model

/// Scenes one after the other, each with sessions of one proxy. Times are microseconds since the beginning of the world.
struct PinPlot {
    /// A session. Its place is that of its proxy among those of the plot, so that neighbours are at different workers.
    struct Life {
        var identity: SimIdentity
        var bornAt: Int
        /// It does not leave before.
        var staysUntil: Int
        /// It leaves in the middle of everything.
        var cutAt: Int?
        var isCutByReset = false
    }

    /// A request.
    struct Ask {
        var session: Int
        var at: Int
        /// Empty: none.
        var token: [UInt8]
        var mode: PinMode
        /// Number of the target: they differ in one thing and lead to the same endpoint.
        var target: Int
        /// For how long its body comes, so that others find the connection busy; 0: it has none.
        var holdMilliseconds: Int
        /// It has credentials of NTLM.
        var binds = false
    }

    struct Unpin {
        var session: Int
        var at: Int
        var token: [UInt8]
    }

    /// Numbers of the first proxy and of the first request that are the plot's.
    let firstProxy: Int
    let firstRequest: Int
    let way: WayPlan
    var lives: [Life] = []
    var asks: [Ask] = []
    var unpins: [Unpin] = []
    /// Exchanges that go as well as can be, percent.
    let tamePercent: Int
    var random: SeededRandom

    /// What a scene is played with.
    struct Stage {
        var at: Int
        var instance: [UInt8]
        var token: [UInt8]
    }

    private enum Scene { case unpin, loss, line, targets, rest, takeover }

    init(_ random: inout SeededRandom, _ scenario: Scenario, isTame: Bool) {
        firstProxy = scenario.proxyCount
        firstRequest = scenario.requestCount
        way = random.chance(65) ? WayPlan() : (scenario.ways.first ?? WayPlan()).legal(isConnect: false)
        tamePercent = isTame ? 100 : random.pick([0, 50, 90])
        self.random = random.fork()
        var others = [Scene.targets, .rest, .takeover]
        random.shuffle(&others)
        if scenario.limits.pinIdleMilliseconds < 10_000 { others.insert(.rest, at: 0) }
        var scenes = [Scene.unpin, .unpin, .loss, .line] + others.prefix(2)
        random.shuffle(&scenes)
        var stage = Stage(at: random.between(20, 400) * 1000, instance: [], token: [])
        for (place, scene) in scenes.enumerated() {
            // Some have the same tokens and are others' all the same.
            stage.instance = [0x70 + UInt8(place)]
            stage.token = random.chance(50) ? [9] : [UInt8(10 + place), 1]
            switch scene {
            case .unpin: playUnpin(stage, scenario.mailMicrosecondsMax)
            case .loss: playLoss(stage)
            case .line: playLine(stage, scenario.limits.pinQueueLengthMax)
            case .targets: playTargets(stage)
            case .rest: playRest(stage, scenario.limits.pinIdleMilliseconds)
            case .takeover: playTakeover(stage)
            }
            stage.at += random.between(100, 2000) * 1000
        }
    }

    // What scenes are made of.

    mutating func session(_ stage: Stage, from: Int, milliseconds: Int, instance: [UInt8]? = nil) -> Int {
        lives.append(
            Life(
                identity: SimIdentity(instanceID: instance ?? stage.instance),
                bornAt: from - 5000,
                staysUntil: from + milliseconds * 1000
            )
        )
        return lives.count - 1
    }

    mutating func cut(_ session: Int, at: Int) {
        lives[session].cutAt = at
        lives[session].isCutByReset = random.chance(50)
    }

    /// Without a mode any; target -1 is any too.
    mutating func ask(
        _ session: Int,
        _ stage: Stage,
        at: Int,
        _ mode: PinMode? = nil,
        target: Int = 0,
        holds: Bool = false
    ) {
        asks.append(
            Ask(
                session: session,
                at: max(at, lives[session].bornAt),
                token: stage.token,
                mode: mode ?? random.pick([.auto, .require, .require, .prefer, .make]),
                target: target < 0 ? random.below(3) : target,
                holdMilliseconds: holds ? random.pick([100, 150, 200]) : 0
            )
        )
    }

    /// Its answer, which would pin its connection, comes when all else is over.
    private mutating func askForLong(_ session: Int, _ stage: Stage, at: Int) {
        let mode = random.pick([PinMode.auto, .auto, .auto, .make, .prefer])
        ask(session, stage, at: at, mode, target: random.pick([0, 2, 2]))
        asks[asks.count - 1].holdMilliseconds = 1500
        asks[asks.count - 1].binds = asks[asks.count - 1].mode == .auto
    }

    /// What comes without a token may be given any connection that is nobody's.
    mutating func askPlainly(_ session: Int, _ stage: Stage, at: Int) {
        var plain = stage
        plain.token = []
        ask(session, plain, at: at, .auto)
    }

    mutating func unpin(_ session: Int, _ stage: Stage, at: Int) {
        unpins.append(Unpin(session: session, at: at, token: stage.token))
    }
}

extension PinPlot {
    // The scenes.

    /// UNPIN, at the worker of the pin or at another, while requests are on their way; and what is asked for behind it.
    private mutating func playUnpin(_ stage: Stage, _ mailMicrosecondsMax: Int) {
        let (at, isBusy) = (stage.at, random.chance(60))
        let pair = [
            session(stage, from: at, milliseconds: 7000), session(stage, from: at, milliseconds: 7000),
        ]
        let maker = random.pick(pair)
        ask(maker, stage, at: at, random.pick([.make, .prefer]), holds: random.chance(20))
        if isBusy { ask(maker, stage, at: at + 5000, .require, holds: true) }
        if random.chance(40) { ask(random.pick(pair), stage, at: at + 5000, .make, target: 1) }
        let moment = at + random.pick(isBusy ? [60, 150, 250] : [5, 400, 700]) * 1000
        let unpinner = random.chance(70) ? pair[maker == pair[0] ? 1 : 0] : maker
        unpin(unpinner, stage, at: moment)
        if random.chance(20) { unpin(random.pick(pair), stage, at: moment + random.small(upTo: 100_000)) }
        for _ in 0..<random.between(1, 4) {
            let late = random.small(upTo: 2 * mailMicrosecondsMax + 1000) - random.pick([0, 500, 5000])
            ask(random.pick(pair), stage, at: moment + late, holds: random.chance(20))
        }
        if random.chance(70) {
            askForLong(random.pick(pair), stage, at: moment - random.pick([20, 100]) * 1000)
        }
        ask(unpinner, stage, at: moment + random.pick([10, 3000, 200_000]), .require)
        for _ in 0..<3 {
            askPlainly(random.pick(pair), stage, at: moment + random.pick([1, 200, 400, 900]) * 1000)
        }
        for who in pair {
            ask(who, stage, at: moment + random.pick([2000, 3800]) * 1000, random.pick([.require, .prefer]))
        }
    }

    /// A session goes with idle pins, busy pins and requests in line; nobody comes back, its proxy does, or another does.
    private mutating func playLoss(_ stage: Stage) {
        let at = stage.at
        let first = session(stage, from: at, milliseconds: 3000)
        ask(first, stage, at: at, .make, holds: random.chance(30))
        if random.chance(50) {
            ask(first, stage, at: at + 2000, .prefer, target: 1, holds: random.chance(30))
        }
        if random.chance(30) { ask(first, stage, at: at + 5000, .require) }
        let gone = at + random.pick([40, 300, 1500]) * 1000
        cut(first, at: gone)
        if random.chance(20) {
            let second = session(stage, from: at, milliseconds: 6000)
            ask(second, stage, at: gone + random.pick([1, 500, 5000]) * 1000)
        }
        if random.chance(50) { return }
        let back = gone + random.pick([-3, 5, 50, 150, 1000, 4000]) * 1000
        if random.chance(50) {
            // With the same tokens, and none of the pins.
            let other = session(stage, from: max(back, at + 10_000), milliseconds: 1000, instance: [0x78])
            ask(other, stage, at: lives[other].bornAt + random.pick([0, 5000]), .require)
        }
        let next = session(stage, from: max(back, at + 10_000), milliseconds: 3000)
        let birth = lives[next].bornAt
        ask(next, stage, at: birth + random.pick([0, 1000, 20_000]), .require)
        ask(next, stage, at: birth + 40_000)
        ask(next, stage, at: birth + random.pick([300, 900]) * 1000, random.pick([.prefer, .require]))
        if random.chance(40) { cut(next, at: birth + random.pick([100, 1000]) * 1000) }
    }

    /// More requests behind one pin than its line may hold.
    private mutating func playLine(_ stage: Stage, _ lengthMax: Int) {
        let at = stage.at
        let first = session(stage, from: at, milliseconds: 4000)
        let second = session(stage, from: at, milliseconds: 4000)
        ask(first, stage, at: at, .make, holds: true)
        for place in 0..<min(lengthMax, 4) + random.between(2, 4) {
            let who = random.chance(80) ? first : second
            let mode: PinMode? = random.chance(75) ? .require : nil
            let late = 1000 + place * random.pick([100, 1000, 4000])
            ask(who, stage, at: at + late, mode, holds: random.chance(30))
        }
        if random.chance(20) { unpin(random.pick([first, second]), stage, at: at + 100_000) }
        if random.chance(20) { cut(random.pick([first, second]), at: at + random.pick([30, 150]) * 1000) }
        ask(second, stage, at: at + 2_000_000, .require)
        ask(first, stage, at: at + 2_500_000)
    }

    /// One token with connections to several targets.
    private mutating func playTargets(_ stage: Stage) {
        let at = stage.at
        let pair = [
            session(stage, from: at, milliseconds: 4000), session(stage, from: at, milliseconds: 4000),
        ]
        var targets = [0, 1, 2]
        random.shuffle(&targets)
        for (place, target) in targets.prefix(2).enumerated() {
            ask(pair[0], stage, at: at + place * 30_000, random.pick([.make, .prefer]), target: target)
        }
        ask(random.pick(pair), stage, at: at + 300_000, .require, target: targets[2])
        for _ in 0..<5 {
            let late = random.between(250, 900) * 1000
            ask(random.pick(pair), stage, at: at + late, target: -1, holds: random.chance(25))
        }
        let end = at + random.between(900, 1200) * 1000
        if random.chance(60) { unpin(random.pick(pair), stage, at: end) }
        for target in targets {
            ask(random.pick(pair), stage, at: end + random.pick([10, 600]) * 1000, .require, target: target)
        }
    }

    /// A pin that nobody uses for as long as it may rest, or for a moment less or more.
    private mutating func playRest(_ stage: Stage, _ idleMilliseconds: Int) {
        // Who has only just come may miss what it is told.
        let at = stage.at + 3_200_000
        let rest = min(idleMilliseconds, 6000)
        let pair = [
            session(stage, from: at - 3_200_000, milliseconds: rest + 8500),
            session(stage, from: at - 3_200_000, milliseconds: rest + 8500),
        ]
        ask(pair[0], stage, at: at, .make)
        ask(pair[0], stage, at: at + 3000, .prefer, target: 1)
        let again = at + (rest + random.pick([-40, -1, 0, 1, 20, 300])) * 1000
        if random.chance(50) { ask(random.pick(pair), stage, at: again, .require) }
        ask(random.pick(pair), stage, at: again + random.pick([0, 1000, 50_000]), .prefer)
    }

    /// One pin, asked for at one worker and the other by turns.
    private mutating func playTakeover(_ stage: Stage) {
        let at = stage.at
        let all = (0..<3).map { _ in session(stage, from: at, milliseconds: 7000) }
        ask(all[0], stage, at: at, .make)
        let pause = random.pick([1, 30, 300]) * 1000
        for turn in 1...7 {
            let late = turn * pause + random.small(upTo: pause)
            let mode = random.pick([PinMode.require, .require, .prefer, .make, .auto])
            ask(random.pick(all), stage, at: at + late, mode, holds: random.chance(20))
        }
        let end = at + 8 * pause + random.small(upTo: 20_000)
        if random.chance(60) { unpin(random.pick(all), stage, at: end - random.between(0, 5 * pause)) }
        ask(random.pick(all), stage, at: end + random.pick([100, 900]) * 1000, .require)
        guard random.chance(25) else { return }
        let gone = at + random.between(pause, 8 * pause)
        for who in all { cut(who, at: gone + random.small(upTo: 2000)) }
    }
}

extension Scenario {
    /// Proxies and requests that are not of the plot.
    var freeProxyCount: Int { plot?.firstProxy ?? proxyCount }

    func life(of proxy: Int) -> PinPlot.Life? {
        guard let plot, proxy >= plot.firstProxy else { return nil }
        return plot.lives[proxy - plot.firstProxy]
    }

    func ask(of request: Int) -> PinPlot.Ask? {
        guard let plot, request >= plot.firstRequest, request - plot.firstRequest < plot.asks.count else {
            return nil
        }
        return plot.asks[request - plot.firstRequest]
    }

    /// Whether the upstream does nothing of its own accord that would end the pin of a request.
    func isTame(_ request: Int?) -> Bool {
        guard let plot, let request, ask(of: request) != nil else { return false }
        return request * 37 % 100 < plot.tamePercent
    }

    /// Behind everything else: what it draws changes nothing of the rest.
    mutating func choosePlot() {
        guard pins != nil, roughness != .calm, groups?.long == nil else { return }
        var random = SeededRandom(seed: seed ^ 0x70_6C6F_7420)
        guard random.chance(85) else { return }
        let isTame = random.chance(60)
        leaveRoom(&random, percent: isTame ? 100 : 30)
        if isTame { becomeTame(&random) }
        let plot = PinPlot(&random, self, isTame: isTame)
        pins?.join(plot.lives.map(\.identity))
        proxyCount += plot.lives.count
        requestCount += plot.asks.count
        if roughness == .rough && random.chance(15) {
            drainAt = Instant(nanoseconds: Int64(random.between(100, 6000)) * 1_000_000)
        }
        self.plot = plot
    }

    /// Few limits but those on pins.
    private mutating func leaveRoom(_ random: inout SeededRandom, percent: Int) {
        if workerCount == 1 && random.chance(80) { workerCount = random.pick([2, 3]) }
        limits.pinQueueLengthMax = random.pick([0, 1, 2, limits.pinQueueLengthMax])
        if random.chance(60) { limits.pinGraceMilliseconds = random.pick([200, 1000]) }
        if random.chance(percent) {
            limits.pinIdleMilliseconds = random.pick([300, 2000, 120_000, 120_000])
        }
        if random.chance(percent) { limits.pinAgeMilliseconds = random.pick([3_600_000, 3_600_000, 1000]) }
        if random.chance(percent) { limits.pinTargetsPerTokenMax = random.pick([1, 8, 8, 8]) }
        if random.chance(percent) { (limits.pinsMax, limits.pinsPerProxyMax) = (8192, 8192) }
        if random.chance(percent) { limits.connectionsPerEndpointMax = 0 }
        if random.chance(percent) { limits.connectionsMax = 16_384 }
        if random.chance(percent) { limits.requestsPerConnectionMax = 0 }
        if random.chance(percent) { limits.idlePerKeyMax = max(limits.idlePerKeyMax, 4) }
        if random.chance(percent) { limits.streamsPerSessionMax = 4096 }
    }

    /// Nothing but what the scenes are about ends a pin, nor hides from the checkers when it did.
    private mutating func becomeTame(_ random: inout SeededRandom) {
        limits.firstByteMilliseconds = 60_000
        limits.queueMilliseconds = 10_000
        limits.connectMilliseconds = 10_000
        limits.totalMilliseconds = 0
        limits.idleMax = max(limits.idleMax, 1000)
        limits.idleConnectionMilliseconds = random.pick([500, 10_000, 60_000])
        jumpsMax = 0
        if random.chance(75) {
            readBytesMax = max(readBytesMax, 1024)
            pipeBytes = random.pick([[65_536], [65_536, 4096]])
        }
    }
}

extension RequestPlan {
    /// Becomes the request that the plot has at this place; what the plot does not speak of stays.
    mutating func follow(_ ask: PinPlot.Ask, _ scenario: Scenario) {
        guard let plot = scenario.plot else { return }
        method = ask.holdMilliseconds > 0 ? "POST" : id % 3 == 0 ? "HEAD" : "GET"
        (endpoints, group, balancing, hashKey) = ([0], nil, nil, "")
        (upgrades, flaw, expectsContinue, hasTrailers) = (false, nil, false, false)
        (body, bodyBytes, pauseMicroseconds, credentials) = (.none, 0, 0, "")
        if plot.tamePercent == 100 || id % 8 != 0 {
            (deadlines, cancelsAfterMilliseconds) = (Deadlines(), nil)
        }
        if credit == .never || id % 4 != 0 { credit = .atOnce }
        if ask.binds { credentials = "NTLM TlRM" }
        if ask.holdMilliseconds > 0 {
            bodyBytes = 10
            body = .length(UInt64(bodyBytes))
            (chunkBytesMax, pauseMicroseconds) = (1, ask.holdMilliseconds * 100)
        }
        way = plot.way
        switch ask.target {
        case 1:
            way.localAddress = WayPlan.localAddresses[way.localAddress == WayPlan.localAddresses[1] ? 2 : 1]
        case 2: way.host = way.host == WayPlan.hosts[0] ? WayPlan.hosts[1] : WayPlan.hosts[0]
        default: break
        }
        if ask.target == 2 && !way.isSecure && way.route == .direct { way.route = .peer }
        way = way.legal(isConnect: false)
        (token, pinMode) = (ask.token, ask.mode)
        let life = plot.lives[ask.session]
        startsAt = Instant(nanoseconds: Int64(max(0, ask.at - life.bornAt)) * 1000)
    }
}
