// RecoveryTests.swift: members that come back, alone and over hours: no herd, and no more failures than must
// be.
import Balancing
import Model
import Testing

struct RecoveryTests {
    /// The share of member 0 of a thousand requests, when so much of its slow start has passed.
    private func share(_ world: inout World, after milliseconds: Int) -> Int {
        world.wait(milliseconds)
        return world.counts(1000)[0]
    }

    @Test(arguments: [GroupPolicy.roundRobin, .hash], [true, false])
    func `the share of a member that recovered grows from a tenth to the whole`(
        _ policy: GroupPolicy,
        _ isChecked: Bool
    ) {
        var world = World(.of(policy, [1, 1]) { $0.slowStartMilliseconds = 10_000 })
        if isChecked {
            world.spread([.down(member: 0)])
            #expect(share(&world, after: 1000) == 0)
            world.spread([.up(member: 0, at: world.now)])
        } else {
            world.spread([.ejected(member: 0, until: world.now.adding(milliseconds: 1000))])
            #expect(share(&world, after: 999) == 0)
            world.wait(1)
        }
        // A weight of w against 1 has the share w / (1 + w). Steps are 1/64 of the time; hash: 1000 keys, 4
        // sigma.
        for tenth in 0...10 {
            let weight = max(0.1, Double(tenth) / 10)
            let expected = 1000 * weight / (1 + weight)
            let found = Double(share(&world, after: tenth == 0 ? 0 : 1000))
            #expect(abs(found - expected) < (policy == .hash ? 70 : 15), "\(tenth): \(found), \(expected)")
        }
        world.wait(1000)
        if policy == .roundRobin { #expect(world.counts(1000) == [500, 500]) }
    }

    @Test(arguments: policies) func `there is no herd on a member that recovered`(_ policy: GroupPolicy) {
        // Eight members with 20 requests each; it recovers with none, which is why a policy by load could
        // give it all.
        var world = World(.of(policy, Array(repeating: 1, count: 8)) { $0.slowStartMilliseconds = 10_000 })
        for member in 1..<8 {
            for _ in 0..<20 { world.groups[0].began(member) }
            world.groups[0].replied(member, afterMicroseconds: 5000, now: world.now)
        }
        // It was the fastest one by far.
        world.groups[0].replied(0, afterMicroseconds: 50, now: world.now)
        world.spread([.ejected(member: 0, until: world.now.adding(milliseconds: 1000))])
        world.wait(1000)
        // Which fills up the first one, by its nature.
        if policy == .first { return }
        for number in 0..<140 {
            guard case .member(let member) = world.pick(key: RandomSource.key(number)) else { continue }
            world.groups[0].began(member)
        }
        // A fair one would have 38 of 300 by now; its share begins with a tenth.
        #expect(world.groups[0].active(0) <= 6)
    }

    @Test func `without slow start a member has its share at once`() {
        var world = World(.of(.roundRobin, [1, 1]) { $0.slowStartMilliseconds = 0 })
        world.spread([.ejected(member: 0, until: world.now.adding(milliseconds: 1000))])
        world.wait(1000)
        #expect(world.counts(100) == [50, 50])
    }

    @Test func `when a member is ejected, those that are left owe each other nothing`() {
        var world = World(.of(.roundRobin, [1000, 1, 1]) { $0.slowStartMilliseconds = 0 })
        // Of requests that failed at c, so that more is due to b.
        var tried = Tried()
        tried.insert(2)
        for _ in 0..<300 { #expect(world.pick(tried: tried) == .member(0)) }
        world.spread([.ejected(member: 0, until: world.now.adding(milliseconds: 1000))])
        #expect(world.counts(1) + world.counts(1) == [0, 1, 0, 0, 0, 1])
        world.wait(1000)
        #expect(world.counts(1002) == [1000, 1, 1])
    }

    @Test func `news that come late put nobody out of step`() {
        var world = World(.of(.roundRobin, [1, 1]), workers: 2)
        let until = world.now.adding(milliseconds: 1000)
        world.groups[0].apply(.ejected(member: 0, until: until), now: world.now)
        _ = world.counts(10)
        world.wait(6000)
        world.groups[1].apply(.ejected(member: 0, until: until), now: world.now)
        // Each begins with a turn of its own.
        let (one, other) = (world.counts(300, worker: 0)[0], world.counts(300, worker: 1)[0])
        #expect(90...110 ~= one && abs(one - other) <= 1)
    }

    /// Five members; one is dead for a while in each half hour, one now and then resets.
    @Test(arguments: 0..<4 as Range<UInt64>) func `over hours only few requests meet a dead member`(
        _ seed: UInt64
    ) {
        var world = World(
            .of(.roundRobin, [1, 1, 1, 1, 1]) { $0.slowStartMilliseconds = 10_000 },
            workers: 2,
            seed: seed
        )
        var random = RandomSource(seed: seed)
        var dead = (requests: 0, failed: 0)
        var whole = [0, 0, 0, 0, 0]
        // Six hours, ten requests a second.
        for tick in 0..<6 * 36_000 {
            world.wait(100)
            let worker = tick & 1
            let isDead = tick % 18_000 < 9000
            guard case .member(let member) = world.pick(worker) else { continue }
            #expect(world.isHealthy(member) && world.ledger.ejectedCount(world.now) <= 3)
            if isDead { dead.requests += 1 }
            if member == 3, isDead {
                dead.failed += 1
                world.tell(.dialFailed, member, worker: worker)
            } else if member == 4, random.below(20) == 0 {
                world.tell(.cutShort, member, worker: worker)
            } else {
                world.tell(.dialed, member, worker: worker)
                world.tell(.replied(status: 200), member, worker: worker)
            }
            // The second half of the time in which all is well, long after the ramp.
            if tick % 18_000 >= 13_500 { whole[member] += 1 }
        }
        // Ejections of 30, 60, 120, 240, 300 s: in 900 s it is tried 3 times, then at most 5 times more;
        // twelve half hours.
        #expect(dead.failed <= 12 * 8 && dead.failed >= 12 * 4, "\(dead)")
        // One failure in 20 is no reason; five in a row are, once in 3 million.
        let fair = whole.reduce(0, +) / 5
        #expect(whole.allSatisfy { abs($0 - fair) * 50 < fair }, "\(whole)")
    }

    @Test func `a member that stays dead is asked once in each longest time`() {
        var world = World(.of(.leastConnections, [1, 1, 1]))
        var failed = 0
        // A day, one request a second.
        for _ in 0..<86_400 {
            world.wait(1000)
            guard case .member(let member) = world.pick() else { continue }
            guard member == 1 else { continue }
            failed += 1
            world.tell(.dialFailed, member)
        }
        // 86,400 s in times of 300 s, 270 to 330 each.
        #expect(261...330 ~= failed, "\(failed)")
    }
}
