// NTLMChallenge.swift: whether a server's NTLM message may be shown to the library that decodes it.
// Owns: lengths, offsets and pairs. Why: gss-ntlmssp 1.2.0 writes through a null pointer where the name is empty, and a
// server must not be able to end the process. Source: MS-NLMP §2.2.1.2, §2.2.2.1; RFC 4178 §4.2.2; X.690 §8.7.
import Model

/// A CHALLENGE_MESSAGE, by itself or inside a token of SPNEGO.
package enum NTLMChallenge {
    private static let signature: [UInt8] = Array("NTLMSSP\0".utf8)
    /// All that comes before the optional version.
    private static let headBytes = 48
    private static let usesUnicode: UInt32 = 0x0000_0001
    /// The server names a domain, itself or a share.
    private static let hasTargetType: UInt32 = 0x0007_0000
    private static let hasTargetInformation: UInt32 = 0x0080_0000

    /// Whether everything that a message of type 2 says of its parts is true.
    package static func isSound(_ message: Span<UInt8>) -> Bool {
        guard message.count >= headBytes, begins(message, at: 0), number(message, 8, 4) == 2 else {
            return false
        }
        let flags = number(message, 20, 4)
        guard flags & usesUnicode != 0, let name = part(message, at: 12), name.count % 2 == 0 else {
            return false
        }
        if name.isEmpty && flags & hasTargetType != 0 { return false }
        guard let information = part(message, at: 40) else { return false }
        if flags & hasTargetInformation == 0 { return information.isEmpty }
        return hasWholePairs(message.extracting(information))
    }

    /// Whether a token of SPNEGO has no message of NTLM but sound ones: each is an OCTET STRING.
    package static func areSound(inside token: Span<UInt8>) -> Bool {
        guard token.count >= signature.count else { return true }
        for start in 0...token.count - signature.count where begins(token, at: start) {
            guard let count = octetCount(token, before: start), start + count <= token.count,
                isSound(token.extracting(start..<start + count))
            else { return false }
        }
        return true
    }

    private static func begins(_ bytes: Span<UInt8>, at start: Int) -> Bool {
        guard start + signature.count <= bytes.count else { return false }
        for index in signature.indices where bytes[start + index] != signature[index] { return false }
        return true
    }

    /// What the header of an OCTET STRING in front of `start` says, in the short form or one of two bytes at most.
    private static func octetCount(_ bytes: Span<UInt8>, before start: Int) -> Int? {
        if start >= 2, bytes[start - 2] == 0x04, bytes[start - 1] < 0x80 { return Int(bytes[start - 1]) }
        if start >= 3, bytes[start - 3] == 0x04, bytes[start - 2] == 0x81 { return Int(bytes[start - 1]) }
        if start >= 4, bytes[start - 4] == 0x04, bytes[start - 3] == 0x82 {
            return Int(bytes[start - 2]) << 8 | Int(bytes[start - 1])
        }
        return nil
    }

    /// Little-endian.
    private static func number(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in (start..<start + count).reversed() { value = value << 8 | UInt32(bytes[index]) }
        return value
    }

    /// Where a field lies; `nil`: not in the message behind its head.
    private static func part(_ message: Span<UInt8>, at field: Int) -> Range<Int>? {
        let count = Int(number(message, field, 2))
        if count == 0 { return 0..<0 }
        let start = Int(number(message, field + 4, 4))
        guard start >= headBytes, start + count <= message.count else { return nil }
        return start..<start + count
    }

    /// Whether pairs of kind, length and value fill `bytes` up to the one that ends them, each kind once.
    private static func hasWholePairs(_ bytes: Span<UInt8>) -> Bool {
        var place = 0
        var kinds: Set<UInt32> = []
        while place + 4 <= bytes.count {
            let kind = number(bytes, place, 2)
            let count = Int(number(bytes, place + 2, 2))
            if kind == 0 { return count == 0 }
            place += 4 + count
            // Names are text of 16 bits, a time has 64, flags 32.
            switch kind {
            case 1...5, 9: if count % 2 != 0 { return false }
            case 6: if count != 4 { return false }
            case 7: if count != 8 { return false }
            default: break
            }
            if !kinds.insert(kind).inserted { return false }
        }
        return false
    }
}
