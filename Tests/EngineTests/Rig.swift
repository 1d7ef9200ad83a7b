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
    private(set) var inPlaceBytes = 0
    /// Bytes that went through a pipe.
    private(set) var pipedBytes = 0
    /// What is in each pipe that was ever used.
    private var pipes: [[UInt8]] = []
    /// Body bytes of requests that went to a socket without being kept.
    private(set) var passedBytes = 0
    /// Reads that the engine held.
    private(set) var holds = 0

    /// What proxies have sent, while it shall not arrive yet.
    private var gathered: [UInt8]?
    var engine: WorkerEngine
    let directory: LocalPins
    let health: LocalHealth
    let idles = LocalIdles()
    /// Pinned connections that the neighbour was sent, with their sockets; and idle ones.
    private var isNextStale = false
    private var parcels: [(socket: Int, parcel: PinParcel)] = []
    var idleParcels: [(socket: Int, parcel: IdleParcel)] = []
    /// Who has asked the neighbour for an idle connection.
    var asks: [WaiterID] = []
    let budget: LocalBudget
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var proxies: [ProxySide] = []
    private var sockets: [UpstreamSide] = []
    private var record = Record()
    /// Steps of contexts that were ordered and have not ended.
    var orders: [SecurityOrder] = []
    /// Rooms that were granted to the neighbour.
    private(set) var neighbourRooms: [Room] = []

    /// - Parameters:
    ///   - limits: of the process.
    ///   - named: what requests can refer to.
    ///   - workers: 1, or 2 with a neighbour that the script plays.
    ///   - mechanisms: of Negotiate and NTLM those that can be spoken.
    init(
        _ limits: Limits = Limits(),
        named: NamedSettings = NamedSettings(),
        workers: Int = 1,
        mechanisms: AuthenticationSchemes = .connectionBound
    ) {
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
            health: health,
            worker: 0,
            digests: .toy,
            seed: Secret("rig"),
            mechanisms: mechanisms,
            chance: 7,
            now: now
        )
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
    var routeCount: Int { engine.targets.routes.count - 3 + engine.targets.routes.settingsCount - 1 }
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

    private func upstreamGot(_ socket: Int, _ piece: [UInt8]) {
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

    // Upstreams.
    func connect(_ socket: Int) {
        engine.dialed(sockets[socket].id, .connected(local: nil), now: now)
        run()
    }

    func fail(_ socket: Int, _ result: AttemptResult = .refused) {
        sockets[socket].isClosed = true
        engine.dialed(sockets[socket].id, .failed(result), now: now)
        run()
    }

    /// An upstream sends text in which | stands for CR LF.
    func hear(_ socket: Int, _ text: String) {
        let pieces = text.split(separator: "|", omittingEmptySubsequences: false)
        hearBytes(socket, Array(pieces.joined(separator: "\r\n").utf8))
    }

    func hearBytes(_ socket: Int, _ bytes: [UInt8]) {
        sockets[socket].arrived += bytes
        deliver(socket)
    }

    /// A handshake is done.
    func secure(_ socket: Int, _ change: (inout TLSFacts) -> Void = { _ in }) {
        var facts = TLSFacts()
        change(&facts)
        engine.secured(sockets[socket].id, .success(facts), now: now)
        run()
    }

    /// A handshake failed.
    func failTLS(_ socket: Int, _ kind: TLSFailure.Kind) {
        sockets[socket].isClosed = true
        engine.secured(sockets[socket].id, .failure(TLSFailure(kind, "words")), now: now)
        run()
    }

    /// The upstream says close_notify and sends FIN.
    func endProven(_ socket: Int) {
        sockets[socket].isEndProven = true
        end(socket)
    }

    /// The upstream sends FIN.
    func end(_ socket: Int) {
        sockets[socket].hasEnded = true
        deliver(socket)
    }

    /// The upstream's FIN is told although the engine has paused reading.
    func endAtOnce(_ socket: Int) {
        sockets[socket].isEndTold = true
        engine.endOfFile(from: sockets[socket].id, now: now)
        run()
    }

    /// The socket fails.
    func reset(_ socket: Int, _ cause: CloseCause = .reset) {
        sockets[socket].isClosed = true
        engine.closed(sockets[socket].id, cause, now: now)
        run()
    }

    /// The socket has encrypted what waits, and cannot write it.
    func commit(_ socket: Int) {
        isWriting = false
        engine.committed(to: sockets[socket].id)
        run()
    }

    /// A probe will find it dead.
    func spoil(_ socket: Int) { sockets[socket].isStale = true }

    /// A probe over TLS will find FIN.
    func spoilTLS(_ socket: Int) { sockets[socket].isStaleInTLS = true }

    /// The socket takes so many bytes of what waits.
    func write(_ socket: Int, _ bytesMax: Int = .max) {
        writeOnce(socket, bytesMax: bytesMax)
        run()
    }

    private func deliver(_ socket: Int) {
        while !sockets[socket].isClosed && !sockets[socket].isPaused && !sockets[socket].arrived.isEmpty {
            let id = sockets[socket].id
            if reading == .inPlace || reading == .piped, engine.holdsReading(id) {
                sockets[socket].isPaused = true
                holds += 1
                return
            }
            let pipedMax = reading == .piped ? engine.bytesThroughPipeMax(id) : 0
            if pipedMax > 0 {
                let piece = Array(sockets[socket].arrived.prefix(pipedMax))
                sockets[socket].arrived.removeFirst(piece.count)
                pipes.append(piece)
                pipedBytes += piece.count
                _ = engine.piped(piece.count, into: pipes.count - 1, from: id, now: now)
            } else if reading == .inPlace, engine.bytesInPlaceMax(id) > 0 {
                engine.receivedInPlace(from: id, now: now) { place in
                    let count = min(place.freeCapacity, sockets[socket].arrived.count)
                    for byte in sockets[socket].arrived[..<count] { place.append(byte) }
                    sockets[socket].arrived.removeFirst(count)
                    inPlaceBytes += count
                    return !sockets[socket].arrived.isEmpty
                }
            } else {
                let count = reading == .byteByByte ? 1 : sockets[socket].arrived.count
                let piece = Array(sockets[socket].arrived[..<count])
                sockets[socket].arrived.removeFirst(count)
                let mayHaveMore = !sockets[socket].arrived.isEmpty
                engine.received(piece.span, from: id, mayHaveMore: mayHaveMore, now: now)
            }
            run()
        }
        if sockets[socket].hasEnded && !sockets[socket].isEndTold && sockets[socket].arrived.isEmpty
            && !sockets[socket].isClosed && !sockets[socket].isPaused
        {
            sockets[socket].isEndTold = true
            engine.endOfFile(from: sockets[socket].id, isProven: sockets[socket].isEndProven, now: now)
            run()
        }
    }

    // Running orders.
    func run() {
        var effects: [Effect] = []
        repeat {
            effects.removeAll()
            spreadNews()
            engine.takeEffects(into: &effects)
            var index = 0
            while index < effects.count {
                run(effects[index])
                index += 1
                if index == effects.count { engine.takeEffects(into: &effects) }
            }
            if isWriting {
                for socket in sockets.indices { writeOnce(socket, bytesMax: writeBytesMax) }
            }
            for session in proxies.indices where proxies[session].isReading {
                writeSession(session, bytesMax: .max)
            }
            for socket in sockets.indices where sockets[socket].wasResumed {
                sockets[socket].wasResumed = false
                deliver(socket)
            }
        } while !effects.isEmpty
    }

    private func run(_ effect: Effect) {
        switch effect {
        case .dial(let id):
            guard let (endpoint, _) = engine.address(of: id) else { return record.add("dial of a dead id") }
            sockets.append(UpstreamSide(id: id))
            record.add("dial \(sockets.count - 1) \(endpoint.letter)")
        case .startTLS(let id, let hop):
            guard let socket = find(id, "tls"), let peer = engine.tlsIdentity(of: id, hop) else { return }
            let names = "\(text(peer.identity.serverName))/\(text(peer.identity.verifyName))"
            record.add("tls \(socket) \(hop) \(names)")
        case .notifyClose(let id): if let socket = find(id, "notify") { record.add("notify \(socket)") }
        case .writeConnection(let id, let probeFirst):
            guard let socket = find(id, "write") else { return }
            sockets[socket].isWriteOrdered = true
            if probeFirst { sockets[socket].probesFirst = true }
        case .pauseReading(let id):
            guard let socket = find(id, "pause") else { return }
            sockets[socket].isPaused = true
            record.add("pause \(socket)")
        case .resumeReading(let id):
            guard let socket = find(id, "resume") else { return }
            sockets[socket].isPaused = false
            sockets[socket].wasResumed = true
            record.add("resume \(socket)")
        case .shutdownWriting(let id): if let socket = find(id, "shut") { record.add("shut \(socket)") }
        case .closeConnection(let id):
            guard let socket = find(id, "close") else { return }
            sockets[socket].isClosed = true
            record.add("close \(socket)")
        case .giveBack(let room):
            budget.ledger.giveBack(room, by: 0)
            spreadNews()
        case .handOver(let room, let heir):
            budget.ledger.handOver(room, to: heir, by: 0)
            spreadNews()
        case .writeSession: break
        case .sendLetters: sendLetters()
        case .stepSecurity(let id): takeStep(id)
        case .dropSecurity(let context): record.add("drop context \(context.number)")
        case .closeSession(let id):
            guard let session = proxies.firstIndex(where: { $0.id == id && !$0.isClosed }) else {
                return record.add("closeSession of a dead id")
            }
            writeSession(session, bytesMax: .max)
            record.add("\(proxies[session].name)session closed")
            proxies[session].isClosed = true
            engine.closed(id, now: now)
        }
    }

    // The other worker, number 1.
    private func sendLetters() {
        for letter in engine.takeLetters() {
            switch letter.content {
            case .news(let news): record.add("to \(letter.worker): \(news.words)")
            case .parcel(let id, let parcel):
                guard let socket = find(id, "parcel") else { continue }
                sockets[socket].isClosed = true
                parcels.append((socket, parcel))
                record.add("to \(letter.worker): socket \(socket)")
            case .idle(.wanted(let target, _, let waiter)):
                asks.append(waiter)
                record.add("to \(letter.worker): \(target.endpoint.letter) wanted")
            case .idle(.none): record.add("to \(letter.worker): none")
            case .idleParcel(let id, let parcel):
                guard let socket = find(id, "parcel") else { continue }
                sockets[socket].isClosed = true
                idleParcels.append((socket, parcel))
                record.add("to \(letter.worker): socket \(socket)")
            }
        }
    }

    /// One call of the engine's, and what follows from it.
    func tell(_ call: (inout WorkerEngine, Instant) -> Void) {
        call(&engine, now)
        run()
    }

    /// It sends the first pinned connection back that it was sent, as the next socket. To worker 0, whose pin it then is.
    func neighbourSendsPin() {
        let (socket, parcel) = parcels.removeFirst()
        directory.move(parcel.name, to: 0)
        budget.ledger.move(parcel.room, from: 1, to: 0)
        come(socket) { $0.adopted(parcel, now: $1) }
    }

    /// A connection comes from the neighbour, as the next socket.
    func come(_ socket: Int, _ tell: (inout WorkerEngine, Instant) -> ConnectionID?) {
        if let id = tell(&engine, now) {
            sockets.append(UpstreamSide(id: id))
            sockets[sockets.count - 1].isStale = isNextStale
            isNextStale = false
            record.add("socket \(socket) comes as \(sockets.count - 1)")
        } else {
            record.add("socket \(socket) is closed")
        }
        run()
    }

    /// What comes next has died on its way.
    func nextIsStale() { isNextStale = true }

    /// It gives up what it was sent.
    func neighbourLosesPins() {
        for (_, parcel) in parcels {
            directory.remove(parcel.name)
            budget.ledger.giveBack(parcel.room, by: 1)
        }
        parcels.removeAll()
        spreadNews()
        run()
    }

    /// It wants to dial.
    func neighbourTakes(_ letter: Character) -> Room? {
        let answer = budget.take(.lettered(letter), since: now, idle: IdleRooms(), mayWait: true, by: 1)
        spreadNews()
        run()
        guard case .room(let room) = answer else { return nil }
        neighbourRooms.append(room)
        return room
    }

    /// It has closed a connection.
    func neighbourGivesBack(_ room: Room?) {
        guard let room else { return record.add("neighbour has no room") }
        if let index = neighbourRooms.firstIndex(of: room) { neighbourRooms.remove(at: index) }
        budget.ledger.giveBack(room, by: 1)
        spreadNews()
        run()
    }

    func neighbourQueues() { _ = budget.enterQueue(forced: false) }
    func neighbourLeavesQueue() { budget.leaveQueue() }

    /// It is told at once. What the neighbour is told is written down.
    private func spreadNews() {
        for news in health.book.takeNews() { engine.told(news, now: now) }
        for (worker, news) in budget.ledger.takeNews() {
            if worker == 0 {
                engine.told(news, now: now)
                continue
            }
            switch news {
            case .granted(let endpoint, let room, _, _):
                neighbourRooms.append(room)
                record.add("neighbour may dial \(endpoint.letter)")
            case .endpointWanted(let endpoint): record.add("neighbour hears \(endpoint.letter) is wanted")
            case .processWanted: record.add("neighbour hears room is wanted")
            }
        }
    }

    private func find(_ id: ConnectionID, _ order: String) -> Int? {
        let socket = sockets.firstIndex { $0.id == id && !$0.isClosed }
        if socket == nil { record.add("\(order) of a dead id") }
        return socket
    }

    private func writeOnce(_ socket: Int, bytesMax: Int) {
        let id = sockets[socket].id
        while sockets[socket].isWriteOrdered && !sockets[socket].isClosed {
            if sockets[socket].probesFirst {
                sockets[socket].probesFirst = false
                record.add("probe \(socket)")
                if sockets[socket].isStale { return reset(socket, .stale) }
                if sockets[socket].isStaleInTLS { return endAtOnce(socket) }
            }
            let output = Self.output(of: id, engine)
            sockets[socket].isWriteOrdered = !output.isEmpty
            if output.isEmpty { return }
            let piece = Array(output.prefix(bytesMax))
            upstreamGot(socket, piece)
            engine.wrote(piece.count, to: id, now: now)
            if bytesMax != .max { return }
        }
    }

    /// What waits and a piece of body behind it, as far as the socket takes them.
    private func pass(_ id: ConnectionID, _ waiting: Span<UInt8>, _ body: Span<UInt8>) -> Int {
        guard isWriting, let socket = find(id, "pass") else { return 0 }
        let piece = Array((array(waiting) + array(body)).prefix(writeBytesMax))
        upstreamGot(socket, piece)
        passedBytes += max(0, piece.count - waiting.count)
        return piece.count
    }

    private func output(_ session: Int) -> [UInt8] {
        (0...2).flatMap { Self.segment($0, of: proxies[session].id, engine) }
    }

    private static func segment(_ index: Int, of id: SessionID, _ engine: borrowing WorkerEngine) -> [UInt8] {
        array(engine.outputSegment(index, of: id))
    }

    private static func output(of id: ConnectionID, _ engine: borrowing WorkerEngine) -> [UInt8] {
        array(engine.output(of: id))
    }

    private func writeSession(_ session: Int, bytesMax: Int) {
        let id = proxies[session].id
        var rest = bytesMax
        repeat {
            let piece: [UInt8]
            if let due = engine.pipeDue(of: id) {
                piece = Array(pipes[due.pipe].prefix(min(due.bytes, rest)))
                pipes[due.pipe].removeFirst(piece.count)
                engine.wroteDue(piece.count, to: id, now: now)
            } else {
                piece = Array(output(session).prefix(rest))
                if piece.isEmpty { return }
                engine.wrote(piece.count, to: id, now: now)
            }
            proxies[session].hear(piece, &record)
            rest -= piece.count
        } while rest > 0 && engine.pipeDue(of: id) != nil
    }
}
