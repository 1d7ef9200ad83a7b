// MessageDigest.swift: hash functions of OpenSSL's, in one call each.
// Owns: nothing. Never touches: a secret for longer than the call. Source: EVP_Digest(3); RFC 7616 §3.2.
import COpenSSL

/// One-shot digests. Each appends exactly its number of bytes. They are not for signatures: MD5 is here for
/// HTTP Digest.
package enum MessageDigest {
    /// Appends 16 bytes. Source: RFC 1321.
    package static func md5(_ input: Span<UInt8>, _ output: inout OutputSpan<UInt8>) {
        // SAFETY: a constant of the library.
        unsafe append(EVP_md5(), 16, of: input, to: &output)
    }

    /// Appends 32 bytes. Source: FIPS 180-4 §6.2.
    package static func sha256(_ input: Span<UInt8>, _ output: inout OutputSpan<UInt8>) {
        // SAFETY: as above.
        unsafe append(EVP_sha256(), 32, of: input, to: &output)
    }

    /// Appends 32 bytes: SHA-512/256, with start values of its own. Source: FIPS 180-4 §6.7.
    package static func sha512256(_ input: Span<UInt8>, _ output: inout OutputSpan<UInt8>) {
        // SAFETY: as above.
        unsafe append(EVP_sha512_256(), 32, of: input, to: &output)
    }

    @unsafe private static func append(
        _ function: OpaquePointer?,
        _ count: Int,
        of input: Span<UInt8>,
        to output: inout OutputSpan<UInt8>
    ) {
        precondition(output.freeCapacity >= count, "no room for a digest")
        unsafe output.withUnsafeMutableBufferPointer { buffer, initialized in
            // SAFETY: `count` bytes are free behind those that are initialized, and OpenSSL writes no more:
            // it is the length of this function's digest. The input is read during the call only.
            let done = unsafe input.withUnsafeBytes { bytes in
                let room = unsafe buffer.baseAddress.map { unsafe $0 + initialized }
                return unsafe EVP_Digest(bytes.baseAddress, bytes.count, room, nil, function, nil)
            }
            // A provider that was configured without MD5 (FIPS) cannot serve; there is no answer without it.
            precondition(done == 1, "a hash function that OpenSSL does not have")
            initialized += count
        }
    }
}
