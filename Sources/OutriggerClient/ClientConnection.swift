// ClientConnection.swift: a session on a socket. Owns: the socket. Never touches: what the events mean.
// The caller owns the poller: one poller serves as many connections as there are. Source: DESIGN "The
// protocol".
import EventLoop
import Model

/// What has come of reading or writing.
package enum ClientProgress: Equatable, Sendable {
    /// All is done that can be done now; the poller tells when to go on.
    case waiting
    /// Bytes may still wait in the kernel: take the events, then call again.
    case more
    /// The other side has closed.
    case ended
    case failed(SocketError)
}

/// One session with the socket that it runs on. Drive it so: when the poller reports the socket readable,
/// call
/// `receive` and `session.nextEvent` in turns until `waiting`; then `flush`, and also when the socket is
/// writable.
package struct ClientConnection: ~Copyable {
    package var session: ClientSession
    package let socket: Socket
    private let token: UInt64
    private var awaitsRoom = false

    /// Bytes that one read takes at most.
    private static let readBytesMax = 262_144
    /// Room in the kernel for what the sidecar has not read yet, as far as the system allows (net.core.wmem_max).
    private static let sendBufferBytes: Int32 = 524_288

    private init(_ socket: Socket, hello: Hello, token: UInt64) {
        self.socket = socket
        self.token = token
        session = ClientSession(hello: hello)
    }

    /// Asks `poller` to watch a socket that leads to a sidecar, and says HELLO.
    /// - Parameters:
    ///   - socket: the connection's from now on, also when this throws.
    ///   - hello: ours.
    ///   - poller: watches the socket.
    ///   - token: what the poller reports it with.
    /// - Returns: the connection; `session.nextEvent` says when it is ready.
    /// - Throws: what the socket says.
    package static func start(
        on socket: Socket,
        hello: Hello,
        poller: borrowing Poller,
        token: UInt64
    ) throws(SocketError) -> ClientConnection {
        var connection = ClientConnection(socket, hello: hello, token: token)
        try poller.add(socket.descriptor, token: token, writable: false)
        // Requests with bodies come in bursts: the more the kernel takes at once, the fewer times both sides wake.
        try socket.setSendBuffer(bytes: Self.sendBufferBytes)
        if case .failed(let error) = connection.flush(poller) { throw error }
        return connection
    }

    deinit { socket.close() }

    /// Reads once.
    /// - Parameter isEnding: what the poller said; a short read does not mean drained then.
    /// - Returns: how it went; never anything about the meaning of what was read.
    package mutating func receive(isEnding: Bool) -> ClientProgress {
        var transfer = Transfer.wouldBlock
        let socket = socket
        session.received(upTo: Self.readBytesMax) { transfer = socket.read(into: &$0) }
        switch transfer {
        case .bytes(let count): return isEnding || count == Self.readBytesMax ? .more : .waiting
        case .wouldBlock: return .waiting
        case .endOfFile: return .ended
        case .failed(let error): return .failed(error)
        }
    }

    /// Writes what waits. Call it once a turn, after all events.
    package mutating func flush(_ poller: borrowing Poller) -> ClientProgress {
        while !session.output.isEmpty {
            switch socket.write(session.output) {
            case .bytes(let count): session.wrote(count)
            case .wouldBlock:
                return awaitRoom(true, poller)
            case .endOfFile: return .ended
            case .failed(let error): return .failed(error)
            }
        }
        return awaitsRoom ? awaitRoom(false, poller) : .waiting
    }

    private mutating func awaitRoom(_ wanted: Bool, _ poller: borrowing Poller) -> ClientProgress {
        guard wanted != awaitsRoom else { return .waiting }
        awaitsRoom = wanted
        do throws(SocketError) {
            try poller.modify(socket.descriptor, token: token, writable: wanted)
            return .waiting
        } catch { return .failed(error) }
    }
}
