// Facts.swift: what a handshake agreed upon, as OpenSSL tells it.
// Owns: nothing. Never touches: the connection's state.
import COpenSSL
import Model

enum Facts {
    /// Reads them from a connection whose handshake is done.
    @unsafe static func read(_ ssl: OpaquePointer) -> TLSFacts {
        var facts = TLSFacts()
        // SAFETY: the caller keeps `ssl` alive; all that is read belongs to it and is copied.
        facts.version = unsafe SSL_version(ssl) == TLS1_3_VERSION ? .v13 : .v12
        if let name = unsafe SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)) {
            facts.cipher = unsafe String(cString: name)
        }
        var bytes: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &bytes, &count)
        facts.alpn = unsafe String(
            decoding: UnsafeBufferPointer(start: bytes, count: Int(count)),
            as: UTF8.self
        )
        if let certificate = unsafe SSL_get0_peer_certificate(ssl) {
            facts.certificateSHA256 = unsafe Certificate(pointer: certificate).digest
        }
        facts.isResumed = unsafe SSL_session_reused(ssl) == 1
        return facts
    }
}
