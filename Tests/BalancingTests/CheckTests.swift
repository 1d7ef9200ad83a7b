// CheckTests.swift: checks beside the requests: when, of whom, and what their results come to.
import Balancing
import Model
import Testing

struct CheckTests {
    private func world(
        _ count: Int = 4,
        seed: UInt64 = 1,
        _ change: (inout CheckSettings) -> Void = { _ in }
    ) -> World {
        var check = CheckSettings(kind: .http)
        change(&check)
        return World(.of(.roundRobin, Array(repeating: 1, count: count)) { $0.check = check }, seed: seed)
    }

    @Test func `without checks none is ever due`() {
        var world = World(.of(.roundRobin, [1, 1]))
        world.wait(1_000_000_000)
        #expect(world.ledger.nextCheckAt == .never && world.ledger.checkDue(now: world.now) == nil)
        #expect(world.check(0, false).isEmpty)
    }

    @Test func `fall failed checks in a row make a member down, rise passed ones make it up`() {
        var world = world {
            $0.rise = 2
            $0.fall = 3
        }
        let rows: [(isPassed: Bool, isHealthy: Bool)] = [
            (false, true), (false, true), (true, true), (false, true), (false, true), (false, false),
            (false, false),
            (true, false), (false, false), (true, false), (true, true), (false, true),
        ]
        for (step, row) in rows.enumerated() {
            world.check(1, row.isPassed)
            #expect(world.isHealthy(1) == row.isHealthy, "\(step)")
        }
        #expect(world.news == [.down(member: 1), .up(member: 1, at: world.now)])
    }

    @Test func `a member has to be up and not ejected`() {
        var world = world { $0.fall = 1 }
        for _ in 0..<3 { world.tell(.dialFailed, 0) }
        world.check(0, false)
        world.wait(33_001)
        #expect(!world.isHealthy(0))
        for _ in 0..<2 { world.check(0, true) }
        #expect(world.isHealthy(0))
        world.tell(.dialFailed, 0)
        for _ in 0..<5 { world.check(0, true) }
        #expect(!world.isHealthy(0))
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `first checks are spread over an interval, and none is due twice`(
        _ seed: UInt64
    ) {
        var world = world(100, seed: seed)
        let start = world.now
        var counts = [0, 0, 0, 0, 0]
        var seen: Set<Int> = []
        while world.ledger.nextCheckAt < .never {
            let next = world.ledger.nextCheckAt
            #expect(world.ledger.checkDue(now: Instant(nanoseconds: next.nanoseconds - 1)) == nil)
            world.now = next
            guard let member = world.ledger.checkDue(now: world.now) else { break }
            #expect(seen.insert(member).inserted)
            counts[min(4, Int(world.now.microseconds(since: start) / 1_000_000))] += 1
        }
        #expect(seen.count == 100 && world.now < start.adding(milliseconds: 5000))
        #expect(ChiSquare.fits(counts, [1, 1, 1, 1, 1]))
    }

    @Test func `over hours each member is checked once in an interval, and they do not fall into step`() {
        var world = world(5)
        let end = world.now.adding(milliseconds: 6 * 3_600_000)
        var last: [Instant?] = Array(repeating: nil, count: 5)
        var counts = [0, 0, 0, 0, 0]
        var pairs = 0
        var before = Instant(nanoseconds: 0)
        while world.ledger.nextCheckAt < end {
            world.now = world.ledger.nextCheckAt
            guard let member = world.ledger.checkDue(now: world.now) else { break }
            if let last = last[member] {
                #expect(4500...5500 ~= Int(world.now.microseconds(since: last) / 1000))
            }
            last[member] = world.now
            counts[member] += 1
            pairs += world.now.microseconds(since: before) < 100_000 ? 1 : 0
            before = world.now
            world.check(member, true)
        }
        #expect(counts.allSatisfy { 4250...4390 ~= $0 }, "\(counts)")
        // Times that have nothing to do with each other are within 0.1 s of the last one in 10 % of the
        // cases.
        #expect(pairs * 100 / counts.reduce(0, +) < 13)
    }

    @Test(arguments: [(199, false), (200, true), (204, true), (399, true), (400, false), (503, false)])
    func `statuses that pass are those that are set`(_ status: Int, _ isPassed: Bool) {
        #expect(HealthLedger.isPassed(status, CheckSettings(kind: .http)) == isPassed)
    }
}
