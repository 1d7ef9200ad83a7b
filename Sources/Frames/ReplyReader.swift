// ReplyReader.swift: what a sidecar sends, INTERIM, REPLY and END, to the model.
// Owns: nothing. Source: proto/outrigger.proto, messages ReplyHead, ConnectionFacts, End.
import COutriggerProto
import Model

extension Unpacked {
    /// Appends where `count` field lines stand.
    func appendFields(
        _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Outrigger__V1__Field>?>?,
        count: Int,
        to fields: inout [FieldSlice]
    ) {
        // SAFETY: the arena is alive; `messages` has at least `count` pointers to messages.
        guard let messages = unsafe messages else { return }
        for index in 0..<count {
            guard let field = unsafe messages[index] else { continue }
            fields.append(
                unsafe FieldSlice(name: slice(field.pointee.name), value: slice(field.pointee.value))
            )
        }
    }
}

extension Unpacked<Outrigger__V1__ReplyHead> {
    /// Replaces `head`.
    func read(into head: inout ReplyHead) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        guard unsafe 100...999 ~= message.pointee.status else {
            throw .badMessage("status outside 100...999")
        }
        head.status = unsafe Int(message.pointee.status)
        head.reason = unsafe slice(message.pointee.reason)
        guard unsafe message.pointee.version == 10 || message.pointee.version == 11 else {
            throw .badMessage("version is neither 10 nor 11")
        }
        head.version = unsafe Int(message.pointee.version)
        head.fields.removeAll(keepingCapacity: true)
        unsafe appendFields(message.pointee.fields, count: message.pointee.n_fields, to: &head.fields)
        head.body = try unsafe ReplyBody(message.pointee.body, length: message.pointee.body_length)
    }
}

extension ReplyBody {
    fileprivate init(_ kind: Outrigger__V1__ReplyBody, length: UInt64) throws(FrameError) {
        switch kind {
        case OUTRIGGER__V1__REPLY_BODY__REPLY_BODY_LENGTH:
            self = .length(length)
            return
        case OUTRIGGER__V1__REPLY_BODY__REPLY_BODY_NONE: self = .none
        case OUTRIGGER__V1__REPLY_BODY__REPLY_BODY_CHUNKED: self = .chunked
        case OUTRIGGER__V1__REPLY_BODY__REPLY_BODY_UNTIL_EOF: self = .untilEOF
        case OUTRIGGER__V1__REPLY_BODY__REPLY_BODY_TUNNEL: self = .tunnel
        default: throw .badMessage("body is unknown")
        }
        guard length == 0 else { throw .badMessage("body_length without REPLY_BODY_LENGTH") }
    }
}

extension ConnectionFacts {
    init(
        _ message: UnsafePointer<Outrigger__V1__ConnectionFacts>?,
        _ endpoints: inout EndpointReader
    ) throws(FrameError) {
        self.init()
        // SAFETY: the message's arena is alive.
        guard let message = unsafe message else { return }
        reused = unsafe message.pointee.reused != 0
        endpointIndex = unsafe Int(message.pointee.endpoint_index)
        requests = unsafe Int(message.pointee.requests)
        isPinned = unsafe message.pointee.pinned != 0
        isBound = unsafe message.pointee.bound != 0
        if let remote = unsafe message.pointee.remote {
            self.remote = try unsafe endpoints.endpointOfReply(remote)
        }
        if let local = unsafe message.pointee.local {
            self.local = try unsafe endpoints.endpointOfReply(local)
        }
    }
}

extension Unpacked<Outrigger__V1__ReplyHead> {
    /// What the facts say of TLS and authentication.
    func readWords(into facts: inout ConnectionFacts) throws(FrameError) {
        // SAFETY: the message's arena is alive.
        guard let message = unsafe message.pointee.connection else { return }
        if let tls = unsafe message.pointee.tls { facts.tls = try unsafe tlsFacts(tls) }
        if let tls = unsafe message.pointee.peer_tls { facts.peerTLS = try unsafe tlsFacts(tls) }
        facts.authentication = try unsafe text(message.pointee.authentication, "authentication")
    }

    private func tlsFacts(_ message: UnsafePointer<Outrigger__V1__TlsFacts>) throws(FrameError) -> TLSFacts {
        var facts = TLSFacts()
        // SAFETY: the message's arena is alive.
        guard let version = unsafe TLSVersion(rawValue: Int(message.pointee.version.rawValue)) else {
            throw .badMessage("version of TLS is unknown")
        }
        facts.version = version
        facts.cipher = try unsafe text(message.pointee.cipher, "cipher")
        facts.alpn = try unsafe text(message.pointee.alpn, "alpn")
        facts.certificateSHA256 = unsafe array(message.pointee.certificate_sha256)
        facts.isResumed = unsafe message.pointee.resumed != 0
        return facts
    }
}

extension Unpacked<Outrigger__V1__End> {
    func report() throws(FrameError) -> EndReport {
        // SAFETY: the message's arena is alive.
        guard let outcome = unsafe Outcome(rawValue: Int(message.pointee.outcome.rawValue)) else {
            throw .badMessage("outcome is unknown")
        }
        var report = EndReport(outcome, detail: try unsafe text(message.pointee.detail, "detail"))
        report.requestBodyBytes = unsafe message.pointee.request_body_bytes
        report.replyBodyBytes = unsafe message.pointee.reply_body_bytes
        report.requestStarted = unsafe message.pointee.request_started != 0
        report.repeatable = unsafe message.pointee.repeatable != 0
        guard let fate = unsafe ConnectionFate(rawValue: Int(message.pointee.connection.rawValue)) else {
            throw .badMessage("connection is unknown")
        }
        report.connection = fate
        if let timings = unsafe message.pointee.timings {
            report.timings.connectedMicroseconds = unsafe timings.pointee.connected_us
            report.timings.sentMicroseconds = unsafe timings.pointee.sent_us
            report.timings.firstByteMicroseconds = unsafe timings.pointee.first_byte_us
            report.timings.totalMicroseconds = unsafe timings.pointee.total_us
        }
        let name = try unsafe text(message.pointee.member, "member")
        if !name.isEmpty { report.member = report.number(ofMember: name) }
        return report
    }

    /// Names of members go into `report`.
    func attempts(_ report: inout EndReport) throws(FrameError) -> [Attempt] {
        var attempts: [Attempt] = []
        // SAFETY: the message's arena is alive; `attempts` has `n_attempts` pointers to messages.
        for index in unsafe 0..<message.pointee.n_attempts {
            guard let attempt = unsafe message.pointee.attempts[index] else { continue }
            guard let result = unsafe AttemptResult(rawValue: Int(attempt.pointee.result.rawValue)) else {
                throw .badMessage("result of an attempt is unknown")
            }
            var copy = unsafe Attempt(
                endpointIndex: Int(attempt.pointee.endpoint_index),
                result: result,
                startMicroseconds: UInt64(attempt.pointee.start_us),
                durationMicroseconds: UInt64(attempt.pointee.duration_us),
                transportMicroseconds: UInt64(attempt.pointee.transport_us)
            )
            let name = try unsafe text(attempt.pointee.member, "member")
            if !name.isEmpty { copy.member = report.number(ofMember: name) }
            attempts.append(copy)
        }
        return attempts
    }
}

extension EndReport {
    /// Index of a name among `members`, to which it is added when it is new.
    fileprivate mutating func number(ofMember name: String) -> Int {
        if let index = members.firstIndex(of: name) { return index }
        members.append(name)
        return members.count - 1
    }
}
