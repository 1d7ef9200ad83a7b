// LocalAuthentication.swift: challenges that we hold credentials for: the request again, with an answer.
// Owns: when a challenge is answered and when it is passed on. Never touches: schemes; those are Authentication's.
// Source: issue "Local authentication"; RFC 9110 §11, §10.1.1; DESIGN "The way of a request", step 6.
import Authentication
import HTTP1
import Model

extension WorkerEngine {
    // Requests.

    /// Notes the credentials of a decoded request whose head was just encoded. - Returns: why it cannot be served.
    mutating func takeCredentials(_ stream: Int) -> String? {
        guard let asked = request.credentials else { return nil }
        let origin: Credential?
        let peer: Credential?
        do throws(RouteFault) {
            origin = if let own = asked.origin { own } else { try named(asked.originName) }
            peer = if let own = asked.peer { own } else { try named(asked.peerName) }
            try checkMechanisms(origin)
            try checkMechanisms(peer)
        } catch {
            return error.words
        }
        // Nothing is sent that could be asked for credentials.
        if streams[stream].isRaw { return nil }
        let headBytes = streams[stream].headBytes
        let line = streams.slots[stream].element.upload.bytes.requestLine
        let isConnect = streams[stream].isConnect
        var state = StreamAuthentication(
            method: copy(streams.slots[stream].element.upload.bytes.extracting(line.method)),
            target: copy(streams.slots[stream].element.upload.bytes.extracting(line.target)),
            plainHead: Secret(
                copying: streams.slots[stream].element.upload.bytes.extracting(first: headBytes - 2)
            ),
            expectsContinue: streams[stream].encoded.expectsContinue,
            asksForUpgrade: !request.upgrade.isEmpty || isConnect,
            scheme: request.scheme,
            host: Self.host(of: block.bytes.extracting(request.authority)),
            isNameless: request.authority.isEmpty
        )
        if let origin, !isConnect, !requestHas("authorization") { state.origin = AuthenticationTry(origin) }
        if let peer {
            switch request.route {
            case .direct: break
            case .peerTunnel where !isConnect:
                if !hasConnectLine("proxy-authorization") { state.tunnel = AuthenticationTry(peer) }
            case .peer, .peerTunnel:
                if !requestHas("proxy-authorization") && !hasConnectLine("proxy-authorization") {
                    state.peer = AuthenticationTry(peer)
                }
            }
        }
        let authority = copy(block.bytes.extracting(request.authority))
        // Origins without a name are told apart by where they are.
        if !authority.isEmpty { state.origin?.space = .origin(request.scheme, authority: authority.span) }
        streams[stream].authentication = state
        return nil
    }

    private func named(_ name: String) throws(RouteFault) -> Credential? {
        if name.isEmpty { return nil }
        guard let credential = namedSettings.credentials[name] else {
            throw RouteFault("no credentials are named \(name)")
        }
        return credential
    }

    /// What a credential names is to be had; what it only permits is passed over.
    private func checkMechanisms(_ credential: Credential?) throws(RouteFault) {
        guard let credential, !credential.isAutomatic else { return }
        let missing = credential.schemes.intersection(.connectionBound).subtracting(mechanisms)
        if missing.isEmpty { return }
        throw RouteFault(
            "credentials for \(missing.words.joined(separator: ", ")): not available in this sidecar"
        )
    }

    /// Without port and brackets.
    private static func host(of authority: Span<UInt8>) -> [UInt8] {
        let colon = RequestEncoder.portStart(authority).map { $0 - 1 } ?? authority.count
        let host = copy(authority.extracting(first: colon))
        return host.first == UInt8(ascii: "[") ? Array(host.dropFirst().dropLast()) : host
    }

    private func requestHas(_ name: String) -> Bool {
        request.fields.contains { block.bytes.extracting($0.name).isEqual(ignoringCase: name) }
    }

    func hasConnectLine(_ name: String) -> Bool {
        let lines = request.hop?.connectFields ?? []
        let named = namedRoute?.connectFields ?? []
        return (lines + named).contains { $0.name.span.isEqual(ignoringCase: name) }
    }

    // Sending.

    /// A stream is about to be written to a connection: its head gets what is known to be asked for there.
    mutating func authorize(_ slot: Int, _ stream: Int) {
        guard var state = streams[stream].authentication, streams[stream].gate != .shut else { return }
        streams[stream].authentication = nil
        var old = ByteBuffer()
        swap(&old, &streams[stream].upload)
        var new = ByteBuffer()
        let (origin, peer) = (state.origin?.answer, state.peer?.answer)
        compose(&state, old, slot, stream, into: &new)
        placeSecurity(
            slot,
            stream,
            origin: origin != nil && state.origin?.value === origin,
            peer: peer != nil && state.peer?.value === peer
        )
        swap(&new, &streams[stream].upload)
        streams[stream].authentication = state
        // The answers of the last time may be in it.
        if old.isSecret { old.wipe() }
    }

    private mutating func compose(
        _ state: inout StreamAuthentication,
        _ old: borrowing ByteBuffer,
        _ slot: Int,
        _ stream: Int,
        into lines: inout ByteBuffer
    ) {
        let (originAnswer, peerAnswer) = (state.origin?.answer, state.peer?.answer)
        let rest = old.bytes.extracting(droppingFirst: streams[stream].headBytes)
        let key = targets[connections[slot].target].key
        let origin = state.isNameless ? namelessSpace(key, state.scheme) : state.origin?.space
        prepare(&state.origin, state, rest, stream, origin)
        prepare(&state.peer, state, rest, stream, peerSpace(key))
        let isAskedAgain = isAskedAgain(
            slot,
            stream,
            origin: originAnswer != nil && state.origin?.value === originAnswer,
            peer: peerAnswer != nil && state.peer?.value === peerAnswer
        )
        let values = (state.origin?.value?.count ?? 0) + (state.peer?.value?.count ?? 0)
        lines.isSecret = values > 0 || streams[stream].encoded.hasCredentials
        lines.reserve(state.plainHead.count + values + Self.fieldBytesMax + rest.count)
        let isAlone = isAskedAgain && streams[stream].gate != .awaitsUpgrade && !fitsReplay(stream)
        state.plainHead.withBytes { head in
            if isAlone { BodylessHead.append(head, to: &lines) } else { lines.append(head) }
        }
        append("Authorization: ", state.origin?.value, to: &lines)
        append("Proxy-Authorization: ", state.peer?.value, to: &lines)
        // What may be asked for again has to be held whole, else it is not sent before we know.
        let isOpen = mayAsk(state.origin) || mayAsk(state.peer) || mayGoOn(slot, stream)
        let expects =
            isOpen && !isAlone && !state.expectsContinue && !state.isExpectRefused && !fitsReplay(stream)
        if expects { lines.append("Expect: 100-continue\r\n") }
        lines.append("\r\n")
        streams[stream].headBytes = lines.count
        lines.append(rest)
        streams[stream].encoded.expectsContinue = !isAlone && (expects || state.expectsContinue)
        if streams[stream].gate != .awaitsUpgrade {
            streams[stream].gate =
                isAlone ? .awaitsToken : streams[stream].encoded.expectsContinue ? .awaitsContinue : .open
        }
    }

    /// Names of the fields that are added, and Expect.
    private static let fieldBytesMax = 128

    /// Whether it is certain that the server answers what is sent now with another challenge, without a look at the body:
    /// NTLM's first message asks for one. Negotiate may be done with its first token: a server would take what has no body
    /// for the request. Source: MS-NTHT §3.2.5; curl's way with Content-Length: 0.
    private func isAskedAgain(_ slot: Int, _ stream: Int, origin: Bool, peer: Bool) -> Bool {
        guard let exchange = streams[stream].security ?? connections[slot].security,
            exchange.request.mechanism == .ntlm, !exchange.isDone, !exchange.isOfTunnel
        else { return false }
        return exchange.request.side == .origin ? origin : peer
    }

    /// Whether a context is not known to be done with what it sends now.
    private func mayGoOn(_ slot: Int, _ stream: Int) -> Bool {
        guard let exchange = streams[stream].security ?? connections[slot].security else { return false }
        return !exchange.isDone
    }

    /// Whether a side may still ask: it is told nothing, or something that it may not take any more.
    private func mayAsk(_ side: AuthenticationTry?) -> Bool {
        guard let side else { return false }
        return side.value == nil || side.attempt.mayBeStale
    }

    private func fitsReplay(_ stream: Int) -> Bool {
        switch streams[stream].body {
        case .none: true
        case .length(let bytes): bytes <= UInt64(max(0, limits.replayBytesMax - streams[stream].headBytes))
        case .chunked: streams[stream].isProxyDone
        }
    }

    /// Keeps the answer to a challenge of the same server; else takes what it has accepted before.
    private mutating func prepare(
        _ side: inout AuthenticationTry?,
        _ state: StreamAuthentication,
        _ body: Span<UInt8>,
        _ stream: Int,
        _ space: AuthenticationSpace?
    ) {
        guard var own = side, let space else { return }
        defer { side = own }
        if own.isAnswer && own.space == space {
            own.isAnswer = false
            return
        }
        own.isAnswer = false
        own.space = space
        let isHeld = streams[stream].isUploadComplete && streams[stream].body != .chunked
        let request = AuthenticatedRequest(
            method: state.method.span,
            target: state.target.span,
            body: isHeld ? body : nil
        )
        own.value = preemptive(space, own.credential, request, &own.attempt)
    }

    private mutating func preemptive(
        _ space: AuthenticationSpace,
        _ credential: Credential,
        _ request: borrowing AuthenticatedRequest,
        _ attempt: inout AuthenticationAttempt
    ) -> Secret? {
        var value = ByteBuffer()
        value.isSecret = true
        let has = authenticator.preemptive(space, credential, request, &attempt, appendingTo: &value)
        defer { value.wipe() }
        return has ? Secret(copying: value.bytes) : nil
    }

    private func append(_ name: String, _ value: Secret?, to output: inout ByteBuffer) {
        guard let value else { return }
        output.append(name)
        value.withBytes { output.append($0) }
        output.append("\r\n")
    }

    /// Puts the answer that a peer wants into the CONNECT of a tunnel: for the stream that it is made for first.
    mutating func authorizeTunnel(_ slot: Int, _ route: RouteIdentity, _ output: inout ByteBuffer) {
        guard let credential = route.credential else { return }
        let space = peerSpace(targets[connections[slot].target].key)
        var owner: Int?
        if case .dialing(let waiter) = connections[slot].state, let waiter { owner = waiters[waiter].stream }
        var own = owner.flatMap { streams[$0].authentication?.tunnel } ?? AuthenticationTry(credential)
        let isAnswer = own.isAnswer && own.space == space
        placeTunnelSecurity(slot, owner, isAnswer: isAnswer)
        if !isAnswer {
            let method = Array("CONNECT".utf8)
            let request = AuthenticatedRequest(
                method: method.span,
                target: route.authority.span,
                body: Span()
            )
            own.value = preemptive(space, credential, request, &own.attempt)
        }
        own.isAnswer = false
        own.space = space
        if let owner { streams[owner].authentication?.tunnel = own }
        connections[slot].tunnelTry = own
        guard own.value != nil else { return }
        output.removeLast(2)
        append("Proxy-Authorization: ", own.value, to: &output)
        output.append("\r\n")
    }

    /// A peer has made a tunnel.
    mutating func tunnelAccepted(_ slot: Int, _ route: RouteIdentity, _ bytes: Span<UInt8>) {
        guard let own = connections[slot].tunnelTry.take(), own.attempt.hasAnswered, let space = own.space
        else { return }
        let method = Array("CONNECT".utf8)
        let request = AuthenticatedRequest(method: method.span, target: route.authority.span, body: Span())
        note(own, space, request, bytes)
    }

    mutating func note(
        _ own: AuthenticationTry,
        _ space: AuthenticationSpace,
        _ request: borrowing AuthenticatedRequest,
        _ bytes: Span<UInt8>
    ) {
        let name = space.side == .origin ? "authentication-info" : "proxy-authentication-info"
        var information = Slice.empty
        for field in head.fields where bytes.extracting(field.name).isEqual(ignoringCase: name) {
            information = field.value
        }
        let value = bytes.extracting(information)
        _ = authenticator.succeeded(
            space,
            own.credential,
            request,
            own.attempt,
            information: information.isEmpty ? nil : value
        )
    }
}

private func copy(_ bytes: Span<UInt8>) -> [UInt8] { bytes.indices.map { bytes[$0] } }

extension Span<UInt8> {
    /// Method and target of a head that was encoded here.
    fileprivate var requestLine: (method: Range<Int>, target: Range<Int>) {
        var methodEnd = 0
        while self[methodEnd] != UInt8(ascii: " ") { methodEnd += 1 }
        var targetEnd = methodEnd + 1
        while self[targetEnd] != UInt8(ascii: " ") { targetEnd += 1 }
        return (0..<methodEnd, methodEnd + 1..<targetEnd)
    }
}
