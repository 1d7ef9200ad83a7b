// Slice.swift: places in a block of bytes, for messages that are read in place.

/// A run of bytes in a block that is named where the slice is used.
@usableFromInline
package struct Slice: Equatable, Sendable {
    /// Offset of the first byte.
    @usableFromInline
    package var start: UInt32
    /// Number of bytes.
    @usableFromInline
    package var count: UInt32

    @inlinable
    package init(start: Int, count: Int) {
        self.start = UInt32(start)
        self.count = UInt32(count)
    }

    /// No bytes.
    @inlinable
    package static var empty: Slice { Slice(start: 0, count: 0) }

    /// Whether it holds no byte.
    @inlinable
    package var isEmpty: Bool { count == 0 }
}

/// One field line: where its name and its value stand.
@usableFromInline
package struct FieldSlice: Equatable, Sendable {
    @usableFromInline
    package var name: Slice
    @usableFromInline
    package var value: Slice

    @inlinable
    package init(name: Slice, value: Slice) {
        self.name = name
        self.value = value
    }
}

extension Span<UInt8> {
    /// The bytes that `slice` names. Traps when it does not lie within.
    @inlinable
    @inline(__always)
    @_lifetime(copy self)
    package func extracting(_ slice: Slice) -> Span<UInt8> {
        extracting(Int(slice.start)..<Int(slice.start) + Int(slice.count))
    }
}
