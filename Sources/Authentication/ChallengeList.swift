// ChallengeList.swift: the challenges of one reply that we may know an answer to, as slices of its block.
// Owns: which of them are whole. Never touches: credentials. Source: RFC 9110 §11.3, §11.6.1, §11.7.1.
import Model

/// An auth-scheme. Source: IANA, HTTP Authentication Schemes.
package enum ChallengeScheme: Equatable, Sendable {
    case basic
    case digest
    case bearer
    case negotiate
    case ntlm
    case other

    /// - Parameter name: the whole token. Source: RFC 9110 §11.1: case-insensitive.
    package init(_ name: Span<UInt8>) {
        switch name.count {
        case 5: self = name.isEqual(ignoringCase: "basic") ? .basic : .other
        case 6:
            self =
                name.isEqual(ignoringCase: "digest")
                ? .digest : name.isEqual(ignoringCase: "bearer") ? .bearer : .other
        case 9: self = name.isEqual(ignoringCase: "negotiate") ? .negotiate : .other
        case 4: self = name.isEqual(ignoringCase: "ntlm") ? .ntlm : .other
        default: self = .other
        }
    }

    /// Whether a connection that spoke it is its user's.
    package var isConnectionBound: Bool {
        switch self {
        case .negotiate, .ntlm: true
        case .basic, .digest, .bearer, .other: false
        }
    }
}

/// Who asks for credentials. Credentials of one side never answer the other.
package enum AuthenticationSide: Equatable, Sendable {
    case origin
    case peer

    /// `nil` when nobody asks whom we answer. Source: RFC 9110 §15.5.2, §15.5.8.
    /// - Parameters:
    ///   - status: of the reply.
    ///   - isConnect: the reply is a peer's to our CONNECT. A 401 to it comes from nobody who may have the
    ///     origin's credentials, and is not answered.
    ///   - isFromPeer: the reply came by way of a peer that reads our requests: CONNECT itself or
    ///     absolute-form. Elsewhere (direct, inside a tunnel) a 407 is an origin's trick.
    package init?(status: Int, isConnect: Bool, isFromPeer: Bool) {
        switch status {
        case 401 where !isConnect: self = .origin
        case 407 where isFromPeer || isConnect: self = .peer
        default: return nil
        }
    }
}

/// One auth-param.
package struct ChallengeParameter: Equatable, Sendable {
    package var name: Slice
    /// Of a quoted value the part between the quotes.
    package var value: Slice
    package var isQuoted: Bool
}

/// One challenge that follows the grammar.
package struct Challenge: Equatable, Sendable {
    package var scheme: ChallengeScheme
    /// `nil`: none.
    package var token68: Slice?
    /// Which of the list's parameters are its own.
    package var parameters: Range<Int>
}

/// Why a list is not complete.
package enum ChallengeLimit: Equatable, Sendable {
    /// More challenges of known schemes; those behind are left out.
    case challenges(max: Int)
    /// More parameters in one challenge, which is left out.
    case parameters(max: Int)
    /// A longer field value, which is left out.
    case valueBytes(max: Int)
}

/// The challenges of known schemes in the fields of one reply, in order. Unknown schemes and broken ones are
/// left out.
package struct ChallengeList: Sendable {
    package static let challengesMax = 16
    package static let parametersMax = 24
    /// A Kerberos token with a long list of groups has some ten thousand.
    package static let valueBytesMax = 32_768

    package let side: AuthenticationSide
    package private(set) var challenges: [Challenge] = []
    package private(set) var parameters: [ChallengeParameter] = []
    /// The last limit that was reached.
    package private(set) var limit: ChallengeLimit?
    /// Challenges of known schemes that were left out because they break the grammar.
    package private(set) var brokenCount = 0

    /// An empty list.
    package init(side: AuthenticationSide) { self.side = side }

    /// The challenges in the fields of `side`: `WWW-Authenticate` or `Proxy-Authenticate`.
    package init(side: AuthenticationSide, fields: [FieldSlice], in block: Span<UInt8>) {
        self.init(side: side)
        let name = side == .origin ? "www-authenticate" : "proxy-authenticate"
        for field in fields where block.extracting(field.name).isEqual(ignoringCase: name) {
            read(field.value, in: block)
        }
    }

    /// Appends the challenges of one field value.
    package mutating func read(_ value: Slice, in block: Span<UInt8>) {
        guard value.count <= Self.valueBytesMax else {
            limit = .valueBytes(max: Self.valueBytesMax)
            return
        }
        let bytes = block.extracting(value)
        let offset = Int(value.start)
        var scanner = ChallengeScanner(bytes)
        var reading = Reading()
        while let piece = scanner.next() {
            switch piece {
            case .challenge(let name):
                keep(reading)
                let scheme = ChallengeScheme(bytes.extracting(name))
                reading = Reading(scheme: scheme, firstParameter: parameters.count)
            case .token68(let token): reading.token68 = Slice(token, offset)
            case .parameter(let name, let value, let isQuoted):
                let name = Slice(name, offset)
                guard reading.scheme != .other, !reading.isBroken else { continue }
                let isTwice = parameters[reading.firstParameter...].contains {
                    block.extracting($0.name).isEqual(ignoringCase: block.extracting(name))
                }
                // RFC 9110 §11.2: a name once. Behind token68 there is none.
                if isTwice || reading.token68 != nil { reading.isBroken = true }
                if parameters.count - reading.firstParameter == Self.parametersMax {
                    limit = .parameters(max: Self.parametersMax)
                    reading.isBroken = true
                }
                parameters.append(
                    ChallengeParameter(name: name, value: Slice(value, offset), isQuoted: isQuoted)
                )
            case .broken: reading.isBroken = true
            }
        }
        keep(reading)
    }

    /// A challenge whose end has not come yet.
    private struct Reading {
        var scheme = ChallengeScheme.other
        var token68: Slice?
        var firstParameter = 0
        var isBroken = false
    }

    private mutating func keep(_ reading: Reading) {
        guard reading.scheme != .other else { return }
        let isTooMany = challenges.count == Self.challengesMax
        if isTooMany { limit = .challenges(max: Self.challengesMax) }
        if reading.isBroken { brokenCount += 1 }
        if isTooMany || reading.isBroken {
            parameters.removeSubrange(reading.firstParameter...)
            return
        }
        challenges.append(
            Challenge(
                scheme: reading.scheme,
                token68: reading.token68,
                parameters: reading.firstParameter..<parameters.count
            )
        )
    }

    /// The value of a parameter without its escapes; `nil` when there is none. `name` is in small letters.
    package func value(_ name: String, of challenge: Challenge, in block: Span<UInt8>) -> [UInt8]? {
        for parameter in parameters[challenge.parameters]
        where block.extracting(parameter.name).isEqual(ignoringCase: name) {
            return parameter.unescaped(in: block)
        }
        return nil
    }
}

extension ChallengeParameter {
    /// The value without its escapes. Source: RFC 9110 §5.6.4.
    func unescaped(in block: Span<UInt8>) -> [UInt8] {
        let bytes = block.extracting(value)
        guard isQuoted else { return bytes.copied() }
        var plain: [UInt8] = []
        plain.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            // The last byte is never the backslash of a pair: the quote behind it would not have ended the
            // value.
            if bytes[index] == Octet.backslash { index += 1 }
            plain.append(bytes[index])
            index += 1
        }
        return plain
    }
}

extension Slice {
    fileprivate init(_ range: Range<Int>, _ offset: Int) {
        self.init(start: offset + range.lowerBound, count: range.count)
    }
}
