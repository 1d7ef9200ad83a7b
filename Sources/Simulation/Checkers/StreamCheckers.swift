// StreamCheckers.swift: rules about what a proxy sees of one stream. Source: DESIGN "END is exact".
import Engine
import Model

/// Exactly one END for each stream that was opened, and nothing of it afterwards.
struct ExactEnd: Checker {
    static let name = "ExactEnd"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .ended(let request, let report, _):
            let facts = record.requests[request]
            reporter.expect(
                facts.endCount == 1,
                "request \(request): END \(report.outcome) is its \(facts.endCount)th"
            )
        case .strayFrame(let proxy, let stream, let type, let last):
            let whose = last.map { "after the END of request \($0)" } ?? "never opened"
            reporter("proxy \(proxy): \(type) on stream \(stream), \(whose)")
        case .badFrame(let proxy, let reason): reporter("proxy \(proxy): \(reason)")
        case .quiescent:
            for (request, facts) in record.requests.enumerated() where facts.isOwed {
                reporter("request \(request) of proxy \(facts.proxy) never got an END")
            }
        default: break
        }
    }
}

/// Nothing is called complete that the engine has not read whole, and the rest only by the connection's end.
struct Wholeness: Checker {
    static let name = "Wholeness"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .ended(let request, let report, _) = event else { return }
        guard [.complete, .completeByEOF, .peerRefused].contains(report.outcome) else { return }
        let facts = record.requests[request]
        let what = "request \(request) is \(report.outcome)"
        var answer = facts.serve
        if answer == nil && facts.plan.isRaw && facts.received < RawTag.byteCount {
            // The upstream has ended before it had said whose its bytes are.
            answer = facts.writes.last.flatMap { record.links[$0.link].serves.last }
        }
        guard let serve = answer, record.serves.indices.contains(serve) else {
            return reporter("\(what) without a reply")
        }
        let truth = record.serves[serve]
        let link = record.links[truth.link]
        let isSecure = facts.plan.isHTTPSecure
        reporter.expect(
            (report.outcome == .peerRefused) == truth.plan.isRefusal,
            "\(what) and its reply \(truth.plan.isRefusal ? "a" : "no") refusal"
        )
        switch truth.plan.body {
        case .tunnel: return checkTunnel(what, facts, truth, link, reporter)
        case .untilEOF:
            let isRight =
                truth.plan.isRefusal || (report.outcome == .complete) == isPeersEndSecure(facts, truth)
            reporter.expect(isRight, "\(what) over \(isSecure ? "TLS" : "clear text")")
            reporter.expect(link.isFinishRead, "\(what) but no FIN was read on link \(truth.link)")
            reporter.expect(
                link.isEndProven || !isPeersEndSecure(facts, truth),
                "\(what) but no close_notify was read on link \(truth.link)"
            )
            reporter.expect(link.bytesRead == truth.endsAt, "\(what) after \(link.bytesRead) bytes, not all")
        case .none, .length, .chunked:
            reporter.expect(report.outcome != .completeByEOF, "\(what) but the body is \(truth.plan.body)")
            guard let wholeAt = truth.wholeAt else { return reporter("\(what) but reply \(serve) never is") }
            reporter.expect(
                link.bytesRead >= wholeAt,
                "\(what) with \(link.bytesRead) of \(wholeAt) bytes read"
            )
        }
        let total = truth.plan.bodyBytes
        reporter.expect(facts.received == total, "\(what) with \(facts.received) of \(total) body bytes")
        reporter.expect(facts.hasTrailersSeen == truth.plan.hasTrailers, "\(what) but trailers differ")
    }

    /// Whether the end of the hop that the reply came on can be proven: of a refusal that is the hop to the peer.
    private func isPeersEndSecure(_ facts: RequestFacts, _ truth: ServeFacts) -> Bool {
        truth.plan.isRefusal ? facts.plan.way.peerTLS != nil : facts.plan.isHTTPSecure
    }

    /// Both directions came to their ends, and nothing was lost on the way.
    private func checkTunnel(
        _ what: String,
        _ facts: RequestFacts,
        _ truth: ServeFacts,
        _ link: LinkFacts,
        _ reporter: Reporter
    ) {
        reporter.expect(link.isFinishRead, "\(what) but no FIN was read on link \(truth.link)")
        reporter.expect(
            link.isEndProven || !facts.plan.isHTTPSecure,
            "\(what) but no close_notify was read on link \(truth.link)"
        )
        let total = link.bytesRead - (truth.headEndsAt ?? 0)
        reporter.expect(facts.received == total, "\(what) with \(facts.received) of \(total) bytes")
        let sent = facts.writes.last?.bodyBytes ?? 0
        reporter.expect(
            sent == facts.plan.tunnelBytes,
            "\(what) with \(sent) of the proxy's \(facts.plan.tunnelBytes) bytes written"
        )
    }
}

/// Bytes delivered are a prefix of what the upstream sent in answer to that very request.
struct ReplyBytes: Checker {
    static let name = "ReplyBytes"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .body(let request, let offset, let count, let mismatch) = event else { return }
        let facts = record.requests[request]
        guard !facts.plan.isHostile else { return }
        if facts.plan.isRaw && offset + count < RawTag.byteCount { return }
        guard let serve = facts.serve, record.serves.indices.contains(serve) else {
            return reporter("request \(request): body before a head")
        }
        let truth = record.serves[serve]
        if let mismatch {
            reporter("request \(request): body byte \(mismatch) is not that of reply \(serve)")
        }
        let end = offset + count
        reporter.expect(
            end <= truth.plan.bodyBytes,
            "request \(request): \(end) body bytes, the upstream has sent \(truth.plan.bodyBytes)"
        )
    }
}

/// Nothing of one stream in another, neither towards the upstream nor back.
struct Isolation: Checker {
    static let name = "Isolation"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .interim(let request, let head):
            guard head.requestField != nil || head.status != 100 else { return }
            expectOwn(request, head, record, reporter)
        case .reply(let request, let head) where record.requests[request].plan.isRaw:
            // It is the engine's own.
            let isRight = head.status == 200 && head.body == .tunnel && head.requestField == nil
            reporter.expect(isRight, "request \(request) got the head \(head)")
        case .tagged(let request, let serve):
            let isOwn = record.serves.indices.contains(serve) && record.serves[serve].request == request
            reporter.expect(isOwn, "request \(request) got the bytes of reply \(serve)")
        case .reply(let request, let head):
            expectOwn(request, head, record, reporter)
            guard let serve = head.serveField, record.serves.indices.contains(serve) else { return }
            let plan = record.serves[serve].plan
            reporter.expect(
                head.status == plan.status,
                "request \(request): status \(head.status), not \(plan.status)"
            )
            if !plan.isBad {
                reporter.expect(
                    head.body == plan.body,
                    "request \(request): framing \(head.body), not \(plan.body)"
                )
            }
        case .trailers(let request, let serve, let count):
            let isOwn = serve == record.requests[request].serve && count == 1
            reporter.expect(isOwn, "request \(request): trailers of reply \(String(describing: serve))")
        case .foreignRequest(let request, let link, let reason):
            reporter("request \(request) on link \(link): \(reason)")
        case .malformedRequest(let link, let reason): reporter("link \(link): \(reason)")
        default: break
        }
    }

    private func expectOwn(_ request: Int, _ head: SeenHead, _ record: Record, _ reporter: Reporter) {
        let serve = head.serveField ?? -1
        let isRefusal = record.serves.indices.contains(serve) && record.serves[serve].plan.isRefusal
        let mayName = isRefusal && !record.requests[request].plan.isConnect ? -1 : request
        let isOwn =
            head.requestField == mayName && record.serves.indices.contains(serve)
            && record.serves[serve].request == request
        reporter.expect(isOwn, "request \(request) got the head \(head)")
    }
}

/// What END says agrees with what happened.
struct Reports: Checker {
    static let name = "Reports"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .ended(let request, let report, let attempts) = event else { return }
        let facts = record.requests[request]
        let written = facts.writes.reduce(0) { max($0, $1.bodyBytes) }
        reporter.expect(
            report.replyBodyBytes == UInt64(facts.received),
            "request \(request): END counts \(report.replyBodyBytes) reply bytes of \(facts.received)"
        )
        reporter.expect(
            report.requestBodyBytes <= UInt64(written) || facts.plan.isTwoWay,
            "request \(request): END counts \(report.requestBodyBytes) request bytes of \(written)"
        )
        reporter.expect(
            report.requestStarted == !facts.writes.isEmpty
                || (facts.plan.isRaw && facts.writes.isEmpty),
            "request \(request): requestStarted \(report.requestStarted), written \(facts.writes.count) times"
        )
        reporter.expect(
            !report.repeatable || facts.writes.isEmpty || facts.plan.mayRepeat,
            "request \(request): called repeatable"
        )
        for attempt in attempts {
            reporter.expect(
                facts.plan.endpoints.indices.contains(attempt.endpointIndex),
                "request \(request): attempt at endpoint \(attempt.endpointIndex)"
            )
        }
        checkTLSFailures(request, facts.plan, report, attempts, reporter)
        let total = facts.plan.deadlines.totalMilliseconds
        let most = UInt64(total * 1000 + record.jumpedSeconds * 1_000_000 + 10_000)
        reporter.expect(
            total == 0 || report.timings.totalMicroseconds <= most,
            "request \(request): took \(report.timings.totalMicroseconds) us, its deadline is \(total) ms"
        )
    }

    /// A stream of which nothing but handshakes failed ends so, unless something else ended it first.
    private func checkTLSFailures(
        _ request: Int,
        _ plan: RequestPlan,
        _ report: EndReport,
        _ attempts: [Attempt],
        _ reporter: Reporter
    ) {
        let isTLS = report.outcome == .tlsHandshake || report.outcome == .tlsVerify
        let failures = attempts.filter { $0.result == .tlsFailed }.count
        let what = "request \(request): \(report.outcome) after \(failures) failed handshakes"
        // What breaks behind the handshake had a connection.
        let isLate = report.outcome == .tlsHandshake && report.connection == .closed
        reporter.expect(!isTLS || failures > 0 || isLate, what)
        guard failures > 0, failures == attempts.count, !isTLS else { return }
        let fromOutside: [Outcome] = [
            .cancelled, .deadline, .draining, .overloaded, .queueTimeout, .connectTimeout,
        ]
        // On its way to another member it looks for its pin again.
        let isPins = plan.hasMembers && !plan.token.isEmpty && report.outcome == .pinLost
        reporter.expect(isPins || fromOutside.contains(report.outcome), what)
    }
}
