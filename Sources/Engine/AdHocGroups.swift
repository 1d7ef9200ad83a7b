// AdHocGroups.swift: groups without a name: the endpoints of requests that ask for balancing.
// Owns: the bounded table of them, the one used longest ago dropped first. Their health is this worker's own,
// but for the back-off of their endpoints.
// Source: issue "Groups": ad hoc as the request's endpoint list; proto/outrigger.proto, enum Balancing.
import Balancing
import Model

/// What makes two requests ones of the same group.
package struct AdHocGroup: Hashable, Sendable {
    let endpoints: [Endpoint]
    let policy: GroupPolicy
}

extension WorkerEngine {
    /// Finds or makes the group of the decoded request's endpoints. - Returns: why there is none.
    mutating func findAdHocGroup() -> (outcome: Outcome, detail: String)? {
        guard let policy = request.balancing else { return nil }
        let name = AdHocGroup(endpoints: request.endpoints, policy: policy)
        if let number = groups.adHoc[name] {
            requestGroup = number
            return nil
        }
        guard groups.adHoc.count < limits.adHocGroupsMax else {
            guard let number = adHocGroupUsedLongestAgo() else {
                return (.overloaded, "more than \(limits.adHocGroupsMax) lists of endpoints are balanced")
            }
            drop(number)
            make(name, at: number)
            return nil
        }
        make(name, at: groups.states.count)
        return nil
    }

    private func adHocGroupUsedLongestAgo() -> Int? {
        var oldest: Int?
        for number in groups.namedCount..<groups.states.count where groups.states[number].users == 0 {
            if let other = oldest, groups.states[other].usedAt <= groups.states[number].usedAt { continue }
            oldest = number
        }
        return oldest
    }

    private mutating func drop(_ number: Int) {
        let state = groups.states[number]
        let name = AdHocGroup(endpoints: state.endpoints, policy: state.settings.policy)
        groups.adHoc[name] = nil
        groups.endpoints.remove(number)
        dropDoubts(number)
    }

    private mutating func make(_ name: AdHocGroup, at number: Int) {
        var settings = NamedGroup()
        settings.policy = name.policy
        for endpoint in name.endpoints {
            settings.members.append(GroupMember(name: endpoint.text, endpoint: endpoint))
        }
        var state = GroupState(settings, spread: worker, now: now)
        state.ledger = HealthLedger(settings, seed: random.next(), now: now)
        if number < groups.states.count {
            state.generation = groups.states[number].generation &+ 1
            groups.states[number] = state
        } else {
            groups.states.append(state)
        }
        groups.adHoc[name] = number
        groups.endpoints.insert(name.endpoints, of: number)
        tellBackOffs(number)
        requestGroup = number
    }
}
