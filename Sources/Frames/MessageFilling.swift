// MessageFilling.swift: the larger messages of the model to protobuf-c's structs, and HELLO.
// Owns: nothing. Source: proto/outrigger.proto.
import COutriggerProto
import Model

extension Scratch {
    /// Sets everything of `message` but its fields.
    /// - Returns: a bound of the bytes this packs to.
    mutating func setRequest(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        of message: inout Outrigger__V1__Request
    ) -> Int {
        // SAFETY: what the struct is made to point to is scratch memory or `block`; the caller packs while
        // both live.
        unsafe message.method = Scratch.bytes(request.method, in: block)
        unsafe message.scheme =
            request.scheme == .https
            ? OUTRIGGER__V1__SCHEME__SCHEME_HTTPS : OUTRIGGER__V1__SCHEME__SCHEME_HTTP
        unsafe message.authority = Scratch.bytes(request.authority, in: block)
        unsafe message.target = Scratch.bytes(request.target, in: block)
        unsafe message.upgrade = Scratch.bytes(request.upgrade, in: block)
        unsafe message.tag = Scratch.bytes(request.tag, in: block)
        switch request.route {
        case .direct: unsafe message.route = OUTRIGGER__V1__ROUTE_KIND__ROUTE_DIRECT
        case .peer: unsafe message.route = OUTRIGGER__V1__ROUTE_KIND__ROUTE_PEER
        case .peerTunnel: unsafe message.route = OUTRIGGER__V1__ROUTE_KIND__ROUTE_PEER_TUNNEL
        }
        switch request.body {
        case .none: unsafe message.body = OUTRIGGER__V1__BODY_KIND__BODY_NONE
        case .length(let bytes):
            unsafe message.body = OUTRIGGER__V1__BODY_KIND__BODY_LENGTH
            unsafe message.body_length = bytes
        case .chunked: unsafe message.body = OUTRIGGER__V1__BODY_KIND__BODY_CHUNKED
        }
        switch request.retry {
        case .idempotentOnly: unsafe message.retry = OUTRIGGER__V1__RETRY_RULE__RETRY_IDEMPOTENT
        case .never: unsafe message.retry = OUTRIGGER__V1__RETRY_RULE__RETRY_NEVER
        case .replayable: unsafe message.retry = OUTRIGGER__V1__RETRY_RULE__RETRY_REPLAYABLE
        }
        unsafe setPlaces(request, of: &message)
        if request.deadlines != Deadlines() { unsafe message.deadlines = setDeadlines(request.deadlines) }
        let bytes =
            Int(request.method.count) + Int(request.authority.count) + Int(request.target.count)
            + Int(request.upgrade.count) + Int(request.tag.count)
        return bytes + 5 * Bound.prefix + 5 * Bound.number + (request.endpoints.count + 1) * Bound.endpoint
            + Bound.deadlines
    }

    /// Endpoints first, the local address behind them.
    private mutating func setPlaces(_ request: borrowing Request, of message: inout Outrigger__V1__Request) {
        let count = request.endpoints.count
        reserveEndpoints(count + 1)
        for index in 0..<count { setEndpoint(request.endpoints[index], at: index) }
        // SAFETY: there is room for one more than `count`; nothing grows until the caller has packed.
        unsafe message.n_endpoints = count
        unsafe message.endpoints = endpoints.pointers
        if let local = request.localAddress {
            setAddress(local, at: count)
            unsafe message.local_address = endpoints.structs + count
        }
    }

    private func setDeadlines(_ deadlines: Deadlines) -> UnsafeMutablePointer<Outrigger__V1__Deadlines> {
        // SAFETY: the row has one struct.
        let message = unsafe self.deadlines.structs
        unsafe message.pointee.queue_ms = UInt32(clamping: deadlines.queueMilliseconds)
        unsafe message.pointee.connect_ms = UInt32(clamping: deadlines.connectMilliseconds)
        unsafe message.pointee.first_byte_ms = UInt32(clamping: deadlines.firstByteMilliseconds)
        unsafe message.pointee.idle_ms = UInt32(clamping: deadlines.idleMilliseconds)
        unsafe message.pointee.total_ms = UInt32(clamping: deadlines.totalMilliseconds)
        return unsafe message
    }
}

extension MessageEncoder {
    /// Once a session, so it allocates.
    package mutating func hello(_ hello: Hello, into output: inout ByteBuffer) {
        let names = hello.capabilities.map { Array($0.utf8) + [0] }
        let software = Array(hello.software.utf8) + [0]
        let texts = StructRow<CChar>(capacity: names.reduce(software.count) { $0 + $1.count }, initial: 0)
        // SAFETY: `texts` has room for every string with its NUL, `pointers` for every name; both, and
        // `hello`'s array, live until the message is packed.
        let pointers = unsafe StructRow<UnsafeMutablePointer<CChar>?>(capacity: names.count, initial: nil)
        var next = unsafe texts.structs
        for (index, name) in names.enumerated() {
            unsafe pointers.structs[index] = next
            for byte in name {
                unsafe next.pointee = CChar(bitPattern: byte)
                unsafe next += 1
            }
        }
        var message = unsafe Outrigger__V1__Hello()
        unsafe outrigger__v1__hello__init(&message)
        unsafe message.software = next
        for byte in software {
            unsafe next.pointee = CChar(bitPattern: byte)
            unsafe next += 1
        }
        unsafe message.version = hello.version
        unsafe message.frame_payload_bytes_max = UInt32(hello.framePayloadBytesMax)
        unsafe message.initial_credit_bytes = UInt32(hello.initialCreditBytes)
        let instance = hello.instanceID.span
        unsafe message.instance_id = Scratch.bytes(Slice(start: 0, count: instance.count), in: instance)
        unsafe message.streams_max = UInt32(hello.streamsMax)
        unsafe message.n_capabilities = names.count
        unsafe message.capabilities = pointers.structs
        let bound = 4 * Bound.number + (names.count + 2) * Bound.prefix + texts.capacity + instance.count
        unsafe output.appendFrame(.hello, stream: 0, bound: bound) {
            unsafe outrigger__v1__hello__pack(&message, $0)
        }
        // Their memory must not go before the message is packed.
        extendLifetime(texts)
        unsafe extendLifetime(pointers)
    }
}
