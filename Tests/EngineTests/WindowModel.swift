// WindowModel.swift: an upstream with so many servers, sessions that always have as many requests under way as they may,
// and the ledger between them. Owns: its time. Source: Sources/Engine/WindowLedger.swift.
import Engine
import Model

/// Requests of many sessions at one upstream, in simulated time.
struct WindowModel {
    private struct Request {
        var session: Int
        var sentAt: Int
    }

    /// Session 0 wants so much under way; the others one each.
    var greed = 0
    let others: Int
    /// Requests that the upstream works on at a time; the others wait in it, first come first served.
    let servers: Int
    let serviceMicroseconds: Int
    private(set) var ledger = WindowLedger(requestsMin: 8, workers: 2)
    private(set) var window = Window.open
    private var now = 0
    private var waiting: [Request] = []
    private var waitingFirst = 0
    /// The one that is done first is last.
    private var served: [(request: Request, until: Int)] = []
    private var awaited = 0
    private var report = WindowReport()
    private var crowd = Crowding()
    private var repliedAt = Instant.longAgo
    private var state: UInt64
    /// Times of the others, microseconds.
    private(set) var times: [Int] = []
    /// Replies to session 0.
    private(set) var greedyReplies = 0
    private(set) var largestWindow = 0

    init(others: Int, servers: Int, serviceMicroseconds: Int, seed: UInt64) {
        self.others = others
        self.servers = servers
        self.serviceMicroseconds = serviceMicroseconds
        state = seed &* 2 &+ 1
        for session in 0..<others { send(session + 1) }
    }

    /// Lets time pass; `times` and the like begin anew.
    mutating func run(milliseconds: Int) {
        (times, greedyReplies, largestWindow) = ([], 0, 0)
        let end = now + 1000 * milliseconds
        var askAt = now
        while now < end {
            // As often as the engine asks.
            if now >= askAt {
                ask()
                askAt = now + 10_000
            }
            fill()
            let next = served.last?.until ?? end
            now = max(now, min(next, askAt, end))
            finish()
        }
    }

    private mutating func ask() {
        report.isFull = greed > 0
        report.othersAt = repliedAt
        report.awaitedMax = max(report.awaitedMax, awaited)
        if let answer = ledger.exchange(.group(0), report, by: 0, now: instant(now)) {
            window = answer
            report = WindowReport()
            largestWindow = max(largestWindow, window.requestsMax == .max ? 0 : window.requestsMax)
        }
    }

    private mutating func fill() {
        while awaited < min(greed, window.requestsMax) { send(0) }
        noteCrowd()
        while served.count < servers, waitingFirst < waiting.count {
            serve(waiting[waitingFirst], until: now + service())
            waitingFirst += 1
        }
        if waitingFirst == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            waitingFirst = 0
        }
    }

    private mutating func serve(_ request: Request, until: Int) {
        var (low, high) = (0, served.count)
        while low < high {
            let middle = (low + high) / 2
            if served[middle].until > until { low = middle + 1 } else { high = middle }
        }
        served.insert((request, until), at: low)
    }

    private mutating func noteCrowd() { crowd.note(awaited > 8, since: instant(now)) }

    private func instant(_ microseconds: Int) -> Instant { Instant(nanoseconds: Int64(microseconds) * 1000) }

    private mutating func send(_ session: Int) {
        if session == 0 { awaited += 1 }
        waiting.append(Request(session: session, sentAt: now))
    }

    private mutating func finish() {
        while let (request, until) = served.last, until <= now {
            served.removeLast()
            if request.session == 0 {
                awaited -= 1
                greedyReplies += 1
                continue
            }
            times.append(now - request.sentAt)
            repliedAt = instant(now)
            if let wasCrowded = crowd.wasCrowded(at: instant(request.sentAt)) {
                report.add(UInt64(now - request.sentAt), wasCrowded: wasCrowded)
            }
            send(request.session)
        }
        noteCrowd()
    }

    /// Exponential, by a seeded generator.
    private mutating func service() -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var (sum, bits) = (0.0, state >> 11)
        // The sum of leading zeros is geometric: close enough to exponential, without a logarithm.
        for _ in 0..<4 {
            sum += Double((bits & 0xFFF | 0x1000).trailingZeroBitCount)
            bits >>= 13
        }
        return max(1, Int(Double(serviceMicroseconds) * sum / 4))
    }
}

extension [Int] {
    /// Of so many of a hundred the largest.
    func percentile(_ percent: Int) -> Int { sorted()[count * percent / 100] }
}
