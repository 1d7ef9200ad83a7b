// WorldTests.swift: the engine in simulated worlds, and the checkers against worlds that are broken on
// purpose.
import Model
import Testing

@testable import Simulation

@Suite struct WorldTests {
    private static let batchSeeds: UInt64 = 10

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `no rule is broken in any world`(batch: UInt64) {
        for seed in batch * Self.batchSeeds..<(batch + 1) * Self.batchSeeds {
            let verdict = SimWorld(seed: seed).run()
            #expect(verdict.violations == [], "outrigger simulate --seeds \(seed)..\(seed)")
            #expect(verdict.requests > 0 || verdict.steps > 0)
        }
    }

    @Test(arguments: Sabotage.allCases)
    func `a checker reports the rule that is broken on purpose`(sabotage: Sabotage) {
        let seeds = 0..<(sabotage.isOfPins ? 60 : 200) as Range<UInt64>
        let seen = seeds.first { seed in
            // Others have nothing that could be broken, or take long.
            let groups = Scenario(seed: seed).groups
            if sabotage.isOfGroups ? groups == nil : groups?.long != nil { return false }
            return SimWorld(seed: seed, sabotage: sabotage).run().violations.contains {
                $0.checker == sabotage.checker
            }
        }
        guard let seen else {
            Issue.record("\(sabotage.checker) saw nothing of \(sabotage) in seeds \(seeds)")
            return
        }
        #expect(SimWorld(seed: seen).run().violations == [], "seed \(seen) is broken without sabotage too")
    }

    @Test func `every checker has a canary`() {
        let canaries = Set(Sabotage.allCases.map(\.checker))
        #expect(canaries == Set(allCheckers().map { type(of: $0).name }))
    }

    @Test(arguments: [1, 7, 23] as [UInt64])
    func `the same seed gives the same run`(seed: UInt64) {
        let first = SimWorld(seed: seed, traceLinesMax: 100_000).run()
        let second = SimWorld(seed: seed, traceLinesMax: 100_000).run()
        #expect(first.digest == second.digest)
        #expect(first.trace == second.trace)
        #expect(first.digest != SimWorld(seed: seed + 1).run().digest)
    }

    @Test func `the worlds are as varied as the rules need`() {
        var sum = Verdict()
        var seconds = 0
        for seed in 0..<200 as Range<UInt64> {
            let verdict = SimWorld(seed: seed).run()
            sum.reuses += verdict.reuses
            sum.retries += verdict.retries
            sum.held += verdict.held
            sum.pins.add(verdict.pins)
            sum.groups.add(verdict.groups)
            seconds = max(seconds, verdict.seconds)
            for index in sum.outcomes.indices { sum.outcomes[index] += verdict.outcomes[index] }
        }
        #expect(sum.reuses > 0)
        #expect(sum.retries > 20)
        #expect(sum.held > 200, "\(sum.held)")
        let rare = sum.outcomes.enumerated().filter { $0.element == 0 }.map(\.offset)
        // Faults of our own do not happen.
        let impossible: Set = [23]
        #expect(Set(rare).subtracting(impossible).isEmpty, "no stream ended with outcome \(rare)")
        let pins = sum.pins
        #expect(pins.made > 500 && pins.lost > 200 && pins.expired > 120, "\(pins)")
        #expect(pins.unpinned > 35 && pins.orphaned > 30 && pins.moved > 120 && pins.gone > 40, "\(pins)")
        let groups = sum.groups
        #expect(groups.ejections > 200 && groups.downs > 8 && groups.backOffs > 100, "\(groups)")
        #expect(groups.retries > 150 && groups.panics > 100 && groups.backups > 50, "\(groups)")
        #expect(groups.checks > 150 && groups.choices > 3000, "\(groups)")
        #expect(groups.recoveries > 8 && groups.windows > 2, "\(groups)")
        #expect(seconds > 3 * 3600, "no world has lasted for hours")
        for outcome in [Outcome.pinLost, .pinMismatch, .pinBusy] {
            #expect(sum.outcomes[outcome.rawValue] > 10, "\(outcome)")
        }
    }
}
