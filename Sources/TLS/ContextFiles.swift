// ContextFiles.swift: the files that a context is made from, and whether they are still the same.
// Owns: what was last seen of each. Never touches: what stands in them.
import COpenSSL
import Glibc
import Model

/// What tells that a file or folder was changed.
struct FileStamp: Equatable {
    var device: UInt64
    var inode: UInt64
    var bytes: Int64
    var seconds: Int
    var nanoseconds: Int
    var isFolder: Bool
    var isPlain: Bool

    /// - Returns: `nil` when there is no such file, or it may not be seen; the reason is in `errno`.
    init?(path: String) {
        var facts = stat()
        // SAFETY: the string outlives the call, which writes to `facts` before it returns.
        guard unsafe stat(path, &facts) == 0 else { return nil }
        device = UInt64(facts.st_dev)
        inode = UInt64(facts.st_ino)
        bytes = Int64(facts.st_size)
        seconds = facts.st_mtim.tv_sec
        nanoseconds = facts.st_mtim.tv_nsec
        isFolder = facts.st_mode & S_IFMT == S_IFDIR
        isPlain = facts.st_mode & S_IFMT == S_IFREG
    }
}

/// The files of one context with their stamps from before they were read: a change while reading is seen
/// later.
struct ContextFiles {
    /// Bytes of one file; a larger one is refused rather than read.
    static let fileBytesMax: Int64 = 16_777_216

    private var stamps: [(path: String, stamp: FileStamp?)] = []

    init(_ settings: TLSSettings) {
        switch settings.trust {
        case .system:
            for path in Self.systemTrust { note(path) }
        case .file(let path), .directory(let path): note(path)
        case .anyone: break
        }
        if !settings.certificateFile.isEmpty { note(settings.certificateFile) }
        if !settings.keyFile.isEmpty { note(settings.keyFile) }
    }

    /// Whether a file is another one than when this value was made. One system call for each file.
    var haveChanged: Bool { stamps.contains { $0.stamp != FileStamp(path: $0.path) } }

    /// Refuses what cannot be a file of PEM: reading a pipe, for instance, would not end. `role` as in `key
    /// file`.
    static func requireFile(_ path: String, _ role: String) throws(TLSFailure) {
        let stamp = try require(path, role)
        if !stamp.isPlain {
            throw .because(.handshake, "\(role) \(TLSFailure.quoted(path)) is not a plain file")
        }
        if stamp.bytes > fileBytesMax {
            throw .because(
                .handshake,
                "\(role) \(TLSFailure.quoted(path)) is larger than \(fileBytesMax) bytes"
            )
        }
    }

    static func requireFolder(_ path: String, _ role: String) throws(TLSFailure) {
        if try !require(path, role).isFolder {
            throw .because(.handshake, "\(role) \(TLSFailure.quoted(path)) is not a directory")
        }
    }

    private static func require(_ path: String, _ role: String) throws(TLSFailure) -> FileStamp {
        if path.isEmpty || path.utf8.contains(0) {
            throw .because(.handshake, "\(role) \(TLSFailure.quoted(path)) has no possible name")
        }
        if let stamp = FileStamp(path: path) { return stamp }
        // SAFETY: the result is a string that lives until the next call on this thread, and is copied before.
        let reason = unsafe String(cString: strerror(errno))
        throw .because(.handshake, "cannot read \(role) \(TLSFailure.quoted(path)): \(reason)")
    }

    private mutating func note(_ path: String) { stamps.append((path, FileStamp(path: path))) }

    /// File and folder that OpenSSL was built to look into, or that its environment variables name.
    private static let systemTrust: [String] = [
        // SAFETY: names of variables and paths that live as long as the process.
        unsafe place(X509_get_default_cert_file_env(), else: X509_get_default_cert_file()),
        unsafe place(X509_get_default_cert_dir_env(), else: X509_get_default_cert_dir()),
    ]

    private static func place(_ variable: UnsafePointer<CChar>, else path: UnsafePointer<CChar>) -> String {
        // SAFETY: both are strings; we never change the environment while workers run.
        if let value = unsafe getenv(variable) { return unsafe String(cString: value) }
        return unsafe String(cString: path)
    }
}
