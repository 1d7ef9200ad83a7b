// GroupReports.swift: groups as they are listed for people. Owns: what is told, and how workers' parts add up.
// Never touches: decisions. Source: issue "Groups".
import Balancing
import Model

/// One member as it is listed.
package struct MemberReport: Equatable, Sendable {
    package var name: String
    package var endpoint: Endpoint
    /// Health, weight, and the attempts of all workers.
    package var view: MemberView
}

/// One group as it is listed.
package struct GroupReport: Equatable, Sendable {
    /// Empty: a list of endpoints, one worker's own.
    package var name: String
    package var policy: GroupPolicy
    /// All members are chosen from, as too few are healthy.
    package var isPanicking: Bool
    /// Requests that are open, and those of them that wait for a member.
    package var requests: Int
    package var waiting: Int
    package var members: [MemberReport]

    /// Adds the load that another worker has.
    package mutating func add(_ other: GroupReport) {
        requests += other.requests
        waiting += other.waiting
        for index in members.indices where index < other.members.count {
            members[index].view.active += other.members[index].view.active
        }
    }
}

extension WorkerEngine {
    /// Groups of the configuration in the order of their names, then lists of endpoints.
    package var groupReports: [GroupReport] {
        groups.states.indices.map { group in
            let state = groups.states[group]
            return GroupReport(
                name: groups.name(group),
                policy: state.settings.policy,
                isPanicking: state.balancing.isPanicking,
                requests: state.users,
                waiting: state.queue.count + state.lined,
                members: state.names.indices.map {
                    MemberReport(
                        name: state.names[$0],
                        endpoint: state.endpoints[$0],
                        view: state.balancing.view(of: $0, now: now)
                    )
                }
            )
        }
    }
}
