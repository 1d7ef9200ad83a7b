// TestServer.swift: the other side of the tests: a TLS server of OpenSSL's in memory, over memory BIOs.
import COpenSSL
import Glibc

/// What a server does.
struct ServerForm: Sendable {
    var identity = Issued.good
    var chain: [Credential] = []
    var versionMin = TLS1_2_VERSION
    var versionMax = TLS1_3_VERSION
    var ciphers = ""
    /// What it chooses, whatever is offered; empty: nothing.
    var alpn = ""
    var staple: [UInt8] = []
    /// Whether a client must show a certificate of `Issued.root`.
    var asksForCertificate = false
    var refusesCertificates = false
    var tickets = 2
}

/// A context of a server: tickets of one are good for it only.
@safe final class ServerContext {
    // SAFETY: owned, freed in `deinit`.
    fileprivate let pointer: OpaquePointer
    fileprivate let form: ServerForm
    private let alpn: UnsafeMutableBufferPointer<UInt8>

    init(_ form: ServerForm = ServerForm()) {
        // SAFETY: all calls copy or count references; `self` outlives the connections that call back.
        let made = unsafe made(SSL_CTX_new(TLS_server_method()))
        unsafe pointer = made
        self.form = form
        unsafe alpn = .allocate(capacity: form.alpn.utf8.count)
        _ = unsafe alpn.initialize(from: form.alpn.utf8)
        // So that it can show what the client must refuse.
        unsafe SSL_CTX_set_security_level(pointer, 0)
        unsafe SSL_CTX_use_certificate(pointer, form.identity.certificate)
        unsafe SSL_CTX_use_PrivateKey(pointer, form.identity.key)
        for identity in form.chain {
            unsafe SSL_CTX_ctrl(
                pointer,
                SSL_CTRL_CHAIN_CERT,
                1,
                UnsafeMutableRawPointer(identity.certificate)
            )
        }
        let versions = unsafe openssl_CTX_set_versions(pointer, form.versionMin, form.versionMax)
        precondition(versions == 1, "server's versions")
        if !form.ciphers.isEmpty { unsafe SSL_CTX_set_cipher_list(pointer, form.ciphers) }
        unsafe SSL_CTX_set_session_id_context(pointer, [1], 1)
        unsafe SSL_CTX_set_num_tickets(pointer, form.tickets)
        if form.asksForCertificate {
            unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), Issued.root.certificate)
            unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        let address = unsafe Unmanaged.passUnretained(self).toOpaque()
        if !form.alpn.isEmpty { unsafe SSL_CTX_set_alpn_select_cb(pointer, Self.chooseProtocol, address) }
        if !form.staple.isEmpty {
            unsafe openssl_CTX_set_tlsext_status_cb(pointer, Self.staple)
            unsafe SSL_CTX_ctrl(pointer, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB_ARG, 0, address)
        }
    }

    deinit {
        // SAFETY: see `pointer`.
        unsafe SSL_CTX_free(pointer)
        unsafe alpn.deallocate()
    }

    /// Removes what is remembered of sessions: no session or ticket of before is accepted.
    func forgetSessions() {
        var keys = [UInt8](repeating: 0, count: 80)
        for index in keys.indices { keys[index] = UInt8.random(in: 0...255) }
        // SAFETY: the call copies.
        unsafe keys.withUnsafeMutableBytes { bytes in
            let result = unsafe SSL_CTX_ctrl(
                pointer,
                SSL_CTRL_SET_TLSEXT_TICKET_KEYS,
                bytes.count,
                bytes.baseAddress
            )
            precondition(result == 1, "ticket keys")
        }
        unsafe SSL_CTX_flush_sessions(pointer, .max)
    }

    private static let chooseProtocol: SSL_CTX_alpn_select_cb_func = { _, chosen, count, _, _, argument in
        // SAFETY: `argument` is the context, which outlives its connections, and so does the name.
        let context = unsafe Unmanaged<ServerContext>.fromOpaque(made(argument)).takeUnretainedValue()
        unsafe chosen?.pointee = UnsafePointer(context.alpn.baseAddress)
        unsafe count?.pointee = UInt8(context.alpn.count)
        return SSL_TLSEXT_ERR_OK
    }

    private static let staple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
        ssl,
        argument in
        // SAFETY: as above. OpenSSL takes the memory over.
        let context = unsafe Unmanaged<ServerContext>.fromOpaque(made(argument)).takeUnretainedValue()
        let staple = context.form.staple
        let memory = unsafe made(CRYPTO_malloc(staple.count, "", 0))
        unsafe memory.copyMemory(from: staple, byteCount: staple.count)
        unsafe SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, staple.count, memory)
        return SSL_TLSEXT_ERR_OK
    }
}

/// One connection.
@safe final class Server {
    // SAFETY: owned with its two BIOs, freed in `deinit`.
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private let context: ServerContext
    private(set) var isOpen = false
    /// The last error's reason as OpenSSL says it.
    private(set) var failure = ""
    /// Plaintext that has come.
    private(set) var plaintext: [UInt8] = []
    private(set) var hasEnded = false

    init(_ context: ServerContext) {
        // SAFETY: the SSL takes the BIOs over.
        self.context = context
        unsafe ssl = made(SSL_new(context.pointer))
        unsafe input = made(BIO_new(BIO_s_mem()))
        unsafe output = made(BIO_new(BIO_s_mem()))
        unsafe SSL_set_bio(ssl, input, output)
        unsafe SSL_set_accept_state(ssl)
    }

    convenience init(_ form: ServerForm = ServerForm()) { self.init(ServerContext(form)) }

    deinit {
        // SAFETY: see `ssl`. As with the client's: an unclean end must not cost the session.
        unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        unsafe SSL_free(ssl)
    }

    /// Takes ciphertext and does what follows from it.
    func receive(_ bytes: [UInt8]) {
        // SAFETY: the call copies.
        if !bytes.isEmpty { unsafe BIO_write(input, bytes, Int32(bytes.count)) }
        advance()
    }

    func advance() {
        ERR_clear_error()
        if !isOpen {
            // SAFETY: see `ssl`.
            let result = unsafe SSL_do_handshake(ssl)
            isOpen = result == 1
            if result != 1 { return note(result) }
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            // SAFETY: as many bytes as the array has.
            let count = unsafe SSL_read(ssl, &buffer, Int32(buffer.count))
            if count <= 0 { return note(count) }
            plaintext += buffer[..<Int(count)]
        }
    }

    func takePlaintext() -> [UInt8] {
        defer { plaintext = [] }
        return plaintext
    }

    /// Ciphertext to send; nothing of it is left.
    func take() -> [UInt8] {
        var bytes: UnsafeMutablePointer<CChar>?
        // SAFETY: copied before the BIO is touched again.
        let count = unsafe openssl_BIO_get_mem_data(output, &bytes)
        let taken = unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
        unsafe BIO_ctrl(output, BIO_CTRL_RESET, 0, nil)
        return taken
    }

    func write(_ bytes: [UInt8]) {
        var start = 0
        while start < bytes.count {
            let piece = Array(bytes[start..<min(start + 16_384, bytes.count)])
            // SAFETY: the call copies.
            let count = unsafe SSL_write(ssl, piece, Int32(piece.count))
            precondition(count == piece.count, "server cannot write")
            start += piece.count
        }
    }

    /// Puts bytes on the wire that are no record of ours.
    func inject(_ bytes: [UInt8]) {
        // SAFETY: the call copies.
        unsafe BIO_write(output, bytes, Int32(bytes.count))
    }

    func shutdown() { unsafe SSL_shutdown(ssl) }

    func updateKeys(askingPeer: Bool) {
        // SAFETY: see `ssl`.
        unsafe SSL_key_update(ssl, askingPeer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED)
        unsafe SSL_do_handshake(ssl)
    }

    func renegotiate() {
        // SAFETY: see `ssl`.
        unsafe SSL_renegotiate(ssl)
        unsafe SSL_do_handshake(ssl)
    }

    /// Whether the client's name was this.
    var serverName: String {
        // SAFETY: the string belongs to the SSL and is copied.
        unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) } ?? ""
    }

    /// Digest of the certificate that the client has shown.
    var hasClientCertificate: Bool { unsafe SSL_get0_peer_certificate(ssl) != nil }

    private func note(_ result: Int32) {
        // SAFETY: see `ssl`.
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
        case SSL_ERROR_ZERO_RETURN: hasEnded = true
        default:
            let words = unsafe ERR_reason_error_string(ERR_peek_error())
            failure = unsafe words.map { unsafe String(cString: $0) } ?? "failed"
        }
        ERR_clear_error()
    }
}
