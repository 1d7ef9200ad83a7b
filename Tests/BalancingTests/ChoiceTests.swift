// ChoiceTests.swift: who may be chosen at all, by every policy: limits, weights, backups, tried members,
// back-off.
import Balancing
import Model
import Testing

struct ChoiceTests {
    @Test(arguments: policies) func `a limit is never exceeded, and reached before anybody waits`(
        _ policy: GroupPolicy
    ) {
        let limits = [3, 1, 7, 0, 5]
        var world = World(
            .of(policy, [1, 5, 2, 0, 3]) {
                for index in limits.indices { $0.members[index].connectionsMax = limits[index] }
            }
        )
        var random = RandomSource(seed: 4)
        var open: [Int] = []
        for number in 0..<20_000 {
            world.wait(1)
            if random.below(100) < (number / 1000 % 2 == 0 ? 60 : 40) {
                switch world.pick(key: random.next()) {
                case .member(let member):
                    world.groups[0].began(member)
                    open.append(member)
                    #expect(world.groups[0].active(member) <= limits[member])
                case .allAtLimit: #expect(open.count == 16)
                case .noMember: Issue.record("nobody was tried")
                }
            } else if !open.isEmpty {
                let member = open.remove(at: random.below(open.count))
                world.groups[0].replied(member, afterMicroseconds: UInt64(random.below(9000)), now: world.now)
                world.groups[0].ended(member)
            }
        }
    }

    @Test(arguments: policies) func `a member without room in the process is not chosen`(
        _ policy: GroupPolicy
    ) {
        var world = World(.of(policy, [1, 1, 1]))
        world.groups[0].setFull(0, true)
        #expect(world.counts(300)[0] == 0)
        world.groups[0].setFull(1, true)
        world.groups[0].setFull(2, true)
        #expect(world.pick() == .allAtLimit)
        world.groups[0].setFull(0, false)
        #expect(world.pick() == .member(0))
    }

    @Test(arguments: policies) func `a weight of 0 is never chosen, not even in a panic`(
        _ policy: GroupPolicy
    ) {
        var world = World(.of(policy, [0, 1, 0, 1]))
        var counts = world.counts(400)
        #expect(counts[0] == 0 && counts[2] == 0 && counts[1] + counts[3] == 400)
        for member in 0..<4 { world.groups[0].apply(.down(member: member), now: world.now) }
        counts = world.counts(400)
        #expect(counts[0] == 0 && counts[2] == 0 && counts[1] + counts[3] == 400)
        for member in 0..<4 { world.groups[0].setWeight(member, 0) }
        #expect(world.pick() == .noMember)
    }

    @Test(arguments: policies) func `one member is chosen, healthy or not`(_ policy: GroupPolicy) {
        var world = World(.of(policy, [1]))
        #expect(world.counts(10) == [10])
        world.spread([.ejected(member: 0, until: .never)])
        #expect(world.counts(10) == [10] && world.groups[0].isPanicking)
        var tried = Tried()
        tried.insert(0)
        #expect(world.pick(tried: tried) == .noMember)
    }

    @Test(arguments: policies) func `a group of nobody has nobody`(_ policy: GroupPolicy) {
        var world = World(.of(policy, []), workers: 2)
        #expect(world.pick() == .noMember && world.pick(1) == .noMember)
    }

    @Test(arguments: policies) func `all ejected: all are used`(_ policy: GroupPolicy) {
        var world = World(.of(policy, [1, 1, 1, 1]) { $0.members[3].isBackup = true })
        for member in 0..<4 {
            world.spread([.ejected(member: member, until: world.now.adding(milliseconds: 60_000))])
        }
        var counts = [0, 0, 0, 0]
        for number in 0..<400 {
            guard case .member(let member) = world.pick(key: RandomSource.key(number)) else { continue }
            counts[member] += 1
            // Those that are chosen are loaded, so that the first one cannot take all.
            if world.groups[0].active(member) < 50 { world.groups[0].began(member) }
            if world.groups[0].active(member) == 50 { world.groups[0].setFull(member, true) }
        }
        #expect(counts.allSatisfy { $0 > 0 })
        world.spread([.up(member: 1, at: world.now)])
        #expect(!world.isHealthy(1))
    }

    @Test func `below the panic threshold all are used, at it only the healthy ones`() {
        var world = World(.of(.roundRobin, Array(repeating: 1, count: 10)) { $0.panicPercent = 30 })
        for member in 0..<7 { world.spread([.down(member: member)]) }
        #expect(world.counts(30) == [0, 0, 0, 0, 0, 0, 0, 10, 10, 10] && !world.groups[0].isPanicking)
        world.spread([.down(member: 7)])
        #expect(world.counts(30) == Array(repeating: 3, count: 10) && world.groups[0].isPanicking)
        world.spread([.up(member: 7, at: world.now)])
        #expect(world.counts(30)[0] == 0)
    }

    @Test(arguments: policies) func `a backup is used only while no primary can be`(_ policy: GroupPolicy) {
        var world = World(.of(policy, [1, 1, 1]) { $0.members[2].isBackup = true })
        #expect(world.counts(100)[2] == 0)
        world.spread([.down(member: 0)])
        #expect(world.counts(100) == [0, 100, 0])
        world.spread([.down(member: 1)])
        #expect(world.counts(100) == [0, 0, 100] && !world.groups[0].isPanicking)
        world.spread([.up(member: 0, at: world.now)])
        #expect(world.counts(100) == [100, 0, 0])
    }

    @Test(arguments: policies) func `a backup does not take over from primaries at their limits`(
        _ policy: GroupPolicy
    ) {
        var world = World(
            .of(policy, [1, 1]) {
                $0.members[0].connectionsMax = 1
                $0.members[1].isBackup = true
            }
        )
        world.groups[0].began(0)
        #expect(world.pick() == .allAtLimit)
        // But of a request that failed there.
        var tried = Tried()
        tried.insert(0)
        #expect(world.pick(tried: tried) == .member(1))
    }

    @Test(arguments: policies) func `a retry goes to members that were not tried, until none is left`(
        _ policy: GroupPolicy
    ) {
        var world = World(.of(policy, Array(repeating: 1, count: NamedGroup.attemptsMax)))
        var tried = Tried()
        while case .member(let member) = world.pick(key: 5, tried: tried) {
            #expect(!tried.contains(member))
            tried.insert(member)
        }
        #expect(tried.isFull && world.pick(tried: tried) == .noMember)
    }

    @Test func `a set of tried members holds what was put in, once`() {
        var tried = Tried()
        #expect(!tried.contains(0) && tried.count == 0)
        for member in [1023, 0, 1023, 7] { tried.insert(member) }
        #expect(tried.count == 3 && tried.contains(0) && tried.contains(1023) && tried.contains(7))
        #expect(!tried.contains(1) && !tried.contains(1022))
    }

    @Test(arguments: policies) func `who is not to be dialed is chosen only when nobody else is there`(
        _ policy: GroupPolicy
    ) {
        var world = World(.of(policy, [1, 1]))
        let later = world.now.adding(milliseconds: 500)
        world.spread([.backOff(member: 0, until: later)])
        #expect(world.counts(100) == [0, 100] && world.groups[0].dialAfter(0) == later)
        // One at its limit is somebody: a slot there comes sooner than a dial that fails.
        world.groups[0].setFull(1, true)
        #expect(world.pick() == .allAtLimit)
        world.groups[0].setFull(1, false)
        var tried = Tried()
        tried.insert(1)
        #expect(world.pick(tried: tried) == .member(0))
        world.spread([.backOff(member: 1, until: later)])
        #expect(world.counts(100).reduce(0, +) == 100)
        world.wait(500)
        #expect(world.groups[0].dialAfter(0) <= world.now)
    }

    @Test(arguments: [GroupPolicy.roundRobin, .leastConnections, .hash])
    func `weights changed at run time count from the next request on`(_ policy: GroupPolicy) {
        var world = World(.of(policy, [1000, 1, 1]))
        _ = world.counts(501)
        for (member, weight) in [(0, 1), (1, 2), (2, 3)] { world.groups[0].setWeight(member, weight) }
        var counts = [0, 0, 0]
        for number in 0..<6000 {
            guard case .member(let member) = world.pick(key: RandomSource.key(number)) else { continue }
            counts[member] += 1
            if policy == .leastConnections { world.groups[0].began(member) }
            // No debt of the old weights gives anybody turns in a row.
            if policy == .roundRobin, number == 5 { #expect(counts == [1, 2, 3]) }
        }
        if policy == .hash {
            #expect(ChiSquare.fits(counts, [1, 2, 3]))
        } else {
            #expect(counts == [1000, 2000, 3000])
        }
        #expect((0..<3).map { world.groups[0].weight($0) } == [1, 2, 3])
    }
}
