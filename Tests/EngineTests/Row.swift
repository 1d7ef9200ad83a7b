// Row.swift: one row of an engine table: a rule, what happens, and what must come of it.
// Also the words of scripts.
import Frames
import Model
import Testing

/// A script and everything that has to come of it, in order.
struct Row: Sendable, CustomTestStringConvertible {
    let rule: String
    let limits: Limits
    let named: NamedSettings
    let workers: Int
    let mechanisms: AuthenticationSchemes
    let script: @Sendable (Rig) -> Void
    let expected: [String]

    /// A row with a session that has greeted, number 0, whose streams may send 1000 bytes.
    init(
        _ rule: String,
        _ change: (inout Limits) -> Void = { _ in },
        named: NamedSettings = NamedSettings(),
        workers: Int = 1,
        mechanisms: AuthenticationSchemes = .connectionBound,
        script: @escaping @Sendable (Rig) -> Void,
        expected: String
    ) {
        self.rule = rule
        var limits = Limits()
        change(&limits)
        self.limits = limits
        self.named = named
        self.workers = workers
        self.mechanisms = mechanisms
        self.script = script
        self.expected = expected.split(separator: "\n").map(String.init)
    }

    var testDescription: String { rule }

    /// What comes of it.
    var actual: [String] { lines(.whole) }

    func lines(_ reading: Reading) -> [String] {
        let rig = Rig(limits, named: named, workers: workers, mechanisms: mechanisms)
        rig.reading = reading
        rig.greet()
        script(rig)
        let lines = rig.lines
        return lines + Self.leaks(rig)
    }

    /// What is left when every session is gone and the longest time has passed: nothing.
    static func leaks(_ rig: Rig) -> [String] {
        rig.loseAll()
        // Every question to another worker is answered.
        while !rig.asks.isEmpty { rig.neighbourHasNone() }
        var found: [String] = []
        if rig.counts.streams != 0 { found.append("streams left: \(rig.counts.streams)") }
        if rig.counts.waiting != 0 { found.append("waiting left: \(rig.counts.waiting)") }
        if rig.health.book.waitingCount != 0 {
            found.append("waiting for groups left: \(rig.health.book.waitingCount)")
        }
        if rig.counts.sessions != 0 { found.append("sessions left: \(rig.counts.sessions)") }
        rig.pass(86_400_000)
        if rig.counts.connections != 0 { found.append("connections left: \(rig.counts.connections)") }
        if rig.targetCount != 0 { found.append("targets left: \(rig.targetCount)") }
        if rig.shareCount != 0 { found.append("shares left: \(rig.shareCount)") }
        if rig.routeCount != 0 { found.append("routes left: \(rig.routeCount)") }
        for room in rig.neighbourRooms { rig.neighbourGivesBack(room) }
        rig.neighbourLosesPins()
        if rig.counts.pins != 0 { found.append("pins left: \(rig.counts.pins)") }
        if rig.directory.ledger.count != 0 {
            found.append("left in the directory: \(rig.directory.ledger.count)")
        }
        if rig.budgetCount != 0 { found.append("left in the budget: \(rig.budgetCount)") }
        return found + rig.lines.filter { $0.hasSuffix("dead id") }
    }
}

/// A request in words.
struct Form {
    var method = "GET"
    var endpoints = "a"
    var fields: [(String, String)] = []
    var body = RequestBody.none
    var deadlines = Deadlines()
    var retry = RetryRule.idempotentOnly
    var upgrade = ""
    var route = Route.direct
    var localAddress: IPAddress?
    var authority = "h"
    var target: String?
    var scheme = Scheme.http
    var tls: TLSRequest?
    var hop: HopRequest?
    var pin: (token: String, mode: PinMode)?
    /// In place of endpoints.
    var group = ""
    var key = ""
    var balancing: GroupPolicy?
    /// The origin's user, and the peer's; the password is "p".
    var originUser = ""
    var peerUser = ""
    /// In place of those.
    var origin: Credential?
    var peer: Credential?
    /// END_STREAM; `nil`: as the body asks for.
    var ends: Bool?
}

extension Rig {
    /// The proxy opens a stream; its target is the stream's number.
    func ask(
        _ stream: UInt32,
        _ endpoints: String = "a",
        _ session: Int = 0,
        _ change: (inout Form) -> Void = { _ in }
    ) {
        var form = Form()
        form.endpoints = endpoints
        change(&form)
        var block = ByteBuffer()
        func put(_ text: String) -> Slice {
            let start = block.count
            block.append(text)
            return Slice(start: start, count: block.count - start)
        }
        var request = Request()
        request.method = put(form.method)
        request.authority = put(form.authority)
        request.target = put(form.target ?? (form.method == "CONNECT" ? "" : "/\(stream)"))
        request.scheme = form.scheme
        request.tls = form.tls
        request.hop = form.hop
        request.fields = form.fields.map { FieldSlice(name: put($0.0), value: put($0.1)) }
        request.endpoints = form.group.isEmpty ? form.endpoints.map { Endpoint.lettered($0) } : []
        request.group = put(form.group)
        request.hashKey = put(form.key)
        request.balancing = form.balancing
        request.body = form.body
        request.deadlines = form.deadlines
        request.retry = form.retry
        request.upgrade = put(form.upgrade)
        request.route = form.route
        request.localAddress = form.localAddress
        if !form.originUser.isEmpty || !form.peerUser.isEmpty || form.origin != nil || form.peer != nil {
            var credentials = CredentialsRequest()
            credentials.origin = form.origin
            credentials.peer = form.peer
            if !form.originUser.isEmpty { credentials.origin = .basic(form.originUser) }
            if !form.peerUser.isEmpty { credentials.peer = .basic(form.peerUser) }
            request.credentials = credentials
        }
        if let pin = form.pin {
            request.pinToken = put(pin.token)
            request.pinMode = pin.mode
        }
        let isOpen = form.body != .none || !form.upgrade.isEmpty || form.method == "CONNECT"
        let ends = form.ends ?? !isOpen
        send(session) { encoder, output in
            encoder.request(request, in: block.bytes, stream: stream, endsStream: ends, into: &output)
        }
    }

    /// The proxy opens a stream with a body of `length`, or a chunked one.
    func post(_ stream: UInt32, _ length: UInt64? = nil, _ change: (inout Form) -> Void = { _ in }) {
        ask(stream) { form in
            form.method = "POST"
            form.body = length.map { .length($0) } ?? .chunked
            change(&form)
        }
    }

    func body(_ stream: UInt32, _ text: String, ends: Bool = false, _ session: Int = 0) {
        send(session) { encoder, output in
            encoder.body(
                Array(text.utf8).span,
                stream: stream,
                endsStream: ends,
                payloadBytesMax: 65_536,
                into: &output
            )
        }
    }

    func cancel(_ stream: UInt32, _ session: Int = 0) {
        send(session) { $0.cancel(detail: "", stream: stream, into: &$1) }
    }

    func credit(_ stream: UInt32, _ bytes: UInt32, _ session: Int = 0) {
        send(session) { $0.credit(bytes, stream: stream, into: &$1) }
    }

    func ping(_ session: Int = 0) {
        send(session) { $0.ping(Array("x".utf8).span, isReply: false, into: &$1) }
    }

    /// An upstream answers whole.
    func answer(_ socket: Int, _ body: String = "ok", _ fields: String = "") {
        hear(socket, "HTTP/1.1 200 OK|Content-Length: \(body.utf8.count)|\(fields)|\(body)")
    }

    /// A stream over a fresh connection to `endpoint`, whole. Afterwards `socket` is idle and nothing is written
    /// down.
    func warm(_ socket: Int, _ stream: UInt32 = 99, _ endpoint: String = "a", _ fields: String = "") {
        ask(stream, endpoint)
        connect(socket)
        answer(socket, "ok", fields)
        forget()
    }
}
