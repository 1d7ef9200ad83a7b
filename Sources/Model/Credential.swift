// Credential.swift: who we are to an upstream that asks.
// Owns: what is permitted to be shown to whom asks how. Never touches: a challenge, the configuration's form.
// Source: RFC 9110 §11; DESIGN "Identity is part of the key".

/// Authentication schemes, as a set.
package struct AuthenticationSchemes: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// RFC 7617.
    package static let basic = AuthenticationSchemes(rawValue: 1)
    /// RFC 7616, and RFC 2069 where a server knows no better.
    package static let digest = AuthenticationSchemes(rawValue: 2)
    /// RFC 6750.
    package static let bearer = AuthenticationSchemes(rawValue: 4)
    /// RFC 4559.
    package static let negotiate = AuthenticationSchemes(rawValue: 8)
    /// MS-NLMP.
    package static let ntlm = AuthenticationSchemes(rawValue: 16)

    /// Those after which a connection is its user's, not its request's.
    package static let connectionBound: AuthenticationSchemes = [.negotiate, .ntlm]
}

/// One user with their secret. Compared whole, the secret included: equal credentials are the same user to
/// every server. Fit for a pool key. Nothing of it is ever printed but its name.
package struct Credential: Sendable {
    /// Name in the configuration, or made from the request. Not secret.
    package var name: String
    /// Schemes that may be answered. Leave Basic out, and nobody between us and the server can ask for the
    /// password in clear.
    package var schemes: AuthenticationSchemes
    /// UTF-8.
    package var user: [UInt8] = []
    /// UTF-8; `nil`: none, as with Negotiate from a credential cache.
    package var password: Secret?
    /// RFC 6750's b64token.
    package var bearerToken: Secret?
    /// The only realm that is answered; `nil`: any. Schemes without realms (Negotiate, NTLM) are not answered
    /// when set.
    package var realm: [UInt8]?
    /// Whether nobody has named `schemes`: they are all that the rest is enough for, and what cannot be spoken here is passed
    /// over. Not part of who the user is.
    package var isAutomatic = false
    /// Domain of an NTLM user, UTF-8; empty: none.
    package var ntlmDomain: [UInt8] = []

    package init(name: String, schemes: AuthenticationSchemes) {
        self.name = name
        self.schemes = schemes
    }
}

extension Credential: Hashable {
    package static func == (left: Credential, right: Credential) -> Bool {
        left.name == right.name && left.schemes == right.schemes && left.user == right.user
            && left.realm == right.realm && left.ntlmDomain == right.ntlmDomain
            && isEqual(left.password, right.password) && isEqual(left.bearerToken, right.bearerToken)
    }

    /// Secrets are left to `==`: no number that is derived from one goes into a table.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(user)
        hasher.combine(schemes)
    }

    private static func isEqual(_ left: Secret?, _ right: Secret?) -> Bool {
        switch (left, right) {
        case (nil, nil): true
        case (let left?, let right?): left.isEqual(to: right)
        case (nil, _?), (_?, nil): false
        }
    }
}

extension Credential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<credential \(name)>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["name": name]) }
}
