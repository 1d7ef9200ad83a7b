// WorkerLetters.swift: what workers tell each other, and connections that move with their sockets.
// Owns: that a socket is in one poller at a time. Source: DESIGN "Threads".
import Engine
import EventLoop
import Model

/// A connection on its way between workers.
struct ConnectionParcel {
    enum Content {
        case pin(PinParcel)
        case idle(IdleParcel)
    }

    let content: Content
    /// `nil`: it was closed on the way.
    let socket: Socket?
    let secure: SecureTransport?
}

extension Worker {
    /// Posts what the engine has to say.
    mutating func sendLetters(_ count: Int) {
        for letter in engine.takeLetters(count) {
            switch letter.content {
            case .news(let news): shared.mailboxes[letter.worker].post(.pins(news))
            case .idle(let news): shared.mailboxes[letter.worker].post(.idle(news))
            case .parcel(let id, let pin): send(id, .pin(pin), to: letter.worker)
            case .idleParcel(let id, let idle): send(id, .idle(idle), to: letter.worker)
            }
        }
    }

    /// Takes a connection out of everything of this worker and posts it.
    private mutating func send(_ id: ConnectionID, _ content: ConnectionParcel.Content, to other: Int) {
        let index = Int(id.slot)
        precondition(connections[index].id == id, "no such connection")
        // A record behind its last reply that is none has closed it: the engine knows.
        let socket = connections[index].isOpen ? connections[index].socket : nil
        let secure = connections[index].secure
        if let socket { poller.remove(socket.descriptor) }
        connections[index].isOpen = false
        connections[index].secure = nil
        secure?.leaveThread()
        let parcel = ConnectionParcel(content: content, socket: socket, secure: secure)
        shared.mailboxes[other].post(.parcel(Handover(parcel)))
    }

    mutating func adopt(_ parcel: ConnectionParcel) {
        let adopted: ConnectionID?
        switch parcel.content {
        case .pin(let pin): adopted = engine.adopted(pin, now: now)
        case .idle(let idle): adopted = engine.adopted(idle, now: now)
        }
        guard let id = adopted, let socket = parcel.socket else {
            precondition(adopted == nil, "a connection without its socket")
            parcel.socket?.close()
            return
        }
        var slot = ConnectionSlot(id: id, socket: socket)
        slot.secure = parcel.secure
        slot.isWriteBlocked = parcel.secure?.hasOutput == true
        store(slot)
        do throws(SocketError) {
            // What is there already is reported.
            let isTCP = socket.localAddress.map { !$0.isUnix } ?? false
            try poller.add(
                socket.descriptor,
                token: Token.connection(id),
                writable: isTCP || slot.isWriteBlocked
            )
        } catch { fail(id, .reset) }
        if parcel.secure?.mayHavePlaintext == true { willReadAgain(Int(id.slot)) }
    }
}
