// Administration.swift: what an operator asks a running sidecar, over a Unix socket of its own.
// Owns: that socket, its connections and their thread. Never touches: requests of proxies; it asks the workers through their
// mailboxes as everybody does. Source: DESIGN "Modules"; RFC 9112 for what little of HTTP it speaks.
import EventLoop

/// Answers `GET /pins` and the like, one request a connection. Call `stop` once, before the workers stop.
package final class Administration: Sendable {
    /// More than these are closed at once.
    static let connectionsMax = 16
    static let requestBytesMax = 8192
    /// One that sends more is cut off.
    static let receivedBytesMax = 65_536
    /// Time that a connection has for all it does.
    static let connectionMilliseconds = 5000

    private let stopping: Mailbox<Void>
    private let thread: Thread

    /// Takes the path; see `UnixListener` for what it throws.
    package init(path: [UInt8], _ server: SidecarServer) throws(SocketError) {
        let stopping = try Mailbox<Void>()
        let loop = AdministrationLoop(
            try UnixListener(path: path),
            stopping,
            try Poller(eventsMax: 32),
            server
        )
        try loop.begin()
        self.stopping = stopping
        thread = try Thread(name: "administration") { loop.run() }
    }

    /// Closes the socket and all connections.
    package func stop() {
        stopping.post(())
        thread.join()
    }
}

/// One who asks.
private struct AdministrationConnection {
    var socket: Socket
    var until: Int64
    var request: [UInt8] = []
    /// All that came, the request included.
    var receivedBytes = 0
    var reply: [UInt8] = []
    var sentBytes = 0
}

/// What the thread does. It is made by one thread and then used by another only.
private final class AdministrationLoop: @unchecked Sendable {
    private enum Token {
        static let listener: UInt64 = 1000
        static let stopping: UInt64 = 1001
    }

    private let listener: UnixListener
    private let stopping: Mailbox<Void>
    private var poller: Poller
    private let server: SidecarServer
    private var connections: [AdministrationConnection?]

    init(
        _ listener: consuming UnixListener,
        _ stopping: Mailbox<Void>,
        _ poller: consuming Poller,
        _ server: SidecarServer
    ) {
        self.listener = listener
        self.stopping = stopping
        self.poller = poller
        self.server = server
        connections = Array(repeating: nil, count: Administration.connectionsMax)
    }

    func begin() throws(SocketError) {
        try poller.add(listener.socket.descriptor, token: Token.listener, writable: false)
        try poller.add(stopping.descriptor, token: Token.stopping, writable: false)
    }

    func run() {
        while true {
            let count = poller.wait(timeoutNanoseconds: timeoutNanoseconds)
            if !stopping.takeAll().isEmpty { break }
            var isKnocking = false
            for index in 0..<count {
                let token = poller[index].token
                if token == Token.listener { isKnocking = true }
                if token < UInt64(connections.count) { advance(Int(token)) }
            }
            closeLate()
            if isKnocking { accept() }
        }
        for slot in connections.indices where connections[slot] != nil { close(slot) }
    }

    private var timeoutNanoseconds: Int64? {
        let next = connections.compactMap { $0?.until }.min()
        return next.map { max($0 - Clock.now, 0) }
    }

    private func closeLate() {
        let now = Clock.now
        for slot in connections.indices {
            if let connection = connections[slot], connection.until <= now { close(slot) }
        }
    }

    private func accept() {
        while let socket = try? listener.socket.accept() {
            guard let slot = connections.firstIndex(where: { $0 == nil }), isOperator(socket),
                (try? poller.add(socket.descriptor, token: UInt64(slot), writable: false)) != nil
            else {
                socket.close()
                continue
            }
            let until = Clock.now + Int64(Administration.connectionMilliseconds) * 1_000_000
            connections[slot] = AdministrationConnection(socket: socket, until: until)
            advance(slot)
        }
    }

    /// Those who may connect as proxies are not, for that alone, those who may see all proxies' pins.
    private func isOperator(_ socket: Socket) -> Bool {
        guard let peer = try? socket.peerCredentials() else { return false }
        return peer.uid == 0 || peer.uid == ProcessLimits.userID
    }

    private func close(_ slot: Int) {
        guard let connection = connections[slot] else { return }
        poller.remove(connection.socket.descriptor)
        connection.socket.close()
        connections[slot] = nil
    }

    /// Does all that can be done now.
    private func advance(_ slot: Int) {
        guard var connection = connections[slot] else { return }
        guard read(&connection), write(&connection) else { return close(slot) }
        connections[slot] = connection
        let isWriting = connection.sentBytes < connection.reply.count
        do { try poller.modify(connection.socket.descriptor, token: UInt64(slot), writable: isWriting) } catch
        {
            close(slot)
        }
    }

    /// What comes after the request is dropped: to close with bytes unread would take the answer back.
    /// - Returns: `false`: nobody waits for an answer any more.
    private func read(_ connection: inout AdministrationConnection) -> Bool {
        while true {
            var transfer = Transfer.wouldBlock
            let bytes = [UInt8](capacity: Administration.requestBytesMax) {
                transfer = connection.socket.read(into: &$0)
            }
            switch transfer {
            case .bytes: break
            case .wouldBlock: return true
            case .endOfFile, .failed: return false
            }
            connection.receivedBytes += bytes.count
            if connection.receivedBytes > Administration.receivedBytesMax { return false }
            if !connection.reply.isEmpty { continue }
            connection.request += bytes
            answer(&connection)
        }
    }

    private func answer(_ connection: inout AdministrationConnection) {
        if let request = AdministrationRequest(head: connection.request) {
            connection.reply = AdministrationReply.to(request, server).bytes(for: request)
        } else if connection.request.count > Administration.requestBytesMax {
            connection.reply = AdministrationReply(status: 431, text: "the request is too long\n").bytes()
        }
    }

    /// - Returns: `false`: the answer cannot be sent.
    private func write(_ connection: inout AdministrationConnection) -> Bool {
        while connection.sentBytes < connection.reply.count {
            let transfer = connection.socket.write(connection.reply.span.extracting(connection.sentBytes...))
            switch transfer {
            case .bytes(let count): connection.sentBytes += count
            case .wouldBlock: return true
            case .endOfFile, .failed: return false
            }
            if connection.sentBytes == connection.reply.count { connection.socket.shutdownWriting() }
        }
        return true
    }
}
