// DigestChallenge.swift: what a Digest challenge asks for.
// Owns: which challenges can be answered. Never touches: a secret. Source: RFC 7616 §3.3; RFC 2069 §2.1.1.
import Model

/// What a digest covers.
package enum DigestProtection: Equatable, Sendable {
    /// Neither a count nor a nonce of ours. Source: RFC 2069.
    case legacy
    case auth
    /// The body too.
    case authInt

    /// As the `qop` parameter has it.
    package var name: String {
        switch self {
        case .legacy: ""
        case .auth: "auth"
        case .authInt: "auth-int"
        }
    }
}

/// One Digest challenge, values without escapes.
package struct DigestChallenge: Sendable {
    /// Bytes of all values that are kept.
    package static let bytesMax = 4096
    package static let domainMax = 16

    package let realm: [UInt8]
    package let nonce: [UInt8]
    package let opaque: [UInt8]?
    /// URIs; `nil`: the whole server.
    package let domain: [[UInt8]]?
    package let isStale: Bool
    package let algorithm: DigestAlgorithm
    /// `-sess`.
    package let isSession: Bool
    /// Whether the challenge names its algorithm: then the answer does.
    package let namesAlgorithm: Bool
    /// Not empty.
    package let protections: [DigestProtection]
    package let hashesUser: Bool
    package let isUTF8: Bool

    /// - Returns: `nil` when realm or nonce are missing, algorithm or every qop is unknown, it is longer than
    ///   we keep, or it contradicts itself.
    package init?(_ challenge: Challenge, of list: ChallengeList, in block: Span<UInt8>) {
        func value(_ name: String) -> [UInt8]? { list.value(name, of: challenge, in: block) }
        func says(_ name: String, _ word: String) -> Bool {
            guard let value = value(name) else { return false }
            return value.span.isEqual(ignoringCase: word)
        }
        guard challenge.scheme == .digest, challenge.token68 == nil,
            let realm = value("realm"), let nonce = value("nonce")
        else { return nil }
        let algorithmName = value("algorithm")
        guard let (algorithm, isSession) = Self.algorithm(algorithmName ?? Array("MD5".utf8)) else {
            return nil
        }
        let protections = Self.protections(value("qop"))
        // A session key depends on our nonce, which only an answer with a qop carries.
        if protections.isEmpty || isSession && protections == [.legacy] { return nil }
        let opaque = value("opaque")
        let domain = value("domain")
        let bytes = realm.count + nonce.count + (opaque?.count ?? 0) + (domain?.count ?? 0)
        if bytes > Self.bytesMax { return nil }
        self.realm = realm
        self.nonce = nonce
        self.opaque = opaque
        self.domain = domain.flatMap(Self.uris)
        self.algorithm = algorithm
        self.isSession = isSession
        self.protections = protections
        namesAlgorithm = algorithmName != nil
        isStale = says("stale", "true")
        hashesUser = says("userhash", "true")
        isUTF8 = says("charset", "utf-8")
    }

    /// The protection to answer with. `auth` before `auth-int`, which few servers get right.
    /// - Returns: `nil` when only `auth-int` is offered and the body is not held.
    package func protection(isBodyHeld: Bool) -> DigestProtection? {
        if protections.contains(.auth) { return .auth }
        if protections == [.legacy] { return .legacy }
        return isBodyHeld ? .authInt : nil
    }

    private static func algorithm(_ name: [UInt8]) -> (DigestAlgorithm, isSession: Bool)? {
        for algorithm in DigestAlgorithm.allCases {
            let known = algorithm.name.lowercased()
            if name.span.isEqual(ignoringCase: known) { return (algorithm, false) }
            if name.span.isEqual(ignoringCase: known + "-sess") { return (algorithm, true) }
        }
        return nil
    }

    /// Those of a list of qop options that we know.
    private static func protections(_ options: [UInt8]?) -> [DigestProtection] {
        guard let options else { return [.legacy] }
        var known: [DigestProtection] = []
        for option in options.split(whereSeparator: { $0 == Octet.comma || Octet.isBlank($0) }) {
            let option = Array(option)
            for protection in [DigestProtection.auth, .authInt] where !known.contains(protection) {
                if option.span.isEqual(ignoringCase: protection.name) { known.append(protection) }
            }
        }
        return known
    }

    /// `nil` for none: an empty list is as none. Source: RFC 7616 §3.3.
    private static func uris(_ list: [UInt8]) -> [[UInt8]]? {
        let uris = list.split(whereSeparator: Octet.isBlank).prefix(domainMax).map { Array($0) }
        return uris.isEmpty ? nil : uris
    }
}
