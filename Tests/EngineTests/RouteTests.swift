// RouteTests.swift: TLS, peers, tunnels, the PROXY protocol: what happens on a connection before the first request.
// Source: proto/outrigger.proto, messages Request, Tls and Hop; RFC 9110 §9.3.6; RFC 9112 §9.8.
import Model
import Testing

extension Form {
    /// https, through a tunnel at a peer.
    mutating func tunnel(_ authority: String = "h:443") {
        self.authority = authority
        scheme = .https
        route = .peerTunnel
    }

    mutating func connect(_ route: Route = .direct) {
        method = "CONNECT"
        authority = "h:443"
        self.route = route
    }

    /// Changes the hop, which is made when there is none.
    mutating func hop(_ change: (inout HopRequest) -> Void) {
        var hop = hop ?? HopRequest()
        change(&hop)
        self.hop = hop
    }
}

extension HeaderField {
    init(_ name: String, _ value: String) { self.init(name: Array(name.utf8), value: Array(value.utf8)) }
}

struct RouteTests {
    static let direct = [
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

    static let refused: [(String, @Sendable (inout Form) -> Void)] = [
        ("tls without https", { $0.tls = TLSRequest() }),
        (
            "tls to the origin over an absolute-form peer",
            {
                $0.tls = TLSRequest()
                $0.scheme = .https
                $0.route = .peer
            }
        ),
        (
            "a profile that does not exist",
            {
                $0.scheme = .https
                $0.tls = TLSRequest()
                $0.tls?.profile = "nowhere"
            }
        ),
        ("a route that does not exist", { $0.hop { $0.name = "nowhere" } }),
        ("hop.tls without a peer", { $0.hop { $0.tls = TLSRequest() } }),
        (
            "connect_fields without a tunnel",
            {
                $0.route = .peer
                $0.hop { $0.connectFields = [HeaderField("a", "b")] }
            }
        ),
        (
            "connect_fields that split the CONNECT",
            {
                $0.tunnel()
                $0.hop { $0.connectFields = [HeaderField("a", "b\r\nc: d")] }
            }
        ),
        (
            "connect_fields that frame",
            {
                $0.tunnel()
                $0.hop { $0.connectFields = [HeaderField("Content-Length", "5")] }
            }
        ),
        (
            "a source without the header",
            { $0.hop { $0.proxySource = .ip(.v4(1), port: 1) } }
        ),
        (
            "source and endpoint of two families",
            {
                $0.hop {
                    $0.proxyProtocol = .v1
                    $0.proxySource = .ip(.v6(high: 0, low: 1, scope: 0), port: 1)
                }
            }
        ),
        (
            "versions the wrong way round",
            {
                $0.scheme = .https
                $0.tls = TLSRequest()
                $0.tls?.versionMin = .v13
                $0.tls?.versionMax = .v12
            }
        ),
        (
            "CONNECT with END_STREAM",
            {
                $0.connect()
                $0.ends = true
            }
        ),
        (
            "CONNECT with a body",
            {
                $0.connect()
                $0.body = .chunked
            }
        ),
        (
            "CONNECT with https",
            {
                $0.connect()
                $0.scheme = .https
            }
        ),
        (
            "CONNECT without a port",
            {
                $0.connect()
                $0.authority = "h"
            }
        ),
        (
            "CONNECT with a target",
            {
                $0.connect(.peer)
                $0.target = "/"
            }
        ),
    ]

    @Test(arguments: refused.indices) func `what contradicts itself is refused before anything leaves`(
        index: Int
    ) {
        let rig = Rig()
        rig.greet()
        rig.ask(1) { Self.refused[index].1(&$0) }
        #expect(rig.lines == ["1 end badRequest none [] unsent"], "\(Self.refused[index].0)")
        #expect(rig.routeCount == 0)
    }

    static let tunnels = [
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

    static let connects = [
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

    static let headers = [
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
            "PROXY v1 before the bytes of a CONNECT that is answered by connecting",
            script: {
                $0.ask(1) {
                    $0.connect()
                    $0.hop { $0.proxyProtocol = .v1 }
                }
                $0.connect(0)
                $0.body(1, "bytes", ends: true)
                $0.end(0)
            },
            expected: """
                dial 0 a
                0 more PROXY UNKNOWN|
                1 reply 200
                0 more bytes
                shut 0
                close 0
                1 end complete closed [connected0] unrepeatable
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

    static let rows = direct + tunnels + connects + headers

    @Test(arguments: rows, [Reading.whole, .inPlace])
    func `a way is gone step by step, and nothing else goes with it`(_ row: Row, reading: Reading) {
        #expect(row.lines(reading) == row.expected)
    }
}
