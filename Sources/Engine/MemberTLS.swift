// MemberTLS.swift: TLS to members that fails: whether that counts against a member for all requests, or for those that go
// the same way only.
// Owns: whose failure it is. Never touches: what follows for a member (Sources/Balancing).
// Source: Engine.docc/Groups.md, "TLS that fails".
import Balancing
import Model

extension WorkerEngine {
    /// TLS of a connection for a member did not come about.
    mutating func memberTLSFailed(_ slot: Int, _ place: MemberPlace, _ blame: TLSFailure.Blame) {
        let route = targets[connections[slot].target].key.route
        let isBehind = connections[slot].setup == .innerTLS
        switch blame {
        case .us: return
        case .peer where !isBehind: tell(.tlsFailed, of: place)
        case .either where !isBehind && isExpectedTLS(hopWay(route), place.group): tell(.tlsFailed, of: place)
        case .peer, .either: doubt(isBehind ? route : hopWay(route), place)
        }
    }

    /// The way as far as a member itself is concerned: that of a tunnel ends at its peer.
    private func hopWay(_ route: RouteID) -> RouteID {
        targets.routes.kind(route) == .tunnel ? targets.routes.toPeer(route) : route
    }

    /// Whether TLS to a member is spoken with the settings and names that the configuration says of its group.
    private func isExpectedTLS(_ way: RouteID, _ group: Int) -> Bool {
        guard let expected = groups.states[group].expectedWay else { return false }
        return targets.routes.identity(way).outer == targets.routes.identity(expected).outer
    }

    /// The same of a stream's way, all of which is TLS to its member.
    func isExpectedTLS(_ stream: Int) -> Bool {
        if streams[stream].group < 0 { return false }
        let route = streams[stream].route
        return targets.routes.kind(route) != .tunnel && isExpectedTLS(route, Int(streams[stream].group))
    }

    // Doubts.

    private mutating func doubt(_ way: RouteID, _ place: MemberPlace) {
        let group = place.group
        let change = groups.states[group].doubts.failed(
            place.member,
            way,
            groups.states[group].settings.ejection,
            now: now,
            random: &random
        )
        if change.begins { targets.routes.retain(way) }
        if let end = change.ends { targets.routes.release(end) }
        wake(group, at: groups.states[group].doubts.endsAt)
    }

    /// A connection to a member is secured.
    mutating func memberSecured(_ slot: Int, _ place: MemberPlace) {
        if groups.states[place.group].doubts.isEmpty { return }
        let route = targets[connections[slot].target].key.route
        let hop = hopWay(route)
        clearDoubt(place, route)
        if hop != route { clearDoubt(place, hop) }
    }

    private mutating func clearDoubt(_ place: MemberPlace, _ way: RouteID) {
        if groups.states[place.group].doubts.succeeded(place.member, way) { targets.routes.release(way) }
    }

    /// Forgets doubts whose time is over.
    mutating func forgetDoubts(_ group: Int) {
        while let way = groups.states[group].doubts.forget(now: now) { targets.routes.release(way) }
        if !groups.states[group].doubts.isEmpty { wake(group, at: groups.states[group].doubts.endsAt) }
    }

    /// Forgets all, as the group is no more.
    mutating func dropDoubts(_ group: Int) {
        while let way = groups.states[group].doubts.forget(now: .never) { targets.routes.release(way) }
    }

    /// Until when requests of a way leave a member alone.
    func doubtedUntil(_ group: Int, _ member: Int, _ route: RouteID) -> Instant {
        let doubts = groups.states[group].doubts
        return max(doubts.heldUntil(member, route), doubts.heldUntil(member, hopWay(route)))
    }

    /// As the group's policy chooses, but members in doubt for the stream's way only where nobody else is left, and so members
    /// that are not well for a retry that is free because others are.
    mutating func pickMember(_ stream: Int, _ group: Int) -> Pick {
        let isDoubtful = !groups.states[group].doubts.isEmpty || errands[stream].wantsWell
        if isDoubtful { markDoubts(group, of: stream) }
        defer { if isDoubtful { clearMarks(group) } }
        return groups.states[group].balancing.pick(
            now: now,
            key: errands[stream].key,
            tried: errands[stream].tried,
            random: &random
        )
    }

    /// Until when a stream leaves a member of its group to others while there are more; then it looks again.
    func avoidedUntil(_ member: Int, by stream: Int) -> Instant {
        let group = Int(streams[stream].group)
        let doubted = doubtedUntil(group, member, streams[stream].route)
        let isUnwell = errands[stream].wantsWell && !groups.states[group].balancing.isWell(member, now: now)
        return isUnwell ? max(doubted, now.adding(milliseconds: RetryBudget.windowMilliseconds)) : doubted
    }

    private mutating func markDoubts(_ group: Int, of stream: Int) {
        for member in groups.states[group].endpoints.indices {
            groups.states[group].balancing.setDoubted(member, avoidedUntil(member, by: stream) > now)
        }
    }

    private mutating func clearMarks(_ group: Int) {
        for member in groups.states[group].endpoints.indices {
            groups.states[group].balancing.setDoubted(member, false)
        }
    }
}
