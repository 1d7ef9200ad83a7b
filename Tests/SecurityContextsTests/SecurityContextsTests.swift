// SecurityContextsTests.swift: what GSSAPI makes of users, servers and their tokens, without a KDC or a server.
// Source: RFC 4559; MS-NLMP §2.2.1; gss-ntlmssp.
import Authentication
import Model
import SecurityContexts
import Testing

private func request(_ mechanism: SecurityMechanism, user: String = "alice") -> SecurityContextRequest {
    var credential = Credential(name: "test", schemes: mechanism.scheme)
    credential.user = Array(user.utf8)
    credential.password = Secret("canary-of-this-test")
    return SecurityContextRequest(
        mechanism: mechanism,
        side: .origin,
        host: Array("origin.test".utf8),
        credential: credential
    )
}

extension SecurityContext {
    fileprivate func step(_ bytes: [UInt8]) -> SecurityContextResult { step(bytes.span) }
}

/// The words of a failure; `nil`: it was none.
private func words(_ result: SecurityContextResult) -> String? {
    if case .failed(let words) = result { words } else { nil }
}

#if Kerberos
/// A type 2 message of a server called S in the domain D, as gss-ntlmssp takes it.
private let sound: [UInt8] = {
    func words(_ numbers: [UInt8]) -> [UInt8] { numbers.flatMap { [$0, 0] } }
    let pairs =
        words([2, 2, 0x44, 1, 2, 0x53, 4, 2, 0x64, 3, 2, 0x73, 7, 8]) + [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]
    let size = UInt8(pairs.count)
    return Array("NTLMSSP\0".utf8) + [2, 0, 0, 0, 2, 0, 2, 0, 56, 0, 0, 0, 0x01, 0x82, 0x8A, 0xA2]
        + [1, 2, 3, 4, 5, 6, 7, 8] + [UInt8](repeating: 0, count: 8) + [size, 0, size, 0, 58, 0, 0, 0]
        + [6, 1, 0xB1, 0x1D, 0, 0, 0, 15] + words([0x44]) + pairs
}()

private func begins(_ token: Secret, _ bytes: [UInt8]) -> Bool {
    token.withBytes { token in
        token.count >= bytes.count && bytes.indices.allSatisfy { token[$0] == bytes[$0] }
    }
}

struct SecurityContextsTests {
    @Test func `Negotiate is there, and whatever comes of a realm that is not has no secret`() {
        #expect(SecurityContexts.available.contains(.negotiate))
        let context = SecurityContexts.maker().make(request(.negotiate, user: "alice@NOWHERE.TEST"))
        #expect(!"\(context.step([]))".contains("canary"))
    }

    @Test(.enabled(if: SecurityContexts.available.contains(.ntlm)))
    func `NTLM begins with a type 1 message, and a context that is over stays so`() throws {
        let context = SecurityContexts.maker().make(request(.ntlm, user: "TEST\\alice"))
        guard case .proceed(let token) = context.step([]) else {
            Issue.record("no first message")
            return
        }
        #expect(begins(token, Array("NTLMSSP\0".utf8) + [1, 0, 0, 0]))
        #expect(words(context.step([1, 2, 3])) != nil)
        #expect(words(context.step([])) == "a step after the last")
    }

    @Test(.enabled(if: SecurityContexts.available.contains(.ntlm)))
    func `a sound type 2 message is answered, and one that lies is not shown to the library`() {
        let context = SecurityContexts.maker().make(request(.ntlm, user: "TEST\\alice"))
        _ = context.step([])
        guard case .done(let token) = context.step(sound) else {
            Issue.record("no last message")
            return
        }
        #expect(begins(token, Array("NTLMSSP\0".utf8) + [3, 0, 0, 0]))
        var nameless = sound
        nameless[12] = 0
        for mechanism in [SecurityMechanism.ntlm, .negotiate] {
            let other = SecurityContexts.maker().make(request(mechanism, user: "TEST\\alice"))
            _ = other.step([])
            #expect(words(other.step(nameless)) == "the server's NTLM message is malformed")
        }
    }

    @Test(.enabled(if: SecurityContexts.available.contains(.ntlm)), arguments: UInt64(0)..<16)
    func `no change of a type 2 message ends the process`(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let maker = SecurityContexts.maker()
        var answered = 0
        for _ in 0..<250 {
            var message = sound
            for _ in 0...next(3) {
                let place = next(2) == 0 ? 12 + next(36) : next(message.count)
                message[place] = [0, 1, 2, 255, UInt8(next(256))][next(5)]
            }
            if next(4) == 0 { message.removeLast(next(message.count)) }
            let context = maker.make(request(.ntlm, user: "TEST\\alice"))
            _ = context.step([])
            if words(context.step(message)) == nil { answered += 1 }
        }
        #expect(answered > 0)
    }
}
#else
struct SecurityContextsTests {
    @Test func `without the trait there is no mechanism, and a step says so`() {
        #expect(SecurityContexts.available == [])
        #expect(words(SecurityContexts.maker().make(request(.ntlm)).step([])) == SecurityContexts.words)
    }
}
#endif
