// AuthenticationSpace.swift: whom authentication state belongs to, and the request that is authenticated.
// Owns: when two servers are one. Never touches: a realm, a connection. Source: RFC 9110 §4.3.1, §4.3.2,
// §11.5.
import Model

/// One server that may ask for credentials: an origin, or a peer. State of one never reaches another.
package struct AuthenticationSpace: Hashable, Sendable {
    package let side: AuthenticationSide
    /// Of an origin.
    let scheme: Scheme
    /// Authority of an origin, or identity of a peer.
    let identity: [UInt8]

    /// An origin, by what its URIs begin with: case does not matter, a default port may be left out. The
    /// authority is host[:port] as on the wire.
    package static func origin(_ scheme: Scheme, authority: Span<UInt8>) -> AuthenticationSpace {
        AuthenticationSpace(side: .origin, scheme: scheme, identity: normalized(authority, scheme))
    }

    /// A peer, by whatever the caller tells peers apart by: endpoint and TLS identity, whole.
    package static func peer(_ identity: [UInt8]) -> AuthenticationSpace {
        AuthenticationSpace(side: .peer, scheme: .http, identity: identity)
    }

    static func normalized(_ authority: Span<UInt8>, _ scheme: Scheme) -> [UInt8] {
        var bytes = authority.copied()
        for index in bytes.indices { bytes[index] = Octet.lowercased(bytes[index]) }
        let port: [UInt8] =
            switch scheme {
            case .http: [Octet.colon, 0x38, 0x30]
            case .https: [Octet.colon, 0x34, 0x34, 0x33]
            }
        if bytes.count > port.count && bytes.suffix(port.count).elementsEqual(port) {
            bytes.removeLast(port.count)
        } else if bytes.last == Octet.colon {
            bytes.removeLast()
        }
        return bytes
    }
}

/// What of a request goes into an answer.
package struct AuthenticatedRequest: ~Escapable {
    package let method: Span<UInt8>
    /// The target exactly as on the request line: origin-form, absolute-form, authority-form or `*`.
    package let target: Span<UInt8>
    /// The whole body, empty for none; `nil`: not held whole.
    package let body: Span<UInt8>?

    @_lifetime(copy method, copy target, copy body)
    package init(method: Span<UInt8>, target: Span<UInt8>, body: Span<UInt8>?) {
        self.method = method
        self.target = target
        self.body = body
    }
}

/// Paths of targets, for protection spaces.
enum TargetPath {
    /// Where the path of `target` is, without its query; `nil` for `*` and authority-form, which have none.
    /// Empty for a URI that ends with its authority.
    static func range(_ target: Span<UInt8>) -> Range<Int>? {
        guard let start = start(target) else { return nil }
        var end = start
        while end < target.count && target[end] != Octet.question && target[end] != 0x23 { end += 1 }
        return start..<end
    }

    /// The path up to the last slash: everything below it is in the same protection space. Source: RFC 7617
    /// §2.2.
    static func root(_ target: Span<UInt8>) -> [UInt8]? {
        guard let range = range(target) else { return nil }
        var end = range.upperBound
        while end > range.lowerBound && target[end - 1] != Octet.slash { end -= 1 }
        return end == range.lowerBound ? [Octet.slash] : target.extracting(range.lowerBound..<end).copied()
    }

    /// Whether the path of `target` is `root` or below it.
    static func isBelow(_ root: [UInt8], _ target: Span<UInt8>) -> Bool {
        guard let range = range(target) else { return false }
        return range.isEmpty
            ? root == [Octet.slash] : target.extracting(range).hasPrefix(root.span)
    }

    /// Where authority and path of an absolute URI begin; `nil` when it is none.
    static func authorityStart(_ target: Span<UInt8>) -> Int? {
        var index = 0
        while index + 2 < target.count && target[index] != Octet.slash && target[index] != Octet.question {
            if target[index] == Octet.colon {
                return target[index + 1] == Octet.slash && target[index + 2] == Octet.slash ? index + 3 : nil
            }
            index += 1
        }
        return nil
    }

    static func start(_ target: Span<UInt8>) -> Int? {
        if !target.isEmpty && target[0] == Octet.slash { return 0 }
        guard var index = authorityStart(target) else { return nil }
        while index < target.count && target[index] != Octet.slash && target[index] != Octet.question {
            index += 1
        }
        return index
    }
}
