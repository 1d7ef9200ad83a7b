// CredentialsRequest.swift: credentials as requests and the configuration name them, and their schemes in words.
// Owns: which schemes a credential is of use for. Source: proto/outrigger.proto, messages Credentials and Credential.

/// What a request gives to answer challenges with.
package struct CredentialsRequest: Equatable, Sendable {
    /// In the configuration; empty: none.
    package var originName = ""
    package var peerName = ""
    package var origin: Credential?
    package var peer: Credential?

    package init() {}
}

extension AuthenticationSchemes {
    private static let names: [(word: String, scheme: AuthenticationSchemes)] = [
        ("Basic", .basic), ("Digest", .digest), ("Bearer", .bearer), ("Negotiate", .negotiate),
        ("NTLM", .ntlm),
    ]

    /// Every scheme by its name.
    package static var allWords: [String] { names.map(\.word) }

    /// A scheme by its registered name; case does not matter (RFC 9110 §11.1).
    package init?(word: String) {
        guard let found = Self.names.first(where: { $0.word.lowercased() == word.lowercased() }) else {
            return nil
        }
        self = found.scheme
    }

    /// The names of those in the set.
    package var words: [String] { Self.names.filter { contains($0.scheme) }.map(\.word) }
}

extension Credential {
    /// The schemes that what is known of the user is enough for.
    package var usableSchemes: AuthenticationSchemes {
        var schemes: AuthenticationSchemes = []
        if !user.isEmpty && password != nil { schemes.formUnion([.basic, .digest, .negotiate, .ntlm]) }
        if bearerToken != nil { schemes.insert(.bearer) }
        return schemes
    }
}
