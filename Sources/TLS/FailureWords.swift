// FailureWords.swift: why TLS failed, in words for people and logs.
// Owns: the words and their length. Never touches: a key, a ticket; OpenSSL's file names and line numbers.
// Source: RFC 8446 §6.2 (alerts); x509_vfy.h.
import COpenSSL
import Model

extension TLSFailure {
    /// Bytes of `detail`. Source: `TLSFailure.detail`.
    static let detailBytesMax = 200
    /// Bytes of a name or path within it, so that it leaves room for the reason.
    private static let quotedBytesMax = 100

    /// What is wrong first, the certificate's `subject` (empty: there is none) after it: a cut takes its end.
    static func because(
        _ kind: Kind,
        _ reason: String,
        subject: String = "",
        blame: Blame? = nil
    ) -> TLSFailure {
        let detail = subject.isEmpty ? reason : reason + "; subject " + subject
        return TLSFailure(kind, printable(detail.utf8, bytesMax: detailBytesMax), blame: blame)
    }

    /// `text` in quotes, for use in a reason.
    static func quoted(_ text: String) -> String {
        "\"" + printable(text.utf8, bytesMax: quotedBytesMax) + "\""
    }

    static func quoted(_ bytes: [UInt8]) -> String {
        "\"" + printable(bytes, bytesMax: quotedBytesMax) + "\""
    }

    /// Visible ASCII as it is, every other byte as `\xNN`; cut where `bytesMax` is reached.
    private static func printable(_ bytes: some Sequence<UInt8>, bytesMax: Int) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            let isVisible = byte >= 0x20 && byte < 0x7F
            let size = isVisible ? 1 : 4
            if text.count + size > bytesMax { break }
            if isVisible {
                text.append(byte)
            } else {
                text += [0x5C, 0x78, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// OpenSSL's queue of errors: one a thread, so whatever stays in it would be taken for the next connection's
/// error.
enum ErrorQueue {
    /// Looking first costs a quarter of clearing, which is a twentieth of a small record's whole cost.
    static func clear() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The error that came first, in words, when something failed that is not a peer's doing; leaves the
    /// queue empty.
    static func takeReason() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        return reason(code)
    }

    /// What ended a handshake, or a connection that was established.
    struct PeerReason {
        var words: String
        var blame = TLSFailure.Blame.peer
        var isEndOfFile = false

        var failure: TLSFailure { .because(.handshake, words, blame: blame) }
    }

    /// What it was; leaves the queue empty.
    static func takePeerReason() -> PeerReason {
        // What TLS makes of it says more than what a cipher found, which comes before it.
        let first = ERR_get_error()
        var code = first
        while code != 0 && ERR_GET_LIB(code) != ERR_LIB_SSL { code = ERR_get_error() }
        ERR_clear_error()
        if code == 0 { return PeerReason(words: reason(first)) }
        let number = ERR_GET_REASON(code)
        switch number {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return PeerReason(words: "server closed the connection without close_notify", isEndOfFile: true)
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_VERSION_TOO_LOW,
            SSL_R_VERSION_TOO_HIGH:
            let words = "protocol version: the server's is not among those that are allowed"
            return PeerReason(words: words, blame: .either)
        case SSL_R_WRONG_VERSION_NUMBER:
            return PeerReason(words: "server does not speak TLS, or sent a broken record")
        case SSL_R_BAD_EXTENSION:
            return PeerReason(words: "server sent a bad extension, as for a protocol that was not offered")
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: return PeerReason(words: reason(code))
        case alertOffset..<alertOffset + 256:
            let number = number - alertOffset
            let blame = breaches.contains(number) ? TLSFailure.Blame.peer : .either
            return PeerReason(words: "server sent alert: " + alert(number), blame: blame)
        // Of what is left, much is about ciphers, keys and versions of which one side will not have the other's.
        default: return PeerReason(words: reason(code), blame: .either)
        }
    }

    /// Alerts that speak of broken bytes, or of the server itself. All others refuse what was offered, asked for or shown
    /// to it: a version, a name, a certificate. Source: RFC 8446 §6.2.
    private static let breaches: Set<Int32> = [
        SSL_AD_UNEXPECTED_MESSAGE, SSL_AD_BAD_RECORD_MAC, SSL_AD_RECORD_OVERFLOW, SSL_AD_DECODE_ERROR,
        SSL_AD_DECRYPT_ERROR, SSL_AD_INTERNAL_ERROR, SSL_AD_USER_CANCELLED,
    ]

    /// What a fatal alert that the peer sent adds to its number. Source: `SSL_AD_REASON_OFFSET`.
    private static let alertOffset = SSL_AD_REASON_OFFSET

    private static func reason(_ code: UInt) -> String {
        // SAFETY: the result is nil or a string that lives as long as the process.
        guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return "no reason given" }
        return unsafe String(cString: words)
    }

    private static func alert(_ number: Int32) -> String {
        switch number {
        // OpenSSL 3.0 lacks words for these (RFC 8446 §6.2).
        case SSL_AD_MISSING_EXTENSION: return "missing extension"
        case SSL_AD_CERTIFICATE_REQUIRED: return "certificate required"
        default:
            // SAFETY: a string that lives as long as the process; never nil.
            guard let words = unsafe SSL_alert_desc_string_long(number) else { return "\(number)" }
            return unsafe String(cString: words)
        }
    }
}
