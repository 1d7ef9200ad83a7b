// FieldName.swift: the field names that this target acts on.
// Owns: telling them apart by length first, so that most fields cost one switch. Source: RFC 9110 §7.6.1,
// §5.1.

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
    case authorization

    /// Told apart by length, then by eight letters at a time: names of a head are compared on the hottest
    /// path.
    /// - Parameter name: a token; of another text with a CR the answer may be wrong.
    @inline(__always)
    init(_ name: Span<UInt8>) {
        switch name.count {
        case 10:
            switch (name.lowercasedWord(at: 0), name.lowercasedWord(at: 2)) {
            case (Words.connecti, Words.nnection): self = .connection
            case (Words.keepAli, Words.epAlive): self = .keepAlive
            default: self = .other
            }
        case 14:
            let isLength =
                name.lowercasedWord(at: 0) == Words.content && name.lowercasedWord(at: 6) == Words.tLength
            self = isLength ? .contentLength : .other
        case 13:
            self = name.isEqual(ignoringCase: "authorization") ? .authorization : .other
        case 17:
            self = name.lowercasedWord(at: 0) == Words.transfer ? FieldName(rare: name) : .other
        case 2, 4, 6, 7, 16, 19:
            // t, h, e, u, p: the first letters of the rest.
            switch Octet.lowercased(name[0]) {
            case 0x74, 0x68, 0x65, 0x75, 0x70: self = FieldName(rare: name)
            default: self = .other
            }
        default: self = .other
        }
    }

    private init(rare name: Span<UInt8>) {
        if name.isEqual(ignoringCase: "te") {
            self = .te
        } else if name.isEqual(ignoringCase: "host") {
            self = .host
        } else if name.isEqual(ignoringCase: "expect") {
            self = .expect
        } else if name.isEqual(ignoringCase: "upgrade") {
            self = .upgrade
        } else if name.isEqual(ignoringCase: "proxy-connection") {
            self = .proxyConnection
        } else if name.isEqual(ignoringCase: "transfer-encoding") {
            self = .transferEncoding
        } else {
            self = name.isEqual(ignoringCase: "proxy-authorization") ? .proxyAuthorization : .other
        }
    }

    /// Eight letters each, the first in the lowest bits; a test spells them.
    private enum Words {
        static let connecti: UInt64 = 0x6974_6365_6E6E_6F63
        static let nnection: UInt64 = 0x6E6F_6974_6365_6E6E
        static let keepAli: UInt64 = 0x696C_612D_7065_656B
        static let epAlive: UInt64 = 0x6576_696C_612D_7065
        static let content: UInt64 = 0x2D74_6E65_746E_6F63
        static let tLength: UInt64 = 0x6874_676E_656C_2D74
        static let transfer: UInt64 = 0x7265_6673_6E61_7274
    }

    /// Lower-case names that a trailer section must not have: framing, routing, authentication, request
    /// modifiers and content format take effect before the body, or never. Source: RFC 9110 §6.5.1.
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
