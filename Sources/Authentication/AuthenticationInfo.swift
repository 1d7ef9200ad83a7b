// AuthenticationInfo.swift: what a server says about an authentication that it accepted.
// Owns: reading it. Never touches: sessions. Source: RFC 7615 §3; RFC 7616 §3.5.
import Model

/// The parameters of an `Authentication-Info` or `Proxy-Authentication-Info` value, without escapes.
struct AuthenticationInfo {
    private(set) var nextNonce: [UInt8]?
    private(set) var proof: [UInt8]?
    private(set) var protection: [UInt8]?
    private(set) var cnonce: [UInt8]?
    private(set) var count: [UInt8]?

    /// - Returns: `nil` when the value breaks the grammar, names something twice, or is longer than we keep.
    init?(_ value: Span<UInt8>) {
        guard value.count <= DigestChallenge.bytesMax else { return nil }
        var scanner = ChallengeScanner(value)
        while let piece = scanner.next() {
            guard case .parameter(let name, let range, let isQuoted) = piece else { return nil }
            let word = value.extracting(name)
            let slice = Slice(start: range.lowerBound, count: range.count)
            let parameter = ChallengeParameter(name: .empty, value: slice, isQuoted: isQuoted)
            let plain = parameter.unescaped(in: value)
            if word.isEqual(ignoringCase: "nextnonce") {
                if nextNonce.replace(plain) { return nil }
            } else if word.isEqual(ignoringCase: "rspauth") {
                if proof.replace(plain) { return nil }
            } else if word.isEqual(ignoringCase: "qop") {
                if protection.replace(plain) { return nil }
            } else if word.isEqual(ignoringCase: "cnonce") {
                if cnonce.replace(plain) { return nil }
            } else if word.isEqual(ignoringCase: "nc") {
                if count.replace(plain) { return nil }
            }
        }
    }
}

extension Optional {
    /// Sets it; whether it was set before.
    fileprivate mutating func replace(_ value: Wrapped) -> Bool {
        defer { self = value }
        return self != nil
    }
}
