// BindingTests.swift: connections that become one client's without being asked for: NTLM and Negotiate.
// Source: RFC 4559 §6; DESIGN "Pins are exclusive"; proto/outrigger.proto, ConnectionFacts.bound.
import Model
import Testing

@testable import Engine

struct BindingTests {
    static let rows = [
        Row(
            "a challenge of NTLM pins the connection of a token",
            script: {
                $0.pin(1, "t", .auto)
                $0.connect(0)
                $0.challenge(0, "NTLM")
                $0.ask(2)
                $0.pin(3, "t", .require) { $0.fields = [("Authorization", "NTLM abc=")] }
            },
            expected: """
                dial 0 a
                0 got GET /1
                pin t made
                1 reply 401
                1 end complete pinned [connected0]
                dial 1 a
                0 got GET /3
                """
        ),
        Row(
            "without a token it is closed behind the reply, and serves nobody else",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.challenge(0, "Negotiate")
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                """
        ),
        Row(
            "by the whole scheme, in any case, among others",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.challenge(0, "Basic realm=\"x, NTLM\", nTlM")
                $0.ask(2)
                $0.connect(1)
                $0.challenge(1, "NTLMv9, Negotiated, Basic realm=\"NTLM\"")
                $0.ask(3)
                $0.challenge(1, "Negotiate", status: 407)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                1 got GET /2
                2 reply 401
                2 end complete pooled [connected0]
                1 got GET /3
                close 1
                3 reply 407 reused
                3 end complete closed [reused0]
                """
        ),
        Row(
            "the same words in a reply that is no challenge bind nothing",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|WWW-Authenticate: NTLM|Persistent-Auth: true|Content-Length: 0||")
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 end complete pooled [connected0]
                0 got GET /2
                """
        ),
        Row(
            "a request with credentials that bind is never followed by another client's",
            script: {
                $0.ask(1) { $0.fields = [("authorization", "negotiate YII=")] }
                $0.connect(0)
                $0.answer(0)
                $0.ask(2) { $0.fields = [("Authorization", "NTLMish abc")] }
                $0.connect(1)
                $0.answer(1)
                $0.ask(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                1 got GET /3
                """
        ),
        Row(
            "Persistent-Auth binds what carried any credentials",
            script: {
                $0.pin(1, "t", .auto) { $0.fields = [("Authorization", "Kerberos abc")] }
                $0.connect(0)
                $0.answer(0, "ok", "Persistent-Auth: true|")
                $0.ask(2) { $0.fields = [("Authorization", "Basic abc")] }
                $0.connect(1)
                $0.answer(1, "ok", "Persistent-Auth: false|")
                $0.ask(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pin t made
                1 reply 200
                1 body ok
                1 end complete pinned [connected0]
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                1 got GET /3
                """
        ),
        Row(
            "a token without room for another pin: its connection is closed",
            { $0.pinsMax = 0 },
            script: {
                $0.pin(1, "t", .auto)
                $0.connect(0)
                $0.challenge(0, "NTLM")
                $0.pin(2, "t", .auto)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                """
        ),
        Row(
            "a peer that refuses a tunnel with such a challenge is closed",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.challenge(0, "Negotiate", status: 407)
                $0.ask(2) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 reply 407
                1 end peerRefused closed [peerRefused0] unsent
                dial 1 a
                """
        ),
        Row(
            "a client's own CONNECT at a peer: challenge, credentials, tunnel, on one connection",
            script: {
                $0.pin(1, "t", .auto) { $0.connect(.peer) }
                $0.connect(0)
                $0.challenge(0, "NTLM", status: 407)
                $0.pin(2, "t", .require) {
                    $0.connect(.peer)
                    $0.fields = [("Proxy-Authorization", "NTLM abc=")]
                }
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.cancel(2)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [connected0]
                0 got CONNECT h:443
                2 reply 200 reused
                close 0
                pin t lost
                2 end cancelled closed [reused0] unrepeatable
                """
        ),
    ]

    static let reviewed = [
        Row(
            "unpinned before a byte has left, then cancelled: it goes to nobody else",
            script: {
                $0.madePin()
                $0.isWriting = false
                $0.pin(1, "t", .require)
                $0.unpin("t")
                $0.cancel(1)
                $0.isWriting = true
                $0.ask(2)
            },
            expected: """
                close 0
                1 end cancelled closed [reused0] unsent
                dial 1 a
                """
        ),
        Row(
            "a reply behind UNPIN pins nothing, on a pin and beside one",
            script: {
                $0.madePin()
                $0.pin(1, "t", .require) { $0.fields = [("Authorization", "NTLM abc=")] }
                $0.pin(2, "u", .auto) { $0.fields = [("Authorization", "NTLM abc=")] }
                $0.connect(1)
                $0.unpin("t")
                $0.unpin("u")
                $0.answer(0)
                $0.answer(1)
                $0.pin(3, "t", .require)
                $0.pin(4, "u", .require)
            },
            expected: """
                0 got GET /1
                dial 1 a
                1 got GET /2
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                close 1
                2 reply 200
                2 body ok
                2 end complete closed [connected0]
                3 end pinLost none [] unsent
                4 end pinLost none [] unsent
                """
        ),
        Row(
            "credentials that bind in the fields of a CONNECT: neither the peer's connection nor the tunnel is kept",
            script: {
                for stream in UInt32(1)...2 {
                    $0.ask(stream) {
                        $0.tunnel()
                        $0.scheme = .http
                        $0.hop { $0.connectFields = [HeaderField("Proxy-Authorization", "Negotiate YII=")] }
                    }
                    $0.connect(Int(stream) - 1)
                    $0.hear(
                        Int(stream) - 1,
                        stream == 1 ? "HTTP/1.1 403 No|Content-Length: 0||" : "HTTP/1.1 200 OK||"
                    )
                }
                $0.answer(1)
                $0.ask(3) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 reply 403
                1 end peerRefused closed [peerRefused0] unsent
                dial 1 a
                1 got CONNECT h:443
                1 got GET /2
                close 1
                2 reply 200
                2 body ok
                2 end complete closed [connected0]
                dial 2 a
                """
        ),
    ]

    @Test(arguments: rows) func `what carried one client's credentials serves nobody else`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: reviewed) func `what review found stays mended`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
