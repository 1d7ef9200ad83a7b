// Certificates.swift: certificates, keys and OCSP responses of the tests, made in the process.
// All keys are Ed25519: quick to make, and strong enough for OpenSSL's security level 2.
import COpenSSL
import Glibc
import Synchronization

/// A certificate with its key. Never freed: the tests keep theirs for as long as they run.
@safe struct Credential: @unchecked Sendable {
    // SAFETY: both are made once, never changed after that and never freed; OpenSSL counts references
    // atomically.
    let certificate: OpaquePointer
    let key: OpaquePointer
    let issuer: OpaquePointer

    /// - Parameters:
    ///   - name: of the subject, the common name.
    ///   - issuer: nil: it signs itself.
    ///   - extensions: in the words of x509v3_config(5).
    ///   - days: from and to, counted from now.
    ///   - weak: with an RSA key of 1024 bits.
    init(
        _ name: String,
        by issuer: Credential?,
        _ extensions: [(nid: Int32, value: String)],
        days: ClosedRange<Int> = -1...30,
        weak: Bool = false
    ) {
        // SAFETY: everything is ours, and no call keeps an address of a Swift value.
        unsafe key = Self.makeKey(weak: weak)
        let certificate = unsafe made(X509_new())
        unsafe X509_set_version(certificate, 2)
        unsafe ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...(.max)))
        unsafe X509_time_adj_ex(X509_getm_notBefore(certificate), Int32(days.lowerBound), 0, nil)
        unsafe X509_time_adj_ex(X509_getm_notAfter(certificate), Int32(days.upperBound), 0, nil)
        unsafe X509_set_pubkey(certificate, key)
        let subject = unsafe X509_get_subject_name(certificate)
        unsafe X509_NAME_add_entry_by_txt(
            subject,
            "CN",
            0x1000,
            Array(name.utf8),
            Int32(name.utf8.count),
            -1,
            0
        )
        let signer = unsafe issuer?.certificate ?? certificate
        unsafe X509_set_issuer_name(certificate, X509_get_subject_name(signer))
        for (nid, value) in extensions {
            var context = unsafe X509V3_CTX()
            unsafe X509V3_set_ctx(&context, signer, certificate, nil, nil, 0)
            let made = unsafe X509V3_EXT_nconf_nid(nil, &context, nid, value)
            precondition(unsafe made != nil, "extension \(value)")
            unsafe X509_add_ext(certificate, made, -1)
            unsafe X509_EXTENSION_free(made)
        }
        unsafe X509_sign(certificate, issuer?.key ?? key, nil)
        unsafe self.certificate = certificate
        unsafe self.issuer = signer
    }

    private static func makeKey(weak: Bool) -> OpaquePointer {
        // SAFETY: the context is freed; the key is the caller's.
        let context = unsafe EVP_PKEY_CTX_new_id(weak ? EVP_PKEY_RSA : EVP_PKEY_ED25519, nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        unsafe EVP_PKEY_keygen_init(context)
        if weak { unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context, 1024) }
        unsafe EVP_PKEY_keygen(context, &key)
        return unsafe made(key)
    }

    /// SHA-256 of the certificate, computed from its DER.
    var digest: [UInt8] {
        // SAFETY: see the members.
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe i2d_X509(certificate, &bytes)
        defer { unsafe openssl_free(bytes) }
        return unsafe sha256(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    /// SHA-256 of the public key, computed from its DER.
    var pin: [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        // SAFETY: see the members.
        let count = unsafe i2d_PUBKEY(key, &bytes)
        defer { unsafe openssl_free(bytes) }
        return unsafe sha256(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    /// Writes certificate and key in PEM; of `also` the certificate only.
    func write(certificate path: String, also: [Credential] = [], key keyPath: String? = nil) {
        // SAFETY: files of ours.
        let file = unsafe BIO_new_file(path, "w")
        for identity in [self] + also { unsafe PEM_write_bio_X509(file, identity.certificate) }
        if keyPath == path { unsafe PEM_write_bio_PrivateKey(file, key, nil, nil, 0, nil, nil) }
        unsafe BIO_free(file)
        guard let keyPath, keyPath != path else { return }
        let keyFile = unsafe BIO_new_file(keyPath, "w")
        unsafe PEM_write_bio_PrivateKey(keyFile, key, nil, nil, 0, nil, nil)
        unsafe BIO_free(keyFile)
    }
}

/// What cannot be missing: memory for it, or an argument that we set.
func made<Value>(_ value: Value?) -> Value {
    guard let value else { preconditionFailure("nothing was made") }
    return value
}

@unsafe private func sha256(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    // SAFETY: 32 bytes are what SHA-256 needs.
    unsafe EVP_Digest(bytes.baseAddress, bytes.count, &digest, nil, EVP_sha256(), nil)
    return digest
}

/// What a staple says.
struct StapleForm: Sendable {
    var status: Int32 = V_OCSP_CERTSTATUS_GOOD
    var reason: Int32 = -1
    /// Seconds from now.
    var thisUpdate = -60
    /// Seconds from now; nil: none.
    var nextUpdate: Int? = 3600
    var hashesWithSHA256 = false

    /// The response (DER) about `subject`, signed by `signer`.
    func bytes(about subject: Credential, signedBy signer: Credential) -> [UInt8] {
        // SAFETY: everything is ours and freed here, or belongs to the identities.
        let basic = unsafe OCSP_BASICRESP_new()
        let algorithm = hashesWithSHA256 ? unsafe EVP_sha256() : unsafe EVP_sha1()
        let id = unsafe OCSP_cert_to_id(algorithm, subject.certificate, subject.issuer)
        let begin = unsafe X509_gmtime_adj(nil, thisUpdate)
        let end = unsafe nextUpdate.map { unsafe X509_gmtime_adj(nil, $0) } ?? nil
        let revoked = unsafe status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(nil, -3600) : nil
        unsafe OCSP_basic_add1_status(basic, id, status, reason, revoked, begin, end)
        let signs = unsafe OCSP_basic_sign(basic, signer.certificate, signer.key, nil, nil, 0)
        precondition(signs == 1, "cannot sign a staple")
        let response = unsafe OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic)
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe i2d_OCSP_RESPONSE(response, &bytes)
        defer {
            unsafe openssl_free(bytes)
            unsafe OCSP_RESPONSE_free(response)
            unsafe OCSP_BASICRESP_free(basic)
            unsafe OCSP_CERTID_free(id)
            unsafe ASN1_STRING_free(begin)
            unsafe ASN1_STRING_free(end)
            unsafe ASN1_STRING_free(revoked)
        }
        return unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: Int(count)))
    }
}

/// The certificates of the tests.
enum Issued {
    private static let authority: [(nid: Int32, value: String)] = [
        (NID_basic_constraints, "critical,CA:TRUE"),
        (NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature"),
        (NID_subject_key_identifier, "hash"),
    ]

    private static func leaf(
        _ names: String?,
        for usage: String = "serverAuth"
    ) -> [(nid: Int32, value: String)] {
        let rest = [(nid: NID_ext_key_usage, value: usage), (nid: NID_key_usage, value: "digitalSignature")]
        return rest + (names.map { [(nid: NID_subject_alt_name, value: $0)] } ?? [])
    }

    static let root = Credential("Test Root", by: nil, authority)
    static let middle = Credential("Test Middle", by: root, authority)
    static let otherRoot = Credential("Other Root", by: nil, authority)
    static let expiredMiddle = Credential("Expired Middle", by: root, authority, days: -30...(-1))

    static let names = "DNS:a.example,DNS:b.example,DNS:*.wild.example,IP:192.0.2.1,IP:2001:db8::1"
    static let good = Credential("good", by: root, leaf(names))
    static let underMiddle = Credential("under middle", by: middle, leaf(names))
    static let underExpired = Credential("under expired", by: expiredMiddle, leaf(names))
    static let expired = Credential("expired", by: root, leaf(names), days: -30...(-1))
    static let early = Credential("early", by: root, leaf(names), days: 1...30)
    static let unknown = Credential("unknown", by: otherRoot, leaf(names))
    static let selfSigned = Credential("self-signed", by: nil, leaf(names))
    static let withoutNames = Credential("a.example", by: root, leaf(nil))
    /// `a.example`, NUL, `.evil.example` as one DNS name.
    static let withNUL = Credential(
        "NUL",
        by: root,
        leaf("DER:30:1B:82:19:61:2E:65:78:61:6D:70:6C:65:00:2E:65:76:69:6C:2E:65:78:61:6D:70:6C:65:2E:78")
    )
    static let partialWildcard = Credential("partial", by: root, leaf("DNS:w*.wild.example,DNS:*.example"))
    static let forClients = Credential("for clients", by: root, leaf(names, for: "clientAuth"))
    static let hostile = Credential(
        "evil\r\n\u{1B}[2Jü" + String(repeating: "x", count: 40),
        by: otherRoot,
        leaf(names)
    )

    static let longName = String(repeating: "y", count: 64)
    static let longSubject = Credential(longName, by: root, leaf("DNS:z.example"))
    static let weak = Credential("weak", by: root, leaf(names), weak: true)

    static let client = Credential("client", by: root, leaf(nil, for: "clientAuth"))
    static let otherClient = Credential("other client", by: root, leaf(nil, for: "clientAuth"))
    static let responder = Credential("responder", by: root, leaf(nil, for: "OCSPSigning"))
    static let falseResponder = Credential("false responder", by: root, leaf(nil, for: "serverAuth"))
}

/// A folder of its own, removed with the object.
final class Folder {
    let path: String
    /// Tests run side by side, and share a folder.
    private let files = Mutex<Set<String>>([])

    init() {
        var template = Array("/tmp/tls-tests-XXXXXX".utf8CString)
        // SAFETY: the array is NUL-terminated, and written to before the call returns.
        guard let made = unsafe mkdtemp(&template) else { preconditionFailure("no folder") }
        path = unsafe String(cString: made)
    }

    deinit { remove() }

    func remove() {
        // SAFETY: the strings outlive the calls.
        for file in files.withLock({ $0 }) { unsafe unlink(file) }
        unsafe rmdir(path)
    }

    /// Path of a file that will be removed.
    func file(_ name: String) -> String {
        let file = path + "/" + name
        files.withLock { _ = $0.insert(file) }
        return file
    }

    func write(_ text: String, to name: String) -> String {
        let path = file(name)
        // SAFETY: a file of ours.
        let stream = unsafe fopen(path, "w")
        unsafe fputs(text, stream)
        unsafe fclose(stream)
        return path
    }
}

/// Files that many tests read and none changes.
enum Files {
    // SAFETY: made once; its list of files has a lock.
    nonisolated(unsafe) private static let folder: Folder = {
        atexit { unsafe Files.folder.remove() }
        return Folder()
    }()

    static let root: String = {
        let path = unsafe folder.file("root.pem")
        Issued.root.write(certificate: path)
        return path
    }()

    static let otherRoot: String = {
        let path = unsafe folder.file("other-root.pem")
        Issued.otherRoot.write(certificate: path)
        return path
    }()

    /// Certificate and key of a client in one file.
    static let client: String = {
        let path = unsafe folder.file("client.pem")
        Issued.client.write(certificate: path, key: path)
        return path
    }()
}
