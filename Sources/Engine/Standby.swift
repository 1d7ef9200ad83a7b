// Standby.swift: idle connections to each member that are kept ready, so that a request does not wait for a dial.
// Owns: how many are missing. Never touches: limits (they hold as for any dial), back-off (Balancing says when).
// Source: issue "Groups": minimum idle connections (standby) per member, kept warm.
import Balancing
import Model

/// Connections that one worker keeps ready for one group.
struct Standby {
    struct Member {
        /// Dials that are under way.
        var pending: Int32 = 0
        /// Dials since `countedSince`.
        var dials = 0
        var countedSince = Instant(nanoseconds: .min)
    }

    /// To each member; this worker's part of what the group asks for.
    var countMin = 0
    /// What connections have to be like: the way of the group's last request, unless the configuration says it.
    var route = RouteID.direct
    var localAddress: IPAddress?
    var isFixed = false
    var members: [Member] = []

    /// Dials to a member in a second, for each connection that is kept ready: so that one that takes connections and closes
    /// them is not dialed without end.
    static let dialsPerSecondMax = 4

    /// A worker's part of `total`.
    static func share(of total: Int, _ worker: Int, _ workers: Int) -> Int {
        total / workers + (worker < total % workers ? 1 : 0)
    }
}

extension WorkerEngine {
    /// The way of a request of the group.
    mutating func noteWay(_ stream: Int, _ group: Int) {
        if groups.states[group].standby.countMin == 0 || streams[stream].isRaw { return }
        wake(group, at: now)
        if groups.states[group].standby.isFixed { return }
        let (route, local) = (streams[stream].route, streams[stream].localAddress)
        // One client's tunnel is no use to others.
        if targets.routes.bindsPeer(route) { return }
        let standby = groups.states[group].standby
        if standby.route == route && standby.localAddress == local { return }
        targets.routes.retain(route)
        targets.routes.release(standby.route)
        groups.states[group].standby.route = route
        groups.states[group].standby.localAddress = local
    }

    /// Dials what is missing, within the limits and as far as members are healthy and may be dialed.
    mutating func keepReady(_ group: Int) {
        guard groups.states[group].standby.countMin > 0, !isDraining else { return }
        for member in groups.states[group].endpoints.indices {
            guard groups.states[group].balancing.weight(member) > 0,
                groups.states[group].balancing.isHealthy(member, now: now)
            else { continue }
            while missing(group, member) > 0 {
                let dialAfter = spareDialAfter(group, member)
                if dialAfter > now {
                    wake(group, at: dialAfter)
                    break
                }
                guard dialSpare(group, member) else { break }
            }
        }
    }

    /// Not later than now: a connection may be dialed.
    private func spareDialAfter(_ group: Int, _ member: Int) -> Instant {
        let standby = groups.states[group].standby
        let since = standby.members[member].countedSince
        let isPaced = standby.members[member].dials >= Standby.dialsPerSecondMax * standby.countMin
        return max(
            max(groups.states[group].balancing.dialAfter(member), doubtedUntil(group, member, standby.route)),
            isPaced ? since.adding(milliseconds: 1000) : since
        )
    }

    private func standbyKey(_ group: Int, _ member: Int) -> PoolKey {
        PoolKey(
            endpoint: groups.states[group].endpoints[member],
            route: groups.states[group].standby.route,
            localAddress: groups.states[group].standby.localAddress
        )
    }

    private mutating func missing(_ group: Int, _ member: Int) -> Int {
        let idle = targets.find(standbyKey(group, member)).map { targets[$0].idle.count } ?? 0
        // No more than the pool holds.
        return min(groups.states[group].standby.countMin, limits.idlePerKeyMax, limits.idleMax) - idle
            - Int(groups.states[group].standby.members[member].pending)
    }

    /// - Returns: whether there was room for it.
    private mutating func dialSpare(_ group: Int, _ member: Int) -> Bool {
        let target = targets.make(standbyKey(group, member))
        guard let slot = dialForNobody(target, until: dueIn(limits.connectMilliseconds)) else { return false }
        connections[slot].member = groups.tag(group, member)
        connections[slot].member.duty = .standby
        groups.states[group].standby.members[member].pending += 1
        if groups.states[group].standby.members[member].countedSince.adding(milliseconds: 1000) <= now {
            groups.states[group].standby.members[member].countedSince = now
            groups.states[group].standby.members[member].dials = 0
        }
        groups.states[group].standby.members[member].dials += 1
        return true
    }

    /// Dials a connection that no stream waits for, when there is room for it that nobody else waits for.
    mutating func dialForNobody(_ target: Int, until: Instant) -> Int? {
        let endpoint = targets[target].endpoint
        let name = targets[endpoint: endpoint].endpoint
        guard targets[endpoint: endpoint].blocked.count == 0,
            case .room(let room) = budget.take(
                name,
                since: now,
                idle: IdleRooms(),
                mayWait: false,
                by: worker
            )
        else {
            targets.removeIfUnused(target)
            return nil
        }
        let slot = connections.take { Connection(limits: limits) }
        connections[slot].reset(target: target, waiter: 0, limits: limits, now: now)
        connections[slot].state = .dialing(waiter: nil)
        connections[slot].room = room
        connections[slot].idleUntil = until
        connectionDeadlines.arm(slot, at: until)
        targets[target].connections += 1
        totals.dialsTotal &+= 1
        effects.append(.dial(id(ofConnection: slot)))
        return slot
    }

    /// A dial for the standby is over, whatever came of it: from here on its connection is one like any other.
    mutating func standbyDialed(_ slot: Int) {
        connections[slot].member.duty = .attempt
        guard let place = groups.place(connections[slot].member) else { return }
        groups.states[place.group].standby.members[place.member].pending -= 1
        wake(place.group, at: now)
    }
}
