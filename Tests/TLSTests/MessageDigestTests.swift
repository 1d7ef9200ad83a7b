// MessageDigestTests.swift: the hash functions. Source: RFC 1321 appendix A.5; FIPS 180-4, examples of NIST.
import Model
import TLS
import Testing

@Suite struct MessageDigestTests {
    typealias Function = @Sendable (Span<UInt8>, inout OutputSpan<UInt8>) -> Void

    static let vectors: [(String, Function, String, String)] = [
        ("MD5", { MessageDigest.md5($0, &$1) }, "", "d41d8cd98f00b204e9800998ecf8427e"),
        ("MD5", { MessageDigest.md5($0, &$1) }, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "SHA-256", { MessageDigest.sha256($0, &$1) }, "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        (
            "SHA-256", { MessageDigest.sha256($0, &$1) }, "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        ),
        (
            "SHA-512/256", { MessageDigest.sha512256($0, &$1) }, "",
            "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"
        ),
        (
            "SHA-512/256", { MessageDigest.sha512256($0, &$1) }, "abc",
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
        ),
    ]

    @Test(arguments: vectors)
    func `digests are those of the standards`(
        name: String,
        function: Function,
        text: String,
        expected: String
    ) {
        var output = ByteBuffer()
        output.append("front")
        // One byte more than it needs, in front of which something stands already.
        output.append(upTo: expected.utf8.count / 2 + 2) { output in
            output.append(0xAA)
            function(text.utf8.span, &output)
        }
        var hex = ""
        let bytes = output.bytes
        for index in 6..<bytes.count {
            let digits = String(bytes[index], radix: 16)
            hex += digits.count == 1 ? "0" + digits : digits
        }
        #expect(hex == expected && bytes[5] == 0xAA, "\(name) of \(text)")
    }
}
