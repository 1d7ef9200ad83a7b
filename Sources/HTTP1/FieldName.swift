// FieldName.swift: the field names that this target acts on.
// Owns: telling them apart by length first, so that most fields cost one switch. Source: RFC 9110 §7.6.1, §5.1.

/// A field that a codec acts on; all others pass through.
enum FieldName: Equatable, Sendable {
    case other
    case te
    case host
    case expect
    case upgrade
    case connection
    case keepAlive
    case contentLength
    case proxyConnection
    case transferEncoding
    case proxyAuthorization

    /// - Parameter name: a token.
    @inline(__always)
    init(_ name: Span<UInt8>) {
        switch name.count {
        case 2: self = name.isEqual(ignoringCase: "te") ? .te : .other
        case 4: self = name.isEqual(ignoringCase: "host") ? .host : .other
        case 6: self = name.isEqual(ignoringCase: "expect") ? .expect : .other
        case 7: self = name.isEqual(ignoringCase: "upgrade") ? .upgrade : .other
        case 10:
            if name.isEqual(ignoringCase: "connection") {
                self = .connection
            } else {
                self = name.isEqual(ignoringCase: "keep-alive") ? .keepAlive : .other
            }
        case 14: self = name.isEqual(ignoringCase: "content-length") ? .contentLength : .other
        case 16: self = name.isEqual(ignoringCase: "proxy-connection") ? .proxyConnection : .other
        case 17: self = name.isEqual(ignoringCase: "transfer-encoding") ? .transferEncoding : .other
        case 19: self = name.isEqual(ignoringCase: "proxy-authorization") ? .proxyAuthorization : .other
        default: self = .other
        }
    }

    /// Lower-case names that a trailer section must not have: framing, routing, authentication, request modifiers
    /// and content format take effect before the body, or never. Source: RFC 9110 §6.5.1.
    static func isForbiddenInTrailers(_ name: Span<UInt8>) -> Bool {
        for forbidden in forbiddenInTrailers where name.isEqual(ignoringCase: forbidden) { return true }
        return false
    }

    private static let forbiddenInTrailers = [
        "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range",
        "content-type", "cookie", "expect", "host", "if-match", "if-modified-since", "if-none-match",
        "if-range",
        "if-unmodified-since", "keep-alive", "max-forwards", "pragma", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "range", "set-cookie", "te", "trailer",
        "transfer-encoding",
        "upgrade", "www-authenticate",
    ]
}
