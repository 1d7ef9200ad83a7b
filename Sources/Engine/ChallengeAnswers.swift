// ChallengeAnswers.swift: replies that ask for credentials: which are answered, dropped, and followed by the request again.
// Owns: what becomes of a challenge and its connection. Source: RFC 9110 §11, §15.5.2, §15.5.8; proto/outrigger.proto.
import Authentication
import HTTP1
import Model

extension WorkerEngine {
    // Replies.

    /// The head of a final reply to a stream with credentials. - Returns: whether it is a challenge that is answered: then
    /// the rest of it is dropped, and the request sent again; or whether that has to wait for a step of a context.
    mutating func answersChallenge(_ bytes: Span<UInt8>, _ slot: Int, _ stream: Int) -> HeadFate {
        guard var state = streams[stream].authentication else { return .passed }
        if asksWholeAgain(&state, slot, stream) {
            state.droppedBytes = 0
            streams[stream].authentication = state
            streams[stream].isDropping = true
            return .dropped
        }
        let isTunnel = streams[stream].gate == .shut
        let key = targets[connections[slot].target].key
        let side = AuthenticationSide(
            status: head.status,
            isConnect: isTunnel || streams[stream].isConnect,
            isFromPeer: targets.routes.kind(key.route) == .peer
        )
        if holdsForProof(side, bytes, slot, stream) { return .held }
        accept(state, side, bytes, stream)
        var own: AuthenticationTry?
        switch side {
        case nil: return .passed
        case .origin: own = state.origin
        // What this very connection was sent: others may have been asked since.
        case .peer where isTunnel:
            own = connections[slot].tunnelTry ?? state.tunnel
            own?.space = peerSpace(key)
        case .peer: own = state.peer
        }
        guard let side, var own else { return .passed }
        var answer = answer(&own, state, isTunnel: isTunnel, canStep: bears(side, slot, bytes), bytes, stream)
        switch (side, isTunnel) {
        case (.origin, _): state.origin = own
        case (.peer, true): state.tunnel = own
        case (.peer, false): state.peer = own
        }
        streams[stream].isDropping = answer == .resubmit
        state.droppedBytes = 0
        streams[stream].authentication = state
        if case .step(let step) = answer {
            guard let words = orderStep(step, own, side, bytes, slot, stream) else { return .held }
            answer = .none(words)
        }
        switch answer {
        case .resubmit, .step:
            streams[stream].authenticationWords = ""
            return .dropped
        case .none(let words):
            // What a context failed of says more than that nothing else is left.
            let isKept =
                words == NoAnswer.noPermittedScheme.words && !streams[stream].authenticationWords.isEmpty
            if !isKept { streams[stream].authenticationWords = words }
            return .passed
        }
    }

    /// Whether a reply is to what the request was not, and the request itself is sent now: a refusal of an Expect that we had
    /// added (RFC 9110 §10.1.1), or a reply to a head without its body, which was to bring a challenge.
    private mutating func asksWholeAgain(
        _ state: inout StreamAuthentication,
        _ slot: Int,
        _ stream: Int
    ) -> Bool {
        guard streams[stream].isReplayHeld else { return false }
        switch streams[stream].gate {
        case .awaitsContinue, .open:
            let isOurs = streams[stream].encoded.expectsContinue && !state.expectsContinue
            // What is one client's ends with its connection, on which the body is still awaited, perhaps.
            if !isOurs || head.status != 417 || isOnes(slot, stream) { return false }
            state.isExpectRefused = true
            return true
        case .awaitsToken:
            if !(200...299).contains(head.status) { return false }
            dropSecurity(ofConnection: slot)
            return true
        case .awaitsUpgrade, .shut: return false
        }
    }

    /// Whether what lies between may carry an authentication of connections: a peer that passes requests on says so, or its
    /// connection to the origin is anybody's. Source: RFC 4559 §6.
    private func bears(_ side: AuthenticationSide, _ slot: Int, _ bytes: Span<UInt8>) -> Bool {
        if side == .peer || targets.routes.kind(targets[connections[slot].target].key.route) != .peer {
            return true
        }
        return head.fields.contains {
            bytes.extracting($0.name).isEqual(ignoringCase: "proxy-support")
                && bytes.extracting($0.value).isEqual(ignoringCase: "session-based-authentication")
        }
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

    private mutating func answer(
        _ own: inout AuthenticationTry,
        _ state: StreamAuthentication,
        isTunnel: Bool,
        canStep: Bool,
        _ bytes: Span<UInt8>,
        _ stream: Int
    ) -> ChallengeAnswer {
        guard let space = own.space else { return .resubmit }
        let isLost = !isTunnel && !streams[stream].isReplayHeld
        let lostWords = "the request's body is not held any more"
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
            value.isSecret = true
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
            case .none(let reason): return .none(reason.words)
            case .securityContext where isLost: return .none(lostWords)
            case .securityContext(let step):
                if canStep && mechanisms.contains(step.mechanism.scheme) { return .step(step) }
                own.attempt.exclude(step.mechanism)
            case .resubmit where isLost:
                value.wipe()
                return .none(lostWords)
            case .resubmit:
                own.value = Secret(copying: value.bytes)
                own.isAnswer = true
                value.wipe()
                return .resubmit
            }
        }
    }

    /// Whether what comes is the rest of a challenge that is answered.
    func isDropping(_ stream: Int) -> Bool { streams[stream].isDropping }

    /// Drops so many bytes of its body. - Returns: whether there may be more.
    mutating func drop(_ count: Int, _ slot: Int, _ stream: Int) -> Bool {
        streams[stream].authentication?.droppedBytes += count
        let dropped = streams[stream].authentication?.droppedBytes ?? 0
        if dropped <= limits.challengeBodyBytesMax { return true }
        streams[stream].phase = .none
        let isOnes = isOnes(slot, stream)
        carrySecurity(slot, stream)
        close(slot)
        sendAgain(stream, wasOnes: isOnes)
        return false
    }

    /// The challenge is whole: the request again, on the same connection where that still stands.
    mutating func resubmit(_ slot: Int, _ stream: Int, keepsConnection: Bool) {
        streams[stream].phase = .none
        if !keepsConnection {
            let isOnes = isOnes(slot, stream)
            carrySecurity(slot, stream)
            close(slot)
            sendAgain(stream, wasOnes: isOnes)
            return
        }
        connections[slot].isPaused = false
        if streams[stream].gate == .shut {
            if connections[slot].security != nil {
                rewind(stream)
                return askAgain(slot, stream)
            }
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
        connections[slot].pin != nil || streams[stream].hasBindingCredentials || isUnderWay(slot)
    }

    /// The request again, on whatever connection there is.
    mutating func sendAgain(_ stream: Int, wasOnes: Bool) {
        streams[stream].phase = .none
        if wasOnes {
            let isPinned = !streams[stream].pinToken.isEmpty
            let whose = isPinned ? "the client's connection" : "the connection"
            let detail = "\(whose) ended with a challenge that was to be answered on it"
            end(stream, EndReport(isPinned ? .pinLost : .reset, detail: detail))
            return
        }
        rewind(stream)
        dispatch(stream)
    }

    /// Back to the request's first byte.
    private mutating func rewind(_ stream: Int) {
        precondition(streams[stream].isReplayHeld, "a request without its beginning")
        streams[stream].isDropping = false
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

    func namelessSpace(_ key: PoolKey, _ scheme: Scheme) -> AuthenticationSpace {
        let place = Array("\(key.endpoint)".utf8)
        return .origin(scheme, authority: place.span)
    }

    /// A peer by its address, and by how it is spoken to.
    func peerSpace(_ key: PoolKey) -> AuthenticationSpace {
        let route = targets.routes.identity(key.route)
        var identity = Array("\(key.endpoint)".utf8)
        if !route.outer.isClear {
            identity += [0] + route.outer.serverName + [0] + route.outer.verifyName + [0]
            identity += Array("\(targets.routes.settings(route.outer.settings))".utf8)
        }
        return .peer(identity)
    }
}
