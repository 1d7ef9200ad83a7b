// TunnelTests.swift: tunnels at a peer, with TLS inside or around: what comes before the first request.
// Source: proto/outrigger.proto, message Hop; RFC 9110 §9.3.6.
import Model
import Testing

struct TunnelTests {
    static let rows = [
        Row(
            "a tunnel: CONNECT, TLS inside, then the request; it is used again for the same origin",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 Connection established|Content-Length: 5||")
                $0.secure(0)
                $0.answer(0)
                $0.ask(2) { $0.tunnel() }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                tls 0 inner h/h
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /2
                """
        ),
        Row(
            "a peer over TLS, and TLS inside TLS",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.hop {
                        $0.tls = TLSRequest()
                        $0.tls?.serverName = "peer.example"
                    }
                }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.secure(0)
            },
            expected: """
                dial 0 a
                tls 0 outer peer.example/peer.example
                0 got CONNECT h:443
                tls 0 inner h/h
                0 got GET /1
                """
        ),
        Row(
            "the default port of the scheme goes into the CONNECT",
            script: {
                $0.ask(1) { $0.tunnel("h") }
                $0.connect(0)
                $0.ask(2, "b") {
                    $0.tunnel("h")
                    $0.scheme = .http
                }
                $0.connect(1)
                $0.hear(1, "HTTP/1.1 200 OK||")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                dial 1 b
                1 got CONNECT h:80
                1 got GET /2
                """
        ),
        Row(
            "another origin needs another tunnel",
            script: {
                $0.ask(1) { $0.tunnel("h:443") }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.secure(0)
                $0.answer(0)
                $0.forget()
                $0.ask(2) { $0.tunnel("i:443") }
            },
            expected: """
                dial 1 a
                """
        ),
        Row(
            "CVE-2026-3784: so do other fields for the peer",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.hop { $0.connectFields = [HeaderField("Proxy-Authorization", "Basic YTph")] }
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.secure(0)
                $0.answer(0)
                $0.forget()
                $0.ask(2) {
                    $0.tunnel()
                    $0.hop { $0.connectFields = [HeaderField("Proxy-Authorization", "Basic Yjpi")] }
                }
            },
            expected: """
                dial 1 a
                """
        ),
        Row(
            "a refusal goes to the proxy whole, and the connection is kept for the next try",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Content-Length: 5||")
                $0.hear(0, "first")
                $0.ask(2) { $0.tunnel() }
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.secure(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 body first
                1 end peerRefused pooled [peerRefused0] unsent
                0 got CONNECT h:443
                tls 0 inner h/h
                0 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                """
        ),
        Row(
            "CVE-2025-64763: no byte of a body leaves before 2xx, nor after a refusal",
            script: {
                $0.post(1, 5) { $0.tunnel() }
                $0.body(1, "hello", ends: true)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 403 No|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 403
                1 end peerRefused pooled [peerRefused0] unsent
                """
        ),
        Row(
            "interim replies to a CONNECT are the peer's affair",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 103 Early|Link: x||HTTP/1.1 200 OK||")
                $0.secure(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                tls 0 inner h/h
                0 got GET /1
                """
        ),
        Row(
            "bytes through a tunnel before anybody asked for them: neither TLS nor HTTP begins so",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK||HTTP/1.1 200 OK||")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 end badReply none [peerRefused0] unsent
                """
        ),
        Row(
            "a reply to CONNECT that is none",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.hear(0, "SSH-2.0-x|")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 end badReply none [peerRefused0] unsent
                """
        ),
        Row(
            "a peer that closes instead of answering; the next one is tried",
            script: {
                $0.ask(1, "ab") { $0.tunnel() }
                $0.connect(0)
                $0.end(0)
                $0.connect(1)
                $0.reset(1)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                dial 1 b
                1 got CONNECT h:443
                1 end reset none [peerRefused0 peerRefused1] unsent
                """
        ),
        Row(
            "a peer that does not answer: CONNECT_TIMEOUT",
            { $0.connectMilliseconds = 300 },
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.pass(300)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 end connectTimeout none [timeout0] unsent
                """
        ),
        Row(
            "an idle connection to the peer is asked for the tunnel; that it is dead says nothing",
            script: {
                $0.ask(1) { $0.route = .peer }
                $0.connect(0)
                $0.answer(0)
                $0.forget()
                $0.ask(2) { $0.tunnel() }
                $0.end(0)
                $0.connect(1)
            },
            expected: """
                0 got CONNECT h:443
                close 0
                dial 1 a
                1 got CONNECT h:443
                """
        ),
    ]

    @Test(arguments: rows, [Reading.whole, .inPlace])
    func `a tunnel stands before a request leaves, and is its own`(_ row: Row, reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
