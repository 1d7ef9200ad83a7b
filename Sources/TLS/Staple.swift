// Staple.swift: the OCSP response that a peer sends along with its certificate.
// Owns: the verdict on it. Never touches: a responder; nothing is asked for over the network.
// Source: RFC 6066 §8; RFC 6960 §3.2, §4.2.2.
import COpenSSL
import Model

enum Staple {
    /// Seconds by which the responder's clock and ours may differ.
    static let skewSeconds = 300

    /// Requires a good and current response about the peer's certificate.
    /// - Parameter ssl: a connection whose chain is verified.
    /// - Returns: seconds since 1970 at which the response ends.
    /// - Throws: `verify` with what is wrong with it, or that there is none.
    @unsafe static func verify(_ ssl: OpaquePointer) throws(TLSFailure) -> Int64 {
        // SAFETY: the chain lives as long as the connection is not called.
        let chain = unsafe CertificateChain(pointer: SSL_get0_verified_chain(ssl))
        let subject = unsafe chain[0]?.subject ?? ""
        func refuse(_ reason: String) -> TLSFailure { .because(.verify, reason, subject: subject) }

        guard let response = unsafe readResponse(ssl) else {
            throw refuse("no OCSP staple, or none that can be read")
        }
        // SAFETY: ours from here on, and used only in this function.
        defer { unsafe OCSP_RESPONSE_free(response) }
        let status = unsafe OCSP_response_status(response)
        if status != OCSP_RESPONSE_STATUS_SUCCESSFUL {
            // SAFETY: a string that lives as long as the process.
            throw refuse(
                unsafe "OCSP staple: responder says " + String(cString: OCSP_response_status_str(Int(status)))
            )
        }
        // SAFETY: as `response`.
        guard let basic = unsafe OCSP_response_get1_basic(response) else {
            throw refuse("OCSP staple of unknown kind")
        }
        defer { unsafe OCSP_BASICRESP_free(basic) }
        let store = unsafe SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl))
        // The responder is the issuer, or was authorised by it for this (RFC 6960 §4.2.2.2): nobody else.
        if unsafe OCSP_basic_verify(basic, chain.pointer, store, UInt(OCSP_NOEXPLICIT)) != 1 {
            throw refuse("OCSP staple is not validly signed: " + ErrorQueue.takeReason())
        }
        guard let single = unsafe find(basic, chain) else {
            throw refuse("OCSP staple is for another certificate")
        }
        do throws(StapleError) {
            return try unsafe judge(single)
        } catch { throw refuse(error.words) }
    }

    private struct StapleError: Error { var words: String }

    /// - Returns: owned by the caller; `nil`: there is none.
    @unsafe private static func readResponse(_ ssl: OpaquePointer) -> OpaquePointer? {
        var bytes: UnsafePointer<UInt8>?
        // SAFETY: `bytes` belongs to the connection and has `count` bytes; -1: none came.
        let count = unsafe openssl_get_tlsext_status_ocsp_resp(ssl, &bytes)
        guard count > 0, unsafe bytes != nil else { return nil }
        let response = unsafe d2i_OCSP_RESPONSE(nil, &bytes, count)
        ErrorQueue.clear()
        return unsafe response
    }

    /// The part that is about the first certificate of `chain`.
    /// - Returns: belongs to `basic`.
    @unsafe private static func find(_ basic: OpaquePointer, _ chain: CertificateChain) -> OpaquePointer? {
        // SAFETY: all pointers belong to `basic` or `chain`, except `wanted`, which is freed here.
        guard let leaf = unsafe chain[0] else { return nil }
        // A self-signed certificate that is trusted as it is has issued itself.
        let issuer = unsafe chain[1] ?? leaf
        for index in unsafe 0..<OCSP_resp_count(basic) {
            guard let single = unsafe OCSP_resp_get0(basic, index) else { continue }
            let id = unsafe openssl_SINGLERESP_get0_id(single)
            var digest: OpaquePointer?
            // The id is made of digests: ours has to be made with the same algorithm.
            guard unsafe OCSP_id_get0_info(nil, &digest, nil, nil, id) == 1,
                let algorithm = unsafe openssl_get_digest(digest),
                let wanted = unsafe OCSP_cert_to_id(algorithm, leaf.pointer, issuer.pointer)
            else { continue }
            defer { unsafe OCSP_CERTID_free(wanted) }
            if unsafe OCSP_id_cmp(wanted, id) == 0 { return unsafe single }
        }
        return nil
    }

    @unsafe private static func judge(_ single: OpaquePointer) throws(StapleError) -> Int64 {
        var reason: Int32 = -1
        var begin: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        var end: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        // SAFETY: the moments belong to `single`.
        switch unsafe OCSP_single_get0_status(single, &reason, nil, &begin, &end) {
        case V_OCSP_CERTSTATUS_GOOD: break
        case V_OCSP_CERTSTATUS_REVOKED:
            if reason < 0 { throw StapleError(words: "certificate is revoked") }
            // SAFETY: a string that lives as long as the process.
            throw StapleError(
                words: unsafe "certificate is revoked: " + String(cString: OCSP_crl_reason_str(Int(reason)))
            )
        default: throw StapleError(words: "OCSP staple: responder does not know the certificate")
        }
        // A response without end could be shown for ever; it counts while it is new.
        let ageMax = unsafe end == nil ? skewSeconds : -1
        if unsafe OCSP_check_validity(begin, end, skewSeconds, ageMax) != 1 {
            throw StapleError(words: "OCSP staple is out of date: " + ErrorQueue.takeReason())
        }
        return unsafe end == nil ? openssl_now() : openssl_seconds(end) + Int64(skewSeconds)
    }
}
