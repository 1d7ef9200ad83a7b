// FetchTLSOptions.swift: how `fetch` speaks TLS to the origin.
// Owns: these options and what they mean together. Never touches: a certificate.
// Source: curl(1) for the names; proto/outrigger.proto, message Tls.
import ArgumentParser
import Configuration
import Model

/// TLS to the origin.
struct FetchTLSOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Trust the certificates of this PEM file, not the system's.", valueName: "file")
    )
    var cacert: String?

    @Option(
        help: ArgumentHelp(
            "Trust those of this folder, with names as openssl rehash makes.",
            valueName: "dir"
        )
    )
    var capath: String?

    @Flag(
        name: [.customShort("k"), .long],
        help: "Take anyone for the origin: verify neither chain nor name."
    )
    var insecure = false

    @Option(
        name: [.customShort("E"), .long],
        help: ArgumentHelp("PEM file of the certificate to show, with its chain.", valueName: "file")
    )
    var cert: String?

    @Option(help: ArgumentHelp("PEM file of its key, unless that is in --cert's.", valueName: "file"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "Server name to send. The URL's host unless that is an address.",
            valueName: "name"
        )
    )
    var sni: String?

    @Option(
        help: ArgumentHelp(
            "Name or IP address that the certificate must be for. --sni's, or else the URL's host.",
            valueName: "name"
        )
    )
    var verifyName: String?

    @Flag(name: .customLong("tlsv1.2"), help: "TLS 1.2 or later; so it is without this, too.")
    var isFromV12 = false

    @Flag(name: .customLong("tlsv1.3"), help: "TLS 1.3 or later.")
    var isFromV13 = false

    @Option(help: ArgumentHelp("Latest version.", valueName: "version"))
    var tlsMax: FetchTLSVersion?

    @Option(help: ArgumentHelp("Ciphers of TLS 1.2, as OpenSSL writes them.", valueName: "list"))
    var ciphers: String?

    @Option(
        name: .customLong("tls13-ciphers"),
        help: ArgumentHelp("Cipher suites of TLS 1.3, as OpenSSL writes them.", valueName: "list")
    )
    var cipherSuites: String?

    @Option(
        help: ArgumentHelp(
            "Protocol to offer; http/1.1 unless said. Repeat for more, most wanted first.",
            valueName: "name"
        )
    )
    var alpn: [String] = []

    @Option(
        help: ArgumentHelp(
            "Digest of a public key that has to be in the chain, sha256//BASE64. Repeat to permit more.",
            valueName: "pin"
        )
    )
    var pinnedpubkey: [String] = []

    @Flag(help: "Demand a valid OCSP response with the certificate.")
    var certStatus = false

    @Option(help: ArgumentHelp("TLS profile of the sidecar's configuration.", valueName: "name"))
    var tlsProfile: String?

    /// What was said, as it is written.
    var given: [String] {
        let texts = [
            (cacert, "--cacert"), (capath, "--capath"), (cert, "--cert"), (key, "--key"), (sni, "--sni"),
            (verifyName, "--verify-name"), (ciphers, "--ciphers"), (cipherSuites, "--tls13-ciphers"),
            (alpn.first, "--alpn"), (pinnedpubkey.first, "--pinnedpubkey"), (tlsProfile, "--tls-profile"),
        ]
        let flags = [
            (insecure, "--insecure"), (isFromV12, "--tlsv1.2"), (isFromV13, "--tlsv1.3"),
            (tlsMax != nil, "--tls-max"), (certStatus, "--cert-status"),
        ]
        return texts.filter { $0.0 != nil }.map(\.1) + flags.filter(\.0).map(\.1)
    }

    /// What the request says of TLS to the origin, whose files `reader` will open; `nil`: nothing, so that
    /// the sidecar's defaults hold.
    func request(_ reader: FetchFileReader) throws(CommandFailure) -> TLSRequest? {
        if given.isEmpty { return nil }
        try check()
        var tls = TLSRequest()
        tls.trust = try reader.trust(file: cacert, directory: capath, anyone: insecure, prefix: "--")
        if let cert { tls.certificateFile = try reader.path(cert, "--cert") }
        if let key { tls.keyFile = try reader.path(key, "--key") }
        tls.profile = tlsProfile ?? ""
        tls.serverName = sni ?? ""
        tls.verifyName = verifyName ?? ""
        tls.versionMin = isFromV13 ? .v13 : isFromV12 ? .v12 : nil
        tls.versionMax = tlsMax?.version
        tls.ciphers = ciphers ?? ""
        tls.cipherSuites = cipherSuites ?? ""
        tls.alpn = alpn
        tls.pins = try Self.pins(pinnedpubkey)
        tls.requiresStaple = certStatus
        return tls
    }

    /// What contradicts itself.
    private func check() throws(CommandFailure) {
        if insecure && verifyName != nil {
            throw .usage("--insecure verifies no name: leave out --verify-name")
        }
        if insecure && certStatus { throw .usage("--insecure verifies no status: leave out --cert-status") }
        if key != nil && cert == nil { throw .usage("--key goes with --cert") }
        if isFromV12 && isFromV13 { throw .usage("--tlsv1.2 and --tlsv1.3 exclude each other") }
        if isFromV13 && tlsMax == .v12 { throw .usage("--tlsv1.3 is above --tls-max 1.2") }
        if isFromV13 && ciphers != nil { throw .usage("--ciphers are of TLS 1.2, which --tlsv1.3 rules out") }
        if tlsMax == .v12 && cipherSuites != nil {
            throw .usage("--tls13-ciphers are of TLS 1.3, which --tls-max rules out")
        }
        if let sni, IPAddress(text: sni) != nil {
            // RFC 6066 §3.
            throw .usage("--sni takes no address: TLS sends names only")
        }
    }

    /// As curl writes them: sha256//BASE64, also several with ';' between them.
    private static func pins(_ texts: [String]) throws(CommandFailure) -> [[UInt8]] {
        let mark = "sha256//"
        var pins: [[UInt8]] = []
        for pin in texts.flatMap({ $0.split(separator: ";", omittingEmptySubsequences: false) }) {
            guard pin.hasPrefix(mark), let digest = Digest.bytes(String(pin.dropFirst(mark.count))) else {
                throw .usage("'\(pin)' is no pin; write sha256// and 44 characters of base64")
            }
            pins.append(digest)
        }
        return pins
    }
}

/// Words for `TLSVersion`.
enum FetchTLSVersion: String, ExpressibleByArgument, CaseIterable {
    case v12 = "1.2"
    case v13 = "1.3"

    var version: TLSVersion {
        switch self {
        case .v12: .v12
        case .v13: .v13
        }
    }
}
