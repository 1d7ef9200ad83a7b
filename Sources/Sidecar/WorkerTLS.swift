// WorkerTLS.swift: connections whose bytes are inside TLS: handshakes, reading, writing.
// What the engine is told it has written is in the kernel, ciphertext and all. Source: DESIGN "Modules", TLS.
import Engine
import EventLoop
import Model
import TLS

extension Worker {
    // Handshakes.

    mutating func startTLS(_ id: ConnectionID, _ hop: TLSHop) {
        guard let index = index(of: id), let (identity, scope) = engine.tlsIdentity(of: id, hop) else {
            return
        }
        if identity.settings.trust == .anyone { warnOfTrust(identity) }
        do throws(TLSFailure) {
            let layer = try tls.connect(identity, scope: scope, now: now)
            if let secure = connections[index].secure {
                secure.add(layer)
            } else {
                connections[index].secure = SecureTransport(layer)
            }
        } catch {
            close(id)
            // Not a byte was sent yet.
            var failure = error
            failure.blame = .us
            engine.secured(id, .failure(failure), now: now)
            return
        }
        continueHandshake(index)
    }

    /// Says, once for each name, that a peer is not verified.
    private mutating func warnOfTrust(_ identity: TLSIdentity) {
        let name = String(decoding: identity.verifyName, as: UTF8.self)
        if unverifiedNames.count >= Self.unverifiedNamesMax || !unverifiedNames.insert(name).inserted {
            return
        }
        Log.write(.warning, "TLS without verification: anyone can pose as this server", ["name": name])
    }

    private mutating func continueHandshake(_ index: Int) {
        guard let secure = connections[index].secure else { return }
        let id = connections[index].id
        switch secure.handshake() {
        case .needsMore:
            switch secure.flush(to: connections[index].socket) {
            case .bytes: break
            case .wouldBlock, .endOfFile: blockWriting(index)
            // What the peer said before it closed is still to be read: an alert, perhaps.
            case .failed: connections[index].isReadReady = true
            }
        case .done(let facts):
            engine.secured(id, .success(facts), now: now)
            // Not sooner: the request goes out with the end of the handshake.
            willWrite(id, probeFirst: false)
        case .failed(let failure):
            _ = secure.flush(to: connections[index].socket)
            close(id)
            engine.secured(id, .failure(failure), now: now)
        }
    }

    // Reading.

    /// One step of reading: plaintext that is there, else ciphertext from the socket.
    mutating func readOnceSecurely(_ index: Int, _ secure: SecureTransport) {
        defer { secure.returnInput(&cipherBuffer) }
        if secure.isHandshaking {
            if secure.mayHavePlaintext && !connections[index].isReadReady { return continueHandshake(index) }
            receive(index, secure)
            if secure.mayHavePlaintext && connections[index].isOpen { continueHandshake(index) }
            return
        }
        if !secure.mayHavePlaintext {
            receive(index, secure)
            if !connections[index].isOpen || !secure.mayHavePlaintext { return }
        }
        handPlaintext(index, secure)
        if secure.hasOutput { willWrite(connections[index].id, probeFirst: false) }
    }

    /// Reads the socket once.
    private mutating func receive(_ index: Int, _ secure: SecureTransport) {
        let id = connections[index].id
        let socket = connections[index].socket
        noteUse()
        switch secure.receive(from: socket, upTo: Self.cipherReadBytesMax, &cipherBuffer) {
        case .bytes(let count):
            connections[index].turnBytes &+= UInt32(count)
            unflushedBytes += count
            // A short read has emptied the socket, but does not tell of an end that stands behind the bytes.
            if count < Self.cipherReadBytesMax && !secure.isInputFull && !connections[index].isEnding {
                connections[index].isReadReady = false
            }
        case .wouldBlock:
            connections[index].isReadReady = false
            // Without room the layer waits for its output to leave: `writeSecurely` reads on.
            if connections[index].isBroken { failSecurely(id, secure) }
        case .endOfFile: connections[index].isReadReady = false
        case .failed: failSecurely(id, secure)
        }
    }

    private mutating func failSecurely(_ id: ConnectionID, _ secure: SecureTransport) {
        if secure.isHandshaking {
            close(id)
            let failure = TLSFailure(.handshake, "server reset the connection in the handshake")
            engine.secured(id, .failure(failure), now: now)
        } else {
            fail(id, .reset)
        }
    }

    /// Gives the engine what one read of plaintext brings.
    private mutating func handPlaintext(_ index: Int, _ secure: SecureTransport) {
        let id = connections[index].id
        var result = TLSRead.wouldBlock
        if engine.bytesInPlaceMax(id) > 0 {
            connectionBuffer.append(upTo: Self.connectionReadBytesMax) { behind in
                engine.receivedInPlace(from: id, now: now) { bytes in
                    result = secure.read(into: &bytes)
                    let mayBeMore = connections[index].isReadReady
                    if bytes.freeCapacity > 0 { return secure.mayHavePlaintext || mayBeMore }
                    // Shows whether anything follows the body, as reading behind it does in clear text.
                    if secure.mayHavePlaintext { result = secure.read(into: &behind) }
                    return secure.mayHavePlaintext || behind.count > 0 || mayBeMore
                }
            }
        } else {
            connectionBuffer.append(upTo: Self.plaintextBytesMax) { result = secure.read(into: &$0) }
        }
        let mayHaveMore = secure.mayHavePlaintext || connections[index].isReadReady
        handBuffer(from: id, mayHaveMore: mayHaveMore)
        switch result {
        case .bytes, .wouldBlock: break
        case .endOfFile: endSecurely(index, isProven: true)
        case .truncated: endSecurely(index, isProven: false)
        case .failed(let failure):
            // An alert of ours may tell the peer.
            _ = secure.flush(to: connections[index].socket)
            fail(id, .broken(failure))
        }
    }

    private mutating func endSecurely(_ index: Int, isProven: Bool) {
        // A reset that the kernel reports as a plain end must not pass for one.
        if connections[index].isBroken && !isProven { return fail(connections[index].id, .reset) }
        if connections[index].hasEnded { return }
        connections[index].hasEnded = true
        let id = connections[index].id
        // What the last bytes have led to comes first: it may be the connection's end, and its slot another's.
        runEffects()
        guard self.index(of: id) != nil else { return }
        engine.endOfFile(from: id, isProven: isProven, now: now)
    }

    // Memory.

    /// Has idle connections looked at before long.
    mutating func noteUse() {
        if memoryLookAt == .never { memoryLookAt = now.adding(milliseconds: Self.memoryLookMilliseconds) }
    }

    /// Takes from connections that are idle the memory that only a busy one needs: most of what TLS takes.
    mutating func releaseIdleMemory() {
        memoryLookAt = .never
        var isOver = true
        for slot in connections where slot.isOpen {
            guard let secure = slot.secure else { continue }
            switch secure.releaseMemoryIfQuiet() {
            case .nothingToRelease: break
            case .tooSoon: isOver = false
            case .released: releasedSinceTrim += 1
            }
        }
        if !releasePipes() { isOver = false }
        if !isOver { return noteUse() }
        // Before, what was released is of use for the connections that are busy.
        if releasedSinceTrim >= Self.releasesBeforeTrim {
            releasedSinceTrim = 0
            Heap.trim()
        }
    }

    // Writing.

    /// Encrypts what the engine has, and writes what the socket takes.
    mutating func writeSecurely(_ index: Int, _ secure: SecureTransport) {
        let id = connections[index].id
        while true {
            if secure.unwrittenPlaintext == 0 && !secure.isHandshaking {
                secure.unwrittenPlaintext = encrypt(id, secure)
            }
            switch secure.flush(to: connections[index].socket) {
            case .bytes: break
            case .wouldBlock, .endOfFile: return blockWriting(index)
            case .failed:
                connections[index].isBroken = true
                connections[index].isReadReady = true
                return willReadAgain(index)
            }
            if secure.unwrittenPlaintext == 0 { break }
            let count = secure.unwrittenPlaintext
            secure.unwrittenPlaintext = 0
            engine.wrote(count, to: id, now: now)
        }
        if secure.isInputFull {
            secure.isInputFull = false
            connections[index].isReadReady = true
            willReadAgain(index)
        }
        if secure.endsBehindOutput {
            secure.endsBehindOutput = false
            connections[index].socket.shutdownWriting()
        }
    }

    private mutating func encrypt(_ id: ConnectionID, _ secure: SecureTransport) -> Int {
        let count = Self.encrypt(engine.output(of: id), secure)
        // From here on the bytes cannot be taken back, though they are reported only when all are in the kernel.
        if count > 0 { engine.committed(to: id) }
        return count
    }

    private static func encrypt(_ output: Span<UInt8>, _ secure: SecureTransport) -> Int {
        output.isEmpty ? 0 : secure.write(output)
    }

    /// close_notify, then FIN when all is written.
    mutating func shutdownSecurely(_ index: Int, _ secure: SecureTransport) {
        secure.closeNotify()
        secure.endsBehindOutput = true
        willWrite(connections[index].id, probeFirst: false)
    }

    mutating func notifyClose(_ id: ConnectionID) {
        guard let index = index(of: id), let secure = connections[index].secure else { return }
        secure.closeNotify()
        _ = secure.flush(to: connections[index].socket)
    }
}
