// RequestLine.swift: what may stand in a request line and in Host.
// Owns: the grammar of method, target, authority and upgrade. Source: RFC 9110 §9, RFC 9112 §3, RFC 3986
// §3.2.
import Model

/// Longest method that is sent, bytes.
private let methodBytesMax = 64
/// Longest authority that is sent, bytes.
private let authorityBytesMax = 1024
/// Longest protocol that is asked for in Upgrade, bytes.
private let upgradeBytesMax = 64
/// Longest text of an IPv6 address, bytes: eight groups, the last two as IPv4.
private let addressBytesMax = 45

/// What is known of a method. Methods are case-sensitive.
enum Method: Equatable {
    case get
    case head
    case options
    case trace
    case put
    case delete
    case connect
    /// POST and PATCH, which like PUT anticipate a body.
    case post
    case other

    init(_ name: Span<UInt8>) throws(RequestError) {
        guard name.count <= methodBytesMax else { throw .methodTooLong(limitBytes: methodBytesMax) }
        guard name.isToken else { throw .method }
        switch name.count {
        case 3: self = name.isEqual("GET") ? .get : name.isEqual("PUT") ? .put : .other
        case 4: self = name.isEqual("HEAD") ? .head : name.isEqual("POST") ? .post : .other
        case 5: self = name.isEqual("PATCH") ? .post : name.isEqual("TRACE") ? .trace : .other
        case 6: self = name.isEqual("DELETE") ? .delete : .other
        case 7: self = name.isEqual("OPTIONS") ? .options : name.isEqual("CONNECT") ? .connect : .other
        default: self = .other
        }
    }

    /// Source: RFC 9110 §9.2.2.
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .trace, .put, .delete: true
        case .connect, .post, .other: false
        }
    }

    /// Source: RFC 9110 §8.6.
    var anticipatesBody: Bool {
        switch self {
        case .put, .post: true
        case .get, .head, .options, .trace, .delete, .connect, .other: false
        }
    }
}

extension RequestEncoder {
    /// Empty (sent as "/"), a path with a query, or "*". A "#" would begin a fragment, which is never sent.
    /// Bytes from 0x80 on are no URI, but are sent by clients and cannot split a message.
    static func checkTarget(_ target: Span<UInt8>, _ method: Method) throws(RequestError) {
        if target.isEmpty { return }
        guard method != .connect else { throw .connectTarget }
        if target.count == 1 && target[0] == 0x2A {
            guard method == .options else { throw .asteriskTarget }
            return
        }
        guard target[0] == Octet.slash else { throw .target }
        let hasBlank = target.firstIndex(below: 0x21, orOf: Octet.delete, from: 0) < target.count
        let hasFragment = target.firstIndex(below: 0, orOf: 0x23, from: 0) < target.count
        if hasBlank || hasFragment { throw .target }
    }

    /// host[:port], or nothing for an origin without a name.
    static func checkAuthority(_ authority: Span<UInt8>, route: Route) throws(RequestError) {
        if authority.isEmpty {
            guard route == .direct else { throw .authorityMissing }
            return
        }
        guard authority.count <= authorityBytesMax else {
            throw .authorityTooLong(limitBytes: authorityBytesMax)
        }
        let end = authority[0] == Octet.leftBracket ? addressEnd(authority) : nameEnd(authority)
        guard end > 0, end == authority.count || isPort(authority, from: end) else { throw .authority }
    }

    /// host:port, both there. Source: RFC 9110 §9.3.6.
    package static func checkTunnel(_ authority: Span<UInt8>) throws(RequestError) {
        guard !authority.isEmpty else { throw .connectTarget }
        try checkAuthority(authority, route: .peerTunnel)
        guard let port = portStart(authority), port < authority.count else { throw .connectTarget }
        guard let number = authority.decimal(port..<authority.count), number > 0 else { throw .connectTarget }
    }

    /// Where the port of a checked authority begins; `nil`: there is no colon for one.
    package static func portStart(_ authority: Span<UInt8>) -> Int? {
        let hostEnd: Int
        if !authority.isEmpty && authority[0] == Octet.leftBracket {
            hostEnd = (authority.firstIndex(of: Octet.rightBracket, from: 1) ?? 0) &+ 1
        } else {
            hostEnd = authority.firstIndex(of: Octet.colon, from: 0) ?? authority.count
        }
        return hostEnd < authority.count ? hostEnd &+ 1 : nil
    }

    static func checkUpgrade(_ upgrade: Span<UInt8>, body: RequestBody) throws(RequestError) {
        if upgrade.isEmpty { return }
        guard upgrade.count <= upgradeBytesMax else { throw .upgradeTooLong(limitBytes: upgradeBytesMax) }
        let end = upgrade.firstIndex(of: Octet.slash, from: 0) ?? upgrade.count
        guard upgrade.extracting(first: end).isToken else { throw .upgrade }
        guard end == upgrade.count || upgrade.extracting(droppingFirst: end &+ 1).isToken else {
            throw .upgrade
        }
        guard body == .none else { throw .upgradeWithBody }
    }

    /// Where a name or IPv4 address ends.
    private static func nameEnd(_ authority: Span<UInt8>) -> Int {
        var index = 0
        while index < authority.count {
            if Octet.isName(authority[index]) {
                index &+= 1
            } else if authority[index] == Octet.percent {
                guard index &+ 2 < authority.count, Octet.hexValue(authority[index &+ 1]) < 16,
                    Octet.hexValue(authority[index &+ 2]) < 16
                else { return index }
                index &+= 3
            } else {
                return index
            }
        }
        return index
    }

    /// Where a bracketed IPv6 address ends; 0 when it is none. Neither a zone, which means nothing to another
    /// host (RFC 6874 §1), nor IPvFuture, which nobody has.
    private static func addressEnd(_ authority: Span<UInt8>) -> Int {
        guard let close = authority.firstIndex(of: Octet.rightBracket, from: 1) else { return 0 }
        guard close > 2 && close <= addressBytesMax + 1 else { return 0 }
        var colons = 0
        for index in 1..<close {
            let byte = authority[index]
            if byte == Octet.colon { colons &+= 1 }
            guard byte == Octet.colon || byte == 0x2E || Octet.hexValue(byte) < 16 else { return 0 }
        }
        return colons >= 2 && colons <= 8 ? close &+ 1 : 0
    }

    /// `":" *DIGIT`, at most 65535.
    private static func isPort(_ authority: Span<UInt8>, from start: Int) -> Bool {
        guard authority[start] == Octet.colon else { return false }
        if start &+ 1 == authority.count { return true }
        guard let port = authority.decimal(start &+ 1..<authority.count) else { return false }
        return port <= 65_535
    }
}
