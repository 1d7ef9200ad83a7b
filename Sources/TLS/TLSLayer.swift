// TLSLayer.swift: TLS on one connection, as bytes: ciphertext in and out on one side, plaintext on the other.
// Owns: one SSL and its wire. Never touches: a socket, a clock; so a layer runs on anything, another layer
// included. Source: RFC 8446 (1.3), RFC 5246 (1.2); SSL_read(3), SSL_write(3), SSL_get_error(3).
import COpenSSL
import Model

/// One layer. Calls in the order of a connection's life: `handshake` until it is done; then `read` and
/// `write`. After each call send `output`. Belongs to the thread of its client.
@safe package struct TLSLayer: ~Copyable {
    /// Ciphertext that waits to be sent from which on `write` takes no more: four full records.
    package static let outputPauseBytes = 66_560
    /// Ciphertext that `receive` takes at most: what one read of a socket should ask for.
    package static let inputBytesMax = 131_072

    /// Plaintext of one record. Source: RFC 8446 §5.1.
    private static let recordBytesMax = 16_384

    private enum State {
        case handshaking
        case open
        /// We have said close_notify; reading goes on.
        case ended
        case truncated
        case failed(TLSFailure)
    }

    // SAFETY: an SSL that this value owns, freed in `deinit` and handed to nobody. `wire` is allocated for as
    // long.
    private let ssl: OpaquePointer
    private let wire: UnsafeMutablePointer<Wire>
    private var state = State.handshaking
    /// What was offered to the peer.
    private let offered: Session?
    private let recordsPerKeyMax: Int
    private var recordsRead = 0
    private var recordsWritten = 0

    init(
        _ context: Context,
        _ key: SessionKey,
        _ sessions: SessionCache,
        resuming session: Session?,
        recordsPerKeyMax: Int
    ) throws(TLSFailure) {
        ErrorQueue.clear()
        // SAFETY: the SSL holds its own reference to the context.
        guard let ssl = unsafe SSL_new(context.pointer) else { throw Self.noMemory }
        let usableUntil = session?.usableUntil ?? .max
        let made = Wire(key: key, context: context.number, sessions: sessions, usableUntil: usableUntil)
        let wire = UnsafeMutablePointer<Wire>.allocate(capacity: 1)
        unsafe wire.initialize(to: made)
        do throws(TLSFailure) {
            try unsafe Self.prepare(ssl, wire)
        } catch {
            unsafe Self.free(ssl, wire)
            throw error
        }
        if let session { unsafe SSL_set_session(ssl, session.pointer) }
        ErrorQueue.clear()
        unsafe self.ssl = ssl
        unsafe self.wire = wire
        offered = session
        self.recordsPerKeyMax = recordsPerKeyMax
    }

    private static var noMemory: TLSFailure {
        .because(.handshake, "cannot make a TLS connection: " + ErrorQueue.takeReason())
    }

    @unsafe private static func prepare(
        _ ssl: OpaquePointer,
        _ wire: UnsafeMutablePointer<Wire>
    ) throws(TLSFailure) {
        // SAFETY: both live for as long as the layer. The BIO belongs to the SSL, which is freed before the
        // wire.
        guard unsafe SSL_set_ex_data(ssl, 0, wire) == 1, let bio = unsafe WireMethod.makeBIO(wire) else {
            throw noMemory
        }
        unsafe SSL_set_bio(ssl, bio, bio)
        unsafe SSL_set_connect_state(ssl)
        let identity = unsafe wire.pointee.key.identity
        try unsafe PeerName.set(ssl, identity)
        if identity.settings.requiresStaple { unsafe openssl_set_tlsext_status_type(ssl) }
    }

    @unsafe private static func free(_ ssl: OpaquePointer, _ wire: UnsafeMutablePointer<Wire>) {
        // SAFETY: the caller owns both. Said to be shut down: else OpenSSL would take an end without
        // close_notify for a reason to give up the session, which may be in the cache (RFC 5246 §7.2.1 no
        // longer asks for that).
        unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        unsafe SSL_free(ssl)
        unsafe wire.deinitialize(count: 1)
        unsafe wire.deallocate()
    }

    deinit {
        // SAFETY: see `ssl`.
        unsafe Self.free(ssl, wire)
    }

    /// The layer goes to another thread: it no longer keeps the sessions that its peer hands out.
    package mutating func leaveThread() {
        // SAFETY: see `wire`.
        unsafe wire.pointee.sessions = nil
    }

    // Ciphertext.

    /// Ciphertext to send, oldest first.
    package var output: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            // SAFETY: only mutating calls change the wire, and none can be made while the span borrows this
            // value.
            unsafe _overrideLifetime(wire.pointee.output.bytes, borrowing: self)
        }
    }

    /// So much of `output` was sent.
    package mutating func wrote(_ count: Int) {
        // SAFETY: see `wire`.
        unsafe wire.pointee.output.consume(count)
    }

    /// Whether `output` has anything.
    package var hasOutput: Bool {
        // SAFETY: see `wire`.
        unsafe !wire.pointee.output.isEmpty
    }

    /// Lets `send` take from the front of `output`.
    /// - Returns: how many bytes it says that it took.
    package mutating func sendOutput(_ send: (Span<UInt8>) -> Int) -> Int {
        // SAFETY: see `wire`; OpenSSL does not run meanwhile.
        let count = unsafe send(wire.pointee.output.bytes)
        wrote(count)
        return count
    }

    /// Bytes that `receive` would take now.
    package var inputRoom: Int {
        // SAFETY: see `wire`.
        unsafe max(Self.inputBytesMax - wire.pointee.input.count, 0)
    }

    /// Takes ciphertext that `body` writes, at most `countMax` bytes and no more than there is room for.
    package mutating func receive(
        upTo countMax: Int = inputBytesMax,
        _ body: (inout OutputSpan<UInt8>) -> Void
    ) {
        // SAFETY: see `wire`; OpenSSL does not run meanwhile.
        unsafe wire.pointee.input.append(upTo: min(countMax, inputRoom), body)
    }

    /// Takes a copy of ciphertext.
    /// - Returns: how many bytes there was room for.
    package mutating func received(_ ciphertext: Span<UInt8>) -> Int {
        let count = min(ciphertext.count, inputRoom)
        // SAFETY: see `wire`.
        unsafe wire.pointee.input.append(ciphertext.extracting(first: count))
        return count
    }

    /// No ciphertext follows: the transport has ended.
    package mutating func endOfInput() {
        // SAFETY: see `wire`.
        unsafe wire.pointee.isInputEnded = true
    }

    /// Whether `endOfInput` was said.
    package var isInputEnded: Bool {
        // SAFETY: see `wire`.
        unsafe wire.pointee.isInputEnded
    }

    /// Whether `read` can bring plaintext without more input, or has an end to tell.
    package var hasUnread: Bool {
        // SAFETY: see `wire` and `ssl`.
        unsafe !wire.pointee.input.isEmpty || wire.pointee.isInputEnded || SSL_pending(ssl) > 0
            || SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0
    }

    /// Swaps the memory for input with `buffer` when no input waits. So many connections can share the memory
    /// of one read: lend before `receive`, take back after `read`; a connection whose input still waits keeps
    /// what it was lent.
    package mutating func swapInput(_ buffer: inout ByteBuffer) {
        // SAFETY: see `wire`.
        if unsafe wire.pointee.input.isEmpty && buffer.isEmpty { unsafe swap(&wire.pointee.input, &buffer) }
    }

    /// Gives back memory that an idle connection does not need, of OpenSSL too; the next use allocates anew.
    package mutating func releaseMemory() {
        // SAFETY: see `wire` and `ssl`. Buffers of OpenSSL that hold something stay.
        if unsafe wire.pointee.input.isEmpty { unsafe wire.pointee.input = ByteBuffer() }
        if unsafe wire.pointee.output.isEmpty { unsafe wire.pointee.output = ByteBuffer() }
        if case .open = state { unsafe SSL_free_buffers(ssl) }
    }

    // Plaintext.

    /// Goes on with the handshake as far as the input reaches. Not to be called after `done`.
    package mutating func handshake() -> TLSHandshake {
        switch state {
        case .handshaking: break
        case .failed(let failure): return .failed(failure)
        case .open, .ended, .truncated: preconditionFailure("handshake of a connection that is made")
        }
        ErrorQueue.clear()
        // SAFETY: see `ssl`.
        let result = unsafe SSL_do_handshake(ssl)
        if result == 1 { return finish() }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsMore
        case SSL_ERROR_ZERO_RETURN: return handshakeFailed(nil)
        default:
            let reason = ErrorQueue.takePeerReason()
            return handshakeFailed(reason.isEndOfFile ? nil : reason.failure)
        }
    }

    /// Appends plaintext, as far as there is room, input and whole records. `bytes` must have room.
    package mutating func read(into bytes: inout OutputSpan<UInt8>) -> TLSRead {
        precondition(bytes.freeCapacity > 0, "read without room")
        switch state {
        case .open, .ended: break
        case .truncated: return .truncated
        case .failed(let failure): return .failed(failure)
        case .handshaking: preconditionFailure("read in the handshake")
        }
        let before = bytes.count
        var end = TLSRead.wouldBlock
        // SAFETY: OpenSSL writes to the free bytes only, and `readRecords` counts what it wrote.
        unsafe bytes.withUnsafeMutableBufferPointer { buffer, initialised in
            end = unsafe readRecords(buffer, &initialised)
        }
        return bytes.count > before ? .bytes(bytes.count - before) : end
    }

    /// Encrypts plaintext, whole records as far as `output` has room.
    /// - Returns: bytes taken; 0 with little output: the connection has failed, and `read` says why.
    package mutating func write(_ plaintext: Span<UInt8>) -> Int {
        guard case .open = state else { return 0 }
        ErrorQueue.clear()
        if recordsWritten >= recordsPerKeyMax { updateKeys(askingPeer: false) }
        // SAFETY: see `wire` and `ssl`; `plaintext` outlives the calls, and OpenSSL keeps no address of it:
        // there is room for every record, so that none is left half written.
        return unsafe plaintext.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            var taken = 0
            // SAFETY: as above.
            while taken < buffer.count, unsafe wire.pointee.output.count < Self.outputPauseBytes {
                var count = 0
                let size = min(buffer.count - taken, Self.recordBytesMax)
                let result = unsafe SSL_write_ex(ssl, base + taken, size, &count)
                if result != 1 {
                    writeFailed(result)
                    break
                }
                taken += count
                recordsWritten += 1
            }
            return taken
        }
    }

    /// Says close_notify: nothing more is written. Reading may go on.
    package mutating func closeNotify() {
        guard case .open = state else { return }
        state = .ended
        ErrorQueue.clear()
        // SAFETY: see `ssl`. A failure can only mean that the peer reads nothing more.
        unsafe SSL_shutdown(ssl)
        ErrorQueue.clear()
    }

    /// Changes the key under which we send; 1.2 has no such thing. Done by itself before a key is worn out.
    /// - Parameter askingPeer: whether the peer shall change its key as well.
    /// Source: RFC 8446 §4.6.3.
    package mutating func updateKeys(askingPeer: Bool) {
        guard case .open = state else { return }
        ErrorQueue.clear()
        // SAFETY: see `ssl`. In 1.2 the call fails and changes nothing.
        let kind = askingPeer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED
        if unsafe SSL_version(ssl) == TLS1_3_VERSION && SSL_key_update(ssl, kind) == 1 {
            unsafe SSL_do_handshake(ssl)
        }
        recordsWritten = 0
        if askingPeer { recordsRead = 0 }
        ErrorQueue.clear()
    }

    // Inside.

    /// Reads record after record until room or input ends.
    /// - Returns: why nothing more is to be had.
    private mutating func readRecords(
        _ buffer: UnsafeMutableBufferPointer<UInt8>,
        _ initialised: inout Int
    ) -> TLSRead {
        // SAFETY: see `wire` and `ssl`; `initialised` <= `buffer.count`.
        ErrorQueue.clear()
        if recordsRead >= recordsPerKeyMax { updateKeys(askingPeer: true) }
        while initialised < buffer.count {
            // Most reads end here: without asking OpenSSL, which would make an error of it.
            if unsafe wire.pointee.input.isEmpty && SSL_pending(ssl) == 0 { return endWithoutInput() }
            guard let base = buffer.baseAddress else { return .wouldBlock }
            var count = 0
            let result = unsafe SSL_read_ex(ssl, base + initialised, buffer.count - initialised, &count)
            if result != 1 { return readFailed(result) }
            initialised += count
            recordsRead += 1
        }
        return .wouldBlock
    }

    private mutating func endWithoutInput() -> TLSRead {
        // SAFETY: see `wire` and `ssl`.
        if unsafe SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0 { return .endOfFile }
        guard unsafe wire.pointee.isInputEnded else { return .wouldBlock }
        state = .truncated
        return .truncated
    }

    private mutating func readFailed(_ result: Int32) -> TLSRead {
        // SAFETY: see `ssl`.
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
        case SSL_ERROR_ZERO_RETURN: return .endOfFile
        default:
            let reason = ErrorQueue.takePeerReason()
            if reason.isEndOfFile {
                state = .truncated
                return .truncated
            }
            let failure = reason.failure
            state = .failed(failure)
            return .failed(failure)
        }
    }

    private mutating func writeFailed(_ result: Int32) {
        // SAFETY: see `ssl`.
        switch unsafe SSL_get_error(ssl, result) {
        // A key update waits for room; nothing of the plaintext was taken.
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
        default: state = .failed(ErrorQueue.takePeerReason().failure)
        }
    }

    /// `reason`: `nil` when the server has ended it.
    private mutating func handshakeFailed(_ reason: TLSFailure?) -> TLSHandshake {
        forgetOffered()
        let failure = reason ?? .because(.handshake, "server closed the connection in the handshake")
        // SAFETY: see `wire`.
        return fail(unsafe wire.pointee.refusal ?? failure)
    }

    private mutating func fail(_ failure: TLSFailure) -> TLSHandshake {
        state = .failed(failure)
        return .failed(failure)
    }

    /// The peer refused it, or failed with it.
    private func forgetOffered() {
        // SAFETY: see `wire`.
        if let offered { unsafe wire.pointee.sessions?.remove(offered, for: wire.pointee.key) }
    }

    private mutating func finish() -> TLSHandshake {
        // SAFETY: see `ssl` and `wire`.
        let identity = unsafe wire.pointee.key.identity
        let facts = unsafe Facts.read(ssl)
        if !facts.isResumed { forgetOffered() }
        if facts.certificateSHA256.isEmpty {
            return fail(.because(.verify, "server has shown no certificate"))
        }
        // OpenSSL sees to it since 3.0.15; before, it took whatever the server named.
        if !facts.alpn.isEmpty && !identity.settings.alpn.contains(facts.alpn) {
            let words = "server chose a protocol that was not offered: " + TLSFailure.quoted(facts.alpn)
            return fail(.because(.handshake, words))
        }
        if facts.alpn == "h2" {
            return fail(
                .because(.handshake, "server chose h2, and only HTTP/1 is spoken", blame: .either)
            )
        }
        state = .open
        unsafe wire.pointee.accept()
        return .done(facts)
    }
}
