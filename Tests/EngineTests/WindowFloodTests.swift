// WindowFloodTests.swift: a session that sends a flood at once, few others beside it or at another worker: engines, the real
// ledger between them, and an upstream that works on so many requests at a time. Source: SessionWindows.swift.
import Balancing
import Model
import Testing

@testable import Engine

/// Where the others are, and what their upstream is like.
struct FloodCase: CustomTestStringConvertible, Sendable {
    var others = 3
    var isElsewhere = false
    /// Requests name an endpoint before the upstream's, which refuses.
    var isFirstDead = false
    /// The upstream closes each connection behind its reply.
    var isClosing = false
    /// How long each of the others waits before it sends its next request.
    var pauseMilliseconds = 0

    var testDescription: String {
        let place = isElsewhere ? "at another worker" : "at the same"
        return
            "\(others) \(place)\(isFirstDead ? ", first endpoint dead" : "")\(isClosing ? ", closing" : "")"
    }
}

/// The ledger between workers, as threads have it.
private final class SharedLedger {
    var ledger: WindowLedger
    var askedUntil = Instant.longAgo
    /// By worker and destination.
    var notedAt: [[UInt64: Instant]]

    init(workers: Int) {
        ledger = WindowLedger(requestsMin: Limits().sessionWindowMin, workers: workers)
        notedAt = Array(repeating: [:], count: workers)
    }
}

/// One worker's way to it. The worker itself believes that it is number 0.
private final class SharedLedgerOfWorker: LocalWindows {
    private let shared: SharedLedger
    private let worker: Int

    init(_ shared: SharedLedger, worker: Int) {
        self.shared = shared
        self.worker = worker
    }

    override func isAsked(now: Instant) -> Bool { shared.askedUntil > now }

    override func noteOthers(at fingerprint: UInt64, by _: Int, now: Instant) {
        shared.notedAt[worker][fingerprint] = now
    }

    override func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by _: Int,
        now: Instant
    ) -> Window? {
        if report.isFull {
            shared.askedUntil = now.adding(milliseconds: WindowLedger.silenceMilliseconds)
        }
        return shared.ledger.exchange(destination, report, by: worker, now: now) {
            shared.notedAt[$0][destination.fingerprint] ?? .longAgo
        }
    }
}

/// One or two workers, one upstream. Session 0 of worker 0 is the one that floods it.
private struct Flood {
    private struct Place: Hashable {
        var rig: Int
        /// Of a socket or a session.
        var number: Int
    }

    private static let servers = 8
    private static let serviceMilliseconds = 10...30

    private let flood: FloodCase
    private let rigs: [Rig]
    /// Requests that the upstream has, first come first served, and until when it works on the first ones.
    private var waiting: [Place] = []
    private var served: [(place: Place, until: Int)] = []
    private var now = 0
    private var random = RandomSource(seed: 7)
    private var lastStream: [Place: UInt32] = [:]
    private var askedAt: [Place: Int] = [:]
    /// Of the others those that pause, and until when.
    private var pausing: [(place: Place, until: Int)] = []
    private var heard: [Int]
    /// Times of the others, milliseconds.
    private(set) var times: [Int] = []
    private(set) var greedyReplies = 0

    init(_ flood: FloodCase, windowMin: Int = Limits().sessionWindowMin) {
        self.flood = flood
        let count = flood.isElsewhere ? 2 : 1
        let shared = SharedLedger(workers: count)
        var limits = Limits()
        limits.sessionWindowMin = windowMin
        rigs = (0..<count).map { Rig(limits, windows: SharedLedgerOfWorker(shared, worker: $0)) }
        heard = Array(repeating: 0, count: count)
        for rig in rigs { for _ in 0...flood.others { rig.greet() } }
    }

    /// The others begin.
    mutating func begin() {
        for session in 1...flood.others { ask(Place(rig: rigs.count - 1, number: session)) }
    }

    /// Everybody sends the next request as soon as it has its reply.
    mutating func run(milliseconds: Int) {
        times = []
        greedyReplies = 0
        for _ in 0..<milliseconds {
            now += 1
            for rig in rigs { rig.pass(1) }
            let back = pausing.filter { $0.until <= now }
            pausing.removeAll { $0.until <= now }
            for one in back { ask(one.place) }
            look()
            finish()
            look()
        }
    }

    /// So many requests at once.
    mutating func flood(_ count: Int) {
        for _ in 0..<count { ask(Place(rig: 0, number: 0)) }
    }

    private mutating func ask(_ session: Place) {
        let stream = lastStream[session, default: 0] + 1
        lastStream[session] = stream
        if session.number > 0 { askedAt[session] = now }
        rigs[session.rig].ask(stream, flood.isFirstDead ? "ba" : "a", session.number)
    }

    /// Answers dials, takes requests, and sends the next ones, until nothing is left to do.
    private mutating func look() {
        while let rig = rigs.indices.first(where: { !rigs[$0].lines.isEmpty }) {
            let lines = rigs[rig].lines
            rigs[rig].forget()
            for line in lines { take(line.split(separator: " "), rig) }
        }
    }

    private mutating func take(_ words: [Substring], _ rig: Int) {
        if words[0] == "dial", let socket = Int(words[1]) {
            if words[2] == "a" { rigs[rig].connect(socket) } else { rigs[rig].fail(socket) }
        } else if words[1] == "got", let socket = Int(words[0]) {
            waiting.append(Place(rig: rig, number: socket))
        } else if words.contains("end") {
            let session = words[0].first == "s" ? Int(words[0].dropFirst()) ?? 0 : 0
            let place = Place(rig: rig, number: session)
            #expect(words.contains("complete"), "\(words)")
            if session == 0 { greedyReplies += 1 }
            if let before = askedAt[place] { times.append(now - before) }
            if session > 0 && flood.pauseMilliseconds > 0 {
                pausing.append((place, now + flood.pauseMilliseconds))
            } else {
                ask(place)
            }
        }
    }

    private mutating func finish() {
        while let (place, until) = served.first, until <= now {
            served.removeFirst()
            rigs[place.rig].answer(place.number, "ok", flood.isClosing ? "Connection: close|" : "")
            if flood.isClosing { rigs[place.rig].end(place.number) }
        }
        while served.count < Self.servers, !waiting.isEmpty {
            let span = Self.serviceMilliseconds
            let until = now + span.lowerBound + random.below(span.count)
            let index = served.firstIndex { $0.until > until } ?? served.endIndex
            served.insert((waiting.removeFirst(), until), at: index)
        }
    }
}

struct WindowFloodTests {
    static let cases: [FloodCase] = [1, 7].flatMap { others in
        [false, true].flatMap { isElsewhere in
            [
                FloodCase(others: others, isElsewhere: isElsewhere),
                FloodCase(others: others, isElsewhere: isElsewhere, isFirstDead: true),
                FloodCase(others: others, isElsewhere: isElsewhere, isClosing: true),
            ]
        }
    }

    @Test(arguments: cases)
    func `a flood does not starve others that are few, wherever they are`(flood: FloodCase) {
        var model = Flood(flood)
        model.begin()
        model.run(milliseconds: 1000)
        let alone = model.times.percentile(99)
        model.flood(200)
        model.run(milliseconds: 3000)
        let beside = model.times.percentile(99)
        #expect(beside <= 3 * alone, "\(beside) ms beside, \(alone) ms alone")
        // There is work for all that the least window leaves it.
        #expect(model.greedyReplies >= 3000 / 20 * 8 / 4, "\(model.greedyReplies)")
    }

    @Test func `without windows it would`() {
        var model = Flood(FloodCase(), windowMin: 0)
        model.begin()
        model.run(milliseconds: 1000)
        let alone = model.times.percentile(99)
        model.flood(200)
        model.run(milliseconds: 3000)
        #expect(model.times.percentile(50) > 10 * alone)
    }

    @Test(arguments: cases.filter(\.isClosing))
    func `others that come later wait for what is under way, and once more for what came with them`(
        flood: FloodCase
    ) {
        var model = Flood(flood)
        model.flood(200)
        model.run(milliseconds: 2000)
        model.begin()
        // The upstream takes half a second for 200.
        model.run(milliseconds: 1300)
        #expect(model.times.filter { $0 > 100 }.count == 2 * flood.others)
        model.run(milliseconds: 3000)
        let beside = model.times.percentile(99)
        #expect(beside <= 100, "\(beside) ms")
        #expect(model.greedyReplies >= 3000 / 20 * 8 / 4, "\(model.greedyReplies)")
    }

    @Test(arguments: [false, true])
    func `others that come every second or two do not wait for a flood each time`(isElsewhere: Bool) {
        var model = Flood(FloodCase(others: 1, isElsewhere: isElsewhere, pauseMilliseconds: 1500))
        model.begin()
        model.run(milliseconds: 2000)
        model.flood(120)
        model.run(milliseconds: 5000)
        model.run(milliseconds: 12_000)
        // The upstream takes 300 ms for all of them.
        #expect(model.times.percentile(99) <= 100, "\(model.times)")
        #expect(model.greedyReplies >= 12_000 / 20 * 8 / 4, "\(model.greedyReplies)")
    }
}
