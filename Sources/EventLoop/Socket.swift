// Socket.swift: one stream socket. Owns: nothing; whoever holds it closes it once. Never touches: what the bytes mean.
// All sockets are non-blocking and close-on-exec. Source: socket(7), tcp(7), unix(7).
import CLinux
import Glibc

/// An address of a stream socket.
package enum SocketAddress: Hashable, Sendable {
    /// Four bytes, the first in the highest bits.
    case v4(UInt32, port: UInt16)
    /// Sixteen bytes, the first in the highest bits; scope: interface index, 0: none.
    case v6(high: UInt64, low: UInt64, scope: UInt32, port: UInt16)
    /// 1 to 107 bytes, no NUL.
    case unix(path: [UInt8])
}

/// How TCP finds out that a silent peer is gone.
package struct KeepAlive: Sendable {
    package var idleSeconds: Int32
    package var intervalSeconds: Int32
    package var probes: Int32

    package init(idleSeconds: Int32 = 60, intervalSeconds: Int32 = 10, probes: Int32 = 6) {
        self.idleSeconds = idleSeconds
        self.intervalSeconds = intervalSeconds
        self.probes = probes
    }
}

/// What a read or a write did.
package enum Transfer: Equatable, Sendable {
    /// Never 0.
    case bytes(Int)
    /// Of reads only.
    case endOfFile
    case wouldBlock
    case failed(SocketError)
}

/// How far `connect` came at once.
package enum Connecting: Equatable, Sendable {
    case connected
    /// The socket becomes writable when it is decided; ask `connectResult` then.
    case pending
}

/// Who is at the other end of a Unix socket.
package struct PeerCredentials: Equatable, Sendable {
    package var pid: UInt32 = 0
    package var uid: UInt32 = 0
    package var gid: UInt32 = 0

    package init(pid: UInt32 = 0, uid: UInt32 = 0, gid: UInt32 = 0) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}

/// A descriptor of a stream socket. A value without owner: close it exactly once.
package struct Socket: Equatable, Sendable {
    package let descriptor: Int32

    package init(descriptor: Int32) { self.descriptor = descriptor }

    package func close() { _ = Glibc.close(descriptor) }

    // Making.

    /// Starts a connection, `from` an IP address of ours with port 0: chosen when connecting. TCP gets NODELAY.
    package static func connect(
        to address: SocketAddress,
        from local: SocketAddress? = nil,
        keepAlive: KeepAlive? = nil
    ) throws(SocketError) -> (socket: Socket, state: Connecting) {
        let socket = try open(address)
        do throws(SocketError) {
            if let local {
                // The kernel then chooses the port when it knows the peer: no port is used up by the binding.
                try socket.set(internetLevel, IP_BIND_ADDRESS_NO_PORT, 1)
                _ = try SocketError.check(linux_bind(socket.descriptor, linux_address(local)))
            }
            if let keepAlive, !address.isUnix { try socket.keepAlive(keepAlive) }
            return (socket, try socket.connect(to: address))
        } catch {
            socket.close()
            throw error
        }
    }

    /// Listens on an IP address, port 0: a free one.
    package static func listen(on address: SocketAddress, backlog: Int32 = 1024) throws(SocketError) -> Socket
    {
        let socket = try open(address)
        do throws(SocketError) {
            try socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
            _ = try SocketError.check(linux_bind(socket.descriptor, linux_address(address)))
            if Glibc.listen(socket.descriptor, backlog) != 0 { throw SocketError(code: errno) }
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    /// Two Unix sockets, connected to each other.
    package static func pair() throws(SocketError) -> (Socket, Socket) {
        var second: Int32 = -1
        // SAFETY: the call writes one number to `second` before it returns.
        let first = try SocketError.check(unsafe linux_socket_pair(&second))
        return (Socket(descriptor: first), Socket(descriptor: second))
    }

    /// The next connection that waits at a listening socket; `nil`: none.
    package func accept() throws(SocketError) -> Socket? {
        let result = linux_accept(descriptor)
        if Self.isWouldBlock(result) { return nil }
        return Socket(descriptor: try SocketError.check(result))
    }

    // State.

    /// How a pending connection ended, asked once when the socket has become writable; `nil`: it is connected.
    package func connectResult() -> SocketError? {
        let code = linux_get_option(descriptor, SOL_SOCKET, SO_ERROR)
        return code == 0 ? nil : SocketError(code: Int32(abs(code)))
    }

    /// The socket's own IP address; `nil` for a Unix socket.
    package var localAddress: SocketAddress? {
        let address = linux_local_address(descriptor)
        switch address.family {
        case AF_INET: return .v4(UInt32(truncatingIfNeeded: address.low), port: address.port)
        case AF_INET6:
            return .v6(high: address.high, low: address.low, scope: address.scope, port: address.port)
        default: return nil
        }
    }

    /// Who opened the other end of this Unix socket.
    package func peerCredentials() throws(SocketError) -> PeerCredentials {
        var peer = PeerCredentials()
        // SAFETY: the call writes three numbers before it returns.
        _ = try SocketError.check(unsafe linux_peer(descriptor, &peer.pid, &peer.uid, &peer.gid))
        return peer
    }

    /// Whether the connection stands and nothing waits to be read: one system call.
    package var isQuiet: Bool { Self.isWouldBlock(linux_peek(descriptor)) }

    package func keepAlive(_ settings: KeepAlive) throws(SocketError) {
        try set(SOL_SOCKET, SO_KEEPALIVE, 1)
        try set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, settings.idleSeconds)
        try set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, settings.intervalSeconds)
        try set(Int32(IPPROTO_TCP), TCP_KEEPCNT, settings.probes)
    }

    /// Bytes that the kernel keeps for the other side to read, as asked; the kernel doubles it, within its limit.
    package func setSendBuffer(bytes: Int32) throws(SocketError) { try set(SOL_SOCKET, SO_SNDBUF, bytes) }

    /// Sends FIN after what was written.
    package func shutdownWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    // Bytes.

    /// Appends what has arrived, as far as there is room. `bytes` must have room.
    package func read(into bytes: inout OutputSpan<UInt8>) -> Transfer {
        let room = bytes.freeCapacity
        precondition(room > 0, "read without room")
        // SAFETY: the call writes at most `room` bytes behind the initialised ones, and only as many are counted.
        let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer, initialised in
            // SAFETY: `initialised` <= `buffer.count`; `room` > 0, so that there is a base address.
            let result = unsafe linux_receive(descriptor, buffer.baseAddress?.advanced(by: initialised), room)
            initialised += max(Int(result), 0)
            return result
        }
        return result == 0 ? .endOfFile : Self.transfer(result)
    }

    /// Appends what has arrived to `first`, and what does not fit there to `second`. Both must have room.
    package func read(into first: inout OutputSpan<UInt8>, then second: inout OutputSpan<UInt8>) -> Transfer {
        let room = first.freeCapacity
        precondition(room > 0 && second.freeCapacity > 0, "read without room")
        // SAFETY: the call writes at most the free bytes of each, and only as many as it wrote are counted.
        let result = unsafe first.withUnsafeMutableBufferPointer { one, oneCount in
            // SAFETY: as above.
            unsafe second.withUnsafeMutableBufferPointer { two, twoCount in
                // SAFETY: the counts are within the buffers, which have base addresses as they have room.
                let result = unsafe linux_receive2(
                    descriptor,
                    one.baseAddress?.advanced(by: oneCount),
                    room,
                    two.baseAddress?.advanced(by: twoCount),
                    two.count - twoCount
                )
                let count = max(Int(result), 0)
                oneCount += min(count, room)
                twoCount += max(count - room, 0)
                return result
            }
        }
        return result == 0 ? .endOfFile : Self.transfer(result)
    }

    /// Writes as much of `bytes` as there is room for. `bytes` must not be empty.
    package func write(_ bytes: Span<UInt8>) -> Transfer {
        precondition(!bytes.isEmpty, "write of nothing")
        // SAFETY: `bytes` outlives the call, and the kernel copies.
        let result = unsafe bytes.withUnsafeBufferPointer { buffer in
            // SAFETY: `buffer` has `count` bytes.
            unsafe linux_send(descriptor, buffer.baseAddress, buffer.count)
        }
        return Self.transfer(result)
    }

    /// Writes as much of three spans, any of them empty but not all, as there is room for, with one call.
    package func write(_ first: Span<UInt8>, _ second: Span<UInt8>, _ third: Span<UInt8>) -> Transfer {
        precondition(first.count + second.count + third.count > 0, "write of nothing")
        // SAFETY: all three outlive the call, and the kernel copies.
        let result = unsafe first.withUnsafeBufferPointer { a in
            // SAFETY: as above.
            unsafe second.withUnsafeBufferPointer { b in
                // SAFETY: as above.
                unsafe third.withUnsafeBufferPointer { c in
                    // SAFETY: each has `count` bytes.
                    unsafe linux_send3(
                        descriptor,
                        a.baseAddress,
                        a.count,
                        b.baseAddress,
                        b.count,
                        c.baseAddress,
                        c.count
                    )
                }
            }
        }
        return Self.transfer(result)
    }
}

extension Socket {
    private static func open(_ address: SocketAddress) throws(SocketError) -> Socket {
        let socket = Socket(descriptor: try SocketError.check(linux_socket(address.family)))
        if !address.isUnix { _ = linux_set_option(socket.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        return socket
    }

    private func connect(to address: SocketAddress) throws(SocketError) -> Connecting {
        let result: Int64
        switch address {
        case .v4, .v6: result = linux_connect(descriptor, linux_address(address))
        case .unix(let path):
            // SAFETY: `path` outlives the call, which copies it.
            result = unsafe path.withUnsafeBufferPointer {
                unsafe linux_connect_unix(descriptor, $0.baseAddress, $0.count)
            }
        }
        // EAGAIN of a Unix socket means a full backlog: there is no waiting for that, it is as good as a refusal.
        if result == -Int64(EAGAIN) { throw .refused }
        if result == -Int64(EINPROGRESS) { return .pending }
        _ = try SocketError.check(result)
        return .connected
    }

    func set(_ level: Int32, _ name: Int32, _ value: Int32) throws(SocketError) {
        _ = try SocketError.check(linux_set_option(descriptor, level, name, value))
    }

    private static func isWouldBlock(_ result: Int64) -> Bool {
        result == -Int64(EAGAIN) || result == -Int64(EINTR)
    }

    static func transfer(_ result: Int64) -> Transfer {
        if result > 0 { return .bytes(Int(result)) }
        return isWouldBlock(result) ? .wouldBlock : .failed(SocketError(code: Int32(-result)))
    }
}

/// `IPPROTO_IP`, which Swift imports as an `Int`.
private let internetLevel: Int32 = 0

extension SocketAddress {
    package var isUnix: Bool {
        switch self {
        case .unix: true
        case .v4, .v6: false
        }
    }

    fileprivate var family: Int32 {
        switch self {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }
}

extension linux_address {
    /// Unix addresses have no such form and give one that no call accepts.
    fileprivate init(_ address: SocketAddress) {
        self.init()
        switch address {
        case .v4(let bytes, let port):
            (family, low, self.port) = (AF_INET, UInt64(bytes), port)
        case .v6(let high, let low, let scope, let port):
            (family, self.high, self.low, self.scope, self.port) = (AF_INET6, high, low, scope, port)
        case .unix: family = AF_UNSPEC
        }
    }
}
