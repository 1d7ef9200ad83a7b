// ConnectionBound.swift: whether a field makes a connection one user's.
// Owns: the question, cheap enough for every reply. Never touches: pins, pools. Source: RFC 4559 §6; RFC 9110
// §11; MS-N2HT (`Persistent-Auth`).

/// What authentication fields say about the connection they come on. Nothing here allocates.
package enum ConnectionBound {
    /// Whether a `WWW-Authenticate` or `Proxy-Authenticate` value has a challenge of NTLM or Negotiate, a
    /// broken one included: by the whole scheme token, in any case, never by a prefix.
    package static func isConnectionBound(fieldValue: Span<UInt8>) -> Bool {
        var scanner = ChallengeScanner(fieldValue)
        while let piece = scanner.next() {
            switch piece {
            case .challenge(let name):
                if ChallengeScheme(fieldValue.extracting(name)).isConnectionBound { return true }
            case .token68, .parameter, .broken: continue
            }
        }
        return false
    }

    /// Whether an `Authorization` or `Proxy-Authorization` value is one of NTLM or Negotiate.
    package static func isConnectionBoundCredentials(fieldValue: Span<UInt8>) -> Bool {
        let start = fieldValue.skipBlanks(0)
        let name = start..<fieldValue.skipToken(start)
        return ChallengeScheme(fieldValue.extracting(name)).isConnectionBound
    }

    /// What a `Persistent-Auth` value says: whether later requests on the connection are the same user's.
    /// `nil`: neither `true` nor `false`.
    package static func persistentAuth(fieldValue: Span<UInt8>) -> Bool? {
        let start = fieldValue.skipBlanks(0)
        let end = fieldValue.skipToken(start)
        guard fieldValue.skipBlanks(end) == fieldValue.count else { return nil }
        let word = fieldValue.extracting(start..<end)
        if word.isEqual(ignoringCase: "true") { return true }
        return word.isEqual(ignoringCase: "false") ? false : nil
    }
}
