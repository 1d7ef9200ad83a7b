// CredentialSection.swift: `credentials:`, credentials by name.
// Owns: the keys of a credential. Never prints a value of one. A secret never stands in the file itself: files are copied,
// mailed and kept in version control. Source: Sources/Model/Credential.swift; message Credential of proto/outrigger.proto.
import Model

private enum CredentialKeys {
    static let schemes = Key(
        "schemes",
        "[Digest, Basic]",
        "Schemes that may be answered: Basic, Digest, Bearer, Negotiate, NTLM; the strongest that is asked for is taken.",
        "Without Basic nobody on the way can ask for the password in clear. Default: all that the rest is enough for."
    )
    static let user = Key("user", "outrigger", "Name of the user, 1 to 1024 bytes. Default: none.")
    static let password = Key(
        "password",
        "{env: PARTNER_PASSWORD}",
        "{env: VARIABLE} or {file: PATH}, 1 to 1024 bytes; a line end behind it does not count. Default: none."
    )
    static let bearerToken = Key(
        "bearer-token",
        "{env: API_TOKEN}",
        "{env: VARIABLE} or {file: PATH}, 1 to 8192 bytes. Default: none."
    )
    static let realm = Key("realm", "accounts", "The only realm that may ask, 1 to 256 bytes. Default: any.")

    static let all = [schemes, user, password, bearerToken, realm]
}

extension Section {
    static let credentials = Section(
        key: Key("credentials", ""),
        read: { node, reading, settings in
            for entry in reading.mapping(node, "credentials") ?? []
            where reading.isName(entry, "credentials") {
                let name = "credentials: \(entry.key)"
                settings.named.credentials[entry.key] = reading.credential(entry, name)
                settings.places[name] = reading.place(entry.value.mark)
            }
        },
        check: { _, _ in },
        lines: {
            let head = [
                "# Credentials by name (1 to 64 letters, digits, '.', '-', '_') that requests can refer to.",
                "credentials:",
                "  #partner:",
            ]
            return head + CredentialKeys.all.flatMap { $0.lines(indent: "    ") } + [""]
        }
    )
}

extension Reading {
    fileprivate mutating func credential(_ entry: Entry, _ name: String) -> Credential {
        var credential = Credential(name: entry.key, schemes: [])
        guard let fields = fields(entry.value, name, CredentialKeys.all) else { return credential }
        if let node = fields[CredentialKeys.user], let user = text(node, "\(name): user", 1...1024) {
            credential.user = Array(user.utf8)
        }
        if let node = fields[CredentialKeys.password] {
            credential.password = secret(node, "\(name): password", bytesMax: 1024)
        }
        if let node = fields[CredentialKeys.bearerToken] {
            credential.bearerToken = secret(node, "\(name): bearer-token", bytesMax: 8192)
        }
        if let node = fields[CredentialKeys.realm], let realm = text(node, "\(name): realm", 1...256) {
            credential.realm = Array(realm.utf8)
        }
        if let node = fields[CredentialKeys.schemes] {
            takeSchemes(node, name, &credential)
        } else {
            credential.schemes = credential.usableSchemes
            credential.isAutomatic = true
            let isWhole = fields[CredentialKeys.user] != nil || fields[CredentialKeys.bearerToken] != nil
            if credential.schemes.isEmpty && !isWhole {
                error(entry.mark, "\(name): a user and a password, or a bearer-token, are wanted")
            }
        }
        return credential
    }

    private mutating func takeSchemes(_ node: Node, _ name: String, _ credential: inout Credential) {
        for item in list(node, "\(name): schemes", countMax: 8) ?? [] {
            guard case .text(let word, _) = item.content, let scheme = AuthenticationSchemes(word: word)
            else {
                let known = AuthenticationSchemes.allWords.joined(separator: ", ")
                error(item.mark, "\(name): schemes: one of \(known)")
                continue
            }
            credential.schemes.insert(scheme)
        }
        let bound = credential.schemes.intersection(.connectionBound)
        let missing = bound.isEmpty ? bound : bound.subtracting(outside.mechanisms())
        if !missing.isEmpty {
            let words = missing.words.joined(separator: ", ")
            error(node.mark, "\(name): schemes: \(words) cannot be spoken by this sidecar on this machine")
        }
        // Negotiate may take the user of the credential cache.
        let idle = credential.schemes.subtracting(credential.usableSchemes).subtracting(.negotiate)
        if !idle.isEmpty {
            let words = idle.words.joined(separator: ", ")
            warn(node.mark, "\(name): schemes: nothing here is enough for \(words)")
        }
    }

    /// A secret, which the value names the place of.
    private mutating func secret(_ node: Node, _ name: String, bytesMax: Int) -> Secret? {
        guard case .mapping = node.content else {
            error(node.mark, "\(name): {env: VARIABLE} or {file: PATH}; a secret does not stand here")
            return nil
        }
        guard let bytes = source(node, name) else { return nil }
        guard 1...bytesMax ~= bytes.count else {
            error(node.mark, "\(name): 1 to \(bytesMax) bytes")
            return nil
        }
        return Secret(copying: bytes.span)
    }
}
