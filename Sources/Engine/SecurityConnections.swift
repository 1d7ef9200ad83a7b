// SecurityConnections.swift: contexts and their connections: on which one a token goes out, and whose it is then.
// Owns: that what was authenticated by tokens serves one user. Source: RFC 4559 §6; DESIGN "Pins are exclusive".
import Authentication
import HTTP1
import Model

extension WorkerEngine {
    /// A connection goes before its context has sent anything: the next one may have it.
    mutating func carrySecurity(_ slot: Int, _ stream: Int) {
        guard let exchange = connections[slot].security, !exchange.hasSent, exchange.hold == nil else {
            return
        }
        connections[slot].security = nil
        streams[stream].security = exchange
    }

    /// A request has been composed for a connection. - Parameters: `origin`, `peer`: whether it carries the answer to a
    /// challenge.
    mutating func placeSecurity(_ slot: Int, _ stream: Int, origin: Bool, peer: Bool) {
        if let carried = streams[stream].security {
            streams[stream].security = nil
            dropSecurity(ofConnection: slot)
            connections[slot].security = carried
        }
        guard let exchange = connections[slot].security else { return }
        let isCarried =
            switch exchange.request.side {
            case .origin: origin
            case .peer: peer && !exchange.isOfTunnel
            }
        if !isCarried { return dropSecurity(ofConnection: slot) }
        exchange.hasSent = true
        connections[slot].carriesTokens = true
        streams[stream].hasBindingCredentials = true
    }

    /// The same of a CONNECT, which stands for the stream `owner` where it has one.
    mutating func placeTunnelSecurity(_ slot: Int, _ owner: Int?, isAnswer: Bool) {
        if let owner, let carried = streams[owner].security {
            streams[owner].security = nil
            dropSecurity(ofConnection: slot)
            connections[slot].security = carried
        }
        guard let exchange = connections[slot].security else { return }
        if !isAnswer || !exchange.isOfTunnel { return dropSecurity(ofConnection: slot) }
        exchange.hasSent = true
        connections[slot].carriesTokens = true
    }

    /// Whether a context on the connection would be lost with it.
    func isUnderWay(_ slot: Int) -> Bool {
        guard let exchange = connections[slot].security else { return false }
        return exchange.hasSent
    }

    /// Asks for a tunnel once more on the connection on which the peer has refused it.
    mutating func askAgain(_ slot: Int, _ stream: Int) {
        let index = streams[stream].endpointIndex
        streams[stream].phase = .waiting
        streams[stream].endpointNext = max(streams[stream].endpointNext, index + 1)
        streams[stream].isConnecting = false
        streams[stream].raceAt = .never
        let target = targets.make(poolKey(stream, index))
        let waiter = waiters.take { Waiter() }
        waiters[waiter] = Waiter(stream: stream, target: target, endpointIndex: index, startedAt: now)
        streams[stream].waiters.append(Int32(waiter))
        waiterLinks.append(waiter, to: &targets[target].waiters)
        beginTunnel(on: slot, for: waiter, isOnIdle: false)
    }

    // Pins.

    /// The context has done its work: the connection is its user's.
    mutating func noteUser(_ slot: Int) {
        guard let exchange = connections[slot].security else { return }
        connections[slot].users.removeAll { $0.side == exchange.request.side }
        connections[slot].users.append(exchange.request)
        dropSecurity(ofConnection: slot)
    }

    /// Whether a pinned connection was authenticated as somebody else than a stream would answer as.
    func isOfOther(_ slot: Int, _ stream: Int) -> Bool {
        if connections[slot].users.isEmpty { return false }
        guard let state = streams[stream].authentication else { return false }
        for user in connections[slot].users {
            let own =
                switch user.side {
                case .origin: state.origin
                case .peer: state.peer
                }
            if let own, own.credential.schemes.contains(user.mechanism.scheme),
                own.credential != user.credential
            {
                return true
            }
        }
        return false
    }
}
