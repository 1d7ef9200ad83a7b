// UpstreamConnection.swift: the far end of one connection: reads requests strictly and plays its reply plans.
// Owns: pace, order and endings. Never touches: the engine; it sees bytes only.
import Model

/// One accepted connection of a simulated origin or peer.
final class UpstreamConnection {
    /// What it does next towards the engine, in order.
    private enum Step {
        case bytes([UInt8])
        case pause(nanoseconds: Int64)
        case finish
        case reset
        /// FIN without close_notify; in clear text as `finish`.
        case cut
        /// Over TLS a record that cannot be decrypted; in clear text as `reset`.
        case garble
        /// Only while no request has begun: bytes that nobody asked for, then FIN.
        case strayWhenIdle
        case finishWhenIdle
    }

    private let link: Int
    private var writer: ReplyWriter
    private var random: SeededRandom
    private var parser = RequestParser()
    private var steps: [Step] = []
    private var notBefore = Instant(nanoseconds: 0)
    private var readsNotBefore = Instant(nanoseconds: 0)
    /// Bytes that were or are going to be written towards the engine.
    private var plannedTotal = 0
    /// The request being read, and its plan when the head was there.
    private var current: (request: Int, serve: Int, plan: ReplyPlan)?
    private var bodyRead = 0
    private var requestsRead = 0
    private var isTunnel = false
    private(set) var isClosed = false
    private let isEverCalm: Bool
    /// The exchange under way is to go well, and the connection to stay.
    private var isTame = false
    private var isCalm: Bool { isEverCalm || isTame }
    private let racePercent: Int
    /// Bytes it reads at a time.
    private let readBytesMax: Int
    private let readPauseMicroseconds: Int

    init(link: Int, scenario: Scenario, random: SeededRandom) {
        self.link = link
        self.random = random
        writer = ReplyWriter(scenario: scenario, random: self.random.fork())
        racePercent = scenario.racePercent
        isEverCalm = scenario.upstreamRoughness == .calm
        readBytesMax = self.random.pick([65_536, 65_536, 1000, 100])
        readPauseMicroseconds = self.random.pick([0, 0, 100, 3000])
    }

    /// Reads, thinks, writes.
    func wake(_ world: SimWorld) {
        guard !isClosed else { return }
        read(world)
        write(world)
    }

    private func read(_ world: SimWorld) {
        let pipe = world.links[link].fromEngine
        if pipe.isReset { return close() }
        if !pipe.arrived.isEmpty {
            guard world.now >= readsNotBefore else {
                return world.plan(.upstreamWake(link: link), at: readsNotBefore)
            }
            var parts: [RequestPart] = []
            parser.parse(world.farRead(link, upTo: readBytesMax), into: &parts)
            for part in parts { take(part, world) }
            readsNotBefore = world.now.adding(microseconds: readPauseMicroseconds)
            world.plan(.upstreamWake(link: link), at: readsNotBefore)
        } else if pipe.hasFinishArrived {
            // The client is done. What is still to be sent is sent, then this side is closed too.
            if steps.isEmpty || random.chance(30) {
                world.farFinish(link)
                close()
                world.links[link].isFarClosed = true
            } else if !endsAlready {
                steps.append(.finish)
            }
        }
    }

    private var endsAlready: Bool {
        switch steps.last {
        case .finish, .cut, .reset, .garble: true
        case .bytes, .pause, .strayWhenIdle, .finishWhenIdle, nil: false
        }
    }

    private func close() {
        isClosed = true
        steps = []
    }

    private func take(_ part: RequestPart, _ world: SimWorld) {
        switch part {
        case .proxyHeader(let header): world.observe(.proxyHeaderRead(link: link, header))
        case .tag(let request): takeTag(request, world)
        case .began: bodyRead = 0
        case .head(let head): takeHead(head, world)
        case .body(let bytes):
            guard let current else { return }
            world.upstreamRead(bytes, of: current.request, at: bodyRead, link: link)
            bodyRead += bytes.count
        case .tunnel(let bytes):
            guard let current else { return }
            world.upstreamRead(bytes, of: current.request, at: bodyRead, link: link)
            bodyRead += bytes.count
        case .trailers(let section):
            guard let current, current.request >= 0 else { return }
            world.upstreamReadTrailers(section, of: current.request, link: link)
        case .whole:
            guard let current else { return }
            if current.request >= 0 {
                world.upstreamReadWhole(current.request, bodyBytes: bodyRead, link: link)
            }
            if !current.plan.isEarly { start(world) }
            if !isTunnel { self.current = nil }
        case .malformed(let reason):
            world.observe(.malformedRequest(link: link, reason: reason))
            steps.append(.reset)
        }
    }

    /// What follows are bytes of a raw tunnel.
    private func takeTag(_ request: Int, _ world: SimWorld) {
        guard world.upstreamReadTag(request, link: link) else { return }
        let serve = world.record.serves.count
        accept(request, serve, writer.rawPlan(serve: serve), world)
        start(world)
    }

    private func accept(_ request: Int, _ serve: Int, _ plan: ReplyPlan, _ world: SimWorld) {
        bodyRead = 0
        current = (request, serve, plan)
        world.record.serves.append(ServeFacts(request: request, link: link, plan: plan))
    }

    private func takeHead(_ head: ParsedHead, _ world: SimWorld) {
        if head.target == GroupWorld.checkPath { return answerCheck(world) }
        let isStep = head.method == "CONNECT" && head.values("x-request").isEmpty
        guard let request = isStep ? -1 : world.upstreamReadHead(head, link: link) else { return }
        if isStep { world.upstreamReadConnect(head, link: link) }
        requestsRead += 1
        isTame = world.scenario.isTame(request)
        // It is not idle any more, whatever comes of this.
        steps.removeAll { if case .strayWhenIdle = $0 { true } else { false } }
        if fails(world) { return }
        let serve = world.record.serves.count
        let isConnect = head.method == "CONNECT"
        let plan =
            isConnect
            ? writer.connectPlan(head, serve: serve, isRequest: !isStep)
            : writer.plan(head, serve: serve, status: forcedStatus(world))
        accept(request, serve, plan, world)
        if plan.sendsContinue && !head.values("expect").isEmpty {
            queue(Array("HTTP/1.1 100 Continue\r\nX-Request: \(request)\r\nX-Serve: \(serve)\r\n\r\n".utf8))
        }
        if plan.isEarly { start(world) }
    }

    /// Whether the request that has come gets no answer.
    private func fails(_ world: SimWorld) -> Bool {
        switch ailment(world) {
        case .resets, .refuses:
            steps.append(.reset)
            return true
        case .stalls, .blackHole, .unreachable: return true
        case .answers, .lags, nil: break
        }
        guard !isCalm, random.chance(requestsRead > 1 ? racePercent : 2) else { return false }
        // It was about to close anyway: the race of every persistent connection (RFC 9112 §9.6).
        steps.append(random.chance(50) ? .finish : .reset)
        return true
    }

    private func ailment(_ world: SimWorld) -> Ailment? {
        world.record.links[link].endpoint.flatMap { world.ailment(of: $0) }
    }

    private func forcedStatus(_ world: SimWorld) -> Int? {
        if case .answers(let status) = ailment(world) { status } else { nil }
    }

    /// A check is no request of a proxy's: it counts nowhere.
    private func answerCheck(_ world: SimWorld) {
        requestsRead += 1
        steps.removeAll { if case .strayWhenIdle = $0 { true } else { false } }
        if fails(world) { return }
        let status = forcedStatus(world) ?? (isCalm || random.chance(70) ? 200 : 503)
        queue(Array("HTTP/1.1 \(status) Checked\r\nContent-Length: 0\r\n\r\n".utf8))
    }

    private func queue(_ bytes: [UInt8]) {
        steps.append(.bytes(bytes))
        plannedTotal += bytes.count
    }

    /// Queues the reply of the current request.
    private func start(_ world: SimWorld) {
        guard let (_, serve, plan) = current else { return }
        world.record.serves[serve].start(at: plannedTotal)
        world.observe(.serveBegan(serve: serve, link: link))
        if random.chance(40) { steps.append(.pause(nanoseconds: Int64(random.small(upTo: 200_000_000)))) }
        if case .lags(let milliseconds) = ailment(world) {
            steps.append(.pause(nanoseconds: Int64(milliseconds) * 1_000_000))
        }
        if !isCalm && random.chance(3) { steps.append(.pause(nanoseconds: 90_000_000_000)) }
        let tailStart = plan.bytes.count - plan.tailBytes
        var place = 0
        while place < tailStart {
            let count = min(plan.pieceBytesMax, tailStart - place)
            queue(Array(plan.bytes[place..<place + count]))
            if plan.pauseMicroseconds > 0 && random.chance(30) {
                steps.append(.pause(nanoseconds: Int64(plan.pauseMicroseconds) * 1000))
            }
            place += count
        }
        if plan.tailBytes > 0 { queue(Array(plan.bytes[tailStart...])) }
        if plan.isTwoWay {
            isTunnel = true
            parser.becomeTunnel()
            world.becomeTunnel(link)
        }
        queueEnding(plan)
    }

    private func queueEnding(_ plan: ReplyPlan) {
        switch plan.ending {
        case .finish: steps.append(!isCalm && random.chance(25) ? .cut : .finish)
        case .reset: steps.append(random.chance(30) ? .garble : .reset)
        case .stall: break
        case .keep:
            guard !isCalm else { return }
            if random.chance(35) {
                steps.append(.pause(nanoseconds: Int64(random.small(upTo: 5_000_000_000))))
                steps.append(random.chance(25) ? .strayWhenIdle : .finishWhenIdle)
            }
        }
    }

    private func write(_ world: SimWorld) {
        while let step = steps.first, !isClosed {
            guard world.now >= notBefore else { return world.plan(.upstreamWake(link: link), at: notBefore) }
            switch step {
            case .bytes(let bytes):
                guard world.links[link].toEngine.room >= bytes.count || bytes.count > 200 else { return }
                let taken = world.farWrite(link, bytes)
                if taken < bytes.count {
                    steps[0] = .bytes(Array(bytes[taken...]))
                    return
                }
            case .pause(let nanoseconds):
                notBefore = Instant(nanoseconds: world.now.nanoseconds + nanoseconds)
            case .finish, .cut:
                if case .finish = step {
                    world.farFinish(link)
                } else {
                    world.farFinish(link, isProven: false)
                }
                steps = []
                // Half-closed: it may go on reading, or be gone.
                if !isCalm && random.chance(60) {
                    world.links[link].isFarClosed = true
                    close()
                }
                return
            case .garble where world.links[link].isSecure:
                world.farGarble(link)
                return close()
            case .reset, .garble:
                world.farReset(link, overtakes: random.chance(40))
                return close()
            case .strayWhenIdle:
                guard steps.count == 1, parser.isAtStart, world.isIdle(link) else { break }
                world.record.links[link].hasStrayed = true
                _ = world.farWrite(
                    link,
                    Array("HTTP/1.1 408 Late\r\nX-Request: -1\r\n\r\n".utf8),
                    arrivesAtOnce: true
                )
            case .finishWhenIdle:
                guard steps.count == 1, parser.isAtStart, world.isIdle(link) else { break }
                steps[0] = random.chance(70) ? .finish : .reset
                continue
            }
            steps.removeFirst()
        }
    }
}

extension Instant {
    /// This instant and `microseconds` more.
    func adding(microseconds: Int) -> Instant {
        Instant(nanoseconds: nanoseconds + Int64(microseconds) * 1000)
    }
}
