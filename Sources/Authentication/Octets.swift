// Octets.swift: classes of bytes, and comparisons in place.
// Owns: nothing. Never touches: what a field means. Source: RFC 9110 §5.6.2, §5.6.3, §5.6.4, §11.2.
import Model

/// Bytes by name, and what they may be part of.
enum Octet {
    static let tab: UInt8 = 0x09
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let slash: UInt8 = 0x2F
    static let colon: UInt8 = 0x3A
    static let equals: UInt8 = 0x3D
    static let question: UInt8 = 0x3F
    static let backslash: UInt8 = 0x5C
    static let delete: UInt8 = 0x7F

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// tchar. Source: RFC 9110 §5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        if isDigit(byte) || isLetter(byte) { return true }
        // ! # $ % & ' * + - . ^ _ ` | ~
        switch byte {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: return true
        default: return false
        }
    }

    /// A byte of token68 before its "=". Source: RFC 9110 §11.2.
    static func isToken68(_ byte: UInt8) -> Bool {
        if isDigit(byte) || isLetter(byte) { return true }
        // + - . / _ ~
        switch byte {
        case 0x2B, 0x2D...0x2F, 0x5F, 0x7E: return true
        default: return false
        }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    /// What may stand in no quoted string, not even behind a backslash. Source: RFC 9110 §5.6.4.
    static func isControl(_ byte: UInt8) -> Bool { byte < space && byte != tab || byte == delete }

    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// Small letters.
    static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    static func capitalHexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}

extension ByteBuffer {
    /// Appends a copy of `bytes`: those of an object, for instance, of which a span would not live long
    /// enough.
    mutating func append(_ bytes: [UInt8]) { append(bytes.span) }
}

extension Span<UInt8> {
    /// Index of the first byte from `start` on that is no blank; `count` when all are.
    func skipBlanks(_ start: Int) -> Int {
        var index = start
        while index < count && Octet.isBlank(self[index]) { index += 1 }
        return index
    }

    /// Index of the first byte from `start` on that belongs to no token.
    func skipToken(_ start: Int) -> Int {
        var index = start
        while index < count && Octet.isToken(self[index]) { index += 1 }
        return index
    }

    /// Index behind the token68 that starts at `start`; `start` itself when there is none. Source: RFC 9110
    /// §11.2.
    func skipToken68(_ start: Int) -> Int {
        var index = start
        while index < count && Octet.isToken68(self[index]) { index += 1 }
        if index == start { return start }
        while index < count && self[index] == Octet.equals { index += 1 }
        return index
    }

    /// Whether both are the same bytes.
    func isEqual(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }

    /// Whether it is `lowercase`, which has no capital letters, whatever the case of its own.
    func isEqual(ignoringCase lowercase: String) -> Bool {
        let text = lowercase.utf8.span
        guard count == text.count else { return false }
        for index in indices where Octet.lowercased(self[index]) != text[index] { return false }
        return true
    }

    /// Whether both are equal but for the case of letters.
    func isEqual(ignoringCase other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where Octet.lowercased(self[index]) != Octet.lowercased(other[index]) {
            return false
        }
        return true
    }

    /// Whether it begins with `prefix`.
    func hasPrefix(_ prefix: Span<UInt8>) -> Bool {
        count >= prefix.count && extracting(first: prefix.count).isEqual(prefix)
    }

    /// Whether a byte of it is one that `isWanted` names.
    func contains(where isWanted: (UInt8) -> Bool) -> Bool {
        for index in indices where isWanted(self[index]) { return true }
        return false
    }

    /// A copy.
    func copied() -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(count)
        for index in indices { copy.append(self[index]) }
        return copy
    }
}
