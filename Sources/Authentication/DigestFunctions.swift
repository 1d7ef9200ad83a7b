// DigestFunctions.swift: the hash functions of Digest, which are handed in, and what is done with each.
// Owns: hexadecimal. Never touches: a library. Source: RFC 7616 §3.2, §3.4.
import Model

/// A hash function of Digest; a stronger one is greater.
package enum DigestAlgorithm: Int, Comparable, CaseIterable, Sendable {
    case md5
    case sha256
    case sha512256

    package static func < (left: DigestAlgorithm, right: DigestAlgorithm) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Length of a digest, bytes.
    package var byteCount: Int {
        switch self {
        case .md5: 16
        case .sha256, .sha512256: 32
        }
    }

    /// As the `algorithm` parameter has it, without `-sess`.
    package var name: String {
        switch self {
        case .md5: "MD5"
        case .sha256: "SHA-256"
        case .sha512256: "SHA-512-256"
        }
    }
}

/// The functions. Each appends exactly the digest of its input.
package struct DigestFunctions: Sendable {
    package typealias Function = @Sendable (Span<UInt8>, inout OutputSpan<UInt8>) -> Void

    private let md5: Function
    private let sha256: Function
    private let sha512256: Function

    package init(md5: @escaping Function, sha256: @escaping Function, sha512256: @escaping Function) {
        self.md5 = md5
        self.sha256 = sha256
        self.sha512256 = sha512256
    }

    /// Appends the digest of `input` in small hexadecimal digits: RFC 7616's LHEX.
    func appendHex(_ algorithm: DigestAlgorithm, of input: Span<UInt8>, to output: inout ByteBuffer) {
        let function =
            switch algorithm {
            case .md5: md5
            case .sha256: sha256
            case .sha512256: sha512256
            }
        var digest = ByteBuffer(capacity: algorithm.byteCount)
        digest.append(upTo: algorithm.byteCount) { function(input, &$0) }
        precondition(digest.count == algorithm.byteCount, "a digest of another length")
        appendHex(digest.bytes, to: &output)
        digest.wipe()
    }

    private func appendHex(_ bytes: Span<UInt8>, to output: inout ByteBuffer) {
        output.append(upTo: bytes.count * 2) { output in
            for index in bytes.indices {
                output.append(Octet.hexDigit(bytes[index] >> 4))
                output.append(Octet.hexDigit(bytes[index] & 15))
            }
        }
    }
}
