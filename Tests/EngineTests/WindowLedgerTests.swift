// WindowLedgerTests.swift: how much one session may have under way beside others. Source: WindowLedger.swift.
import Engine
import Model
import Testing

struct WindowLedgerTests {
    /// Upstreams: how many they work on at a time, and how long each takes.
    static let bounded = [(1, 500), (4, 2000), (16, 10_000), (64, 20_000), (16, 40_000)]
    static let seeds: [UInt64] = Array(1...8)

    @Test(arguments: bounded, seeds)
    func `others have their replies within twice the time that they take alone`(
        upstream: (servers: Int, microseconds: Int),
        seed: UInt64
    ) {
        var model = WindowModel(
            others: 63,
            servers: upstream.servers,
            serviceMicroseconds: upstream.microseconds,
            seed: seed
        )
        model.run(milliseconds: 2000)
        let alone = model.times.percentile(99)
        model.greed = 1000
        model.run(milliseconds: 15_000)
        let beside = model.times.percentile(99)
        #expect(beside <= 2 * alone, "\(beside) beside, \(alone) alone")
        // Nobody is starved for it: there is work for more than the least window has.
        #expect(model.greedyReplies * 63 >= model.times.count * 8)
    }

    @Test(arguments: seeds)
    func `without windows they would not`(seed: UInt64) {
        var model = WindowModel(others: 63, servers: 16, serviceMicroseconds: 10_000, seed: seed)
        model.run(milliseconds: 2000)
        let alone = model.times.percentile(99)
        // As many sessions more, each with one: nobody has many.
        var crowd = WindowModel(others: 1063, servers: 16, serviceMicroseconds: 10_000, seed: seed)
        crowd.run(milliseconds: 2000)
        #expect(crowd.times.percentile(99) > 8 * alone)
    }

    @Test(arguments: [20_000, 100_000], seeds)
    func `an upstream that can do any number at once is given as much as there is`(
        microseconds: Int,
        seed: UInt64
    ) {
        var model = WindowModel(others: 63, servers: .max, serviceMicroseconds: microseconds, seed: seed)
        model.run(milliseconds: 2000)
        model.greed = 500
        model.run(milliseconds: 6000)
        model.run(milliseconds: 15_000)
        let most = 500 * 15_000_000 / microseconds
        #expect(model.greedyReplies * 10 >= most * 7, "\(model.greedyReplies) of \(most)")
    }

    @Test(arguments: [(1, 16, 20_000), (2, 8, 40_000), (4, 8, 40_000), (8, 8, 40_000)], seeds)
    func `others that are few have their replies in time as well`(
        upstream: (others: Int, servers: Int, microseconds: Int),
        seed: UInt64
    ) {
        var model = WindowModel(
            others: upstream.others,
            servers: upstream.servers,
            serviceMicroseconds: upstream.microseconds,
            seed: seed
        )
        model.run(milliseconds: 30_000)
        let alone = model.times.percentile(99)
        model.greed = 1000
        model.run(milliseconds: 30_000)
        let beside = model.times.percentile(99)
        #expect(beside <= 2 * alone, "\(beside) beside, \(alone) alone")
    }

    @Test func `others that are few hold nobody back for long`() {
        var model = WindowModel(others: 1, servers: .max, serviceMicroseconds: 200_000, seed: 1)
        model.greed = 500
        model.run(milliseconds: 5000)
        model.run(milliseconds: 20_000)
        #expect(model.greedyReplies * 10 >= 500 * 100 * 7, "\(model.greedyReplies)")
    }

    // Rule by rule.

    private static func at(_ milliseconds: Int) -> Instant {
        Instant(nanoseconds: 0).adding(milliseconds: milliseconds)
    }

    private static func report(
        _ awaitedMax: Int,
        alone: (Int, UInt64) = (0, 0),
        beside: (Int, UInt64) = (0, 0),
        othersAt: Instant = .never
    ) -> WindowReport {
        var report = WindowReport()
        report.othersAt = othersAt
        report.isFull = awaitedMax > 0
        report.awaitedMax = awaitedMax
        for _ in 0..<alone.0 { report.alone.add(alone.1) }
        for _ in 0..<beside.0 { report.beside.add(beside.1) }
        report.others = report.alone
        for _ in 0..<beside.0 { report.others.add(beside.1) }
        return report
    }

    private static let place = Destination.group(0)

    @Test func `where no session has many, nothing is remembered and no report taken`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let report = Self.report(0, alone: (100, 1000))
        #expect(ledger.exchange(Self.place, report, by: 0, now: Self.at(0)) == nil)
        #expect(ledger.count == 0)
    }

    @Test func `a session by itself is never held back`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        for time in stride(from: 0, to: 60_000, by: 10) {
            let report = Self.report(1000, alone: (9, 1000), othersAt: .longAgo)
            let window = ledger.exchange(Self.place, report, by: 0, now: Self.at(time))
            #expect(window == Window(requestsMax: .max, crowdedSince: .longAgo))
        }
    }

    @Test func `others of another worker count as much as those of the same`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 2)
        let greedy = Self.report(1000, othersAt: .longAgo)
        let open = ledger.exchange(Self.place, greedy, by: 0, now: Self.at(0))
        #expect(open == Window(requestsMax: .max, crowdedSince: .longAgo))
        let other = Self.report(0, alone: (256, 1000), othersAt: Self.at(1))
        let told = ledger.exchange(Self.place, other, by: 1, now: Self.at(1))
        #expect(told == Window(requestsMax: 8, crowdedSince: .longAgo))
        let window = ledger.exchange(Self.place, greedy, by: 0, now: Self.at(2))
        #expect(window == Window(requestsMax: 8, crowdedSince: .longAgo))
    }

    @Test func `others that a worker noted while nobody asked are others at once, for a second`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 2)
        let greedy = Self.report(1000, othersAt: .longAgo)
        let noted = { (worker: Int) in worker == 1 ? Self.at(4500) : .longAgo }
        for (time, size) in [(5000, 8), (5500, 8), (5501, .max)] {
            let window = ledger.exchange(Self.place, greedy, by: 0, now: Self.at(time), noted: noted)
            #expect(window?.requestsMax == size, "after \(time) ms")
        }
    }

    @Test func `what the worker that asks has noted itself does not count: it tells whose replies they were`()
    {
        var ledger = WindowLedger(requestsMin: 8, workers: 2)
        let greedy = Self.report(1000, othersAt: .longAgo)
        let noted = { (worker: Int) in worker == 0 ? Self.at(4990) : .longAgo }
        let window = ledger.exchange(Self.place, greedy, by: 0, now: Self.at(5000), noted: noted)
        #expect(window?.requestsMax == .max)
    }

    @Test func `nor does what was noted while workers were asked: they have said so themselves`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 2)
        let greedy = Self.report(1000, othersAt: .longAgo)
        for (time, size) in [(0, Int.max), (1000, .max), (2000, .max), (3001, 8)] {
            let noted = time == 0 ? .longAgo : Self.at(time - 100)
            let window = ledger.exchange(Self.place, greedy, by: 0, now: Self.at(time)) { _ in noted }
            #expect(window?.requestsMax == size, "after \(time) ms")
        }
    }

    @Test func `the window opens again a second after the last reply to others`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let first = Self.report(9, alone: (256, 1000), othersAt: Self.at(0))
        #expect(ledger.exchange(Self.place, first, by: 0, now: Self.at(0))?.requestsMax == 8)
        let next = Self.report(5, othersAt: Self.at(0))
        #expect(ledger.exchange(Self.place, next, by: 0, now: Self.at(1000))?.requestsMax == 8)
        #expect(ledger.exchange(Self.place, next, by: 0, now: Self.at(1001)) == .open)
    }

    @Test func `so it does at once when they turn out to be the one that has many`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let other = Self.report(9, alone: (256, 1000), othersAt: Self.at(0))
        #expect(ledger.exchange(Self.place, other, by: 0, now: Self.at(0))?.requestsMax == 8)
        let itself = Self.report(9, othersAt: .longAgo)
        #expect(ledger.exchange(Self.place, itself, by: 0, now: Self.at(1))?.requestsMax == .max)
    }

    @Test(arguments: [(600, 1200), (3000, 6000), (60_000, 10_000)])
    func `those whose replies take long are others for twice as long, to ten seconds`(
        _ times: (reply: UInt64, othersFor: Int)
    ) {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let first = Self.report(1000, beside: (1, 1000 * times.reply), othersAt: Self.at(0))
        _ = ledger.exchange(Self.place, first, by: 0, now: Self.at(0))
        let next = Self.report(5, othersAt: Self.at(0))
        let held = ledger.exchange(Self.place, next, by: 0, now: Self.at(times.othersFor))
        #expect(held?.requestsMax != .max)
        #expect(ledger.exchange(Self.place, next, by: 0, now: Self.at(times.othersFor + 1)) == .open)
    }

    @Test(arguments: [(3000, 6000), (5000, 10_000), (10_001, 1000)])
    func `those that come every few seconds are others for twice as long as they stayed away, to ten`(
        _ times: (pause: Int, othersFor: Int)
    ) {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        for time in [0, times.pause] {
            let report = Self.report(9, beside: (1, 1000), othersAt: Self.at(time))
            _ = ledger.exchange(Self.place, report, by: 0, now: Self.at(time))
        }
        let next = Self.report(5, othersAt: Self.at(times.pause))
        let end = times.pause + times.othersFor
        #expect(ledger.exchange(Self.place, next, by: 0, now: Self.at(end))?.requestsMax != .max)
        #expect(ledger.exchange(Self.place, next, by: 0, now: Self.at(end + 1)) == .open)
    }

    @Test func `it grows while it is filled, by a half until it has shrunk, then by an eighth`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        _ = ledger.exchange(Self.place, Self.report(8, alone: (256, 1000)), by: 0, now: Self.at(0))
        var sizes: [Int] = []
        let reports: [(awaited: Int, microseconds: UInt64)] = [
            (8, 1000), (13, 1000), (5, 1000), (20, 1000), (31, 2600), (15, 1000), (17, 1000),
        ]
        for (step, (awaited, microseconds)) in reports.enumerated() {
            let report = Self.report(awaited, beside: (32, microseconds))
            let time = Self.at(50 * (step + 1))
            sizes.append(ledger.exchange(Self.place, report, by: 0, now: time)?.requestsMax ?? 0)
        }
        #expect(sizes == [13, 20, 20, 31, 15, 17, 20])
    }

    @Test func `it shrinks as much as others wait longer than a quarter more, to a half at most`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        _ = ledger.exchange(Self.place, Self.report(8, alone: (256, 1000)), by: 0, now: Self.at(0))
        var window = Window.open
        for step in 1...20 {
            let report = Self.report(1000, beside: (32, 1000))
            window = ledger.exchange(Self.place, report, by: 0, now: Self.at(50 * step)) ?? .open
        }
        #expect(window.requestsMax == 1849)
        var sizes: [Int] = []
        for (step, microseconds) in [1300, 1625, 2600, 9000, 9000, 9000, 9000].enumerated() {
            let report = Self.report(1000, beside: (32, UInt64(microseconds)))
            let time = Self.at(1050 + 50 * step)
            sizes.append(ledger.exchange(Self.place, report, by: 0, now: time)?.requestsMax ?? 0)
        }
        #expect(sizes == [1849, 1479, 739, 369, 184, 92, 46])
    }

    @Test func `few replies say something against it if they took as long as many may`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        _ = ledger.exchange(Self.place, Self.report(8, alone: (256, 1000)), by: 0, now: Self.at(0))
        var sizes: [Int] = []
        let reports: [(awaited: Int, count: Int, microseconds: UInt64)] = [
            // As usual: it grows. Longer, but few: it does not.
            (8, 8, 1000), (13, 8, 1300), (20, 4, 2000), (20, 1, 7000),
            // All together longer than 32 may take.
            (20, 1, 15_000),
            // The next few are looked at anew.
            (10, 31, 1000), (12, 1, 20_000),
        ]
        for (step, (awaited, count, microseconds)) in reports.enumerated() {
            let report = Self.report(awaited, beside: (count, microseconds))
            let time = Self.at(50 * (step + 1))
            sizes.append(ledger.exchange(Self.place, report, by: 0, now: time)?.requestsMax ?? 0)
        }
        #expect(sizes == [13, 20, 20, 20, 11, 13, 10])
    }

    @Test func `it does not grow before others have had a reply since it did`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        _ = ledger.exchange(Self.place, Self.report(8, alone: (256, 1000)), by: 0, now: Self.at(0))
        for time in stride(from: 50, through: 950, by: 50) {
            #expect(ledger.exchange(Self.place, Self.report(8), by: 0, now: Self.at(time))?.requestsMax == 8)
        }
        let report = Self.report(8, beside: (1, 1000))
        #expect(ledger.exchange(Self.place, report, by: 0, now: Self.at(960))?.requestsMax == 13)
    }

    /// A ledger whose window has grown to 161 until `milliseconds`.
    private static func grown(until milliseconds: Int) -> WindowLedger {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        _ = ledger.exchange(place, report(8, alone: (256, 1000)), by: 0, now: at(0))
        for time in stride(from: 50, to: milliseconds, by: 50) {
            let window = ledger.exchange(place, report(100, beside: (32, 1000)), by: 0, now: at(time))
            #expect(time < 350 || window?.requestsMax == 161)
        }
        return ledger
    }

    @Test func `what others take alone is found out anew when they take longer, after ten seconds`() {
        var ledger = Self.grown(until: 10_000)
        let slower = Self.report(100, beside: (32, 2000))
        #expect(ledger.exchange(Self.place, slower, by: 0, now: Self.at(10_000))?.requestsMax == 104)
        // First what is under way has its replies.
        for time in [10_010, 10_060, 10_100] {
            #expect(ledger.exchange(Self.place, slower, by: 0, now: Self.at(time))?.requestsMax == 8)
        }
        // Then others are alone for a while; their last replies come when they are no more.
        let probe = Self.report(8, alone: (16, 1900))
        #expect(ledger.exchange(Self.place, probe, by: 0, now: Self.at(10_150))?.requestsMax == 8)
        let end = Self.report(8, alone: (16, 2000))
        #expect(ledger.exchange(Self.place, end, by: 0, now: Self.at(10_250))?.requestsMax == 104)
        let late = Self.report(104, alone: (16, 2100))
        #expect(ledger.exchange(Self.place, late, by: 0, now: Self.at(10_350))?.requestsMax == 118)
        // From here on 2 ms are usual.
        let usual = Self.report(118, beside: (32, 2400))
        #expect(ledger.exchange(Self.place, usual, by: 0, now: Self.at(10_400))?.requestsMax == 133)
    }

    @Test func `where they do not, it is after a minute`() {
        var ledger = Self.grown(until: 60_000)
        let report = Self.report(100, beside: (32, 1000))
        #expect(ledger.exchange(Self.place, report, by: 0, now: Self.at(60_000))?.requestsMax == 8)
    }

    @Test
    func `before a probe what others wait behind has its replies, which may take as long as two of theirs`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let flooded = Self.report(700, beside: (1, 1_900_000))
        for time in stride(from: 0, through: 3700, by: 100) {
            #expect(ledger.exchange(Self.place, flooded, by: 0, now: Self.at(time))?.requestsMax == 8)
        }
        let drained = Self.report(8, beside: (1, 1_900_000))
        #expect(ledger.exchange(Self.place, drained, by: 0, now: Self.at(3750))?.requestsMax == 8)
        // What they take alone is known then.
        let probe = Self.report(8, alone: (2, 20_000))
        for time in [3760, 4740, 4751, 5740, 5760] {
            #expect(ledger.exchange(Self.place, probe, by: 0, now: Self.at(time))?.requestsMax == 8)
        }
        let slower = Self.report(8, beside: (32, 50_000))
        #expect(ledger.exchange(Self.place, slower, by: 0, now: Self.at(5900))?.requestsMax == 8)
    }

    @Test func `a probe ends though requests under way have no replies, or nobody else has`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1)
        let report = Self.report(100, beside: (1, 1000))
        var sizes: [Int] = []
        for time in stride(from: 0, through: 1300, by: 100) {
            sizes.append(ledger.exchange(Self.place, report, by: 0, now: Self.at(time))?.requestsMax ?? 0)
        }
        #expect(sizes == Array(repeating: 8, count: 12) + [13, 20])
    }

    // What was a while ago.

    @Test func `a session may have had many from the report before the one that says so`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 2)
        _ = ledger.exchange(Self.place, Self.report(1), by: 0, now: Self.at(100))
        for time in [110, 120] {
            let answer = ledger.exchange(Self.place, Self.report(9), by: 0, now: Self.at(time))
            #expect(answer?.crowdedSince == Self.at(100))
        }
        let told = ledger.exchange(Self.place, Self.report(0), by: 1, now: Self.at(500))
        #expect(told?.crowdedSince == Self.at(100))
        var crowd = Crowding()
        crowd.note(true, since: Self.at(100))
        #expect(crowd.wasCrowded(at: Self.at(100)) == true)
        #expect(crowd.wasCrowded(at: Self.at(99)) == false)
    }

    @Test func `what is told to have begun earlier does not change what was known`() {
        var crowd = Crowding()
        crowd.note(true, since: Self.at(10))
        crowd.note(false, since: Self.at(20))
        crowd.note(true, since: Self.at(15))
        #expect(crowd.wasCrowded(at: Self.at(20)) == true)
        #expect(crowd.wasCrowded(at: Self.at(19)) == true)
        #expect(crowd.wasCrowded(at: Self.at(9)) == false)
    }

    @Test func `a reply counts for the time in which its request was sent`() {
        var crowd = Crowding()
        let times = (0...6).map { Self.at(10 * $0) }
        for (index, time) in times.enumerated() where index > 0 { crowd.note(index % 2 == 1, since: time) }
        // It changed at 10, 20 … 60 ms; the last four are remembered.
        #expect(crowd.wasCrowded(at: Self.at(60)) == false)
        #expect(crowd.wasCrowded(at: Self.at(59)) == true)
        #expect(crowd.wasCrowded(at: Self.at(49)) == false)
        #expect(crowd.wasCrowded(at: Self.at(39)) == true)
        #expect(crowd.wasCrowded(at: Self.at(29)) == nil)
    }

    @Test func `what changes and changes back at once has not changed`() {
        var crowd = Crowding()
        crowd.note(true, since: Self.at(10))
        for time in 11...20 {
            crowd.note(false, since: Self.at(time))
            crowd.note(true, since: Self.at(time))
        }
        #expect(crowd.wasCrowded(at: Self.at(10)) == true)
        #expect(crowd.wasCrowded(at: Self.at(9)) == false)
    }

    @Test func `of many destinations the one used longest ago is forgotten`() {
        var ledger = WindowLedger(requestsMin: 8, workers: 1, destinationsMax: 2)
        for group in 0..<3 {
            let report = Self.report(9, alone: (256, 1000))
            _ = ledger.exchange(.group(group), report, by: 0, now: Self.at(group))
        }
        #expect(ledger.count == 2)
        #expect(ledger.exchange(.group(0), Self.report(0), by: 0, now: Self.at(3)) == nil)
        #expect(ledger.exchange(.group(2), Self.report(0), by: 0, now: Self.at(3)) != nil)
    }
}
