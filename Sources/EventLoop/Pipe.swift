// Pipe.swift: a pipe that bytes go through from socket to socket without being copied to us.
// Owns: nothing; whoever holds it closes it once. Never touches: what the bytes mean. Source: splice(2), pipe(7).
import CLinux

/// A pipe that is not blocking. A value without owner: close it exactly once.
package struct Pipe: Equatable, Sendable {
    /// Bytes that one pipe is asked to hold; a slot holds a page or a piece of one.
    package static let bytesMax = 262_144

    private let output: Int32
    private let input: Int32

    /// Where the system does not allow as much room as is asked for, it has what is usual.
    package init() throws(SocketError) {
        var input: Int32 = -1
        // SAFETY: the call writes one number to `input` before it returns.
        output = try SocketError.check(unsafe linux_pipe(&input))
        self.input = input
        _ = linux_pipe_room(input, Int32(Self.bytesMax))
    }

    package func close() {
        Socket(descriptor: output).close()
        Socket(descriptor: input).close()
    }

    /// Takes what has arrived at a socket. - Parameter countMax: bytes, at least 1.
    package func take(from socket: Socket, upTo countMax: Int) -> Transfer {
        precondition(countMax > 0, "splice of nothing")
        let result = linux_splice(socket.descriptor, input, countMax)
        return result == 0 ? .endOfFile : Socket.transfer(result)
    }

    /// Hands on as much as the socket has room for. - Parameter count: bytes, at least 1 and no more than it holds.
    package func hand(to socket: Socket, _ count: Int) -> Transfer {
        precondition(count > 0, "splice of nothing")
        let result = linux_splice(output, socket.descriptor, count)
        precondition(result != 0, "a pipe without the bytes that it was given")
        return Socket.transfer(result)
    }
}
