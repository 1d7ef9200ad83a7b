// TLSResults.swift: what the calls of a layer come to. Owns: nothing. Source: SSL_get_error(3); RFC 8446 §6.1.
import Model

/// How far a handshake is.
package enum TLSHandshake: Equatable, Sendable {
    /// Send `output`, bring more input.
    case needsMore
    case done(TLSFacts)
    /// `output` may hold an alert that tells the peer.
    case failed(TLSFailure)
}

/// What a read of plaintext did.
package enum TLSRead: Equatable, Sendable {
    /// Never 0.
    case bytes(Int)
    /// More input has to come first, or `output` has to leave first.
    case wouldBlock
    /// The peer said close_notify: what was read is whole.
    case endOfFile
    /// The input ended without close_notify: somebody may have cut it. Source: RFC 8446 §6.1.
    case truncated
    case failed(TLSFailure)
}
