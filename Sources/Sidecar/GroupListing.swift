// GroupListing.swift: groups and their members as they are listed for operators. Owns: words and columns.
// Source: issue "Groups".
import Balancing
import Engine
import Model

/// Groups, as they are listed.
enum GroupListing {
    private static func word(_ policy: GroupPolicy) -> String {
        switch policy {
        case .roundRobin: "round-robin"
        case .leastConnections: "least-connections"
        case .powerOfTwoChoices: "power-of-two-choices"
        case .peakEWMA: "peak-ewma"
        case .hash: "hash"
        case .first: "first"
        }
    }

    /// The worst that is known of a member.
    private static func state(_ member: MemberView) -> String {
        if member.isDown { return "down" }
        if member.ejectedMilliseconds > 0 { return "ejected" }
        return member.backOffMilliseconds > 0 ? "backing-off" : "healthy"
    }

    private static func left(_ member: MemberView) -> Int {
        member.isDown ? 0 : max(member.ejectedMilliseconds, member.backOffMilliseconds)
    }

    /// One row for each member. A group without a name is "-".
    static func table(_ groups: [GroupReport]) -> String {
        var rows = [
            [
                "GROUP", "POLICY", "REQUESTS", "WAITING", "MEMBER", "ENDPOINT", "STATE", "LEFT", "WEIGHT",
                "ACTIVE",
            ]
        ]
        for group in groups {
            let name = group.name.isEmpty ? "-" : group.name
            let policy = word(group.policy) + (group.isPanicking ? ",panic" : "")
            for member in group.members {
                let view = member.view
                let left = left(view)
                rows.append([
                    name, policy, "\(group.requests)", "\(group.waiting)", Listing.cell(member.name),
                    Listing.cell(member.endpoint.text), state(view) + (view.isBackup ? ",backup" : ""),
                    "\(left / 1000).\(left % 1000 / 100) s", "\(view.weight)", "\(view.active)",
                ])
            }
        }
        return Listing.table(rows)
    }

    static func json(_ groups: [GroupReport]) -> String {
        let objects = groups.map { group in
            let members = group.members.map { member in
                """
                {"name":\(Listing.quoted(member.name)),"endpoint":\(Listing.quoted(member.endpoint.text)),\
                "state":"\(state(member.view))","backup":\(member.view.isBackup),"weight":\(member.view.weight),\
                "active":\(member.view.active),"ejected_milliseconds":\(member.view.ejectedMilliseconds),\
                "back_off_milliseconds":\(member.view.backOffMilliseconds)}
                """
            }
            return """
                {"name":\(Listing.quoted(group.name)),"policy":"\(word(group.policy))",\
                "panic":\(group.isPanicking),"requests":\(group.requests),"waiting":\(group.waiting),\
                "members":[\(members.joined(separator: ",\n  "))]}
                """
        }
        return "[" + objects.joined(separator: ",\n ") + "]\n"
    }
}
