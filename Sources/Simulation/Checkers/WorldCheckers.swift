// WorldCheckers.swift: rules about the whole: memory, time, what is left at the end.
// Source: DESIGN "Back-pressure, end to end", "Everything has a limit".
import Engine
import Model

/// Credit is kept in both directions, and buffers are bounded by it.
struct Bounds: Checker {
    static let name = "Bounds"
    /// Heads, trailers, credits, END and the like of one stream, bytes.
    private static let controlBytesMax = 24_576
    /// Frame header, tag and length around body data, bytes.
    private static let frameBytes = 18

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .body(let request, _, _, _):
            let facts = record.requests[request]
            reporter.expect(
                facts.received <= facts.creditGiven,
                "request \(request): \(facts.received) body bytes with credit for \(facts.creditGiven)"
            )
        case .creditTaken(let request, _): checkUpload(request, record, reporter)
        case .sessionOutput(let proxy, let bytes):
            guard !record.hostileProxies.contains(proxy) else { return }
            let most = sessionMost(proxy, record)
            reporter.expect(bytes <= most, "proxy \(proxy): \(bytes) bytes wait for it, at most \(most) may")
        case .connectionOutput(let link, let bytes):
            guard let request = record.links[link].currentRequest else { return }
            let facts = record.requests[request]
            guard !facts.plan.isHostile else { return }
            // Sent again, all of it that was kept waits at once, and for that credit was given anew.
            let kept = facts.writes.count > 1 ? record.scenario.limits.replayBytesMax : 0
            let most = record.scenario.limits.initialCreditBytes + kept + 12 * (facts.bodyFrames + 1) + 4096
            reporter.expect(bytes <= most, "link \(link): \(bytes) bytes wait for it, at most \(most) may")
        default: break
        }
    }

    /// The engine allows no more than it has passed on and its window; a reply that has begun ends that duty.
    private func checkUpload(_ request: Int, _ record: Record, _ reporter: Reporter) {
        let facts = record.requests[request]
        guard !facts.isReplySeen else { return }
        let written = facts.writes.reduce(0) { $0 + $1.bodyBytes }
        let most = written + record.scenario.limits.initialCreditBytes
        reporter.expect(
            facts.creditTaken <= most,
            "request \(request): credit for \(facts.creditTaken) bytes, \(written) are written"
        )
    }

    private func sessionMost(_ proxy: Int, _ record: Record) -> Int {
        var most = 65_536
        for facts in record.requests where facts.proxy == proxy && facts.isOpened && facts.endCount == 0 {
            let credit = facts.creditGiven - facts.received
            most += Self.controlBytesMax + min(credit, 4_000_000) + credit / 50
            if let write = facts.writes.last {
                let chunks =
                    record.links[write.link].serves.last.map { record.serves[$0].plan.chunkCount } ?? 0
                most += Self.frameBytes * (record.links[write.link].reads + chunks)
            }
        }
        return most
    }
}

/// At the end nothing is left: no session, stream, connection, waiter or socket.
struct Leaks: Checker {
    static let name = "Leaks"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        if case .budgetLeft(let rooms, let wishes, let endpoints, let queued) = event {
            reporter.expect(
                rooms == 0 && wishes == 0 && endpoints == 0 && queued == 0,
                "\(rooms) rooms, \(wishes) wishes, \(endpoints) endpoints, \(queued) in the queue are left"
            )
        }
        if case .pinsLeft(let pins, let entries, let letters) = event {
            reporter.expect(
                pins == 0 && entries == 0 && letters == 0,
                "\(pins) pins, \(entries) entries of the directory, \(letters) letters are left"
            )
        }
        if case .waitingLeft(let count) = event {
            reporter.expect(count == 0, "\(count) requests wait for a member")
        }
        guard case .quiescent(let counts, let openLinks) = event else { return }
        reporter.expect(counts.pins == 0, "\(counts.pins) pinned connections are left")
        reporter.expect(counts.sessions == 0, "\(counts.sessions) sessions are left")
        reporter.expect(counts.streams == 0, "\(counts.streams) streams are left")
        reporter.expect(counts.connections == 0, "\(counts.connections) connections are left")
        reporter.expect(counts.idleConnections == 0, "\(counts.idleConnections) idle connections are left")
        reporter.expect(counts.waiting == 0, "\(counts.waiting) waiters are left")
        reporter.expect(openLinks == 0, "\(openLinks) sockets are open")
    }
}

/// Every stream comes to its end: the world does not fall silent over an open one, nor spin.
struct Liveness: Checker {
    static let name = "Liveness"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .quiescent:
            for (request, facts) in record.requests.enumerated() where facts.isOwed {
                reporter("nothing more will happen, but request \(request) is open")
            }
            for proxy in reporter.world.proxies where proxy.state == .open {
                reporter(
                    "proxy \(proxy.index) waits for \(proxy.pingsOwed) pings, \(proxy.streams.count) streams"
                )
            }
        case .endless(let steps): reporter("still at it after \(steps) steps")
        case .deadlineInThePast(let nanoseconds):
            reporter("the next deadline is \(nanoseconds) ns ago, after advance")
        case .sessionOver(let proxy, byEngine: true):
            let mayEnd = record.scenario.roughness == .rough || record.hostileProxies.contains(proxy)
            reporter.expect(
                mayEnd,
                "the engine has closed the session of proxy \(proxy), which keeps the rules"
            )
        default: break
        }
    }
}

/// Each outcome has its cause.
struct Outcomes: Checker {
    static let name = "Outcomes"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .ended(let request, let report, _) = event else { return }
        let facts = record.requests[request]
        let what = "request \(request) ended \(report.outcome) (\(report.detail))"
        if record.scenario.roughness == .calm {
            let isComplete = report.outcome == .complete || report.outcome == .completeByEOF
            reporter.expect(isComplete, "\(what) in a calm world")
        }
        if facts.plan.flaw != nil {
            let early: [Outcome] = [.badRequest, .cancelled, .overloaded, .draining, .deadline]
            reporter.expect(early.contains(report.outcome), "\(what) although its fields are bad")
        }
        reporter.expect(hasCause(report.outcome, facts, record, reporter.world), "\(what) without a cause")
    }

    private func hasCause(
        _ outcome: Outcome,
        _ facts: RequestFacts,
        _ record: Record,
        _ world: SimWorld
    ) -> Bool {
        let limits = record.scenario.limits
        let hasToken = !facts.plan.token.isEmpty
        let manners = facts.plan.endpoints.map { record.scenario.endpoints[$0].manner }
        let ailments = record.groups?.illnesses.filter { facts.plan.endpoints.contains($0.endpoint) } ?? []
        let group = facts.plan.group.flatMap { record.groups?.groups.groups[$0] }
        switch outcome {
        case .complete, .completeByEOF: return true
        case .truncated:
            let used = links(of: facts, record)
            let isRaw = used.isEmpty && facts.plan.isRaw
            return (isRaw ? setupLinks(of: facts, record) : used).contains { record.links[$0].isOverReported }
        case .reset:
            return (links(of: facts, record) + setupLinks(of: facts, record)).contains {
                record.links[$0].isOverReported || record.links[$0].hasStrayed || isBad($0, record)
            }
        case .badReply:
            return (links(of: facts, record) + setupLinks(of: facts, record)).contains { isBad($0, record) }
        case .tlsHandshake:
            // TLS may also break behind its handshake, which is told by the connection's end.
            return setupLinks(of: facts, record).contains { record.links[$0].tlsFailure == .handshake }
                || (links(of: facts, record) + setupLinks(of: facts, record)).contains { link in
                    record.links[link].isOverReported && !record.links[link].securedHops.isEmpty
                }
        case .tlsVerify:
            return setupLinks(of: facts, record).contains { record.links[$0].tlsFailure == .verify }
        case .peerRefused: return reply(of: facts, record)?.plan.isRefusal ?? false
        case .badRequest: return facts.plan.flaw != nil
        case .cancelled: return facts.isCancelled
        case .overloaded:
            let isPinLimited =
                limits.pinsMax < 100 || limits.pinsPerProxyMax < 100 || limits.pinTargetsPerTokenMax < 100
            return limits.queueLengthMax < 100 || limits.streamsPerSessionMax < 100
                || group.map { $0.queueLengthMax < 100 } ?? false
                || (hasToken && isPinLimited)
        case .queueTimeout:
            return limits.connectionsPerEndpointMax > 0 || limits.connectionsMax < 100 || hasToken
                || group?.hasWaits ?? false || isMemberFull(facts, record)
                || (facts.plan.balancing != nil && record.scenario.roughness != .calm)
        case .connectRefused:
            return manners.contains(.refuses) || manners.contains(.unsteady)
                || ailments.contains { $0.ailment == .refuses }
        case .connectUnreachable:
            return manners.contains(.unreachable) || manners.contains(.unsteady)
                || ailments.contains { $0.ailment == .unreachable }
                || (facts.plan.hasMembers && record.scenario.roughness != .calm)
        case .connectTimeout: return record.scenario.roughness != .calm
        case .replyTimeout, .idleTimeout: return record.scenario.roughness != .calm
        case .deadline: return facts.plan.deadlines.totalMilliseconds > 0 || limits.totalMilliseconds > 0
        case .draining: return record.isDraining
        case .pinLost:
            let holder =
                facts.plan.token.isEmpty
                ? nil : world.scenario.holder(proxy: facts.proxy, token: facts.plan.token)
            return hasToken
                && (facts.plan.pinMode == .require || record.unpins.contains { $0.holder == holder })
        case .pinMismatch: return hasToken && facts.plan.pinMode == .require
        case .pinBusy: return hasToken && limits.pinQueueLengthMax < 64
        case .internal:
            return false
        }
    }

    /// Whether a group limits connections to one of its endpoints: that holds for all.
    private func isMemberFull(_ facts: RequestFacts, _ record: Record) -> Bool {
        guard let limits = record.groups?.groups.named.connectionLimits else { return false }
        return facts.plan.endpoints.contains { limits[record.scenario.endpoints[$0].endpoint] != nil }
    }

    private func reply(of facts: RequestFacts, _ record: Record) -> ServeFacts? {
        facts.serve.flatMap { record.serves.indices.contains($0) ? record.serves[$0] : nil }
    }

    /// Connections that it was written to, or that its reply came on.
    private func links(of facts: RequestFacts, _ record: Record) -> [Int] {
        facts.writes.map(\.link) + (reply(of: facts, record).map { [$0.link] } ?? [])
    }

    /// Connections that it may have lost on its way: to its endpoints, with nothing sent since the last step.
    private func setupLinks(of facts: RequestFacts, _ record: Record) -> [Int] {
        record.links.indices.filter { link in
            let seen = record.links[link]
            guard let index = seen.endpoint, facts.plan.endpoints.contains(index) else { return false }
            let asked = facts.plan.way.seen(
                at: record.scenario.endpoints[index].endpoint,
                isConnect: facts.plan.isConnect
            )
            let isOnItsWay =
                (seen.way.outer == nil || seen.way.outer == asked.outer)
                && (seen.way.inner == nil || seen.way.inner == asked.inner)
                && seen.way.localAddress == asked.localAddress
            return isOnItsWay && seen.requestsSinceReady <= seen.connectsBegan
        }
    }

    /// Whether anything that was sent on a link may be called a bad reply.
    private func isBad(_ link: Int, _ record: Record) -> Bool {
        // Behind a CONNECT that was granted, nobody can tell whose such bytes are.
        if record.links[link].hasStrayed && record.links[link].connectsBegan > 0 { return true }
        return record.links[link].serves.contains { serve in
            let plan = record.serves[serve].plan
            return plan.isBad || plan.tailBytes > 0
        }
    }
}
