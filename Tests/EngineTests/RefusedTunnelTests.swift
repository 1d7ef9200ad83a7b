// RefusedTunnelTests.swift: a peer that wants to know who a tunnel's client is, by an authentication of connections: the client
// goes on where it began. Source: RFC 4559 §6; RFC 9110 §11.7; DESIGN "Pins are exclusive".
import Model
import Testing

extension Rig {
    /// A tunnel for a client, whose CONNECT carries this, if anything.
    fileprivate func tunnel(_ stream: UInt32, _ token: String, _ value: String = "", _ mode: PinMode = .auto)
    {
        pin(stream, token, mode) { form in
            form.tunnel()
            form.scheme = .http
            if !value.isEmpty {
                form.hop { $0.connectFields = [HeaderField("Proxy-Authorization", value)] }
            }
        }
    }

    /// A CONNECT of the client's own.
    fileprivate func connectAgain(
        _ stream: UInt32,
        _ token: String,
        _ value: String,
        _ mode: PinMode = .require
    ) {
        pin(stream, token, mode) {
            $0.connect(.peer)
            $0.fields = [("Proxy-Authorization", value)]
        }
    }
}

struct RefusedTunnelTests {
    static let rows = [
        Row(
            "the connection is the client's, who goes on with a CONNECT of its own, and nobody else's",
            script: {
                $0.tunnel(1, "t")
                $0.connect(0)
                $0.challenge(0, "NTLM", status: 407)
                $0.tunnel(2, "u")
                $0.ask(3) { $0.route = .peer }
                $0.connectAgain(4, "t", "NTLM one")
                $0.challenge(0, "NTLM two", status: 407)
                $0.connectAgain(5, "t", "NTLM three")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.body(5, "through")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [peerRefused0] unsent
                dial 1 a
                dial 2 a
                0 got CONNECT h:443
                4 reply 407 reused
                4 end peerRefused pinned [reused0]
                0 got CONNECT h:443
                5 reply 200 reused
                0 more through
                """
        ),
        Row(
            "also when its first message came with the fields of the tunnel",
            script: {
                $0.tunnel(1, "t", "NTLM one")
                $0.connect(0)
                $0.challenge(0, "NTLM two", status: 407)
                $0.connectAgain(2, "t", "NTLM three")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.cancel(2)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [peerRefused0] unsent
                0 got CONNECT h:443
                2 reply 200 reused
                close 0
                pin t lost
                2 end cancelled closed [reused0] unrepeatable
                """
        ),
        Row(
            "a token that was to pin the tunnel pins the peer's connection",
            script: {
                $0.tunnel(1, "t", "", .make)
                $0.connect(0)
                $0.challenge(0, "Negotiate", status: 407)
                $0.connectAgain(2, "t", "Negotiate YII=")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.unpin("t")
                $0.cancel(2)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [peerRefused0] unsent
                0 got CONNECT h:443
                2 reply 200 reused
                close 0
                2 end cancelled closed [reused0] unrepeatable
                """
        ),
        Row(
            "what the client has for the origin was not sent, and makes the peer's connection nobody's",
            script: {
                $0.pin(1, "t", .auto) { form in
                    form.tunnel()
                    form.scheme = .http
                    form.fields = [("Authorization", "NTLM one")]
                }
                $0.connect(0)
                $0.challenge(0, "Digest realm=r", status: 407)
                $0.ask(2) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 end peerRefused pooled [peerRefused0] unsent
                0 got GET http://h/2
                """
        ),
        Row(
            "another tunnel of the client does not get it: it would be asked anew",
            script: {
                $0.tunnel(1, "t")
                $0.connect(0)
                $0.challenge(0, "NTLM", status: 407)
                $0.tunnel(2, "t")
                $0.tunnel(3, "t", "", .require)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [peerRefused0] unsent
                dial 1 a
                3 end pinMismatch none [] unsent
                """
        ),
        Row(
            "refused for good behind credentials, or by one that is about to close: nobody's",
            script: {
                $0.tunnel(1, "t", "NTLM one")
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 403 No|Content-Length: 0||")
                $0.tunnel(2, "t")
                $0.connect(1)
                $0.hear(
                    1,
                    "HTTP/1.1 407 No|Proxy-Authenticate: NTLM|Connection: close|Content-Length: 0||"
                )
                $0.connectAgain(3, "t", "NTLM three")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 reply 403
                1 end peerRefused closed [peerRefused0] unsent
                dial 1 a
                1 got CONNECT h:443
                close 1
                pin t made
                2 reply 407
                pin t lost
                2 end peerRefused closed [peerRefused0] unsent
                3 end pinLost none [] unsent
                """
        ),
        Row(
            "a challenge of another kind binds nothing: the connection is anybody's",
            script: {
                $0.tunnel(1, "t")
                $0.connect(0)
                $0.challenge(0, "Basic realm=r", status: 407)
                $0.ask(2) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 end peerRefused pooled [peerRefused0] unsent
                0 got GET http://h/2
                """
        ),
        Row(
            "what was tried in our own name is nobody's to go on with",
            script: {
                $0.pin(1, "t", .auto) {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.peer = .of("u", .ntlm)
                }
                $0.connect(0)
                $0.demand(0, "NTLM", status: 407)
                $0.step("one")
                $0.demand(0, "NTLM", status: 407)
                $0.connectAgain(2, "t", "NTLM three")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's
                resume 0
                0 got CONNECT h:443
                drop context 1
                close 0
                1 reply 407 reused
                1 body no
                1 end peerRefused closed [peerRefused0 peerRefused0] unsent
                2 end pinLost none [] unsent
                """
        ),
        Row(
            "unpinned, cancelled, its session lost, while the challenge comes",
            script: {
                for stream in UInt32(1)...3 {
                    $0.tunnel(stream, "t\(stream)")
                    $0.connect(Int(stream) - 1)
                    $0.hear(
                        Int(stream) - 1,
                        "HTTP/1.1 407 No|Proxy-Authenticate: NTLM|Content-Length: 2||n"
                    )
                }
                $0.unpin("t1")
                $0.hear(0, "o")
                $0.cancel(2)
                $0.lose()
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t1 made
                1 reply 407
                1 body n
                dial 1 a
                1 got CONNECT h:443
                pin t2 made
                2 reply 407
                2 body n
                dial 2 a
                2 got CONNECT h:443
                pin t3 made
                3 reply 407
                3 body n
                close 0
                1 body o
                1 end peerRefused closed [peerRefused0] unsent
                close 1
                pin t2 lost
                2 end cancelled closed [peerRefused0] unsent
                close 2
                """
        ),
    ]

    @Test(arguments: rows) func `a client goes on at the peer where it began`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: a client goes on at the peer where it began`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
