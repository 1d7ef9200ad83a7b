// RouteTests.swift: ways that contradict themselves.
// Source: proto/outrigger.proto, messages Request, Tls and Hop.
import Model
import Testing

struct RouteTests {
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
}
