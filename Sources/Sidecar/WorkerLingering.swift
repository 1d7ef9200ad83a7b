// WorkerLingering.swift: sockets of sessions that the sidecar has ended, read on until the proxy has heard why.
// Closed at once, a socket makes writes of the proxy fail, and many a library then drops what it has not read: the GOAWAY.
// Owns: how long and how many. What comes is thrown away. Source: RFC 9112 §9.6 for HTTP; nginx, lingering_close.
import EventLoop
import Model

/// A socket of which our side is closed.
struct LingeringSocket {
    let socket: Socket
    let until: Instant
}

extension Worker {
    /// Time that a proxy has to close its side. Reached: its writes fail.
    private static let lingerMilliseconds = 1000
    /// Sockets that linger at once. One more: it is closed at once.
    private static let lingeringMax = 64

    /// Closes our side of a socket that was told everything, and its other side when that has closed too.
    mutating func linger(_ socket: Socket) {
        let free = lingering.firstIndex { $0 == nil } ?? lingering.count
        guard free < Self.lingeringMax else { return socket.close() }
        socket.shutdownWriting()
        do throws(SocketError) {
            try poller.modify(socket.descriptor, token: Token.lingering(free), writable: false)
        } catch { return socket.close() }
        if free == lingering.count { lingering.append(nil) }
        lingering[free] = LingeringSocket(
            socket: socket,
            until: now.adding(milliseconds: Self.lingerMilliseconds)
        )
        lingeringUntil = min(lingeringUntil, now.adding(milliseconds: Self.lingerMilliseconds))
    }

    mutating func handleLingering(_ event: PollerEvent) {
        let index = Token.slot(event.token)
        guard index < lingering.count, let socket = lingering[index]?.socket else { return }
        var transfer = Transfer.wouldBlock
        sessionBuffer.append(upTo: Self.sessionReadBytesMax) { transfer = socket.read(into: &$0) }
        // It may be a request with a secret.
        if !sessionBuffer.isEmpty { sessionBuffer.wipe() }
        switch transfer {
        case .bytes, .wouldBlock: break
        case .endOfFile, .failed:
            socket.close()
            lingering[index] = nil
        }
    }

    /// Closes those whose time is over.
    mutating func endLingering() {
        lingeringUntil = .never
        for index in lingering.indices {
            guard let one = lingering[index] else { continue }
            if one.until <= now {
                one.socket.close()
                lingering[index] = nil
            } else {
                lingeringUntil = min(lingeringUntil, one.until)
            }
        }
    }
}
