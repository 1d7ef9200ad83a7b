// PolicyTests.swift: each policy against its mathematics.
import Balancing
import Model
import Testing

struct PolicyTests {
    @Test func `smooth round robin gives nginx's published sequence for 5, 1, 1`() {
        var world = World(.of(.roundRobin, [5, 1, 1]))
        var sequence = ""
        for _ in 0..<14 {
            if case .member(let member) = world.pick() { sequence += world.settings.members[member].name }
        }
        #expect(sequence == "aabacaaaabacaa")
    }

    @Test(arguments: [
        [1], [1, 1, 1], [5, 1, 1], [3, 2], [1000, 1], [7, 0, 13, 29], [1, 2, 3, 4, 5, 6, 7],
    ])
    func `in each cycle of the round robin each member comes as often as it weighs`(_ weights: [Int]) {
        var world = World(.of(.roundRobin, weights))
        for _ in 0..<5 { #expect(world.counts(weights.reduce(0, +)) == weights) }
    }

    @Test func `workers begin the round robin with different members`() {
        var world = World(.of(.roundRobin, [1, 1, 1]), workers: 4)
        #expect((0..<4).map { world.pick($0) } == [.member(0), .member(1), .member(2), .member(0)])
    }

    @Test(arguments: [[1, 1, 1], [5, 1, 1], [3, 2], [100, 1], [7, 0, 13, 29]])
    func `least connections fills by weight, exactly`(_ weights: [Int]) {
        // Least (active + 1) / weight is D'Hondt's method: k times all weights are given out as k times each.
        var world = World(.of(.leastConnections, weights))
        for round in 1...4 {
            for _ in 0..<weights.reduce(0, +) {
                guard case .member(let member) = world.pick() else { continue }
                world.groups[0].began(member)
            }
            #expect(weights.indices.map { world.groups[0].active($0) } == weights.map { $0 * round })
        }
    }

    @Test func `least connections goes round among equals`() {
        var world = World(.of(.leastConnections, [1, 1, 1]))
        #expect((0..<6).map { _ in world.pick() } == [0, 1, 2, 0, 1, 2].map { Pick.member($0) })
        world.groups[0].began(0)
        #expect((0..<4).map { _ in world.pick() } == [1, 2, 1, 2].map { Pick.member($0) })
    }

    @Test func `of two choices the less loaded one is taken, so that ranks have the chances they must`() {
        // Of n members with different loads the k-th least loaded wins 2 (n - k) of n (n - 1) pairs.
        var world = World(.of(.powerOfTwoChoices, [1, 1, 1, 1, 1]))
        for member in 0..<5 { for _ in 0..<member { world.groups[0].began(member) } }
        #expect(ChiSquare.fits(world.counts(20_000), [8, 6, 4, 2, 0]))
    }

    @Test(arguments: [GroupPolicy.powerOfTwoChoices, .peakEWMA])
    func `among equals two choices are even`(_ policy: GroupPolicy) {
        var world = World(.of(policy, [1, 1, 1, 1, 1, 1]))
        #expect(ChiSquare.fits(world.counts(20_000), [1, 1, 1, 1, 1, 1]))
        // Also where they have to be searched for.
        var tried = Tried()
        tried.insert(2)
        tried.insert(4)
        var counts = [0, 0, 0, 0, 0, 0]
        for _ in 0..<20_000 {
            if case .member(let member) = world.pick(tried: tried) { counts[member] += 1 }
        }
        #expect(ChiSquare.fits(counts, [1, 1, 0, 1, 0, 1]))
    }

    @Test func `two choices weigh their loads`() {
        // 3 / 4 is less than 1 / 1, 4 / 4 is not.
        var world = World(.of(.powerOfTwoChoices, [4, 1]))
        for _ in 0..<2 { world.groups[0].began(0) }
        #expect(world.counts(100) == [100, 0])
        for _ in 0..<2 { world.groups[0].began(0) }
        #expect(world.counts(100) == [0, 100])
    }

    @Test(arguments: [[1, 1, 1, 1], [1, 2, 3, 4], [10, 0, 1], [1000, 500, 250, 125]])
    func `hash shares keys out by weight`(_ weights: [Int]) {
        var world = World(.of(.hash, weights))
        #expect(ChiSquare.fits(world.counts(40_000), weights.map { Double($0) }))
    }

    @Test(arguments: [[1, 1, 1, 1], [1, 2, 3, 4]])
    func `a member that leaves moves its own keys only, to all others by weight`(_ weights: [Int]) {
        var world = World(.of(.hash, weights))
        let keys = (0..<20_000).map { RandomSource.key($0) }
        let before = keys.map { world.pick(key: $0) }
        world.groups[0].setWeight(1, 0)
        var moved = [0, 0, 0, 0]
        for (key, old) in zip(keys, before) {
            let new = world.pick(key: key)
            if old != .member(1) {
                #expect(new == old)
            } else if case .member(let member) = new {
                moved[member] += 1
            }
        }
        let chances = weights.indices.map { $0 == 1 ? 0 : Double(weights[$0]) }
        #expect(ChiSquare.fits(moved, chances))
        world.groups[0].setWeight(1, weights[1])
        #expect(keys.map { world.pick(key: $0) } == before)
    }

    @Test func `a greater weight only draws keys in, a smaller one only gives keys away`() {
        var world = World(.of(.hash, [10, 10, 10]))
        let keys = (0..<20_000).map { RandomSource.key($0) }
        let before = keys.map { world.pick(key: $0) }
        world.groups[0].setWeight(0, 15)
        let after = keys.map { world.pick(key: $0) }
        for (old, new) in zip(before, after) { #expect(new == old || new == .member(0)) }
        // From 7/21 to 9/21 of all: two keys of 21 move.
        let moved = zip(before, after).count { $0 != $1 }
        #expect(ChiSquare.fits([moved, keys.count - moved], [2, 19]))
    }

    @Test func `hash goes by names, not by order or address`() {
        var world = World(.of(.hash, [3, 1, 2]))
        var mirrored = World(.of(.hash, [3, 1, 2]) { $0.members.reverse() })
        var moved = World(
            .of(.hash, [3, 1, 2]) { for index in 0..<3 { $0.members[index].endpoint = .unix(path: [97]) } }
        )
        for number in 0..<1000 {
            let key = RandomSource.key(number)
            guard case .member(let member) = world.pick(key: key) else { continue }
            #expect(mirrored.pick(key: key) == .member(2 - member) && moved.pick(key: key) == .member(member))
        }
    }

    @Test func `keys are the same numbers in every version`() {
        let texts = ["", "a", "origin.example", "http://origin.example/a/rather/long/path?and=query"]
        let numbers: [UInt64] = [
            6_727_275_488_240_365_865, 468_553_792_192_585_932, 6_167_445_042_481_479_455,
            9_964_182_602_008_715_336,
        ]
        #expect(texts.map { HashKey.of(Array($0.utf8).span) } == numbers)
    }

    @Test func `first goes on to the next member at a limit, and back`() {
        var world = World(
            .of(.first, [1, 1, 1]) { for index in 0..<3 { $0.members[index].connectionsMax = 2 } }
        )
        var chosen: [Pick] = []
        for _ in 0..<7 {
            let pick = world.pick()
            chosen.append(pick)
            if case .member(let member) = pick { world.groups[0].began(member) }
        }
        #expect(chosen == [0, 0, 1, 1, 2, 2].map { Pick.member($0) } + [.allAtLimit])
        world.groups[0].ended(1)
        #expect(world.pick() == .member(1))
        world.groups[0].ended(0)
        #expect(world.pick() == .member(0))
    }
}
