// Acceptor.swift: who may connect. Takes connections from a listening socket and gives them to the workers.
// Source: DESIGN "Threads", "The protocol"; unix(7) SO_PEERCRED.
import EventLoop

/// The front door of a listening sidecar; it owns no socket.
struct Acceptor: Sendable {
    let listener: Socket
    /// Users that may connect beside root and our own.
    let allowedUserIDs: [UInt32]
    /// Connections wait that could not be accepted for want of descriptors: `accept` wants to be called again.
    private(set) var isStalled = false

    /// Time after which to call `accept` again, nanoseconds.
    static let stallPause: Int64 = 100_000_000

    init(listener: Socket, allowedUserIDs: [UInt32]) {
        self.listener = listener
        self.allowedUserIDs = allowedUserIDs
    }

    /// Takes every connection that waits.
    mutating func accept(into server: SidecarServer) {
        while true {
            do throws(SocketError) {
                guard let socket = try listener.accept() else {
                    isStalled = false
                    return
                }
                admit(socket, to: server)
            } catch {
                // A peer that is gone again is nothing; anything else is not over by the next connection.
                if error == .reset { continue }
                if !isStalled { Log.write(.error, "cannot accept", ["error": "\(error)"]) }
                isStalled = true
                return
            }
        }
    }

    private func admit(_ socket: Socket, to server: SidecarServer) {
        guard let peer = try? socket.peerCredentials() else { return socket.close() }
        if peer.uid == 0 || peer.uid == ProcessLimits.userID || allowedUserIDs.contains(peer.uid) {
            return server.add(socket, userID: peer.uid)
        }
        Log.write(.warning, "session refused", ["uid": String(peer.uid), "pid": String(peer.pid)])
        server.refuse(socket, detail: "user \(peer.uid) is not allowed")
    }
}
