// ContextTests.swift: settings, the files they name, and what happens when those change.
import COpenSSL
import Glibc
import Model
import TLS
import Testing

@Suite struct ContextTests {
    private let folder = Folder()

    private func words(_ change: (inout TLSSettings) -> Void) -> String {
        var client = TLSClient()
        switch outcome(&client, peer("a.example", change), Server()) {
        case .success: return ""
        case .failure(let failure):
            #expect(failure.kind == .handshake)
            return failure.detail
        }
    }

    @Test func `settings that cannot be are refused in words`() {
        #expect(words { $0.ciphers = "NONSENSE" } == #"no known cipher in "NONSENSE""#)
        #expect(words { $0.cipherSuites = "TLS_NONSENSE" } == #"an unknown suite in "TLS_NONSENSE""#)
        #expect(
            words { $0.ciphers = "ALL:@SECLEVEL=0" } == #"ciphers "ALL:@SECLEVEL=0" must not hold @ or NUL"#
        )
        #expect(words { $0.ciphers = "ALL\0x" } == #"ciphers "ALL\x00x" must not hold @ or NUL"#)
        #expect(
            words {
                $0.versionMin = .v13
                $0.versionMax = .v12
            } == "the lowest version is higher than the highest"
        )
        #expect(words { $0.pins = [[1, 2, 3]] } == "a pin must be 32 bytes, a SHA-256 digest")
        #expect(words { $0.alpn = [""] } == #"ALPN name "" is not 1 to 255 bytes"#)
        #expect(words { $0.alpn = [String(repeating: "x", count: 256)] }.hasSuffix("is not 1 to 255 bytes"))
        #expect(
            words { $0.alpn = [String](repeating: String(repeating: "x", count: 255), count: 300) }
                == "too many ALPN names"
        )
        #expect(words { $0.keyFile = Files.client } == "a key file without a certificate file")
        #expect(
            words {
                $0.trust = .anyone
                $0.requiresStaple = true
            } == "a required OCSP staple needs issuers to trust"
        )
    }

    @Test func `files that cannot be read are named`() {
        let nothing = folder.path + "/nothing"
        let garbage = folder.write("garbage", to: "garbage")
        let pipe = folder.file("pipe")
        // SAFETY: the string outlives the call.
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        let path = folder.path
        #expect(
            words { $0.trust = .file(nothing) }
                == #"cannot read trust file "\#(nothing)": No such file or directory"#
        )
        #expect(words { $0.trust = .file(path) } == #"trust file "\#(path)" is not a plain file"#)
        #expect(words { $0.trust = .file(pipe) } == #"trust file "\#(pipe)" is not a plain file"#)
        #expect(words { $0.trust = .file(garbage) }.hasPrefix(#"cannot read trust file "\#(garbage)": "#))
        #expect(words { $0.trust = .file("a\0b") } == #"trust file "a\x00b" has no possible name"#)
        #expect(
            words { $0.trust = .directory(garbage) } == #"trust directory "\#(garbage)" is not a directory"#
        )
        #expect(
            words { $0.trust = .directory(nothing) }.hasPrefix(
                #"cannot read trust directory "\#(nothing)": "#
            )
        )
        #expect(
            words { $0.certificateFile = nothing }.hasPrefix(#"cannot read certificate file "\#(nothing)": "#)
        )
        #expect(
            words { $0.certificateFile = garbage }.hasPrefix(#"cannot read certificate file "\#(garbage)": "#)
        )
        #expect(
            words {
                $0.certificateFile = Files.client
                $0.keyFile = garbage
            }.hasPrefix(#"cannot read key file "\#(garbage)": "#)
        )
        #expect(
            words { $0.certificateFile = Files.root }
                == #"cannot read key file "\#(Files.root)": unsupported"#
        )
    }

    @Test func `a key has to be that of the certificate, and in the clear`() {
        let (certificate, key) = (folder.file("certificate"), folder.file("key"))
        Issued.client.write(certificate: certificate)
        Issued.otherClient.write(certificate: folder.file("other"), key: key)
        #expect(
            words {
                $0.certificateFile = certificate
                $0.keyFile = key
            } == #"cannot read key file "\#(key)": key values mismatch"#
        )
        let locked = folder.file("locked")
        // SAFETY: a file of ours.
        let file = unsafe BIO_new_file(locked, "w")
        unsafe PEM_write_bio_PrivateKey(
            file,
            Issued.client.key,
            EVP_aes_128_cbc(),
            Array("password".utf8),
            8,
            nil,
            nil
        )
        unsafe BIO_free(file)
        // Nobody is asked for the password: that would stop the process at a terminal.
        #expect(
            words {
                $0.certificateFile = certificate
                $0.keyFile = locked
            }.hasPrefix(#"cannot read key file "\#(locked)": "#)
        )
    }

    @Test func `a directory of hashed names is trusted`() throws {
        // SAFETY: see `Credential`.
        let hash = unsafe X509_NAME_hash_ex(X509_get_subject_name(Issued.root.certificate), nil, nil, nil)
        let digits = String(hash, radix: 16)
        let name = String(repeating: "0", count: 8 - digits.count) + digits + ".0"
        var client = TLSClient()
        let path = folder.path
        let identity = peer { $0.trust = .directory(path) }
        guard case .failure(let failure) = outcome(&client, identity, Server()) else {
            return #expect(Bool(false))
        }
        #expect(failure == TLSFailure(.verify, "unknown issuer; subject CN=good"))
        Issued.root.write(certificate: folder.file(name))
        // The folder was changed: seen after a second.
        #expect(throws: Never.self) { try outcome(&client, identity, Server(), now: at(1000)).get() }
    }

    @Test func `the system's trust does not hold for the tests' authority`() {
        let failure = TLSFailure(.verify, "unknown issuer; subject CN=good")
        #expect(outcome(peer { $0.trust = .system }, Server()) == .failure(failure))
    }

    // Files that change.

    @Test func `files are looked at once a second, and a change makes all anew`() throws {
        let path = folder.file("trust.pem")
        Issued.root.write(certificate: path)
        let identity = peer { $0.trust = .file(path) }
        let context = ServerContext()
        var client = TLSClient()
        func isResumed(_ milliseconds: Int) throws(TLSFailure) -> Bool {
            try outcome(&client, identity, Server(context), now: at(milliseconds)).get().isResumed
        }
        #expect(try !isResumed(0))
        #expect(try isResumed(500))

        replace(path) { Issued.otherRoot.write(certificate: $0) }
        #expect(try isResumed(999))
        let unknown = TLSFailure(.verify, "unknown issuer; subject CN=good")
        #expect(throws: unknown) { try isResumed(1000) }
        #expect(client.sessionCount == 0 && client.contextCount == 1)

        // Broken: the old one is not used instead.
        _ = folder.write("broken", to: "trust.pem")
        let broken = #"cannot read trust file "\#(path)": "#
        for moment in [2000, 2500, 3000] {
            guard case .failure(let failure) = outcome(&client, identity, Server(context), now: at(moment))
            else {
                return #expect(Bool(false))
            }
            #expect(failure.kind == .handshake && failure.detail.hasPrefix(broken))
        }
        // SAFETY: the string outlives the call.
        unsafe unlink(path)
        #expect(throws: TLSFailure(.handshake, broken + "No such file or directory")) { try isResumed(4000) }

        Issued.root.write(certificate: path)
        #expect(throws: TLSFailure(.handshake, broken + "No such file or directory")) { try isResumed(4999) }
        #expect(try !isResumed(5000))
        #expect(try isResumed(5001))
        // Unchanged: kept.
        #expect(try isResumed(60_000))
    }

    @Test func `another certificate of ours makes all anew`() throws {
        let path = folder.file("client.pem")
        Issued.client.write(certificate: path, key: path)
        let identity = peer { $0.certificateFile = path }
        var client = TLSClient()
        let context = ServerContext()
        _ = try outcome(&client, identity, Server(context)).get()
        replace(path) { Issued.otherClient.write(certificate: $0, key: $0) }
        #expect(try !outcome(&client, identity, Server(context), now: at(1000)).get().isResumed)
    }

    @Test func `a ticket that comes after the change is not used`() throws {
        let path = folder.file("trust.pem")
        Issued.root.write(certificate: path)
        let identity = peer { $0.trust = .file(path) }
        let context = ServerContext()
        var client = TLSClient()
        let server = Server(context)
        var layer = try client.connect(identity, scope: [], now: at(0))
        var way = Way()
        guard case .done = way.handshake(&layer, server) else { return #expect(Bool(false)) }
        replace(path) { Issued.root.write(certificate: $0, also: [Issued.otherRoot]) }
        _ = try client.connect(identity, scope: [], now: at(1000))
        // Only now the old connection reads its tickets.
        _ = way.readAll(&layer, server)
        #expect(try !outcome(&client, identity, Server(context), now: at(1001)).get().isResumed)
    }

    /// Puts another file in the place of one, as a careful administrator does.
    private func replace(_ path: String, _ write: (String) -> Void) {
        write(path + ".new")
        // SAFETY: the strings outlive the call.
        #expect(unsafe rename(path + ".new", path) == 0)
    }

    // Bounds.

    @Test func `contexts are bounded, and take their sessions with them`() throws {
        var limits = TLSClient.Limits()
        limits.contextsMax = 2
        var client = TLSClient(limits: limits)
        let context = ServerContext()
        func connect(_ protocols: [String]) throws -> Bool {
            try outcome(&client, peer { $0.alpn = protocols }, Server(context)).get().isResumed
        }
        #expect(try !connect(["a"]))
        #expect(try !connect(["b"]))
        #expect(try connect(["a"]))
        #expect(client.contextCount == 2 && client.sessionCount == 4)
        // The one of "b" was not used for longest.
        #expect(try !connect(["c"]))
        #expect(client.contextCount == 2 && client.sessionCount == 4)
        #expect(try connect(["a"]))
        #expect(try !connect(["b"]))
    }

    @Test func `sessions are bounded by key and in all`() throws {
        var limits = TLSClient.Limits()
        limits.sessionKeysMax = 3
        limits.sessionsPerKeyMax = 2
        var client = TLSClient(limits: limits)
        var form = ServerForm()
        form.tickets = 5
        let context = ServerContext(form)
        for scope in 0..<10 {
            _ = try outcome(&client, peer(), scope: [UInt8(scope)], Server(context)).get()
            #expect(client.sessionCount == min(scope + 1, 3) * 2)
        }
        #expect(try !outcome(&client, peer(), scope: [6], Server(context)).get().isResumed)
        #expect(try outcome(&client, peer(), scope: [9], Server(context)).get().isResumed)
    }
}
