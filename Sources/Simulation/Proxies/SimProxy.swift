// SimProxy.swift: an honest proxy: one session, many streams, frames that keep every rule of the protocol.
// Owns: pace. What it sees goes to the checkers word for word. Source: DESIGN "The protocol";
// proto/outrigger.proto.
import Frames
import Model

/// One open stream of a simulated proxy.
struct SimStream {
    var request: Int
    var id: UInt32
    /// Body bytes sent, and those that the engine allows.
    var sent = 0
    var credit = 0
    var isSendDone = false
    /// Bytes to send when the stream is a tunnel.
    var isTunnel = false
    /// The upstream's side has ended.
    var isDownloadDone = false
    /// The first bytes of a raw tunnel, until they say whose they are.
    var tag: [UInt8] = []
    var sendsAt = Instant(nanoseconds: 0)
    var received = 0
    /// Credit that waits to be given, and when it is.
    var creditOwed = 0
    var creditAt = Instant.never
    var cancelAt = Instant.never
    var serve: Int?
}

/// An honest proxy.
final class SimProxy {
    enum State { case unborn, open, gone }

    let index: Int
    let scenario: Scenario
    var random: SeededRandom
    var state = State.unborn
    private(set) var link = -1
    /// Requests to send, in no order; each has its own time.
    var plans: [Int] = []
    var streams: [SimStream] = []
    /// The last request under each stream number, for lookups only.
    var lastRequest: [UInt32: Int] = [:]
    private var nextStream: UInt32
    private var freeStreams: [UInt32] = []
    private let reusesStreams: Bool
    var encoder = MessageEncoder(fieldCountMax: 256)
    var decoder = MessageDecoder(messageBytesMax: 1_048_576)
    var head = ReplyHead()
    var block = ByteBuffer()
    var outgoing = ByteBuffer()
    var inbound = ByteBuffer()
    /// What the engine said in its HELLO; `nil`: not yet.
    var hello: Hello?
    let own: Hello
    var pingsOwed = 0
    private var pingsLeft = 3
    var isDraining = false
    private let readBytesMax: Int
    private let readPauseMicroseconds: Int
    private var readsAt = Instant(nanoseconds: 0)
    /// It leaves without a word.
    private var diesAt = Instant.never
    /// It has got everything and closes.
    private var leavesAt = Instant.never
    private var hasGreeted = false
    private var helloAt = Instant(nanoseconds: 0)
    private let leavesByReset: Bool
    private let lingers: Int
    /// Tokens whose clients go away, and when.
    private var unpins: [(at: Instant, token: [UInt8])] = []
    /// Whether it reads what comes as soon as it can.
    var isPrompt: Bool { readPauseMicroseconds == 0 }

    init(index: Int, scenario: Scenario, random: SeededRandom) {
        self.index = index
        self.scenario = scenario
        var random = random
        var own = Hello()
        own.framePayloadBytesMax = random.pick([1024, 8192, 65_536])
        own.initialCreditBytes = random.pick([1, 300, 4096, 65_536, 262_144])
        own.software = "proxy \(index)"
        if let pins = scenario.pins { own.instanceID = pins.identities[index].instanceID }
        self.own = own
        nextStream = random.pick([1, 1, 7, UInt32.max - 3])
        reusesStreams = random.chance(50)
        readBytesMax = random.pick([65_536, 65_536, 4096, 512])
        readPauseMicroseconds = scenario.roughness == .calm ? 0 : random.pick([0, 0, 0, 1000, 100_000])
        leavesByReset = random.chance(30)
        lingers = random.pick([0, 10, 5000])
        if scenario.roughness == .rough && random.chance(20) {
            diesAt = Instant(nanoseconds: 1_000_000_000 + Int64(random.small(upTo: 6_000)) * 1_000_000)
        }
        self.random = random
    }

    /// Everything that is due, then a plan for the next time.
    func wake(_ world: SimWorld) {
        switch state {
        case .gone: return
        case .unborn: connect(world)
        case .open: break
        }
        if world.now >= diesAt { return leave(world, byReset: true) }
        read(world)
        guard state == .open else { return }
        act(world)
        pump(world)
        if plans.isEmpty && streams.isEmpty && unpins.isEmpty && pingsOwed == 0 && outgoing.isEmpty
            && hello != nil && !world.expectsTraffic
        {
            if leavesAt == .never { leavesAt = world.now.adding(milliseconds: lingers) }
            if world.now >= leavesAt { return leave(world, byReset: leavesByReset) }
        } else {
            leavesAt = .never
        }
        planNext(world)
    }

    private func connect(_ world: SimWorld) {
        state = .open
        let link = world.addLink(.proxy(index), workerSide: .open)
        self.link = link.id
        world.connectSession(link, isRefused: false, userID: scenario.pins?.identities[index].userID ?? 0)
        if scenario.roughness == .rough && random.chance(5) {
            helloAt = world.now.adding(milliseconds: random.pick([5, 3000]))
        }
        for request in plans {
            world.record.requests[request].plan.startsAt.nanoseconds += world.now.nanoseconds
        }
        if let pins = scenario.pins { chooseUnpins(pins, world) }
    }

    /// Close to requests, of this session or of another, so that the two race.
    private func chooseUnpins(_ pins: PinWorld, _ world: SimWorld) {
        for _ in 0..<random.between(0, pins.unpinsMax) where !world.record.requests.isEmpty {
            let plan = random.pick(world.record.requests).plan
            var at = plan.startsAt.adding(microseconds: random.small(upTo: 300_000))
            // A session that is not there yet has its times without the beginning.
            if at < world.now { at = world.now.adding(milliseconds: random.pick([1, 300, 3000])) }
            unpins.append((at, plan.token.isEmpty ? random.pick(pins.tokens) : plan.token))
        }
    }

    private func leave(_ world: SimWorld, byReset: Bool) {
        state = .gone
        world.observe(.sessionOver(proxy: index, byEngine: false))
        if byReset { world.farReset(link, overtakes: random.chance(50)) } else { world.farFinish(link) }
        world.links[link].isFarClosed = true
    }

    private func act(_ world: SimWorld) {
        if !hasGreeted {
            guard world.now >= helloAt else { return }
            hasGreeted = true
            encoder.hello(own, into: &outgoing)
        }
        startDue(world)
        unpinDue(world)
        for place in streams.indices { tend(place, world) }
        if hello != nil && pingsLeft > 0 && random.chance(3) {
            pingsLeft -= 1
            pingsOwed += 1
            encoder.ping([UInt8(index)].span, isReply: false, into: &outgoing)
        }
    }

    private func unpinDue(_ world: SimWorld) {
        for unpin in unpins where unpin.at <= world.now {
            world.observe(.unpinSent(proxy: index, token: unpin.token))
            encoder.unpin(token: unpin.token.span, into: &outgoing)
        }
        unpins.removeAll { $0.at <= world.now }
    }

    private func startDue(_ world: SimWorld) {
        var later: [Int] = []
        for request in plans {
            guard world.record.requests[request].plan.startsAt <= world.now else {
                later.append(request)
                continue
            }
            start(request, world)
        }
        plans = later
    }

    private func start(_ request: Int, _ world: SimWorld) {
        let plan = world.record.requests[request].plan
        var stream = SimStream(request: request, id: takeStreamID())
        lastRequest[stream.id] = request
        plan.encode(&encoder, stream: stream.id, scenario: scenario, into: &outgoing)
        stream.credit = hello?.initialCreditBytes ?? 0
        stream.isSendDone = plan.endsAtOnce
        if let after = plan.cancelsAfterMilliseconds {
            stream.cancelAt = world.now.adding(milliseconds: after)
        }
        world.observe(.opened(request: request))
        world.observe(.creditGiven(request: request, bytes: own.initialCreditBytes))
        if let hello { world.observe(.creditTaken(request: request, bytes: hello.initialCreditBytes)) }
        if plan.credit == .ahead { give(10_000_000, to: &stream, world) }
        streams.append(stream)
    }

    private func takeStreamID() -> UInt32 {
        if reusesStreams, let free = freeStreams.popLast() { return free }
        let id = nextStream
        nextStream = nextStream == .max ? 1 : nextStream + 1
        return id
    }

    /// Credits, body and cancelling of one stream.
    private func tend(_ place: Int, _ world: SimWorld) {
        let plan = world.record.requests[streams[place].request].plan
        if world.now >= streams[place].creditAt {
            give(streams[place].creditOwed, to: &streams[place], world)
            streams[place].creditOwed = 0
            streams[place].creditAt = .never
        }
        if world.now >= streams[place].cancelAt {
            streams[place].cancelAt = .never
            streams[place].isSendDone = true
            world.observe(.cancelled(request: plan.id))
            encoder.cancel(detail: "enough", stream: streams[place].id, into: &outgoing)
        }
        sendBody(&streams[place], plan, world)
    }

    private func give(_ bytes: Int, to stream: inout SimStream, _ world: SimWorld) {
        guard bytes > 0 else { return }
        world.observe(.creditGiven(request: stream.request, bytes: bytes))
        let wire = world.sabotages(.inflateCredit) { bytes < 5_000_000 } ? bytes + 5_000_000 : bytes
        encoder.credit(UInt32(wire), stream: stream.id, into: &outgoing)
    }

    /// One BODY frame, or the end, when pace and credit allow it.
    private func sendBody(_ stream: inout SimStream, _ plan: RequestPlan, _ world: SimWorld) {
        guard !stream.isSendDone, hello != nil, world.now >= stream.sendsAt else { return }
        if plan.isTwoWay && !stream.isTunnel && !plan.sendsEarly { return }
        let tag = plan.tag
        let total = plan.isTwoWay ? tag.count + plan.tunnelBytes : plan.bodyBytes
        while stream.sent < total && stream.credit > 0 && world.now >= stream.sendsAt
            && outgoing.count < 100_000
        {
            let payloadMax = BodyPlace.dataBytesMax(payloadBytesMax: hello?.framePayloadBytesMax ?? 1024)
            let count = min(plan.chunkBytesMax, stream.credit, total - stream.sent, payloadMax)
            let range = stream.sent..<stream.sent + count
            let data = Pattern(request: plan.id).bytes(range, behind: tag)
            stream.sent += count
            stream.credit -= count
            stream.isSendDone = stream.sent == total && !plan.hasTrailers && random.chance(50)
            encoder.body(
                data.span,
                stream: stream.id,
                endsStream: stream.isSendDone,
                payloadBytesMax: hello?.framePayloadBytesMax ?? 1024,
                into: &outgoing
            )
            world.record.requests[plan.id].bodySent += count
            world.record.requests[plan.id].bodyFrames += 1
            if plan.pauseMicroseconds > 0 {
                stream.sendsAt = world.now.adding(microseconds: plan.pauseMicroseconds)
            }
        }
        guard stream.sent == total, !stream.isSendDone else { return }
        stream.isSendDone = true
        if plan.hasTrailers {
            let text = Array("X-Request-Trailer\(plan.id)".utf8)
            let field = FieldSlice(
                name: Slice(start: 0, count: 17),
                value: Slice(start: 17, count: text.count - 17)
            )
            encoder.trailers([field], in: text.span, stream: stream.id, endsStream: true, into: &outgoing)
        } else {
            encoder.body(Span(), stream: stream.id, endsStream: true, payloadBytesMax: 1024, into: &outgoing)
        }
    }

    /// Ends the sending side of a stream whose END has come, and forgets the stream.
    func finish(_ place: Int) {
        let stream = streams.remove(at: place)
        if !stream.isSendDone {
            if random.chance(50) {
                encoder.cancel(detail: "", stream: stream.id, into: &outgoing)
            } else {
                encoder.body(
                    Span(),
                    stream: stream.id,
                    endsStream: true,
                    payloadBytesMax: 1024,
                    into: &outgoing
                )
            }
        }
        freeStreams.append(stream.id)
    }

    private func pump(_ world: SimWorld) {
        guard !outgoing.isEmpty else { return }
        let taken = world.farWrite(link, copy(outgoing, upTo: 65_536))
        outgoing.consume(taken)
    }

    private func read(_ world: SimWorld) {
        let pipe = world.links[link].fromEngine
        guard world.now >= readsAt else { return }
        if pipe.arrived.isEmpty {
            if pipe.isReset || pipe.hasFinishArrived {
                state = .gone
                world.links[link].isFarClosed = true
                world.farFinish(link)
            }
            return
        }
        inbound.append(world.farRead(link, upTo: readBytesMax).span)
        readsAt = world.now.adding(microseconds: readPauseMicroseconds)
        takeFrames(world)
    }

    private func planNext(_ world: SimWorld) {
        var next = min(diesAt, leavesAt)
        let pipe = world.links[link].fromEngine
        if !pipe.arrived.isEmpty || pipe.hasFinishArrived || pipe.isReset {
            next = min(next, max(readsAt, world.now.adding(microseconds: 1)))
        }
        if !hasGreeted { next = min(next, helloAt) }
        for request in plans where hasGreeted {
            next = min(next, world.record.requests[request].plan.startsAt)
        }
        for unpin in unpins where hasGreeted { next = min(next, unpin.at) }
        for stream in streams {
            next = min(next, stream.creditAt, stream.cancelAt)
            if !stream.isSendDone && stream.sendsAt > world.now { next = min(next, stream.sendsAt) }
        }
        guard next != .never else { return }
        world.plan(.proxyWake(proxy: index), at: max(next, world.now.adding(microseconds: 1)))
    }
}
