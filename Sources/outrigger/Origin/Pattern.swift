// Pattern.swift: bodies that anyone can make and check without keeping them. Owns: one block.

/// An endless body: byte `i` of seed `s` is `(i + s) % 251`. 251 is prime, so that a lost or doubled block of
/// any usual size shows.
enum Pattern {
    private static let period = 251
    private static let block: [UInt8] = (0..<262 * period).map { UInt8($0 % period) }

    /// Bytes from `offset` on, `countMax` or fewer, never none.
    static func bytes(from offset: Int, seed: Int = 0, countMax: Int) -> ArraySlice<UInt8> {
        let start = (offset + seed) % period
        return block[start..<min(start + countMax, block.count)]
    }

    /// Whether `bytes[range]` are those from `offset` on.
    static func matches(_ bytes: Span<UInt8>, _ range: Range<Int>, from offset: Int, seed: Int = 0) -> Bool {
        var done = 0
        while done < range.count {
            let expected = Self.bytes(from: offset + done, seed: seed, countMax: range.count - done)
            let start = range.lowerBound + done
            let part = bytes.extracting(start..<start + expected.count)
            guard equal(part, expected.span) else { return false }
            done += expected.count
        }
        return true
    }

    private static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
