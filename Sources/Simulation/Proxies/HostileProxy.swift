// HostileProxy.swift: a session that breaks the protocol, each kind in its way. Nobody else may notice.
import Frames
import Model

/// What a hostile session does once it has behaved for a while.
enum HostileKind: CaseIterable {
    case garbage, flippedBit, oversize, unknownType, reusedStream, bodyWithoutStream, creditExceeded,
        bodyTooLong
    case badTrailers, zeroCredit, wrongHello, noHello, sidecarFrames, streamZero, floodOfRequests,
        silentReader
    case halfFrame, forbidden, wildNumbers, wildEnds
}

/// A proxy that is held to nothing.
final class HostileProxy {
    private let index: Int
    private let kind: HostileKind
    private let scenario: Scenario
    private var random: SeededRandom
    private var link = -1
    private var encoder = MessageEncoder(fieldCountMax: 256)
    private var outgoing = ByteBuffer()
    private var isGone = false
    private var leavesAt = Instant.never

    init(index: Int, kind: HostileKind, scenario: Scenario, random: SeededRandom) {
        self.index = index
        self.kind = kind
        self.scenario = scenario
        self.random = random
    }

    func wake(_ world: SimWorld) {
        guard !isGone else { return }
        if link < 0 {
            let link = world.addLink(.proxy(index), workerSide: .open)
            self.link = link.id
            world.connectSession(link, isRefused: kind == .forbidden)
            compose(world)
            leavesAt = world.now.adding(milliseconds: random.pick([20, 2000, 30_000]))
        }
        let pipe = world.links[link].fromEngine
        if kind != .silentReader { _ = world.farRead(link, upTo: 65_536) }
        if world.now >= leavesAt || (pipe.arrived.isEmpty && (pipe.hasFinishArrived || pipe.isReset)) {
            isGone = true
            if random.chance(50) { world.farReset(link, overtakes: true) } else { world.farFinish(link) }
            world.links[link].isFarClosed = true
            return
        }
        world.plan(.proxyWake(proxy: index), at: leavesAt)
        guard !outgoing.isEmpty else { return }
        outgoing.consume(world.farWrite(link, copy(outgoing, upTo: 10_000)))
    }

    private func compose(_ world: SimWorld) {
        var hello = Hello()
        if kind == .wrongHello { hello.version = 2 }
        if kind == .noHello { return frame(.ping, stream: 0, [0x0A, 0x01, 0x41]) }
        encoder.hello(hello, into: &outgoing)
        let helloBytes = outgoing.count
        let first = request(world, stream: 1, .chunked)
        switch kind {
        case .garbage: put((0..<200).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        case .flippedBit: flipBit(helloBytes)
        case .oversize: put([0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 3, 0, 0, 0])
        case .unknownType: frame(type: random.pick([0x00, 0x30, 0x7F]), stream: 1, [])
        case .reusedStream: _ = request(world, stream: 1, .none)
        case .bodyWithoutStream: frame(.body, stream: 77, [0x0A, 0x01, 0x41])
        case .creditExceeded: exceedCredit(first)
        case .bodyTooLong:
            _ = request(world, stream: 3, .length(1))
            frame(.body, stream: 3, [0x0A, 0x02, 0x41, 0x41])
        case .badTrailers: frame(.trailers, stream: 1, [0x0A, 0x05, 0x41])
        case .zeroCredit: frame(.credit, stream: 1, [0x08, 0x00])
        case .sidecarFrames: frame(random.pick([.reply, .end, .goAway, .interim, .hello]), stream: 1, [])
        case .streamZero: frame(random.pick([.request, .body, .cancel, .end]), stream: 0, [])
        case .floodOfRequests: for stream in 10..<UInt32(60) { _ = request(world, stream: stream, .none) }
        case .silentReader: for stream in 10..<UInt32(30) { _ = request(world, stream: stream, .none) }
        case .wildNumbers: for stream in 10..<UInt32(60) { wildRequest(world, stream) }
        case .wildEnds: wildEnds(world)
        case .halfFrame: outgoing.removeLast(random.between(1, 30))
        case .wrongHello, .noHello, .forbidden: break
        }
    }

    private func exceedCredit(_ stream: UInt32) {
        let data = [UInt8](repeating: 0x61, count: 900)
        // Byte by byte this would take the worker too long; then the credit is kept.
        let framesMax = scenario.readBytesMax < 1000 ? 3 : 300
        for _ in 0..<min(framesMax, 2 + scenario.limits.initialCreditBytes / 900) {
            encoder.body(data.span, stream: stream, endsStream: false, payloadBytesMax: 1024, into: &outgoing)
        }
    }

    /// A request with one number at an end of its range, or beyond: what comes last holds.
    private func wildRequest(_ world: SimWorld, _ stream: UInt32) {
        let start = outgoing.count
        _ = request(world, stream: stream, random.pick([.none, .chunked, .length(5)]))
        var frame = Array(copy(outgoing)[start...])
        outgoing.removeLast(outgoing.count - start)
        let number = Self.varint(random.pick([0, 1, 65_535, 65_536, 86_400_000, 86_400_001, 0x7FFF_FFFF]))
        let wild = Self.varint(random.pick([0xFFFF_FFFF, 1 << 62, .init(Int64.max), 1 << 63, .max]))
        let value = random.chance(50) ? number : wild
        let tail: [UInt8] =
            switch random.below(5) {
            // Length of the body, a deadline, the port of a further endpoint, a scope, balancing.
            case 0: [0x58] + value
            case 1: [0x62, UInt8(value.count + 1), random.pick([0x08, 0x10, 0x18, 0x20, 0x28])] + value
            case 2: [0x32, UInt8(value.count + 7), 0x0A, 4, 10, 0, 0, 1, 0x10] + value
            case 3:
                [0x32, UInt8(value.count + 21), 0x0A, 16] + [UInt8](repeating: 1, count: 16) + [
                    0x10, 80, 0x18,
                ] + value
            default: [0xA8, 0x01] + value
            }
        frame += tail
        let count = frame.count - FrameHeader.byteCount
        for index in 0..<4 { frame[index] = UInt8(truncatingIfNeeded: count >> (24 - 8 * index)) }
        put(frame)
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// Credit as much as a frame can say, on and on, and frames for streams that are at their end or behind it.
    private func wildEnds(_ world: SimWorld) {
        for stream in 10..<UInt32(40) {
            _ = request(world, stream: stream, random.pick([.none, .chunked, .length(3)]))
            for _ in 0..<random.below(6) {
                let number = UInt8(stream)
                switch random.below(6) {
                case 0: frame(.credit, stream: number, [0x08, 0x80, 0x80, 0x80, 0x08])
                case 1: frame(.cancel, stream: UInt8(random.between(10, Int(stream))), [])
                case 2: frame(.unpin, stream: 0, [0x0A, 1, 0x61])
                case 3: frame(.credit, stream: number, [0x08, 0x01])
                case 4: frame(type: 0x80, stream: number, [1, 2, 3])
                default: frame(.ping, stream: 0, [])
                }
            }
        }
    }

    private func put(_ bytes: [UInt8]) { outgoing.append(bytes.span) }

    private func flipBit(_ helloBytes: Int) {
        var bytes = copy(outgoing)
        // In HELLO, the header of REQUEST or its first fields: not where the number stands by which the checkers
        // know a request.
        bytes[random.below(helloBytes + FrameHeader.byteCount + 20)] ^= UInt8(1 << random.below(8))
        outgoing.removeAll()
        put(bytes)
    }

    /// Opens a stream whose request is in the record like any other, marked as hostile.
    private func request(_ world: SimWorld, stream: UInt32, _ body: RequestBody) -> UInt32 {
        var plan = RequestPlan()
        plan.id = world.record.requests.count
        plan.isHostile = true
        plan.method = body == .none ? "GET" : "POST"
        plan.body = body
        world.record.requests.append(RequestFacts(plan: plan, proxy: index))
        world.observe(.opened(request: plan.id))
        plan.encode(&encoder, stream: stream, scenario: scenario, into: &outgoing)
        return stream
    }

    private func frame(_ type: FrameType, stream: UInt8, _ payload: [UInt8]) {
        frame(type: type.rawValue, stream: stream, payload)
    }

    private func frame(type: UInt8, stream: UInt8, _ payload: [UInt8]) {
        put([0, 0, 0, UInt8(payload.count), 0, 0, 0, stream, type, 0, 0, 0] + payload)
    }
}
