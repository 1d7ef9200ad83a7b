// RequestPlan.swift: one request as a proxy is going to send it, and what it does while the stream is open.
import Frames
import Model

/// Why a request cannot be sent on: it has to end BAD_REQUEST with nothing written.
enum RequestFlaw: CaseIterable {
    case lineBreakInValue, spaceInTarget, twoHosts, wrongLength
}

/// How a proxy hands out credit for a reply.
enum CreditManner {
    /// As much as it took, at once.
    case atOnce
    /// In pieces with time between.
    case slowly
    /// Far more than needed, with the request.
    case ahead
    /// Never: the proxy cancels in the end.
    case never
}

/// A request and the manners of its stream.
struct RequestPlan {
    var id = 0
    var isHostile = false
    var method = "GET"
    /// Indices into the scenario's endpoints; of a group: of its members.
    var endpoints = [0]
    /// Number of the group in place of endpoints.
    var group: Int?
    /// How one of the endpoints is chosen.
    var balancing: GroupPolicy?
    /// Empty: none.
    var hashKey = ""
    var way = WayPlan()
    var body = RequestBody.none
    var bodyBytes = 0
    var hasTrailers = false
    var expectsContinue = false
    var upgrades = false
    /// Of a two-way stream: bytes that the proxy sends, and whether it begins before the reply is there.
    var tunnelBytes = 500
    var sendsEarly = false
    var deadlines = Deadlines()
    var retry = RetryRule.idempotentOnly
    var flaw: RequestFlaw?
    /// Empty: none.
    var token: [UInt8] = []
    var pinMode = PinMode.auto
    /// Value of `Authorization`; empty: none.
    var credentials = ""
    /// When the proxy sends it.
    var startsAt = Instant(nanoseconds: 0)
    var credit = CreditManner.atOnce
    /// Bytes of body in one BODY frame.
    var chunkBytesMax = 1000
    /// Between two BODY frames.
    var pauseMicroseconds = 0
    var cancelsAfterMilliseconds: Int?

    /// Whether it is sent to one of several members.
    var hasMembers: Bool { group != nil || balancing != nil }
    var isConnect: Bool { method == "CONNECT" }
    /// Whether bytes may go both ways in the end.
    var isTwoWay: Bool { upgrades || isConnect }
    /// A CONNECT that is answered by connecting: its bytes begin with a tag on both sides.
    var isRaw: Bool { isConnect && way.route == .direct }
    /// Bytes in front of those of a two-way stream.
    var tag: [UInt8] { isRaw ? RawTag.of(request: id) : [] }
    /// Whether TLS is spoken on the hop that carries the request.
    var isHTTPSecure: Bool {
        switch way.route {
        case .direct: way.isSecure
        case .peer: way.peerTLS != nil
        case .peerTunnel: isConnect ? way.peerTLS != nil : way.isSecure
        }
    }

    /// Whether REQUEST is all that the proxy has to say: without a body, or with one of no bytes and the end at once.
    var endsAtOnce: Bool {
        if isTwoWay { return false }
        return body == .none || bodyBytes == 0 && !hasTrailers && id % 2 == 0
    }

    var target: String { isConnect ? "" : "/r/\(id)" }

    /// As an upstream reads it.
    var requestTarget: String {
        if isConnect { return authority }
        return way.route == .peer ? "\(way.isSecure ? "https" : "http")://\(authority)\(target)" : target
    }

    /// RFC 9110 §9.2.2, and what the proxy vouches for.
    var mayRepeat: Bool {
        switch retry {
        case .never: false
        case .replayable: true
        case .idempotentOnly:
            ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT"].contains(method)
        }
    }
}

extension RequestPlan {
    /// A plan out of the blue.
    init(id: Int, scenario: Scenario, random: inout SeededRandom) {
        self.id = id
        method = random.pick([
            "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PURGE",
        ])
        var order = Array(scenario.endpoints.indices)
        random.shuffle(&order)
        endpoints = Array(order.prefix(random.chance(70) ? 1 : 3))
        if random.chance(60) { endpoints = [0] }
        way.route = random.chance(15) ? .peer : .direct
        if random.chance(10) { way.localAddress = WayPlan.localAddresses[1] }
        startsAt = Instant(nanoseconds: Int64(random.pick([0, 0, 5, 500, 4000])) * 1_000_000)
        startsAt.nanoseconds += Int64(random.below(1_000_000))
        if scenario.stepMilliseconds > 0 {
            endpoints = [0]
            startsAt = Instant(nanoseconds: Int64(id * scenario.stepMilliseconds) * 1_000_000)
        }
        retry = random.pick([.idempotentOnly, .idempotentOnly, .never, .replayable])
        credit = random.pick([.atOnce, .atOnce, .slowly, .ahead])
        chooseBody(scenario, &random)
        if !scenario.ways.isEmpty { chooseWay(scenario, &random) }
        if let pins = scenario.pins { choosePin(scenario, pins) }
        if let groups = scenario.groups { chooseGroup(scenario, groups) }
        guard scenario.roughness != .calm else { return }
        upgrades = body == .none && method == "GET" && random.chance(8)
        if upgrades { tunnelBytes = random.small(upTo: 2000) }
        if random.chance(6) { flaw = random.pick(RequestFlaw.allCases) }
        if random.chance(12) { cancelsAfterMilliseconds = random.pick([0, 1, 20, 700, 6000]) }
        guard scenario.roughness == .rough else { return }
        if random.chance(5) {
            credit = .never
            cancelsAfterMilliseconds = random.pick([100, 30_000])
        }
        if random.chance(20) { deadlines.totalMilliseconds = random.pick([1, 50, 2000]) }
        if random.chance(10) { deadlines.firstByteMilliseconds = random.pick([1, 100]) }
        if random.chance(10) { deadlines.idleMilliseconds = random.pick([20, 1000]) }
        if random.chance(10) { deadlines.queueMilliseconds = random.pick([1, 100]) }
        if random.chance(10) { deadlines.connectMilliseconds = random.pick([1, 400]) }
    }

    /// Few ways, so that many requests share each, and ways beside them that differ in one thing.
    private mutating func chooseWay(_ scenario: Scenario, _ random: inout SeededRandom) {
        way = random.pick(scenario.ways)
        if random.chance(25) { way = way.changed(&random) }
        if random.chance(12) {
            method = "CONNECT"
            (body, bodyBytes, hasTrailers, expectsContinue) = (.none, 0, false, false)
            tunnelBytes = random.small(upTo: min(scenario.bodyBytesMax, 5000))
            if chunkBytesMax == 1 { tunnelBytes = min(tunnelBytes, 200) }
            sendsEarly = random.chance(50)
        }
        way = way.legal(isConnect: isConnect)
    }

    private mutating func chooseBody(_ scenario: Scenario, _ random: inout SeededRandom) {
        chunkBytesMax = random.pick([1, 50, 1000, 60_000])
        pauseMicroseconds = random.pick([0, 0, 100, 10_000])
        let usual = ["POST", "PUT", "PURGE"].contains(method)
        guard random.chance(usual ? 85 : 4) else { return }
        bodyBytes = random.small(upTo: scenario.bodyBytesMax)
        if chunkBytesMax == 1 { bodyBytes = min(bodyBytes, 200) }
        if chunkBytesMax == 50 { bodyBytes = min(bodyBytes, 5000) }
        if pauseMicroseconds > 1000 { chunkBytesMax = max(chunkBytesMax, bodyBytes / 20) }
        if random.chance(50) {
            body = .length(UInt64(bodyBytes))
        } else {
            body = .chunked
            hasTrailers = random.chance(30)
        }
        expectsContinue = bodyBytes > 0 && random.chance(20)
    }

    /// Appends the REQUEST frame.
    func encode(
        _ encoder: inout MessageEncoder,
        stream: UInt32,
        scenario: Scenario,
        into output: inout ByteBuffer
    ) {
        var block: [UInt8] = []
        func slice(_ text: String) -> Slice {
            block.append(contentsOf: text.utf8)
            return Slice(start: block.count - text.utf8.count, count: text.utf8.count)
        }
        var request = Request()
        request.method = slice(method)
        request.authority = slice(authority)
        request.target = slice(flaw == .spaceInTarget ? "\(target) HTTP/1.1" : target)
        for (name, value) in fields {
            request.fields.append(FieldSlice(name: slice(name), value: slice(value)))
        }
        if let group {
            request.group = slice(GroupWorld.name(group))
        } else {
            request.endpoints = endpoints.map { scenario.endpoints[$0].endpoint }
        }
        request.hashKey = slice(hashKey)
        request.balancing = balancing
        request.route = way.route
        request.scheme = way.isSecure ? .https : .http
        request.tls = way.tls
        request.hop = way.hop
        request.localAddress = way.localAddress
        request.isConnect = isConnect
        request.body = body
        request.deadlines = deadlines
        request.retry = retry
        if upgrades { request.upgrade = slice("echo") }
        request.tag = slice("request-\(id)")
        request.pinToken = Slice(start: block.count, count: token.count)
        block += token
        request.pinMode = pinMode
        encoder.request(
            request,
            in: block.span,
            stream: stream,
            endsStream: endsAtOnce,
            into: &output
        )
    }

    /// The port is said where the scheme does not say it, and sometimes else.
    var authority: String { id % 2 == 0 || isConnect ? "\(way.host):\(way.port)" : way.host }

    /// End-to-end fields, with some that are the sidecar's to leave out.
    var fields: [(String, String)] {
        var fields = [("X-Request", "\(id)"), ("Cookie", "owner=\(id)")]
        if id % 3 == 0 { fields.append(("Connection", "keep-alive")) }
        if id % 5 == 0 { fields.append(("Keep-Alive", "timeout=9")) }
        if id % 7 == 0 { fields.append(("Host", authority)) }
        if id % 4 == 0, case .length(let length) = body { fields.append(("Content-Length", "\(length)")) }
        if !credentials.isEmpty { fields.append(("Authorization", credentials)) }
        if expectsContinue { fields.append(("Expect", "100-continue")) }
        switch flaw {
        case nil, .spaceInTarget: break
        case .lineBreakInValue: fields.append(("X-Bad", "a\r\nX-Request: 0"))
        case .twoHosts: fields += [("Host", authority), ("Host", "other.example")]
        case .wrongLength: fields.append(("Content-Length", "\(bodyBytes + 1)"))
        }
        return fields
    }
}
