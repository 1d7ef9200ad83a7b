// LatencyTests.swift: peak EWMA, the curves under it, and the random source.
import Glibc
import Model
import Testing

@testable import Balancing

struct LatencyTests {
    @Test func `logarithm and decay are right to 13 digits`() {
        var random = RandomSource(seed: 3)
        for number in 1...20_000 {
            let even = (Double(random.next() >> 12) + 0.5) * 0x1p-52
            let log = Glibc.log(even)
            #expect(abs(Curve.logarithm(even) - log) <= 1e-13 * abs(log))
            let value = Double(number) / 1000 * even
            #expect(abs(Curve.decay(value) - Glibc.exp(-value)) <= 1e-13 * Glibc.exp(-value))
        }
        #expect(Curve.logarithm(1) == 0 && Curve.decay(0) == 1 && Curve.decay(1e300) == 0)
        #expect(Curve.logarithm(0x1p-53) == Glibc.log(0x1p-53))
    }

    /// Two members; which is chosen tells which load is less.
    private func world() -> World { World(.of(.peakEWMA, [1, 1]) { $0.decayMilliseconds = 1000 }) }

    @Test func `a longer latency counts at once, a shorter one by the time since`() {
        var group = world().groups[0]
        let start = Instant(nanoseconds: 5_000_000_000)
        group.replied(0, afterMicroseconds: 1000, now: start)
        #expect(group.members[0].cost == 1_000_000)
        group.replied(0, afterMicroseconds: 9000, now: start.adding(milliseconds: 1))
        #expect(group.members[0].cost == 9_000_000)
        group.replied(0, afterMicroseconds: 1000, now: start.adding(milliseconds: 1001))
        let expected = 9e6 * Glibc.exp(-1.0) + 1e6 * (1 - Glibc.exp(-1.0))
        #expect(abs(group.members[0].cost - expected) < 1)
    }

    @Test func `the load is latency times requests, with this one`() {
        var world = world()
        for (member, latency) in [(0, UInt64(1000)), (1, 3000)] {
            world.groups[0].replied(member, afterMicroseconds: latency, now: world.now)
        }
        // 1 ms for each of 2, then 3, against 3 ms.
        for _ in 0..<2 {
            #expect(world.counts(50) == [50, 0])
            world.groups[0].began(0)
        }
        world.groups[0].began(0)
        #expect(world.counts(50) == [0, 50])
    }

    @Test func `an unknown member gets one request, and no other before its reply`() {
        var world = world()
        world.groups[0].replied(0, afterMicroseconds: 1000, now: world.now)
        for _ in 0..<100 { world.groups[0].began(0) }
        #expect(world.pick() == .member(1))
        world.groups[0].began(1)
        #expect(world.counts(100) == [100, 0])
        world.groups[0].replied(1, afterMicroseconds: 1000, now: world.now)
        #expect(world.counts(100) == [0, 100])
    }

    @Test func `the slow one of five gets little, and its share back when it is fast again`() {
        var world = World(.of(.peakEWMA, [1, 1, 1, 1, 1]))
        let slow = [1000, 1000, 100_000, 1000, 1000]
        let before = world.share(slow, milliseconds: 20_000)
        #expect(before[2] * 100 < before.reduce(0, +) && before[2] > 0)
        #expect(before.enumerated().allSatisfy { $0.offset == 2 || $0.element * 5 > before.reduce(0, +) })
        _ = world.share([1000, 1000, 1000, 1000, 1000], milliseconds: 60_000)
        let after = world.share([1000, 1000, 1000, 1000, 1000], milliseconds: 20_000)
        #expect(after[2] * 7 > after.reduce(0, +), "\(before), \(after)")
    }

    @Test func `numbers below a count are even`() {
        var random = RandomSource(seed: 9)
        var counts = Array(repeating: 0, count: 10)
        for _ in 0..<50_000 { counts[random.below(10)] += 1 }
        #expect(ChiSquare.fits(counts, Array(repeating: 1, count: 10)))
        for _ in 0..<1000 { #expect(900...1100 ~= random.jittered(milliseconds: 1000, percent: 10)) }
    }
}

extension World {
    /// One request a millisecond goes to the group; each stays for the latency of its member, half as much
    /// more or less. Latencies are microseconds.
    /// - Returns: how often each member was chosen.
    mutating func share(_ latencies: [Int], milliseconds: Int) -> [Int] {
        var counts = latencies.map { _ in 0 }
        var open: [(member: Int, latency: Int, ends: Int)] = []
        for tick in 0..<milliseconds {
            wait(1)
            for (member, latency, _) in open.filter({ $0.ends <= tick }) {
                groups[0].replied(member, afterMicroseconds: UInt64(latency), now: now)
                groups[0].ended(member)
            }
            open.removeAll { $0.ends <= tick }
            guard case .member(let member) = pick() else { continue }
            counts[member] += 1
            groups[0].began(member)
            let latency = random.jittered(milliseconds: latencies[member], percent: 50)
            open.append((member, latency, tick + (latency + 999) / 1000))
        }
        for (member, _, _) in open { groups[0].ended(member) }
        return counts
    }
}
