// ConnectionBoundTests.swift: which fields make a connection one user's. Source: RFC 4559 §6; SECURITY rows 1
// to 4.
import Authentication
import Testing

@Suite struct ConnectionBoundTests {
    static let challenges = [
        ("", false), ("NTLM", true), ("ntlm", true), ("Negotiate", true), ("NEGOTIATE YII=", true),
        (" \tNTLM", true),
        ("Basic realm=\"x\", NTLM", true), (",,NTLM TlRM,", true), ("Basic realm=\"NTLM\"", false),
        ("Basic realm=\"a, NTLM, b\"", false), ("Basic realm=\"a\\\", NTLM\"", false),
        ("Basic realm=\"a\\\\\", NTLM", true),
        ("NTLMx", false), ("xNTLM", false), ("NTLM-2", false), ("Negotiated", false), ("Negotiat", false),
        ("NTLM=x", false), ("Basic NTLM", false), ("Basic realm=NTLM", false), ("Basic a=b, NTLM=x", false),
        // What is broken still says what the server has in mind.
        ("NTLM;x", true), ("NTLM \"", true), ("Basic realm=\"x, Negotiate", true), ("Negotiate, \"", true),
    ]

    @Test(arguments: challenges) func `a challenge binds by its whole scheme`(value: String, expected: Bool) {
        let actual = ConnectionBound.isConnectionBound(fieldValue: value.utf8.span)
        #expect(actual == expected)
    }

    static let credentials = [
        ("", false), ("NTLM TlRM", true), ("ntlm", true), ("Negotiate YII=", true), (" NEGOTIATE YII=", true),
        ("Basic NTLM", false), ("NTLMx TlRM", false), ("Digest username=\"NTLM\"", false),
        ("Basic x, NTLM", false),
        ("NTLM\tTlRM", true), ("=NTLM", false),
    ]

    @Test(arguments: credentials) func `credentials bind by their whole scheme`(value: String, expected: Bool)
    {
        let actual = ConnectionBound.isConnectionBoundCredentials(fieldValue: value.utf8.span)
        #expect(actual == expected)
    }

    static let persistent: [(String, Bool?)] = [
        ("true", true), ("false", false), (" True\t", true), ("FALSE", false), ("", nil), ("truex", nil),
        ("tru", nil),
        ("true, false", nil), ("\"true\"", nil), ("1", nil),
    ]

    @Test(arguments: persistent) func `Persistent-Auth is true, false or nothing`(
        value: String,
        expected: Bool?
    ) {
        let actual = ConnectionBound.persistentAuth(fieldValue: value.utf8.span)
        #expect(actual == expected)
    }

    @Test func `who asks is told by status and way`() {
        func side(_ status: Int, _ isConnect: Bool, _ isFromPeer: Bool) -> AuthenticationSide? {
            AuthenticationSide(status: status, isConnect: isConnect, isFromPeer: isFromPeer)
        }
        #expect(side(401, false, false) == .origin)
        #expect(side(401, false, true) == .origin)
        #expect(side(407, false, true) == .peer)
        #expect(side(407, true, true) == .peer)
        // CVE-2026-86414: a peer that answers CONNECT with 401 wants the origin's password.
        #expect(side(401, true, true) == nil)
        #expect(side(401, true, false) == nil)
        // An origin that asks as a peer.
        #expect(side(407, false, false) == nil)
        for status in [200, 400, 403, 404, 408] { #expect(side(status, false, true) == nil) }
    }
}
