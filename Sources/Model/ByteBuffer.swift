// ByteBuffer.swift: a queue of bytes: appended at the end, consumed from the front.
// Owns: its storage, which it keeps when it runs empty; and that none of a secret stays behind in it or in what it gives
// back. Never touches: what the bytes mean.
import BasicContainers

/// A queue of bytes in one contiguous block. Appending copies; reading gives a span; nothing allocates while the
/// bytes in it fit the capacity it once grew to.
@usableFromInline
package struct ByteBuffer: ~Copyable, Sendable {
    @usableFromInline var storage: UniqueArray<UInt8>
    @usableFromInline var start = 0
    /// Whether what it holds is secret. Then it zeroes whatever it lets go: what is dropped, what it leaves when it grows or
    /// slides. Set it before the secret goes in; `wipe` ends it.
    @usableFromInline package var isSecret = false

    /// An empty buffer that owns no memory until the first append.
    package init() { storage = UniqueArray() }

    /// An empty buffer with room for `capacity` bytes.
    package init(capacity: Int) { storage = UniqueArray(minimumCapacity: capacity) }

    /// Bytes waiting.
    @inlinable
    package var count: Int { storage.count &- start }

    /// Whether no byte waits.
    @inlinable
    package var isEmpty: Bool { storage.count == start }

    /// Bytes of memory held, used or not.
    @inlinable
    package var capacity: Int { storage.capacity }

    /// The bytes that wait, oldest first.
    @inlinable
    package var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        @inline(__always)
        get { storage.span.extracting(droppingFirst: start) }
    }

    /// Appends a copy of `bytes`.
    @inlinable
    package mutating func append(_ bytes: Span<UInt8>) {
        makeRoom(bytes.count)
        storage.append(copying: bytes)
    }

    /// Appends one byte.
    @inlinable
    package mutating func append(_ byte: UInt8) {
        makeRoom(1)
        storage.append(byte)
    }

    /// Appends the UTF-8 of `text`.
    package mutating func append(_ text: String) { append(text.utf8.span) }

    /// Appends up to `countMax` bytes that `body` writes.
    @inlinable
    @inline(__always)
    package mutating func append<E: Error>(
        upTo countMax: Int,
        _ body: (inout OutputSpan<UInt8>) throws(E) -> Void
    ) throws(E) {
        makeRoom(countMax)
        try storage.append(addingCount: countMax, initializingWith: body)
    }

    /// Drops `count` bytes from the front. `count` must not exceed what waits.
    @inlinable
    package mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "consume past the end")
        start &+= count
        if start == storage.count { removeAll() }
    }

    /// Drops `count` bytes from the end. `count` must not exceed what waits.
    @inlinable
    package mutating func removeLast(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "remove past the start")
        if isSecret { overwrite(storage.count &- count..<storage.count) }
        storage.removeLast(count)
    }

    /// Drops every byte and keeps the memory.
    @inlinable
    package mutating func removeAll() {
        if isSecret { overwrite(0..<storage.count) }
        storage.removeAll(keepingCapacity: true)
        start = 0
    }

    /// Drops every byte, and the memory too when it is more than `capacityMax` bytes.
    package mutating func removeAll(keepingAtMost capacityMax: Int) {
        if isSecret { overwrite(0..<storage.count) }
        start = 0
        if storage.capacity > capacityMax {
            storage = UniqueArray()
        } else {
            storage.removeAll(keepingCapacity: true)
        }
    }

    /// Zeroes every byte it holds, consumed ones too, and drops them; keeps the memory. What it holds next is no secret.
    package mutating func wipe() {
        overwrite(0..<storage.count)
        isSecret = false
        removeAll()
    }

    /// Makes room for `count` bytes more, all at once.
    package mutating func reserve(_ count: Int) {
        makeRoom(count)
        if storage.freeCapacity < count { storage.reserveCapacity(storage.count &+ count) }
    }

    @inlinable
    @inline(__always)
    mutating func makeRoom(_ needed: Int) {
        if storage.count &+ needed > storage.capacity { grow(needed) }
    }

    /// Slides the waiting bytes to the front when growing is the alternative, and only when at least as many were
    /// consumed as wait, so that sliding stays O(1) a byte. Grows by itself only where what it leaves is a secret.
    @usableFromInline
    @inline(never)
    mutating func grow(_ needed: Int) {
        if start > 0 && start >= count {
            let end = storage.count
            storage.removeSubrange(0..<start)
            start = 0
            if isSecret {
                let kept = storage.count
                storage.append(addingCount: end &- kept) { for _ in kept..<end { $0.append(0) } }
                overwrite(kept..<end)
                storage.removeLast(end &- kept)
            }
        }
        if !isSecret || storage.count &+ needed <= storage.capacity { return }
        var larger = UniqueArray<UInt8>(minimumCapacity: max(count &+ needed, 2 &* count))
        larger.append(copying: bytes)
        overwrite(0..<storage.count)
        storage = larger
        start = 0
    }

    @usableFromInline
    mutating func overwrite(_ range: Range<Int>) {
        var span = storage.mutableSpan
        overwriteBytes(&span, range)
    }
}
