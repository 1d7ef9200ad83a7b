// Bench.swift: `outrigger bench`, the load generator. Owns: its options and the order of things.
import ArgumentParser
import EventLoop
import Model
import OutriggerClient
import Sidecar

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load a sidecar and measure it: requests a second, latency, CPU time a request.",
        discussion: """
            Keeps --outstanding requests under way, spread over --sessions. Without --socket a sidecar runs \
            inside this process, without --address an origin does. Latency is from REQUEST to END, as the \
            proxy sees it.

            CPU time is the sidecar's alone: of the process at the socket's other end (or --pid), or of the \
            worker threads inside this process.

            Examples:
              outrigger bench
              outrigger bench --socket /run/outrigger.sock --address 127.0.0.1:8080 --path /1k --duration 10
              outrigger bench --outstanding 256 --sessions 8 --requests 1000000
              outrigger bench --socket /run/outrigger.sock --address 127.0.0.1:8443 --https --cacert /etc/ca.pem
              outrigger bench --pin
              outrigger bench --method PUT --path /upload --request-body-bytes 65536 --json

            Exit codes: 0 every exchange was COMPLETE with a 2xx status; 1 some were not; 64 wrong usage; 69 \
            no sidecar; 71 system error; 76 the sidecar broke the protocol.
            """
    )

    @Option(help: ArgumentHelp("Socket of a running sidecar.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("Where to connect, as in fetch. Repeat for more.", valueName: "endpoint"))
    var address: [String] = []

    @Option(help: ArgumentHelp("Requests under way at the same time, in all.", valueName: "n"))
    var outstanding = 64

    @Option(help: ArgumentHelp("Sessions (Unix-socket connections) to the sidecar.", valueName: "n"))
    var sessions = 1

    @Option(help: ArgumentHelp("How long to measure.", valueName: "seconds"))
    var duration = 3.0

    @Option(help: ArgumentHelp("Measure so many requests instead of a time.", valueName: "n"))
    var requests: UInt64?

    @Option(help: ArgumentHelp("Load before measuring.", valueName: "seconds"))
    var warmup = 0.5

    @Option(help: "Path and query to ask for. An origin inside knows /bytes/N, /chunked/N, /upload and more.")
    var path = "/"

    @Option(name: [.customShort("X"), .long], help: "Method.")
    var method = "GET"

    @Option(help: "Authority of the origin.")
    var authority = "bench.example"

    @Flag(help: "Ask for https: TLS to the origin, as the sidecar's profile \"default\" says.")
    var https = false

    @Option(
        help: ArgumentHelp(
            "With --https: the certificates to trust instead, PEM, as an absolute path.",
            valueName: "file"
        )
    )
    var cacert: String?

    @Flag(help: "Pin: each request under way has a connection of its own, kept by a pin token.")
    var pin = false

    @Option(help: ArgumentHelp("Body to send with each request.", valueName: "bytes"))
    var requestBodyBytes = 0

    @Option(
        help: ArgumentHelp(
            "Body bytes that the sidecar may send on a stream before it needs credit.",
            valueName: "bytes"
        )
    )
    var initialCredit = 262_144

    @Option(
        help: ArgumentHelp("Process whose CPU time is measured, instead of the socket's.", valueName: "pid")
    )
    var pid: Int?

    @Flag(help: "Print the result as one line of JSON.")
    var json = false

    func validate() throws {
        func check(_ holds: Bool, _ words: String) throws { if !holds { throw ValidationError(words) } }
        try check((1...1024).contains(sessions), "--sessions: 1 to 1024")
        try check(
            (sessions...65_536).contains(outstanding),
            "--outstanding: at least one a session, at most 65536"
        )
        try check(duration > 0 && duration <= 86_400, "--duration: more than 0, at most 86400")
        try check(warmup >= 0 && warmup <= 3600, "--warmup: 0 to 3600")
        try check(requests ?? 1 > 0, "--requests: at least 1")
        try check(!https || !address.isEmpty, "--https needs --address: the origin inside speaks clear text")
        try check(cacert == nil || https, "--cacert goes with --https")
        try check(
            cacert?.hasPrefix("/") ?? true,
            "--cacert: an absolute path: it is the sidecar that opens it"
        )
        try check((0...1 << 40).contains(requestBodyBytes), "--request-body-bytes: 0 to 2^40")
        try check((1...1 << 24).contains(initialCredit), "--initial-credit: 1 to 16777216")
    }

    func run() throws {
        try reporting { () throws(CommandFailure) in
            _ = ProcessLimits.raiseDescriptors()
            var endpoints: [Endpoint] = []
            for text in address {
                guard let endpoint = Endpoint(text: text) else {
                    throw CommandFailure(ExitStatus.usage, "'\(text)' is no address")
                }
                endpoints.append(endpoint)
            }
            guard endpoints.isEmpty else { return try measure(endpoints) }
            return try DemoOrigin.during { origin throws(CommandFailure) in try measure([origin.endpoint]) }
        }
    }

    private func measure(_ endpoints: [Endpoint]) throws(CommandFailure) -> ExitCode {
        let source = try SidecarSource(path: socket)
        defer { source.stop() }
        let plan = BenchPlan(self, endpoints)
        var loop = try BenchLoop.start(plan, source)
        let totals = try loop.run()
        let report = BenchReport(plan, totals, target: source.description)
        File.standardOutput.write(json ? report.json + "\n" : report.text(Style(.standardOutput)))
        return totals.failures == 0 ? .success : ExitStatus.failed
    }
}

/// What the options mean.
struct BenchPlan: Sendable {
    let endpoints: [Endpoint]
    let outstanding: Int
    let sessions: Int
    let durationNanoseconds: Int64
    let warmupNanoseconds: Int64
    let requests: UInt64?
    let method: String
    let authority: String
    let path: String
    let isSecure: Bool
    let trustFile: String?
    let isPinned: Bool
    let bodyBytes: Int
    let initialCredit: Int
    let pid: Int?

    init(_ options: Bench, _ endpoints: [Endpoint]) {
        self.endpoints = endpoints
        outstanding = options.outstanding
        sessions = options.sessions
        durationNanoseconds = Int64(options.duration * 1_000_000_000)
        warmupNanoseconds = Int64(options.warmup * 1_000_000_000)
        requests = options.requests
        method = options.method
        authority = options.authority
        path = options.path
        isSecure = options.https
        trustFile = options.cacert
        isPinned = options.pin
        bodyBytes = options.requestBodyBytes
        initialCredit = options.initialCredit
        pid = options.pid
    }

    /// The request, made once for each session.
    var form: RequestForm {
        var form = RequestForm(method: method, authority: authority, target: path)
        form.addField("User-Agent", "outrigger/\(Outrigger.configuration.version)")
        form.addField("Accept", "*/*")
        form.update {
            $0.endpoints = endpoints
            if isSecure { $0.scheme = .https }
            if let trustFile {
                var tls = TLSRequest()
                tls.trust = .file(trustFile)
                $0.tls = tls
            }
            if bodyBytes > 0 { $0.body = .length(UInt64(bodyBytes)) }
        }
        return form
    }

    /// Streams that a session keeps open.
    func outstanding(ofSession index: Int) -> Int {
        outstanding / sessions + (index < outstanding % sessions ? 1 : 0)
    }
}
