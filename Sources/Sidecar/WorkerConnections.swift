// WorkerConnections.swift: the sockets of upstream connections: dialing, reading, writing.
// Reports are edge-triggered: `isReadReady` remembers what was reported and not read.
// Source: DESIGN "Rules", "Semantics"; epoll(7); tcp(7).
import Engine
import EventLoop
import Model

/// The worker's side of one connection.
struct ConnectionSlot {
    let id: ConnectionID
    var socket: Socket
    /// `nil`: clear text.
    var secure: SecureTransport?
    var isOpen = true
    var isDialing = false
    /// Something may wait to be read.
    var isReadReady = false
    /// The upstream has ended its sending or the socket failed: reads go on until they say so.
    var isEnding = false
    var hasEnded = false
    var isPaused = false
    /// The last write was short; the poller reports when there is room.
    var isWriteBlocked = false
    /// A write failed: what has arrived is still read, then the connection is reported as reset.
    var isBroken = false
    var isInWriteList = false
    var isInReadyList = false
    var probesFirst = false
    /// Its last read in place was a large one: the next reply may be as large as that.
    var bringsMuch = false
    var turnNumber: UInt32 = 0
    var turnBytes: UInt32 = 0
}

extension Worker {
    /// The slot's index while the connection is open.
    func index(of id: ConnectionID) -> Int? {
        let index = Int(id.slot)
        guard index < connections.count, connections[index].isOpen, connections[index].id == id else {
            return nil
        }
        return index
    }

    // Dialing.

    mutating func dial(_ id: ConnectionID) {
        guard let (endpoint, localAddress) = engine.address(of: id) else { return }
        do throws(SocketError) {
            let (socket, state) = try Socket.connect(
                to: SocketAddress(endpoint),
                from: localAddress.map { SocketAddress($0, port: 0) },
                keepAlive: KeepAlive()
            )
            do throws(SocketError) {
                let isTCP = !SocketAddress(endpoint).isUnix
                try poller.add(socket.descriptor, token: Token.connection(id), writable: isTCP)
            } catch {
                socket.close()
                throw error
            }
            var slot = ConnectionSlot(id: id, socket: socket)
            slot.isDialing = state == .pending
            store(slot)
            if state == .connected { reportConnected(Int(id.slot)) }
        } catch {
            engine.dialed(id, .failed(error.attemptResult), now: now)
        }
    }

    mutating func store(_ slot: ConnectionSlot) {
        let index = Int(slot.id.slot)
        var hole = slot
        hole.isOpen = false
        while connections.count <= index { connections.append(hole) }
        precondition(!connections[index].isOpen, "connection slot in use")
        connections[index] = slot
    }

    private mutating func reportConnected(_ index: Int) {
        let local = connections[index].socket.localAddress.flatMap(Endpoint.init)
        engine.dialed(connections[index].id, .connected(local: local), now: now)
    }

    /// - Returns: whether the connection stands.
    private mutating func finishDialing(_ index: Int) -> Bool {
        connections[index].isDialing = false
        guard let error = connections[index].socket.connectResult() else {
            reportConnected(index)
            return true
        }
        let id = connections[index].id
        close(id)
        engine.dialed(id, .failed(error.attemptResult), now: now)
        return false
    }

    // Events and reading.

    mutating func handleConnection(_ event: PollerEvent) {
        let index = Token.slot(event.token)
        guard index < connections.count, connections[index].isOpen else { return }
        let id = connections[index].id
        guard Token.connection(id) == event.token else { return }
        if event.isReadable { connections[index].isReadReady = true }
        if event.isEnding { connections[index].isEnding = true }
        if connections[index].isDialing {
            guard event.isWritable || event.isDead, finishDialing(index) else { return runEffects() }
            runEffects()
            guard self.index(of: id) != nil else { return }
        }
        if event.isWritable && connections[index].isWriteBlocked {
            connections[index].isWriteBlocked = false
            willWrite(id, probeFirst: false)
        }
        readOn(index)
    }

    mutating func pauseReading(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        connections[index].isPaused = true
    }

    mutating func resumeReading(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        connections[index].isPaused = false
        let hasPlaintext = connections[index].secure?.mayHavePlaintext == true
        if connections[index].isReadReady || hasPlaintext { willReadAgain(index) }
    }

    mutating func willReadAgain(_ index: Int) {
        if connections[index].isInReadyList { return }
        connections[index].isInReadyList = true
        readyConnections.append(connections[index].id)
    }

    mutating func readAgain(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        connections[index].isInReadyList = false
        readOn(index)
    }

    /// Reads until nothing is there, the engine wants no more, or the connection has had its turn.
    private mutating func readOn(_ index: Int) {
        let id = connections[index].id
        if connections[index].turnNumber != turnNumber {
            connections[index].turnNumber = turnNumber
            connections[index].turnBytes = 0
        }
        while mayRead(index) && !connections[index].isPaused {
            if Int(connections[index].turnBytes) >= Self.connectionTurnBytesMax {
                connections[index].isInReadyList = true
                deferredConnections.append(id)
                return
            }
            readOnce(index)
            // The engine may have paused or closed it; it may not be told more before that is done.
            runEffects()
            guard self.index(of: id) != nil else { return }
            if unflushedBytes >= Self.flushBytes {
                writeSessions()
                runEffects()
                guard self.index(of: id) != nil else { return }
            }
        }
    }

    private func mayRead(_ index: Int) -> Bool {
        connections[index].isReadReady || connections[index].secure?.mayHavePlaintext == true
    }

    private mutating func readOnce(_ index: Int) {
        let id = connections[index].id
        if engine.holdsReading(id) {
            connections[index].isPaused = true
            return
        }
        if let secure = connections[index].secure { return readOnceSecurely(index, secure) }
        if connections[index].bringsMuch && readIntoPipe(index) { return }
        let socket = connections[index].socket
        var room = connections[index].bringsMuch ? Self.headReadBytesMax : Self.connectionReadBytesMax
        var transfer = Transfer.wouldBlock
        let isInPlace = engine.bytesInPlaceMax(id) > 0
        if isInPlace {
            // What does not fit in place goes behind, so that a read which ends the body also shows that nothing follows.
            connectionBuffer.append(upTo: room) { behind in
                engine.receivedInPlace(from: id, now: now) { bytes in
                    room = bytes.freeCapacity + behind.freeCapacity
                    transfer = socket.read(into: &bytes, then: &behind)
                    return behind.count > 0
                }
            }
        } else {
            connectionBuffer.append(upTo: room) { transfer = socket.read(into: &$0) }
        }
        handBuffer(from: id, mayHaveMore: transfer == .bytes(room))
        switch transfer {
        case .bytes(let count):
            connections[index].bringsMuch = isInPlace && count >= Self.connectionReadBytesMax
            connections[index].turnBytes &+= UInt32(count)
            unflushedBytes += count
            // A short read has emptied the socket, but does not tell of an end that stands behind the bytes.
            if count < room && !connections[index].isEnding { hasRead(index) }
        case .wouldBlock, .endOfFile, .failed: ended(index, transfer)
        }
    }

    /// A read brought nothing.
    mutating func ended(_ index: Int, _ transfer: Transfer) {
        let id = connections[index].id
        switch transfer {
        case .bytes: break
        case .wouldBlock: hasRead(index)
        case .endOfFile:
            connections[index].isReadReady = false
            // After a failed write the kernel reports a reset as a plain end: it must not pass for one.
            if connections[index].isBroken { return fail(id, .reset) }
            if connections[index].hasEnded { return }
            connections[index].hasEnded = true
            engine.endOfFile(from: id, now: now)
        case .failed: fail(id, .reset)
        }
    }

    mutating func handBuffer(from id: ConnectionID, mayHaveMore: Bool) {
        if connectionBuffer.isEmpty { return }
        var buffer = ByteBuffer()
        swap(&buffer, &connectionBuffer)
        engine.received(buffer.bytes, from: id, mayHaveMore: mayHaveMore, now: now)
        buffer.removeAll()
        swap(&buffer, &connectionBuffer)
    }

    /// Nothing is left to be read for now.
    private mutating func hasRead(_ index: Int) {
        connections[index].isReadReady = false
        if connections[index].isBroken { fail(connections[index].id, .reset) }
    }

    // Writing.

    mutating func willWrite(_ id: ConnectionID, probeFirst: Bool) {
        guard let index = index(of: id) else { return }
        if probeFirst { connections[index].probesFirst = true }
        if connections[index].isInWriteList || connections[index].isWriteBlocked { return }
        connections[index].isInWriteList = true
        unwrittenConnections.append(id)
    }

    /// Writes what the socket takes.
    mutating func write(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        connections[index].isInWriteList = false
        let socket = connections[index].socket
        if connections[index].probesFirst {
            connections[index].probesFirst = false
            if connections[index].secure == nil {
                if !socket.isQuiet { return fail(id, .stale) }
            } else if !isQuietSecurely(index) {
                return
            }
        }
        if connections[index].isBroken { return }
        if let secure = connections[index].secure { return writeSecurely(index, secure) }
        while true {
            let (transfer, total) = writeOutput(of: id, to: socket)
            if total == 0 { return }
            switch transfer {
            case .bytes(let count):
                engine.wrote(count, to: id, now: now)
                if count == total { continue }
                return blockWriting(index)
            case .wouldBlock, .endOfFile: return blockWriting(index)
            case .failed:
                connections[index].isBroken = true
                connections[index].isReadReady = true
                return willReadAgain(index)
            }
        }
    }

    /// Whether nothing waits in a connection but what TLS has to say to itself, as tickets. What else there is, the engine
    /// is told of: it looks for another connection.
    private mutating func isQuietSecurely(_ index: Int) -> Bool {
        let id = connections[index].id
        if connections[index].secure?.mayHavePlaintext != true && connections[index].socket.isQuiet {
            return true
        }
        connections[index].isReadReady = true
        readOn(index)
        guard self.index(of: id) != nil, !connections[index].hasEnded else { return false }
        // It has had its turn, and what waits is not known.
        if mayRead(index) {
            fail(id, .stale)
            return false
        }
        return true
    }

    /// One call; `total`: bytes that waited.
    private func writeOutput(of id: ConnectionID, to socket: Socket) -> (transfer: Transfer, total: Int) {
        let output = engine.output(of: id)
        return output.isEmpty ? (.wouldBlock, 0) : (socket.write(output), output.count)
    }

    /// Writes what waits and body bytes behind it, in the middle of a call of the engine. - Returns: bytes written.
    static func pass(
        _ waiting: Span<UInt8>,
        _ body: Span<UInt8>,
        to id: ConnectionID,
        of connections: inout [ConnectionSlot],
        _ poller: borrowing Poller
    ) -> Int {
        let index = Int(id.slot)
        precondition(connections[index].isOpen && connections[index].id == id, "the engine has another")
        let slot = connections[index]
        // What goes through TLS is copied there anyhow.
        if slot.isWriteBlocked || slot.isBroken || slot.secure != nil { return 0 }
        switch connections[index].socket.write(waiting, body, Span()) {
        case .bytes(let count):
            if count < waiting.count + body.count { blockWriting(&connections[index], poller) }
            return count
        case .wouldBlock, .endOfFile:
            blockWriting(&connections[index], poller)
            return 0
        case .failed:
            // The write that is ordered for the rest fails again, and is dealt with there.
            return 0
        }
    }

    mutating func blockWriting(_ index: Int) { Self.blockWriting(&connections[index], poller) }

    private static func blockWriting(_ slot: inout ConnectionSlot, _ poller: borrowing Poller) {
        slot.isWriteBlocked = true
        // TCP is watched all the time. A Unix socket is from its first short write on: uploads block again and again.
        if slot.socket.localAddress == nil {
            try? poller.modify(slot.socket.descriptor, token: Token.connection(slot.id), writable: true)
        }
    }

    mutating func shutdownWriting(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        if let secure = connections[index].secure { return shutdownSecurely(index, secure) }
        connections[index].socket.shutdownWriting()
    }

    // Closing.

    mutating func close(_ id: ConnectionID) {
        guard let index = index(of: id) else { return }
        connections[index].isOpen = false
        connections[index].secure = nil
        connections[index].socket.close()
    }

    mutating func fail(_ id: ConnectionID, _ cause: CloseCause) {
        close(id)
        engine.closed(id, cause, now: now)
    }
}

extension SocketAddress {
    init(_ endpoint: Endpoint) {
        switch endpoint {
        case .ip(let address, let port): self.init(address, port: port)
        case .unix(let path): self = .unix(path: path)
        }
    }

    init(_ address: IPAddress, port: UInt16) {
        switch address {
        case .v4(let bytes): self = .v4(bytes, port: port)
        case .v6(let high, let low, let scope): self = .v6(high: high, low: low, scope: scope, port: port)
        }
    }
}

extension Endpoint {
    init(_ address: SocketAddress) {
        switch address {
        case .v4(let bytes, let port): self = .ip(.v4(bytes), port: port)
        case .v6(let high, let low, let scope, let port):
            self = .ip(.v6(high: high, low: low, scope: scope), port: port)
        case .unix(let path): self = .unix(path: path)
        }
    }
}

extension SocketError {
    /// How a dial that ended with this error is reported.
    var attemptResult: AttemptResult {
        switch self {
        case .refused: .refused
        case .unreachable, .noFile: .unreachable
        case .timedOut: .timeout
        case .reset, .addressInUse, .noPermission, .noResources, .other: .failed
        }
    }
}
