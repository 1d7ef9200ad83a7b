// SidecarSource.swift: the sidecar that a command speaks to: one that runs elsewhere, or one of its own in
// this process.
// Owns: the latter. Source: DESIGN "Modules".
import EventLoop
import Sidecar

/// Where sessions come from.
enum SidecarSource: Sendable {
    /// Path of a sidecar's socket.
    case path(String)
    case embedded(SidecarServer)

    /// The sidecar at `path`; `nil`: starts one with that configuration.
    init(
        path: String?,
        _ configuration: SidecarConfiguration = SidecarConfiguration()
    ) throws(CommandFailure) {
        if let path {
            self = .path(path)
            return
        }
        do throws(SocketError) {
            self = .embedded(try SidecarServer(configuration))
        } catch { throw CommandFailure(ExitStatus.osError, "cannot start a sidecar: \(error)") }
    }

    /// A new session's socket; the caller owns it.
    func connect() throws(CommandFailure) -> Socket {
        do throws(SocketError) {
            switch self {
            case .path(let path): return try Socket.connect(to: .unix(path: Array(path.utf8))).socket
            case .embedded(let server): return try server.connect()
            }
        } catch { throw CommandFailure(ExitStatus.unavailable, "no sidecar at \(description): \(error)") }
    }

    var description: String {
        switch self {
        case .path(let path): path
        case .embedded: "a sidecar of its own, in this process"
        }
    }

    /// Ends a sidecar of our own.
    func stop() {
        switch self {
        case .path: break
        case .embedded(let server): server.stop()
        }
    }
}

/// A place for a socket that nobody else uses.
enum TemporarySocket {
    /// A path; `name` says what it is for.
    static func path(_ name: String) -> String {
        let directory = Environment.value(of: "TMPDIR").flatMap { $0.utf8.count <= 60 ? $0 : nil } ?? "/tmp"
        let unique = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        return "\(directory)/outrigger-\(name)-\(Environment.processID)-\(unique).sock"
    }
}
