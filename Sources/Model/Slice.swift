// Slice.swift: places in a block of bytes, for messages that are read in place.

/// A run of bytes in a block that is named where the slice is used.
package struct Slice: Equatable, Sendable {
    /// Offset of the first byte.
    package var start: UInt32
    /// Number of bytes.
    package var count: UInt32

    package init(start: Int, count: Int) {
        self.start = UInt32(start)
        self.count = UInt32(count)
    }

    /// No bytes.
    package static let empty = Slice(start: 0, count: 0)

    /// Whether it holds no byte.
    package var isEmpty: Bool { count == 0 }
}

/// One field line: where its name and its value stand.
package struct FieldSlice: Equatable, Sendable {
    package var name: Slice
    package var value: Slice

    package init(name: Slice, value: Slice) {
        self.name = name
        self.value = value
    }
}

extension Span<UInt8> {
    /// The bytes that `slice` names. Traps when it does not lie within.
    @inline(__always)
    @_lifetime(copy self)
    package func extracting(_ slice: Slice) -> Span<UInt8> {
        extracting(Int(slice.start)..<Int(slice.start) + Int(slice.count))
    }
}
