// WayCheckers.swift: rules about what lies between a transport and the first request on it.
// Source: DESIGN "Identity is part of the key", "Words", route; RFC 9110 §9.3.6.
import Engine
import Model

/// No byte of a request, nor of a tunnel, leaves before all of its way stands; nor after a refusal.
struct Ways: Checker {
    static let name = "Ways"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .requestBegan(let link, let request):
            guard let request else { return }
            checkBeginning(request, link, record, reporter)
        case .requestBody(let link, let request, _): checkTunnelBytes(request, link, record, reporter)
        case .connectBegan(let link):
            let facts = record.links[link]
            reporter.expect(facts.connectsBegan == 1 || !facts.isTunnel, "link \(link): CONNECT in a tunnel")
            reporter.expect(
                (facts.way.outer != nil) == facts.securedHops.contains(.outer),
                "link \(link): CONNECT before TLS"
            )
        case .ended(let request, let report, _):
            let facts = record.requests[request]
            guard report.outcome == .peerRefused, !facts.plan.isConnect else { return }
            // It may have gone out on a tunnel that turned out to be dead, and been refused the next.
            // A group's may have been given up at another member as well.
            let isWritten = facts.writes.contains {
                !record.links[$0.link].isOverReported
                    && !(facts.plan.hasMembers && reporter.world.links[$0.link].isCloseOrdered)
            }
            reporter.expect(!isWritten, "request \(request) was refused its tunnel, and written")
        default: break
        }
    }

    private func checkBeginning(_ request: Int, _ link: Int, _ record: Record, _ reporter: Reporter) {
        let plan = record.requests[request].plan
        if plan.isHostile { return }
        let facts = record.links[link]
        let what = "request \(request) on link \(link)"
        let needsTunnel = plan.way.route == .peerTunnel && !plan.isConnect
        reporter.expect(facts.isTunnel == needsTunnel, "\(what): \(needsTunnel ? "no" : "in a") tunnel")
        var hops: [TLSHop] = []
        if plan.way.route == .direct ? plan.way.isSecure : plan.way.peerTLS != nil { hops.append(.outer) }
        if needsTunnel && plan.way.isSecure { hops.append(.inner) }
        reporter.expect(facts.securedHops == hops, "\(what): TLS on \(facts.securedHops), not \(hops)")
        reporter.expect(
            facts.isHeaderSent == (plan.way.proxyProtocol != .none),
            "\(what): \(facts.isHeaderSent ? "a" : "no") PROXY header"
        )
    }

    /// Behind 101 and behind a peer's 2xx only.
    private func checkTunnelBytes(_ request: Int, _ link: Int, _ record: Record, _ reporter: Reporter) {
        let plan = record.requests[request].plan
        guard plan.isTwoWay, !plan.isRaw, !plan.isHostile else { return }
        let what = "request \(request) on link \(link): bytes of its tunnel"
        guard let serve = record.links[link].serves.last, record.serves[serve].request == request else {
            return reporter("\(what) before an answer")
        }
        let truth = record.serves[serve]
        reporter.expect(truth.plan.isTwoWay, "\(what) although the answer was \(truth.plan.status)")
        let isRead = truth.headEndsAt.map { record.links[link].bytesRead >= $0 } ?? false
        reporter.expect(isRead, "\(what) before the answer was read")
    }
}

/// Requests share a connection only when they are equal in everything that makes its identity: what its far ends have
/// seen of the way is what each of them asked for.
struct Identities: Checker {
    static let name = "Identities"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .requestRead(let request, let link, _):
            let plan = record.requests[request].plan
            guard !plan.isHostile, let endpoint = record.links[link].endpoint else { return }
            let what = "request \(request) on link \(link)"
            reporter.expect(plan.endpoints.contains(endpoint), "\(what): at endpoint \(endpoint)")
            let address = record.scenario.endpoints[endpoint].endpoint
            let asked = plan.way.seen(at: address, isConnect: plan.isConnect)
            if let words = record.links[link].way.difference(from: asked) { reporter("\(what): \(words)") }
        case .reply(let request, let head):
            let plan = record.requests[request].plan
            guard !plan.isHostile, let serve = head.serveField, record.serves.indices.contains(serve) else {
                return
            }
            if record.serves[serve].plan.isRefusal && !plan.isConnect {
                checkRefusal(request, record.serves[serve], record, reporter)
            } else {
                checkMarks(request, head, record.serves[serve], record, reporter)
            }
        default: break
        }
    }

    /// The answer to a CONNECT goes to one who asked for that tunnel.
    private func checkRefusal(_ request: Int, _ truth: ServeFacts, _ record: Record, _ reporter: Reporter) {
        let link = truth.link
        let plan = record.requests[request].plan
        guard let endpoint = record.links[link].endpoint else { return }
        var asked = plan.way.seen(at: record.scenario.endpoints[endpoint].endpoint, isConnect: false)
        var seen = truth.way
        (asked.kind, seen.kind) = (.peer, .peer)
        (asked.inner, seen.inner) = (nil, nil)
        if let words = seen.difference(from: asked) {
            reporter("request \(request) was given the refusal on link \(link): \(words)")
        }
    }

    /// What the reply says of TLS is what stands on its link.
    private func checkMarks(
        _ request: Int,
        _ head: SeenHead,
        _ truth: ServeFacts,
        _ record: Record,
        _ reporter: Reporter
    ) {
        let plan = record.requests[request].plan
        let (link, hops) = (truth.link, truth.hops)
        let outer = hops.contains(.outer) ? tlsMark(link, .outer) : nil
        let inner = hops.contains(.inner) ? tlsMark(link, .inner) : nil
        let isDirect = plan.way.route == .direct
        reporter.expect(
            head.originTLS == (isDirect ? outer : inner) && head.peerTLS == (isDirect ? nil : outer),
            "request \(request): TLS \(String(describing: head.originTLS)) and "
                + "\(String(describing: head.peerTLS)) on link \(link)"
        )
    }
}
