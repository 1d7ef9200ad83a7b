// PeerName.swift: the names of one connection: the one that is sent, and the one that the certificate must be
// for. Owns: the choice between DNS name and IP address. Never touches: the network. Source: RFC 9525 §6; RFC
// 6066 §3; X509_check_host(3).
import COpenSSL
import Model

enum PeerName {
    /// Bytes of a DNS name. Source: RFC 1035 §2.3.4; RFC 6066 §3 leaves no room for an empty one.
    private static let nameBytesMax = 255

    @unsafe static func set(_ ssl: OpaquePointer, _ identity: TLSIdentity) throws(TLSFailure) {
        if !identity.serverName.isEmpty {
            let name = try text(dnsName(identity.serverName))
            // SAFETY: the caller keeps `ssl` alive; the string outlives the call, which copies it.
            if unsafe openssl_set_tlsext_host_name(ssl, name) != 1 {
                throw .because(.handshake, "cannot send the name " + TLSFailure.quoted(identity.serverName))
            }
        }
        if identity.settings.trust == .anyone { return }
        if identity.verifyName.isEmpty {
            throw .because(.verify, "no name to verify the certificate against")
        }
        let name = try text(identity.verifyName)
        // SAFETY: as above; `parameters` belongs to `ssl`.
        let parameters = unsafe SSL_get0_param(ssl)
        if isAddress(identity.verifyName) {
            if unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return }
        } else {
            // A wildcard is a whole label; a subject's common name is no name (RFC 9525 §6.3, §6.4).
            let flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
            unsafe X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(flags))
            let host = try text(dnsName(identity.verifyName))
            if unsafe X509_VERIFY_PARAM_set1_host(parameters, host, host.utf8.count) == 1 { return }
        }
        ErrorQueue.clear()
        throw .because(
            .verify,
            "not a name or address that can be verified: " + TLSFailure.quoted(identity.verifyName)
        )
    }

    /// The name without the dot of the root, which neither SNI nor certificates have (RFC 6066 §3, RFC 9525 §6.3). One with
    /// an empty label is refused: OpenSSL takes a leading dot to mean every name below.
    private static func dnsName(_ name: [UInt8]) throws(TLSFailure) -> [UInt8] {
        let bare = name.last == UInt8(ascii: ".") ? Array(name.dropLast()) : name
        let labels = bare.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if labels.contains(where: { $0.isEmpty }) {
            throw .because(.verify, "not a name: " + TLSFailure.quoted(name))
        }
        return bare
    }

    /// A name as OpenSSL takes it: with NUL, it would verify only the part before.
    private static func text(_ name: [UInt8]) throws(TLSFailure) -> String {
        guard name.count <= nameBytesMax, name.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw .because(.handshake, "not a name: " + TLSFailure.quoted(name))
        }
        return String(decoding: name, as: UTF8.self)
    }

    /// Whether it can only be an IP address: with a colon, or with a last label of digits. Source: RFC 3986
    /// §3.2.2; no top-level domain is numeric (RFC 3696 §2).
    private static func isAddress(_ name: [UInt8]) -> Bool {
        if name.contains(UInt8(ascii: ":")) { return true }
        let last = name.reversed().prefix { $0 != UInt8(ascii: ".") }
        return !last.isEmpty && last.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }
}
