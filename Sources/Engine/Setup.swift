// Setup.swift: what lies between a transport and the first request on it: PROXY header, TLS, tunnel, TLS inside.
// Owns: the order of the steps, and what a step that fails means. Never touches: TLS itself.
// Source: DESIGN "Words", route; RFC 9110 §9.3.6; HAProxy's proxy-protocol.txt.
import HTTP1
import Model

/// Why a try to get a connection failed.
struct AttemptFailure {
    var result: AttemptResult
    var outcome: Outcome
    /// For people; never a secret.
    var detail: String
}

extension AttemptFailure {
    init(_ failure: TLSFailure) {
        self.init(result: .tlsFailed, outcome: failure.outcome, detail: failure.detail)
    }
}

extension TLSFailure {
    var outcome: Outcome {
        switch kind {
        case .handshake: .tlsHandshake
        case .verify: .tlsVerify
        }
    }
}

extension WorkerEngine {
    /// Takes the next step, or hands the connection over when all are taken.
    mutating func continueSetup(_ slot: Int) {
        let key = targets[connections[slot].target].key
        let kind = targets.routes.kind(key.route)
        while true {
            connections[slot].setup = connections[slot].setup.next
            switch connections[slot].setup {
            case .transport: preconditionFailure("a transport is no next step")
            case .proxyHeader:
                let header = targets.routes.identity(key.route).proxyHeader(to: key.endpoint)
                if header.isEmpty { continue }
                connections[slot].setupOutput.append(header.span)
                orderSetupWrite(slot, probeFirst: false)
                return
            case .outerTLS:
                if targets.routes.identity(key.route).outer.isClear { continue }
                effects.append(.startTLS(id(ofConnection: slot), .outer))
                return
            case .tunnel:
                if kind != .tunnel { continue }
                askForTunnel(slot, targets.routes.identity(key.route))
                return
            case .innerTLS:
                if targets.routes.identity(key.route).inner.isClear { continue }
                effects.append(.startTLS(id(ofConnection: slot), .inner))
                return
            case .done:
                connections[slot].idleSince = now
                switch connections[slot].member.duty {
                case .check: return continueCheck(slot)
                case .standby: standbyDialed(slot)
                case .attempt: break
                }
                dialSucceeded(slot)
                hand(slot)
                return
            }
        }
    }

    private mutating func orderSetupWrite(_ slot: Int, probeFirst: Bool) {
        connections[slot].isWriting = true
        effects.append(.writeConnection(id(ofConnection: slot), probeFirst: probeFirst))
    }

    /// So much of what the step had to write is written.
    mutating func setupWrote(_ count: Int, _ slot: Int) {
        if connections[slot].setup == .tunnel { connections[slot].hasAsked = true }
        connections[slot].setupOutput.consume(count)
        if !connections[slot].setupOutput.isEmpty { return }
        connections[slot].isWriting = false
        if connections[slot].setup == .proxyHeader { continueSetup(slot) }
    }

    // TLS.

    /// With whom TLS is to be spoken, and what else of the connection's identity its sessions belong to.
    package func tlsIdentity(
        of connection: ConnectionID,
        _ hop: TLSHop
    ) -> (identity: TLSIdentity, scope: [UInt8])? {
        guard let slot = connections.find(connection.slot, connection.generation) else { return nil }
        let key = targets[connections[slot].target].key
        let route = targets.routes.identity(key.route)
        let names: HopTLS
        var scope: [UInt8] = []
        scope.appendPart(key.endpoint.text)
        scope.appendPart(key.localAddress.map { Endpoint.ip($0, port: 0).text } ?? [])
        scope.appendPart(Array("\(route.kind == .direct) \(route.proxyProtocol)".utf8))
        scope.appendPart(route.proxySource?.text ?? [])
        scope.appendPart(route.proxyDestination?.text ?? [])
        switch hop {
        case .outer: names = route.outer
        case .inner:
            names = route.inner
            scope.appendPart(route.authority)
            scope.appendPart(route.connectLines.map { authenticator.fingerprint(of: $0) } ?? [])
            scope.appendPart(route.credential.map { Array($0.name.utf8) + [0] + $0.user } ?? [])
        }
        let identity = TLSIdentity(
            settings: targets.routes.settings(names.settings),
            serverName: names.serverName,
            verifyName: names.verifyName.isEmpty ? key.endpoint.addressText : names.verifyName
        )
        return (identity, scope)
    }

    /// How a handshake went. After a failure the worker has closed the socket, and the id is dead.
    package mutating func secured(
        _ connection: ConnectionID,
        _ result: Result<TLSFacts, TLSFailure>,
        now: Instant
    ) {
        guard let slot = connections.find(connection.slot, connection.generation) else { return }
        self.now = now
        switch (result, connections[slot].setup) {
        case (.success(let facts), .outerTLS):
            connections[slot].outerFacts = facts
            continueSetup(slot)
        case (.success(let facts), .innerTLS):
            connections[slot].innerFacts = facts
            continueSetup(slot)
        case (.success, _): preconditionFailure("secured in \(connections[slot].setup)")
        case (.failure(let failure), _):
            failSetup(slot, AttemptFailure(failure), isOpen: false)
        }
        settle()
    }

    /// TLS on the hop that carries the HTTP of a connection; `nil`: clear text.
    func httpTLS(_ slot: Int) -> TLSFacts? {
        let kind = targets.routes.kind(targets[connections[slot].target].key.route)
        return kind == .tunnel ? connections[slot].innerFacts : connections[slot].outerFacts
    }

    // Tunnels.

    /// An idle connection to the peer of the waiter's tunnel, taken out of the pool.
    mutating func takePeerConnection(_ waiter: Int) -> Int? {
        if waiters[waiter].isFreshOnly { return nil }
        var key = targets[waiters[waiter].target].key
        guard targets.routes.kind(key.route) == .tunnel else { return nil }
        key.route = targets.routes.toPeer(key.route)
        guard let target = targets.find(key) else { return nil }
        while let slot = targets[target].idle.last {
            unpark(slot)
            if connections[slot].idleUntil > now { return slot }
            close(slot)
        }
        return nil
    }

    /// Asks for the waiter's tunnel on a connection that stands.
    mutating func beginTunnel(on slot: Int, for waiter: Int, isOnIdle: Bool = true) {
        retarget(slot, to: targets[waiters[waiter].target].key)
        waiters[waiter].dial = .dialing(slot)
        beginConnecting(waiters[waiter].stream)
        connections[slot].state = .dialing(waiter: waiter)
        connections[slot].isTunnelOnIdle = isOnIdle
        connections[slot].setup = .outerTLS
        continueSetup(slot)
    }

    private mutating func askForTunnel(_ slot: Int, _ route: RouteIdentity) {
        var output = ByteBuffer()
        swap(&output, &connections[slot].setupOutput)
        let lines = route.connectLines
        output.isSecret = lines != nil || route.credential != nil
        RequestEncoder.appendConnect(authority: route.authority.span, lines: lines, into: &output)
        if route.credential != nil { authorizeTunnel(slot, route, &output) }
        swap(&output, &connections[slot].setupOutput)
        var context = ReplyContext()
        context.isConnect = true
        connections[slot].hasAsked = false
        connections[slot].decoder.begin(context)
        orderSetupWrite(slot, probeFirst: connections[slot].isTunnelOnIdle && needsProbe(slot))
        connections[slot].mayHaveMore = false
    }

    /// Bytes of an upstream that no request has been sent to yet.
    mutating func setupReceived(_ bytes: Span<UInt8>, _ slot: Int) {
        if connections[slot].setup == .done { return checkReceived(bytes, slot) }
        if connections[slot].setup != .tunnel || !connections[slot].hasAsked || isHeld(slot) {
            let detail = "the upstream sent bytes before it was asked for any"
            failSetup(slot, AttemptFailure(result: .failed, outcome: .badReply, detail: detail), isOpen: true)
            return
        }
        var inbound = ByteBuffer()
        swap(&inbound, &connections[slot].inbound)
        inbound.append(bytes)
        let verdict = readTunnelReply(inbound.bytes, slot)
        inbound.consume(verdict.used)
        let leftover = inbound.count
        swap(&inbound, &connections[slot].inbound)
        switch verdict.found {
        case .nothing: break
        case .refusal: refuseTunnel(slot)
        case .fault(let words):
            let detail = "the peer's reply to CONNECT: \(words)"
            failSetup(
                slot,
                AttemptFailure(result: .peerRefused, outcome: .badReply, detail: detail),
                isOpen: true
            )
        case .tunnel:
            if leftover > 0 || !connections[slot].setupOutput.isEmpty {
                // Neither HTTP nor TLS lets a server begin, nor a peer make a tunnel that nobody has named yet.
                let detail = "the peer sent bytes through the tunnel before it was asked for any"
                failSetup(
                    slot,
                    AttemptFailure(result: .peerRefused, outcome: .badReply, detail: detail),
                    isOpen: true
                )
                return
            }
            connections[slot].decoder = ReplyDecoder(limits: limits)
            connections[slot].requests = 0
            if !holdsTunnel(slot) { continueSetup(slot) }
        }
    }

    private enum TunnelReply {
        case nothing
        case tunnel
        /// Its head begins the bytes that are not used.
        case refusal
        case fault(String)
    }

    private mutating func readTunnelReply(
        _ bytes: Span<UInt8>,
        _ slot: Int
    ) -> (found: TunnelReply, used: Int) {
        var used = 0
        while true {
            let step: ReplyStep
            do throws(ReplyError) {
                step = try connections[slot].decoder.decode(
                    bytes.extracting(droppingFirst: used),
                    head: &head
                )
            } catch {
                return (.fault(error.detail), used)
            }
            switch step.event {
            case .needMore: return (.nothing, used)
            case .interim: used += step.consumed
            case .head:
                if head.body != .tunnel { return (.refusal, used) }
                if !connections[slot].tunnelTryAside.isAbsent {
                    let key = targets[connections[slot].target].key
                    let route = targets.routes.identity(key.route)
                    noteTunnelToken(slot, bytes.extracting(droppingFirst: used))
                    tunnelAccepted(slot, route, bytes.extracting(droppingFirst: used))
                }
                return (.tunnel, used + step.consumed)
            case .body, .trailers, .complete: preconditionFailure("a body before its head")
            }
        }
    }

    /// The peer said no: its reply goes to whoever asked, whole, and the connection is one to the peer again.
    private mutating func refuseTunnel(_ slot: Int) {
        guard case .dialing(let owner) = connections[slot].state, let waiter = owner else {
            close(slot)
            return
        }
        let stream = waiters[waiter].stream
        let index = waiters[waiter].endpointIndex
        waiters[waiter].dial = .none
        removeWaiter(waiter, .peerRefused)
        abandonWaiters(stream, .abandoned)
        var key = targets[connections[slot].target].key
        key.route = targets.routes.toPeer(key.route)
        retarget(slot, to: key)
        streams[stream].gate = .shut
        takeOver(slot, stream, index)
        connections[slot].setup = .done
        // A client with a token may go on here, if its reply says so.
        let binds = streams[stream].pinToken.isEmpty && targets.routes.bindsPeer(streams[stream].route)
        connections[slot].isSpent = binds || !connections[slot].setupOutput.isEmpty
        connections[slot].setupOutput.removeAll()
        connections[slot].decoder = ReplyDecoder(limits: limits)
        var context = ReplyContext()
        context.isConnect = true
        connections[slot].decoder.begin(context)
        armDeadline(stream)
        decodeInbound(slot)
    }

    /// Makes a connection one of another pool key of the same endpoint.
    private mutating func retarget(_ slot: Int, to key: PoolKey) {
        let old = connections[slot].target
        let target = targets.make(key)
        targets[old].connections -= 1
        targets[target].connections += 1
        connections[slot].target = target
        targets.removeIfUnused(old)
    }

    // Failures.

    /// The socket ended in the middle.
    mutating func setupLost(_ slot: Int, isOpen: Bool, _ cause: CloseCause) {
        let isTunnel = connections[slot].setup == .tunnel
        if connections[slot].isTunnelOnIdle && connections[slot].inbound.isEmpty && !isHeld(slot),
            case .dialing(let owner) = connections[slot].state, let waiter = owner
        {
            // It was closed while it was idle: that says nothing about the peer.
            if isOpen { effects.append(.closeConnection(id(ofConnection: slot))) }
            forget(slot)
            waiters[waiter].dial = .none
            waiters[waiter].isFreshOnly = true
            admitAgain(waiter)
            return
        }
        if case .broken(let failure) = cause {
            failSetup(slot, AttemptFailure(failure), isOpen: isOpen)
            return
        }
        let detail =
            isTunnel
            ? "the peer closed the connection before it had answered CONNECT"
            : "the upstream closed the connection before a request"
        let failure = AttemptFailure(
            result: isTunnel ? .peerRefused : .failed,
            outcome: .reset,
            detail: detail
        )
        failSetup(slot, failure, isOpen: isOpen)
    }

    mutating func failSetup(_ slot: Int, _ failure: AttemptFailure, isOpen: Bool) {
        guard case .dialing(let owner) = connections[slot].state else {
            preconditionFailure("a step failed in \(connections[slot].state)")
        }
        if isOpen { effects.append(.closeConnection(id(ofConnection: slot))) }
        dialFailed(place(ofConnection: slot), failure)
        forget(slot)
        if let waiter = owner { attemptFailed(waiter, failure) }
    }
}

extension SetupStep {
    fileprivate var next: SetupStep {
        switch self {
        case .transport: .proxyHeader
        case .proxyHeader: .outerTLS
        case .outerTLS: .tunnel
        case .tunnel: .innerTLS
        case .innerTLS: .done
        case .done: preconditionFailure("a step after the last")
        }
    }
}

extension [UInt8] {
    /// Appends bytes with their count in front, so that no two lists of parts look alike.
    fileprivate mutating func appendPart(_ part: [UInt8]) {
        self += Array("\(part.count) ".utf8) + part
    }
}

extension Endpoint {
    /// What tells it from every other, in bytes.
    fileprivate var text: [UInt8] {
        switch self {
        case .ip(.v4(let word), let port): Array("4 \(word) \(port)".utf8)
        case .ip(.v6(let high, let low, let scope), let port): Array("6 \(high) \(low) \(scope) \(port)".utf8)
        case .unix(let path): Array("u ".utf8) + path
        }
    }

    /// The IP address as a certificate names it; empty for a Unix path.
    var addressText: [UInt8] {
        switch self {
        case .ip(.v4(let word), _):
            Array((0..<4).map { String(word >> UInt32(24 - 8 * $0) & 0xFF) }.joined(separator: ".").utf8)
        case .ip(.v6(let high, let low, _), _):
            Array(
                (0..<8).map {
                    let word = $0 < 4 ? high : low
                    return String(word >> UInt64(48 - 16 * ($0 % 4)) & 0xFFFF, radix: 16)
                }
                .joined(separator: ":").utf8
            )
        case .unix: []
        }
    }
}
