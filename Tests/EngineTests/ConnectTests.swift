// ConnectTests.swift: CONNECT of the proxy's own: two-way bytes, half-close, refusals.
// Source: proto/outrigger.proto, message Request, method; RFC 9110 §9.3.6.
import Model
import Testing

struct ConnectTests {
    static let rows = [
        Row(
            "CONNECT, direct: answered by connecting; bytes both ways, early ones kept; half-close",
            script: {
                $0.ask(1) { $0.connect() }
                $0.body(1, "early")
                $0.connect(0)
                $0.hear(0, "back")
                $0.body(1, "bye", ends: true)
                $0.end(0)
            },
            expected: """
                dial 0 a
                0 more early
                1 reply 200
                1 body back
                0 more bye
                shut 0
                close 0
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "CONNECT, direct: an idle HTTP connection does not do",
            script: {
                $0.warm(0)
                $0.ask(1) { $0.connect() }
            },
            expected: """
                dial 1 a
                """
        ),
        Row(
            "CONNECT, direct: the upstream may end first",
            script: {
                $0.ask(1) { $0.connect() }
                $0.connect(0)
                $0.hear(0, "all")
                $0.end(0)
                $0.body(1, "still", ends: true)
            },
            expected: """
                dial 0 a
                1 reply 200
                1 body all
                1 body ends
                0 more still
                1 end complete closed [connected0] unrepeatable
                close 0
                """
        ),
        Row(
            "CONNECT, direct: a reset cuts it",
            script: {
                $0.ask(1) { $0.connect() }
                $0.connect(0)
                $0.reset(0)
            },
            expected: """
                dial 0 a
                1 reply 200
                1 end truncated closed [connected0] unsent
                """
        ),
        Row(
            "CONNECT, direct: idle for too long",
            { $0.idleMilliseconds = 700 },
            script: {
                $0.ask(1) { $0.connect() }
                $0.connect(0)
                $0.pass(700)
            },
            expected: """
                dial 0 a
                1 reply 200
                close 0
                1 end idleTimeout closed [connected0] unsent
                """
        ),
        Row(
            "CONNECT through a peer: its own reply is the answer, and Content-Length means nothing in it",
            script: {
                $0.ask(1) { $0.connect(.peer) }
                $0.body(1, "early")
                $0.connect(0)
                $0.note("connected")
                $0.hear(0, "HTTP/1.1 200 Yes|Content-Length: 3||")
                $0.hear(0, "bytes")
                $0.end(0)
                $0.body(1, "", ends: true)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                connected
                0 more early
                1 reply 200
                1 body bytes
                1 body ends
                close 0
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "CONNECT through a peer: a refusal is whole, nothing of the tunnel leaves, the connection is kept",
            script: {
                $0.ask(1) { $0.connect(.peer) }
                $0.body(1, "early")
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Content-Length: 2||no")
                $0.ask(2) { $0.connect(.peerTunnel) }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 body no
                1 end peerRefused pooled [connected0]
                0 got CONNECT h:443
                """
        ),
        Row(
            "CONNECT through a peer over TLS: its end without close_notify cuts the tunnel",
            script: {
                $0.ask(1) {
                    $0.connect(.peer)
                    $0.hop { $0.tls = TLSRequest() }
                }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 Yes||")
                $0.body(1, "", ends: true)
                $0.end(0)
            },
            expected: """
                dial 0 a
                tls 0 outer /0.0.0.1
                0 got CONNECT h:443
                1 reply 200
                shut 0
                close 0
                1 end truncated closed [connected0] unrepeatable
                """
        ),
    ]

    @Test(arguments: rows, [Reading.whole, .inPlace])
    func `CONNECT makes a two-way byte stream, or is refused`(_ row: Row, reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
