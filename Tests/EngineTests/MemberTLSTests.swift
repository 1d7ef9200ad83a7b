// MemberTLSTests.swift: TLS to members that fails: who is asked instead, and whom it counts against for which requests.
// Source: Engine.docc/Groups.md, "TLS that fails".
import Model
import Testing

struct MemberTLSTests {
    /// Two requests of the way `first` fail at member a, which is the first choice; whom requests go to then.
    private struct Verdict {
        var rule: String
        var expected = ExpectedRequests()
        var first: @Sendable (inout Form) -> Void
        var failure = TLSFailure(.verify, "words")
        /// For the same way; for another name over TLS; in clear text.
        var next: String
    }

    private static let origin: ExpectedRequests = {
        var origin = ExpectedRequests()
        (origin.scheme, origin.authority) = (.https, "h")
        return origin
    }()
    private static let secured: @Sendable (inout Form) -> Void = { $0.scheme = .https }
    private static let refused = TLSFailure(.handshake, "words", blame: .either)

    private static let verdicts = [
        Verdict(rule: "a certificate refused for a name of the request's", first: secured, next: "baa"),
        Verdict(rule: "refused for the name of the group", expected: origin, first: secured, next: "bbb"),
        Verdict(
            rule: "refused for another name than the group's",
            expected: origin,
            first: { form in
                form.scheme = .https
                form.authority = "elsewhere"
            },
            next: "baa"
        ),
        Verdict(
            rule: "refused by a request's own trust, with the name of the group",
            expected: origin,
            first: { form in
                form.scheme = .https
                form.tls = TLSRequest()
                form.tls?.pins = [[UInt8](repeating: 7, count: 32)]
            },
            next: "baa"
        ),
        Verdict(rule: "a hello that the member refuses", first: secured, failure: refused, next: "baa"),
        Verdict(
            rule: "a hello of the group's that it refuses",
            expected: origin,
            first: secured,
            failure: refused,
            next: "bbb"
        ),
        Verdict(
            rule: "no TLS at all",
            first: secured,
            failure: TLSFailure(.handshake, "words"),
            next: "bbb"
        ),
    ]

    @Test(arguments: verdicts.indices) func `a failure counts for whom it would hit`(index: Int) {
        let verdict = Self.verdicts[index]
        let other: @Sendable (inout Form) -> Void = { form in
            form.scheme = .https
            form.authority = "other"
        }
        let clear: @Sendable (inout Form) -> Void = { _ in }
        var met = ""
        for change in [verdict.first, other, clear] {
            let row = Row(
                verdict.rule,
                named: .group("ab", .first) { group in
                    group.expects = verdict.expected
                    group.ejection.dialFailures = 2
                },
                script: { rig in
                    for stream in 1...2 as ClosedRange<UInt32> {
                        let socket = Int(stream) * 2 - 2
                        rig.askGroup(stream, 0, verdict.first)
                        rig.connect(socket)
                        rig.failTLS(socket, verdict.failure.kind, blame: verdict.failure.blame)
                    }
                    rig.noteNext(99, change)
                },
                expected: ""
            )
            met += row.actual.map { String($0.suffix(1)) }.joined()
        }
        #expect(met == verdict.next, "\(verdict.rule)")
    }

    static let rows = [
        Row(
            "the request goes to another member: nothing of it was sent",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1) { form in
                    form.method = "POST"
                    form.scheme = .https
                }
                rig.connect(0)
                rig.failTLS(0, .verify)
                rig.connect(1)
                rig.secure(1)
                rig.answer(1)
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                dial 1 b
                tls 1 outer h/h
                1 got POST /1
                1 reply 200
                1 body ok
                1 end complete pooled [tlsFailed at a connected at b] by b unrepeatable
                """
        ),
        Row(
            "but not when our own files are of no use, which says nothing about the member",
            named: .group("ab", .first) { $0.ejection.dialFailures = 1 },
            script: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.failTLS(0, .handshake, blame: .us)
                rig.askGroup(2) { $0.scheme = .https }
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                1 end tlsHandshake none [tlsFailed at a] by a unsent
                dial 1 a
                """
        ),
        Row(
            "the same way is tried again after the time of an ejection, and then each failure counts",
            named: .group("ab", .first) { $0.ejectForASecond() },
            script: { rig in
                rig.failSecured(1, 0)
                rig.failSecured(2, 2)
                rig.pass(999)
                rig.noteNext { $0.scheme = .https }
                rig.pass(1)
                rig.failSecured(3, 5)
                rig.noteNext { $0.scheme = .https }
            },
            expected: "next to b\nnext to b"
        ),
        Row(
            "a success in between begins the count anew",
            named: .group("ab", .first) { $0.ejectForASecond() },
            script: { rig in
                rig.failSecured(1, 0)
                rig.askGroup(2) { $0.scheme = .https }
                rig.connect(2)
                rig.secure(2)
                rig.failSecured(3, 3)
                rig.noteNext { $0.scheme = .https }
            },
            expected: "next to a"
        ),
        Row(
            "when all members are in doubt all are chosen from",
            named: .group("ab", .first) { group in
                group.ejection.dialFailures = 1
                group.retry.attemptsMax = 2
            },
            script: { rig in
                rig.failSecured(1, 0)
                rig.connect(1)
                rig.failTLS(1, .verify)
                rig.noteNext { $0.scheme = .https }
            },
            expected: "next to a"
        ),
        Row(
            "an origin behind a peer is not the peer's fault, but other peers may do better",
            named: .group("ab", .first) { $0.ejection.dialFailures = 1 },
            script: { rig in
                rig.askGroup(1) { $0.tunnel() }
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 200 OK||")
                rig.failTLS(0, .handshake)
                rig.askGroup(2) { $0.tunnel() }
                rig.askGroup(3) { form in
                    form.tunnel()
                    form.authority = "i"
                }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                tls 0 inner h/h
                dial 1 b
                dial 2 b
                dial 3 a
                """
        ),
        Row(
            "a certificate of ours that is refused behind the handshake counts with the group's name only",
            named: .group("ab", .first) { group in
                group.expects = origin
                group.ejection.replyFailures = 1
            },
            script: { rig in
                for (stream, name) in [(1, "other"), (2, "h")] as [(UInt32, String)] {
                    rig.askGroup(stream) { form in
                        form.scheme = .https
                        form.authority = name
                    }
                    let socket = Int(stream) * 2 - 2
                    rig.connect(socket)
                    rig.secure(socket)
                    rig.reset(socket, .broken(refused))
                }
                rig.noteNext()
            },
            expected: "next to b"
        ),
        Row(
            "no more ways are remembered than there is room for",
            named: .group("ab", .first) { group in
                group.ejection.dialFailures = 1
                group.retry.attemptsMax = 1
            },
            script: { rig in
                for stream in 1...70 as ClosedRange<UInt32> {
                    rig.failSecured(stream, Int(stream) - 1, "h\(stream)")
                }
                for number in [1, 6, 7, 70] {
                    rig.noteNext { form in
                        form.scheme = .https
                        form.authority = "h\(number)"
                    }
                }
            },
            expected: "next to a\nnext to a\nnext to b\nnext to b"
        ),
    ]

    @Test(arguments: rows) func `TLS that fails at a member`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}

extension NamedGroup {
    fileprivate mutating func ejectForASecond() {
        ejection.dialFailures = 2
        ejection.baseMilliseconds = 1000
        ejection.jitterPercent = 0
    }
}

extension Rig {
    /// A stream over TLS whose connection, the next socket, is to somebody else. It is on its way to another then.
    fileprivate func failSecured(_ stream: UInt32, _ socket: Int, _ host: String = "h") {
        askGroup(stream) { form in
            form.scheme = .https
            form.authority = host
        }
        connect(socket)
        failTLS(socket, .verify)
    }
}
