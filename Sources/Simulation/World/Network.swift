// Network.swift: moves bytes along links: delays, arrivals, FIN and RST, and the taps that read along.
import Engine
import Model

extension SimWorld {
    /// Puts a piece on its way.
    func send(_ piece: Pipe.Piece, on link: Link, towardsEngine: Bool) {
        let pipe = towardsEngine ? link.toEngine : link.fromEngine
        pipe.write(piece)
        pipe.lastArrival = max(pipe.lastArrival, now.adding(microseconds: randomDelay()))
        plan(.arrival(link: link.id, towardsEngine: towardsEngine), at: pipe.lastArrival)
    }

    func arrive(_ link: Link, towardsEngine: Bool) {
        let pipe = towardsEngine ? link.toEngine : link.fromEngine
        guard let piece = pipe.arrive() else { return }
        if towardsEngine {
            if link.workerSide == .over { return pipe.dropArrived() }
            return planTurn(of: link.worker, at: now.adding(microseconds: randomDelay() / 10))
        }
        if link.isFarClosed, case .bytes = piece {
            // Nobody is there to read: the far kernel answers with a reset.
            pipe.dropArrived()
            return resetTowardsEngine(link, overtakes: false)
        }
        wakeFarEnd(link)
    }

    private func wakeFarEnd(_ link: Link) {
        switch link.farEnd {
        case .proxy(let proxy): plan(.proxyWake(proxy: proxy), at: now)
        case .upstream: plan(.upstreamWake(link: link.id), at: now)
        }
    }

    /// The worker has made room for the far end's bytes.
    func farRoomChanged(_ link: Link) { wakeFarEnd(link) }

    /// The worker's socket is gone: unread bytes mean a reset for the far end, else FIN comes behind the rest.
    func closeAtWorker(_ link: Link) {
        let wasOpen = link.workerSide == .open
        link.workerSide = .over
        link.isCloseOrdered = true
        uncount(link)
        guard wasOpen, !link.fromEngine.isFinished else { return }
        let hasUnread = !link.toEngine.arrived.isEmpty
        link.toEngine.dropArrived()
        send(hasUnread ? .reset : .finish, on: link, towardsEngine: false)
    }

    /// The socket is gone.
    func uncount(_ link: Link) {
        guard link.isCounted else { return }
        link.isCounted = false
        observe(.socketClosed(link: link.id))
    }

    // What the far ends call.

    /// - Returns: bytes taken, all of them when there is room.
    func farWrite(_ link: Int, _ bytes: [UInt8], arrivesAtOnce: Bool = false) -> Int {
        let link = links[link]
        if link.workerSide == .over { return bytes.count }
        let count = min(bytes.count, link.toEngine.room)
        if count > 0 {
            send(.bytes(Array(bytes[..<count])), on: link, towardsEngine: true)
            if arrivesAtOnce { arrive(link, towardsEngine: true) }
        }
        return link.toEngine.isFinished ? bytes.count : count
    }

    func farRead(_ link: Int, upTo countMax: Int) -> [UInt8] {
        let bytes = links[link].fromEngine.read(upTo: countMax)
        if links[link].wantsWrite {
            planTurn(of: links[link].worker, at: now.adding(microseconds: randomDelay() / 10))
        }
        return bytes
    }

    /// - isProven: over TLS, close_notify comes first.
    func farFinish(_ link: Int, isProven: Bool = true) {
        guard !links[link].toEngine.isFinished else { return }
        if isProven && links[link].isSecure { send(.notify, on: links[link], towardsEngine: true) }
        send(.finish, on: links[link], towardsEngine: true)
    }

    /// Over TLS: a record that no one can read.
    func farGarble(_ link: Int) {
        guard !links[link].toEngine.isFinished else { return }
        send(.garbage, on: links[link], towardsEngine: true)
    }

    func farReset(_ link: Int, overtakes: Bool) {
        links[link].isFarClosed = true
        resetTowardsEngine(links[link], overtakes: overtakes)
    }

    /// - overtakes: what is in flight is lost.
    private func resetTowardsEngine(_ link: Link, overtakes: Bool) {
        guard !link.toEngine.isReset, link.workerSide != .over else { return }
        if overtakes { link.toEngine.dropInFlight() }
        link.toEngine.writeReset()
        link.toEngine.lastArrival = max(link.toEngine.lastArrival, now.adding(microseconds: randomDelay()))
        plan(.arrival(link: link.id, towardsEngine: true), at: link.toEngine.lastArrival)
    }

    /// Whether every request on the link has been answered, and nothing is on its way to the engine.
    func isIdle(_ link: Int) -> Bool {
        let facts = record.links[link]
        return facts.requestsBegan == facts.serves.count && taps[link]?.isAtStart == true
            && links[link].toEngine.inFlight.isEmpty && links[link].workerSide == .open
            && links[link].toEngine.lastArrival <= now
    }

    func becomeTunnel(_ link: Int) { taps[link]?.becomeTunnel() }

    // The taps.

    /// Reads along what the engine hands to a connection's kernel.
    /// - Parameters:
    ///   - link: the connection.
    ///   - output: all that the engine has ready, so that a head is known before it is written whole.
    ///   - count: how much of it is written now.
    /// - Returns: whether the last byte written belongs to a body.
    func tap(_ link: Link, _ output: [UInt8], _ count: Int) -> Bool {
        if sabotages(.sendTwice, when: { self.isRepeatForbidden(link, output) }) {
            observe(.requestBegan(link: link.id, request: requestID(in: output)))
        }
        var parts: [RequestPart] = []
        let ahead = taps[link.id]?.isAtFront == true ? Array(output[count...]) : []
        taps[link.id]?.parse(Array(output[..<count]), ahead: ahead, into: &parts)
        for part in parts { apply(part, link.id, output) }
        if case .body = parts.last { return true }
        return false
    }

    private func apply(_ part: RequestPart, _ link: Int, _ output: [UInt8]) {
        let request = record.links[link].currentRequest
        switch part {
        case .proxyHeader: observe(.proxyHeaderSent(link: link))
        case .tag(let request):
            let isKnown = record.requests.indices.contains(request)
            observe(.requestBegan(link: link, request: isKnown ? request : nil))
        case .began:
            let request = requestID(in: output)
            if request == nil && output.starts(with: Array("GET \(GroupWorld.checkPath) ".utf8)) {
                return observe(.checkBegan(link: link))
            }
            if request == nil && output.starts(with: Array("CONNECT ".utf8)) {
                observe(.connectBegan(link: link))
                return hurryTunnel(link)
            }
            if let request { sabotagePins(request, link) }
            observe(.requestBegan(link: link, request: request))
            if let request { sabotageRetry(request, link) }
            if let request { sabotageMember(request, link) }
            guard let broken = record.links.indices.first(where: { record.hasBrokenReply($0) }) else {
                return
            }
            if sabotages(.keepBrokenConnection) { observe(.requestBegan(link: broken, request: request)) }
        case .head, .trailers: break
        case .body(let bytes), .tunnel(let bytes):
            guard let request else { return }
            observe(.requestBody(link: link, request: request, count: bytes.count))
        case .whole:
            guard let request else { return }
            observe(.requestSent(link: link, request: request))
        case .malformed(let reason): observe(.malformedRequest(link: link, reason: reason))
        }
    }

    /// Breaks a rule of pins before a request begins.
    private func sabotagePins(_ request: Int, _ link: Int) {
        if sabotage == .sharePin {
            let other = record.links.indices.first { link in
                guard let binding = record.links[link].binding, let holder = binding.holder else {
                    return false
                }
                return binding.isPinned && record.holder(of: request) != holder
            }
            if let other, sabotages(.sharePin) { observe(.requestBegan(link: other, request: request)) }
        }
        if sabotage == .poolUnpinned {
            let other = record.links.indices.first { link in
                record.links[link].closedAt == .never && record.isReleased(link)
                    && record.holder(of: request) != record.links[link].binding?.holder
            }
            if let other, sabotages(.poolUnpinned) { observe(.requestBegan(link: other, request: request)) }
        }
        if sabotage == .overtakeInLine {
            let behind = record.requests.indices.first { other in
                record.requests[other].writes.isEmpty && PinOrder.isAhead(request, of: other, record)
            }
            if let behind, record.requests[request].writes.isEmpty, sabotages(.overtakeInLine) {
                observe(.requestBegan(link: link, request: behind))
            }
        }
    }

    private func sabotageRetry(_ request: Int, _ link: Int) {
        guard sabotage == .retryPinned, record.isOnBound(request, link) else { return }
        let other = record.links.indices.first { $0 != link && record.links[$0].endpoint != nil }
        if let other, sabotages(.retryPinned) { observe(.requestBegan(link: other, request: request)) }
    }

    private func hurryTunnel(_ link: Int) {
        let hurried = record.requests.indices.first { request in
            let facts = record.requests[request]
            return facts.plan.way.route == .peerTunnel && !facts.plan.isConnect && facts.isOwed
                && facts.writes.isEmpty
        }
        guard let hurried, sabotages(.hurryTunnel) else { return }
        observe(.requestBegan(link: link, request: hurried))
    }

    private func isRepeatForbidden(_ link: Link, _ output: [UInt8]) -> Bool {
        guard taps[link.id]?.isAtStart == true, let request = requestID(in: output) else { return false }
        return !record.requests[request].plan.mayRepeat
    }

    /// The number behind "X-Request: ".
    private func requestID(in output: [UInt8]) -> Int? {
        let mark = Array("X-Request: ".utf8)
        guard output.count > mark.count else { return nil }
        for start in 0..<output.count - mark.count where output[start] == mark[0] {
            guard output[start..<start + mark.count].elementsEqual(mark) else { continue }
            let digits = output[(start + mark.count)...].prefix { (0x30...0x39).contains($0) }
            let id = Int(String(decoding: digits, as: UTF8.self))
            return id.flatMap { $0 < record.requests.count ? $0 : nil }
        }
        return nil
    }
}
