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
        unlink(path + "/s")
        rmdir(path)
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
