// TLSSettings.swift: how TLS is spoken on one hop of a connection, and what came of it.
// Owns: the identity of a TLS peer and of ourselves. Never touches: a TLS library, a file, a socket.
// Source: DESIGN "Identity is part of the key"; RFC 8446; RFC 9110 §4.3.4.

/// Versions of TLS that are spoken at all. Source: RFC 8996 (1.0 and 1.1 are deprecated).
package enum TLSVersion: Int, Comparable, Hashable, Sendable {
    case v12 = 12
    case v13 = 13

    package static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.rawValue < right.rawValue }
}

/// Whose signature under the peer's certificate counts.
package enum TLSTrust: Hashable, Sendable {
    /// The certificates that the system trusts.
    case system
    /// Those of a file in PEM, by path.
    case file(String)
    /// Those of a folder of hashed names (`openssl rehash`), by path.
    case directory(String)
    /// Nobody's is asked for: the peer may be anyone. The name is not verified either.
    case anyone
}

/// Everything that decides how a hop is secured, but for the names. Compared whole: two settings that differ in
/// anything never share a connection, a session ticket or a context.
package struct TLSSettings: Hashable, Sendable {
    package var trust = TLSTrust.system
    /// Path of our certificate with its chain, PEM; empty: none is shown.
    package var certificateFile = ""
    /// Path of its private key, PEM; empty: in `certificateFile`.
    package var keyFile = ""
    package var versionMin = TLSVersion.v12
    package var versionMax = TLSVersion.v13
    /// Ciphers of TLS 1.2, as OpenSSL writes the list; empty: the default.
    package var ciphers = ""
    /// Cipher suites of TLS 1.3, as OpenSSL writes the list; empty: the default.
    package var cipherSuites = ""
    /// Protocols to offer, most wanted first, each 1 to 255 bytes; empty: the extension is left out.
    package var alpn: [String] = ["http/1.1"]
    /// SHA-256 digests (32 bytes each) of public keys (SubjectPublicKeyInfo) of which the peer's chain must hold one;
    /// empty: any. Source: RFC 7469 §2.4.
    package var pins: [[UInt8]] = []
    /// Whether the peer has to show a valid OCSP response for its certificate. Source: RFC 6066 §8.
    package var requiresStaple = false

    package init() {}
}

/// One hop's TLS: settings and names.
package struct TLSIdentity: Hashable, Sendable {
    package var settings: TLSSettings
    /// Sent as SNI; empty: none, as for an IP address. Source: RFC 6066 §3.
    package var serverName: [UInt8]
    /// DNS name or IP address (text, no brackets) that the certificate must be for. Source: RFC 9525.
    package var verifyName: [UInt8]

    package init(settings: TLSSettings, serverName: [UInt8], verifyName: [UInt8]) {
        self.settings = settings
        self.serverName = serverName
        self.verifyName = verifyName
    }
}

/// What a handshake agreed upon.
package struct TLSFacts: Equatable, Sendable {
    package var version = TLSVersion.v13
    /// The cipher's standard name, e.g. `TLS_AES_128_GCM_SHA256`.
    package var cipher = ""
    /// The protocol that the peer chose; empty: none.
    package var alpn = ""
    /// SHA-256 of the peer's certificate (DER): 32 bytes.
    package var certificateSHA256: [UInt8] = []
    package var isResumed = false

    package init() {}
}

/// Why a hop could not be secured.
package struct TLSFailure: Error, Equatable, Sendable {
    package enum Kind: Sendable {
        /// The handshake did not come to its end: TLS_HANDSHAKE.
        case handshake
        /// It would have, but the peer is not who it has to be: TLS_VERIFY.
        case verify
    }

    /// Who can be at fault.
    package enum Blame: Sendable {
        /// The peer: what it sent is no TLS, or it broke off. So would it with others.
        case peer
        /// The two do not fit: others, with other names or settings, may get on with it.
        case either
        /// Our own settings or files cannot be used: nothing is known about the peer.
        case us
    }

    package var kind: Kind
    package var blame: Blame
    /// For people and logs, at most 200 bytes; with the certificate's subject where there is one, never a secret.
    package var detail: String

    /// Without `blame` a peer that is not who it has to be may be right for others, and all else is its fault.
    package init(_ kind: Kind, _ detail: String, blame: Blame? = nil) {
        self.kind = kind
        self.blame = blame ?? (kind == .verify ? .either : .peer)
        self.detail = detail
    }
}
