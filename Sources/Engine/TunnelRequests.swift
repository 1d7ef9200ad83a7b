// TunnelRequests.swift: CONNECT to a peer while a connection is set up, and what its reply makes of it.
// Owns: the request and its reply. Never touches: what follows in the tunnel (Setup.swift, Tunnels.swift).
// Source: RFC 9110 §9.3.6; DESIGN "CONNECT refused by a peer".
import HTTP1
import Model

extension WorkerEngine {
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

    mutating func askForTunnel(_ slot: Int, _ route: RouteIdentity) {
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
}
