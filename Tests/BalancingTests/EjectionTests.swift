// EjectionTests.swift: what ejects a member and for how long, and how it comes back.
import Balancing
import Model
import Testing

struct EjectionTests {
    private func world(
        _ weights: [Int] = [1, 1, 1, 1],
        workers: Int = 1,
        seed: UInt64 = 1,
        _ change: (inout NamedGroup) -> Void = { _ in }
    ) -> World {
        World(.of(.roundRobin, weights, change), workers: workers, seed: seed)
    }

    static let failures: [(result: MemberResult, count: Int)] = [
        (.dialFailed, 3), (.tlsFailed, 3), (.cutShort, 5), (.timedOut, 5), (.malformed, 5),
        (.replied(status: 503), 5), (.replied(status: 500), 5),
    ]

    @Test(arguments: failures) func `so many failures in a row eject a member, for every worker`(
        _ result: MemberResult,
        _ count: Int
    ) {
        var world = world(workers: 3) { $0.ejection.statuses = [500...500, 502...504] }
        for number in 1...count {
            #expect((0..<3).allSatisfy { world.groups[$0].isHealthy(2, now: world.now) })
            world.tell(result, 2, worker: number % 3)
        }
        #expect((0..<3).allSatisfy { !world.groups[$0].isHealthy(2, now: world.now) })
        for worker in 0..<3 { #expect(world.counts(30, worker: worker)[2] == 0) }
    }

    @Test(arguments: [
        MemberResult.stale, .raceLost, .notItsFault, .replied(status: 501), .replied(status: 404), .dialed,
    ])
    func `what is no failure of the member never counts, and is not told to the ledger`(
        _ result: MemberResult
    ) {
        var world = world { $0.ejection.statuses = [500...500, 502...504] }
        #expect(!world.groups[0].isNews(result, of: 0))
        for _ in 0..<100 { world.ledger.record(result, of: 0, now: world.now, news: &world.news) }
        #expect(world.news.isEmpty && world.ledger.ejectedCount(world.now) == 0)
        // Nor does it interrupt a row of failures; a reply does, as the next test shows.
        if case .replied = result { return }
        for _ in 0..<5 {
            world.tell(.cutShort, 0)
            world.ledger.record(result, of: 0, now: world.now, news: &world.news)
        }
        #expect(!world.isHealthy(0))
    }

    @Test func `a success ends the row of its own kind, and only suspects have theirs told`() {
        var world = world()
        for _ in 0..<50 {
            #expect(world.tell(.replied(status: 200), 0).isEmpty)
            for _ in 0..<4 { world.tell(.cutShort, 0) }
            // A dial says nothing about replies.
            #expect(!world.groups[0].isNews(.dialed, of: 0))
            world.tell(.replied(status: 200), 0)
        }
        #expect(world.isHealthy(0) && !world.groups[0].isNews(.replied(status: 200), of: 0))
        for _ in 0..<4 { world.tell(.cutShort, 0) }
        for _ in 0..<2 { world.tell(.dialFailed, 0) }
        world.tell(.dialed, 0)
        for _ in 0..<2 { world.tell(.dialFailed, 0) }
        #expect(world.isHealthy(0))
        world.tell(.cutShort, 0)
        #expect(!world.isHealthy(0))
    }

    @Test func `a kind that is set to 0 never ejects`() {
        var world = world {
            $0.ejection.dialFailures = 0
            $0.ejection.replyFailures = 0
        }
        for _ in 0..<100 {
            world.tell(.dialFailed, 0)
            world.tell(.cutShort, 0)
        }
        #expect(world.isHealthy(0))
    }

    @Test(arguments: [0, 10, 30, 50, 75, 100]) func `at most the set share is ejected`(_ percent: Int) {
        var world = world(Array(repeating: 1, count: 10)) { $0.ejection.ejectedPercentMax = percent }
        for _ in 0..<20 { for member in 0..<10 { world.tell(.dialFailed, member) } }
        let expected = [0: 0, 10: 1, 30: 3, 50: 5, 75: 7, 100: 10][percent]
        #expect(world.ledger.ejectedCount(world.now) == expected && world.ledger.ejectedMax == expected)
        // One that was refused is next when there is room.
        let refused = (0..<10).filter { world.isHealthy($0) }
        guard let first = refused.first, percent > 0 else { return }
        world.wait(33_001)
        #expect(world.ledger.ejectedCount(world.now) == 0)
        world.tell(.dialFailed, first)
        #expect(!world.isHealthy(first))
    }

    @Test func `of two members one may be ejected even by a small share`() {
        var world = world([1, 1]) { $0.ejection.ejectedPercentMax = 1 }
        for _ in 0..<5 { for member in 0..<2 { world.tell(.cutShort, member) } }
        #expect(world.ledger.ejectedCount(world.now) == 1)
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func `each ejection takes twice as long, up to the longest, jittered`(
        _ seed: UInt64
    ) {
        var world = world(seed: seed)
        var times: [Int] = []
        for _ in 0..<7 {
            while world.isHealthy(0) { world.tell(.dialFailed, 0) }
            guard case .ejected(_, let until) = world.news.last(where: \.isEjection) else { return }
            times.append(Int(until.microseconds(since: world.now) / 1000))
            world.now = until
        }
        for (time, base) in zip(times, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000]) {
            #expect(base - base / 10...base + base / 10 ~= time)
        }
        // For each time of the first one spent well, one doubling is forgotten.
        world.wait(3 * 30_000)
        while world.isHealthy(0) { world.tell(.dialFailed, 0) }
        guard case .ejected(_, let until) = world.news.last(where: \.isEjection) else { return }
        #expect(270_000...330_000 ~= Int(until.microseconds(since: world.now) / 1000))
        world.now = until.adding(milliseconds: 7 * 30_000)
        while world.isHealthy(0) { world.tell(.dialFailed, 0) }
        guard case .ejected(_, let last) = world.news.last(where: \.isEjection) else { return }
        #expect(27_000...33_000 ~= Int(last.microseconds(since: world.now) / 1000))
    }

    @Test func `times of different members and processes differ`() {
        var ends: Set<Instant> = []
        for seed in 0..<20 as Range<UInt64> {
            var world = world(seed: seed)
            for member in 0..<3 { for _ in 0..<3 { world.tell(.dialFailed, member) } }
            for case .ejected(_, let until) in world.news { ends.insert(until) }
        }
        #expect(ends.count > 55)
    }

    @Test func `after an ejection one failure is enough, until a success`() {
        var world = world()
        for _ in 0..<5 { world.tell(.cutShort, 0) }
        world.wait(33_001)
        #expect(world.isHealthy(0))
        world.tell(.cutShort, 0)
        #expect(!world.isHealthy(0))
        world.wait(66_001)
        world.tell(.replied(status: 200), 0)
        for _ in 0..<4 { world.tell(.cutShort, 0) }
        #expect(world.isHealthy(0))
    }

    @Test func `what was under way when a member was ejected changes nothing`() {
        var world = world()
        for _ in 0..<5 { world.tell(.cutShort, 0) }
        let before = world.news.filter(\.isEjection)
        for _ in 0..<50 {
            world.tell(.cutShort, 0)
            world.tell(.replied(status: 200), 0)
            world.tell(.dialFailed, 0)
            world.tell(.dialed, 0)
        }
        #expect(world.news.filter(\.isEjection) == before && !world.isHealthy(0))
        world.wait(33_001)
        world.tell(.cutShort, 0)
        #expect(!world.isHealthy(0))
    }

    @Test(arguments: 0..<8 as Range<UInt64>) func `back-off doubles, is jittered, and a dial ends it`(
        _ seed: UInt64
    ) {
        var world = world(workers: 2, seed: seed) { $0.ejection.dialFailures = 0 }
        for base in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            world.tell(.dialFailed, 0)
            let until = world.groups[1].dialAfter(0)
            #expect(base - base / 5...base + base / 5 ~= Int(until.microseconds(since: world.now) / 1000))
            // Dials that were under way together count once.
            for _ in 0..<10 { #expect(world.tell(.dialFailed, 0).isEmpty) }
            world.now = until
        }
        world.tell(.dialFailed, 0)
        #expect(world.groups[1].dialAfter(0) > world.now)
        world.tell(.dialed, 0, worker: 1)
        #expect(world.groups.allSatisfy { $0.dialAfter(0) <= world.now && !$0.isNews(.dialed, of: 0) })
        world.tell(.dialFailed, 0)
        #expect(world.groups[0].dialAfter(0) <= world.now.adding(milliseconds: 120))
    }
}

extension HealthNews {
    var isEjection: Bool {
        switch self {
        case .ejected: true
        case .suspect, .down, .up, .backOff: false
        }
    }
}
