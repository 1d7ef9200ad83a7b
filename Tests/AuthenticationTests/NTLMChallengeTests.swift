// NTLMChallengeTests.swift: messages of type 2 that lie about their parts.
// Source: MS-NLMP §2.2.1.2, §2.2.2.1; the bugs of curl and gss-ntlmssp with lengths and offsets.
import Authentication
import Testing

/// A message: its two fields, its flags without Unicode (little-endian), and what follows the head of 56 bytes.
private func message(
    name: [UInt8] = [2, 0, 2, 0, 56, 0, 0, 0],
    information: [UInt8] = [12, 0, 12, 0, 58, 0, 0, 0],
    flags: [UInt8] = [1, 0x82, 0x8A, 0xA2],
    rest: [UInt8] = [0x44, 0, 2, 0, 4, 0, 0x44, 0, 0x44, 0, 0, 0, 0, 0]
) -> [UInt8] {
    Array("NTLMSSP\0".utf8) + [2, 0, 0, 0] + name + flags + [1, 2, 3, 4, 5, 6, 7, 8]
        + [UInt8](repeating: 0, count: 8) + information + [6, 1, 0xB1, 0x1D, 0, 0, 0, 15] + rest
}

private func isSound(_ bytes: [UInt8]) -> Bool { NTLMChallenge.isSound(bytes.span) }

private func areSound(_ token: [UInt8]) -> Bool { NTLMChallenge.areSound(inside: token.span) }

private let none: [UInt8] = [0, 0, 0, 0, 56, 0, 0, 0]

struct NTLMChallengeTests {
    static let rows: [(String, [UInt8], Bool)] = [
        ("a name and one pair", message(), true),
        (
            "neither, and no flag that says so", message(name: none, information: none, flags: [1, 2, 0, 0]),
            true
        ),
        ("nothing", [], false),
        ("no signature", [UInt8](repeating: 1, count: 80), false),
        ("a signature alone", Array("NTLMSSP\0".utf8), false),
        ("type 1 in its place", Array("NTLMSSP\0".utf8) + [1] + [UInt8](repeating: 0, count: 60), false),
        ("cut in its head", Array(message()[..<47]), false),
        ("a server without a name", message(name: none), false),
        ("a name past the end", message(name: [16, 0, 16, 0, 56, 0, 0, 0]), false),
        ("a name at the end of the world", message(name: [2, 0, 2, 0, 255, 255, 255, 255]), false),
        ("a name inside the head", message(name: [2, 0, 2, 0, 46, 0, 0, 0]), false),
        ("half a letter", message(name: [1, 0, 1, 0, 56, 0, 0, 0]), false),
        ("no Unicode", message(flags: [2, 0x82, 0x8A, 0xA2]), false),
        ("information past the end", message(information: [255, 255, 255, 255, 58, 0, 0, 0]), false),
        ("information whose offset wraps", message(information: [12, 0, 12, 0, 0xF8, 255, 255, 255]), false),
        ("no information though a flag says so", message(information: none), false),
        ("information though no flag says so", message(flags: [1, 0x82, 2, 0xA2]), false),
        ("pairs without an end", message(information: [8, 0, 8, 0, 58, 0, 0, 0]), false),
        (
            "a pair that is longer than all",
            message(rest: [0x44, 0, 2, 0, 255, 255, 0x44, 0, 0x44, 0, 0, 0, 0, 0]), false
        ),
        ("a time of four bytes", message(rest: [0x44, 0, 7, 0, 4, 0, 1, 2, 3, 4, 0, 0, 0, 0]), false),
        ("an odd name in a pair", message(rest: [0x44, 0, 2, 0, 3, 0, 1, 2, 3, 0, 0, 0, 0, 0]), false),
        ("an end with a value", message(rest: [0x44, 0, 2, 0, 4, 0, 1, 2, 3, 4, 0, 0, 1, 0]), false),
        (
            "a kind twice",
            message(
                information: [12, 0, 12, 0, 58, 0, 0, 0],
                rest: [0x44, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
            ),
            false
        ),
    ]

    @Test(arguments: rows) func `a message of type 2 is sound when all it says of its parts is true`(
        _ row: (String, [UInt8], Bool)
    ) {
        #expect(isSound(row.1) == row.2, "\(row.0)")
        let inside = [0xA1, 0x50, 0x04, UInt8(row.1.count)] + row.1 + [0xA3, 0x01]
        let isOne = row.1.starts(with: Array("NTLMSSP\0".utf8))
        #expect(areSound(inside) == (row.2 || !isOne), "\(row.0), inside a token")
    }

    @Test func `inside a token a message is an octet string of its length`() {
        let long = message(
            rest: [0x44, 0, 2, 0, 4, 0, 0x44, 0, 0x44, 0, 0, 0, 0, 0] + [UInt8](repeating: 9, count: 200)
        )
        let count = UInt8(long.count & 0xFF)
        let high = UInt8(long.count >> 8)
        #expect(areSound([0x04, 0x82, high, count] + long))
        let signature = Array("NTLMSSP\0".utf8)
        #expect(!areSound([0x04, 8] + signature))
        #expect(!areSound(signature))
        let short = message()
        #expect(areSound([0x04, 0x81, UInt8(short.count)] + short))
        #expect(!areSound([0x04, 0x83, 0, 0, UInt8(short.count)] + short))
        #expect(!areSound([0x04, UInt8(short.count + 1)] + short))
        #expect(!areSound(short))
        #expect(areSound([0x4E, 0x4E, 0x4E]))
    }
}
