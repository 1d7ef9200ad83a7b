// SimWorld.swift: a whole sidecar in one thread: the real engine between simulated proxies and upstreams.
// Owns: the clock, the queue of events, the links, and what is planned on them. Same seed, same run, bit
// for bit. Source: DESIGN "Rules"; each is held by a checker (Checkers/).
import Authentication
import Engine
import Frames
import Model

/// What a run showed.
package struct Verdict: Sendable {
    package var violations: [Violation] = []
    /// The last events before the end, oldest first; only when a trace was asked for.
    package var trace: [String] = []
    /// Equal runs have equal digests.
    package var digest: UInt64 = 14_695_981_039_346_656_037
    package var steps = 0
    package var requests = 0
    package var outcomes = [Int](repeating: 0, count: Outcome.allCases.count + 1)
    package var replyBytes = 0
    package var connections = 0
    package var reuses = 0
    package var retries = 0
    /// Requests that were held back for others of their session.
    package var held = 0
    package var pins = PinTally()
    package var groups = GroupTally()
    /// Seconds of its own clock.
    package var seconds = 0
}

/// Holds one engine, so that worlds can have several.
final class EngineBox {
    var engine: WorkerEngine

    init(_ engine: consuming WorkerEngine) { self.engine = engine }
}

/// A world made from a seed.
package final class SimWorld {
    let scenario: Scenario
    let record: Record
    var random: SeededRandom
    private var engines: [EngineBox]
    var workers: [SimWorker]
    /// Number of the worker that is running.
    var active = 0
    let budget: SimBudget
    let pins: SimPins
    let idles: SimIdles?
    let health: SimHealth
    var workerMail: [WorkerMail] = []
    /// `nil`: the world has no timetable.
    var traffic: TrafficState?
    /// By link of a session.
    var sessionTaps: [Int: SessionTap] = [:]
    /// When the last letter to a worker arrives.
    var workerMailAt: [Int: Instant] = [:]
    static let beginning = Instant(nanoseconds: 1_000_000_000)
    var now = SimWorld.beginning
    var queue = EventQueue()
    var links: [Link] = []
    /// What each connection has carried, as seen between engine and kernel.
    var taps: [RequestParser?] = []
    var proxies: [SimProxy] = []
    var hostiles: [HostileProxy] = []
    /// When each wakes next; for lookups only.
    private var proxyWakeAt: [Int: Instant] = [:]
    private var upstreamWakeAt: [Int: Instant] = [:]
    /// By link; `nil` for sessions.
    var upstreams: [UpstreamConnection?] = []
    var checkers: [any Checker]
    var verdict = Verdict()
    let sabotage: Sabotage?
    private var isSabotaged = false
    private let traceLinesMax: Int
    /// Prints each event as it happens.
    private let follow: ((String) -> Void)?
    /// The trace ends soon behind the first violation.
    private var linesBehindViolation = 0
    private var jumpsLeft: Int
    /// The engine asks for time that has passed: the run cannot go on.
    var isStuck = false
    private let stepsMax = 400_000

    /// - Parameters:
    ///   - seed: decides everything.
    ///   - sabotage: breaks one rule on purpose, to show that its checker sees it.
    ///   - traceLinesMax: how many of the last events to keep in words; 0 is fastest.
    ///   - follow: is given each event in words as it happens.
    package init(
        seed: UInt64,
        sabotage: Sabotage? = nil,
        traceLinesMax: Int = 0,
        follow: ((String) -> Void)? = nil
    ) {
        let scenario = Scenario(seed: seed)
        self.scenario = scenario
        self.sabotage = sabotage
        self.traceLinesMax = traceLinesMax
        self.follow = follow
        record = Record(scenario: scenario)
        random = SeededRandom(seed: seed ^ 0x5EED_0F00_DCAF_E000)
        jumpsLeft = scenario.jumpsMax
        let named = scenario.groups?.named ?? NamedSettings()
        let told = sabotage?.spoiled(named) ?? named
        budget = SimBudget(scenario, named, sabotage)
        pins = SimPins(scenario, sabotage)
        idles = scenario.workerCount > 1 ? SimIdles(scenario) : nil
        let windows = SimWindows(scenario)
        health = SimHealth(scenario, told, sabotage, now: now)
        workers = Array(repeating: SimWorker(), count: scenario.workerCount)
        engines = []
        for number in 0..<scenario.workerCount {
            engines.append(
                EngineBox(
                    WorkerEngine(
                        limits: sabotage?.spoiled(scenario.limits) ?? scenario.limits,
                        named: told,
                        instanceID: Array("simulated".utf8),
                        software: "simulation",
                        budget: budget,
                        directory: pins,
                        idleDirectory: idles,
                        windows: windows,
                        health: health,
                        worker: number,
                        digests: .simulated,
                        seed: Secret("simulated"),
                        chance: seed &+ UInt64(number),
                        now: now,
                        passBytesMin: scenario.passBytesMin
                    )
                )
            )
        }
        checkers = Simulation.checkers(of: scenario)
        populate()
    }

    /// The engine of the worker that is running.
    var engine: WorkerEngine {
        _read { yield engines[active].engine }
        _modify { yield &engines[active].engine }
    }

    /// The worker that is running.
    var worker: SimWorker {
        _read { yield workers[active] }
        _modify { yield &workers[active] }
    }

    private func populate() {
        proxies = (0..<scenario.proxyCount).map {
            SimProxy(index: $0, scenario: scenario, random: random.fork())
        }
        var plans = random.fork()
        for id in 0..<scenario.requestCount {
            var plan = RequestPlan(id: id, scenario: scenario, random: &plans)
            var proxy = plans.below(scenario.freeProxyCount)
            if let ask = scenario.ask(of: id), let plot = scenario.plot {
                plan.follow(ask, scenario)
                proxy = plot.firstProxy + ask.session
            }
            record.requests.append(RequestFacts(plan: plan, proxy: proxy))
            proxies[proxy].plans.append(id)
        }
        for proxy in proxies {
            var wait = plans.below(5000)
            if let life = scenario.life(of: proxy.index) {
                wait = life.bornAt
            } else if let pins = scenario.pins, proxy.index >= pins.earlyProxies {
                wait += plans.pick([10, 300, 2000, 8000, 20_000]) * 1000
            }
            plan(.proxyWake(proxy: proxy.index), at: now.adding(microseconds: wait))
        }
        var hostileKinds: [HostileKind] = []
        if scenario.hasHostileProxy { hostileKinds.append(plans.pick(HostileKind.allCases)) }
        if scenario.hasForbiddenProxy { hostileKinds.append(.forbidden) }
        for kind in hostileKinds {
            let index = proxies.count + hostiles.count
            record.hostileProxies.append(index)
            hostiles.append(HostileProxy(index: index, kind: kind, scenario: scenario, random: random.fork()))
            plan(.proxyWake(proxy: index), at: now.adding(milliseconds: plans.below(50)))
        }
        if let long = scenario.groups?.long { planTraffic(long) }
        if let drainAt = scenario.drainAt {
            plan(.drain, at: Instant(nanoseconds: now.nanoseconds + drainAt.nanoseconds))
        }
    }

    /// Runs until nothing is left to happen.
    package func run() -> Verdict {
        while let (time, event) = queue.removeFirst() {
            verdict.steps += 1
            guard verdict.steps < stepsMax, !isStuck else {
                observe(.endless(steps: verdict.steps))
                break
            }
            now = max(now, time)
            if jumpsLeft > 0 && now >= scenario.jumpsAfter && random.below(scenario.jumpOdds) == 0 { jump() }
            happen(event)
        }
        let openLinks = links.filter { $0.workerSide != .over }.count
        let counts = sumOfCounts()
        observe(.quiescent(counts, openLinks: openLinks))
        observe(
            .budgetLeft(
                rooms: budget.ledger.count,
                wishes: budget.ledger.wishCount,
                endpoints: budget.ledger.entryCount,
                queued: budget.queueLength
            )
        )
        observe(pinsLeft())
        observe(.waitingLeft(health.waitingCount))
        verdict.seconds = Int(now.nanoseconds / 1_000_000_000)
        verdict.groups = record.groups?.tally ?? GroupTally()
        verdict.requests = record.requests.filter(\.isOpened).count
        verdict.replyBytes = record.requests.reduce(0) { $0 + $1.received }
        for facts in record.requests {
            verdict.outcomes[facts.outcome?.rawValue ?? 0] += facts.isOpened ? 1 : 0
        }
        verdict.connections = Int(counts.dialsTotal)
        verdict.reuses = Int(counts.reusesTotal)
        verdict.retries = Int(counts.retriesTotal)
        verdict.held = Int(counts.heldTotal)
        return verdict
    }

    private func pinsLeft() -> Observation {
        var (pins, letters) = (0, 0)
        for box in engines {
            pins += box.engine.pinCount
            letters += box.engine.takeLetters(.max).count
        }
        return .pinsLeft(pins: pins, entries: self.pins.ledger.count, letters: letters)
    }

    private func sumOfCounts() -> Counts {
        var sum = Counts()
        for box in engines {
            let counts = box.engine.counts
            sum.sessions += counts.sessions
            sum.streams += counts.streams
            sum.connections += counts.connections
            sum.idleConnections += counts.idleConnections
            sum.pins += counts.pins
            sum.waiting += counts.waiting
            sum.dialsTotal += counts.dialsTotal
            sum.reusesTotal += counts.reusesTotal
            sum.retriesTotal += counts.retriesTotal
            sum.heldTotal += counts.heldTotal
        }
        return sum
    }

    private func happen(_ event: WorldEvent) {
        switch event {
        case .arrival(let link, let towardsEngine): arrive(links[link], towardsEngine: towardsEngine)
        case .workerTurn(let number): workerTurn(number)
        case .mail(let number, let news):
            active = number
            callEngine { $0.told(news, now: $1) }
        case .groupMail(let number, let news): tell(news, to: number)
        case .traffic(let event): happen(event)
        case .workerMail(let number, let letter): deliver(letter, to: number)
        case .dialAnswer(let link): dialAnswer(links[link])
        case .handshake(let link, let failure): endHandshake(links[link], failure)
        case .handshakeCut(let link, let isReset): cutHandshake(links[link], isReset: isReset)
        case .proxyWake(let proxy):
            // A wake-up that was planned before an earlier one is one too many.
            guard proxyWakeAt[proxy, default: .never] <= now else { return }
            proxyWakeAt[proxy] = .never
            wake(proxy: proxy)
            drainWhenAlone()
        case .upstreamWake(let link):
            guard upstreamWakeAt[link, default: .never] <= now else { return }
            upstreamWakeAt[link] = .never
            upstreams[link]?.wake(self)
        case .drain:
            observe(.drained)
            for number in engines.indices {
                active = number
                callEngine { $0.drain(now: $1) }
            }
        }
    }

    /// Minutes in which nothing runs: a suspended machine, or a thread that was not scheduled.
    private func jump() {
        jumpsLeft -= 1
        let seconds = random.pick([1, 20, 90, 600])
        now = now.adding(milliseconds: seconds * 1000)
        observe(.jumped(seconds: seconds))
    }

    /// Plans an event. Of the wake-ups of one proxy or upstream only the earliest is kept: it plans the next.
    func plan(_ event: WorldEvent, at time: Instant) {
        let time = max(time, now)
        switch event {
        case .proxyWake(let proxy):
            guard time < proxyWakeAt[proxy, default: .never] else { return }
            proxyWakeAt[proxy] = time
        case .upstreamWake(let link):
            guard time < upstreamWakeAt[link, default: .never] else { return }
            upstreamWakeAt[link] = time
        case .arrival, .workerTurn, .mail, .groupMail, .workerMail, .dialAnswer, .handshake, .handshakeCut,
            .drain, .traffic:
            break
        }
        queue.add(event, at: time)
    }

    func wake(proxy: Int) {
        if proxy < proxies.count {
            proxies[proxy].wake(self)
        } else {
            hostiles[proxy - proxies.count].wake(self)
        }
    }

    func randomDelay() -> Int { random.small(upTo: scenario.delayMicrosecondsMax) }

    /// Adds a link, open or dialing at the worker.
    func addLink(_ farEnd: FarEnd, workerSide: Link.WorkerSide) -> Link {
        // A reply's stray bytes have to fit into one piece: see ReplyPlan.tailBytes.
        let capacities = (
            toEngine: max(300, random.pick(scenario.pipeBytes)), fromEngine: random.pick(scenario.pipeBytes)
        )
        // Sessions go to the workers by turns; a connection is that of the worker that dials it.
        let number =
            switch farEnd {
            case .proxy(let proxy): proxy % workers.count
            case .upstream: active
            }
        let link = Link(
            id: links.count,
            farEnd: farEnd,
            worker: number,
            workerSide: workerSide,
            capacities: capacities
        )
        links.append(link)
        var facts = LinkFacts()
        switch farEnd {
        case .proxy:
            taps.append(nil)
            upstreams.append(nil)
        case .upstream(let endpoint):
            facts.endpoint = endpoint
            taps.append(RequestParser())
            upstreams.append(UpstreamConnection(link: link.id, scenario: scenario, random: random.fork()))
        }
        record.links.append(facts)
        return link
    }

    /// Tells record, checkers and trace.
    func observe(_ event: Observation) {
        record.apply(event, now: now)
        verdict.pins.note(event, record, now: now)
        for index in checkers.indices {
            checkers[index].observe(
                event,
                record,
                Reporter(world: self, checker: type(of: checkers[index]).name)
            )
        }
        verdict.digest = (verdict.digest ^ UInt64(bitPattern: now.nanoseconds)) &* 1_099_511_628_211
        verdict.digest = (verdict.digest ^ event.fingerprint) &* 1_099_511_628_211
        guard traceLinesMax > 0 || follow != nil, verdict.violations.count < 20 else { return }
        let line = "\(formatted(now)) \(event)"
        follow?(line)
        guard traceLinesMax > 0, linesBehindViolation < traceLinesMax / 4 else { return }
        if !verdict.violations.isEmpty { linesBehindViolation += 1 }
        if verdict.trace.count >= 2 * traceLinesMax { verdict.trace.removeFirst(traceLinesMax) }
        verdict.trace.append(line)
    }

    func report(_ checker: String, _ text: String) {
        guard verdict.violations.count < 20 else { return }
        verdict.violations.append(Violation(checker: checker, time: now, text: text))
        follow?("\(formatted(now)) VIOLATION \(checker): \(text)")
        if traceLinesMax > 0 { verdict.trace.append("\(formatted(now)) VIOLATION \(checker): \(text)") }
    }

    /// Whether the sabotage of this run is `kind` and its turn has come; at most once a run.
    func sabotages(_ kind: Sabotage, when isApt: () -> Bool = { true }) -> Bool {
        guard sabotage == kind, !isSabotaged, isApt() else { return false }
        isSabotaged = true
        return true
    }
}
