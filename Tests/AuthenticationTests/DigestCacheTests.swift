// DigestCacheTests.swift: nonces over many requests: counted, shared, replaced, given up. Source: RFC 7616
// §3.3 to §3.6.
import Authentication
import Model
import Testing

@Suite struct DigestCacheTests {
    @Test func `a nonce is used again with the next count`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        for number in 1...300 {
            var exchange = Exchange()
            #expect(exchange.run(&authenticator, &server) == nil)
            #expect(exchange.requests == (number == 1 ? 2 : 1))
        }
        #expect(server.counts == ["nonce1": Array(1...300)])
    }

    @Test func `CVE-2020-11945: a new nonce is asked for before the count is used up`() {
        var authenticator = Authenticator(nonceUsesMax: 10)
        var server = DigestServer()
        for _ in 1...25 {
            var exchange = Exchange()
            #expect(exchange.run(&authenticator, &server) == nil)
        }
        #expect(
            server.counts == ["nonce1": Array(1...10), "nonce2": Array(1...10), "nonce3": Array(1...5)]
        )
    }

    @Test(arguments: 0..<32) func `streams that are asked at once share the first nonce`(seed: UInt64) {
        var random = Seeded(state: seed)
        var authenticator = Authenticator()
        var server = DigestServer()
        var exchanges = (0..<100).map { _ in Exchange() }
        var challenges: [String] = []
        for index in exchanges.indices {
            exchanges[index].begin(&authenticator)
            guard case .challenge(let challenge) = server.check(exchanges[index].value) else { continue }
            challenges.append(challenge)
        }
        #expect(challenges.count == 100)
        let order = exchanges.indices.shuffled(using: &random)
        for index in order {
            let answer = exchanges[index].challenged(&authenticator, challenges[index])
            #expect(answer == .resubmit)
        }
        for index in exchanges.indices.shuffled(using: &random) {
            let verdict = server.check(exchanges[index].value)
            #expect(verdict == .accepted)
        }
        let used = server.counts.filter { !$0.value.isEmpty }
        #expect(used.count == 1)
        #expect(used.first?.value.sorted() == Array(1...100))
        #expect(used.first?.key == "nonce\(order[0] + 1)")
    }

    @Test(arguments: 0..<32) func `a server that wants counts to rise gets them in the end`(seed: UInt64) {
        var random = Seeded(state: seed)
        var authenticator = Authenticator()
        var server = DigestServer()
        server.isStrict = true
        server.saysStale = seed % 2 == 0
        var exchanges = (0..<50).map { _ in Exchange() }
        for index in exchanges.indices { exchanges[index].begin(&authenticator) }
        var open = Array(exchanges.indices)
        while let index = open.randomElement(using: &random) {
            switch server.check(exchanges[index].value) {
            case .accepted:
                exchanges[index].succeeded(&authenticator)
                open.removeAll { $0 == index }
            case .challenge(let challenge):
                let answer = exchanges[index].challenged(&authenticator, challenge)
                #expect(answer == .resubmit)
                if answer != .resubmit { open.removeAll { $0 == index } }
            }
        }
        for exchange in exchanges { #expect(exchange.requests <= 3) }
    }

    /// Requests that overtake each other, as over many connections: `streams` at a time.
    @Test(arguments: 0..<16 as Range<UInt64>, [2, 8, 31])
    func `a server that wants counts to rise asks little once that is known`(seed: UInt64, streams: Int) {
        var random = Seeded(state: seed)
        var authenticator = Authenticator()
        var server = DigestServer()
        server.isStrict = true
        server.saysStale = seed % 2 == 0
        var exchanges = (0..<streams).map { _ in Exchange() }
        for index in exchanges.indices { exchanges[index].begin(&authenticator) }
        var (passed, asked) = (0, 0)
        while passed < 200 * streams {
            let index = Int.random(in: 0..<streams, using: &random)
            switch server.check(exchanges[index].value) {
            case .accepted:
                passed += 1
                exchanges[index].succeeded(&authenticator)
                exchanges[index] = Exchange()
                exchanges[index].begin(&authenticator)
            case .challenge(let challenge):
                asked += 1
                let answer = exchanges[index].challenged(&authenticator, challenge)
                #expect(answer == .resubmit)
            }
        }
        // Once at first, perhaps twice, and while it is being found out.
        #expect(asked <= 5 * streams, "\(asked) of \(passed)")
    }

    @Test func `a nonce whose requests ended without a reply is free again`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        server.isStrict = true
        // It is found out that the server wants order: count 3 comes before count 2.
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        var (second, third) = (Exchange(), Exchange())
        second.begin(&authenticator)
        third.begin(&authenticator)
        #expect(third.finish(&authenticator, &server) == nil)
        #expect(second.finish(&authenticator, &server) == nil)
        #expect(second.requests == 2)
        let known = Set(server.counts.keys)
        for _ in 0..<100 {
            var lost = Exchange()
            lost.begin(&authenticator)
            lost.ended(&authenticator)
            var next = Exchange()
            #expect(next.run(&authenticator, &server) == nil)
            #expect(next.requests == 1)
        }
        #expect(Set(server.counts.keys) == known, "no new nonce was needed")
    }

    @Test func `a nonce that a server gives out again goes on with its count`() {
        var authenticator = Authenticator()
        let challenge = #"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#
        var exchanges = (0..<3).map { _ in Exchange() }
        for index in exchanges.indices { exchanges[index].begin(&authenticator) }
        for (index, count) in [(0, 1), (1, 2), (2, 3)] {
            #expect(exchanges[index].challenged(&authenticator, challenge) == .resubmit)
            #expect(exchanges[index].value?.contains("nc=0000000\(count)") == true)
        }
        #expect(exchanges[1].challenged(&authenticator, challenge + ", stale=true") == .resubmit)
        #expect(exchanges[1].value?.contains("nc=00000004") == true)
        exchanges[1].succeeded(&authenticator)
        // A stream that asks anew, although it could have been answered at once.
        var late = Exchange { $0.target = "*" }
        late.begin(&authenticator)
        #expect(late.value?.contains("nc=00000005") == true)
        #expect(late.challenged(&authenticator, challenge) == .resubmit)
        #expect(late.value?.contains("nc=00000006") == true)
        #expect(late.challenged(&authenticator, challenge) == .none(.rejected))
    }

    @Test func `stale: the new nonce is taken, the password is not given up`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        server.forget()
        var second = Exchange()
        #expect(second.run(&authenticator, &server) == nil)
        #expect(second.requests == 2)
        #expect(server.counts == ["nonce2": [1]])
    }

    @Test func `a nonce that expired is replaced where the server does not say stale`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        server.saysStale = false
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        server.forget()
        var second = Exchange()
        #expect(second.run(&authenticator, &server) == nil)
        #expect(second.requests == 2)
    }

    @Test func `a nonce that is stale the moment it comes is tried twice more`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var exchange = Exchange()
        exchange.begin(&authenticator)
        var answers: [Answer] = []
        repeat {
            answers.append(exchange.challenged(&authenticator, server.challenge(isStale: true)))
        } while answers.last == .resubmit && answers.count < 20
        #expect(answers == [.resubmit, .resubmit, .resubmit, .none(.tooManyTries)])
        // It is not remembered: the next request asks.
        var next = Exchange()
        next.begin(&authenticator)
        #expect(next.value == nil)
    }

    @Test func `a wrong password is shown once`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var exchange = Exchange { $0.credential = Credential("bob", "wrong", .digest) }
        #expect(exchange.run(&authenticator, &server) == .rejected)
        #expect(exchange.requests == 2)
        var next = Exchange { $0.credential = Credential("bob", "wrong", .digest) }
        next.begin(&authenticator)
        #expect(next.value == nil)
    }

    @Test func `nothing is sent unasked before an answer was accepted`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var first = Exchange()
        first.begin(&authenticator)
        #expect(first.challenged(&authenticator, server.challenge()) == .resubmit)
        var second = Exchange()
        second.begin(&authenticator)
        #expect(second.value == nil)
        let verdict = server.check(first.value)
        #expect(verdict == .accepted)
        first.succeeded(&authenticator)
        var third = Exchange()
        third.begin(&authenticator)
        #expect(third.value?.contains("nc=00000002") == true)
    }

    @Test func `a password that was changed is tried once more with a fresh nonce`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        server.password = "other"
        var second = Exchange()
        #expect(second.run(&authenticator, &server) == .rejected)
        #expect(second.requests == 2)
        var third = Exchange()
        third.begin(&authenticator)
        #expect(third.value == nil)
    }

    @Test func `streams that share a nonce each find out that the password is wrong`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        server.password = "other"
        var exchanges = (0..<10).map { _ in Exchange() }
        for index in exchanges.indices { exchanges[index].begin(&authenticator) }
        for index in exchanges.indices {
            #expect(exchanges[index].finish(&authenticator, &server) == .rejected)
            #expect(exchanges[index].requests <= 3)
        }
    }

    @Test func `nextnonce is used next, from one`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        #expect(first.succeeded(&authenticator, #"nextnonce="n\"2", qop=auth"#) == .none)
        var second = Exchange()
        second.begin(&authenticator)
        #expect(second.value?.contains(#"nonce="n\"2", nc=00000001"#) == true)
        var third = Exchange()
        third.begin(&authenticator)
        #expect(third.value?.contains(#"nonce="n\"2", nc=00000002"#) == true)
        // The answer to an older nonce has no say any more.
        #expect(first.succeeded(&authenticator, #"nextnonce="n3""#) == .none)
        var fourth = Exchange()
        fourth.begin(&authenticator)
        #expect(fourth.value?.contains(#"nonce="n\"2", nc=00000003"#) == true)
        #expect(fourth.succeeded(&authenticator, #"nextnonce="""#) == .none)
        var fifth = Exchange()
        fifth.begin(&authenticator)
        #expect(fifth.value?.contains(#"nonce="n\"2", nc=00000004"#) == true)
    }

    @Test func `a server proves that it knows the password`() {
        var authenticator = Authenticator()
        var server = DigestServer()
        var first = Exchange()
        #expect(first.run(&authenticator, &server) == nil)
        let value = first.value ?? ""
        let good = server.information(value)
        #expect(first.succeeded(&authenticator, good) == .proven)
        #expect(first.succeeded(&authenticator, good.replacing("qop=auth, ", with: "")) == .proven)
        #expect(first.succeeded(&authenticator, good + ", x=y") == .proven)
        // What cannot be checked proves nothing and refutes nothing.
        #expect(first.succeeded(&authenticator, "qop=auth") == .none)
        #expect(first.succeeded(&authenticator, good.replacing("qop=auth", with: "qop=auth-int")) == .none)
        #expect(first.succeeded(&authenticator, good + ", nc=1 2") == .none)
        #expect(first.succeeded(&authenticator, good + ", NC=00000001") == .none)
        #expect(first.succeeded(&authenticator, "") == .none)

        for wrong in [
            server.information(value, password: "wrong"),
            good.replacing("nc=00000001", with: "nc=00000002"),
            good.replacing("cnonce=\"", with: "cnonce=\"x"),
            #"rspauth="""#,
        ] {
            #expect(first.succeeded(&authenticator, wrong) == .wrong, "\(wrong)")
            var next = Exchange()
            next.begin(&authenticator)
            #expect(next.value == nil, "a server that lied is not trusted: \(wrong)")
            #expect(first.succeeded(&authenticator, good) == .proven)
        }
    }

    @Test func `our nonces differ, and follow from the seed`() {
        func nonces(_ seed: String) -> [String] {
            var authenticator = Authenticator(seed: seed)
            var server = DigestServer()
            return (0..<50).map { _ in
                var exchange = Exchange()
                exchange.begin(&authenticator)
                server.forget()
                _ = exchange.challenged(&authenticator, server.challenge())
                let fields = Challenges([exchange.value ?? ""])
                let nonce = fields.list.value("cnonce", of: fields.list.challenges[0], in: fields.block.span)
                return String(decoding: nonce ?? [], as: UTF8.self)
            }
        }
        let first = nonces("a")
        #expect(Set(first).count == 50 && first.allSatisfy { $0.utf8.count == 32 })
        #expect(first == nonces("a"))
        #expect(Set(first).isDisjoint(with: nonces("b")))
    }

    @Test func `auth-int needs the body, also before it is asked for`() {
        var authenticator = Authenticator()
        let challenge = #"Digest realm="r", nonce="n", qop="auth-int", algorithm=SHA-256"#
        var first = Exchange { $0.body = nil }
        first.begin(&authenticator)
        #expect(first.challenged(&authenticator, challenge) == .none(.bodyNotHeld))
        var second = Exchange { $0.body = "text" }
        second.begin(&authenticator)
        #expect(second.challenged(&authenticator, challenge) == .resubmit)
        #expect(second.value?.contains("qop=auth-int") == true)
        second.succeeded(&authenticator)
        var third = Exchange { $0.body = nil }
        third.begin(&authenticator)
        #expect(third.value == nil)
        var fourth = Exchange()
        fourth.begin(&authenticator)
        #expect(fourth.value?.contains("nc=00000002") == true)
    }
}
