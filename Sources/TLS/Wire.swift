// Wire.swift: what the callbacks of one connection reach: its two buffers of ciphertext, whom it must meet,
// tickets. Owns: ciphertext that waits. Never touches: a socket, plaintext. Source: BIO_meth_new(3),
// SSL_CTX_sess_set_new_cb(3).
//
// Measured: CPU of the side that reads 8 MiB over loopback, least of 12 runs. This BIO over one flat buffer of
// 64 to 128 KiB: 4.3 ms. A memory BIO: 5.5 ms. OpenSSL reading the socket itself: 5.4 ms, with read-ahead of a
// record 4.4 ms, with more 5.1 ms, as OpenSSL then moves all that waits for every record. CPU of the side that
// writes 8 MiB (C, least of 12, four pairs): four records behind each other and one send 4.9 to 6.4 ms, records
// straight to the socket 5.8 to 6.1 ms, dearer in three pairs of four. Kernel TLS was not built: there was no
// kernel that has it to test it on.
import COpenSSL
import Model

/// Lives at one address from the first call of OpenSSL's to the last: BIO and SSL hold its address. While
/// OpenSSL runs, only callbacks touch it.
@safe struct Wire: ~Copyable {
    /// Ciphertext that has arrived and OpenSSL has not taken.
    var input = ByteBuffer()
    /// Whether nothing follows `input`.
    var isInputEnded = false
    /// Ciphertext to send.
    var output = ByteBuffer()
    /// Bytes of `output` at which OpenSSL is told to wait. Plaintext stops well before (`TLSLayer.write`);
    /// only a peer that asks for answers and does not read them gets here.
    static let outputBytesMax = 262_144

    let key: SessionKey
    let context: Int
    /// Where sessions go that the peer hands out; `nil`: nowhere, for the connection has left the cache's thread.
    var sessions: SessionCache?
    /// Why a callback refused the peer.
    var refusal: TLSFailure?
    /// Seconds since 1970 until which what was verified holds; what is resumed inherits it.
    var usableUntil: Int64
    /// Whether the peer is accepted: what it hands out may be kept.
    var isAccepted = false
    /// A session that came before that: 1.2 sends it within the handshake.
    var earlySession: Session?

    init(key: SessionKey, context: Int, sessions: SessionCache, usableUntil: Int64) {
        self.key = key
        self.context = context
        self.sessions = sessions
        self.usableUntil = usableUntil
    }

    mutating func accept() {
        isAccepted = true
        if let session = earlySession.take() { keep(session) }
    }

    private mutating func keep(_ session: Session) {
        if isAccepted {
            sessions?.store(session, for: key)
        } else {
            earlySession = session
        }
    }

    /// The wire of a connection, as every callback finds it.
    @unsafe static func of(_ ssl: OpaquePointer) -> UnsafeMutablePointer<Wire> {
        // SAFETY: `TLSLayer` sets it before the first call and keeps it until after the last.
        guard let data = unsafe SSL_get_ex_data(ssl, 0) else {
            preconditionFailure("a connection without a wire")
        }
        return unsafe data.assumingMemoryBound(to: Wire.self)
    }

    @unsafe static func of(bio: OpaquePointer?) -> UnsafeMutablePointer<Wire> {
        // SAFETY: as above.
        guard let data = unsafe BIO_get_data(bio) else { preconditionFailure("a BIO without a wire") }
        return unsafe data.assumingMemoryBound(to: Wire.self)
    }

    /// Callback for each session that the peer hands out. 1: we own it from now on.
    @unsafe static let newSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = {
        ssl,
        session in
        // SAFETY: OpenSSL passes a connection and, with the 1, one reference to a session.
        guard let ssl = unsafe ssl, let session = unsafe session else { return 0 }
        let wire = unsafe Wire.of(ssl)
        let (context, usableUntil) = unsafe (wire.pointee.context, wire.pointee.usableUntil)
        // SAFETY: as above. `usableUntil` is known by now: a session comes after the certificate.
        unsafe wire.pointee.keep(Session(owning: session, context: context, usableUntil: usableUntil))
        return 1
    }
}

/// The kind of BIO that reads and writes a wire.
enum WireMethod {
    /// A new BIO on `wire`, which must outlive it; `nil` without memory.
    @unsafe static func makeBIO(_ wire: UnsafeMutablePointer<Wire>) -> OpaquePointer? {
        // SAFETY: the caller keeps the wire alive.
        guard let bio = unsafe BIO_new(method) else { return nil }
        unsafe BIO_set_data(bio, wire)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    // SAFETY: made once for the process, never changed after that and never freed.
    nonisolated(unsafe) private static let method: OpaquePointer = {
        let type = BIO_get_new_index() | openssl_BIO_TYPE_SOURCE_SINK
        // SAFETY: the name lives as long as the process.
        guard let method = unsafe BIO_meth_new(type, wireName) else {
            preconditionFailure("no memory for a BIO")
        }
        unsafe BIO_meth_set_read_ex(method, read)
        unsafe BIO_meth_set_write_ex(method, write)
        unsafe BIO_meth_set_ctrl(method, control)
        return unsafe method
    }()

    // SAFETY: a constant; OpenSSL keeps the address.
    nonisolated(unsafe) private static let wireName: UnsafePointer<CChar> = {
        let name = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        unsafe name.initialize(to: 0)
        return unsafe UnsafePointer(name)
    }()

    private static let read:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
        ) -> Int32 = { bio, bytes, room, done in
            unsafe openssl_BIO_clear_retry_flags(bio)
            // SAFETY: OpenSSL gives `room` bytes to write to and a place for their number.
            let wire = unsafe Wire.of(bio: bio)
            let count = unsafe min(room, wire.pointee.input.count)
            guard count > 0, let bytes = unsafe bytes else {
                if unsafe !wire.pointee.isInputEnded { unsafe openssl_BIO_set_retry_read(bio) }
                return 0
            }
            // SAFETY: `input` has `count` bytes and is not touched while they are copied.
            unsafe wire.pointee.input.bytes.withUnsafeBytes { input in
                guard let first = input.baseAddress else { return }
                // SAFETY: as above.
                unsafe UnsafeMutableRawPointer(bytes).copyMemory(from: first, byteCount: count)
            }
            unsafe wire.pointee.input.consume(count)
            unsafe done?.pointee = count
            return 1
        }

    private static let write:
        @convention(c) (
            OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
        ) -> Int32 = { bio, bytes, count, done in
            unsafe openssl_BIO_clear_retry_flags(bio)
            // SAFETY: OpenSSL gives `count` bytes to read and a place for the number taken.
            let wire = unsafe Wire.of(bio: bio)
            guard let bytes = unsafe bytes, unsafe wire.pointee.output.count + count <= Wire.outputBytesMax
            else {
                unsafe openssl_BIO_set_retry_write(bio)
                return 0
            }
            let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
            unsafe wire.pointee.output.append(buffer.assumingMemoryBound(to: UInt8.self).span)
            unsafe done?.pointee = count
            return 1
        }

    private static let control: @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int =
        { bio, command, _, _ in
            switch command {
            case BIO_CTRL_FLUSH: return 1
            case BIO_CTRL_EOF:
                // SAFETY: see `Wire.of`.
                let wire = unsafe Wire.of(bio: bio)
                return unsafe wire.pointee.isInputEnded && wire.pointee.input.isEmpty ? 1 : 0
            default: return 0
            }
        }
}
