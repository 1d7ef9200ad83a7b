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
    static func because(_ kind: Kind, _ reason: String, subject: String = "") -> TLSFailure {
        let detail = subject.isEmpty ? reason : reason + "; subject " + subject
        return TLSFailure(kind, printable(detail.utf8, bytesMax: detailBytesMax))
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

    /// What ended a handshake, or a connection that was established; leaves the queue empty.
    static func takePeerReason() -> (words: String, isEndOfFile: Bool) {
        // What TLS makes of it says more than what a cipher found, which comes before it.
        let first = ERR_get_error()
        var code = first
        while code != 0 && ERR_GET_LIB(code) != ERR_LIB_SSL { code = ERR_get_error() }
        ERR_clear_error()
        if code == 0 { return (reason(first), false) }
        let number = ERR_GET_REASON(code)
        switch number {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return ("server closed the connection without close_notify", true)
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_VERSION_TOO_LOW,
            SSL_R_VERSION_TOO_HIGH:
            return ("protocol version: the server's is not among those that are allowed", false)
        case SSL_R_WRONG_VERSION_NUMBER:
            return ("server does not speak TLS, or sent a broken record", false)
        case SSL_R_BAD_EXTENSION:
            return ("server sent a bad extension, as for a protocol that was not offered", false)
        case alertOffset..<alertOffset + 256:
            return ("server sent alert: " + alert(number - alertOffset), false)
        default: return (reason(code), false)
        }
    }

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
