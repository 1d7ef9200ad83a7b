// GSSMechanisms.swift: mechanisms of GSSAPI by our names for them, names of GSSAPI's own, and its errors in words.
// Owns: what is unsafe about those. Source: RFC 2744; RFC 4178 §3; gss-ntlmssp's README.
#if Kerberos
import Authentication
import CGSSAPI
import Model

enum GSSMechanisms {
    /// What the plugins that are installed make possible.
    static var available: AuthenticationSchemes {
        var minor: OM_uint32 = 0
        var set: gss_OID_set?
        // SAFETY: `set` is given memory by the call, which is given back below.
        let major = unsafe gss_indicate_mechs(&minor, &set)
        guard gssapi_failed(major) == 0, let found = unsafe set else { return [] }
        // SAFETY: no step of this uses what was freed; `set` is not read again.
        defer { unsafe _ = gss_release_oid_set(&minor, &set) }
        var schemes: AuthenticationSchemes = []
        if unsafe has(.negotiate, found) { schemes.insert(.negotiate) }
        if unsafe has(.ntlm, found) { schemes.insert(.ntlm) }
        return schemes
    }

    private static func has(_ mechanism: SecurityMechanism, _ set: gss_OID_set) -> Bool {
        var minor: OM_uint32 = 0
        var isMember: Int32 = 0
        // SAFETY: `set` is the caller's, alive; an object identifier lives as long as the process.
        let major = unsafe gss_test_oid_set_member(&minor, oid(mechanism), set, &isMember)
        return gssapi_failed(major) == 0 && isMember != 0
    }

    /// The mechanism's object identifier; it lives as long as the process.
    static func oid(_ mechanism: SecurityMechanism) -> gss_OID {
        // SAFETY: both functions return the address of a static variable that nobody changes.
        switch mechanism {
        case .negotiate: unsafe gssapi_mech_spnego()
        case .ntlm: unsafe gssapi_mech_ntlmssp()
        }
    }

    /// What went wrong, in the libraries' words: the status of GSSAPI and that of the mechanism. They name principals
    /// and services, never passwords.
    static func words(_ major: OM_uint32, _ minor: OM_uint32, _ mechanism: SecurityMechanism) -> String {
        let first = words(major, gssapi_GSS_CODE(), mechanism)
        let second = minor == 0 ? "" : words(minor, gssapi_MECH_CODE(), mechanism)
        if first.isEmpty { return second.isEmpty ? "GSSAPI status \(major)" : second }
        return second.isEmpty ? first : "\(first): \(second)"
    }

    private static func words(_ status: OM_uint32, _ kind: Int32, _ mechanism: SecurityMechanism) -> String {
        var minor: OM_uint32 = 0
        var context: OM_uint32 = 0
        var message = unsafe gss_buffer_desc()
        // SAFETY: `message` is given memory by the call, which is given back below; the OID is static.
        let major = unsafe gss_display_status(&minor, status, kind, oid(mechanism), &context, &message)
        guard gssapi_failed(major) == 0 else { return "" }
        // SAFETY: the memory is GSSAPI's and is not read again.
        defer { unsafe gssapi_wipe_and_release(&message) }
        return unsafe GSSBytes.printable(GSSBytes.copy(message))
    }
}

/// Bytes to and from GSSAPI.
enum GSSBytes {
    /// More of a message tells nobody anything.
    private static let wordsBytesMax = 200

    static func copy(_ buffer: gss_buffer_desc) -> [UInt8] {
        // SAFETY: GSSAPI says that `value` has `length` bytes, and nobody changes them meanwhile.
        guard let start = unsafe buffer.value else { return [] }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: buffer.length))
    }

    /// The same, for what is not ours to show.
    static func secret(_ buffer: gss_buffer_desc) -> Secret {
        // SAFETY: as above; `Secret` copies.
        guard let start = unsafe buffer.value?.assumingMemoryBound(to: UInt8.self) else { return Secret("") }
        return unsafe Secret(copying: UnsafeBufferPointer(start: start, count: buffer.length).span)
    }

    static func printable(_ bytes: [UInt8]) -> String {
        let clean = bytes.prefix(wordsBytesMax).map { 0x20...0x7E ~= $0 ? $0 : UInt8(ascii: "?") }
        return String(decoding: clean, as: UTF8.self)
    }

    /// Has GSSAPI read `bytes`, which it never writes to nor keeps.
    static func lend<Result>(_ bytes: Span<UInt8>, _ body: (inout gss_buffer_desc) -> Result) -> Result {
        // SAFETY: the pointer is used only for as long as `body` runs, and the functions of GSSAPI that take an
        // input buffer read it and copy what they keep (RFC 2744 §3.2).
        unsafe bytes.withUnsafeBytes { raw in
            var buffer = unsafe gss_buffer_desc(
                length: raw.count,
                value: UnsafeMutableRawPointer(mutating: raw.baseAddress)
            )
            return unsafe body(&buffer)
        }
    }
}

/// A name of GSSAPI's; given back when it goes.
// The handle lives exactly as long as the object.
@safe final class GSSName {
    private(set) var handle: gss_name_t?

    private init(_ handle: gss_name_t?) {
        // SAFETY: the caller has got it from GSSAPI and keeps no copy.
        unsafe self.handle = handle
    }

    deinit {
        var minor: OM_uint32 = 0
        // SAFETY: the name is ours alone, and nobody holds its handle longer than this object.
        unsafe _ = gss_release_name(&minor, &handle)
    }

    /// HTTP@host.
    static func service(_ host: [UInt8]) -> Result<GSSName, GSSFailure> {
        let text = Array("HTTP@".utf8) + host
        // SAFETY: the OID is static.
        return unsafe make(text.span, gssapi_NT_HOSTBASED_SERVICE(), .negotiate)
    }

    /// A user, in the form that the mechanism knows: a principal, DOMAIN\user.
    static func user(_ name: [UInt8], _ mechanism: SecurityMechanism) -> Result<GSSName, GSSFailure> {
        // SAFETY: the OID is static.
        unsafe make(name.span, gssapi_NT_USER_NAME(), mechanism)
    }

    private static func make(
        _ text: Span<UInt8>,
        _ kind: gss_OID,
        _ mechanism: SecurityMechanism
    ) -> Result<GSSName, GSSFailure> {
        var minor: OM_uint32 = 0
        var handle: gss_name_t?
        // SAFETY: GSSAPI copies the text; `handle` is an output, and `GSSName` gives it back.
        let major = unsafe GSSBytes.lend(text) { unsafe gss_import_name(&minor, &$0, kind, &handle) }
        if gssapi_failed(major) != 0 {
            return .failure(GSSFailure(GSSMechanisms.words(major, minor, mechanism)))
        }
        return unsafe .success(GSSName(handle))
    }
}

/// Why not, in words without secrets.
struct GSSFailure: Error {
    let words: String

    init(_ words: String) { self.words = words }
}
#endif
