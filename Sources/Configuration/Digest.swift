// Digest.swift: SHA-256 digests as people write them. Owns: hex and base64 of 32 bytes. Source: RFC 4648 §4,
// §8.

package enum Digest {
    /// 32 bytes from 64 characters of hex or 44 of base64; `nil`: it is neither.
    package static func bytes(_ text: String) -> [UInt8]? {
        let text = Array(text.utf8)
        return switch text.count {
        case 64: hex(text)
        case 44: base64(text)
        default: nil
        }
    }

    private static func hex(_ text: [UInt8]) -> [UInt8]? {
        let digits = text.compactMap { UInt8(String(Unicode.Scalar($0)), radix: 16) }
        guard digits.count == 64 else { return nil }
        return (0..<32).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] }
    }

    private static func base64(_ text: [UInt8]) -> [UInt8]? {
        guard text.last == UInt8(ascii: "=") else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        for (index, character) in text.dropLast().enumerated() {
            guard let value = value(character) else { return nil }
            bits = bits << 6 | UInt32(value)
            if index % 4 == 3 {
                bytes += [UInt8(bits >> 16 & 255), UInt8(bits >> 8 & 255), UInt8(bits & 255)]
                bits = 0
            }
        }
        // Three characters are left: 18 bits, of which the last two are no part of the digest and have to be
        // zero.
        guard bits & 3 == 0 else { return nil }
        return bytes + [UInt8(bits >> 10 & 255), UInt8(bits >> 2 & 255)]
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case 0x41...0x5A: character - 0x41
        case 0x61...0x7A: character - 0x61 + 26
        case 0x30...0x39: character - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
