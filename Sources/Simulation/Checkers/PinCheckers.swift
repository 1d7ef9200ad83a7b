// PinCheckers.swift: rules about connections that are one client's. Source: DESIGN "Pins are exclusive"; RFC 4559 §6;
// proto/outrigger.proto, messages Pin and PinEvent.
import Engine
import Model

/// A byte written for a token is only ever on its connection, and a connection that was bound is nobody else's.
struct PinExclusive: Checker {
    static let name = "PinExclusive"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .requestBegan(let link, let request):
            guard request != nil, record.links[link].binding != nil else { return }
            check(link, from: record.links[link].requests.count - 1, record, reporter)
        case .read(let link, _, _): check(link, from: 0, record, reporter)
        case .reply(let request, let head):
            reporter.expect(
                !head.isPinned || record.holder(of: request) != nil,
                "request \(request) has no token, its connection is called pinned"
            )
            guard let serve = head.serveField, record.serves.indices.contains(serve) else { return }
            check(record.serves[serve].link, from: 0, record, reporter)
            if head.isPinned { checkFresh(request, record.serves[serve].link, record, reporter) }
        default: break
        }
    }

    private func check(_ link: Int, from: Int, _ record: Record, _ reporter: Reporter) {
        let facts = record.links[link]
        guard let binding = facts.binding else { return }
        var expected = binding.holder
        if binding.isOpen, let first = facts.requests.dropFirst(binding.from).first {
            expected = record.holder(of: first)
        }
        for request in facts.requests.dropFirst(max(from, binding.from)) {
            let holder = record.holder(of: request)
            reporter.expect(
                holder != nil && holder == expected,
                "request \(request) of \(words(holder)) on link \(link), which is bound to \(words(expected))"
            )
        }
    }

    /// Who prefers its pin shares its connection with nobody before either.
    private func checkFresh(_ request: Int, _ link: Int, _ record: Record, _ reporter: Reporter) {
        let requests = record.links[link].requests
        guard record.requests[request].plan.pinMode == .prefer, let place = requests.lastIndex(of: request),
            record.links[link].binding?.from == place + 1
        else { return }
        reporter.expect(
            requests[..<place].allSatisfy { record.holder(of: $0) == record.holder(of: request) },
            "request \(request) has made a pin of link \(link), which was others' before"
        )
    }

    private func words(_ holder: PinHolder?) -> String {
        guard let holder else { return "nobody" }
        let instance = String(decoding: holder.identity.instanceID, as: UTF8.self)
        let session = holder.proxy.map { " proxy \($0)" } ?? ""
        return "\(holder.identity.userID)/\(instance)\(session) token \(holder.token[0])"
    }
}

/// What was written on a pinned connection is written nowhere else.
struct PinNotRetried: Checker {
    static let name = "PinNotRetried"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .requestBegan(_, let request):
            if let request { check(request, record, reporter) }
        case .reply(let request, let head) where head.isPinned: check(request, record, reporter)
        default: break
        }
    }

    private func check(_ request: Int, _ record: Record, _ reporter: Reporter) {
        for write in record.requests[request].writes.dropLast() {
            reporter.expect(
                !record.isOnBound(request, write.link),
                "request \(request) was on link \(write.link), which is bound, and is written again"
            )
        }
    }
}

/// Requests that wait for one pin are served in their order.
struct PinOrder: Checker {
    static let name = "PinOrder"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .requestBegan(let link, let request) = event, let request,
            record.requests[request].writes.count == 1, !record.requests[request].plan.token.isEmpty
        else { return }
        for other in record.requests.indices
        where !record.requests[other].writes.isEmpty && Self.isAhead(request, of: other, record) {
            reporter("request \(request) on link \(link) only now, request \(other) behind it before")
        }
    }

    /// Whether both stand in one line, and the first before the second. Who takes any connection in auto mode need not wait,
    /// and who is unpinned loses its place.
    static func isAhead(_ first: Int, of second: Int, _ record: Record) -> Bool {
        let (one, two) = (record.requests[first], record.requests[second])
        guard one.proxy == two.proxy, !one.plan.token.isEmpty, one.plan.token == two.plan.token,
            one.isOpened, two.isOpened, one.order < two.order,
            one.plan.pinMode != .auto, two.plan.pinMode != .auto,
            one.plan.endpoints.count == 1, one.plan.endpoints == two.plan.endpoints,
            one.plan.group == nil, two.plan.group == nil,
            one.plan.way == two.plan.way, one.plan.isConnect == two.plan.isConnect
        else { return false }
        let holder = record.holder(of: first)
        return !record.unpins.contains { $0.holder == holder && $0.order > one.order }
    }
}

/// Every pin that was made ends once, and its proxy is told while it is there.
struct PinEvents: Checker {
    static let name = "PinEvents"
    /// Time in which an event has surely come to a proxy that reads, milliseconds.
    private static let patience = 3000

    private struct Place: Hashable {
        var holder: PinHolder
        var endpoint: Endpoint
    }

    private var made: [Place: Int] = [:]
    private var ended: [Place: Int] = [:]

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .pinTold(let proxy, let told):
            reporter.expect(
                told.detail.isEmpty == (told.change == .made),
                "proxy \(proxy): \(told.change) with the words '\(told.detail)'"
            )
            let holder = record.scenario.holder(proxy: proxy, token: told.token)
            let isKnown = record.requests.indices.contains { record.holder(of: $0) == holder }
            reporter.expect(isKnown, "proxy \(proxy) is told of a token that is not its own")
            guard let endpoint = told.remote else { return reporter("proxy \(proxy): a pin to nowhere") }
            let place = Place(holder: holder, endpoint: endpoint)
            if told.change == .made { made[place, default: 0] += 1 } else { ended[place, default: 0] += 1 }
        case .ended(let request, let report, _):
            guard report.connection == .pinned else { return }
            let facts = record.requests[request]
            reporter.expect(
                facts.isPinnedSeen || (facts.writes.isEmpty && !facts.plan.token.isEmpty),
                "request \(request): its connection stays pinned, which its reply did not say"
            )
        case .socketClosed(let link): checkGrace(link, record, reporter)
        case .quiescent: checkCounts(record, reporter)
        default: break
        }
    }

    /// A pin does not wait longer for its proxy than it may.
    private func checkGrace(_ link: Int, _ record: Record, _ reporter: Reporter) {
        guard record.jumpedSeconds == 0, let binding = record.links[link].binding, binding.isPinned,
            let holder = binding.holder, let gone = record.goneSince(holder)
        else { return }
        let most = record.scenario.limits.pinGraceMilliseconds + Self.patience
        reporter.expect(
            reporter.now <= gone.adding(milliseconds: most),
            "link \(link): its proxy is gone since \(formatted(gone)), which is more than the grace"
        )
    }

    private func checkCounts(_ record: Record, _ reporter: Reporter) {
        var seen: [Place: Int] = [:]
        var owed: [Place: Int] = [:]
        var places: [Place] = []
        for link in record.links {
            guard let binding = link.binding, binding.isPinned, let holder = binding.holder,
                let index = link.endpoint
            else { continue }
            let place = Place(holder: holder, endpoint: record.scenario.endpoints[index].endpoint)
            if seen[place] == nil { places.append(place) }
            seen[place, default: 0] += 1
            if isOwed(link, holder, record, reporter.world) { owed[place, default: 0] += 1 }
        }
        for place in places {
            let (begun, over) = (made[place, default: 0], ended[place, default: 0])
            let what = "token \(place.holder.token[0]) at \(place.endpoint)"
            reporter.expect(
                over >= owed[place, default: 0],
                "\(what): told of \(over) ends, \(owed[place, default: 0]) pins ended while it listened"
            )
            let isCut = record.sessions.contains { $0.isCut && record.isSession($0, of: place.holder) }
            guard !isCut else { continue }
            reporter.expect(
                begun >= seen[place, default: 0],
                "\(what): told of \(begun) pins, \(seen[place, default: 0]) were seen"
            )
            reporter.expect(over <= begun, "\(what): told of \(begun) pins and \(over) ends")
        }
    }

    /// Whether the end of a pinned link cannot have missed its proxy.
    private func isOwed(_ link: LinkFacts, _ holder: PinHolder, _ record: Record, _ world: SimWorld) -> Bool {
        guard record.jumpedSeconds == 0, (record.scenario.pipeBytes.min() ?? 0) >= 4096,
            !record.unpins.contains(where: { $0.holder == holder })
        else { return false }
        let until = link.closedAt.adding(milliseconds: Self.patience)
        var isHeard = false
        for session in record.sessions where record.isSession(session, of: holder) {
            if session.openedAt > link.closedAt { continue }
            // One that has just left may have been told instead.
            if session.overAt != .never && session.overAt.adding(milliseconds: Self.patience) < link.closedAt
            {
                continue
            }
            guard session.overAt > until, world.proxies[session.proxy].isPrompt else { return false }
            isHeard = isHeard || session.openedAt.adding(milliseconds: Self.patience) < link.closedAt
        }
        return isHeard
    }
}
