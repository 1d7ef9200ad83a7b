// SimTLS.swift: plays TLS at the seam between engine and worker: handshakes take time, and go wrong.
// Bytes of a link are those inside TLS; what TLS itself would say are pieces of their own (Link.swift). What the engine
// is told is what the real worker tells it. Source: Effect, startTLS; RFC 8446 §6.
import Engine
import Model

extension SimWorld {
    /// The engine has ordered TLS.
    func startTLS(_ link: Link, _ connection: ConnectionID, _ hop: TLSHop) {
        guard var (identity, _) = engine.tlsIdentity(of: connection, hop) else {
            return observe(.effectOutOfTurn(.startTLS(connection, hop), reason: "with nobody"))
        }
        if sabotages(.mixIdentity) { identity.serverName.append(0x78) }
        observe(.tlsStarted(link: link.id, hop, identity))
        link.handshake = hop
        link.handshakeResult = nil
        let time = now.adding(microseconds: random.small(upTo: scenario.handshakeMicrosecondsMax))
        guard random.chance(scenario.setupFaultPercent) else {
            return plan(.handshake(link: link.id, nil), at: time)
        }
        switch random.below(5) {
        case 0: plan(.handshake(link: link.id, .handshake), at: time)
        case 1: plan(.handshake(link: link.id, .verify), at: time)
        case 2: plan(.handshakeCut(link: link.id, isReset: false), at: time)
        case 3: plan(.handshakeCut(link: link.id, isReset: true), at: time)
        // It never ends.
        default: break
        }
    }

    func endHandshake(_ link: Link, _ failure: TLSFailure.Kind?) {
        guard link.handshake != nil, link.isOpenAtWorker else { return }
        link.handshakeResult = .some(failure)
        planTurn(of: link.worker, at: now.adding(microseconds: randomDelay() / 10))
    }

    func cutHandshake(_ link: Link, isReset: Bool) {
        guard link.handshake != nil, link.isOpenAtWorker else { return }
        if isReset {
            farReset(link.id, overtakes: false)
        } else {
            farFinish(link.id, isProven: false)
            link.isFarClosed = true
        }
    }

    /// Looks what a handshake has come to.
    func continueHandshake(_ link: Link, _ connection: ConnectionID) {
        guard let hop = link.handshake else { return }
        // Bytes that are no handshake, and an end before its own.
        let isBroken = !link.toEngine.arrived.isEmpty || link.toEngine.hasGarbageArrived
        var failure: TLSFailure.Kind?
        if isBroken {
            failure = .handshake
        } else if let result = link.handshakeResult {
            failure = result
        } else if link.toEngine.isReadable {
            failure = .handshake
        } else {
            return
        }
        link.handshake = nil
        guard let failure else {
            link.isSecure = true
            observe(.tlsSecured(link: link.id, hop))
            var facts = TLSFacts()
            facts.cipher = tlsMark(link.id, hop)
            return callEngine { $0.secured(connection, .success(facts), now: $1) }
        }
        observe(.tlsFailed(link: link.id, failure))
        closeAtWorker(link)
        callEngine { $0.secured(connection, .failure(TLSFailure(failure, "simulated")), now: $1) }
    }
}

/// By which a reply's connection facts are known again.
func tlsMark(_ link: Int, _ hop: TLSHop) -> String { "\(hop == .outer ? "outer" : "inner") of link \(link)" }
