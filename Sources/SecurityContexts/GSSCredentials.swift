// GSSCredentials.swift: users' credentials as GSSAPI holds them, kept while they are good.
// Owns: who asks the KDC for a ticket of the user, and when again.
// Copies of passwords are wiped.
// Source: RFC 2744 §5.2; gss_acquire_cred_with_password of MIT Kerberos.
#if Kerberos
import Authentication
import CGSSAPI
import Model

/// A user's credential; given back when nobody holds it.
// The handle lives exactly as long as the object.
@safe final class GSSCredential {
    private(set) var handle: gss_cred_id_t?
    /// Seconds that it is good for, from when it was made.
    let lifetimeSeconds: UInt32

    fileprivate init(_ handle: gss_cred_id_t?, lifetimeSeconds: UInt32) {
        // SAFETY: the caller has got it from GSSAPI and keeps no copy.
        unsafe self.handle = handle
        self.lifetimeSeconds = lifetimeSeconds
    }

    deinit {
        var minor: OM_uint32 = 0
        // SAFETY: the credential is ours alone; contexts hold this object for as long as they use it.
        unsafe _ = gss_release_cred(&minor, &handle)
    }
}

/// Those of one thread. The one that was used longest ago goes first.
final class GSSCredentialStore {
    private struct Key: Hashable {
        let mechanism: SecurityMechanism
        let credential: Credential
    }

    private struct Entry {
        let credential: GSSCredential
        let goodUntil: ContinuousClock.Instant
        var usedAt: UInt64
    }

    private let countMax: Int
    private var entries: [Key: Entry] = [:]
    private var uses: UInt64 = 0
    /// A ticket that ends while it is on its way helps nobody.
    private static let spareSeconds: UInt32 = 60

    init(countMax: Int) { self.countMax = countMax }

    /// What a user has; made when it is not there. `nil`: the process's own, from its cache or keytab.
    func find(_ credential: Credential, _ mechanism: SecurityMechanism) -> Result<GSSCredential?, GSSFailure>
    {
        if credential.user.isEmpty { return .success(nil) }
        let key = Key(mechanism: mechanism, credential: credential)
        uses += 1
        if let entry = entries[key] {
            if entry.goodUntil > .now {
                entries[key]?.usedAt = uses
                return .success(entry.credential)
            }
            entries[key] = nil
        }
        let made: GSSCredential
        switch GSSCredential.make(credential, mechanism) {
        case .failure(let failure): return .failure(failure)
        case .success(let credential): made = credential
        }
        if made.lifetimeSeconds > Self.spareSeconds {
            if entries.count >= countMax, let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt })
            {
                entries[oldest.key] = nil
            }
            let seconds = Int64(min(made.lifetimeSeconds - Self.spareSeconds, 3600))
            entries[key] = Entry(credential: made, goodUntil: .now + .seconds(seconds), usedAt: uses)
        }
        return .success(made)
    }

    /// Forgets all of them.
    func removeAll() { entries = [:] }

    /// A context with it has failed: the KDC is asked again the next time.
    func forget(_ credential: Credential, _ mechanism: SecurityMechanism) {
        entries[Key(mechanism: mechanism, credential: credential)] = nil
    }
}

extension GSSCredential {
    fileprivate static func make(
        _ credential: Credential,
        _ mechanism: SecurityMechanism
    ) -> Result<GSSCredential, GSSFailure> {
        let domain = credential.ntlmDomain.isEmpty ? [] : credential.ntlmDomain + [UInt8(ascii: "\\")]
        return GSSName.user(domain + credential.user, mechanism).flatMap { user in
            make(user, credential.password, mechanism)
        }
    }

    private static func make(
        _ user: GSSName,
        _ password: Secret?,
        _ mechanism: SecurityMechanism
    ) -> Result<GSSCredential, GSSFailure> {
        var minor: OM_uint32 = 0
        var handle: gss_cred_id_t?
        var lifetime: OM_uint32 = 0
        // gss-ntlmssp reads a password up to its NUL, whatever its length.
        var text = ByteBuffer(capacity: (password?.count ?? 0) + 1)
        defer { text.wipe() }
        password?.withBytes { text.append($0) }
        text.append(0)
        // SAFETY: `mechanisms` has one static OID and outlives the calls, and so do `user` and `text`; the outputs are
        // ours. GSSAPI wipes its own copy of the password when the credential is given back.
        var mechanisms = unsafe gss_OID_set_desc(count: 1, elements: GSSMechanisms.oid(mechanism))
        let major =
            if let password {
                unsafe GSSBytes.lend(text.bytes.extracting(first: password.count)) { secret in
                    unsafe gss_acquire_cred_with_password(
                        &minor,
                        user.handle,
                        &secret,
                        gssapi_INDEFINITE(),
                        &mechanisms,
                        gss_cred_usage_t(GSS_C_INITIATE),
                        &handle,
                        nil,
                        &lifetime
                    )
                }
            } else {
                unsafe gss_acquire_cred(
                    &minor,
                    user.handle,
                    gssapi_INDEFINITE(),
                    &mechanisms,
                    gss_cred_usage_t(GSS_C_INITIATE),
                    &handle,
                    nil,
                    &lifetime
                )
            }
        if gssapi_failed(major) != 0 {
            return .failure(GSSFailure(GSSMechanisms.words(major, minor, mechanism)))
        }
        return unsafe .success(GSSCredential(handle, lifetimeSeconds: lifetime))
    }
}
#endif
