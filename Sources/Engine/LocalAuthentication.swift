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
        } catch {
            return error.words
        }
        // Nothing is sent that could be asked for credentials.
        if streams[stream].isRaw { return nil }
        let plainHead = copy(streams.slots[stream].element.upload.bytes)
        let line = plainHead.span.requestLine
        let isConnect = streams[stream].isConnect
        var state = StreamAuthentication(
            method: Array(plainHead[line.method]),
            target: Array(plainHead[line.target]),
            plainHead: Array(plainHead.dropLast(2)),
            expectsContinue: streams[stream].encoded.expectsContinue,
            asksForUpgrade: !request.upgrade.isEmpty || isConnect,
            scheme: request.scheme,
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
        compose(&state, old, slot, stream, into: &new)
        swap(&new, &streams[stream].upload)
        streams[stream].authentication = state
        // The answers of the last time are in it.
        old.wipe()
    }

    private mutating func compose(
        _ state: inout StreamAuthentication,
        _ old: borrowing ByteBuffer,
        _ slot: Int,
        _ stream: Int,
        into lines: inout ByteBuffer
    ) {
        let rest = old.bytes.extracting(droppingFirst: streams[stream].headBytes)
        let key = targets[connections[slot].target].key
        let origin = state.isNameless ? namelessSpace(key, state.scheme) : state.origin?.space
        prepare(&state.origin, state, rest, stream, origin)
        prepare(&state.peer, state, rest, stream, peerSpace(key))
        lines.append(state.plainHead.span)
        append("Authorization: ", state.origin?.value, to: &lines)
        append("Proxy-Authorization: ", state.peer?.value, to: &lines)
        // What may be asked for again has to be held whole, else it is not sent before we know.
        let isOpen = isUnanswered(state.origin) || isUnanswered(state.peer)
        let expects = isOpen && !state.expectsContinue && !fitsReplay(stream)
        if expects { lines.append("Expect: 100-continue\r\n") }
        lines.append("\r\n")
        streams[stream].headBytes = lines.count
        lines.append(rest)
        streams[stream].encoded.expectsContinue = expects || state.expectsContinue
        if streams[stream].gate != .awaitsUpgrade {
            streams[stream].gate = streams[stream].encoded.expectsContinue ? .awaitsContinue : .open
        }
    }

    /// Whether a side may still ask.
    private func isUnanswered(_ side: AuthenticationTry?) -> Bool { side != nil && side?.value == nil }

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
        if !own.isAnswer || own.space != space {
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

    private mutating func note(
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

    // Replies.

    /// The head of a final reply to a stream with credentials. - Returns: whether it is a challenge that is answered: then
    /// the rest of it is dropped, and the request sent again.
    mutating func answersChallenge(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int) -> Bool {
        guard var state = streams[stream].authentication else { return false }
        let isTunnel = streams[stream].gate == .shut
        let key = targets[connections[slot].target].key
        let side = AuthenticationSide(
            status: head.status,
            isConnect: isTunnel || streams[stream].isConnect,
            isFromPeer: targets.routes.kind(key.route) == .peer
        )
        accept(state, side, bytes, stream)
        var own: AuthenticationTry?
        switch side {
        case nil: return false
        case .origin: own = state.origin
        // What this very connection was sent: others may have been asked since.
        case .peer where isTunnel:
            own = connections[slot].tunnelTry ?? state.tunnel
            own?.space = peerSpace(key)
        case .peer: own = state.peer
        }
        guard var own else { return false }
        let answer = answer(&own, state, isTunnel: isTunnel, bytes, stream)
        switch (side, isTunnel) {
        case (.origin, _): state.origin = own
        case (_, true): state.tunnel = own
        case (_, false): state.peer = own
        }
        state.isDropping = answer == nil
        state.droppedBytes = 0
        streams[stream].authentication = state
        streams[stream].authenticationWords = answer ?? ""
        return state.isDropping
    }

    /// Remembers what worked.
    private mutating func accept(
        _ state: StreamAuthentication,
        _ side: AuthenticationSide?,
        _ bytes: Span<UInt8>,
        _ stream: Int
    ) {
        if streams[stream].gate == .shut { return }
        let request = AuthenticatedRequest(method: state.method.span, target: state.target.span, body: nil)
        if let own = state.origin, own.attempt.hasAnswered, let space = own.space, side == nil {
            note(own, space, request, bytes)
        }
        if let own = state.peer, own.attempt.hasAnswered, let space = own.space, side != .peer {
            note(own, space, request, bytes)
        }
    }

    /// - Returns: why the challenge is passed on; `nil`: it is answered.
    private mutating func answer(
        _ own: inout AuthenticationTry,
        _ state: StreamAuthentication,
        isTunnel: Bool,
        _ bytes: Span<UInt8>,
        _ stream: Int
    ) -> String? {
        guard let space = own.space else { return nil }
        if !isTunnel && !streams[stream].isReplayHeld { return "the request's body is not held any more" }
        let list = ChallengeList(side: space.side, fields: head.fields, in: bytes)
        var upload = ByteBuffer()
        swap(&upload, &streams[stream].upload)
        defer { swap(&upload, &streams[stream].upload) }
        let isHeld = streams[stream].isUploadComplete && streams[stream].body != .chunked
        let connect = Array("CONNECT".utf8)
        let authority = isTunnel ? targets.routes.identity(streams[stream].route).authority : []
        let body = upload.bytes.extracting(droppingFirst: min(streams[stream].headBytes, upload.count))
        let request =
            isTunnel
            ? AuthenticatedRequest(method: connect.span, target: authority.span, body: Span())
            : AuthenticatedRequest(
                method: state.method.span,
                target: state.target.span,
                body: isHeld ? body : nil
            )
        while true {
            var value = ByteBuffer()
            let answer = authenticator.answer(
                list,
                in: bytes,
                space,
                own.credential,
                request,
                &own.attempt,
                appendingTo: &value
            )
            switch answer {
            case .none(let reason): return reason.words
            case .securityContext(let step): own.attempt.exclude(step.mechanism)
            case .resubmit:
                own.value = Secret(copying: value.bytes)
                own.isAnswer = true
                value.wipe()
                return nil
            }
        }
    }

    /// Whether what comes is the rest of a challenge that is answered.
    func isDropping(_ stream: Int) -> Bool { streams[stream].authentication?.isDropping ?? false }

    /// Drops so many bytes of its body. - Returns: whether there may be more.
    mutating func drop(_ count: Int, _ slot: Int, _ stream: Int) -> Bool {
        streams[stream].authentication?.droppedBytes += count
        let dropped = streams[stream].authentication?.droppedBytes ?? 0
        if dropped <= limits.challengeBodyBytesMax { return true }
        streams[stream].phase = .none
        let isOnes = isOnes(slot, stream)
        close(slot)
        sendAgain(stream, wasOnes: isOnes)
        return false
    }

    /// The challenge is whole: the request again, on the same connection where that still stands.
    mutating func resubmit(_ slot: Int, _ stream: Int, keepsConnection: Bool) {
        streams[stream].phase = .none
        if !keepsConnection {
            let isOnes = isOnes(slot, stream)
            close(slot)
            sendAgain(stream, wasOnes: isOnes)
            return
        }
        connections[slot].isPaused = false
        if streams[stream].gate == .shut {
            // The peer's connection is free, and the tunnel is asked for on it again.
            _ = giveUp(slot)
            sendAgain(stream, wasOnes: false)
            return
        }
        let index = streams[stream].endpointIndex
        rewind(stream)
        assign(slot, to: stream, index, .reused)
    }

    /// Whether a connection is one client's, or is made so by this request: what was written on it goes nowhere else.
    func isOnes(_ slot: Int, _ stream: Int) -> Bool {
        connections[slot].pin != nil || streams[stream].hasBindingCredentials
    }

    /// The request again, on whatever connection there is.
    mutating func sendAgain(_ stream: Int, wasOnes: Bool) {
        streams[stream].phase = .none
        if wasOnes {
            let detail = "the client's connection ended with a challenge that was to be answered on it"
            end(stream, EndReport(.pinLost, detail: detail))
            return
        }
        rewind(stream)
        dispatch(stream)
    }

    /// Back to the request's first byte.
    private mutating func rewind(_ stream: Int) {
        precondition(streams[stream].isReplayHeld, "a request without its beginning")
        streams[stream].authentication?.isDropping = false
        if streams[stream].gate == .shut {
            let asksForUpgrade = streams[stream].authentication?.asksForUpgrade ?? false
            let expects = streams[stream].encoded.expectsContinue
            streams[stream].gate = asksForUpgrade ? .awaitsUpgrade : expects ? .awaitsContinue : .open
        }
        streams[stream].uploadWritten = 0
        streams[stream].isCommitted = false
        streams[stream].sentAt = nil
        streams[stream].firstByteAt = nil
        streams[stream].continueUntil = .never
        streams[stream].refusalStatus = 0
    }

    private func namelessSpace(_ key: PoolKey, _ scheme: Scheme) -> AuthenticationSpace {
        let place = Array("\(key.endpoint)".utf8)
        return .origin(scheme, authority: place.span)
    }

    /// A peer by its address, and by how it is spoken to.
    private func peerSpace(_ key: PoolKey) -> AuthenticationSpace {
        let route = targets.routes.identity(key.route)
        var identity = Array("\(key.endpoint)".utf8)
        if !route.outer.isClear {
            identity += [0] + route.outer.serverName + [0] + route.outer.verifyName + [0]
            identity += Array("\(targets.routes.settings(route.outer.settings))".utf8)
        }
        return .peer(identity)
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
