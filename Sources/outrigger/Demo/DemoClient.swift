// DemoClient.swift: runs the demo's exchanges on one session and checks every byte. Owns: the session and its
// loop.
import EventLoop
import Model
import OutriggerClient

/// One session, used for one batch after the other.
struct DemoClient: ~Copyable {
    private var poller: Poller
    private var connection: ClientConnection
    private var isReady = false
    private var exchanges: [DemoExchange] = []
    private var results: [DemoResult] = []
    private var starts: [Int64] = []
    private var sentBytes: [Int] = []
    /// Index of the exchange by stream.
    private var indices: [UInt32: Int] = [:]
    private var ended = 0

    /// Time for one batch.
    private static let batchNanoseconds: Int64 = 30_000_000_000

    private init(_ poller: consuming Poller, _ connection: consuming ClientConnection) {
        self.poller = poller
        self.connection = connection
    }

    /// A session to a sidecar.
    static func start(_ socket: Socket) throws(CommandFailure) -> DemoClient {
        do throws(SocketError) {
            let poller = try Poller()
            var hello = Hello()
            hello.software = "outrigger demo"
            let connection = try ClientConnection.start(on: socket, hello: hello, poller: poller, token: 0)
            return DemoClient(poller, connection)
        } catch { throw CommandFailure(ExitStatus.osError, "cannot set up: \(error)") }
    }

    /// Runs a batch to its end, or as long as a batch may take.
    mutating func run(_ batch: [DemoExchange], outstanding: Int) throws(CommandFailure) -> [DemoResult] {
        exchanges = batch
        results = Array(repeating: DemoResult(), count: batch.count)
        starts = Array(repeating: 0, count: batch.count)
        sentBytes = Array(repeating: 0, count: batch.count)
        indices = [:]
        ended = 0
        var next = 0
        let end = Clock.now + Self.batchNanoseconds
        while ended < batch.count, Clock.now < end {
            while isReady, next < batch.count, next - ended < outstanding {
                try open(next)
                next += 1
            }
            _ = connection.flush(poller)
            for index in 0..<poller.wait(timeoutNanoseconds: end - Clock.now) {
                try receive(isEnding: poller[index].isEnding)
            }
        }
        return results
    }

    private mutating func open(_ index: Int) throws(CommandFailure) {
        guard let stream = connection.session.open(exchanges[index].form) else {
            throw CommandFailure(ExitStatus.failed, "the sidecar takes no more streams")
        }
        indices[stream] = index
        starts[index] = Clock.now
        if exchanges[index].upgrade.isEmpty { send(index, stream) }
    }

    private mutating func receive(isEnding: Bool) throws(CommandFailure) {
        while true {
            let progress = connection.receive(isEnding: isEnding)
            do throws(ClientError) {
                while let event = try connection.session.nextEvent() { take(event) }
            } catch { throw CommandFailure(ExitStatus.protocolError, error.detail) }
            switch progress {
            case .more: continue
            case .waiting: return
            case .ended, .failed:
                throw CommandFailure(ExitStatus.unavailable, "the sidecar closed the session")
            }
        }
    }

    private mutating func take(_ event: ClientEvent) {
        switch event {
        case .ready: isReady = true
        case .interim(let stream):
            guard let index = indices[stream] else { return }
            // 100 is news about this hop: whether it is passed on is the sidecar's affair.
            if connection.session.head.status != 100 { results[index].interimReplies += 1 }
        case .reply(let stream):
            guard let index = indices[stream] else { return }
            results[index].status = connection.session.head.status
            results[index].isReused = connection.session.facts.reused
            takeFields(index)
            if connection.session.head.status == 101 { send(index, stream) }
        case .body(let stream): takeBody(stream)
        case .trailers(let stream):
            guard let index = indices[stream] else { return }
            results[index].hasTrailers = true
            takeFields(index)
        case .writable(let stream):
            guard let index = indices[stream] else { return }
            send(index, stream)
        case .ended(let stream): takeEnd(stream)
        case .pong, .pin, .goAway: break
        }
    }

    private mutating func takeFields(_ index: Int) {
        for field in connection.session.head.fields {
            let name = String(copying: connection.session.block.extracting(field.name))
            let value = String(copying: connection.session.block.extracting(field.value))
            results[index].fields.append(name + ": " + value)
        }
    }

    private mutating func takeBody(_ stream: UInt32) {
        guard let index = indices[stream] else { return }
        let count = connection.session.body.count
        let offset = results[index].bytes
        let isIntact =
            exchanges[index].isPage || Pattern.matches(connection.session.body, 0..<count, from: offset)
        if !isIntact { results[index].isIntact = false }
        results[index].bytes += count
        connection.session.consumed(count, stream: stream)
        if let limit = exchanges[index].cancelAfterBytes, offset < limit, offset + count >= limit {
            connection.session.cancel(stream, detail: "seen enough")
        }
    }

    private mutating func takeEnd(_ stream: UInt32) {
        guard let index = indices.removeValue(forKey: stream) else { return }
        let report = connection.session.report
        results[index].outcome = report.outcome
        results[index].detail = report.detail
        results[index].attempts = connection.session.attempts.map(\.result)
        results[index].nanoseconds = UInt64(max(Clock.now - starts[index], 0))
        results[index].isEnded = true
        ended += 1
    }

    /// Sends body as far as credit allows.
    private mutating func send(_ index: Int, _ stream: UInt32) {
        let exchange = exchanges[index]
        guard exchange.body != .none || !exchange.upgrade.isEmpty else { return }
        while true {
            let left = exchange.bodyBytes - sentBytes[index]
            let data = Pattern.bytes(from: sentBytes[index], countMax: left)
            let ends = left == data.count && !exchange.sendsTrailers
            let sent = connection.session.sendBody(data.span, stream: stream, ends: ends)
            sentBytes[index] += sent
            if sent < data.count { return }
            guard sentBytes[index] < exchange.bodyBytes else { break }
        }
        guard exchange.sendsTrailers else { return }
        let block = Array("X-Trailyes".utf8)
        let field = FieldSlice(name: Slice(start: 0, count: 7), value: Slice(start: 7, count: 3))
        connection.session.sendTrailers([field], in: block.span, stream: stream)
    }
}
