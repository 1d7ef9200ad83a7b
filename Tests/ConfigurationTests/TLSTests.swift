// TLSTests.swift: profiles: what they may say, what contradicts itself, what is only worth a warning.
import Configuration
import Model
import Testing

private let digest = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
private let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/// In the mapping of a profile that begins in column 6 of line 1.
private func row(_ name: String, _ profile: String, _ problems: String...) -> Row {
    Row(name, "tls: {t: {\(profile)}}", problems)
}

private let rows = [
    row("nothing", ""),
    row("trust in a word that is none", "trust: all", "1:18: error: tls: t: trust: \(trusts)"),
    row(
        "trust in two ways",
        "trust: {file: /ca.pem, directory: /ca}",
        "1:18: error: tls: t: trust: \(trusts)"
    ),
    row("trust in an unknown way", "trust: {folder: /ca}", "1:18: error: tls: t: trust: \(trusts)"),
    row("trust in no way", "trust: ", "1:18: error: tls: t: trust: \(trusts)"),
    row("a file", "trust: {file: /ca.pem}"),
    row("a file in the file's folder", "trust: {file: ca.pem}"),
    row("a folder", "trust: {directory: /ca}"),
    row("anybody", "trust: none", "1:18: warning: tls: t: trust: \(anyone)"),
    row("no such file", "trust: {file: /x}", "1:25: warning: tls: t: trust: '/x': no such file"),
    row("a folder as a file", "trust: {file: /ca}", "1:25: warning: tls: t: trust: '/ca' is a folder"),
    row(
        "a file as a folder",
        "trust: {directory: /ca.pem}",
        "1:30: warning: tls: t: trust: '/ca.pem' is no folder"
    ),
    row(
        "a folder without hashed names",
        "trust: {directory: /empty}",
        "1:30: warning: tls: t: trust: '/empty' has no hashed names; see openssl rehash"
    ),
    row("a certificate with its key", "certificate: /both.pem"),
    row("a certificate and a key", "certificate: /ca.pem, key: /key.pem"),
    row(
        "a certificate whose key is nowhere",
        "certificate: /ca.pem",
        "1:24: warning: tls: t: certificate: '/ca.pem' has no line with PRIVATE KEY-----"
    ),
    row(
        "a key in the certificate's place",
        "certificate: /key.pem, key: /key.pem",
        "1:24: warning: tls: t: certificate: '/key.pem' has no line with -----BEGIN CERTIFICATE-----"
    ),
    row("a key alone", "key: /key.pem", "1:16: error: tls: t: a key without a certificate"),
    row(
        "a path too long",
        "key: /" + String(repeating: "k", count: 4096),
        "1:16: error: tls: t: key: 1 to 4096 bytes"
    ),
    row("versions", "min-version: 1.3, max-version: \"1.3\""),
    row(
        "a version that is deprecated",
        "min-version: 1.1",
        "1:24: error: tls: t: min-version: one of 1.2, 1.3"
    ),
    row("a version that is none", "max-version: [1.3]", "1:24: error: tls: t: max-version: one of 1.2, 1.3"),
    row(
        "versions upside down",
        "max-version: 1.2, min-version: 1.3",
        "1:42: error: tls: t: min-version is above max-version"
    ),
    row(
        "ciphers of a version that is off",
        "ciphers: ALL, min-version: 1.3",
        "1:20: warning: tls: t: ciphers are of TLS 1.2, which is switched off"
    ),
    row(
        "suites of a version that is off",
        "cipher-suites: TLS_AES_128_GCM_SHA256, max-version: 1.2",
        "1:26: warning: tls: t: cipher-suites are of TLS 1.3, which is switched off"
    ),
    row("no ciphers", "ciphers: ''", "1:20: error: tls: t: ciphers: 1 to 1024 bytes"),
    row("no protocols", "alpn: []"),
    row("eight protocols", "alpn: [a, b, c, d, e, f, g, h]"),
    row("nine protocols", "alpn: [a, b, c, d, e, f, g, h, i]", "1:42: error: tls: t: alpn: at most 8"),
    row("an empty protocol", "alpn: ['']", "1:18: error: tls: t: alpn: 1 to 255 bytes"),
    row(
        "a protocol that we do not speak",
        "alpn: [h2]",
        "1:18: warning: tls: t: alpn: HTTP/2 is not spoken, and a peer may choose it"
    ),
    row("pins", "spki-sha256: [\(digest), \(hex), \(hex.uppercased())]"),
    row("a pin with a bit too much", "spki-sha256: [\(digest.replacing("U=", with: "V="))]", "1:25: \(pin)"),
    row(
        "a pin that is no base64",
        "spki-sha256: [\(digest.replacing("Qpj8", with: "Qp-8"))]",
        "1:25: \(pin)"
    ),
    row("a pin without padding", "spki-sha256: [\(digest.dropLast())]", "1:25: \(pin)"),
    row("a pin that is no hex", "spki-sha256: [\(hex.replacing("e3", with: "g3"))]", "1:25: \(pin)"),
    row("a pin too short", "spki-sha256: [\(hex.dropLast(2))]", "1:25: \(pin)"),
    row("a staple", "require-staple: true"),
    row("yes", "require-staple: yes", "1:27: error: tls: t: require-staple: one of true, false"),
    row(
        "a staple that nobody vouches for",
        "trust: none, require-staple: true",
        "1:18: warning: tls: t: trust: \(anyone)",
        "1:40: error: tls: t: require-staple with trust: none, where nobody's signature counts"
    ),
    row("names", "server-name: a_b.x-y.example, verify-name: '2001:db8::1'"),
    row("an address as SNI", "server-name: 192.0.2.1", "1:24: error: tls: t: \(serverName)"),
    row("a URL as SNI", "server-name: 'https://x/'", "1:24: error: tls: t: \(serverName)"),
    row("an empty label", "server-name: a..b", "1:24: error: tls: t: \(serverName)"),
    row("a name with NUL", #"verify-name: "a\0b""#, "1:24: error: tls: t: verify-name: \(control)"),
    row("an address in brackets", "verify-name: '[::1]'", "1:24: error: tls: t: \(verifyName)"),
    row(
        "a name to verify that nothing verifies",
        "trust: none, verify-name: a.example",
        "1:18: warning: tls: t: trust: \(anyone)",
        "1:37: error: tls: t: verify-name with trust: none, where no name is verified"
    ),
    row(
        "an unknown key",
        "requires-staple: true",
        "1:11: error: tls: t: unknown key 'requires-staple'; did you mean require-staple?"
    ),
    Row(
        "a profile that is a text",
        "tls: {t: system}",
        "1:10: error: tls: t: keys and values are wanted here"
    ),
    Row("an empty profile", "tls: {t: }"),
    Row("a name with a space", "tls: {a b: {}}", "1:7: error: tls: \(name)"),
    Row("an empty name", "tls: {'': {}}", "1:7: error: tls: \(name)"),
    Row("a name of 64", "tls: {\(String(repeating: "n", count: 64)): {}}"),
    Row("a name of 65", "tls: {\(String(repeating: "n", count: 65)): {}}", "1:7: error: tls: \(name)"),
]

private let trusts = "one of system, none, {file: PATH}, {directory: PATH}"
private let anyone = "with none the peer may be ANYONE: whoever is in between reads and changes it all"
private let pin = "error: tls: t: spki-sha256: 32 bytes as 44 characters of base64 or 64 of hex"
private let serverName = "server-name: a DNS name is wanted, no address, port or URL"
private let verifyName = "verify-name: a DNS name or an IP address without brackets is wanted"
private let control = "a control character does not belong here"
private let name = "a name has 1 to 64 letters, digits, '.', '-', '_'"

struct TLSTests {
    private let world = World(
        files: [
            "/ca.pem": World.certificate, "/etc/ca.pem": World.certificate, "/key.pem": World.key,
            "/both.pem": .bytes(Array("-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n".utf8)),
        ],
        folders: [
            "/ca": ["README", "0a1b2c3d.0"], "/empty": ["ca.pem", "0a1b2c3d", "0A1B2C3D.0", "0a1b2c3d.x"],
        ]
    )

    @Test(arguments: rows) func `a profile is sound, or the place of what is not is told`(_ row: Row) {
        #expect(world.read(row.text).problems == row.problems)
    }

    @Test func `every key of a profile has its place in the settings`() {
        let text = """
            tls:
              all:
                trust: {file: ca.pem}
                certificate: /ca.pem
                key: /key.pem
                min-version: "1.3"
                max-version: "1.3"
                cipher-suites: TLS_AES_128_GCM_SHA256
                alpn: [a, b]
                spki-sha256: [\(digest), \(hex)]
                require-staple: true
                server-name: sni.example
                verify-name: 192.0.2.1
              old: {max-version: "1.2", ciphers: ECDHE+AESGCM, trust: {directory: /ca}, alpn: []}
              default:
            """
        var all = TLSProfile()
        all.settings.trust = .file("/etc/ca.pem")
        all.settings.certificateFile = "/ca.pem"
        all.settings.keyFile = "/key.pem"
        all.settings.versionMin = .v13
        all.settings.cipherSuites = "TLS_AES_128_GCM_SHA256"
        all.settings.alpn = ["a", "b"]
        // SHA-256 of nothing.
        let nothing: [UInt8] = [
            0xE3, 0xB0, 0xC4, 0x42, 0x98, 0xFC, 0x1C, 0x14, 0x9A, 0xFB, 0xF4, 0xC8, 0x99, 0x6F, 0xB9, 0x24,
            0x27, 0xAE,
            0x41, 0xE4, 0x64, 0x9B, 0x93, 0x4C, 0xA4, 0x95, 0x99, 0x1B, 0x78, 0x52, 0xB8, 0x55,
        ]
        all.settings.pins = [nothing, nothing]
        all.settings.requiresStaple = true
        all.serverName = "sni.example"
        all.verifyName = "192.0.2.1"
        var old = TLSProfile()
        old.settings.versionMax = .v12
        old.settings.ciphers = "ECDHE+AESGCM"
        old.settings.trust = .directory("/ca")
        old.settings.alpn = []
        let answer = world.read(text)
        #expect(answer.problems.isEmpty)
        #expect(answer.settings.named.tlsProfiles == ["all": all, "old": old, "default": TLSProfile()])
    }
}
