// Support.swift: a folder of its own for each test, and waiting by epoll instead of by sleeping.
import EventLoop
import Glibc

/// A new folder under the temporary one; it goes with the value.
final class Folder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/outrigger-XXXXXX".utf8CString)
        // SAFETY: the template ends in NUL and is changed in place.
        guard unsafe mkdtemp(&template) != nil else { fatalError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        removeSocket()
        // SAFETY: a C string for the time of the call.
        unsafe _ = rmdir(path)
    }

    /// What a process leaves behind that dies without removing its socket file.
    func leaveStaleSocket() throws {
        let listener = try UnixListener(path: socketPath)
        // SAFETY: C strings for the time of the call.
        guard unsafe link(path + "/s", path + "/t") == 0 else { throw SocketError(code: errno) }
        _ = consume listener
        // SAFETY: C strings for the time of the call.
        guard unsafe rename(path + "/t", path + "/s") == 0 else { throw SocketError(code: errno) }
    }

    /// Makes a plain file where the socket would be.
    func makeFile() {
        // SAFETY: a C string for the time of the call.
        close(unsafe open(path + "/s", O_CREAT | O_WRONLY, 0o600))
    }

    func removeSocket() {
        // SAFETY: a C string for the time of the call.
        unsafe _ = unlink(path + "/s")
    }

    /// Path of the one socket that a test makes.
    var socketPath: [UInt8] { Array((path + "/s").utf8) }

    /// Permission bits and type of that socket; `nil`: there is none.
    var socketMode: mode_t? {
        var file = stat()
        // SAFETY: the call fills `file` before it returns.
        return unsafe stat(path + "/s", &file) == 0 ? file.st_mode : nil
    }
}

extension Poller {
    /// The events of one wait of at most a second.
    mutating func events() -> [PollerEvent] {
        let count = wait(timeoutNanoseconds: 1_000_000_000)
        return (0..<count).map { self[$0] }
    }
}

extension Socket {
    /// Waits until something can be read or a second is over, then reads up to `room` bytes.
    func next(room: Int = 4096) throws -> (bytes: [UInt8], transfer: Transfer) {
        try wait(writable: false)
        return read(room: room)
    }

    func read(room: Int) -> (bytes: [UInt8], transfer: Transfer) {
        var transfer = Transfer.wouldBlock
        let bytes = [UInt8](capacity: room) { transfer = self.read(into: &$0) }
        return (bytes, transfer)
    }

    func send(_ bytes: [UInt8]) -> Transfer { write(bytes.span) }

    func send(_ first: [UInt8], _ second: [UInt8], _ third: [UInt8]) -> Transfer {
        write(first.span, second.span, third.span)
    }

    func wait(writable: Bool) throws {
        var poller = try Poller(eventsMax: 1)
        try poller.add(descriptor, token: 0, writable: writable)
        _ = poller.events()
    }

    /// Waits until a connection is there.
    func nextConnection() throws -> Socket {
        try wait(writable: false)
        guard let socket = try accept() else { throw SocketError.timedOut }
        return socket
    }
}

/// A connected pair over TCP on the loopback.
func connectedPair() throws -> (client: Socket, server: Socket) {
    let listener = try Socket.listen(on: .v4(0x7F00_0001, port: 0))
    defer { listener.close() }
    guard let address = listener.localAddress else { throw SocketError.unreachable }
    let client = try Socket.connect(to: address).socket
    let server = try listener.nextConnection()
    try client.wait(writable: true)
    return (client, server)
}
