// SecurityPeerTests.swift: Negotiate and NTLM of peers: plain requests, tunnels, and origins behind them.
// Source: RFC 4559 §6; RFC 9110 §9.3.6, §11.7; issue "Local authentication".
import Model
import Testing

struct SecurityPeerTests {
    static let rows = [
        Row(
            "a peer that reads requests itself",
            script: {
                $0.ask(1) {
                    $0.route = .peer
                    $0.peer = .of("u", .ntlm)
                }
                $0.connect(0)
                $0.demand(0, "NTLM", status: 407)
                $0.step("one")
                $0.demand(0, "NTLM", "two", status: 407)
                $0.lastStep("three")
                $0.said(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's
                resume 0
                probe 0
                0 got GET http://h/1
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's given two
                resume 0
                probe 0
                0 got GET http://h/1
                0 said Proxy-Authorization: NTLM three
                drop context 1
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0 reused0]
                """
        ),
        Row(
            "an origin behind a peer: where the peer bears it",
            script: {
                for stream in UInt32(1)...2 {
                    $0.ask(stream) {
                        $0.route = .peer
                        $0.knows("u")
                    }
                    $0.connect(Int(stream) - 1)
                    let more = stream == 1 ? "" : "Proxy-Support: Session-Based-Authentication|"
                    $0.demand(Int(stream) - 1, "Negotiate", "", more)
                }
                $0.step("ticket")
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                close 0
                1 reply 401
                1 body no
                1 end complete closed [connected0]
                dial 1 a
                1 got GET http://h/2
                pause 1
                step 1 Negotiate HTTP@h u
                resume 1
                probe 1
                1 got GET http://h/2
                drop context 1
                close 1
                2 reply 200 reused
                2 body ok
                2 end complete closed [connected0 reused0]
                """
        ),
        Row(
            "the peer, and then the origin behind it, on one connection",
            script: {
                $0.ask(1) {
                    $0.route = .peer
                    $0.peer = .of("p", .negotiate)
                    $0.knows("u")
                }
                $0.connect(0)
                $0.demand(0, "Negotiate", status: 407)
                $0.step("for the peer")
                $0.hear(
                    0,
                    "HTTP/1.1 401 No|WWW-Authenticate: Negotiate|Proxy-Authenticate: Negotiate dHdv"
                        + "|Proxy-Support: Session-Based-Authentication|Content-Length: 2||no"
                )
                $0.lastStep()
                $0.step("for the origin")
                $0.said(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                pause 0
                step 1 Negotiate HTTP@0.0.0.1 p as a peer's
                resume 0
                probe 0
                0 got GET http://h/1
                pause 0
                step 1 Negotiate HTTP@0.0.0.1 p as a peer's given two
                resume 0
                drop context 1
                pause 0
                step 2 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET http://h/1
                0 said Authorization: Negotiate for the origin
                drop context 2
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [connected0 reused0 reused0]
                """
        ),
        Row(
            "a tunnel: all its CONNECTs on one connection, which then serves one request",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.peer = .of("u", .ntlm)
                }
                $0.connect(0)
                $0.demand(0, "NTLM", status: 407)
                $0.step("one")
                $0.said(0)
                $0.demand(0, "NTLM", "two", status: 407)
                $0.lastStep("three")
                $0.said(0)
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's
                resume 0
                0 got CONNECT h:443
                0 said Proxy-Authorization: NTLM one
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's given two
                resume 0
                0 got CONNECT h:443
                0 said Proxy-Authorization: NTLM three
                drop context 1
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [peerRefused0 peerRefused0 connected0]
                """
        ),
        Row(
            "a tunnel whose peer proves itself, and one whose peer does not",
            script: {
                for stream in UInt32(1)...2 {
                    let socket = Int(stream) - 1
                    $0.ask(stream) {
                        $0.tunnel()
                        $0.scheme = .http
                        $0.peer = .of("u", .negotiate)
                    }
                    $0.connect(socket)
                    $0.demand(socket, "Negotiate", status: 407)
                    $0.step("ticket")
                    $0.hear(socket, "HTTP/1.1 200 OK|Proxy-Authenticate: Negotiate dHdv||")
                    $0.note("nothing is sent yet")
                    $0.step(stream == 1 ? .done(token: Secret("")) : .failed("wrong"))
                }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 0
                0 got CONNECT h:443
                step 1 Negotiate HTTP@0.0.0.1 u as a peer's given two
                nothing is sent yet
                drop context 1
                0 got GET /1
                dial 1 a
                1 got CONNECT h:443
                pause 1
                step 2 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 1
                1 got CONNECT h:443
                step 2 Negotiate HTTP@0.0.0.1 u as a peer's given two
                nothing is sent yet
                drop context 2
                close 1
                2 end badReply none [peerRefused0 peerRefused0] unsent
                """
        ),
        Row(
            "a tunnel refused at last, its peer gone, and bytes before its peer has proved itself",
            script: {
                for stream in UInt32(1)...3 {
                    let socket = Int(stream) - 1
                    $0.ask(stream) {
                        $0.tunnel()
                        $0.scheme = .http
                        $0.peer = .of("u", .negotiate)
                    }
                    $0.connect(socket)
                    $0.demand(socket, "Negotiate", status: 407)
                    $0.step("ticket")
                    switch stream {
                    case 1: $0.hear(socket, "HTTP/1.1 403 No|Content-Length: 2||no")
                    case 2: $0.reset(socket)
                    default:
                        $0.hear(socket, "HTTP/1.1 200 OK|Proxy-Authenticate: Negotiate dHdv||")
                        $0.hear(socket, "x")
                        $0.lastStep()
                    }
                }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 0
                0 got CONNECT h:443
                drop context 1
                close 0
                1 reply 403 reused
                1 body no
                1 end peerRefused closed [peerRefused0 peerRefused0] unsent
                dial 1 a
                1 got CONNECT h:443
                pause 1
                step 2 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 1
                1 got CONNECT h:443
                drop context 2
                2 end reset none [peerRefused0 peerRefused0] unsent
                dial 2 a
                2 got CONNECT h:443
                pause 2
                step 3 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 2
                2 got CONNECT h:443
                step 3 Negotiate HTTP@0.0.0.1 u as a peer's given two
                close 2
                drop context 3
                3 end badReply none [peerRefused0 failed0] unsent
                """
        ),
        Row(
            "a CONNECT of the proxy's own",
            script: {
                $0.ask(1) {
                    $0.connect(.peer)
                    $0.peer = .of("u", .ntlm)
                }
                $0.connect(0)
                $0.demand(0, "NTLM", status: 407)
                $0.step("one")
                $0.demand(0, "NTLM", "two", status: 407)
                $0.lastStep("three")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.body(1, "ping")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's
                resume 0
                probe 0
                0 got CONNECT h:443
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's given two
                resume 0
                probe 0
                0 got CONNECT h:443
                drop context 1
                1 reply 200 reused
                0 more ping
                """
        ),
    ]

    @Test(arguments: rows) func `peers are answered like origins`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: peers are answered like origins`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
