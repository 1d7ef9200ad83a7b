// TLSRouteTests.swift: TLS to an origin: names, failures, the end of a reply.
// Source: proto/outrigger.proto, message Tls; RFC 6066 §3; RFC 9112 §9.8.
import Model
import Testing

struct TLSRouteTests {
    static let rows = [
        Row(
            "https: TLS first, with the authority's host as SNI and as the name to verify",
            script: {
                $0.ask(1) {
                    $0.scheme = .https
                    $0.authority = "h.example:8443"
                }
                $0.connect(0)
                $0.secure(0)
                $0.answer(0)
                $0.ask(2) {
                    $0.scheme = .https
                    $0.authority = "h.example"
                }
            },
            expected: """
                dial 0 a
                tls 0 outer h.example/h.example
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /2
                """
        ),
        Row(
            "RFC 6066 §3: no SNI for an address, which is verified as one",
            script: {
                $0.ask(1) {
                    $0.scheme = .https
                    $0.authority = "10.0.0.1"
                }
                $0.connect(0)
                $0.ask(2, "b") {
                    $0.scheme = .https
                    $0.authority = "[::1]:443"
                }
                $0.connect(1)
            },
            expected: """
                dial 0 a
                tls 0 outer /10.0.0.1
                dial 1 b
                tls 1 outer /::1
                """
        ),
        Row(
            "without any name the endpoint's address is verified",
            script: {
                $0.ask(1) {
                    $0.scheme = .https
                    $0.authority = ""
                }
                $0.connect(0)
            },
            expected: """
                dial 0 a
                tls 0 outer /0.0.0.1
                """
        ),
        Row(
            "CVE-2026-4873: a clear connection to the same endpoint does not do",
            script: {
                $0.warm(0)
                $0.ask(1) { $0.scheme = .https }
            },
            expected: """
                dial 1 a
                """
        ),
        Row(
            "a handshake that fails goes on to the next endpoint, and ends with its own outcome",
            script: {
                $0.ask(1, "ab") { $0.scheme = .https }
                $0.connect(0)
                $0.failTLS(0, .handshake)
                $0.connect(1)
                $0.failTLS(1, .verify)
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                dial 1 b
                tls 1 outer h/h
                1 end tlsVerify none [tlsFailed0 tlsFailed1] unsent
                """
        ),
        Row(
            "a stall in the handshake: CONNECT_TIMEOUT",
            { $0.connectMilliseconds = 500 },
            script: {
                $0.ask(1) { $0.scheme = .https }
                $0.connect(0)
                $0.pass(500)
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                close 0
                1 end connectTimeout none [timeout0] unsent
                """
        ),
        Row(
            "RFC 9112 §9.8: a body until the end is whole with close_notify",
            script: {
                $0.ask(1) { $0.scheme = .https }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 OK||all")
                $0.endProven(0)
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                0 got GET /1
                1 reply 200
                1 body all
                notify 0
                close 0
                1 end complete closed [connected0]
                """
        ),
        Row(
            "RFC 9112 §9.8: and truncated without",
            script: {
                $0.ask(1) { $0.scheme = .https }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 OK||not all")
                $0.end(0)
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                0 got GET /1
                1 reply 200
                1 body not all
                close 0
                1 end truncated closed [connected0]
                """
        ),
        Row(
            "an idle connection over TLS that a probe finds dead does not count as a retry",
            script: {
                $0.ask(98) { $0.scheme = .https }
                $0.ask(99) { $0.scheme = .https }
                $0.connect(0)
                $0.secure(0)
                $0.connect(1)
                $0.secure(1)
                $0.answer(0)
                $0.answer(1)
                $0.pass(1000)
                $0.forget()
                $0.spoilTLS(0)
                $0.spoilTLS(1)
                $0.ask(1) { $0.scheme = .https }
                $0.connect(2)
            },
            expected: """
                probe 1
                close 1
                probe 0
                close 0
                dial 2 a
                tls 2 outer h/h
                """
        ),
        Row(
            "RFC 8446 §4.4.2: a client certificate that is refused after the handshake",
            script: {
                $0.ask(1) {
                    $0.scheme = .https
                    $0.retry = .never
                }
                $0.connect(0)
                $0.secure(0)
                $0.reset(0, .broken(TLSFailure(.handshake, "server sent alert: certificate required")))
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                0 got GET /1
                1 end tlsHandshake closed [connected0] unrepeatable
                """
        ),
        Row(
            "TLS that breaks inside a reply truncates it",
            script: {
                $0.ask(1) { $0.scheme = .https }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 OK|Content-Length: 9||half")
                $0.reset(0, .broken(TLSFailure(.handshake, "words")))
            },
            expected: """
                dial 0 a
                tls 0 outer h/h
                0 got GET /1
                1 reply 200
                1 body half
                1 end truncated closed [connected0]
                """
        ),
        Row(
            "an idle connection over TLS says close_notify when it goes",
            { $0.idleConnectionMilliseconds = 1000 },
            script: {
                $0.ask(1) { $0.scheme = .https }
                $0.connect(0)
                $0.secure(0)
                $0.answer(0)
                $0.forget()
                $0.pass(1000)
            },
            expected: """
                notify 0
                close 0
                """
        ),
    ]

    @Test(arguments: rows, [Reading.whole, .inPlace])
    func `TLS stands before a request leaves, and its end is proof`(_ row: Row, reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
