// SharedBackOffs.swift: that groups with the same endpoint know of each other's dials that failed.
// Owns: which groups have an endpoint; for groups without a name that are yet to come, the back-offs that are on. Never
// touches: how long they are (Sources/Balancing/BackOff.swift).
// Source: issue "Groups": back-off per endpoint shared by all workers; Engine.docc/Groups.md.
import Balancing
import Model

/// Where in groups each endpoint is a member.
struct EndpointPlaces: Sendable {
    private var places: [Endpoint: [MemberPlace]] = [:]
    private var endpoints: [Int: [Endpoint]] = [:]

    mutating func insert(_ members: [Endpoint], of group: Int) {
        endpoints[group] = members
        for (member, endpoint) in members.enumerated() {
            places[endpoint, default: []].append(MemberPlace(group: group, member: member))
        }
    }

    mutating func remove(_ group: Int) {
        for endpoint in endpoints.removeValue(forKey: group) ?? [] {
            places[endpoint]?.removeAll { $0.group == group }
            if places[endpoint]?.isEmpty == true { places[endpoint] = nil }
        }
    }

    /// In the order in which they were inserted.
    func places(_ endpoint: Endpoint) -> [MemberPlace] { places[endpoint] ?? [] }

    func endpoint(_ place: MemberPlace) -> Endpoint {
        guard let members = endpoints[place.group] else { preconditionFailure("a place in no group") }
        return members[place.member]
    }
}

/// The back-offs that are on.
struct EndpointBackOffs {
    /// When there are more, the one that ends first is forgotten: a group that is made while it is on finds out for itself.
    static let countMax = 256

    private var entries: [(endpoint: Endpoint, until: Instant, count: Int)] = []

    var count: Int { entries.count }

    mutating func take(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant) {
        var entry = (endpoint: endpoint, until: now, count: 0)
        if let old = entries.firstIndex(where: { $0.endpoint == endpoint }) {
            entry = entries.remove(at: old)
        }
        switch shared {
        case .recovered: return
        case .backOff(let until, let count):
            entry.until = max(entry.until, until)
            entry.count = max(entry.count, count)
        }
        entries.removeAll { $0.until <= now }
        if entry.until <= now { return }
        if entries.count == Self.countMax,
            let first = entries.indices.min(by: { entries[$0].until < entries[$1].until })
        {
            entries.remove(at: first)
        }
        entries.append(entry)
    }

    /// What a group that has the endpoint from now on has to be told.
    func news(of endpoint: Endpoint, now: Instant) -> EndpointNews? {
        guard let entry = entries.first(where: { $0.endpoint == endpoint }), entry.until > now else {
            return nil
        }
        return .backOff(until: entry.until, count: entry.count)
    }
}

extension WorkerEngine {
    /// News of an endpoint from any worker, this one included.
    mutating func take(_ shared: EndpointNews, of endpoint: Endpoint) {
        groups.backOffs.take(shared, of: endpoint, now: now)
        for place in groups.endpoints.places(endpoint) { take(shared, of: place) }
    }

    private mutating func take(_ shared: EndpointNews, of place: MemberPlace) {
        var news: [HealthNews] = []
        groups.states[place.group].ledger?.take(shared, of: place.member, now: now, news: &news)
        for item in news { take(item, place.group) }
    }

    /// A group without a name was made, and is in no request yet.
    mutating func tellBackOffs(_ group: Int) {
        for (member, endpoint) in groups.states[group].endpoints.enumerated() {
            guard let shared = groups.backOffs.news(of: endpoint, now: now) else { continue }
            take(shared, of: MemberPlace(group: group, member: member))
        }
    }
}
