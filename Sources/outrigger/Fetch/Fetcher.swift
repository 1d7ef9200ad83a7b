// Fetcher.swift: one exchange, from connecting to END. Owns: the session, the files, the loop.
// Source: DESIGN "The protocol".
import ArgumentParser
import EventLoop
import Glibc
import Model
import OutriggerClient

/// Runs a plan once.
struct Fetcher: ~Copyable {
    private let plan: FetchPlan
    private let log: FetchLog
    private let signals: Signals
    private let output: File
    private var poller: Poller
    private var connection: ClientConnection
    private var upload: FetchUpload
    private var stream: UInt32 = 0
    /// The upgrade is done, or none is needed.
    private var maySend: Bool
    private var hasSentAll = false
    private var dropsBody = false
    private var isOver = false
    private var result: ExitCode?

    private static let sessionToken: UInt64 = 1
    private static let uploadToken: UInt64 = 2
    private static let signalToken: UInt64 = 3

    private init(
        plan: FetchPlan,
        signals: consuming Signals,
        output: consuming File,
        poller: consuming Poller,
        connection: consuming ClientConnection,
        upload: consuming FetchUpload
    ) {
        self.plan = plan
        self.signals = signals
        self.output = output
        self.poller = poller
        self.connection = connection
        self.upload = upload
        log = FetchLog(plan)
        maySend = plan.upgrade.isEmpty
    }

    /// Opens everything that the exchange needs.
    static func start(_ plan: FetchPlan, _ source: SidecarSource) throws(CommandFailure) -> Fetcher {
        var upload = try FetchUpload(plan)
        let output = try openOutput(plan.output)
        let socket = try source.connect()
        FetchLog(plan).note("sidecar: \(source.description)")
        do throws(SocketError) {
            let signals = try Signals([SIGINT, SIGTERM])
            let poller = try Poller()
            try poller.add(signals.descriptor, token: signalToken, writable: false)
            var hello = Hello()
            hello.software = "outrigger fetch"
            let connection = try ClientConnection.start(
                on: socket,
                hello: hello,
                poller: poller,
                token: sessionToken
            )
            upload.watch(poller, token: uploadToken)
            return Fetcher(
                plan: plan,
                signals: signals,
                output: output,
                poller: poller,
                connection: connection,
                upload: upload
            )
        } catch { throw CommandFailure(ExitStatus.osError, "cannot set up: \(error)") }
    }

    private static func openOutput(_ path: String?) throws(CommandFailure) -> File {
        guard let path, path != "-" else { return .standardOutput }
        do throws(SocketError) { return try File.create(path) } catch {
            throw CommandFailure(ExitStatus.cannotCreate, "cannot make '\(path)': \(error)")
        }
    }

    /// Runs the exchange.
    /// - Returns: how the command shall end.
    mutating func run() throws(CommandFailure) -> ExitCode {
        while true {
            try pump()
            switch connection.flush(poller) {
            case .waiting, .more: break
            // What the sidecar said before it went is read below.
            case .ended, .failed: break
            }
            if isOver, let result { return result }
            for index in 0..<poller.wait(timeoutNanoseconds: nil) {
                let event = poller[index]
                switch event.token {
                case Self.sessionToken: try receive(isEnding: event.isEnding)
                case Self.uploadToken: upload.becameReady()
                default: try takeSignals()
                }
            }
        }
    }

    private mutating func takeSignals() throws(CommandFailure) {
        while signals.next() != nil {
            guard stream != 0, !isOver else { throw CommandFailure(ExitStatus.interrupted, "interrupted") }
            log.sent("CANCEL stream=\(stream)")
            connection.session.cancel(stream, detail: "interrupted")
        }
    }

    /// Sends body as far as there is credit and something to send.
    private mutating func pump() throws(CommandFailure) {
        guard stream != 0, maySend, !hasSentAll else { return }
        while connection.session.sendCredit(of: stream) > 0 {
            try upload.fill(poller, token: Self.uploadToken)
            if upload.pending.isEmpty && !upload.isRead { return }
            let sent = upload.send(&connection.session, stream: stream)
            hasSentAll = sent.isLast
            log.sent("BODY stream=\(stream) \(sent.count) bytes\(hasSentAll ? ", END_STREAM" : "")")
            if hasSentAll { return }
        }
    }

    private mutating func receive(isEnding: Bool) throws(CommandFailure) {
        while true {
            let progress = connection.receive(isEnding: isEnding)
            while let event = try next() { try take(event) }
            switch progress {
            case .more: continue
            case .waiting: return
            case .ended, .failed:
                if isOver { return }
                throw CommandFailure(ExitStatus.unavailable, "the sidecar closed the session")
            }
        }
    }

    private mutating func next() throws(CommandFailure) -> ClientEvent? {
        do throws(ClientError) { return try connection.session.nextEvent() } catch {
            throw CommandFailure(ExitStatus.protocolError, error.detail)
        }
    }

    private mutating func take(_ event: ClientEvent) throws(CommandFailure) {
        switch event {
        case .ready: try open()
        case .interim(let stream):
            log.head("INTERIM", connection.session, stream: stream)
            try writeHead()
        case .reply(let stream): try takeReply(stream)
        case .body(let stream):
            let count = connection.session.body.count
            log.received("BODY stream=\(stream) \(count) bytes")
            if !dropsBody { try write(connection.session.body) }
            connection.session.consumed(count, stream: stream)
        case .trailers(let stream):
            log.received("TRAILERS stream=\(stream)")
            log.fields(connection.session)
        case .writable(let stream): log.received("CREDIT stream=\(stream)")
        case .ended(let stream): takeEnd(stream)
        case .pong: break
        case .pin: log.received("PIN \(connection.session.pinEvent.change)")
        case .goAway(let code):
            log.received("GOAWAY \(code.word) \(connection.session.goAwayDetail)")
            guard code != .draining || stream == 0 else { break }
            let detail = "the sidecar says \(code.word): \(connection.session.goAwayDetail)"
            throw CommandFailure(
                code == .draining ? ExitStatus.unavailable : ExitStatus.protocolError,
                detail
            )
        }
    }

    private mutating func open() throws(CommandFailure) {
        if let hello = connection.session.hello {
            log.note("session: \(hello.software) \(String(decoding: hello.instanceID, as: UTF8.self))")
        }
        guard let stream = connection.session.open(plan.form(body: upload.body)) else {
            throw CommandFailure(ExitStatus.dataError, "the request is larger than the sidecar accepts")
        }
        self.stream = stream
        log.request(plan, upload.body, stream: stream)
    }

    private mutating func takeReply(_ stream: UInt32) throws(CommandFailure) {
        log.head("REPLY", connection.session, stream: stream)
        log.connection(connection.session.facts)
        try writeHead()
        let status = connection.session.head.status
        if status == 101 {
            maySend = true
            log.note("upgraded to \(plan.upgrade): standard input and output are connected to it")
        }
        if plan.failsOnError && status >= 400 {
            dropsBody = true
            result = ExitStatus.httpError
            log.error("the reply's status is \(status)")
        }
    }

    private mutating func takeEnd(_ stream: UInt32) {
        let report = connection.session.report
        log.end(report, connection.session.attempts, plan.endpoints, stream: stream)
        if report.outcome != .complete {
            let detail = report.detail.isEmpty ? "" : ": \(report.detail)"
            log.error("\(report.outcome.word)\(detail)")
        }
        isOver = true
        if !report.outcome.isSuccess || result == nil { result = ExitStatus.of(report.outcome) }
    }

    private func writeHead() throws(CommandFailure) {
        guard plan.includesHead else { return }
        let head = connection.session.head
        let reason = String(copying: connection.session.block.extracting(head.reason))
        var text = "HTTP/\(head.version / 10).\(head.version % 10) \(head.status) \(reason)\r\n"
        for field in head.fields {
            text += String(copying: connection.session.block.extracting(field.name)) + ": "
            text += String(copying: connection.session.block.extracting(field.value)) + "\r\n"
        }
        text += "\r\n"
        try write(text.utf8.span)
    }

    private func write(_ bytes: Span<UInt8>) throws(CommandFailure) {
        do throws(SocketError) { try output.write(bytes) } catch {
            throw CommandFailure(ExitStatus.ioError, "cannot write the reply: \(error)")
        }
    }
}
