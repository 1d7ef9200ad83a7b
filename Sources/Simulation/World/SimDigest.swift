// SimDigest.swift: hash functions of a simulated world: quick, and of no strength.
// Owns: nothing. Source: the FNV-1a hash.
import Authentication
import Model

extension DigestFunctions {
    /// The digest of 16 or 32 bytes is one of 8, repeated and changed.
    package static let simulated = DigestFunctions(
        md5: { append(16, of: $0, to: &$1) },
        sha256: { append(32, of: $0, to: &$1) },
        sha512256: { append(32, of: $0, to: &$1) }
    )

    private static func append(_ count: Int, of input: Span<UInt8>, to output: inout OutputSpan<UInt8>) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in input.indices { hash = (hash ^ UInt64(input[index])) &* 0x100_0000_01B3 }
        for index in 0..<count {
            output.append(UInt8(truncatingIfNeeded: hash))
            hash = (hash ^ UInt64(index)) &* 0x100_0000_01B3
        }
    }
}
