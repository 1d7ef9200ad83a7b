// CommitTests.swift: bytes that are encrypted and not yet written: they may be on the wire, and cannot be taken back.
// Source: DESIGN "Retries are safe", "No desynchronisation"; SECURITY rows 27 and 28.
import Model
import Testing

struct CommitTests {
    static let rows = [
        Row(
            "a request that is on its way is not given up with its connection in the pool",
            script: {
                $0.isWriting = false
                $0.post(1, 5)
                $0.connect(0)
                $0.commit(0)
                $0.cancel(1)
            },
            expected: """
                dial 0 a
                close 0
                1 end cancelled closed [connected0] unrepeatable
                """
        ),
        Row(
            "an early reply to what is on its way is its reply",
            script: {
                $0.isWriting = false
                $0.post(1, 5) { $0.retry = .never }
                $0.connect(0)
                $0.commit(0)
                $0.hear(0, "HTTP/1.1 413 Too Large|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                close 0
                1 reply 413
                1 end complete closed [connected0] unrepeatable
                """
        ),
        Row(
            "what is on its way is not sent again when the connection dies",
            script: {
                $0.isWriting = false
                $0.post(1, 5)
                $0.body(1, "hello", ends: true)
                $0.connect(0)
                $0.commit(0)
                $0.reset(0)
            },
            expected: """
                dial 0 a
                1 end reset closed [connected0] unrepeatable
                """
        ),
        Row(
            "but it is where RFC 9110 §9.2.2 permits it",
            script: {
                $0.warm(0)
                $0.isWriting = false
                $0.ask(1)
                $0.commit(0)
                $0.reset(0)
                $0.isWriting = true
                $0.connect(1)
            },
            expected: """
                dial 1 a
                1 got GET /1
                """
        ),
        Row(
            "a peer that refuses before the CONNECT is out: its reply is whole, its connection is not kept",
            script: {
                $0.isWriting = false
                $0.ask(1) {
                    $0.route = .peerTunnel
                    $0.authority = "h:443"
                }
                $0.connect(0)
                $0.write(0, 10)
                $0.hear(0, "HTTP/1.1 431 Too Large|Content-Length: 2||no")
            },
            expected: """
                dial 0 a
                0 more CONNECT h:
                close 0
                1 reply 431
                1 body no
                1 end peerRefused closed [peerRefused0] unsent
                """
        ),
        Row(
            "a tunnel that is granted before it is asked for is none",
            script: {
                $0.isWriting = false
                $0.ask(1) {
                    $0.route = .peerTunnel
                    $0.authority = "h:443"
                }
                $0.connect(0)
                $0.write(0, 10)
                $0.hear(0, "HTTP/1.1 200 OK||")
            },
            expected: """
                dial 0 a
                0 more CONNECT h:
                close 0
                1 end badReply none [peerRefused0] unsent
                """
        ),
        Row(
            "RFC 9112 §9.8: a TLS peer that cuts a tunnel of clear text cuts the reply in it",
            script: {
                $0.ask(1) {
                    $0.route = .peerTunnel
                    $0.authority = "h:80"
                    $0.hop = HopRequest()
                    $0.hop?.tls = TLSRequest()
                }
                $0.connect(0)
                $0.secure(0)
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.hear(0, "HTTP/1.1 200 OK||half")
                $0.end(0)
            },
            expected: """
                dial 0 a
                tls 0 outer /0.0.0.1
                0 got CONNECT h:80
                0 got GET /1
                1 reply 200
                1 body half
                close 0
                1 end truncated closed [connected0]
                """
        ),
    ]

    @Test(arguments: rows) func `what has left cannot be taken back`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test func `fields of a request replace those of its route by name`() {
        var named = NamedSettings()
        var route = NamedRoute()
        route.kind = .peerTunnel
        route.endpoints = [.lettered("a")]
        route.connectFields = [
            HeaderField(name: Array("Proxy-Authorization".utf8), value: Array("Basic cm91dGU=".utf8)),
            HeaderField(name: Array("User-Agent".utf8), value: Array("route".utf8)),
        ]
        named.routes["parents"] = route
        let rig = Rig(named: named)
        rig.greet()
        rig.ask(1, "") { form in
            form.authority = "h:443"
            form.hop = HopRequest()
            form.hop?.name = "parents"
            form.hop?.connectFields = [
                HeaderField(name: Array("proxy-authorization".utf8), value: Array("Basic b3du".utf8))
            ]
        }
        rig.connect(0)
        #expect(rig.written(0).contains("User-Agent: route\r\nproxy-authorization: Basic b3du\r\n\r\n"))
        #expect(!rig.written(0).contains("cm91dGU="))
    }
}
