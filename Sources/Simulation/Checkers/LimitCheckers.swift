// LimitCheckers.swift: rules about the limits that all workers of a process share. Source: DESIGN "Threads".
import Engine
import Model

/// Never is one socket more open than the limits allow, at an endpoint or in all, whatever worker it belongs to.
struct ConnectionLimits: Checker {
    static let name = "ConnectionLimits"

    private var openAt: [Endpoint: Int] = [:]
    private var endpointOf: [Int: Endpoint] = [:]

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .socketOpened(let link, let endpoint):
            endpointOf[link] = endpoint
            openAt[endpoint, default: 0] += 1
            let limits = record.scenario.limits
            let count = openAt[endpoint, default: 0]
            reporter.expect(
                limits.connectionsPerEndpointMax == 0 || count <= limits.connectionsPerEndpointMax,
                "link \(link): \(count) sockets to \(endpoint), \(limits.connectionsPerEndpointMax) may be"
            )
            reporter.expect(
                endpointOf.count <= limits.connectionsMax,
                "link \(link): \(endpointOf.count) sockets, \(limits.connectionsMax) may be"
            )
        case .socketClosed(let link):
            guard let endpoint = endpointOf.removeValue(forKey: link) else {
                return reporter("link \(link) is closed and was never opened")
            }
            openAt[endpoint, default: 0] -= 1
        default: break
        }
    }
}

/// Room goes to the worker that has waited longest for it.
struct Turns: Checker {
    static let name = "Turns"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .wishMet(let wish) = event else { return }
        reporter.expect(
            wish.since <= wish.oldest,
            "worker \(wish.worker) gets room at \(wish.endpoint), for which it waits since "
                + "\(formatted(wish.since)), another since \(formatted(wish.oldest))"
        )
    }
}
