// WorkerSessions.swift: the sockets of sessions: opening, reading, writing, closing.
// A session is read whether or not it can be written: DESIGN "The protocol". Source: epoll(7); unix(7).
import Engine
import EventLoop
import Model
import Synchronization

/// The worker's side of one session.
struct SessionSlot {
    let id: SessionID
    var socket: Socket
    var isOpen = true
    /// The proxy has closed or the socket failed: reads go on until they say so.
    var isEnding = false
    var isWriteBlocked = false
    /// The poller reports room to write.
    var isWatchingRoom = false
    var isInWriteList = false
    var isInReadyList = false
}

extension Worker {
    private func index(of id: SessionID) -> Int? {
        let index = Int(id.slot)
        guard index < sessions.count, sessions[index].isOpen, sessions[index].id == id else { return nil }
        return index
    }

    mutating func open(_ socket: Socket, as id: SessionID) {
        let index = Int(id.slot)
        let slot = SessionSlot(id: id, socket: socket)
        var hole = slot
        hole.isOpen = false
        while sessions.count <= index { sessions.append(hole) }
        precondition(!sessions[index].isOpen, "session slot in use")
        sessions[index] = slot
        do throws(SocketError) {
            try socket.setSendBuffer(bytes: Self.sessionSendBufferBytes)
            try poller.add(socket.descriptor, token: Token.session(id), writable: false)
        } catch { lose(id) }
    }

    // Reading.

    mutating func handleSession(_ event: PollerEvent) {
        let index = Token.slot(event.token)
        guard index < sessions.count, sessions[index].isOpen else { return }
        let id = sessions[index].id
        guard Token.session(id) == event.token else { return }
        if event.isEnding { sessions[index].isEnding = true }
        if event.isWritable { hasRoom(index) }
        if event.isReadable { read(index) }
    }

    mutating func readAgain(_ id: SessionID) {
        guard let index = index(of: id) else { return }
        sessions[index].isInReadyList = false
        read(index)
    }

    /// One read; what it leaves is read in the next turn.
    private mutating func read(_ index: Int) {
        let id = sessions[index].id
        let socket = sessions[index].socket
        var transfer = Transfer.wouldBlock
        sessionBuffer.append(upTo: Self.sessionReadBytesMax) { transfer = socket.read(into: &$0) }
        Self.hand(&sessionBuffer, from: id, to: &engine, &connections, poller, now)
        switch transfer {
        case .bytes(let count):
            runEffects()
            guard count == Self.sessionReadBytesMax || sessions[index].isEnding else { return }
            guard self.index(of: id) != nil, !sessions[index].isInReadyList else { return }
            sessions[index].isInReadyList = true
            readySessions.append(id)
        case .wouldBlock: return
        case .endOfFile, .failed:
            lose(id)
            runEffects()
        }
    }

    private static func hand(
        _ buffer: inout ByteBuffer,
        from id: SessionID,
        to engine: inout WorkerEngine,
        _ connections: inout [ConnectionSlot],
        _ poller: borrowing Poller,
        _ now: Instant
    ) {
        if buffer.isEmpty { return }
        engine.received(buffer.bytes, from: id, now: now) { connection, waiting, body in
            pass(waiting, body, to: connection, of: &connections, poller)
        }
        if engine.takeSecretsHeard() { buffer.wipe() } else { buffer.removeAll() }
    }

    // Writing.

    mutating func willWrite(_ id: SessionID) {
        guard let index = index(of: id) else { return }
        if sessions[index].isInWriteList || sessions[index].isWriteBlocked { return }
        sessions[index].isInWriteList = true
        unwrittenSessions.append(id)
    }

    /// Writes what the socket takes.
    mutating func write(_ id: SessionID) {
        guard let index = index(of: id) else { return }
        sessions[index].isInWriteList = false
        let socket = sessions[index].socket
        while true {
            if let due = engine.pipeDue(of: id) {
                if write(due.bytes, fromPipe: due.pipe, to: index) { continue }
                return
            }
            let (transfer, total) = writeSegments(of: id, to: socket)
            if total == 0 { return }
            switch transfer {
            case .bytes(let count):
                engine.wrote(count, to: id, now: now)
                if count == total { continue }
                return blockSession(index)
            case .wouldBlock, .endOfFile: return blockSession(index)
            case .failed: return lose(id)
            }
        }
    }

    /// One call for all that waits; `total`: bytes that waited.
    private func writeSegments(of id: SessionID, to socket: Socket) -> (transfer: Transfer, total: Int) {
        let first = engine.outputSegment(0, of: id)
        let second = engine.outputSegment(1, of: id)
        let third = engine.outputSegment(2, of: id)
        let total = first.count + second.count + third.count
        if total == 0 { return (.wouldBlock, 0) }
        if total == first.count { return (socket.write(first), total) }
        if total == second.count { return (socket.write(second), total) }
        return (socket.write(first, second, third), total)
    }

    /// Watches for room from now on. It is unwatched only when it is reported and nobody wants it (`hasRoom`): a session
    /// that blocked once blocks again as a rule, and each change is a system call.
    mutating func blockSession(_ index: Int) {
        sessions[index].isWriteBlocked = true
        if !sessions[index].isWatchingRoom { watchRoom(index, true) }
    }

    private mutating func hasRoom(_ index: Int) {
        if sessions[index].isWriteBlocked {
            sessions[index].isWriteBlocked = false
            willWrite(sessions[index].id)
        } else if sessions[index].isWatchingRoom {
            watchRoom(index, false)
        }
    }

    private mutating func watchRoom(_ index: Int, _ watches: Bool) {
        sessions[index].isWatchingRoom = watches
        let slot = sessions[index]
        // It cannot fail for a descriptor that is watched already: epoll_ctl(2).
        try? poller.modify(slot.socket.descriptor, token: Token.session(slot.id), writable: watches)
    }

    // Closing.

    mutating func closeAsOrdered(_ id: SessionID) {
        if let index = index(of: id), !sessions[index].isWriteBlocked { write(id) }
        guard let index = index(of: id) else { return }
        let socket = sessions[index].socket
        let isTold = !sessions[index].isWriteBlocked && !sessions[index].isEnding
        forget(index)
        if isTold { linger(socket) } else { socket.close() }
    }

    /// The session is over.
    mutating func lose(_ id: SessionID) {
        guard let index = index(of: id) else { return }
        sessions[index].socket.close()
        forget(index)
    }

    private mutating func forget(_ index: Int) {
        let id = sessions[index].id
        sessions[index].isOpen = false
        pipes.drop(id)
        if share.sessions.subtract(1, ordering: .relaxed).newValue == 0 { shared.security.forgetUsers() }
        engine.closed(id, now: now)
    }
}
