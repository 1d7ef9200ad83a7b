// Context.swift: one SSL_CTX, made from settings and the files they name.
// Owns: the choice of every option of OpenSSL's. Never touches: names, sessions, a connection.
// Source: RFC 8446; RFC 9325 (recommendations); SSL_CTX_set_options(3); DESIGN "Identity is part of the key".
import COpenSSL
import Model

/// One reference to a context of OpenSSL's; connections made from it hold their own.
@safe final class Context {
    // SAFETY: an SSL_CTX of which this object owns one reference, given back in `deinit`. Not changed once
    // made.
    let pointer: OpaquePointer
    /// No two contexts of a client have the same: sessions tell by it where they came from.
    let number: Int

    /// - Throws: `handshake` with what is wrong with the settings or with a file.
    init(_ settings: TLSSettings, number: Int) throws(TLSFailure) {
        ErrorQueue.clear()
        // SAFETY: the result is owned by this object.
        guard let pointer = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw .because(.handshake, "cannot make a TLS context: " + ErrorQueue.takeReason())
        }
        unsafe self.pointer = pointer
        self.number = number
        try Self.check(settings)
        setOptions()
        try setVersions(settings)
        try setProtocols(settings.alpn)
        try setTrust(settings.trust)
        try setCertificate(settings)
        setCallbacks(settings)
        ErrorQueue.clear()
    }

    deinit {
        // SAFETY: see `pointer`.
        unsafe SSL_CTX_free(pointer)
    }

    /// What OpenSSL would not notice, or would understand otherwise.
    private static func check(_ settings: TLSSettings) throws(TLSFailure) {
        if settings.versionMin > settings.versionMax {
            throw .because(.handshake, "the lowest version is higher than the highest")
        }
        if settings.pins.contains(where: { $0.count != 32 }) {
            throw .because(.handshake, "a pin must be 32 bytes, a SHA-256 digest")
        }
        if settings.requiresStaple && settings.trust == .anyone {
            throw .because(.handshake, "a required OCSP staple needs issuers to trust")
        }
        if !settings.keyFile.isEmpty && settings.certificateFile.isEmpty {
            throw .because(.handshake, "a key file without a certificate file")
        }
        for list in [settings.ciphers, settings.cipherSuites]
        where list.utf8.contains(0) || list.contains("@") {
            // `@SECLEVEL` would lower the level below which OpenSSL refuses keys, digests and anonymous
            // peers.
            throw .because(.handshake, "ciphers \(TLSFailure.quoted(list)) must not hold @ or NUL")
        }
    }

    private func setOptions() {
        // SAFETY: see `pointer`. No call keeps an address.
        unsafe SSL_CTX_set_options(pointer, openssl_OP_NO_RENEGOTIATION | openssl_OP_NO_COMPRESSION)
        // The system's openssl.cnf may have set these.
        let unwanted = openssl_OP_IGNORE_UNEXPECTED_EOF | openssl_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION
        unsafe SSL_CTX_clear_options(pointer, unwanted)
        unsafe SSL_CTX_set_security_level(pointer, max(2, SSL_CTX_get_security_level(pointer)))
        let mode = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY
        unsafe openssl_CTX_set_mode(pointer, Int(mode))
        // `SSL_MODE_RELEASE_BUFFERS` stays off: `TLSLayer.releaseMemory` does that when a connection is idle.
        unsafe openssl_CTX_clear_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS))
        let caching = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
        unsafe openssl_CTX_set_session_cache_mode(pointer, Int(caching))
    }

    private func setVersions(_ settings: TLSSettings) throws(TLSFailure) {
        func number(_ version: TLSVersion) -> Int32 { version == .v12 ? TLS1_2_VERSION : TLS1_3_VERSION }
        // SAFETY: see `pointer`; the strings outlive the calls, which copy them.
        if unsafe openssl_CTX_set_versions(pointer, number(settings.versionMin), number(settings.versionMax))
            != 1
        {
            throw .because(.handshake, "cannot set versions: " + ErrorQueue.takeReason())
        }
        if !settings.ciphers.isEmpty, unsafe SSL_CTX_set_cipher_list(pointer, settings.ciphers) != 1 {
            ErrorQueue.clear()
            throw .because(.handshake, "no known cipher in \(TLSFailure.quoted(settings.ciphers))")
        }
        if !settings.cipherSuites.isEmpty,
            unsafe SSL_CTX_set_ciphersuites(pointer, settings.cipherSuites) != 1
        {
            ErrorQueue.clear()
            throw .because(.handshake, "an unknown suite in \(TLSFailure.quoted(settings.cipherSuites))")
        }
    }

    private func setProtocols(_ names: [String]) throws(TLSFailure) {
        if names.isEmpty { return }
        var list: [UInt8] = []
        for name in names {
            let bytes = Array(name.utf8)
            guard 1...255 ~= bytes.count else {
                throw .because(.handshake, "ALPN name \(TLSFailure.quoted(name)) is not 1 to 255 bytes")
            }
            list.append(UInt8(bytes.count))
            list += bytes
        }
        // SAFETY: the array outlives the call, which copies it. 0: success.
        guard list.count <= Int(UInt16.max),
            unsafe SSL_CTX_set_alpn_protos(pointer, list, UInt32(list.count)) == 0
        else { throw .because(.handshake, "too many ALPN names") }
    }

    private func setTrust(_ trust: TLSTrust) throws(TLSFailure) {
        // SAFETY: see `pointer`; the paths outlive the calls, which read them at once or copy them.
        switch trust {
        case .system:
            if unsafe SSL_CTX_set_default_verify_paths(pointer) != 1 {
                throw .because(
                    .handshake,
                    "cannot load the system's certificates: " + ErrorQueue.takeReason()
                )
            }
        case .file(let path):
            try ContextFiles.requireFile(path, "trust file")
            if unsafe SSL_CTX_load_verify_file(pointer, path) != 1 {
                try Self.throwUnreadable(path, "trust file")
            }
        case .directory(let path):
            try ContextFiles.requireFolder(path, "trust directory")
            if unsafe SSL_CTX_load_verify_dir(pointer, path) != 1 {
                try Self.throwUnreadable(path, "trust directory")
            }
        case .anyone: break
        }
    }

    private func setCertificate(_ settings: TLSSettings) throws(TLSFailure) {
        if settings.certificateFile.isEmpty { return }
        let keyFile = settings.keyFile.isEmpty ? settings.certificateFile : settings.keyFile
        try ContextFiles.requireFile(settings.certificateFile, "certificate file")
        try ContextFiles.requireFile(keyFile, "key file")
        // SAFETY: see `pointer`; the paths outlive the calls. Without a callback OpenSSL would ask the
        // terminal.
        unsafe SSL_CTX_set_default_passwd_cb(pointer) { _, _, _, _ in -1 }
        if unsafe SSL_CTX_use_certificate_chain_file(pointer, settings.certificateFile) != 1 {
            try Self.throwUnreadable(settings.certificateFile, "certificate file")
        }
        if unsafe SSL_CTX_use_PrivateKey_file(pointer, keyFile, SSL_FILETYPE_PEM) != 1 {
            try Self.throwUnreadable(keyFile, "key file")
        }
    }

    private func setCallbacks(_ settings: TLSSettings) {
        // Asked for in every case: with trust none our callback still checks pins, and lets the rest pass.
        // SAFETY: see `pointer`; the functions have no state of their own.
        unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        unsafe SSL_CTX_set_cert_verify_callback(pointer, Verification.verifyChain, nil)
        unsafe SSL_CTX_sess_set_new_cb(pointer, Wire.newSession)
        if settings.requiresStaple {
            unsafe openssl_CTX_set_tlsext_status_cb(pointer, Verification.verifyStaple)
        }
    }

    private static func throwUnreadable(_ path: String, _ role: String) throws(TLSFailure) -> Never {
        throw .because(
            .handshake,
            "cannot read \(role) \(TLSFailure.quoted(path)): " + ErrorQueue.takeReason()
        )
    }
}
