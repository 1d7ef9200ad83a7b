// TLSSection.swift: `tls:`, profiles by name, and the same mapping inside a route.
// Owns: the keys of a profile. Never touches: a TLS library. Source: Sources/Model/TLSSettings.swift; limits:
// message Tls of proto/outrigger.proto.
import Model

private enum TLSKeys {
    static let trust = Key(
        "trust",
        "system",
        "Whose signature under the peer's certificate counts: system, none, {file: PATH} (PEM) or {directory: PATH} (as",
        "openssl rehash makes it). With none the peer may be anyone, and its name is not looked at. Default: system."
    )
    static let certificate = Key(
        "certificate",
        "/etc/outrigger/client.pem",
        "PEM file of the certificate to show, with its chain; a path of 1 to 4096 bytes. Default: none is shown."
    )
    static let key = Key(
        "key",
        "/etc/outrigger/client.key",
        "PEM file of its key; a path of 1 to 4096 bytes. Default: in the certificate's file."
    )
    static let versionMin = Key(
        "min-version",
        "\"1.2\"",
        "Lowest version: \"1.2\" or \"1.3\". Default: \"1.2\"."
    )
    static let versionMax = Key(
        "max-version",
        "\"1.3\"",
        "Highest version: \"1.2\" or \"1.3\". Default: \"1.3\"."
    )
    static let ciphers = Key(
        "ciphers",
        "ECDHE+AESGCM:ECDHE+CHACHA20",
        "Ciphers of TLS 1.2 as OpenSSL writes them; 1 to 1024 bytes. Default: OpenSSL's."
    )
    static let cipherSuites = Key(
        "cipher-suites",
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
        "Cipher suites of TLS 1.3 as OpenSSL writes them; 1 to 1024 bytes. Default: OpenSSL's."
    )
    static let alpn = Key(
        "alpn",
        "[http/1.1]",
        "Protocols to offer, most wanted first: at most 8 of 1 to 255 bytes; [] leaves the extension out. Default:",
        "[http/1.1]."
    )
    static let pins = Key(
        "spki-sha256",
        "[47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]",
        "SHA-256 digests of public keys (SubjectPublicKeyInfo), base64 or hex, of which the peer's chain must hold one:",
        "at most 16. Default: any key."
    )
    static let requiresStaple = Key(
        "require-staple",
        "false",
        "Whether the peer has to show a valid OCSP response for its certificate: true or false. Default: false."
    )
    static let serverName = Key(
        "server-name",
        "origin.example",
        "Server name to send (SNI): a DNS name of 1 to 255 bytes. Default: the host of the request."
    )
    static let verifyName = Key(
        "verify-name",
        "origin.example",
        "DNS name or IP address that the certificate must be for; 1 to 255 bytes. Default: the server name."
    )

    static let all = [
        trust, certificate, key, versionMin, versionMax, ciphers, cipherSuites, alpn, pins, requiresStaple,
        serverName,
        verifyName,
    ]
}

extension Section {
    static let tls = Section(
        key: Key("tls", ""),
        read: { node, reading, settings in
            for entry in reading.mapping(node, "tls") ?? [] where reading.isName(entry, "tls") {
                settings.named.tlsProfiles[entry.key] = reading.profile(entry.value, "tls: \(entry.key)")
            }
        },
        check: { _, _ in },
        lines: {
            let head = [
                "# TLS profiles by name (1 to 64 letters, digits, '.', '-', '_'). A request that names none gets \"default\".",
                "tls:", "  #default:",
            ]
            return head + TLSKeys.all.flatMap { $0.lines(indent: "    ") } + [""]
        }
    )
}

extension Key {
    /// Its lines in the printed file.
    func lines(indent: String) -> [String] {
        help.map { "\(indent)# \($0)" } + ["\(indent)#\(name):\(example.isEmpty ? "" : " \(example)")"]
    }
}

extension Reading {
    /// Reads a profile. What is wrong in it keeps its default.
    mutating func profile(_ node: Node, _ name: String) -> TLSProfile {
        var profile = TLSProfile()
        guard let fields = fields(node, name, TLSKeys.all) else { return profile }
        takeFiles(fields, name, &profile.settings)
        takeVersions(fields, name, &profile.settings)
        takeExtensions(fields, name, &profile.settings)
        takeNames(fields, name, &profile)
        return profile
    }

    private mutating func takeFiles(_ fields: Fields, _ name: String, _ settings: inout TLSSettings) {
        if let node = fields[TLSKeys.trust] { takeTrust(node, "\(name): trust", &settings) }
        if let node = fields[TLSKeys.certificate], let path = filePath(node, "\(name): certificate") {
            settings.certificateFile = path
            var wanted = ["-----BEGIN CERTIFICATE-----"]
            if fields[TLSKeys.key] == nil { wanted.append("PRIVATE KEY-----") }
            look(at: path, node, "\(name): certificate", for: wanted)
        }
        guard let node = fields[TLSKeys.key], let path = filePath(node, "\(name): key") else { return }
        settings.keyFile = path
        look(at: path, node, "\(name): key", for: ["PRIVATE KEY-----"])
        if fields[TLSKeys.certificate] == nil { error(node.mark, "\(name): a key without a certificate") }
    }

    private mutating func takeTrust(_ node: Node, _ name: String, _ settings: inout TLSSettings) {
        let wrong = "\(name): one of system, none, {file: PATH}, {directory: PATH}"
        switch node.content {
        case .text("system", _): settings.trust = .system
        case .text("none", _):
            settings.trust = .anyone
            warn(
                node.mark,
                "\(name): with none the peer may be ANYONE: whoever is in between reads and changes it all"
            )
        case .mapping(let entries) where entries.count == 1 && entries[0].key == "file":
            guard let path = filePath(entries[0].value, name) else { return }
            settings.trust = .file(path)
            look(at: path, entries[0].value, name, for: ["-----BEGIN "])
        case .mapping(let entries) where entries.count == 1 && entries[0].key == "directory":
            guard let path = filePath(entries[0].value, name) else { return }
            settings.trust = .directory(path)
            lookAtFolder(path, entries[0].value, name)
        case .text, .list, .mapping: error(node.mark, wrong)
        }
    }

    private mutating func takeVersions(_ fields: Fields, _ name: String, _ settings: inout TLSSettings) {
        let versions = [("1.2", TLSVersion.v12), ("1.3", TLSVersion.v13)]
        var isKnown = true
        if let node = fields[TLSKeys.versionMin] {
            if let version = choice(node, "\(name): min-version", versions) {
                settings.versionMin = version
            } else {
                isKnown = false
            }
        }
        if let node = fields[TLSKeys.versionMax] {
            if let version = choice(node, "\(name): max-version", versions) {
                settings.versionMax = version
            } else {
                isKnown = false
            }
        }
        if settings.versionMin > settings.versionMax, isKnown,
            let mark = fields[TLSKeys.versionMin]?.mark ?? fields[TLSKeys.versionMax]?.mark
        {
            error(mark, "\(name): min-version is above max-version")
        }
        if let node = fields[TLSKeys.ciphers], let text = text(node, "\(name): ciphers", 1...1024) {
            settings.ciphers = text
            if settings.versionMin == .v13 {
                warn(node.mark, "\(name): ciphers are of TLS 1.2, which is switched off")
            }
        }
        if let node = fields[TLSKeys.cipherSuites], let text = text(node, "\(name): cipher-suites", 1...1024)
        {
            settings.cipherSuites = text
            if settings.versionMax == .v12 {
                warn(node.mark, "\(name): cipher-suites are of TLS 1.3, which is switched off")
            }
        }
    }

    private mutating func takeExtensions(_ fields: Fields, _ name: String, _ settings: inout TLSSettings) {
        if let node = fields[TLSKeys.alpn], let nodes = list(node, "\(name): alpn", countMax: 8) {
            settings.alpn = []
            for node in nodes {
                guard let text = text(node, "\(name): alpn", 1...255) else { continue }
                if text == "h2" {
                    warn(node.mark, "\(name): alpn: HTTP/2 is not spoken, and a peer may choose it")
                }
                settings.alpn.append(text)
            }
        }
        if let node = fields[TLSKeys.pins], let nodes = list(node, "\(name): spki-sha256", countMax: 16) {
            for node in nodes {
                if case .text(let text, _) = node.content, let digest = Digest.bytes(text) {
                    settings.pins.append(digest)
                } else {
                    error(node.mark, "\(name): spki-sha256: 32 bytes as 44 characters of base64 or 64 of hex")
                }
            }
        }
        guard let node = fields[TLSKeys.requiresStaple], let value = isTrue(node, "\(name): require-staple")
        else {
            return
        }
        settings.requiresStaple = value
        if value, settings.trust == .anyone {
            error(node.mark, "\(name): require-staple with trust: none, where nobody's signature counts")
        }
    }

    private mutating func takeNames(_ fields: Fields, _ name: String, _ profile: inout TLSProfile) {
        if let node = fields[TLSKeys.serverName], let text = text(node, "\(name): server-name", 1...255) {
            if HostName.isName(text) {
                profile.serverName = text
            } else {
                // RFC 6066 §3: no literal addresses.
                error(node.mark, "\(name): server-name: a DNS name is wanted, no address, port or URL")
            }
        }
        guard let node = fields[TLSKeys.verifyName], let text = text(node, "\(name): verify-name", 1...255)
        else {
            return
        }
        guard HostName.isName(text) || IPAddress(text: text) != nil else {
            error(node.mark, "\(name): verify-name: a DNS name or an IP address without brackets is wanted")
            return
        }
        profile.verifyName = text
        if profile.settings.trust == .anyone {
            error(node.mark, "\(name): verify-name with trust: none, where no name is verified")
        }
    }
}

/// Names of hosts.
enum HostName {
    /// Whether `text` is a DNS name: labels of letters, digits, hyphens and underscores. An address is none.
    static func isName(_ text: String) -> Bool {
        guard IPAddress(text: text) == nil else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            1...63 ~= label.utf8.count
                && label.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                        || $0 == 0x2D || $0 == 0x5F
                }
        }
    }
}
