// OriginLoop.swift: the origin's thread. Owns: its poller and connections. Source: epoll(7).
import EventLoop
import Synchronization

/// What the origin's thread has counted.
final class OriginCounters: Sendable {
    let connections = Atomic(0)
    let requests = Atomic(0)
}

/// One turn after the other until the mailbox says stop.
struct OriginLoop: ~Copyable {
    private var poller: Poller
    private let listeners: [Socket]
    private let mailbox: Mailbox<Void>
    private let counters: OriginCounters
    private var connections: [OriginConnection?] = []
    private var free: [Int] = []
    /// Tokens of connections begin here.
    private static let firstConnection = 16
    private static let stopToken: UInt64 = 15

    init(_ listeners: [Socket], _ mailbox: Mailbox<Void>, _ counters: OriginCounters) throws(SocketError) {
        let poller = try Poller()
        for (index, listener) in listeners.enumerated() {
            try poller.add(listener.descriptor, token: UInt64(index), writable: false)
        }
        try poller.add(mailbox.descriptor, token: Self.stopToken, writable: false)
        self.poller = poller
        self.listeners = listeners
        self.mailbox = mailbox
        self.counters = counters
    }

    /// Serves until it is told to stop, and closes its connections then.
    mutating func run() {
        defer { for connection in connections { connection?.socket.close() } }
        while true {
            for index in 0..<poller.wait(timeoutNanoseconds: nil) {
                let token = poller[index].token
                if token == Self.stopToken { return }
                if token < listeners.count {
                    accept(listeners[Int(token)])
                } else {
                    serve(Int(token) - Self.firstConnection)
                }
            }
        }
    }

    private mutating func accept(_ listener: Socket) {
        while let socket = try? listener.accept() {
            let slot = free.popLast() ?? connections.count
            if slot == connections.count { connections.append(nil) }
            let token = UInt64(slot + Self.firstConnection)
            guard (try? poller.add(socket.descriptor, token: token, writable: true)) != nil else {
                socket.close()
                free.append(slot)
                continue
            }
            connections[slot] = OriginConnection(socket)
            counters.connections.add(1, ordering: .relaxed)
        }
    }

    private mutating func serve(_ slot: Int) {
        // The poller may still name a connection that was closed earlier in this turn.
        guard let connection = connections[slot] else { return }
        let before = connection.requests
        let goesOn = connection.run()
        counters.requests.add(connection.requests - before, ordering: .relaxed)
        if goesOn { return }
        connection.socket.close()
        connections[slot] = nil
        free.append(slot)
    }
}
