// Octets.swift: classes of bytes, searches and comparisons in place.
// Owns: nothing. Never touches: what a message means. Source: RFC 9110 §5.5, §5.6.1, §5.6.2, §5.6.3.

/// Bytes by name.
enum Octet {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let percent: UInt8 = 0x25
    static let comma: UInt8 = 0x2C
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let nine: UInt8 = 0x39
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let leftBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let rightBracket: UInt8 = 0x5D
    static let delete: UInt8 = 0x7F

    /// One bit for each byte below 0x80: a table that needs no memory of its own.
    @inline(__always)
    static func isIn(_ low: UInt64, _ high: UInt64, _ byte: UInt8) -> Bool {
        byte < 0x80 && ((byte & 0x40 == 0 ? low : high) &>> UInt64(byte & 0x3F)) & 1 != 0
    }

    /// tchar. Source: RFC 9110 §5.6.2.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool { isIn(0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE, byte) }

    /// A byte of reg-name, but "%" and ",": one comma makes a Host field two. Source: RFC 3986 §3.2.2.
    @inline(__always)
    static func isName(_ byte: UInt8) -> Bool { isIn(0x2BFF_6FD2_0000_0000, 0x47FF_FFFE_87FF_FFFE, byte) }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

    /// The value of a hexadecimal digit; 16 or more for any other byte.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8 {
        let digit = byte &- zero
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : 0xFF
    }

    /// Space or tab. Source: RFC 9110 §5.6.3.
    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    /// Eight bytes in one number, the first in the lowest bits.
    @inline(__always)
    static func word(
        _ a: UInt8,
        _ b: UInt8,
        _ c: UInt8,
        _ d: UInt8,
        _ e: UInt8,
        _ f: UInt8,
        _ g: UInt8,
        _ h: UInt8
    ) -> UInt64 {
        let low = UInt64(a) | UInt64(b) &<< 8 | UInt64(c) &<< 16 | UInt64(d) &<< 24
        let high = UInt64(e) | UInt64(f) &<< 8 | UInt64(g) &<< 16 | UInt64(h) &<< 24
        return low | high &<< 32
    }

    /// Small letters for capital ones.
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}

extension Span<UInt8> {
    /// Eight bytes from `index` on, the first in the lowest bits. The compiler makes one load of it.
    @inline(__always)
    private func word(at index: Int) -> UInt64 {
        let part = extracting(index..<index &+ 8)
        return Octet.word(part[0], part[1], part[2], part[3], part[4], part[5], part[6], part[7])
    }

    /// The same with small letters for capital ones. Also makes "-" of CR, so only tokens can be told apart
    /// by it.
    @inline(__always)
    func lowercasedWord(at index: Int) -> UInt64 { word(at: index) | 0x2020_2020_2020_2020 }

    /// Index of the first byte from `start` on that is below `below` or equal to `equal`; `count` when there
    /// is none.
    @inline(__always)
    func firstIndex(below: UInt8, orOf equal: UInt8, from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var index = start
        while index &+ 8 <= count {
            let bytes = word(at: index)
            let different = bytes ^ (ones &* UInt64(equal))
            let isBelow = (bytes &- ones &* UInt64(below)) & ~bytes
            let isEqual = (different &- ones) & ~different
            // A borrow sets a wrong bit only above a right one, so the lowest bit is exact.
            let hits = (isBelow | isEqual) & (ones &* 0x80)
            if hits != 0 { return index &+ hits.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < count {
            let byte = self[index]
            if byte < below || byte == equal { return index }
            index &+= 1
        }
        return count
    }

    /// Index of the first byte from `start` on that is neither a letter nor "-"; fewer than eight bytes before the end
    /// none is looked at. Most bytes of most field names are passed over so, eight at a time.
    @inline(__always)
    func endOfLetters(from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var index = start
        while index &+ 8 <= count {
            let bytes = word(at: index)
            let low = bytes & (ones &* 0x7F)
            let small = low | ones &* 0x20
            // Each addition stays within its byte: the highest bit tells.
            let isLetter = (small &+ ones &* (0x80 - 0x61)) & ~(small &+ ones &* (0x7F - 0x7A))
            let isDash = ~((low ^ ones &* 0x2D) &+ ones &* 0x7F)
            let others = ~((isLetter | isDash) & ~bytes) & (ones &* 0x80)
            if others != 0 { return index &+ others.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        return index
    }

    /// Index of the first control byte (0x00...0x1F, 0x7F) from `start` on; `count` when there is none.
    @inline(__always)
    func firstControl(from start: Int) -> Int { firstIndex(below: 0x20, orOf: Octet.delete, from: start) }

    /// Whether every byte may stand in a field value. Source: RFC 9110 §5.5.
    @inline(__always)
    var isFieldValue: Bool {
        var index = 0
        while true {
            index = firstControl(from: index)
            if index == count { return true }
            if self[index] != Octet.tab { return false }
            index &+= 1
        }
    }

    /// Whether it is a token of one byte at least.
    @inline(__always)
    var isToken: Bool {
        for index in indices where !Octet.isToken(self[index]) { return false }
        return count > 0
    }

    /// Index of the first `byte` from `start` on.
    func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        var index = start
        while index < count {
            if self[index] == byte { return index }
            index &+= 1
        }
        return nil
    }

    /// Whether it is `text`, byte for byte.
    @inline(__always)
    func isEqual(_ text: String) -> Bool {
        let other = text.utf8.span
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }

    /// Whether it is `lowercase`, which has no capital letters, whatever the case of its own.
    @inline(__always)
    package func isEqual(ignoringCase lowercase: String) -> Bool {
        isEqual(ignoringCase: lowercase.utf8.span)
    }

    /// Whether both are equal but for the case of letters.
    @inline(__always)
    func isEqual(ignoringCase other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where Octet.lowercased(self[index]) != Octet.lowercased(other[index]) {
            return false
        }
        return true
    }

    /// `range` without the blanks at its ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end && Octet.isBlank(self[start]) { start &+= 1 }
        while end > start && Octet.isBlank(self[end &- 1]) { end &-= 1 }
        return start..<end
    }

    /// The next element of a comma-separated list, without blanks, and possibly empty; `nil` behind the last.
    /// `position` is 0 to begin with and is moved on.
    func nextElement(_ position: inout Int) -> Range<Int>? {
        guard position <= count else { return nil }
        let end = firstIndex(of: Octet.comma, from: position) ?? count
        let element = trimmed(position..<end)
        position = end &+ 1
        return element
    }

    /// The number that the digits in `range` write; `nil` for no digits, another byte, or more than
    /// `Int64.max`.
    func decimal(_ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var number: UInt64 = 0
        for index in range {
            let digit = self[index] &- Octet.zero
            guard digit < 10 else { return nil }
            let (tenfold, tooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, wraps) = tenfold.addingReportingOverflow(UInt64(digit))
            guard !tooLarge && !wraps && sum <= UInt64(Int64.max) else { return nil }
            number = sum
        }
        return number
    }
}
