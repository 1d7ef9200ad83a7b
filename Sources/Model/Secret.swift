// Secret.swift: bytes that nobody may print, and that are zeroed when the last holder lets go of them.
// Owns: one copy in memory that never moves. Never touches: where a secret comes from, what it is for.
import BasicContainers

/// A password, a token or what is as good as one. Prints as `<secret>`, whoever prints it. Two are equal that hold the same
/// bytes.
package final class Secret: Sendable, Hashable {
    private let storage: WipedBytes

    /// A copy of `bytes`, which the caller wipes.
    package init(copying bytes: Span<UInt8>) { storage = WipedBytes(copying: bytes) }

    /// The UTF-8 of `text`.
    package init(_ text: String) { storage = WipedBytes(copying: text.utf8.span) }

    /// Number of bytes.
    package var count: Int { storage.bytes.count }

    /// The bytes, for as long as `body` runs.
    package func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try storage.withBytes(body)
    }

    package static func == (left: Secret, right: Secret) -> Bool { left.isEqual(to: right) }

    /// No number that is derived from a secret goes into a table: only its length.
    package func hash(into hasher: inout Hasher) { hasher.combine(count) }

    /// Whether both hold the same bytes. Takes the same time wherever they differ; only the length shows.
    package func isEqual(to other: Secret) -> Bool {
        if self === other { return true }
        return withBytes { left in other.withBytes { right in left.isEqualInConstantTime(to: right) } }
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<secret>" }
    package var debugDescription: String { "<secret>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Span<UInt8> {
    /// Whether both are the same bytes, in a time that depends on the lengths only.
    package func isEqualInConstantTime(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        var difference: UInt8 = 0
        for index in indices { difference |= self[index] ^ other[index] }
        return difference == 0
    }
}

/// Bytes that are zeroed when they go.
private struct WipedBytes: ~Copyable, Sendable {
    let bytes: UniqueArray<UInt8>

    init(copying span: Span<UInt8>) {
        var bytes = UniqueArray<UInt8>(minimumCapacity: span.count)
        bytes.append(copying: span)
        self.bytes = bytes
    }

    borrowing func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(bytes.span)
    }

    deinit {
        var going = bytes
        var span = going.mutableSpan
        overwriteBytes(&span, 0..<span.count)
    }
}

/// Zeroes. Not optimised, hence opaque to its callers: they cannot know that it only writes what is freed
/// next, and leave it out.
@inline(never)
@_optimize(none)
func overwriteBytes(_ bytes: inout MutableSpan<UInt8>, _ range: Range<Int>) { fillWithZeroes(&bytes, range) }

/// A function of its own, so that it is fast.
@inline(never)
private func fillWithZeroes(_ bytes: inout MutableSpan<UInt8>, _ range: Range<Int>) {
    for index in range { bytes[index] = 0 }
}
