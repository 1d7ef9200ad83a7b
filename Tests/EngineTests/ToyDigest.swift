// ToyDigest.swift: hash functions for scripts: every digest is the same.
import Authentication

extension DigestFunctions {
    /// Digests of nothing but zeroes.
    static let toy = DigestFunctions(
        md5: { append(16, &$1) },
        sha256: { append(32, &$1) },
        sha512256: { append(32, &$1) }
    )

    private static func append(_ count: Int, _ output: inout OutputSpan<UInt8>) {
        for _ in 0..<count { output.append(0) }
    }
}
