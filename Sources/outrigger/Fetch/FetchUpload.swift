// FetchUpload.swift: the body that `fetch` sends, as it becomes available. Owns: its file.
import EventLoop
import Model
import OutriggerClient

/// Bytes to send, read ahead by one block.
struct FetchUpload: ~Copyable {
    /// Read and not yet sent.
    private(set) var pending = ByteBuffer()
    /// Nothing follows `pending`.
    private(set) var isRead: Bool
    /// What the request says about its body.
    let body: RequestBody
    /// Standard input, unused, where nothing is read.
    private let file: File
    private let hasFile: Bool
    /// A pipe or a terminal: reading waits, so the poller is asked first.
    private var isPolled = false
    private var isReady = true

    private static let blockBytes = 65_536
    /// Several pieces of data are held at once.
    private static let joinedBytesMax = 64 << 20

    /// Opens what is to be sent.
    init(_ plan: FetchPlan) throws(CommandFailure) {
        switch plan.data {
        case .none:
            file = .standardInput
            hasFile = false
            isRead = true
            body = .none
        case .parts(let parts):
            let bytes = try Self.joined(parts)
            file = .standardInput
            hasFile = false
            isRead = true
            body = plan.isChunked ? .chunked : .length(UInt64(bytes.count))
            pending = bytes
        case .file(let path):
            let opened = try Self.open(path)
            let size = path == "-" ? nil : opened.size
            body = plan.isChunked ? .chunked : size.map { .length($0) } ?? .chunked
            file = opened
            hasFile = true
            isRead = false
        case .tunnel:
            file = .standardInput
            hasFile = true
            isRead = false
            body = .none
        }
    }

    private static func open(_ path: String) throws(CommandFailure) -> File {
        if path == "-" { return .standardInput }
        do throws(SocketError) { return try File.open(path) } catch {
            throw CommandFailure(ExitStatus.noInput, "cannot read '\(path)': \(error)")
        }
    }

    /// All the pieces with '&' between them; "@FILE" is what is in the file.
    private static func joined(_ parts: [String]) throws(CommandFailure) -> ByteBuffer {
        var bytes = ByteBuffer()
        for (index, part) in parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "&")) }
            if part.hasPrefix("@") {
                try append(String(part.dropFirst()), to: &bytes)
            } else {
                bytes.append(part)
            }
        }
        return bytes
    }

    private static func append(_ path: String, to bytes: inout ByteBuffer) throws(CommandFailure) {
        let file = try open(path)
        while bytes.count <= joinedBytesMax {
            var transfer = Transfer.endOfFile
            bytes.append(upTo: blockBytes) { transfer = file.read(into: &$0) }
            switch transfer {
            // Files do not block; a signal came.
            case .bytes, .wouldBlock: continue
            case .endOfFile: return
            case .failed(let error):
                throw CommandFailure(ExitStatus.noInput, "cannot read '\(path)': \(error)")
            }
        }
        throw .usage("several --data are \(joinedBytesMax >> 20) MiB at most; --data-file has no limit")
    }

    /// Asks the poller to say when there is something to read; files need no asking.
    mutating func watch(_ poller: borrowing Poller, token: UInt64) {
        guard hasFile else { return }
        isPolled = (try? poller.add(file.descriptor, token: token, writable: false)) != nil
        isReady = !isPolled
    }

    /// The poller has reported it.
    mutating func becameReady() { isReady = true }

    /// Reads a block when none is pending and that does not wait.
    mutating func fill(_ poller: borrowing Poller, token: UInt64) throws(CommandFailure) {
        guard pending.isEmpty, !isRead, isReady else { return }
        var transfer = Transfer.endOfFile
        pending.append(upTo: Self.blockBytes) { bytes in
            transfer = file.read(into: &bytes)
        }
        switch transfer {
        case .bytes, .wouldBlock: break
        case .endOfFile: isRead = true
        case .failed(let error): throw CommandFailure(ExitStatus.noInput, "cannot read the data: \(error)")
        }
        if isPolled, !isRead {
            // The poller tells changes only: asking anew makes it tell what still waits.
            isReady = false
            try? poller.modify(file.descriptor, token: token, writable: false)
        }
    }

    /// Sends what credit allows of what was read.
    /// - Returns: bytes sent, and whether they were the last.
    mutating func send(_ session: inout ClientSession, stream: UInt32) -> (count: Int, isLast: Bool) {
        let count = session.sendBody(pending.bytes, stream: stream, ends: isRead)
        let isLast = isRead && count == pending.count
        pending.consume(count)
        return (count, isLast)
    }
}
