// ReplyPacking.swift: INTERIM, REPLY and END, which every exchange has, packed without protobuf-c's descriptors.
// Measured: protobuf-c took 16 % of all instructions of a small exchange for these. Source: proto/outrigger.proto.
import Model

/// Sizes of messages, bytes. Each is what the function beside it appends.
private enum MessageSize {
    static func endpoint(_ endpoint: Endpoint) -> Int {
        switch endpoint {
        case .ip(let address, let port): self.address(address) &+ WireSize.number(UInt64(port))
        case .unix(let path): WireSize.bytes(path.count)
        }
    }

    private static func address(_ address: IPAddress) -> Int {
        switch address {
        case .v4: WireSize.bytes(4)
        case .v6(_, _, let scope): WireSize.bytes(16) &+ WireSize.number(UInt64(scope))
        }
    }

    static func facts(_ facts: borrowing ConnectionFacts) -> Int {
        var size =
            (facts.reused ? 2 : 0) &+ WireSize.number(clamped(facts.endpointIndex))
            &+ WireSize.number(clamped(facts.requests))
        if let remote = facts.remote { size &+= WireSize.bytes(endpoint(remote)) }
        if let local = facts.local { size &+= WireSize.bytes(endpoint(local)) }
        if !facts.tlsAside.isAbsent, let tls = facts.tls { size &+= WireSize.bytes(self.tls(tls)) }
        if !facts.peerTLSAside.isAbsent, let tls = facts.peerTLS { size &+= WireSize.bytes(self.tls(tls)) }
        size &+= (facts.isPinned ? 2 : 0) &+ (facts.isBound ? 2 : 0)
        let words = MessageEncoder.textBytes(facts.authentication)
        if words > 0 { size &+= WireSize.bytes(words) }
        return size
    }

    static func tls(_ facts: borrowing TLSFacts) -> Int {
        WireSize.number(UInt64(facts.version.rawValue)) &+ text(facts.cipher) &+ text(facts.alpn)
            &+ WireSize.bytes(facts.certificateSHA256.count) &+ (facts.isResumed ? 2 : 0)
    }

    /// A text field; absent when empty.
    fileprivate static func text(_ words: String) -> Int {
        words.isEmpty ? 0 : WireSize.bytes(words.utf8.count)
    }

    static func field(_ slice: FieldSlice) -> Int {
        WireSize.bytes(Int(slice.name.count)) &+ WireSize.bytes(Int(slice.value.count))
    }

    static func attempt(_ attempt: Attempt) -> Int {
        WireSize.number(UInt64(attempt.endpointIndex)) &+ WireSize.number(UInt64(attempt.result.rawValue))
            &+ WireSize.number(clamped(attempt.startMicroseconds))
            &+ WireSize.number(clamped(attempt.durationMicroseconds))
            &+ WireSize.number(clamped(attempt.transportMicroseconds))
    }

    /// Of a group: the member's name behind all else.
    static func attempt(_ attempt: Attempt, _ members: borrowing [String]) -> Int {
        self.attempt(attempt) &+ text(MessageEncoder.name(attempt.member, members))
    }

    static func timings(_ timings: Timings) -> Int {
        WireSize.number(timings.connectedMicroseconds) &+ WireSize.number(timings.sentMicroseconds)
            &+ WireSize.number(timings.firstByteMicroseconds) &+ WireSize.number(timings.totalMicroseconds)
    }

    /// A number that is a uint32 on the wire: one that wrapped would look small.
    static func clamped(_ number: some BinaryInteger) -> UInt64 { UInt64(UInt32(clamping: number)) }
}

extension ReplyBody {
    /// The protocol's number.
    fileprivate var wireKind: UInt64 {
        switch self {
        case .none: 0
        case .length: 1
        case .chunked: 2
        case .untilEOF: 3
        case .tunnel: 4
        }
    }

    fileprivate var wireLength: UInt64 {
        switch self {
        case .length(let bytes): bytes
        case .none, .chunked, .untilEOF, .tunnel: 0
        }
    }
}

extension OutputSpan<UInt8> {
    fileprivate mutating func append(_ endpoint: Endpoint, field: UInt8) {
        appendPrefix(MessageSize.endpoint(endpoint), field: field)
        switch endpoint {
        case .ip(.v4(let word), let port):
            appendPrefix(4, field: 1)
            appendBigEndian(UInt64(word), count: 4)
            appendNumber(UInt64(port), field: 2)
        case .ip(.v6(let high, let low, let scope), let port):
            appendPrefix(16, field: 1)
            appendBigEndian(high, count: 8)
            appendBigEndian(low, count: 8)
            appendNumber(UInt64(port), field: 2)
            appendNumber(UInt64(scope), field: 3)
        case .unix(let path):
            appendBytes(path.span, field: 4)
        }
    }

    /// `size`: of the message, bytes.
    fileprivate mutating func append(_ facts: borrowing ConnectionFacts, size: Int, field: UInt8) {
        appendPrefix(size, field: field)
        appendNumber(facts.reused ? 1 : 0, field: 1)
        appendNumber(MessageSize.clamped(facts.endpointIndex), field: 2)
        appendNumber(MessageSize.clamped(facts.requests), field: 3)
        appendNumber(facts.isPinned ? 1 : 0, field: 4)
        if let remote = facts.remote { append(remote, field: 5) }
        if let local = facts.local { append(local, field: 6) }
        if !facts.tlsAside.isAbsent, let tls = facts.tls { append(tls, field: 7) }
        if !facts.peerTLSAside.isAbsent, let tls = facts.peerTLS { append(tls, field: 8) }
        appendNumber(facts.isBound ? 1 : 0, field: 9)
        let words = MessageEncoder.textBytes(facts.authentication)
        if words > 0 { appendBytes(facts.authentication.utf8.span.extracting(first: words), field: 10) }
    }

    private mutating func append(_ facts: borrowing TLSFacts, field: UInt8) {
        appendPrefix(MessageSize.tls(facts), field: field)
        appendNumber(UInt64(facts.version.rawValue), field: 1)
        if !facts.cipher.isEmpty { appendBytes(facts.cipher.utf8.span, field: 2) }
        if !facts.alpn.isEmpty { appendBytes(facts.alpn.utf8.span, field: 3) }
        appendBytes(facts.certificateSHA256.span, field: 4)
        appendNumber(facts.isResumed ? 1 : 0, field: 5)
    }

    fileprivate mutating func append(_ slice: FieldSlice, in block: Span<UInt8>, field: UInt8) {
        appendPrefix(MessageSize.field(slice), field: field)
        appendBytes(block.extracting(slice.name), field: 1)
        appendBytes(block.extracting(slice.value), field: 2)
    }

    fileprivate mutating func append(_ attempt: Attempt, field: UInt8) {
        appendPrefix(MessageSize.attempt(attempt), field: field)
        appendContent(attempt)
    }

    @inline(__always)
    private mutating func appendContent(_ attempt: Attempt) {
        appendNumber(UInt64(attempt.endpointIndex), field: 1)
        appendNumber(UInt64(attempt.result.rawValue), field: 2)
        appendNumber(MessageSize.clamped(attempt.startMicroseconds), field: 3)
        appendNumber(MessageSize.clamped(attempt.durationMicroseconds), field: 4)
        appendNumber(MessageSize.clamped(attempt.transportMicroseconds), field: 5)
    }

    /// Of a group.
    fileprivate mutating func append(_ attempt: Attempt, _ members: borrowing [String], field: UInt8) {
        appendPrefix(MessageSize.attempt(attempt, members), field: field)
        appendContent(attempt)
        let name = MessageEncoder.name(attempt.member, members)
        if !name.isEmpty { appendBytes(name.utf8.span, field: 6) }
    }

    /// Of an END, what stands in front of the attempts.
    @inline(__always)
    fileprivate mutating func appendHead(_ report: borrowing EndReport, _ textBytes: Int) {
        appendNumber(UInt64(report.outcome.rawValue), field: 1)
        if textBytes > 0 { appendBytes(report.detail.utf8.span.extracting(first: textBytes), field: 2) }
        appendNumber(report.requestBodyBytes, field: 3)
        appendNumber(report.replyBodyBytes, field: 4)
        appendNumber(report.requestStarted ? 1 : 0, field: 5)
        appendNumber(report.repeatable ? 1 : 0, field: 6)
    }

    /// And behind them.
    @inline(__always)
    fileprivate mutating func appendTail(_ report: borrowing EndReport) {
        appendNumber(UInt64(report.connection.rawValue), field: 8)
        append(report.timings, field: 9)
    }

    fileprivate mutating func append(_ timings: Timings, field: UInt8) {
        appendPrefix(MessageSize.timings(timings), field: field)
        appendNumber(timings.connectedMicroseconds, field: 1)
        appendNumber(timings.sentMicroseconds, field: 2)
        appendNumber(timings.firstByteMicroseconds, field: 3)
        appendNumber(timings.totalMicroseconds, field: 4)
    }
}

extension MessageEncoder {
    /// Bytes of words in one frame; longer ones are cut between characters, and before a NUL.
    static let textBytesMax = 256

    /// Of REPLY, or of INTERIM, which has no `facts`. `block` is what the head's slices point into.
    /// Returns whether the payload is within `payloadBytesMax`, what the other side accepts; if not, nothing is
    /// appended.
    @discardableResult
    package mutating func reply(
        _ head: borrowing ReplyHead,
        in block: Span<UInt8>,
        facts: borrowing ConnectionFacts,
        isInterim: Bool = false,
        stream: UInt32,
        payloadBytesMax: Int = .max,
        into output: inout ByteBuffer
    ) -> Bool {
        let reason = block.extracting(head.reason)
        let (kind, length) = (head.body.wireKind, head.body.wireLength)
        var size =
            WireSize.number(UInt64(head.status)) &+ WireSize.number(UInt64(head.version))
            &+ WireSize.number(kind) &+ WireSize.number(length)
        if !reason.isEmpty { size &+= WireSize.bytes(reason.count) }
        let count = head.fields.count
        for index in 0..<count { size &+= WireSize.bytes(MessageSize.field(head.fields[index])) }
        let factsBytes = isInterim ? 0 : MessageSize.facts(facts)
        if !isInterim { size &+= WireSize.bytes(factsBytes) }
        if size > payloadBytesMax { return false }
        let type: FrameType = isInterim ? .interim : .reply
        output.appendFrame(type, stream: stream, endsStream: false, payloadBytes: size) { output in
            output.appendNumber(UInt64(head.status), field: 1)
            if !reason.isEmpty { output.appendBytes(reason, field: 2) }
            output.appendNumber(UInt64(head.version), field: 3)
            for index in 0..<count { output.append(head.fields[index], in: block, field: 4) }
            output.appendNumber(kind, field: 5)
            output.appendNumber(length, field: 6)
            if !isInterim { output.append(facts, size: factsBytes, field: 7) }
        }
        return true
    }

    package mutating func end(
        _ report: borrowing EndReport,
        attempts: borrowing [Attempt],
        stream: UInt32,
        into output: inout ByteBuffer
    ) {
        let textBytes = Self.textBytes(report.detail)
        let count = min(attempts.count, MessageEncoder.attemptsMax)
        var size =
            WireSize.number(UInt64(report.outcome.rawValue)) &+ WireSize.number(report.requestBodyBytes)
            &+ WireSize.number(report.replyBodyBytes) &+ (report.requestStarted ? 2 : 0)
            &+ (report.repeatable ? 2 : 0) &+ WireSize.number(UInt64(report.connection.rawValue))
            &+ WireSize.bytes(MessageSize.timings(report.timings))
        if textBytes > 0 { size &+= WireSize.bytes(textBytes) }
        if !report.members.isEmpty {
            return namedEnd(report, attempts, size, textBytes, stream, &output)
        }
        for index in 0..<count { size &+= WireSize.bytes(MessageSize.attempt(attempts[index])) }
        output.appendFrame(.end, stream: stream, endsStream: true, payloadBytes: size) { output in
            output.appendHead(report, textBytes)
            for index in 0..<count { output.append(attempts[index], field: 7) }
            output.appendTail(report)
        }
    }

    /// The name of a member; empty for none.
    static func name(_ member: Int, _ members: borrowing [String]) -> String {
        members.indices.contains(member) ? members[member] : ""
    }

    /// Payload bytes of an END that names members: attempts that do not fit are left out. The least that a HELLO can ask
    /// for.
    private static let namedEndBytesMax = 1024

    /// END of a group's request: as `end`, with the names of members.
    private func namedEnd(
        _ report: borrowing EndReport,
        _ attempts: borrowing [Attempt],
        _ base: Int,
        _ textBytes: Int,
        _ stream: UInt32,
        _ output: inout ByteBuffer
    ) {
        let name = Self.name(report.member, report.members)
        var size = base &+ MessageSize.text(name)
        var count = 0
        while count < min(attempts.count, Self.attemptsMax) {
            let more = WireSize.bytes(MessageSize.attempt(attempts[count], report.members))
            if size &+ more > Self.namedEndBytesMax { break }
            size &+= more
            count &+= 1
        }
        output.appendFrame(.end, stream: stream, endsStream: true, payloadBytes: size) { output in
            output.appendHead(report, textBytes)
            for index in 0..<count { output.append(attempts[index], report.members, field: 7) }
            output.appendTail(report)
            if !name.isEmpty { output.appendBytes(name.utf8.span, field: 10) }
        }
    }

    /// PIN, on stream 0.
    package mutating func pin(_ event: borrowing PinEvent, into output: inout ByteBuffer) {
        let textBytes = Self.textBytes(event.detail)
        var size = WireSize.bytes(event.token.count) &+ WireSize.number(UInt64(event.change.rawValue))
        if textBytes > 0 { size &+= WireSize.bytes(textBytes) }
        if let remote = event.remote { size &+= WireSize.bytes(MessageSize.endpoint(remote)) }
        output.appendFrame(.pin, stream: 0, endsStream: false, payloadBytes: size) { output in
            output.appendBytes(event.token.span, field: 1)
            output.appendNumber(UInt64(event.change.rawValue), field: 2)
            if textBytes > 0 {
                output.appendBytes(event.detail.utf8.span.extracting(first: textBytes), field: 3)
            }
            if let remote = event.remote { output.append(remote, field: 4) }
        }
    }

    /// How many bytes of `words` go into a frame.
    @inline(__always)
    static func textBytes(_ words: String) -> Int { words.isEmpty ? 0 : scalarBytes(words) }

    private static func scalarBytes(_ words: String) -> Int {
        var count = 0
        for scalar in words.unicodeScalars {
            let next = count &+ UTF8.width(scalar)
            if scalar.value == 0 || next > textBytesMax { break }
            count = next
        }
        return count
    }
}
