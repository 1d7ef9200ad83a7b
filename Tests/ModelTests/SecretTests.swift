// SecretTests.swift: secrets are compared and handed out, never printed, and gone when they are gone.
import Glibc
import Model
import Testing

@Suite struct SecretTests {
    @Test func `bytes come out as they went in`() {
        let secret = Secret("pässword")
        #expect(secret.count == 9)
        let bytes = secret.withBytes { span in span.indices.map { span[$0] } }
        #expect(bytes == Array("pässword".utf8))
        let empty = Secret("")
        #expect(empty.count == 0 && empty.withBytes { $0.isEmpty })
    }

    static let pairs = [
        ("", "", true), ("a", "a", true), ("a", "b", false), ("a", "", false), ("abc", "abd", false),
        ("abc", "bbc", false), ("abc", "ab", false), ("ab", "abc", false), ("a\0", "a", false),
    ]

    @Test(arguments: pairs) func `equal means every byte`(left: String, right: String, expected: Bool) {
        #expect(Secret(left).isEqual(to: Secret(right)) == expected)
        #expect(Secret(right).isEqual(to: Secret(left)) == expected)
        let one = Secret(left)
        #expect(one.isEqual(to: one))
    }

    @Test func `a secret prints as nothing`() {
        let secret = Secret("kanarienvogel")
        var text = "\(secret) " + String(reflecting: secret) + String(describing: [secret, secret])
        dump(secret, to: &text)
        #expect(text.contains("<secret>") && !text.contains("kanarienvogel"))
    }

    @Test func `a wiped buffer is empty and keeps its memory`() {
        var buffer = ByteBuffer(capacity: 100)
        buffer.append("password")
        buffer.consume(3)
        let capacity = buffer.capacity
        buffer.wipe()
        #expect(buffer.isEmpty && buffer.capacity == capacity)
        buffer.append("x")
        #expect(buffer.count == 1 && buffer.bytes[0] == 0x78)
    }

    @Test func `nothing of a secret stays in memory`() {
        // Many copies: memory that was freed is soon used again in part.
        let memory = Memory(turned: (0..<24).map { UInt8(truncatingIfNeeded: $0 * 41 + 7) })
        let count = 1000
        var buffer = ByteBuffer(capacity: 24 * count)
        memory.fill(&buffer, count)
        #expect(memory.copies() > 0)
        buffer.wipe()
        #expect(memory.copies() == 0)

        memory.fill(&buffer, count)
        var secret = Optional(Secret(copying: buffer.bytes))
        buffer.wipe()
        #expect(memory.copies() > 0 && secret?.count == 24 * count)
        secret = nil
        #expect(memory.copies() == 0)
    }

    static let losses: [(name: String, of: @Sendable (inout ByteBuffer) -> Void)] = [
        ("it grows", { $0.append([UInt8](repeating: 1, count: 1_000_000).span) }),
        (
            "it slides",
            { buffer in
                buffer.consume(buffer.count - 100)
                buffer.append([UInt8](repeating: 1, count: buffer.capacity - 1000).span)
            }
        ),
        (
            "it slides and grows",
            { buffer in
                buffer.consume(buffer.count - 100)
                buffer.append([UInt8](repeating: 1, count: 2 * buffer.capacity).span)
            }
        ),
        ("it is read out", { $0.consume($0.count) }),
        ("it is emptied", { $0.removeAll() }),
        ("its end is dropped", { $0.removeLast($0.count - 100) }),
        ("its memory is given back", { $0.removeAll(keepingAtMost: 0) }),
    ]

    @Test(arguments: losses.indices) func `a buffer of secrets keeps none that it lets go`(index: Int) {
        let memory = Memory(turned: (0..<24).map { UInt8(truncatingIfNeeded: $0 * 43 + 11 + index) })
        var buffer = ByteBuffer(capacity: 24 * 1000)
        buffer.isSecret = true
        memory.fill(&buffer, 1000)
        Self.losses[index].of(&buffer)
        // This zeroes what it holds, and nothing else.
        buffer.wipe()
        #expect(memory.copies() == 0 && !buffer.isSecret, "\(Self.losses[index].name)")
    }

    @Test func `room that was asked for is there`() {
        var buffer = ByteBuffer()
        buffer.append("abc")
        buffer.reserve(1000)
        let capacity = buffer.capacity
        #expect(capacity >= 1003)
        buffer.append([UInt8](repeating: 1, count: 1000).span)
        #expect(buffer.capacity == capacity && buffer.count == 1003)
    }
}

/// The process's own memory, read as a file.
private struct Memory {
    /// The bytes that are looked for, each with one bit turned: they stand nowhere but where they were put.
    let turned: [UInt8]

    func fill(_ buffer: inout ByteBuffer, _ count: Int) {
        for _ in 0..<count { for byte in turned { buffer.append(byte ^ 0x80) } }
    }

    /// How often the bytes stand in writable memory. What the search has read it may find again, and count
    /// more than once.
    func copies() -> Int {
        // SAFETY: calls that take text, or stay within arrays whose size they are told.
        let maps = unsafe open("/proc/self/maps", O_RDONLY)
        let memory = unsafe open("/proc/self/mem", O_RDONLY)
        defer {
            close(maps)
            close(memory)
        }
        var text: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = unsafe read(maps, &block, block.count), count > 0 { text += block[..<count] }
        var copies = 0
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 2)
            let ends = parts[0].split(separator: "-").compactMap { Int($0, radix: 16) }
            guard parts[1].hasPrefix("rw"), ends.count == 2 else { continue }
            var start = ends[0]
            while start < ends[1] {
                let count = unsafe pread(memory, &block, min(block.count, ends[1] - start), start)
                if count <= 0 { break }
                copies += search(block, count)
                // What was read must not be found again.
                unsafe memset(&block, 0, count)
                start += count
            }
        }
        return copies
    }

    private func search(_ block: [UInt8], _ count: Int) -> Int {
        var copies = 0
        var start = 0
        // SAFETY: the array stays where it is while it is searched, and no more than its bytes are read.
        unsafe block.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            while start + turned.count <= count,
                let found = unsafe memchr(
                    base + start,
                    Int32(turned[0] ^ 0x80),
                    count - turned.count + 1 - start
                )
            {
                let place = unsafe UnsafeRawPointer(found) - base
                if turned.indices.allSatisfy({ unsafe bytes[place + $0] == turned[$0] ^ 0x80 }) {
                    copies += 1
                }
                start = place + 1
            }
        }
        return copies
    }
}
