// Certificate.swift: what is read from one certificate of a peer.
// Owns: nothing; the certificate belongs to a chain of OpenSSL's. Never touches: whether it is to be trusted.
// Source: RFC 5280; RFC 4514 (subjects as text); RFC 7469 §2.4 (digests of public keys).
import COpenSSL

/// A certificate that somebody else keeps alive: valid for as long as its owner is left alone.
@unsafe struct Certificate {
    // SAFETY: what makes the value keeps the certificate alive; every function below relies on that.
    let pointer: OpaquePointer

    /// In one line of ASCII, the most specific part first; control and other characters escaped.
    var subject: String {
        // SAFETY: the BIO is ours, and freed when its bytes are copied.
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { return "" }
        defer { unsafe BIO_free(bio) }
        unsafe X509_NAME_print_ex(bio, X509_get_subject_name(pointer), 0, openssl_XN_FLAG_RFC2253)
        var bytes: UnsafeMutablePointer<CChar>?
        let count = unsafe openssl_BIO_get_mem_data(bio, &bytes)
        guard let bytes = unsafe bytes, count > 0 else { return "" }
        let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
        return unsafe String(decoding: buffer, as: UTF8.self)
    }

    /// SHA-256 of the whole certificate (DER).
    var digest: [UInt8] {
        // SAFETY: see `pointer`.
        unsafe Self.digest { digest, count in unsafe X509_digest(pointer, EVP_sha256(), digest, count) }
    }

    /// SHA-256 of the public key with its algorithm (SubjectPublicKeyInfo, DER).
    var keyDigest: [UInt8] {
        var encoded: UnsafeMutablePointer<UInt8>?
        // SAFETY: OpenSSL allocates `encoded`, which holds `count` bytes and is freed here.
        let count = unsafe i2d_X509_PUBKEY(X509_get_X509_PUBKEY(pointer), &encoded)
        guard count > 0, let bytes = unsafe encoded else { return [] }
        defer { unsafe openssl_free(bytes) }
        return unsafe Self.digest { digest, size in
            unsafe EVP_Digest(bytes, Int(count), digest, size, EVP_sha256(), nil)
        }
    }

    /// Seconds since 1970 at which it ends.
    var endsAt: Int64 {
        // SAFETY: see `pointer`.
        unsafe openssl_seconds(X509_get0_notAfter(pointer))
    }

    private static func digest(
        _ body: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt32>) -> Int32
    ) -> [UInt8] {
        // SAFETY: a SHA-256 digest has 32 bytes.
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { buffer, initialised in
            guard let base = buffer.baseAddress else { return }
            var count: UInt32 = 0
            initialised = unsafe body(base, &count) == 1 ? Int(count) : 0
        }
    }
}

/// A chain of certificates, the peer's own first, that somebody else keeps alive.
@unsafe struct CertificateChain {
    // SAFETY: a stack of X509 or nil; as with `Certificate`.
    let pointer: OpaquePointer?

    var count: Int {
        // SAFETY: see `pointer`. Of nil: -1.
        unsafe max(Int(openssl_sk_X509_num(pointer)), 0)
    }

    subscript(index: Int) -> Certificate? {
        // SAFETY: see `pointer`; out of range and nil give nil.
        guard let certificate = unsafe openssl_sk_X509_value(pointer, Int32(index)) else { return nil }
        return unsafe Certificate(pointer: certificate)
    }

    /// Seconds since 1970 at which the first of them ends; 0 for an empty chain.
    var endsAt: Int64 {
        // SAFETY: see `pointer`.
        var end = Int64.max
        for index in unsafe 0..<count { end = unsafe min(end, self[index]?.endsAt ?? 0) }
        return unsafe count == 0 ? 0 : end
    }
}
