// DemoOrigin.swift: a scripted HTTP/1.1 origin on a thread of its own, for the demo and for a bench without
// an origin.
// Owns: its listeners, connections and thread. Never to be used as a server: it trusts its client.
import EventLoop
import Model

/// A running origin. Stop it once.
struct DemoOrigin: ~Copyable {
    /// 127.0.0.1 and a free port.
    let endpoint: Endpoint
    /// The same script at a second port: another pool key.
    let otherEndpoint: Endpoint
    /// The same script at a Unix socket.
    let unixEndpoint: Endpoint
    /// 127.0.0.1 and a port where nobody listens.
    let refusedEndpoint: Endpoint
    private let unixListener: UnixListener
    private let counters: OriginCounters
    private let mailbox: Mailbox<Void>
    private let thread: Thread

    /// Connections accepted so far.
    var connections: Int { counters.connections.load(ordering: .relaxed) }
    /// Requests that have arrived so far.
    var requests: Int { counters.requests.load(ordering: .relaxed) }

    private init(
        tcp: [Socket],
        refused: Endpoint,
        unix: consuming UnixListener,
        mailbox: Mailbox<Void>,
        counters: OriginCounters,
        thread: Thread
    ) {
        endpoint = Self.endpoint(tcp[0])
        otherEndpoint = Self.endpoint(tcp[1])
        refusedEndpoint = refused
        unixEndpoint = .unix(path: unix.path)
        unixListener = unix
        self.mailbox = mailbox
        self.counters = counters
        self.thread = thread
    }

    /// Starts one, with a Unix socket at `unixPath`.
    static func start(unixPath: String) throws(SocketError) -> DemoOrigin {
        let loopback = SocketAddress.v4(0x7f00_0001, port: 0)
        let tcp = [try Socket.listen(on: loopback), try Socket.listen(on: loopback)]
        // Bound and closed: the kernel will not give this port to anyone else for a while.
        let closed = try Socket.listen(on: loopback)
        let refused = endpoint(closed)
        closed.close()
        let unix = try UnixListener(path: Array(unixPath.utf8))
        let listeners = tcp + [unix.socket]
        let mailbox = try Mailbox<Void>()
        let counters = OriginCounters()
        let thread = try Thread(name: "origin") {
            do throws(SocketError) {
                var loop = try OriginLoop(listeners, mailbox, counters)
                loop.run()
            } catch { File.standardError.write("origin: \(error)\n") }
            for socket in listeners.dropLast() { socket.close() }
        }
        return DemoOrigin(
            tcp: tcp,
            refused: refused,
            unix: unix,
            mailbox: mailbox,
            counters: counters,
            thread: thread
        )
    }

    /// Runs `body` with an origin that is there for it.
    static func during<T>(
        _ body: (borrowing DemoOrigin) throws(CommandFailure) -> T
    ) throws(CommandFailure) -> T {
        let origin = try open()
        let result = Result { () throws(CommandFailure) in try body(origin) }
        origin.stop()
        return try result.get()
    }

    private static func open() throws(CommandFailure) -> DemoOrigin {
        do throws(SocketError) { return try start(unixPath: TemporarySocket.path("origin")) } catch {
            throw CommandFailure(ExitStatus.osError, "cannot start an origin: \(error)")
        }
    }

    /// Ends the thread and closes everything.
    consuming func stop() {
        mailbox.post(())
        thread.join()
    }

    private static func endpoint(_ socket: Socket) -> Endpoint {
        guard case .v4(let address, let port)? = socket.localAddress else { preconditionFailure("not bound") }
        return .ip(.v4(address), port: port)
    }
}
