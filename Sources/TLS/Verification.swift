// Verification.swift: whether a peer is who it has to be: chain, name, pins, staple.
// Owns: the verdict, in words. Never touches: bytes of the connection.
// Source: RFC 5280 §6; RFC 9525 (names); RFC 7469 §2.6 (pins); RFC 6066 §8 (staples).
import COpenSSL
import Model

enum Verification {
    /// In place of OpenSSL's own look at the chain, so that a refusal has our words and the peer the right
    /// alert. 1: accepted.
    @unsafe static let verifyChain: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
        store,
        _ in
        // SAFETY: OpenSSL passes a store context that belongs to a connection, for the time of this call.
        guard let store = unsafe store,
            let ssl = unsafe X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx())
        else { return 0 }
        let wire = unsafe Wire.of(OpaquePointer(ssl))
        // SAFETY: as above.
        let identity = unsafe wire.pointee.key.identity
        do throws(TLSFailure) {
            // SAFETY: as above.
            if identity.settings.trust == .anyone {
                try unsafe trustNobody(store, pins: identity.settings.pins)
            } else {
                try unsafe trust(store, identity)
                unsafe wire.pointee.usableUntil =
                    CertificateChain(pointer: X509_STORE_CTX_get0_chain(store)).endsAt
            }
            return 1
        } catch {
            unsafe wire.pointee.refusal = error
            return 0
        }
    }

    /// Chain and name by OpenSSL, the pins by us.
    @unsafe private static func trust(_ store: OpaquePointer, _ identity: TLSIdentity) throws(TLSFailure) {
        // SAFETY: see `verifyChain`.
        if unsafe X509_verify_cert(store) != 1 {
            let subject = unsafe X509_STORE_CTX_get_current_cert(store).map {
                unsafe Certificate(pointer: $0).subject
            }
            let reason = unsafe words(
                X509_STORE_CTX_get_error(store),
                isPeer: X509_STORE_CTX_get_error_depth(store) == 0,
                name: identity.verifyName
            )
            throw .because(.verify, reason, subject: subject ?? "")
        }
        let pins = identity.settings.pins
        let chain = unsafe CertificateChain(pointer: X509_STORE_CTX_get0_chain(store))
        if pins.isEmpty { return }
        if unsafe (0..<chain.count).contains(where: { unsafe matches(chain[$0], pins) }) { return }
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
        throw unsafe .because(
            .verify,
            "no public key of the chain is pinned",
            subject: chain[0]?.subject ?? ""
        )
    }

    /// Anybody is welcome whose key is pinned; without pins, anybody.
    @unsafe private static func trustNobody(_ store: OpaquePointer, pins: [[UInt8]]) throws(TLSFailure) {
        // SAFETY: see `verifyChain`.
        let leaf = unsafe X509_STORE_CTX_get0_cert(store).map { unsafe Certificate(pointer: $0) }
        if unsafe pins.isEmpty || matches(leaf, pins) {
            unsafe X509_STORE_CTX_set_error(store, X509_V_OK)
            return
        }
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
        throw unsafe .because(.verify, "the public key is not pinned", subject: leaf?.subject ?? "")
    }

    @unsafe private static func matches(_ certificate: Certificate?, _ pins: [[UInt8]]) -> Bool {
        // SAFETY: the caller keeps the certificate alive.
        guard let certificate = unsafe certificate else { return false }
        return pins.contains(unsafe certificate.keyDigest)
    }

    /// What OpenSSL found wrong. `isPeer`: with the peer's own certificate, not an issuer's; `name` was asked
    /// for.
    private static func words(_ error: Int32, isPeer: Bool, name: [UInt8]) -> String {
        let what = isPeer ? "certificate" : "issuer's certificate"
        switch error {
        case X509_V_ERR_CERT_HAS_EXPIRED: return what + " has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: return what + " is not yet valid"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "wrong name: certificate is not for " + TLSFailure.quoted(name)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "certificate is self-signed"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "unknown issuer"
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return "unknown issuer: the chain ends in an untrusted root"
        case X509_V_ERR_CERT_REVOKED: return what + " is revoked"
        default:
            // SAFETY: a string that lives as long as the process, or until the next call for an unknown
            // number.
            guard let words = unsafe X509_verify_cert_error_string(Int(error)) else {
                return what + " is refused"
            }
            return unsafe what + " is refused: " + String(cString: words)
        }
    }

    /// Called when the peer's certificate is verified and the peer could have stapled a response to it. 1:
    /// accepted.
    @unsafe static let verifyStaple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
        ssl,
        _ in
        // SAFETY: OpenSSL passes the connection.
        guard let ssl = unsafe ssl else { return 0 }
        // A resumed session was only kept until its staple ends (`Wire.usableUntil`), and servers staple none
        // again.
        if unsafe SSL_session_reused(ssl) == 1 { return 1 }
        let wire = unsafe Wire.of(ssl)
        do throws(TLSFailure) {
            // SAFETY: as above.
            let end = unsafe try Staple.verify(ssl)
            unsafe wire.pointee.usableUntil = min(wire.pointee.usableUntil, end)
            return 1
        } catch {
            unsafe wire.pointee.refusal = error
            return 0
        }
    }
}
