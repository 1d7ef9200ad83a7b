// UnixListener.swift: a listening Unix socket and its file. Owns: both. Source: unix(7); DESIGN "The protocol".
import CLinux
import Glibc

/// Listens at a path, mode 0660. The file goes with it.
package struct UnixListener: ~Copyable, Sendable {
    package let socket: Socket
    package let path: [UInt8]
    private let device: UInt64
    private let inode: UInt64

    /// A socket file that nobody listens on is replaced, one that somebody does is not, and no other file is touched.
    ///
    /// Throws `.addressInUse`, `.noPermission`, `.noFile` (also for a path that is too long), `.other(errno: ENOTSOCK)` when
    /// what is there is no socket, and others.
    package init(path: [UInt8], backlog: Int32 = 1024) throws(SocketError) {
        let socket = Socket(descriptor: try SocketError.check(linux_socket(AF_UNIX)))
        var device: UInt64 = 0
        var inode: UInt64 = 0
        // SAFETY: `path` outlives the call, which copies it and writes two numbers.
        let result = unsafe path.withUnsafeBufferPointer {
            unsafe linux_listen_unix(socket.descriptor, $0.baseAddress, $0.count, backlog, &device, &inode)
        }
        if result < 0 {
            socket.close()
            throw SocketError(code: Int32(-result))
        }
        self.socket = socket
        self.path = path
        self.device = device
        self.inode = inode
    }

    deinit {
        socket.close()
        // SAFETY: `path` outlives the call, which copies it.
        unsafe path.withUnsafeBufferPointer {
            unsafe linux_unlink_socket($0.baseAddress, $0.count, device, inode)
        }
    }
}
