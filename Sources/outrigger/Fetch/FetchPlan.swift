// FetchPlan.swift: what the options of `fetch` mean, checked. Owns: nothing that is open. Source: curl(1).
import ArgumentParser
import Model
import OutriggerClient

/// Where the request's body comes from.
enum FetchData {
    case none
    /// As they are or, as "@FILE", what is in a file; to be joined with '&'.
    case parts([String])
    /// "-": standard input.
    case file(String)
    /// Standard input, once the upgrade is done.
    case tunnel
}

/// A request that is ready but for its body's length, and what to do with its reply.
struct FetchPlan {
    var method: String
    var url: HTTPURL
    var authority: String
    var fields: [(name: String, value: String)]
    var endpoints: [Endpoint]
    /// Empty: endpoints, or the route's.
    var group: String
    var route: Route
    /// TLS to the origin, beyond what the sidecar's defaults say.
    var tls: TLSRequest?
    var hop: HopRequest?
    var localAddress: IPAddress?
    var deadlines: Deadlines
    var retry: RetryRule
    var upgrade: String
    var data: FetchData
    var isChunked: Bool
    var includesHead: Bool
    var isVerbose: Bool
    var isSilent: Bool
    var failsOnError: Bool
    var output: String?

    init(_ options: Fetch) throws(CommandFailure) {
        guard let url = HTTPURL(options.url) else {
            throw .usage("'\(options.url)' is no http or https URL")
        }
        try Self.check(options, url)
        self.url = url
        data = try Self.data(options)
        method = options.method ?? Self.method(data, isHead: options.head)
        authority = url.authority
        fields = [("User-Agent", "outrigger/\(Outrigger.configuration.version)"), ("Accept", "*/*")]
        if !options.data.isEmpty { fields.append(("Content-Type", "application/x-www-form-urlencoded")) }
        endpoints = try Self.endpoints(options, url)
        group = options.group ?? ""
        let reader: FetchFileReader = options.socket == nil ? .ourselves : .another
        route = options.peers.kind
        tls = try options.tls.request(reader)
        hop = try options.peers.request(reader, endpoints)
        localAddress = try Self.localAddress(options.localAddress)
        deadlines = Deadlines()
        retry = options.retryRule.rule
        upgrade = options.upgrade ?? ""
        isChunked = options.chunked
        includesHead = options.include || options.head
        isVerbose = options.verbose
        isSilent = options.isSilent
        failsOnError = options.fail
        output = options.output
        deadlines.connectMilliseconds = try Self.milliseconds(options.connectTimeout, "--connect-timeout")
        deadlines.firstByteMilliseconds = try Self.milliseconds(options.replyTimeout, "--reply-timeout")
        deadlines.totalMilliseconds = try Self.milliseconds(options.maxTime, "--max-time")
        for line in options.header { try addField(line) }
    }

    /// What contradicts the URL, or asks for a configuration where there is none.
    private static func check(_ options: Fetch, _ url: HTTPURL) throws(CommandFailure) {
        if options.method == "CONNECT" { throw .usage("to get a tunnel, use --peer-tunnel") }
        if let option = options.tls.given.first {
            if !url.isSecure { throw .usage("\(option) is of TLS to the origin: write https://") }
            if options.peers.peer { throw .usage("\(option): with --peer it is the peer that speaks TLS") }
        }
        if options.group != nil && !options.address.isEmpty {
            throw .usage("--group and --address exclude each other")
        }
        if options.socket != nil && options.config != nil {
            throw .usage("--config is of a sidecar inside this process: leave out --socket")
        }
        guard options.socket == nil && options.config == nil else { return }
        let names = [
            ("--group", options.group), ("--route", options.peers.route),
            ("--tls-profile", options.tls.tlsProfile),
        ]
        if let option = names.first(where: { $0.1 != nil }) {
            throw .usage("\(option.0) is a name in a sidecar's configuration: say --socket or --config, too")
        }
    }

    private static func data(_ options: Fetch) throws(CommandFailure) -> FetchData {
        let kinds = [!options.data.isEmpty, options.dataFile != nil, options.upgrade != nil]
        guard kinds.count(where: { $0 }) <= 1 else {
            throw .usage("--data, --data-file and --upgrade exclude each other")
        }
        if options.upgrade != nil { return .tunnel }
        let hasData = options.dataFile != nil || !options.data.isEmpty
        if options.head && hasData { throw .usage("--head and data exclude each other") }
        if let file = options.dataFile { return .file(file) }
        // curl's habit: @FILE is what is in the file.
        if options.data.count == 1, let first = options.data.first, first.hasPrefix("@") {
            return .file(String(first.dropFirst()))
        }
        return options.data.isEmpty ? .none : .parts(options.data)
    }

    private static func method(_ data: FetchData, isHead: Bool) -> String {
        switch data {
        case .none, .tunnel: isHead ? "HEAD" : "GET"
        case .parts, .file: "POST"
        }
    }

    private static func endpoints(_ options: Fetch, _ url: HTTPURL) throws(CommandFailure) -> [Endpoint] {
        guard !options.address.isEmpty else {
            // The route may have its own.
            if options.peers.route != nil || options.group != nil { return [] }
            if options.peers.isPeer { throw .usage("say with --address where the peer is") }
            guard let endpoint = Endpoint(text: url.literalAddress) else {
                throw .usage("say with --address where to connect: Outrigger resolves no names")
            }
            return [endpoint]
        }
        var endpoints: [Endpoint] = []
        for text in options.address {
            guard let endpoint = Endpoint(text: text) else {
                throw .usage("'\(text)' is no address; write 192.0.2.1:80, [2001:db8::1]:80 or unix:/path")
            }
            endpoints.append(endpoint)
        }
        return endpoints
    }

    private static func localAddress(_ text: String?) throws(CommandFailure) -> IPAddress? {
        guard let text else { return nil }
        guard let address = IPAddress(text: text) else { throw .usage("'\(text)' is no IP address") }
        return address
    }

    private static func milliseconds(_ seconds: Double?, _ option: String) throws(CommandFailure) -> Int {
        guard let seconds else { return 0 }
        guard seconds > 0, seconds <= 86_400 else {
            throw .usage("\(option) is more than 0 and at most 86400")
        }
        return max(1, Int((seconds * 1000).rounded()))
    }

    /// As curl does: a Host decides the authority, a line without value takes one of ours away.
    private mutating func addField(_ text: String) throws(CommandFailure) {
        guard let line = FieldLine(text) else {
            throw .usage("'\(text)' is no field line; write 'Name: value'")
        }
        let name = line.name
        if name.lowercased() == "host" {
            authority = line.value
            return
        }
        fields.removeAll { $0.name.lowercased() == name.lowercased() && Self.isOurs($0) }
        if line.isMeantEmpty || !line.value.isEmpty { fields.append((name, line.value)) }
    }

    private static func isOurs(_ field: (name: String, value: String)) -> Bool {
        switch field.name {
        case "User-Agent": field.value == "outrigger/\(Outrigger.configuration.version)"
        case "Accept": field.value == "*/*"
        case "Content-Type": field.value == "application/x-www-form-urlencoded"
        default: false
        }
    }

    /// The request as the protocol wants it, with the body that follows.
    func form(body: RequestBody) -> RequestForm {
        var form = RequestForm(method: method, authority: authority, target: url.target)
        for field in fields { form.addField(field.name, field.value) }
        form.setUpgrade(upgrade)
        form.setTag("fetch")
        form.setGroup(group)
        form.update {
            $0.scheme = url.isSecure ? .https : .http
            $0.endpoints = endpoints
            $0.route = route
            $0.tls = tls
            $0.hop = hop
            $0.localAddress = localAddress
            $0.deadlines = deadlines
            $0.retry = retry
            $0.body = body
        }
        return form
    }
}
