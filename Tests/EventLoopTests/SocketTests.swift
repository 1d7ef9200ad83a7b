import EventLoop
import Glibc
import Testing

/// A set of addresses to listen on.
struct AddressRow: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var address: SocketAddress

    static let rows = [
        AddressRow(testDescription: "IPv4", address: .v4(0x7F00_0001, port: 0)),
        AddressRow(testDescription: "IPv6", address: .v6(high: 0, low: 1, scope: 0, port: 0)),
    ]
}

@Suite struct SocketTests {
    @Test(arguments: AddressRow.rows) func `bytes go both ways over TCP`(_ row: AddressRow) throws {
        let listener = try Socket.listen(on: row.address)
        defer { listener.close() }
        let address = try #require(listener.localAddress)
        let (client, _) = try Socket.connect(to: address, keepAlive: KeepAlive())
        let server = try listener.nextConnection()
        defer {
            client.close()
            server.close()
        }
        try client.wait(writable: true)
        #expect(client.connectResult() == nil)
        #expect(client.send([1, 2, 3]) == .bytes(3))
        #expect(try server.next().bytes == [1, 2, 3])
        #expect(server.send([4], [], [5, 6]) == .bytes(3))
        #expect(try client.next().bytes == [4, 5, 6])
    }

    @Test func `a local address is bound and its port is chosen by the kernel`() throws {
        let listener = try Socket.listen(on: .v4(0x7F00_0001, port: 0))
        defer { listener.close() }
        let address = try #require(listener.localAddress)
        let (client, _) = try Socket.connect(to: address, from: .v4(0x7F00_0005, port: 0))
        defer { client.close() }
        guard case .v4(0x7F00_0005, let port) = client.localAddress else {
            Issue.record("bound to \(String(describing: client.localAddress))")
            return
        }
        #expect(port != 0)
    }

    @Test func `a port where nobody listens refuses`() throws {
        let listener = try Socket.listen(on: .v4(0x7F00_0001, port: 0))
        let address = try #require(listener.localAddress)
        listener.close()
        do {
            let (client, _) = try Socket.connect(to: address)
            defer { client.close() }
            try client.wait(writable: true)
            #expect(client.connectResult() == .refused)
        } catch { #expect(error as? SocketError == .refused) }
    }

    @Test func `an address that is not ours cannot be bound`() {
        #expect(throws: SocketError.unreachable) {
            try Socket.connect(to: .v4(0x7F00_0001, port: 9), from: .v4(0xC000_0201, port: 0))
        }
    }

    @Test func `reading without bytes would block, and after FIN is the end of file`() throws {
        let (client, server) = try connectedPair()
        defer { client.close() }
        #expect(client.read(room: 10).transfer == .wouldBlock)
        #expect(client.isQuiet)
        server.close()
        #expect(try client.next().transfer == .endOfFile)
        #expect(!client.isQuiet)
    }

    @Test func `bytes that wait make a connection not quiet and stay to be read`() throws {
        let (client, server) = try connectedPair()
        defer {
            client.close()
            server.close()
        }
        #expect(server.send([7]) == .bytes(1))
        try client.wait(writable: false)
        #expect(!client.isQuiet)
        #expect(client.read(room: 10).bytes == [7])
    }

    @Test func `writing to a closed reader is an error and no signal`() throws {
        let (left, right) = try Socket.pair()
        defer { left.close() }
        right.close()
        #expect(left.send([1]) == .failed(.reset))
        #expect(left.send([1], [2], []) == .failed(.reset))
    }

    @Test func `a full socket would block, and takes more when it was read`() throws {
        let (left, right) = try Socket.pair()
        defer {
            left.close()
            right.close()
        }
        let block = [UInt8](repeating: 1, count: 65_536)
        var sent = 0
        while case .bytes(let count) = left.send(block) { sent += count }
        #expect(left.send(block) == .wouldBlock)
        var taken = 0
        while case (_, .bytes(let count)) = right.read(room: 65_536) { taken += count }
        #expect(taken == sent)
        #expect(left.send([2]) == .bytes(1))
    }

    @Test func `a half-closed connection still carries the other direction`() throws {
        let (client, server) = try connectedPair()
        defer {
            client.close()
            server.close()
        }
        client.shutdownWriting()
        #expect(try server.next().transfer == .endOfFile)
        #expect(server.send([9]) == .bytes(1))
        #expect(try client.next().bytes == [9])
    }

    @Test func `the credentials of a Unix peer are those of its process`() throws {
        let (left, right) = try Socket.pair()
        defer {
            left.close()
            right.close()
        }
        let peer = try left.peerCredentials()
        #expect(peer == PeerCredentials(pid: UInt32(getpid()), uid: getuid(), gid: getgid()))
    }
}

@Suite struct UnixListenerTests {
    @Test func `the socket file has mode 0660 whatever the umask and goes with the listener`() throws {
        let folder = Folder()
        do {
            let listener = try UnixListener(path: folder.socketPath)
            let mode = try #require(folder.socketMode)
            #expect(mode & 0o777 == 0o660)
            let client = try Socket.connect(to: .unix(path: folder.socketPath))
            defer { client.socket.close() }
            #expect(client.state == .connected)
            let server = try listener.socket.nextConnection()
            server.close()
        }
        #expect(folder.socketMode == nil)
    }

    @Test func `a live socket is not replaced`() throws {
        let folder = Folder()
        let listener = try UnixListener(path: folder.socketPath)
        #expect(throws: SocketError.addressInUse) { _ = try UnixListener(path: folder.socketPath) }
        let client = try Socket.connect(to: .unix(path: folder.socketPath)).socket
        defer { client.close() }
        let first = try listener.socket.nextConnection()
        #expect(try first.peerCredentials().uid == getuid())
        first.close()
    }

    @Test func `a stale socket file is replaced`() throws {
        let folder = Folder()
        try folder.leaveStaleSocket()
        #expect(throws: SocketError.refused) { try Socket.connect(to: .unix(path: folder.socketPath)) }
        let listener = try UnixListener(path: folder.socketPath)
        let client = try Socket.connect(to: .unix(path: folder.socketPath)).socket
        client.close()
        extendLifetime(listener)
    }

    @Test func `a file that is no socket is not touched`() throws {
        let folder = Folder()
        folder.makeFile()
        #expect(throws: SocketError.other(errno: ENOTSOCK)) { _ = try UnixListener(path: folder.socketPath) }
        let mode = try #require(folder.socketMode)
        #expect(mode & S_IFMT == S_IFREG)
    }

    @Test func `the file of a successor is left alone`() throws {
        let folder = Folder()
        let first = try UnixListener(path: folder.socketPath)
        folder.removeSocket()
        let second = try UnixListener(path: folder.socketPath)
        _ = consume first
        #expect(folder.socketMode != nil)
        extendLifetime(second)
    }

    static let badPaths: [[UInt8]] = [
        [], [UInt8](repeating: 97, count: 108), [47, 0, 97], Array("/nowhere-at-all/s".utf8),
    ]
    @Test(arguments: badPaths) func `a path that cannot be is an error`(_ path: [UInt8]) {
        #expect(throws: SocketError.noFile) { _ = try UnixListener(path: path) }
        #expect(throws: SocketError.noFile) { try Socket.connect(to: .unix(path: path)) }
    }

    @Test func `of many that find a stale file exactly one gets it`() throws {
        for _ in 0..<20 {
            let folder = Folder()
            try folder.leaveStaleSocket()
            let results = try Mailbox<Bool>()
            let leave = try Mailbox<Void>()
            let path = folder.socketPath
            let threads = try (0..<4).map { _ in
                try Thread(name: "racer") {
                    let listener = try? UnixListener(path: path)
                    results.post(listener != nil)
                    // The winner goes on listening until all have tried.
                    try? Socket(descriptor: leave.descriptor).wait(writable: false)
                    extendLifetime(listener)
                }
            }
            var outcomes: [Bool] = []
            while outcomes.count < threads.count {
                try Socket(descriptor: results.descriptor).wait(writable: false)
                outcomes += results.takeAll()
            }
            #expect(outcomes.count(where: { $0 }) == 1)
            let client = try Socket.connect(to: .unix(path: path)).socket
            client.close()
            leave.post(())
            for thread in threads { thread.join() }
        }
    }
}
