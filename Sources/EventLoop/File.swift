// File.swift: files, pipes and the standard streams, which wait where sockets do not; for commands, not for
// workers.
// Owns: a descriptor. Source: open(2), read(2), write(2), readdir(3).
import CLinux
import Glibc

/// A descriptor that is read or written with blocking calls. Closes itself unless it is a standard stream.
package struct File: ~Copyable, Sendable {
    package let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { if descriptor > 2 { _ = Glibc.close(descriptor) } }

    package static var standardInput: File { File(STDIN_FILENO) }
    package static var standardOutput: File { File(STDOUT_FILENO) }
    package static var standardError: File { File(STDERR_FILENO) }

    /// Opens a file for reading.
    package static func open(_ path: String) throws(SocketError) -> File {
        // SAFETY: the string outlives the call, which copies it.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw SocketError(code: errno) }
        return File(descriptor)
    }

    /// Makes a file, or empties the one that is there.
    package static func create(_ path: String) throws(SocketError) -> File {
        // SAFETY: the string outlives the call, which copies it.
        let descriptor = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw SocketError(code: errno) }
        return File(descriptor)
    }

    package var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Bytes of a regular file; `nil`: it is none.
    package var size: UInt64? {
        var facts = stat()
        // SAFETY: the call writes to `facts` before it returns.
        guard unsafe fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return nil }
        return UInt64(facts.st_size)
    }

    /// Appends what one read gives. `bytes` must have room.
    package func read(into bytes: inout OutputSpan<UInt8>) -> Transfer {
        let room = bytes.freeCapacity
        precondition(room > 0, "read without room")
        // SAFETY: the call writes at most `room` bytes behind the initialised ones, and only as many are
        // counted.
        let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer, initialised in
            // SAFETY: `initialised` <= `buffer.count`; `room` > 0, so that there is a base address.
            let result = unsafe Glibc.read(descriptor, buffer.baseAddress?.advanced(by: initialised), room)
            initialised += max(result, 0)
            return result
        }
        if result == 0 { return .endOfFile }
        if result > 0 { return .bytes(result) }
        return errno == EAGAIN || errno == EINTR ? .wouldBlock : .failed(SocketError(code: errno))
    }

    /// Writes all of `bytes`.
    package func write(_ bytes: Span<UInt8>) throws(SocketError) {
        var done = 0
        while done < bytes.count {
            // SAFETY: `bytes` outlives the call, and the kernel copies.
            let result = unsafe bytes.extracting(droppingFirst: done).withUnsafeBufferPointer { buffer in
                // SAFETY: `buffer` has `count` bytes.
                unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if result < 0 {
                guard errno == EINTR else { throw SocketError(code: errno) }
                continue
            }
            done += result
        }
    }

    /// Writes the UTF-8 of `text`; what cannot be written is lost.
    package func write(_ text: String) { try? write(text.utf8.span) }

    /// All of a small file as text, at most 1 MiB; `nil` when it cannot be read.
    package static func text(of path: String) -> String? {
        guard let file = try? open(path) else { return nil }
        var bytes: [UInt8] = []
        while bytes.count < 1 << 20 {
            var transfer = Transfer.endOfFile
            let part = [UInt8](capacity: 4096) { transfer = file.read(into: &$0) }
            guard case .bytes = transfer else { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Names in a directory but those with a leading dot; empty when it cannot be read.
    package static func names(in directory: String) -> [String] {
        // SAFETY: the string outlives the call; the handle is closed below and used by nobody else.
        guard let handle = unsafe opendir(directory) else { return [] }
        // SAFETY: see above.
        defer { unsafe closedir(handle) }
        var names: [String] = []
        // SAFETY: an entry is valid until the next call, and is copied before that.
        while let entry = unsafe readdir(handle) {
            // SAFETY: see above; the kernel ends the name with a NUL inside the field.
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}

/// Facts about the process that its environment decides.
package enum Environment {
    /// Value of a variable; `nil`: not set.
    package static func value(of name: String) -> String? {
        // SAFETY: nobody in this process changes the environment; the value is copied at once.
        guard let value = unsafe getenv(name) else { return nil }
        // SAFETY: see above.
        return unsafe String(cString: value)
    }

    /// Those whose name begins with `prefix`.
    package static func variables(prefix: String) -> [(name: String, value: String)] {
        var variables: [(name: String, value: String)] = []
        // SAFETY: nobody in this process changes the environment: a list of C strings that ends with a null pointer.
        guard var next = unsafe linux_environment() else { return [] }
        // SAFETY: see above; each string is copied before it is looked at.
        while let entry = unsafe next.pointee {
            // SAFETY: see above.
            let text = unsafe String(cString: entry)
            // SAFETY: the null pointer is not passed.
            unsafe next += 1
            guard text.hasPrefix(prefix), let sign = text.firstIndex(of: "=") else { continue }
            variables.append((String(text[..<sign]), String(text[text.index(after: sign)...])))
        }
        return variables
    }

    package static var processID: Int32 { getpid() }

    /// Ends the process with what `code` says.
    package static func exit(_ code: Int32) -> Never { Glibc.exit(code) }
}
