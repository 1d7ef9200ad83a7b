// ConnectionCheckers.swift: rules about what goes over a connection. Source: DESIGN "Retries are safe", "No
// desynchronisation"; RFC 9110 §9.2.2; RFC 9112 §9.
import Engine
import Model

/// No request goes out twice unless RFC 9110 §9.2.2 and the proxy's rule permit it.
struct Replay: Checker {
    static let name = "Replay"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .requestBegan(let link, let request) = event else { return }
        guard let request else { return reporter("link \(link): bytes that name no request") }
        let facts = record.requests[request]
        let what = "request \(request) (\(facts.plan.method)) written again on link \(link)"
        reporter.expect(facts.endCount == 0, "\(what) after its END")
        reporter.expect(facts.plan.flaw == nil, "request \(request) must not be written: its fields are bad")
        guard facts.writes.count > 1 else { return }
        let earlier = facts.writes[facts.writes.count - 2]
        if facts.plan.hasMembers {
            // To another member under rules of their own (MemberRetries); to the same once more.
            if record.links[earlier.link].endpoint != record.links[link].endpoint { return }
            checkCount(facts, what, record, reporter)
        } else {
            reporter.expect(facts.writes.count == 2, "\(what): the \(facts.writes.count)th time")
        }
        let before = record.links[earlier.link]
        reporter.expect(facts.plan.mayRepeat, "\(what): not idempotent")
        reporter.expect(earlier.wasReused, "\(what): link \(earlier.link) was fresh")
        reporter.expect(before.isOverReported, "\(what): link \(earlier.link) lives")
        reporter.expect(before.bytesRead == earlier.readBefore, "\(what): a reply had begun")
        reporter.expect(!facts.isReplySeen, "\(what): the proxy has seen a reply")
        reporter.expect(
            earlier.bodyBytes <= record.scenario.limits.replayBytesMax,
            "\(what): \(earlier.bodyBytes) body bytes were gone"
        )
    }

    /// A stream begins again at a member it was at once in all.
    private func checkCount(_ facts: RequestFacts, _ what: String, _ record: Record, _ reporter: Reporter) {
        let endpoints = facts.writes.map { record.links[$0.link].endpoint }
        let again = zip(endpoints, endpoints.dropFirst()).count { $0 == $1 }
        reporter.expect(again == 1, "\(what): the \(again)th time at the same member")
    }
}

/// A connection serves again only when its last exchange was whole beyond doubt, and nothing is left unread.
struct Reuse: Checker {
    static let name = "Reuse"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        let (link, request): (Int, Int?)
        switch event {
        case .requestBegan(let number, let whose): (link, request) = (number, whose)
        case .connectBegan(let number): (link, request) = (number, nil)
        default: return
        }
        let facts = record.links[link]
        let pipe = reporter.world.links[link].toEngine
        guard facts.requestsBegan > 1 else { return }
        let what = "link \(link) used again for request \(request ?? -1)"
        let requestsMax = record.scenario.limits.requestsPerConnectionMax
        reporter.expect(
            requestsMax == 0 || facts.requestsSinceReady <= requestsMax || facts.binding != nil
                || facts.mayBePinned,
            "\(what): its \(facts.requestsSinceReady)th"
        )
        reporter.expect(pipe.arrived.isEmpty, "\(what) with \(pipe.arrived.count) bytes unread")
        reporter.expect(!facts.isOverReported, "\(what) after its end")
        guard let last = facts.serves.last else { return reporter("\(what) before it was answered") }
        reporter.expect(facts.serves.count >= facts.requestsBegan - 1, "\(what) before it was answered")
        let truth = record.serves[last]
        guard let wholeAt = truth.wholeAt else { return reporter("\(what) after reply \(last), never whole") }
        reporter.expect(
            facts.bytesRead >= wholeAt,
            "\(what) with reply \(last) at \(facts.bytesRead) of \(wholeAt)"
        )
        reporter.expect(
            facts.bytesRead <= wholeAt,
            "\(what) with \(facts.bytesRead - wholeAt) stray bytes read"
        )
        reporter.expect(truth.plan.persists, "\(what) after reply \(last), which does not persist")
    }
}

/// The engine's orders come in turn: none for what is dead, each that needs an answer once.
struct Orders: Checker {
    static let name = "Orders"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .effectOutOfTurn(let effect, let reason) = event else { return }
        reporter("\(effect): \(reason)")
    }
}
