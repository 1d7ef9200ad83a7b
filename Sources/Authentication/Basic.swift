// Basic.swift: Basic and Bearer: the secret itself, in a field.
// Owns: what may be sent at all. Never touches: when it is sent. Source: RFC 7617 §2; RFC 6750 §2.1.
import Model

/// User and password in base64. Always UTF-8, which is what `charset` asks for where a server says anything.
package enum Basic {
    /// Whether there is a user and a password, the user without a colon, both without control characters.
    package static func isUsable(_ credential: Credential) -> Bool {
        guard let password = credential.password else { return false }
        let isForbidden = { (byte: UInt8) in Octet.isControl(byte) || byte == Octet.tab }
        return !credential.user.span.contains { isForbidden($0) || $0 == Octet.colon }
            && password.withBytes { !$0.contains(where: isForbidden) }
    }

    /// Appends the field value. The credential must be usable.
    package static func append(_ credential: Credential, to output: inout ByteBuffer) {
        guard let password = credential.password else { preconditionFailure("Basic without a password") }
        var pair = ByteBuffer(capacity: credential.user.count + 1 + password.count)
        pair.append(credential.user.span)
        pair.append(Octet.colon)
        password.withBytes { pair.append($0) }
        output.append("Basic ")
        Base64.append(pair.bytes, to: &output)
        pair.wipe()
    }
}

/// A token that whoever holds it may use.
package enum Bearer {
    /// Whether there is a token, and it is a b64token.
    package static func isUsable(_ credential: Credential) -> Bool {
        guard let token = credential.bearerToken else { return false }
        return token.withBytes { $0.count > 0 && $0.skipToken68(0) == $0.count }
    }

    /// Appends the field value. The credential must be usable.
    package static func append(_ credential: Credential, to output: inout ByteBuffer) {
        guard let token = credential.bearerToken else { preconditionFailure("Bearer without a token") }
        output.append("Bearer ")
        token.withBytes { output.append($0) }
    }
}
