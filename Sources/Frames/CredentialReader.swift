// CredentialReader.swift: the message Credentials of a REQUEST to the model, and how a proxy says it.
// Owns: which faults end the stream. No word of an error has a byte of a credential. Source: proto/outrigger.proto,
// messages Credentials and Credential.
import COutriggerProto
import Model

/// Limits of a credential. Reached: BAD_REQUEST.
private enum CredentialBound {
    static let nameBytesMax = 64
    static let schemesMax = 8
    static let userBytesMax = 1024
    static let passwordBytesMax = 1024
    static let bearerBytesMax = 8192
    static let realmBytesMax = 256
}

extension RequestReader {
    func readCredentials(
        _ message: UnsafePointer<Outrigger__V1__Credentials>,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request
    ) throws(FrameError) {
        var credentials = CredentialsRequest()
        // SAFETY: the message's arena is alive.
        let fields = unsafe message.pointee
        credentials.originName = try unsafe unpacked.text(fields.origin_name, "credentials origin_name")
        credentials.peerName = try unsafe unpacked.text(fields.peer_name, "credentials peer_name")
        for name in [credentials.originName, credentials.peerName]
        where name.utf8.count > CredentialBound.nameBytesMax {
            request.refuse("a name of credentials over \(CredentialBound.nameBytesMax) bytes")
        }
        if let origin = unsafe fields.origin {
            credentials.origin = try unsafe readCredential(origin, unpacked, &request)
            if !credentials.originName.isEmpty { request.refuse("credentials origin and origin_name") }
        }
        if let peer = unsafe fields.peer {
            credentials.peer = try unsafe readCredential(peer, unpacked, &request)
            if !credentials.peerName.isEmpty { request.refuse("credentials peer and peer_name") }
        }
        request.credentials = credentials
    }

    private func readCredential(
        _ message: UnsafePointer<Outrigger__V1__Credential>,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        _ request: inout Request
    ) throws(FrameError) -> Credential {
        // SAFETY: the message's arena is alive.
        let fields = unsafe message.pointee
        var credential = Credential(name: "of the request", schemes: [])
        credential.user = unsafe unpacked.array(fields.user)
        let password = unsafe secret(fields.password)
        let token = unsafe secret(fields.bearer_token)
        let realm = unsafe unpacked.array(fields.realm)
        if credential.user.count > CredentialBound.userBytesMax { request.refuse("a user over 1024 bytes") }
        if password.count > CredentialBound.passwordBytesMax { request.refuse("a password over 1024 bytes") }
        if token.count > CredentialBound.bearerBytesMax { request.refuse("a bearer token over 8192 bytes") }
        if realm.count > CredentialBound.realmBytesMax { request.refuse("a realm over 256 bytes") }
        if password.count > 0 { credential.password = password }
        if token.count > 0 { credential.bearerToken = token }
        if !realm.isEmpty { credential.realm = realm }
        let count = unsafe fields.n_schemes
        if count > CredentialBound.schemesMax { request.refuse("over 8 schemes") }
        for index in 0..<min(count, CredentialBound.schemesMax) {
            let word = try unsafe unpacked.text(fields.schemes[index], "credential schemes")
            guard let scheme = AuthenticationSchemes(word: word) else {
                request.refuse("an unknown scheme of credentials")
                continue
            }
            credential.schemes.insert(scheme)
        }
        if count == 0 {
            credential.schemes = credential.usableSchemes
            credential.isAutomatic = true
        }
        if credential.schemes.isEmpty { request.refuse("a credential that no scheme can use") }
        return credential
    }

    func secret(_ bytes: ProtobufCBinaryData) -> Secret {
        // SAFETY: `data` has `len` bytes in the message's arena, which is alive.
        let buffer = unsafe UnsafeBufferPointer(start: bytes.data, count: bytes.len)
        return unsafe Secret(copying: buffer.span)
    }
}

extension WireMessage {
    init(_ credentials: CredentialsRequest) {
        self.init()
        append(credentials.originName, field: 1)
        append(credentials.peerName, field: 2)
        if let origin = credentials.origin { append(WireMessage(origin).bytes, field: 3) }
        if let peer = credentials.peer { append(WireMessage(peer).bytes, field: 4) }
    }

    private init(_ credential: Credential) {
        self.init()
        if !credential.isAutomatic { for scheme in credential.schemes.words { append(scheme, field: 1) } }
        append(credential.user, field: 2)
        if let password = credential.password { append(password.copied, field: 3) }
        if let token = credential.bearerToken { append(token.copied, field: 4) }
        if let realm = credential.realm { append(realm, field: 5) }
    }
}

extension Secret {
    /// For the one frame in which it goes out.
    var copied: [UInt8] { withBytes { bytes in bytes.indices.map { bytes[$0] } } }
}
