// SecuritySteps.swift: Negotiate and NTLM answered here: which step is taken when, and what follows from its result.
// Owns: that a context stays on its connection, and that no reply passes whose server failed to prove itself.
// Source: RFC 4559 §4.2, §5, §6; MS-NTHT §3; issue "Local authentication".
import Authentication
import HTTP1
import Model

extension WorkerEngine {
    // Orders.

    /// What `Effect.stepSecurity` is about; `nil`: it is no longer wanted.
    package func securityOrder(of connection: ConnectionID) -> SecurityOrder? {
        guard let slot = connections.find(connection.slot, connection.generation),
            let exchange = connections[slot].security, let hold = exchange.hold
        else { return nil }
        return SecurityOrder(
            connection: connection,
            context: exchange.id,
            request: exchange.request,
            input: hold.input,
            until: hold.until
        )
    }

    /// Whether a reply waits for a step.
    func isHeld(_ slot: Int) -> Bool {
        guard let exchange = connections[slot].security else { return false }
        return exchange.hold != nil
    }

    /// Forgets the context of a connection, if there is one.
    mutating func dropSecurity(ofConnection slot: Int) {
        guard let exchange = connections[slot].security else { return }
        connections[slot].security = nil
        effects.append(.dropSecurity(exchange.id))
    }

    /// The same of a stream.
    mutating func dropSecurity(ofStream stream: Int) {
        guard let exchange = streams[stream].security else { return }
        streams[stream].security = nil
        effects.append(.dropSecurity(exchange.id))
    }

    // Beginning.

    /// Orders the step that answers a challenge. - Returns: why not.
    mutating func orderStep(
        _ step: SecurityStep,
        _ own: AuthenticationTry,
        _ side: AuthenticationSide,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) -> String? {
        if step.input.count > limits.securityTokenBytesMax { return tokenWords(step.input.count) }
        let isTunnel = streams[stream].gate == .shut
        if step.input.isEmpty {
            dropSecurity(ofConnection: slot)
            dropSecurity(ofStream: stream)
            securitySerial += 1
            let request = SecurityContextRequest(
                mechanism: step.mechanism,
                side: side,
                host: serviceHost(side, slot, stream),
                credential: own.credential
            )
            let id = SecurityContextID(number: securitySerial)
            connections[slot].security = SecurityExchange(id: id, request: request, isOfTunnel: isTunnel)
        } else {
            guard let exchange = connections[slot].security, exchange.request.mechanism == step.mechanism,
                exchange.request.side == side
            else { return "a token for an authentication that did not begin on this connection" }
            if exchange.isDone { return "the server asks for more than the mechanism has" }
            if !connections[slot].decoder.persists || connections[slot].hasEnded
                || streams[stream].gate == .awaitsContinue
            {
                return "the connection does not stay open through its authentication"
            }
        }
        hold(.challenge, step.input, bytes, slot, stream)
        return nil
    }

    /// Keeps a head, and everything behind it, until a step was taken.
    private mutating func hold(
        _ purpose: SecurityPurpose,
        _ input: [UInt8],
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) {
        var hold = SecurityHold(purpose: purpose, input: input, until: stepUntil(stream))
        hold.head = head
        hold.bytes = bytes.indices.map { bytes[$0] }
        connections[slot].security?.hold = hold
        connections[slot].isPaused = true
        connections[slot].mayHaveMore = true
        if streams[stream].firstByteAt == nil { streams[stream].firstByteAt = now }
        streams[stream].lastActivityAt = now
        armDeadline(stream)
        effects.append(.pauseReading(id(ofConnection: slot)))
        effects.append(.stepSecurity(id(ofConnection: slot)))
    }

    private func stepUntil(_ stream: Int) -> Instant {
        min(streams[stream].totalUntil, dueIn(streams[stream].deadlines.idleMilliseconds))
    }

    /// The server's name, as its service is called: the origin's without its port; the peer's as its certificate has it,
    /// else its address.
    private func serviceHost(_ side: AuthenticationSide, _ slot: Int, _ stream: Int) -> [UInt8] {
        let key = targets[connections[slot].target].key
        switch side {
        case .origin:
            let host = streams[stream].authentication?.host ?? []
            return host.isEmpty ? key.endpoint.addressText : host
        case .peer:
            let outer = targets.routes.identity(key.route).outer
            if !outer.serverName.isEmpty { return outer.serverName }
            return outer.verifyName.isEmpty ? key.endpoint.addressText : outer.verifyName
        }
    }

    private func tokenWords(_ count: Int) -> String {
        "a token of \(count) bytes, over the limit of \(limits.securityTokenBytesMax)"
    }

    // Proof.

    /// The head of a reply by which a server ends an authentication. - Returns: whether it has to wait for the server's
    /// token to be checked.
    mutating func holdsForProof(
        _ side: AuthenticationSide?,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) -> Bool {
        guard let exchange = connections[slot].security, exchange.hasSent, !exchange.isOfTunnel,
            exchange.request.side != side
        else { return false }
        let token = proofToken(exchange, bytes)
        if token.isEmpty || exchange.isDone {
            noteUser(slot)
            return false
        }
        hold(.proof, token, bytes, slot, stream)
        return true
    }

    private func proofToken(_ exchange: SecurityExchange, _ bytes: Span<UInt8>) -> [UInt8] {
        let list = ChallengeList(side: exchange.request.side, fields: head.fields, in: bytes)
        return list.token(for: exchange.request.mechanism, in: bytes) ?? []
    }

    /// The head of a reply that makes a tunnel has come.
    func noteTunnelToken(_ slot: Int, _ bytes: Span<UInt8>) {
        guard let exchange = connections[slot].security, exchange.hasSent, !exchange.isDone else { return }
        exchange.tunnelToken = proofToken(exchange, bytes)
    }

    /// A tunnel stands. - Returns: whether it has to wait for the peer's token to be checked.
    mutating func holdsTunnel(_ slot: Int) -> Bool {
        guard let exchange = connections[slot].security else { return false }
        if exchange.tunnelToken.isEmpty {
            dropSecurity(ofConnection: slot)
            return false
        }
        let until = dueIn(limits.connectMilliseconds)
        exchange.hold = SecurityHold(purpose: .tunnelProof, input: exchange.tunnelToken, until: until)
        effects.append(.stepSecurity(id(ofConnection: slot)))
        return true
    }

    // Results.

    /// What came of a step. One that nobody waits for any more is of no consequence: `dropSecurity` has been ordered.
    package mutating func stepped(
        _ context: SecurityContextID,
        on connection: ConnectionID,
        _ result: SecurityContextResult,
        now: Instant
    ) {
        guard let slot = connections.find(connection.slot, connection.generation),
            let exchange = connections[slot].security, exchange.id == context, let hold = exchange.hold
        else { return }
        self.now = now
        exchange.hold = nil
        switch connections[slot].state {
        case .busy(let stream): goOn(exchange, hold, result, slot, stream)
        case .dialing: tunnelProved(exchange, result, slot)
        case .idle, .pinned, .closed: preconditionFailure("a step in \(connections[slot].state)")
        }
        settle()
    }

    /// Takes up a reply where it was held.
    private mutating func goOn(
        _ exchange: SecurityExchange,
        _ hold: SecurityHold,
        _ result: SecurityContextResult,
        _ slot: Int,
        _ stream: Int
    ) {
        connections[slot].isPaused = false
        streams[stream].lastActivityAt = now
        // Ordered first: what waits may complete the reply and send the connection back to the pool.
        effects.append(.resumeReading(id(ofConnection: slot)))
        head = hold.head
        let goesOn =
            switch hold.purpose {
            case .challenge: answered(exchange, result, hold.bytes.span, slot, stream)
            case .proof: proved(exchange, result, hold.bytes.span, slot, stream)
            case .tunnelProof: preconditionFailure("a tunnel with a reply")
            }
        guard goesOn else { return }
        armDeadline(stream)
        decodeInbound(slot)
        guard connections.isTaken(slot), connections[slot].state == .busy(stream: stream),
            !connections[slot].isPaused
        else { return }
        if connections[slot].hasEnded { endReply(slot) }
    }

    /// - Returns: whether the reply goes on.
    private mutating func answered(
        _ exchange: SecurityExchange,
        _ result: SecurityContextResult,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) -> Bool {
        let token: Secret
        switch result {
        case .proceed(let next):
            token = next
        case .done(let last):
            token = last
            exchange.isDone = true
        case .failed(let words): return fellThrough(exchange, words, bytes, slot, stream)
        }
        if token.count > limits.securityTokenBytesMax {
            return fellThrough(exchange, tokenWords(token.count), bytes, slot, stream)
        }
        if token.count == 0 {
            return fellThrough(exchange, "the mechanism has nothing more to say", bytes, slot, stream)
        }
        let secret = Self.secret(exchange.request.mechanism, token)
        change(exchange, stream) { own in
            own.value = secret
            own.isAnswer = true
        }
        streams[stream].isDropping = true
        streams[stream].authentication?.droppedBytes = 0
        streams[stream].authenticationWords = ""
        return true
    }

    /// The field value that carries a token.
    private static func secret(_ mechanism: SecurityMechanism, _ token: Secret) -> Secret {
        var value = ByteBuffer(capacity: token.count * 2 + 16)
        defer { value.wipe() }
        token.withBytes { SecurityStep.append(mechanism, token: $0, to: &value) }
        return Secret(copying: value.bytes)
    }

    /// A step has failed on our side: in the first one the next best scheme takes its place; later nothing does.
    private mutating func fellThrough(
        _ exchange: SecurityExchange,
        _ words: String,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) -> Bool {
        let isFirst = !exchange.hasSent
        let mechanism = exchange.request.mechanism
        dropSecurity(ofConnection: slot)
        streams[stream].authenticationWords = Self.clipped("\(mechanism.name): \(words)")
        if !isFirst { return passReply(bytes, slot, stream) }
        change(exchange, stream) { $0.attempt.exclude(mechanism) }
        if exchange.isOfTunnel { connections[slot].tunnelTry = streams[stream].authentication?.tunnel }
        return takeHead(bytes, slot, stream)
    }

    /// Changes what the stream has tried where the context belongs.
    private mutating func change(
        _ exchange: SecurityExchange,
        _ stream: Int,
        _ body: (inout AuthenticationTry) -> Void
    ) {
        guard var state = streams[stream].authentication else { return }
        switch (exchange.request.side, exchange.isOfTunnel) {
        case (.origin, _):
            if var own = state.origin.take() {
                body(&own)
                state.origin = own
            }
        case (.peer, true):
            if var own = state.tunnel.take() {
                body(&own)
                state.tunnel = own
            }
        case (.peer, false):
            if var own = state.peer.take() {
                body(&own)
                state.peer = own
            }
        }
        streams[stream].authentication = state
    }

    /// - Returns: whether the reply goes on.
    private mutating func proved(
        _ exchange: SecurityExchange,
        _ result: SecurityContextResult,
        _ bytes: Span<UInt8>,
        _ slot: Int,
        _ stream: Int
    ) -> Bool {
        if let words = disproof(exchange, result) {
            failReply(slot, stream, EndReport(.badReply, detail: words))
            return false
        }
        noteUser(slot)
        return takeHead(bytes, slot, stream)
    }

    /// Why the server is not the one that we authenticated to.
    private func disproof(_ exchange: SecurityExchange, _ result: SecurityContextResult) -> String? {
        let name = exchange.request.mechanism.name
        switch result {
        case .done(let token) where token.count == 0: return nil
        case .done, .proceed:
            return "\(name): the server ended the authentication before it had proved itself"
        case .failed(let words): return Self.clipped("\(name): the server did not prove itself: \(words)")
        }
    }

    /// What others say may be long; ConnectionFacts.authentication is 256 bytes at most.
    private static func clipped(_ words: String) -> String {
        words.utf8.count <= 250 ? words : String(decoding: words.utf8.prefix(250), as: UTF8.self)
    }

    private mutating func tunnelProved(
        _ exchange: SecurityExchange,
        _ result: SecurityContextResult,
        _ slot: Int
    ) {
        dropSecurity(ofConnection: slot)
        if let words = disproof(exchange, result) {
            let failure = AttemptFailure(result: .peerRefused, outcome: .badReply, detail: words)
            failSetup(slot, failure, isOpen: true)
        } else {
            continueSetup(slot)
        }
    }
}
