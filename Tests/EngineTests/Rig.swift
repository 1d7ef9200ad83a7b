// Rig.swift: an engine, a clock that is moved by hand, proxies that speak frames, sockets that only record.
// What happens is written down line by line: orders to sockets, bytes that upstreams get, frames that proxies
// get.
import Authentication
import Frames
import Model

@testable import Engine

/// One worker without a world. Sockets are counted in the order of their dials, sessions in that of their
/// opening.
final class Rig {
    /// Whether upstream sockets take what is to be written; else it waits for `write`.
    var isWriting = true
    /// Bytes that an upstream's socket takes in one write.
    var writeBytesMax = Int.max
    /// Whether what proxies send is cut to single bytes.
    var sendsByteByByte = false
    /// How what upstreams send is cut and read.
    var reading = Reading.whole

    /// Bytes that were read in place.
    var inPlaceBytes = 0
    /// Bytes that went through a pipe.
    var pipedBytes = 0
    /// What is in each pipe that was ever used.
    var pipes: [[UInt8]] = []
    /// Body bytes of requests that went to a socket without being kept.
    var passedBytes = 0
    /// Reads that the engine held.
    var holds = 0

    /// What proxies have sent, while it shall not arrive yet.
    var gathered: [UInt8]?
    var engine: WorkerEngine
    let directory: LocalPins
    let health: LocalHealth
    let idles = LocalIdles()
    let windows: LocalWindows
    /// Pinned connections that the neighbour was sent, with their sockets; and idle ones.
    var isNextStale = false
    var parcels: [(socket: Int, parcel: PinParcel)] = []
    var idleParcels: [(socket: Int, parcel: IdleParcel)] = []
    /// Who has asked the neighbour for an idle connection.
    var asks: [AskID] = []
    let budget: LocalBudget
    var now = Instant(nanoseconds: 1_000_000_000)
    var proxies: [ProxySide] = []
    var sockets: [UpstreamSide] = []
    var record = Record()
    /// Steps of contexts that were ordered and have not ended.
    var orders: [SecurityOrder] = []
    /// Rooms that were granted to the neighbour.
    var neighbourRooms: [Room] = []

    /// - Parameters:
    ///   - limits: of the process.
    ///   - named: what requests can refer to.
    ///   - workers: 1, or 2 with a neighbour that the script plays.
    ///   - mechanisms: of Negotiate and NTLM those that can be spoken.
    ///   - windows: what the engine is told of windows.
    init(
        _ limits: Limits = Limits(),
        named: NamedSettings = NamedSettings(),
        workers: Int = 1,
        mechanisms: AuthenticationSchemes = .connectionBound,
        windows: LocalWindows = LocalWindows()
    ) {
        self.windows = windows
        budget = LocalBudget(limits, named, workers: workers)
        health = LocalHealth(named, workers: workers, now: now)
        directory = LocalPins(limits, workers: workers)
        engine = WorkerEngine(
            limits: limits,
            named: named,
            instanceID: [1],
            software: "rig",
            budget: budget,
            directory: directory,
            idleDirectory: workers > 1 ? idles : nil,
            windows: windows,
            health: health,
            worker: 0,
            digests: .toy,
            seed: Secret("rig"),
            mechanisms: mechanisms,
            chance: 7,
            now: now
        )
        routesAtFirst = engine.targets.routes.count + engine.targets.routes.settingsCount
    }

    // What was written down.
    /// Everything since the start or the last `forget`.
    var lines: [String] { record.lines }
    var counts: Counts { engine.counts }
    var nextDeadline: Instant? { engine.nextDeadline }
    var isDrained: Bool { engine.isDrained }
    /// Pool keys that the engine remembers.
    var targetCount: Int { engine.targets.count }
    /// Ways and TLS settings that the engine remembers beside those it began with.
    var routeCount: Int {
        // Those of connections that are kept ready stay.
        let last = engine.groups.states.map(\.standby).filter { !$0.isFixed && $0.route.slot > 2 }
        let kept = Set(last.map(\.route))
        return engine.targets.routes.count + engine.targets.routes.settingsCount - routesAtFirst - kept.count
    }
    private let routesAtFirst: Int
    /// Sessions that are counted by destination.
    var shareCount: Int { engine.shares.takenCount + engine.shareByKey.count }
    /// Rooms, wishes and endpoints that the budget remembers.
    var budgetCount: Int { budget.ledger.count + budget.ledger.wishCount + budget.ledger.entryCount }

    func forget() { record = Record() }
    func note(_ line: String) { record.add(line) }

    // Time.
    /// Time passes: every wake-up that the engine asks for comes when it is due.
    func pass(_ milliseconds: Int) {
        let end = now.adding(milliseconds: milliseconds)
        while let due = engine.nextDeadline, due <= end {
            now = max(now, due)
            engine.advance(to: now)
            run()
        }
        now = end
    }

    func drain() {
        engine.drain(now: now)
        run()
    }

    /// The configuration says another weight for a member of the first group.
    func setWeight(_ member: Int, _ weight: Int) {
        engine.told(.weight(group: 0, member: member, weight), now: now)
        run()
    }

    /// The configuration says how many connections of the first group are to be kept ready.
    func setStandby(_ total: Int) {
        engine.told(.standby(group: 0, total), now: now)
        run()
    }

    // Proxies.
    /// Opens a session without a word from the proxy.
    @discardableResult
    func open(user: UInt32 = 0) -> Int {
        proxies.append(
            ProxySide(
                id: engine.opened(userID: user, now: now),
                name: proxies.isEmpty ? "" : "s\(proxies.count) "
            )
        )
        run()
        return proxies.count - 1
    }

    /// Opens a session and says HELLO.
    @discardableResult
    func greet(credit: Int = 1000, payload: Int = 65_536, instance: String = "", user: UInt32 = 0) -> Int {
        let session = open(user: user)
        send(session) { encoder, output in
            var hello = Hello()
            hello.initialCreditBytes = credit
            hello.framePayloadBytesMax = payload
            hello.instanceID = Array(instance.utf8)
            encoder.hello(hello, into: &output)
        }
        return session
    }

    /// All that an upstream got, as text.
    func written(_ socket: Int) -> String { text(sockets[socket].got) }

    func upstreamGot(_ socket: Int, _ piece: [UInt8]) {
        sockets[socket].got += piece
        record.upstreamGot(socket, piece)
    }

    /// Whether a proxy reads its socket.
    func setReading(_ isReading: Bool, _ session: Int = 0) {
        proxies[session].isReading = isReading
        run()
    }

    /// Bytes that wait in the engine for a proxy.
    func waitingBytes(_ session: Int = 0) -> Int {
        output(session).count
    }

    /// Lets a proxy read so many bytes at most.
    func read(_ bytes: Int, _ session: Int = 0) {
        writeSession(session, bytesMax: bytes)
        run()
    }

    /// A proxy sends frames.
    func send(_ session: Int = 0, _ build: (inout MessageEncoder, inout ByteBuffer) -> Void) {
        var encoder = MessageEncoder(fieldCountMax: 16)
        var output = ByteBuffer()
        build(&encoder, &output)
        sendRaw(array(output.bytes), session)
    }

    /// What the first proxy sends in `script` arrives in pieces of `bytes`; after the first a socket gets an answer.
    func inPieces(of bytes: Int, then socket: Int? = nil, _ script: () -> Void) {
        gathered = []
        script()
        var rest = (gathered ?? [])[...]
        gathered = nil
        while !rest.isEmpty {
            let isFirst = rest.startIndex == 0
            sendRaw(Array(rest.prefix(bytes)))
            rest = rest.dropFirst(bytes)
            if isFirst, let socket { answer(socket) }
        }
    }

    func sendRaw(_ bytes: [UInt8], _ session: Int = 0) {
        if gathered != nil {
            gathered?.append(contentsOf: bytes)
            return
        }
        for piece in sendsByteByByte ? bytes.map({ [$0] }) : [bytes] {
            engine.received(piece.span, from: proxies[session].id, now: now) { pass($0, $1, $2) }
            run()
        }
    }

    /// The proxy's socket is closed.
    func lose(_ session: Int = 0) {
        if proxies[session].isClosed { return }
        proxies[session].isClosed = true
        engine.closed(proxies[session].id, now: now)
        run()
    }

    func loseAll() {
        for session in proxies.indices { lose(session) }
    }
}
