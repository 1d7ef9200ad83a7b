// EmbeddedSidecar.swift: a sidecar inside this process, for commands that were given none.
import EventLoop

/// A place for a socket that nobody else uses.
enum TemporarySocket {
    /// - Parameter name: what it is for.
    static func path(_ name: String) -> String {
        let directory = Environment.value(of: "TMPDIR").flatMap { $0.utf8.count <= 60 ? $0 : nil } ?? "/tmp"
        let unique = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        return "\(directory)/outrigger-\(name)-\(Environment.processID)-\(unique).sock"
    }
}

/// A running sidecar with one socket.
struct EmbeddedSidecar: ~Copyable {
    let path: String
    static func start(workers: Int = 1) throws -> EmbeddedSidecar { EmbeddedSidecar(path: "") }
    consuming func stop() {}
}
