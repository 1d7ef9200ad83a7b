// RigUploads.swift: requests with bodies that are more than is held.
// Owns: their form and how what was sent of it is shown.

extension Rig {
    /// A request with a body of 500 bytes, more than is held in these rows; 100 of them come at once.
    func upload(_ stream: UInt32, chunked: Bool = false, _ change: (inout Form) -> Void) {
        post(stream, chunked ? nil : 500, change)
        body(stream, String(repeating: "x", count: 100))
    }

    func rest(_ stream: UInt32) {
        body(stream, String(repeating: "y", count: 400), ends: true)
    }

    /// Which fields that speak of the body each request on a socket had.
    func framed(_ socket: Int) {
        let names = ["content-length", "transfer-encoding", "expect"]
        let lines = written(socket).split(whereSeparator: \.isNewline).filter { line in
            names.contains { line.lowercased().hasPrefix($0 + ":") } || line.hasSuffix("HTTP/1.1")
        }
        note("\(socket) had \(lines.joined(separator: ", "))")
    }
}
