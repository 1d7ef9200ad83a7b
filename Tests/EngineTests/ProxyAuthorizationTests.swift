// ProxyAuthorizationTests.swift: whose Proxy-Authorization it is that goes out, where several could: the request's, that of the
// fields for its CONNECT, the route's, or the answer with credentials. Source: proto/outrigger.proto, Credentials, Hop.
import Model
import Testing

extension NamedSettings {
    /// The route "r" through peer a, with a field line for its CONNECT.
    fileprivate static func route(_ name: String, _ value: String) -> NamedSettings {
        var route = NamedRoute()
        route.kind = .peerTunnel
        route.endpoints = [.lettered("a")]
        route.connectFields = [HeaderField(name, value)]
        var named = NamedSettings()
        named.routes["r"] = route
        return named
    }
}

struct ProxyAuthorizationTests {
    /// What the proxy says itself stands; what it lets us say fills a gap. Two lines never go out.
    static let rows = [
        Row(
            "a request's own field stands before credentials for the peer",
            script: {
                $0.ask(1) {
                    $0.route = .peer
                    $0.fields = [("proxy-authorization", "Basic own")]
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                1 reply 407
                1 end complete pooled [connected0]
                0 was shown proxy-authorization: Basic own
                """
        ),
        Row(
            "a field for the CONNECT stands before credentials for the peer of a tunnel",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.hop { $0.connectFields = [HeaderField("Proxy-Authorization", "Basic own")] }
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 end peerRefused pooled [peerRefused0] unsent
                0 was shown Proxy-Authorization: Basic own
                """
        ),
        Row(
            "in a tunnel the request's own field goes nowhere, and credentials go to the peer alone",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.fields = [("Proxy-Authorization", "Basic own")]
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.answer(0)
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                0 got CONNECT h:443
                0 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [peerRefused0 connected0]
                0 was shown nothing, then Proxy-Authorization: Basic dTpw, then nothing
                """
        ),
        Row(
            "a proxy's own CONNECT: its field stands before credentials",
            script: {
                $0.ask(1) {
                    $0.connect(.peer)
                    $0.fields = [("Proxy-Authorization", "Basic own")]
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 end peerRefused pooled [connected0]
                0 was shown Proxy-Authorization: Basic own
                """
        ),
        Row(
            "a proxy's own CONNECT with a field, and another in connect_fields",
            script: {
                $0.ask(1) {
                    $0.connect(.peer)
                    $0.fields = [("Proxy-Authorization", "Basic own")]
                    $0.hop { $0.connectFields = [HeaderField("proxy-authorization", "Basic other")] }
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                0 was shown Proxy-Authorization: Basic own
                """
        ),
        Row(
            "a proxy's own CONNECT over a route that has one",
            named: .route("Proxy-Authorization", "Basic route"),
            script: {
                $0.ask(1) {
                    $0.connect(.peer)
                    $0.hop { $0.name = "r" }
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.shown(0)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                1 reply 407
                1 end peerRefused pooled [connected0]
                0 was shown Proxy-Authorization: Basic route
                """
        ),
        Row(
            "a route's field stands before credentials, and the proxy's before the route's",
            named: .route("Proxy-Authorization", "Basic route"),
            script: {
                for stream in UInt32(1)...2 {
                    $0.ask(stream) {
                        $0.tunnel()
                        $0.scheme = .http
                        $0.peerUser = "u"
                        $0.hop {
                            $0.name = "r"
                            if stream == 2 {
                                $0.connectFields = [HeaderField("Proxy-Authorization", "Basic own")]
                            }
                        }
                    }
                    $0.connect(Int(stream) - 1)
                    $0.shown(Int(stream) - 1)
                }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                0 was shown Proxy-Authorization: Basic route
                dial 1 a
                1 got CONNECT h:443
                1 was shown Proxy-Authorization: Basic own
                """
        ),
    ]

    @Test(arguments: rows) func `one Proxy-Authorization goes out at most, and whose is fixed`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

}
