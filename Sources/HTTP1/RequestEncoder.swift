// RequestEncoder.swift: a request in, bytes for the upstream out, or a refusal before any byte.
// Owns: Host, hop-by-hop fields, framing. Never touches: buffers of others, sockets. Source: RFC 9112 §3, §6, §7.
import Model

/// Why a request cannot be sent.
package enum RequestError: Error, Equatable, Sendable {
    case placeholder
}

/// What the rest of an exchange needs to know about an encoded head.
package struct EncodedRequest: Equatable, Sendable {
    /// RFC 9110 §9.2.2: sending it again has the effect of sending it once.
    package var isIdempotent = false
    package var isHead = false
    /// It has a body and "Expect: 100-continue".
    package var expectsContinue = false
}

/// Writes request heads and chunked framing.
package enum RequestEncoder {
    /// Checks the whole request, then appends its head.
    /// - Parameters:
    ///   - block: what the request's slices point into.
    ///   - output: untouched when the request is refused.
    package static func encode(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        limits: Limits,
        into output: inout ByteBuffer
    ) throws(RequestError) -> EncodedRequest {
        throw .placeholder
    }

    /// Appends `data` as one chunk; nothing when it is empty.
    package static func appendChunk(_ data: Span<UInt8>, into output: inout ByteBuffer) {}

    /// Appends the last chunk and a trailer section.
    package static func appendLastChunk(
        trailers: [FieldSlice],
        in block: Span<UInt8>,
        limits: Limits,
        into output: inout ByteBuffer
    ) throws(RequestError) {}
}
