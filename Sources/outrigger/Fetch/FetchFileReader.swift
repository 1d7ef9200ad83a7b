// FetchFileReader.swift: the files of certificates and keys that a sidecar reads, and not `fetch`.
// Owns: what is said of them beforehand. Source: proto/outrigger.proto, message Tls.
import EventLoop
import Model

/// Who opens the files that a request names.
enum FetchFileReader {
    /// A sidecar in this process: what we cannot read, it cannot.
    case ourselves
    /// Another process, maybe of another user and surely in another folder.
    case another

    /// A path as the request has to say it.
    func path(_ path: String, _ option: String) throws(CommandFailure) -> String {
        switch self {
        case .ourselves:
            do throws(SocketError) { _ = try File.open(path) } catch {
                throw CommandFailure(ExitStatus.noInput, "\(option): cannot read '\(path)': \(error)")
            }
        case .another:
            guard path.hasPrefix("/") else {
                throw .usage(
                    "\(option): write '\(path)' with all its folders, from / on: "
                        + "the sidecar at --socket reads it"
                )
            }
        }
        return path
    }

    /// What three options say of trust, which exclude each other; `nil`: nothing.
    /// The options' names begin with `prefix`.
    func trust(
        file: String?,
        directory: String?,
        anyone: Bool,
        prefix: String
    ) throws(CommandFailure) -> TLSTrust? {
        let ways = [
            (file != nil, "cacert"), (directory != nil, "capath"), (anyone, "insecure"),
        ].filter(\.0).map { prefix + $0.1 }
        if ways.count > 1 { throw .usage("\(ways.joined(separator: " and ")) exclude each other") }
        if let file { return .file(try path(file, "\(prefix)cacert")) }
        if let directory { return .directory(try path(directory, "\(prefix)capath")) }
        return anyone ? .anyone : nil
    }
}
