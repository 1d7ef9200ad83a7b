// RequestReader.swift: a REQUEST message to a request of the model.
// Owns: which faults end the session and which end the stream. Source: proto/outrigger.proto, message
// Request.
import COutriggerProto
import Model

/// Limits of single fields, which `RequestReader` and `RequestScanner` share. Reached: BAD_REQUEST.
enum RequestBound {
    static let methodBytesMax = 64
    static let authorityBytesMax = 1024
    static let upgradeBytesMax = 64
    static let tagBytesMax = 128
    static let deadlineMillisecondsMax = 86_400_000
    static let profileBytesMax = 64
    static let nameBytesMax = 255
    static let pathBytesMax = 4096
    static let cipherBytesMax = 1024
    static let protocolsMax = 8
    static let pinsMax = 16
    static let tokenBytesMax = 64
    static let groupBytesMax = 64
    static let hashKeyBytesMax = 256
    /// Of a SHA-256 digest.
    static let pinBytes = 32
}

/// Reads requests and notes the first thing that keeps one from being served.
struct RequestReader: Sendable {
    let endpointsMax: Int
    let fieldCountMax: Int

    func read(
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request,
        endpoints: inout EndpointReader
    ) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        let message = unsafe unpacked.message
        unsafe readSlices(unpacked, into: &request)
        request.scheme = try unsafe Scheme(message.pointee.scheme)
        request.body = try unsafe RequestBody(message.pointee.body, length: message.pointee.body_length)
        request.retry = try unsafe RetryRule(message.pointee.retry)
        do throws(EndpointFault) {
            try unsafe readEndpoints(message, into: &request, endpoints: &endpoints)
        } catch {
            request.refuse(error.words)
        }
        if let deadlines = unsafe message.pointee.deadlines {
            unsafe readDeadlines(deadlines.pointee, into: &request)
        }
        request.isConnect = unsafe RequestReader.isConnect(message.pointee.method)
        try unsafe readWay(unpacked, into: &request, endpoints: &endpoints)
        if !request.upgrade.isEmpty && request.body != .none {
            request.refuse("an upgrade with a body")
        }
    }

    private func readSlices(_ unpacked: Unpacked<Outrigger__V1__Request>, into request: inout Request) {
        // SAFETY: the message's arena is alive.
        let message = unsafe unpacked.message
        request.method = unsafe unpacked.slice(message.pointee.method)
        if request.method.count > RequestBound.methodBytesMax { request.refuse("method over 64 bytes") }
        request.authority = unsafe unpacked.slice(message.pointee.authority)
        if request.authority.count > RequestBound.authorityBytesMax {
            request.refuse("authority over 1024 bytes")
        }
        request.target = unsafe unpacked.slice(message.pointee.target)
        let fieldCount = unsafe message.pointee.n_fields
        if fieldCount > fieldCountMax { request.refuse("over \(fieldCountMax) fields") }
        unsafe unpacked.appendFields(
            message.pointee.fields,
            count: min(fieldCount, fieldCountMax),
            to: &request.fields
        )
        request.upgrade = unsafe unpacked.slice(message.pointee.upgrade)
        if request.upgrade.count > RequestBound.upgradeBytesMax { request.refuse("upgrade over 64 bytes") }
        request.tag = unsafe unpacked.slice(message.pointee.tag)
        if request.tag.count > RequestBound.tagBytesMax { request.refuse("tag over 128 bytes") }
    }

    private func readEndpoints(
        _ message: UnsafePointer<Outrigger__V1__Request>,
        into request: inout Request,
        endpoints: inout EndpointReader
    ) throws(EndpointFault) {
        // SAFETY: the message's arena is alive; `endpoints` has `n_endpoints` pointers to messages.
        let count = unsafe message.pointee.n_endpoints
        if count > endpointsMax { request.refuse("over \(endpointsMax) endpoints") }
        for index in 0..<min(count, endpointsMax) {
            guard let endpoint = unsafe message.pointee.endpoints[index] else { continue }
            request.endpoints.append(try unsafe endpoints.endpoint(endpoint))
        }
        if let local = unsafe message.pointee.local_address {
            request.localAddress = try unsafe EndpointReader.localAddress(local)
        }
    }

    private func readDeadlines(_ deadlines: Outrigger__V1__Deadlines, into request: inout Request) {
        // SAFETY: numbers are read.
        request.deadlines.queueMilliseconds = unsafe Int(deadlines.queue_ms)
        request.deadlines.connectMilliseconds = unsafe Int(deadlines.connect_ms)
        request.deadlines.firstByteMilliseconds = unsafe Int(deadlines.first_byte_ms)
        request.deadlines.idleMilliseconds = unsafe Int(deadlines.idle_ms)
        request.deadlines.totalMilliseconds = unsafe Int(deadlines.total_ms)
        let longest = unsafe max(
            deadlines.queue_ms,
            deadlines.connect_ms,
            deadlines.first_byte_ms,
            deadlines.idle_ms,
            deadlines.total_ms
        )
        if longest > RequestBound.deadlineMillisecondsMax { request.refuse("a deadline over 86400000 ms") }
    }

    private func readGroup(
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request
    ) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        let message = unsafe unpacked.message
        request.group = try unsafe unpacked.textSlice(message.pointee.group, "group")
        if request.group.count > RequestBound.groupBytesMax { request.refuse("group over 64 bytes") }
        request.hashKey = unsafe unpacked.slice(message.pointee.hash_key)
        if request.hashKey.count > RequestBound.hashKeyBytesMax { request.refuse("hash_key over 256 bytes") }
        let policy = unsafe Int(message.pointee.balancing.rawValue)
        request.balancing = GroupPolicy(rawValue: policy)
        if request.balancing == nil && policy != 0 { throw .badMessage("balancing is unknown") }
        if request.group.isEmpty { return }
        if !request.endpoints.isEmpty { request.refuse("a group beside endpoints") }
        if request.balancing != nil { request.refuse("balancing beside a group") }
    }

    private func readWay(
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request,
        endpoints: inout EndpointReader
    ) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        let message = unsafe unpacked.message
        try unsafe readGroup(unpacked, into: &request)
        switch unsafe message.pointee.route {
        case OUTRIGGER__V1__ROUTE_KIND__ROUTE_DIRECT: request.route = .direct
        case OUTRIGGER__V1__ROUTE_KIND__ROUTE_PEER: request.route = .peer
        case OUTRIGGER__V1__ROUTE_KIND__ROUTE_PEER_TUNNEL: request.route = .peerTunnel
        default: throw .badMessage("route is unknown")
        }
        if let pin = unsafe message.pointee.pin {
            try unsafe readPin(pin, unpacked, into: &request)
        }
        if let tls = unsafe message.pointee.tls {
            request.tls = try unsafe readTLS(tls, unpacked, &request)
        }
        if let credentials = unsafe message.pointee.credentials {
            try unsafe readCredentials(credentials, unpacked, into: &request)
        }
        if let hop = unsafe message.pointee.hop {
            try unsafe readHop(hop, unpacked, into: &request, endpoints: &endpoints)
        }
        if request.endpoints.isEmpty && request.group.isEmpty && request.hop?.name.isEmpty != false {
            request.refuse("neither endpoints nor group nor a named route")
        }
    }

    private func readPin(
        _ pin: UnsafePointer<Outrigger__V1__Pin>,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request
    ) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        guard let mode = unsafe PinMode(rawValue: Int(pin.pointee.mode.rawValue)) else {
            throw .badMessage("pin mode is unknown")
        }
        request.pinMode = mode
        request.pinToken = unsafe unpacked.slice(pin.pointee.token)
        if !(1...RequestBound.tokenBytesMax ~= Int(request.pinToken.count)) {
            request.refuse("a pin token outside 1...64 bytes")
        }
    }

    /// Methods are case-sensitive (RFC 9110 §9.1).
    private static func isConnect(_ method: ProtobufCBinaryData) -> Bool {
        // SAFETY: `data` has `len` bytes.
        guard unsafe method.len == "CONNECT".utf8.count else { return false }
        return unsafe UnsafeBufferPointer(start: method.data, count: method.len).elementsEqual("CONNECT".utf8)
    }
}

extension Request {
    mutating func refuse(_ words: String) {
        if invalid == nil { invalid = words }
    }
}

extension Scheme {
    fileprivate init(_ scheme: Outrigger__V1__Scheme) throws(FrameError) {
        switch scheme {
        case OUTRIGGER__V1__SCHEME__SCHEME_HTTP: self = .http
        case OUTRIGGER__V1__SCHEME__SCHEME_HTTPS: self = .https
        default: throw .badMessage("scheme is unknown")
        }
    }
}

extension RequestBody {
    fileprivate init(_ kind: Outrigger__V1__BodyKind, length: UInt64) throws(FrameError) {
        switch kind {
        case OUTRIGGER__V1__BODY_KIND__BODY_LENGTH:
            self = .length(length)
            return
        case OUTRIGGER__V1__BODY_KIND__BODY_NONE: self = .none
        case OUTRIGGER__V1__BODY_KIND__BODY_CHUNKED: self = .chunked
        default: throw .badMessage("body is unknown")
        }
        guard length == 0 else { throw .badMessage("body_length without BODY_LENGTH") }
    }
}

extension RetryRule {
    fileprivate init(_ rule: Outrigger__V1__RetryRule) throws(FrameError) {
        switch rule {
        case OUTRIGGER__V1__RETRY_RULE__RETRY_IDEMPOTENT: self = .idempotentOnly
        case OUTRIGGER__V1__RETRY_RULE__RETRY_NEVER: self = .never
        case OUTRIGGER__V1__RETRY_RULE__RETRY_REPLAYABLE: self = .replayable
        default: throw .badMessage("retry is unknown")
        }
    }
}
