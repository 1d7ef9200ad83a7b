// ReplyDecoder.swift: an upstream's bytes in, reply heads and body ranges out. One decoder a connection.
// Owns: framing and the persistence verdict. Never touches: buffers, sockets. Source: RFC 9112.
import Model

/// What a step of the decoder found at the start of the bytes it was given.
package enum ReplyEvent: Equatable, Sendable {
    /// Nothing yet, and nothing is consumed. Call again with the same bytes and more behind them.
    case needMore
    /// A 1xx reply other than an awaited 101; `head` is filled.
    case interim
    /// The final reply (or an awaited 101); `head` is filled.
    case head
    /// Body bytes, in place: this range of the bytes given.
    case body(Range<Int>)
    /// The trailer section of a chunked reply, in `head.fields`; only when it has fields.
    case trailers
    /// The reply is whole. What follows belongs to no request.
    case complete
}

/// One step: what was found, and how many bytes from the front are done with.
package struct ReplyStep: Equatable, Sendable {
    package var event: ReplyEvent
    package var consumed: Int

    package init(event: ReplyEvent, consumed: Int) {
        self.event = event
        self.consumed = consumed
    }

    fileprivate static let needMore = ReplyStep(event: .needMore, consumed: 0)
}

/// What about a request decides how its reply is framed.
package struct ReplyContext: Equatable, Sendable {
    /// HEAD: the reply has no body whatever its fields say.
    package var isHead = false
    /// An Upgrade was asked for: 101 is a final answer.
    package var expectsUpgrade = false
    /// CONNECT: a 2xx reply ends HTTP on the connection.
    package var isConnect = false

    package init() {}
}

/// Decodes one reply after the other.
package struct ReplyDecoder: Sendable {
    private enum State: Equatable, Sendable {
        /// No request is out, or its reply was told to be complete.
        case idle
        case head
        /// So many bytes of the body are missing, one at least.
        case length(UInt64)
        /// A chunk-size line comes next; behind the CR LF of the data before it unless it is the first.
        case chunkLine(isFirst: Bool)
        /// So many bytes of the chunk are missing, one at least.
        case chunkData(UInt64)
        /// The last chunk's line stands in front, unconsumed, and the trailer section comes.
        case trailers
        case untilEOF
        case tunnel
        /// Whole, which is still to be told.
        case whole
        /// Broken or cut off.
        case failed
    }

    private let limits: ReplyLimits
    private var state = State.idle
    private var context = ReplyContext()
    private var section = FieldSection(start: 0, hasStatusLine: true)
    /// No LF stands before here in the chunk-size line that is waited for.
    private var chunkLineSearched = 0
    /// Bytes of chunk framing beyond what chunks of that size need.
    private var chunkOverheadBytes = 0
    private var interimReplies = 0
    /// An interim reply claimed to have a body: where the next reply begins is not sure.
    private var isDoubtful = false

    /// Whether the connection may serve another request after `complete`. False until the final head is
    /// there.
    package private(set) var persists = false

    /// The timeout parameter of the reply's Keep-Alive field, seconds.
    package private(set) var keepAliveSeconds: Int?

    /// Whether any byte of the current reply was seen.
    package private(set) var hasBegun = false

    /// - Parameter limits: `replyHeadBytesMax`, `fieldCountMax`, `chunkLineBytesMax`,
    ///   `chunkOverheadBytesMax`, `interimRepliesMax` are used.
    package init(limits: Limits) { self.limits = ReplyLimits(limits) }

    /// A request was sent: decode its reply next. The reply before it must have been told to be complete.
    package mutating func begin(_ context: ReplyContext) {
        precondition(state == .idle, "a request before the last reply was complete")
        self.context = context
        state = .head
        section = FieldSection(start: 0, hasStatusLine: true)
        interimReplies = 0
        isDoubtful = false
        persists = false
        keepAliveSeconds = nil
        hasBegun = false
    }

    /// No request was sent and no reply will come: every byte belongs to a tunnel.
    package mutating func beginTunnel() {
        begin(ReplyContext())
        hasBegun = true
        state = .tunnel
    }

    /// Decodes the next piece. Not to be called after `complete` without `begin`, nor after an error.
    /// - Parameters:
    ///   - bytes: everything not consumed so far, from the front.
    ///   - head: filled with slices into `bytes` for `interim`, `head` and `trailers`; undefined after
    ///     `needMore` and errors.
    ///   - chunkBytesMax: data to be taken behind a chunk-size line in the same step. With 0 the range is empty and
    ///     the data shows up as `opaqueBytes`, for a caller that cannot take it yet.
    /// - Returns: one event.
    /// - Throws: what makes the bytes no valid reply.
    /// - Complexity: O(n) for a reply of n bytes, however it is cut.
    package mutating func decode(
        _ bytes: Span<UInt8>,
        head: inout ReplyHead,
        chunkBytesMax: Int = .max
    ) throws(ReplyError) -> ReplyStep {
        do throws(ReplyError) {
            switch state {
            case .head: return try decodeHead(bytes, head: &head)
            case .length(let missing):
                guard !bytes.isEmpty else { return .needMore }
                let count = take(missing, of: bytes.count)
                state = missing == UInt64(count) ? .whole : .length(missing &- UInt64(count))
                return ReplyStep(event: .body(0..<count), consumed: count)
            case .chunkLine(let isFirst):
                return try decodeChunk(bytes, isFirst: isFirst, head: &head, dataBytesMax: chunkBytesMax)
            case .chunkData(let missing):
                return bytes.isEmpty ? .needMore : passChunkData(0, missing, of: bytes.count)
            case .trailers: return try decodeTrailers(bytes, head: &head)
            case .untilEOF, .tunnel:
                return bytes.isEmpty
                    ? .needMore : ReplyStep(event: .body(0..<bytes.count), consumed: bytes.count)
            case .whole:
                state = .idle
                return ReplyStep(event: .complete, consumed: 0)
            case .idle, .failed: preconditionFailure("decode in \(state)")
            }
        } catch {
            state = .failed
            persists = false
            throw error
        }
    }

    /// The connection ended. Bytes that were not consumed before are lost.
    /// - Returns: whether the reply was delimited by that end and so is whole as far as anyone can tell.
    ///   False for one whose last byte was consumed before: of that, `decode` tells.
    package mutating func endOfFile() -> Bool {
        persists = false
        switch state {
        case .untilEOF, .tunnel:
            state = .idle
            return true
        case .idle: return false
        case .head, .length, .chunkLine, .chunkData, .trailers, .whole, .failed:
            state = .failed
            return false
        }
    }

    /// Bytes of body that are certain to come next without framing between them; 0: use `decode`.
    package var opaqueBytes: UInt64 {
        switch state {
        case .length(let missing), .chunkData(let missing): missing
        case .untilEOF, .tunnel: .max
        case .idle, .head, .chunkLine, .trailers, .whole, .failed: 0
        }
    }

    /// `count` of the `opaqueBytes` were taken without `decode`. `decode` of no bytes then tells whether it
    /// is complete.
    package mutating func consumedOpaque(_ count: Int) {
        precondition(count >= 0 && UInt64(count) <= opaqueBytes, "more than the opaque bytes")
        let taken = UInt64(count)
        switch state {
        case .length(let missing): state = missing == taken ? .whole : .length(missing &- taken)
        case .chunkData(let missing):
            state = missing == taken ? .chunkLine(isFirst: false) : .chunkData(missing &- taken)
        case .untilEOF, .tunnel: break
        case .idle, .head, .chunkLine, .trailers, .whole, .failed: break
        }
    }
}

extension ReplyDecoder {
    private mutating func decodeHead(
        _ bytes: Span<UInt8>,
        head: inout ReplyHead
    ) throws(ReplyError) -> ReplyStep {
        guard !bytes.isEmpty else { return .needMore }
        hasBegun = true
        var framing = ReplyFraming()
        guard let end = try section.read(bytes, limits: limits, head: &head, framing: &framing) else {
            return .needMore
        }
        section = FieldSection(start: 0, hasStatusLine: true)
        if head.status == 101 {
            guard context.expectsUpgrade else { throw .unexpectedUpgrade }
            head.body = .tunnel
            state = .tunnel
            return ReplyStep(event: .head, consumed: end)
        }
        if head.status < 200 {
            interimReplies &+= 1
            guard interimReplies <= limits.interimRepliesMax else {
                throw .tooManyInterimReplies(limit: limits.interimRepliesMax)
            }
            isDoubtful = isDoubtful || framing.claimsBody
            head.body = .none
            return ReplyStep(event: .interim, consumed: end)
        }
        let verdict = try framing.verdict(status: head.status, version: head.version, context: context)
        head.body = verdict.body
        persists = verdict.persists && !isDoubtful
        keepAliveSeconds = framing.keepAliveSeconds
        switch verdict.body {
        case .none: state = .whole
        case .length(let count): state = count == 0 ? .whole : .length(count)
        case .chunked:
            chunkLineSearched = 0
            chunkOverheadBytes = 0
            state = .chunkLine(isFirst: true)
        case .untilEOF: state = .untilEOF
        case .tunnel: state = .tunnel
        }
        return ReplyStep(event: .head, consumed: end)
    }

    /// A chunk-size line and what is there of the data behind it.
    private mutating func decodeChunk(
        _ bytes: Span<UInt8>,
        isFirst: Bool,
        head: inout ReplyHead,
        dataBytesMax: Int
    ) throws(ReplyError) -> ReplyStep {
        if !isFirst {
            if !bytes.isEmpty && bytes[0] != Octet.carriageReturn { throw .chunkEnd }
            if bytes.count > 1 && bytes[1] != Octet.lineFeed { throw .chunkEnd }
            guard bytes.count > 2 else { return .needMore }
        }
        let line = try ChunkLine.read(
            bytes,
            at: isFirst ? 0 : 2,
            searched: &chunkLineSearched,
            bytesMax: limits.chunkLineBytesMax
        )
        guard let line else { return .needMore }
        if line.size == 0 {
            try countOverhead(line)
            section = FieldSection(start: line.end, hasStatusLine: false)
            state = .trailers
            return try decodeTrailers(bytes, head: &head)
        }
        guard bytes.count > line.end else {
            // The line is read once more when its data is there: what is not consumed must not be counted.
            chunkLineSearched = line.end &- 1
            return .needMore
        }
        try countOverhead(line)
        chunkLineSearched = 0
        return passChunkData(line.end, line.size, of: line.end + min(bytes.count - line.end, dataBytesMax))
    }

    /// Plain chunks of any size cost nothing, so that an upstream which sends byte by byte is served; what
    /// wastes (extensions, leading zeros) is paid for by data. Source: RFC 9112 §7.1.1.
    private mutating func countOverhead(_ line: ChunkLine) throws(ReplyError) {
        let free = Swift.min(line.size, UInt64(UInt32.max))
        chunkOverheadBytes = Swift.max(
            0,
            chunkOverheadBytes &+ line.end &- plainChunkFramingBytes &- Int(free)
        )
        guard chunkOverheadBytes <= limits.chunkOverheadBytesMax else {
            throw .chunkOverhead(limitBytes: limits.chunkOverheadBytesMax)
        }
    }

    private mutating func passChunkData(_ start: Int, _ missing: UInt64, of available: Int) -> ReplyStep {
        let count = take(missing, of: available &- start)
        let rest = missing &- UInt64(count)
        state = rest == 0 ? .chunkLine(isFirst: false) : .chunkData(rest)
        return ReplyStep(event: .body(start..<start &+ count), consumed: start &+ count)
    }

    private mutating func decodeTrailers(
        _ bytes: Span<UInt8>,
        head: inout ReplyHead
    ) throws(ReplyError) -> ReplyStep {
        // Framing fields in trailers mean nothing. Source: RFC 9110 §6.5.1.
        var ignored = ReplyFraming()
        guard let end = try section.read(bytes, limits: limits, head: &head, framing: &ignored) else {
            return .needMore
        }
        if head.fields.isEmpty {
            state = .idle
            return ReplyStep(event: .complete, consumed: end)
        }
        state = .whole
        return ReplyStep(event: .trailers, consumed: end)
    }
}

/// Framing of a chunk that is not counted as overhead: CR LF behind data, 16 digits at most, CR LF.
private let plainChunkFramingBytes = 20

/// As many of `missing` bytes as there are.
private func take(_ missing: UInt64, of available: Int) -> Int {
    Int(Swift.min(missing, UInt64(available)))
}
