// GSSContext.swift: the initiator's side of one authentication through GSSAPI.
// Owns: one context, from its first token to its last. Never delegates. Source: RFC 2743 §2.2.1; RFC 2744 §5.19;
// RFC 4559 §4.1.
#if Kerberos
import Authentication
import CGSSAPI
import Model

final class GSSContextMaker: SecurityContextMaker {
    private let credentials: GSSCredentialStore

    init(credentialsMax: Int) { credentials = GSSCredentialStore(countMax: credentialsMax) }

    func make(_ request: SecurityContextRequest) -> any SecurityContext {
        GSSContext(request, credentials)
    }

    func forgetUsers() { credentials.removeAll() }
}

// The handle is used by this class alone, under the claims below.
@safe final class GSSContext: SecurityContext {
    private let request: SecurityContextRequest
    private let credentials: GSSCredentialStore
    private var credential: GSSCredential?
    private var service: GSSName?
    private var handle: gss_ctx_id_t?
    private var isOver = false

    init(_ request: SecurityContextRequest, _ credentials: GSSCredentialStore) {
        self.request = request
        self.credentials = credentials
    }

    deinit { discard() }

    func step(_ input: Span<UInt8>) -> SecurityContextResult {
        if isOver { return .failed("a step after the last") }
        if !input.isEmpty && !isSound(input) {
            isOver = true
            return .failed("the server's NTLM message is malformed")
        }
        if service == nil, let failure = prepare() {
            isOver = true
            return .failed(failure.words)
        }
        let result = take(input)
        switch result {
        case .proceed: break
        case .done: isOver = true
        case .failed:
            isOver = true
            credentials.forget(request.credential, request.mechanism)
            discard()
        }
        return result
    }

    private func isSound(_ input: Span<UInt8>) -> Bool {
        switch request.mechanism {
        case .ntlm: NTLMChallenge.isSound(input)
        case .negotiate: NTLMChallenge.areSound(inside: input)
        }
    }

    /// Finds out who we are and whom to talk to; this may ask the KDC.
    private func prepare() -> GSSFailure? {
        switch GSSName.service(request.host) {
        case .failure(let failure): return failure
        case .success(let name): service = name
        }
        switch credentials.find(request.credential, request.mechanism) {
        case .failure(let failure): return failure
        case .success(let found): credential = found
        }
        return nil
    }

    private func take(_ input: Span<UInt8>) -> SecurityContextResult {
        var minor: OM_uint32 = 0
        var output = unsafe gss_buffer_desc()
        let flags = OM_uint32(GSS_C_MUTUAL_FLAG)
        // SAFETY: `handle` is this object's alone; credential, name and OID outlive the call; the token is read only
        // while it runs. `output` is GSSAPI's memory and is given back below.
        let major = unsafe GSSBytes.lend(input) { token in
            unsafe gss_init_sec_context(
                &minor,
                credential?.handle,
                &handle,
                service?.handle,
                GSSMechanisms.oid(request.mechanism),
                flags,
                0,
                nil,
                &token,
                nil,
                &output,
                nil,
                nil
            )
        }
        // SAFETY: what it holds is copied before.
        defer { unsafe gssapi_wipe_and_release(&output) }
        if gssapi_failed(major) != 0 {
            return .failed(GSSMechanisms.words(major, minor, request.mechanism))
        }
        let token = unsafe GSSBytes.secret(output)
        return gssapi_is_complete(major) != 0 ? .done(token: token) : .proceed(token: token)
    }

    private func discard() {
        var minor: OM_uint32 = 0
        // SAFETY: the context is ours alone, and `handle` is nil afterwards.
        unsafe _ = gss_delete_sec_context(&minor, &handle, nil)
    }
}
#endif
