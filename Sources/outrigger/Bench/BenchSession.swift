// BenchSession.swift: one session of the load generator: keeps its streams under way. Owns: their times.
// Allocates nothing per request once warm, but what END itself holds.
import EventLoop
import Model
import OutriggerClient

/// What a run is at.
enum BenchPhase {
    /// Nothing is counted.
    case warmup
    case measuring
    /// No new requests; those under way may end.
    case draining
}

/// One session and its streams.
struct BenchSession: ~Copyable {
    private struct Stream {
        var start: Int64 = 0
        var sentBytes = 0
        var status: UInt16 = 0
        /// Which of the pin tokens it uses.
        var token = 0
    }

    private var connection: ClientConnection
    private var form: RequestForm
    /// In the block of `form`, one for each request under way; empty: nothing is pinned.
    private var tokens: [Slice] = []
    private var freeTokens: [Int] = []
    private let outstanding: Int
    private let bodyBytes: Int
    private var streams: [Stream] = []
    private(set) var isReady = false

    init(_ plan: BenchPlan, index: Int, connection: consuming ClientConnection) {
        self.connection = connection
        form = plan.form
        outstanding = plan.outstanding(ofSession: index)
        bodyBytes = plan.bodyBytes
        if plan.isPinned {
            // No two requests at a time have one token, so that none waits for another.
            tokens = (0..<outstanding).map { form.pinToken("bench-\(index)-\($0)") }
            freeTokens = Array(tokens.indices)
        }
    }

    var openCount: Int { connection.session.openCount }

    /// Opens as many streams as are missing, at most `countMax`.
    /// - Returns: how many were opened.
    mutating func fill(countMax: UInt64) -> UInt64 {
        guard isReady else { return 0 }
        let now = Clock.now
        var opened: UInt64 = 0
        while connection.session.openCount < outstanding, opened < countMax, open(now) { opened += 1 }
        return opened
    }

    private mutating func open(_ now: Int64) -> Bool {
        let token = freeTokens.last ?? 0
        if !tokens.isEmpty { form.setPin(tokens[token], .prefer) }
        guard let stream = connection.session.open(form.request, in: form.block) else { return false }
        if !tokens.isEmpty { freeTokens.removeLast() }
        let slot = Int(stream & 0xffff)
        while slot >= streams.count { streams.append(Stream()) }
        streams[slot] = Stream(start: now, token: token)
        if bodyBytes > 0 { send(stream, slot) }
        return true
    }

    private mutating func send(_ stream: UInt32, _ slot: Int) {
        while true {
            let offset = streams[slot].sentBytes
            let data = Pattern.bytes(from: offset, countMax: bodyBytes - offset)
            let ends = offset + data.count == bodyBytes
            let count = connection.session.sendBody(data.span, stream: stream, ends: ends)
            streams[slot].sentBytes += count
            if count < data.count || ends { return }
        }
    }

    /// Writes what waits.
    mutating func flush(_ poller: borrowing Poller) throws(CommandFailure) {
        switch connection.flush(poller) {
        case .waiting, .more: break
        case .ended, .failed: throw CommandFailure(ExitStatus.unavailable, "the sidecar closed the session")
        }
    }

    /// Reads and counts all that has come.
    mutating func receive(isEnding: Bool, _ totals: inout BenchTotals) throws(CommandFailure) {
        while true {
            let progress = connection.receive(isEnding: isEnding)
            let now = Clock.now
            do throws(ClientError) {
                while let event = try connection.session.nextEvent() { take(event, now, &totals) }
            } catch { throw CommandFailure(ExitStatus.protocolError, error.detail) }
            switch progress {
            case .more: continue
            case .waiting: return
            case .ended, .failed:
                let words = connection.session.goAwayDetail
                let detail = "the sidecar closed the session" + (words.isEmpty ? "" : ": " + words)
                throw CommandFailure(ExitStatus.unavailable, detail)
            }
        }
    }

    private mutating func take(_ event: ClientEvent, _ now: Int64, _ totals: inout BenchTotals) {
        switch event {
        case .ready: isReady = true
        case .reply(let stream):
            streams[Int(stream & 0xffff)].status = UInt16(clamping: connection.session.head.status)
        case .body(let stream):
            let count = connection.session.body.count
            totals.replyBytes += UInt64(count)
            connection.session.consumed(count, stream: stream)
        case .writable(let stream): send(stream, Int(stream & 0xffff))
        case .ended(let stream):
            let slot = Int(stream & 0xffff)
            if !tokens.isEmpty { freeTokens.append(streams[slot].token) }
            totals.end(
                connection.session.report,
                status: streams[slot].status,
                nanoseconds: now - streams[slot].start
            )
        case .interim, .trailers, .pong, .pin, .goAway: break
        }
    }
}
