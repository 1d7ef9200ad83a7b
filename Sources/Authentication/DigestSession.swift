// DigestSession.swift: one nonce of a server with what we made of it, and the answers that come from it.
// Owns: the hash of the password, exact quoting. Never touches: the count of uses. Source: RFC 7616 §3.4.
import Model

/// Everything of an answer that stays the same for a nonce. Never changes: streams on their way keep the one
/// they used.
package final class DigestSession: Sendable {
    package let realm: [UInt8]
    package let nonce: [UInt8]
    package let algorithm: DigestAlgorithm
    package let protection: DigestProtection
    /// Greater for a session that was made later, in one worker.
    package let serial: UInt64
    let opaque: [UInt8]?
    /// See `DigestChallenge.domain`.
    let domain: [[UInt8]]?
    let cnonce: [UInt8]
    private let isSession: Bool
    private let namesAlgorithm: Bool
    private let hashesUser: Bool
    /// `username="…"` or `username*=…`.
    private let userField: [UInt8]
    /// H(A1) in hexadecimal: as good as the password in this realm. Source: RFC 7616 §3.4.2.
    private let secretHash: Secret

    /// `nil` when there is no password, or the user has bytes that a field cannot carry. `cnonce` is our
    /// nonce, for every answer of the session: then "first request" and "each request" are one for servers
    /// that take a `-sess` key from either.
    package init?(
        _ challenge: DigestChallenge,
        _ protection: DigestProtection,
        _ credential: Credential,
        cnonce: [UInt8],
        serial: UInt64,
        _ functions: DigestFunctions
    ) {
        guard let password = credential.password,
            let userField = Self.userField(challenge, credential, functions)
        else { return nil }
        self.userField = userField
        self.protection = protection
        self.cnonce = cnonce
        self.serial = serial
        realm = challenge.realm
        nonce = challenge.nonce
        algorithm = challenge.algorithm
        opaque = challenge.opaque
        domain = challenge.domain
        isSession = challenge.isSession
        namesAlgorithm = challenge.namesAlgorithm
        hashesUser = challenge.hashesUser
        secretHash = Self.secretHash(challenge, credential.user, password, cnonce: cnonce, functions)
    }

    /// The same with the nonce that the server wants next. A `-sess` key stays as it was: it is made once,
    /// after a challenge.
    init(_ former: DigestSession, nextNonce: [UInt8], serial: UInt64) {
        nonce = nextNonce
        self.serial = serial
        realm = former.realm
        algorithm = former.algorithm
        protection = former.protection
        opaque = former.opaque
        domain = former.domain
        cnonce = former.cnonce
        isSession = former.isSession
        namesAlgorithm = former.namesAlgorithm
        hashesUser = former.hashesUser
        userField = former.userField
        secretHash = former.secretHash
    }

    /// Appends the field value that answers for `request`. `count` is from 1, and never twice the same. The
    /// body must be held when the session protects it. Source: RFC 7616 §3.4: what is quoted and what is not.
    package func append(
        _ request: borrowing AuthenticatedRequest,
        count: UInt32,
        _ functions: DigestFunctions,
        to output: inout ByteBuffer
    ) {
        output.append("Digest ")
        output.append(userField)
        Self.append(", realm=", quoted: realm, to: &output)
        Self.append(", uri=", quoted: request.target, to: &output)
        if namesAlgorithm {
            output.append(", algorithm=")
            output.append(algorithm.name)
            if isSession { output.append("-sess") }
        }
        Self.append(", nonce=", quoted: nonce, to: &output)
        if protection != .legacy {
            output.append(", nc=")
            Self.append(count: count, to: &output)
            Self.append(", cnonce=", quoted: cnonce, to: &output)
            output.append(", qop=")
            output.append(protection.name)
        }
        output.append(", response=\"")
        appendResponse(request.method, request.target, request.body, count: count, functions, to: &output)
        output.append(Octet.quote)
        if let opaque { Self.append(", opaque=", quoted: opaque, to: &output) }
        if hashesUser { output.append(", userhash=true") }
    }

    /// Appends KD(H(A1), …). With an empty method: what the server proves itself with. Source: RFC 7616
    /// §3.4.1, §3.5.
    func appendResponse(
        _ method: Span<UInt8>,
        _ target: Span<UInt8>,
        _ body: Span<UInt8>?,
        count: UInt32,
        _ functions: DigestFunctions,
        to output: inout ByteBuffer
    ) {
        var second = ByteBuffer(capacity: method.count + target.count + 80)
        second.append(method)
        second.append(Octet.colon)
        second.append(target)
        if protection == .authInt {
            guard let body else { preconditionFailure("auth-int without the body") }
            second.append(Octet.colon)
            functions.appendHex(algorithm, of: body, to: &second)
        }
        // Room for all of it: growing would leave the hash of the password behind.
        var whole = ByteBuffer(capacity: secretHash.count + nonce.count + cnonce.count + 128)
        secretHash.withBytes { whole.append($0) }
        whole.append(Octet.colon)
        whole.append(nonce)
        whole.append(Octet.colon)
        if protection != .legacy {
            Self.append(count: count, to: &whole)
            whole.append(Octet.colon)
            whole.append(cnonce)
            whole.append(Octet.colon)
            whole.append(protection.name)
            whole.append(Octet.colon)
        }
        functions.appendHex(algorithm, of: second.bytes, to: &whole)
        functions.appendHex(algorithm, of: whole.bytes, to: &output)
        whole.wipe()
    }

    /// Eight hexadecimal digits.
    static func append(count: UInt32, to output: inout ByteBuffer) {
        for shift in stride(from: UInt32(28), through: 0, by: -4) {
            output.append(Octet.hexDigit(UInt8(truncatingIfNeeded: count >> shift & 15)))
        }
    }

    private static func append(_ name: String, quoted value: [UInt8], to output: inout ByteBuffer) {
        append(name, quoted: value.span, to: &output)
    }

    private static func append(_ name: String, quoted value: Span<UInt8>, to output: inout ByteBuffer) {
        output.append(name)
        output.append(Octet.quote)
        for index in value.indices {
            let byte = value[index]
            if byte == Octet.quote || byte == Octet.backslash { output.append(Octet.backslash) }
            output.append(byte)
        }
        output.append(Octet.quote)
    }

    private static func secretHash(
        _ challenge: DigestChallenge,
        _ user: [UInt8],
        _ password: Secret,
        cnonce: [UInt8],
        _ functions: DigestFunctions
    ) -> Secret {
        var first = ByteBuffer(capacity: user.count + challenge.realm.count + password.count + 2)
        first.append(user.span)
        first.append(Octet.colon)
        first.append(challenge.realm.span)
        first.append(Octet.colon)
        password.withBytes { first.append($0) }
        var hash = ByteBuffer(capacity: 66 + challenge.nonce.count + cnonce.count)
        functions.appendHex(challenge.algorithm, of: first.bytes, to: &hash)
        first.wipe()
        if challenge.isSession {
            hash.append(Octet.colon)
            hash.append(challenge.nonce.span)
            hash.append(Octet.colon)
            hash.append(cnonce.span)
            var sessionHash = ByteBuffer(capacity: 64)
            functions.appendHex(challenge.algorithm, of: hash.bytes, to: &sessionHash)
            hash.wipe()
            hash = sessionHash
        }
        let secret = Secret(copying: hash.bytes)
        hash.wipe()
        return secret
    }

    /// The user as RFC 7616 §3.4, §3.4.4 want it: hashed when asked for; quoted; extended (RFC 8187) where
    /// the server takes UTF-8 and there is some, or a quoted string cannot carry it.
    private static func userField(
        _ challenge: DigestChallenge,
        _ credential: Credential,
        _ functions: DigestFunctions
    ) -> [UInt8]? {
        let user = credential.user.span
        var field = ByteBuffer()
        if challenge.hashesUser {
            var pair = ByteBuffer()
            pair.append(user)
            pair.append(Octet.colon)
            pair.append(challenge.realm.span)
            field.append("username=\"")
            functions.appendHex(challenge.algorithm, of: pair.bytes, to: &field)
            field.append(Octet.quote)
        } else if user.contains(where: Octet.isControl)
            || challenge.isUTF8 && user.contains(where: { $0 > Octet.delete })
        {
            guard String(validating: credential.user, as: UTF8.self) != nil else { return nil }
            field.append("username*=UTF-8''")
            appendExtended(user, to: &field)
        } else {
            append("username=", quoted: user, to: &field)
        }
        return field.bytes.copied()
    }

    /// Source: RFC 8187 §3.2.1, attr-char.
    private static func appendExtended(_ text: Span<UInt8>, to output: inout ByteBuffer) {
        for index in text.indices {
            let byte = text[index]
            // Of token, all but * ' % are attr-char.
            if Octet.isToken(byte) && byte != 0x2A && byte != 0x27 && byte != 0x25 {
                output.append(byte)
            } else {
                output.append(0x25)
                output.append(Octet.capitalHexDigit(byte >> 4))
                output.append(Octet.capitalHexDigit(byte & 15))
            }
        }
    }
}
