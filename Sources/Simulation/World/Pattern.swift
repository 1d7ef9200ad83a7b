// Pattern.swift: body bytes as a function of whose body it is and where in it, so that any mix-up shows.

import Model

/// Bytes of one body.
struct Pattern {
    private static let table: [UInt8] = {
        var random = SeededRandom(seed: 0x70A7_7E12)
        return (0..<65_536).map { _ in UInt8(truncatingIfNeeded: random.next() >> 24) }
    }()

    private let base: Int

    /// The body of request `request`.
    init(request: Int) { base = (request &* 40_503) &+ 11 }

    /// The body of reply `serve`; every reply has a number of its own, also when it repeats an earlier one.
    init(serve: Int) { base = (serve &* 50_021) &+ 32_771 }

    /// The byte at `offset`. The second term makes a slip by exactly one table length visible.
    private func index(_ offset: Int) -> Int { (base &+ offset &+ (offset >> 16) &* 977) & 65_535 }

    func bytes(_ range: Range<Int>) -> [UInt8] {
        let table = Pattern.table
        return [UInt8](capacity: range.count) { (output: inout OutputSpan<UInt8>) in
            for offset in range { output.append(table[index(offset)]) }
        }
    }

    /// The same for a body in front of which `tag` stands.
    func bytes(_ range: Range<Int>, behind tag: [UInt8]) -> [UInt8] {
        let front = tag[min(tag.count, range.lowerBound)..<min(tag.count, range.upperBound)]
        return front + bytes(max(0, range.lowerBound - tag.count)..<max(0, range.upperBound - tag.count))
    }

    /// The first offset at which `bytes`, said to begin at `start`, differ from the body; `nil`: nowhere.
    func mismatch(_ bytes: Span<UInt8>, at start: Int) -> Int? {
        let table = Pattern.table
        for place in bytes.indices where bytes[place] != table[index(start + place)] { return start + place }
        return nil
    }
}

/// A copy of `count` bytes from the front of `span`.
func copy(_ span: Span<UInt8>, _ count: Int) -> [UInt8] {
    [UInt8](capacity: count) { (output: inout OutputSpan<UInt8>) in
        for place in 0..<count { output.append(span[place]) }
    }
}

/// A copy of all of `span`.
func copy(_ span: Span<UInt8>) -> [UInt8] { copy(span, span.count) }

/// A copy of what `slice` names in `buffer`.
func copy(_ slice: Slice, of buffer: borrowing ByteBuffer) -> [UInt8] { copy(buffer.bytes.extracting(slice)) }

/// A copy of the first `countMax` bytes of `buffer`, or of all.
func copy(_ buffer: borrowing ByteBuffer, upTo countMax: Int = .max) -> [UInt8] {
    copy(buffer.bytes, min(countMax, buffer.count))
}
