// SecurityContextTests.swift: tokens to and fro. Source: RFC 4559 §4.2; MS-NTHT §4.
import Authentication
import Model
import Testing

@Suite struct SecurityContextTests {
    private func step(_ mechanism: SecurityMechanism, _ input: String = "") -> Answer {
        .securityContext(SecurityStep(mechanism: mechanism, input: Array(input.utf8)))
    }

    private func exchange(_ schemes: AuthenticationSchemes = .all) -> Exchange {
        Exchange { $0.credential = Credential("bob", "pw", schemes) }
    }

    @Test func `NTLM takes two steps and is then right or wrong`() {
        var authenticator = Authenticator()
        var exchange = exchange()
        exchange.begin(&authenticator)
        #expect(exchange.challenged(&authenticator, "NTLM, Basic realm=x") == step(.ntlm))
        #expect(exchange.challenged(&authenticator, "NTLM dHdv, Basic realm=x") == step(.ntlm, "two"))
        #expect(exchange.challenged(&authenticator, "NTLM, Basic realm=x") == .none(.rejected))
    }

    @Test func `a context that runs is not left for another scheme`() {
        var authenticator = Authenticator()
        var exchange = exchange()
        exchange.begin(&authenticator)
        #expect(exchange.challenged(&authenticator, "Negotiate, NTLM") == step(.negotiate))
        #expect(exchange.challenged(&authenticator, "NTLM dHdv, Basic realm=x") == .none(.rejected))
    }

    @Test func `a context that fails here gives way to the next scheme`() {
        var authenticator = Authenticator()
        var exchange = exchange()
        let challenge = "Negotiate, NTLM, Basic realm=x"
        exchange.begin(&authenticator)
        #expect(exchange.challenged(&authenticator, challenge) == step(.negotiate))
        exchange.exclude(.negotiate)
        #expect(exchange.challenged(&authenticator, challenge) == step(.ntlm))
        exchange.exclude(.ntlm)
        #expect(exchange.challenged(&authenticator, challenge) == .resubmit)
        #expect(exchange.value == "Basic Ym9iOnB3")
        var only = self.exchange(.negotiate)
        only.begin(&authenticator)
        only.exclude(.negotiate)
        #expect(only.challenged(&authenticator, challenge) == .none(.noPermittedScheme))
    }

    @Test func `a token that is no base64 ends it`() {
        var authenticator = Authenticator()
        var exchange = exchange()
        exchange.begin(&authenticator)
        #expect(exchange.challenged(&authenticator, "Negotiate") == step(.negotiate))
        #expect(exchange.challenged(&authenticator, "Negotiate dHd") == .none(.badToken))
    }

    @Test func `a server that never has enough is left`() {
        var authenticator = Authenticator()
        var exchange = exchange()
        exchange.begin(&authenticator)
        var answers = [exchange.challenged(&authenticator, "Negotiate")]
        while answers.last != .none(.tooManyTries) && answers.count < 50 {
            answers.append(exchange.challenged(&authenticator, "Negotiate dHdv"))
        }
        #expect(answers.count == AuthenticationAttempt.stepsMax + 1)
        #expect(answers.last == .none(.tooManyTries))
    }

    @Test func `a context is never remembered for other requests`() {
        var authenticator = Authenticator()
        var first = exchange()
        first.begin(&authenticator)
        _ = first.challenged(&authenticator, "Negotiate")
        #expect(first.succeeded(&authenticator) == .none)
        var second = exchange()
        second.begin(&authenticator)
        #expect(second.value == nil)
        #expect(authenticator.spaceCount == 0)
    }

    @Test func `a token goes out in base64 behind its scheme`() {
        var output = ByteBuffer()
        SecurityStep.append(.negotiate, token: "foobar".utf8.span, to: &output)
        output.append("|")
        SecurityStep.append(.ntlm, token: "fo".utf8.span, to: &output)
        #expect(output.text == "Negotiate Zm9vYmFy|NTLM Zm8=")
    }

    @Test func `the last token of the server is read from a reply that is no challenge`() {
        func token(_ value: String, _ mechanism: SecurityMechanism) -> [UInt8]? {
            let challenges = Challenges([value])
            return challenges.list.token(for: mechanism, in: challenges.block.span)
        }
        #expect(token("Basic realm=x, Negotiate Zm9v", .negotiate) == Array("foo".utf8))
        #expect(token("Negotiate", .negotiate) == [])
        #expect(token("NTLM Zm9v", .negotiate) == nil)
        #expect(token("Negotiate Zm9", .negotiate) == nil)
        #expect(token("Negotiate a=b", .negotiate) == nil)
    }
}
