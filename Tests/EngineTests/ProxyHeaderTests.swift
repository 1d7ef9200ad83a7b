// ProxyHeaderTests.swift: the PROXY protocol's header in front of a connection.
// Source: HAProxy's proxy-protocol.txt, §2.1 and §2.2.
import Model
import Testing

struct ProxyHeaderTests {
    static let rows = [
        Row(
            "PROXY v1 goes before everything; the endpoint is the destination",
            script: {
                $0.ask(1) {
                    $0.hop {
                        $0.proxyProtocol = .v1
                        $0.proxySource = .ip(.v4(0x0A00_0001), port: 999)
                    }
                }
                $0.connect(0)
            },
            expected: """
                dial 0 a
                0 more PROXY TCP4 10.0.0.1 0.0.0.1 999 80|
                0 got GET /1
                """
        ),
        Row(
            "PROXY v1 of a client that nobody knows, before TLS",
            script: {
                $0.ask(1) {
                    $0.scheme = .https
                    $0.hop { $0.proxyProtocol = .v1 }
                }
                $0.connect(0)
            },
            expected: """
                dial 0 a
                0 more PROXY UNKNOWN|
                tls 0 outer h/h
                """
        ),
        Row(
            "CONNECT, direct: the header, then nothing but the proxy's bytes; the connection is nobody else's",
            script: {
                $0.ask(1) {
                    $0.connect()
                    $0.hop { $0.proxyProtocol = .v1 }
                }
                $0.body(1, "early")
                $0.connect(0)
                $0.hear(0, "back")
                $0.ask(2) {
                    $0.connect()
                    $0.hop { $0.proxyProtocol = .v1 }
                }
            },
            expected: """
                dial 0 a
                0 more PROXY UNKNOWN|early
                1 reply 200
                1 body back
                dial 1 a
                """
        ),
        Row(
            "one client's connection is not another's",
            script: {
                $0.ask(1) {
                    $0.hop {
                        $0.proxyProtocol = .v1
                        $0.proxySource = .ip(.v4(1), port: 999)
                    }
                }
                $0.connect(0)
                $0.answer(0)
                $0.forget()
                $0.ask(2) {
                    $0.hop {
                        $0.proxyProtocol = .v1
                        $0.proxySource = .ip(.v4(2), port: 999)
                    }
                }
            },
            expected: """
                dial 1 a
                """
        ),
    ]

    @Test(arguments: rows, [Reading.whole, .inPlace])
    func `the PROXY header goes before everything, and is part of the way`(_ row: Row, reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
