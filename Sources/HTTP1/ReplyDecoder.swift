// ReplyDecoder.swift: an upstream's bytes in, reply heads and body ranges out. One decoder a connection.
// Owns: framing and the persistence verdict. Never touches: buffers, sockets. Source: RFC 9112.
import Model

/// What a step of the decoder found at the start of the bytes it was given.
package enum ReplyEvent: Equatable, Sendable {
    /// Nothing yet. Call again with the unconsumed bytes and more behind them.
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
}

/// Why an upstream's bytes are no valid reply.
package enum ReplyError: Error, Equatable, Sendable {
    case placeholder
}

/// What about a request decides how its reply is framed.
package struct ReplyContext: Equatable, Sendable {
    /// HEAD: the reply has no body whatever its fields say.
    package var isHead = false
    /// An Upgrade was asked for: 101 is a final answer.
    package var expectsUpgrade = false

    package init() {}
}

/// Decodes one reply after the other.
package struct ReplyDecoder: Sendable {
    /// - Parameter limits: `replyHeadBytesMax`, `fieldCountMax`, `chunkLineBytesMax`, `chunkOverheadBytesMax`,
    ///   `interimRepliesMax` are used.
    package init(limits: Limits) {}

    /// A request was sent: decode its reply next.
    package mutating func begin(_ context: ReplyContext) {}

    /// Decodes the next piece.
    /// - Parameters:
    ///   - bytes: everything not consumed so far, from the front.
    ///   - head: filled with slices into `bytes` for `interim`, `head` and `trailers`.
    package mutating func decode(_ bytes: Span<UInt8>, head: inout ReplyHead) throws(ReplyError) -> ReplyStep {
        throw .placeholder
    }

    /// The connection ended. Bytes that were not consumed before are lost.
    /// - Returns: whether the reply was delimited by that end and so is whole as far as anyone can tell.
    package mutating func endOfFile() -> Bool { false }

    /// Bytes of body that are certain to come next without framing between them; 0: use `decode`.
    package var opaqueBytes: UInt64 { 0 }

    /// `count` of the `opaqueBytes` were taken without `decode`. `decode` of no bytes then tells whether it is complete.
    package mutating func consumedOpaque(_ count: Int) {}

    /// Whether the connection may serve another request after `complete`.
    package var persists: Bool { false }

    /// The timeout parameter of the reply's Keep-Alive field, seconds.
    package var keepAliveSeconds: Int? { nil }

    /// Whether any byte of the current reply was seen.
    package var hasBegun: Bool { false }
}
