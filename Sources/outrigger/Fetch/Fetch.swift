// Fetch.swift: `outrigger fetch`, one request, with curl's habits. Owns: its options. Source: curl(1),
// sysexits(3).
import ArgumentParser
import EventLoop
import Model
import OutriggerClient
import Sidecar

struct Fetch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send one request through a sidecar and print the reply.",
        discussion: """
            Without --socket a sidecar runs inside this process, with --config one with that configuration. Names are \
            never resolved: say where to connect with --address, --group or --route, unless the URL holds an address.

            Examples:
              outrigger fetch http://127.0.0.1:8080/
              outrigger fetch -v http://example.com/ --address 192.0.2.1:80 --address '[2001:db8::1]:80'
              outrigger fetch -v https://example.com/ --address 192.0.2.1:443 --tlsv1.3
              outrigger fetch https://app/ --address 10.0.0.1:8443 --cacert ca.pem --cert me.pem --key me.key
              outrigger fetch https://example.com/ --address 10.0.0.2:3128 --peer-tunnel
              outrigger fetch http://app/status --address unix:/run/app.sock -i
              outrigger fetch http://app/upload --address 127.0.0.1:80 -X PUT --data-file big.iso
              seq 1000 | outrigger fetch http://app/upload --address 127.0.0.1:80 --data-file -
              outrigger fetch http://app/ --address 127.0.0.1:80 --socket /run/outrigger.sock -o page.html
              outrigger fetch -v http://app/ --group origins --socket /run/outrigger.sock
              outrigger fetch -v http://app/ --group origins --config /etc/outrigger/outrigger.yaml

            A peer that refuses a tunnel: its reply is printed, and the exit code is 69.

            Exit codes: 0 the reply is whole; 22 HTTP status of 400 or more, with --fail; 64 wrong usage; 65 \
            the request is not valid; 66 no such input file; 69 no connection, TLS failed, the peer \
            refused, or no sidecar; 70 fault of the sidecar; 71 system error; 73 cannot make the output \
            file; 74 cannot write; 75 a deadline passed; 76 the upstream's reply was bad, cut short or never \
            came; 78 something is wrong with the file of --config; 130 interrupted.
            """
    )

    @Argument(help: "What to fetch, http or https.")
    var url: String

    @Option(
        help: ArgumentHelp(
            "Where to connect: IPv4:PORT, [IPv6]:PORT or unix:PATH. Repeat for more, in order of preference.",
            valueName: "endpoint"
        )
    )
    var address: [String] = []

    @Option(
        help: ArgumentHelp(
            "Group of the sidecar's configuration, whose members are asked in place of --address.",
            valueName: "name"
        )
    )
    var group: String?

    @Option(help: ArgumentHelp("Socket of a running sidecar.", valueName: "path"))
    var socket: String?

    @Option(
        help: ArgumentHelp(
            "Configuration of the sidecar inside this process, as 'outrigger serve' has it.",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        name: [.customShort("X"), .customLong("request")],
        help: "Method. GET, or POST when there is data."
    )
    var method: String?

    @Option(
        name: [.customShort("H"), .customLong("header")],
        help: ArgumentHelp(
            "Field line to add, 'Name: value'. 'Name;' has no value, 'Name:' leaves out one of our own.",
            valueName: "line"
        )
    )
    var header: [String] = []

    @Option(name: .shortAndLong, help: "Data to send, or @FILE as it is; several are joined with '&'.")
    var data: [String] = []

    @Option(help: ArgumentHelp("File to send; - is standard input.", valueName: "file"))
    var dataFile: String?

    @Flag(name: [.customShort("I"), .long], help: "Ask for the head only.")
    var head = false

    @Flag(name: .shortAndLong, help: "Print the heads of the replies too.")
    var include = false

    @Flag(name: .shortAndLong, help: "Show frames, connection, attempts and timings on standard error.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "On an HTTP status of 400 or more print no body and exit 22.")
    var fail = false

    @Flag(name: .shortAndLong, help: "Say nothing of what goes wrong; the exit code does.")
    var silent = false

    @Flag(name: [.customShort("S"), .long], help: "Say it, though there is -s.")
    var showError = false

    @Option(name: .shortAndLong, help: ArgumentHelp("Where the body goes.", valueName: "file"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Ask for an upgrade, e.g. websocket; then connect standard input and output to it.",
            valueName: "protocol"
        )
    )
    var upgrade: String?

    @Option(help: ArgumentHelp("Local IP address to connect from.", valueName: "ip"))
    var localAddress: String?

    @Option(help: ArgumentHelp("Time for connecting.", valueName: "seconds"))
    var connectTimeout: Double?

    @Option(help: ArgumentHelp("Time from the request's end to the reply's beginning.", valueName: "seconds"))
    var replyTimeout: Double?

    @Option(help: ArgumentHelp("Time for the whole exchange.", valueName: "seconds"))
    var maxTime: Double?

    @Option(help: "May it be sent again: idempotent (only if its method is), never, replayable.")
    var retryRule = FetchRetryRule.idempotent

    @Flag(help: "Send the data in chunks though its length is known.")
    var chunked = false

    @OptionGroup(title: "TLS to the origin") var tls: FetchTLSOptions

    @OptionGroup(title: "Peers and routes") var peers: FetchPeerOptions

    /// Of a sidecar of our own.
    private func configuration() throws(CommandFailure) -> SidecarConfiguration {
        var configuration = SidecarConfiguration()
        guard let config else { return configuration }
        let (settings, problems) = try SettingsSources(file: config).read()
        if problems.hasErrors {
            if !isSilent { problems.print() }
            throw CommandFailure(ExitStatus.configuration, "\(config): see 'outrigger check'")
        }
        configuration.limits = settings.limits
        configuration.named = settings.named
        return configuration
    }

    /// Whether errors go unsaid, as curl has it.
    var isSilent: Bool { silent && !showError }

    func run() throws {
        try reporting(isSilent: isSilent) { () throws(CommandFailure) in
            let plan = try FetchPlan(self)
            // A sidecar of our own says it itself.
            if socket != nil, tls.insecure || peers.peerInsecure {
                FetchLog(plan).error("warning: TLS without verification: anyone can pose as the server")
            }
            let source = try SidecarSource(path: socket, configuration())
            defer { source.stop() }
            var fetcher = try Fetcher.start(plan, source)
            return try fetcher.run()
        }
    }
}

/// Words for `RetryRule`.
enum FetchRetryRule: String, ExpressibleByArgument, CaseIterable {
    case idempotent
    case never
    case replayable

    var rule: RetryRule {
        switch self {
        case .idempotent: .idempotentOnly
        case .never: .never
        case .replayable: .replayable
        }
    }
}
