// Base64.swift: base64 as authentication fields have it: strict, in place, into a buffer.
// Owns: the alphabet. Never touches: what is coded. Source: RFC 4648 §3, §4.
import Model

/// The standard alphabet with padding.
package enum Base64 {
    /// Bytes that `count` bytes become.
    package static func encodedCount(_ count: Int) -> Int { (count + 2) / 3 * 4 }

    /// Appends the code of `bytes`. Reserves the room first: nothing is left behind elsewhere.
    package static func append(_ bytes: Span<UInt8>, to output: inout ByteBuffer) {
        output.append(upTo: encodedCount(bytes.count)) { output in
            var index = 0
            while index < bytes.count {
                let left = bytes.count - index
                var group = UInt32(bytes[index]) << 16
                if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
                if left > 2 { group |= UInt32(bytes[index + 2]) }
                output.append(digit(group >> 18))
                output.append(digit(group >> 12 & 63))
                output.append(left > 1 ? digit(group >> 6 & 63) : Octet.equals)
                output.append(left > 2 ? digit(group & 63) : Octet.equals)
                index += 3
            }
        }
    }

    /// What `text` codes; `nil` for another byte, a wrong length, padding elsewhere than at the end, or bits
    /// of the last digit that are lost and not zero: one text for one sequence of bytes. Source: RFC 4648
    /// §3.5.
    package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var digits = text.count
        while digits > 0 && text.count - digits < 2 && text[digits - 1] == Octet.equals { digits -= 1 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits * 3 / 4)
        var group: UInt32 = 0
        for index in 0..<digits {
            guard let value = value(text[index]) else { return nil }
            group = group << 6 | value
            // 6, 12, 18, 24 bits: a byte is whole after the second, third and fourth digit.
            if index % 4 != 0 { bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(6 - index % 4 * 2))) }
        }
        switch digits % 4 {
        case 2: return group & 0xF == 0 ? bytes : nil
        case 3: return group & 0x3 == 0 ? bytes : nil
        default: return bytes
        }
    }

    private static func digit(_ value: UInt32) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: value)
        switch value {
        case ..<26: return 0x41 + value
        case ..<52: return 0x61 - 26 + value
        case ..<62: return 0x30 &- 52 &+ value
        case 62: return Octet.plus
        default: return Octet.slash
        }
    }

    private static func value(_ digit: UInt8) -> UInt32? {
        switch digit {
        case 0x41...0x5A: UInt32(digit - 0x41)
        case 0x61...0x7A: UInt32(digit - 0x61) + 26
        case 0x30...0x39: UInt32(digit - 0x30) + 52
        case Octet.plus: 62
        case Octet.slash: 63
        default: nil
        }
    }
}
