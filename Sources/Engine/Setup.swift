// Setup.swift: what lies between a transport and the first request on it: PROXY header, TLS, tunnel, TLS inside.
// Owns: the order of the steps, and what a step that fails means. Never touches: TLS itself; what is said to a peer
// (TunnelRequests.swift).
// Source: DESIGN "Words", route; RFC 9110 §9.3.6; HAProxy's proxy-protocol.txt.
import HTTP1
import Model

/// Why a try to get a connection failed.
struct AttemptFailure {
    var result: AttemptResult
    var outcome: Outcome
    /// For people; never a secret.
    var detail: String
    /// Of TLS that failed: who can be at fault.
    var tlsBlame: TLSFailure.Blame?
}

extension AttemptFailure {
    init(_ failure: TLSFailure) {
        self.init(
            result: .tlsFailed,
            outcome: failure.outcome,
            detail: failure.detail,
            tlsBlame: failure.blame
        )
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

    mutating func orderSetupWrite(_ slot: Int, probeFirst: Bool) {
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
            appendParts(of: route.credential, to: &scope)
        }
        let identity = TLSIdentity(
            settings: targets.routes.settings(names.settings),
            serverName: names.serverName,
            verifyName: names.verifyName.isEmpty ? key.endpoint.addressText : names.verifyName
        )
        return (identity, scope)
    }

    /// Everything in which two users of a peer differ, their secrets too.
    private func appendParts(of credential: Credential?, to scope: inout [UInt8]) {
        guard let credential else { return scope.appendPart([]) }
        scope.appendPart(Array(credential.name.utf8))
        scope.appendPart([credential.schemes.rawValue])
        scope.appendPart(credential.user)
        scope.appendPart(credential.ntlmDomain)
        scope.appendPart(credential.realm.map { [1] + $0 } ?? [])
        for secret in [credential.password, credential.bearerToken] {
            scope.appendPart(secret.map { authenticator.fingerprint(of: $0) } ?? [])
        }
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
        memberDialFailed(slot, failure)
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
