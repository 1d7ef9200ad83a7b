// Policy.swift: which of the usable members a policy chooses. Owns: the mathematics of each.
// Source: nginx, ngx_http_upstream_round_robin.c (smooth weighted round robin); Mitzenmacher: "The power of
// two choices in randomized load balancing" (2001); Finagle, PeakEwma.scala; hash: see HashKey.swift.
import Model

extension Group {
    /// The choice of the policy among `indices`, of which `usable`, at least one, are marked so.
    mutating func choose(
        _ indices: [Int],
        _ usable: Int,
        _ now: Instant,
        _ key: UInt64,
        _ random: inout RandomSource
    ) -> Int {
        switch policy {
        case .roundRobin: return inTurn(indices)
        case .leastConnections: return leastLoaded(indices)
        case .powerOfTwoChoices:
            let (one, other) = two(indices, usable, &random)
            return isLess(loadOf: other, than: one) ? other : one
        case .peakEWMA:
            let (one, other) = two(indices, usable, &random)
            return expected(other, now) < expected(one, now) ? other : one
        case .hash: return winner(indices, key)
        case .first:
            for index in indices where members[index].isUsable { return index }
            preconditionFailure("no member is usable")
        }
    }

    // Smooth weighted round robin: each usable member becomes due by its share, the one most overdue is
    // chosen and pays for all. Of equals the first.

    private mutating func inTurn(_ indices: [Int]) -> Int {
        var total = 0
        var best = -1
        for index in indices where members[index].isUsable {
            members[index].turn += members[index].share
            total += members[index].share
            if best < 0 || members[index].turn > members[best].turn { best = index }
        }
        members[best].turn -= total
        return best
    }

    /// A turn of the round robin that nobody gets.
    mutating func takeTurn() {
        for index in primaries { members[index].isUsable = true }
        _ = inTurn(primaries)
    }

    // Weighted least connections: the least (active + 1) / share, so that it counts what the member would
    // have then. Of equals the next one behind the last choice. A request that is alone always goes to the
    // greatest weight.

    private mutating func leastLoaded(_ indices: [Int]) -> Int {
        var best = -1
        let start = indices.firstIndex { $0 >= cursor } ?? 0
        for step in 0..<indices.count {
            let place = start + step
            let index = indices[place < indices.count ? place : place - indices.count]
            guard members[index].isUsable else { continue }
            if best < 0 || isLess(loadOf: index, than: best) { best = index }
        }
        cursor = best + 1
        return best
    }

    /// Compares (active + 1) / share, without a division.
    func isLess(loadOf left: Int, than right: Int) -> Bool {
        (members[left].active + 1) * members[right].share < (members[right].active + 1) * members[left].share
    }

    /// Two different usable members, each pair in each order as likely as any other; twice the same when
    /// there is one.
    private func two(_ indices: [Int], _ usable: Int, _ random: inout RandomSource) -> (Int, Int) {
        let first = random.below(usable)
        guard usable > 1 else { return (nth(first, indices, usable), nth(first, indices, usable)) }
        let second = random.below(usable - 1)
        return (nth(first, indices, usable), nth(second < first ? second : second + 1, indices, usable))
    }

    private func nth(_ number: Int, _ indices: [Int], _ usable: Int) -> Int {
        if usable == indices.count { return indices[number] }
        var left = number
        for index in indices where members[index].isUsable {
            if left == 0 { return index }
            left -= 1
        }
        preconditionFailure("fewer members are usable than were counted")
    }

    // Peak EWMA: the latency that a further request would meet: its average, which time wears down, for each
    // request that is there and this one. An average that is not known yet counts as 0 once, so that somebody
    // finds out, and as a very long time while that request is on its way. By share, as the others.

    /// Finagle's penalty: Long.MaxValue >> 16, nanoseconds: 39 hours.
    private static let penalty = 140_737_488_355_327.0

    private func expected(_ index: Int, _ now: Instant) -> Double {
        let member = members[index]
        let cost = member.cost * weightOfPast(index, now)
        let active = Double(member.active)
        let load = cost == 0 && member.active > 0 ? Self.penalty + active : cost * (active + 1)
        return load / Double(member.share)
    }

    /// A longer latency counts at once and whole, a shorter one by the time since the last. Reading does not
    /// wear the average down twice, as Finagle's does, whose reads store the time.
    mutating func observe(_ index: Int, nanoseconds: Double, _ now: Instant) {
        let past = weightOfPast(index, now)
        let old = members[index].cost
        members[index].cost = nanoseconds > old ? nanoseconds : old * past + nanoseconds * (1 - past)
        members[index].costAt = now
    }

    private func weightOfPast(_ index: Int, _ now: Instant) -> Double {
        let passed = now.nanoseconds - members[index].costAt.nanoseconds
        return members[index].cost == 0 ? 1 : Curve.decay(Double(max(0, passed)) / decayNanoseconds)
    }

    // Weighted rendezvous: for each key, members draw lots; the lot of one does not depend on who else draws.
    // So a member that leaves takes only its own keys away, and they go to all others by their weights.

    private func winner(_ indices: [Int], _ key: UInt64) -> Int {
        var best = -1
        var bestDraw: UInt64 = 0
        var bestArrival: Double?
        for index in indices where members[index].isUsable {
            let draw = HashKey.draw(key: key, member: members[index].identity)
            // By equal shares the greatest draw arrives first: no logarithm is needed to see that.
            if best < 0 || members[index].share == members[best].share {
                if best < 0 || draw > bestDraw { (best, bestDraw, bestArrival) = (index, draw, nil) }
                continue
            }
            let toBeat = bestArrival ?? HashKey.arrival(draw: bestDraw, weight: members[best].share)
            bestArrival = toBeat
            // Most come in too late by far, and need no logarithm either.
            if HashKey.earliest(draw: draw, weight: members[index].share) > toBeat { continue }
            let arrival = HashKey.arrival(draw: draw, weight: members[index].share)
            if arrival < toBeat { (best, bestDraw, bestArrival) = (index, draw, arrival) }
        }
        return best
    }
}
