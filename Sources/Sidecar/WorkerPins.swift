// WorkerPins.swift: what workers tell each other of pins, and pinned connections that move with their sockets.
// Owns: that a socket is in one poller at a time. Source: DESIGN "Threads".
import Engine
import EventLoop
import Model

/// A connection on its way between workers.
struct ConnectionParcel {
    let pin: PinParcel
    let socket: Socket
    let secure: SecureTransport?
}

extension Worker {
    /// Posts what the engine has to say.
    mutating func sendPins() {
        for letter in engine.takeLetters() {
            switch letter.content {
            case .news(let news): mailboxes[letter.worker].post(.pins(news))
            case .parcel(let id, let pin):
                let index = Int(id.slot)
                precondition(connections[index].isOpen && connections[index].id == id, "no such connection")
                let socket = connections[index].socket
                let secure = connections[index].secure
                poller.remove(socket.descriptor)
                connections[index].isOpen = false
                connections[index].secure = nil
                secure?.leaveThread()
                let parcel = ConnectionParcel(pin: pin, socket: socket, secure: secure)
                mailboxes[letter.worker].post(.parcel(Handover(parcel)))
            }
        }
    }

    mutating func adopt(_ parcel: ConnectionParcel) {
        guard let id = engine.adopted(parcel.pin, now: now) else { return parcel.socket.close() }
        var slot = ConnectionSlot(id: id, socket: parcel.socket)
        slot.secure = parcel.secure
        slot.isWriteBlocked = parcel.secure?.hasOutput == true
        store(slot)
        do throws(SocketError) {
            // What is there already is reported.
            let isTCP = parcel.socket.localAddress.map { !$0.isUnix } ?? false
            try poller.add(
                parcel.socket.descriptor,
                token: Token.connection(id),
                writable: isTCP || slot.isWriteBlocked
            )
        } catch { fail(id, .reset) }
        if parcel.secure?.mayHavePlaintext == true { willReadAgain(Int(id.slot)) }
    }
}
