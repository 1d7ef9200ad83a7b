// RouteTests.swift: routes, and that no secret of theirs is ever printed.
import Configuration
import Model
import Testing

private func row(_ name: String, _ route: String, _ problems: String...) -> Row {
    Row(name, "routes: {r: {\(route)}}", problems)
}

private let peer = "kind: peer-tunnel, connect-fields: "

private let rows = [
    row("nothing", ""),
    row("an unknown kind", "kind: tunnel", "1:20: error: routes: r: kind: one of direct, peer, peer-tunnel"),
    row("endpoints", "endpoints: ['192.0.2.1:1', '[2001:db8::1]:65535', 'unix:/a', 'unix:b']"),
    row("a name", "endpoints: ['localhost:80']", "1:26: error: routes: r: \(endpoint)"),
    row("a port too large", "endpoints: ['192.0.2.1:65536']", "1:26: error: routes: r: \(endpoint)"),
    row("no port", "endpoints: [192.0.2.1]", "1:26: error: routes: r: \(endpoint)"),
    row("no path", "endpoints: ['unix:']", "1:26: error: routes: r: \(endpoint)"),
    row(
        "one endpoint in place of a list",
        "endpoints: '192.0.2.1:1'",
        "1:25: error: routes: r: endpoints: \(list)"
    ),
    row("an address to connect from", "local-address: '::1', endpoints: ['[::1]:80', 'unix:/a']"),
    row("an address with a port", "local-address: '127.0.0.1:1'", "1:29: error: routes: r: \(local)"),
    row(
        "an address of another family",
        "endpoints: ['[::1]:80', '127.0.0.1:80'], local-address: 127.0.0.1",
        "1:26: error: routes: r: endpoints: of another family than local-address"
    ),
    row("TLS to a peer", "kind: peer, peer-tls: {server-name: peer.example}"),
    row(
        "TLS to a peer that does not say how",
        "kind: peer, peer-tls: ",
        "1:36: error: routes: r: peer-tls: \(profile)"
    ),
    row("a list as a profile", "origin-tls: [a]", "1:26: error: routes: r: origin-tls: \(profile)"),
    row("no such profile", "origin-tls: x", "1:26: error: routes: r: origin-tls: there is no such profile"),
    row(
        "a mistake in a profile that stands in a route",
        "kind: peer, peer-tls: {trusts: system}",
        "1:37: error: routes: r: peer-tls: unknown key 'trusts'; did you mean trust?"
    ),
    row(
        "TLS to the peer of a direct route",
        "peer-tls: {}",
        "1:14: error: routes: r: peer-tls on a route that is direct, where there is no peer"
    ),
    row(
        "fields for the peer of a direct route",
        "kind: direct, connect-fields: {}",
        "1:28: error: routes: r: connect-fields on a route that is direct, where there is no peer"
    ),
    row("a contradiction with a kind that is unknown", "kind: x, peer-tls: {}", "1:20: \(kind)"),
    row(
        "TLS to the origin of a peer that speaks to it",
        "kind: peer, origin-tls: {}",
        "1:26: error: routes: r: origin-tls on a route whose peer speaks to origins; see peer-tls, or peer-tunnel"
    ),
    row(
        "fields without a tunnel",
        "kind: peer, connect-fields: {}",
        "1:26: warning: routes: r: connect-fields on a route that makes no tunnel"
    ),
    row("PROXY", "proxy-protocol: v2"),
    row(
        "an unknown PROXY",
        "proxy-protocol: 2",
        "1:30: error: routes: r: proxy-protocol: one of none, v1, v2"
    ),
    row(
        "an unknown key",
        "endpoint: []",
        "1:14: error: routes: r: unknown key 'endpoint'; did you mean endpoints?"
    ),
    row("fields", peer + "{A: b, \"!#$%&'*+-.^_`|~\": \"b\\tc ä\"}"),
    row("no fields", peer + ""),
    row("a field twice", peer + "[{name: A, value: 1}, {name: A, value: 2}]"),
    row("a name with a space", peer + "{'A B': c}", "1:50: error: routes: r: \(fieldName)"),
    row("a name with a colon", peer + "{'A:': c}", "1:50: error: routes: r: \(fieldName)"),
    row("a name with a line break", peer + #"{"A\r\nB": c}"#, "1:50: error: routes: r: \(fieldName)"),
    row("a name that is not ASCII", peer + "{Ä: c}", "1:50: error: routes: r: \(fieldName)"),
    row("an empty name", peer + "{'': c}", "1:50: error: routes: r: \(fieldName)"),
    row("a field of ours", peer + "{content-LENGTH: c}", "1:50: error: routes: r: \(own)"),
    row("a value with CR", peer + #"{A: "b\rC: d"}"#, "1:53: error: routes: r: \(fieldValue)"),
    row("a value with LF", peer + #"{A: "b\nC: d"}"#, "1:53: error: routes: r: \(fieldValue)"),
    row("a value with NUL", peer + #"{A: "b\0"}"#, "1:53: error: routes: r: \(fieldValue)"),
    row("a value with DEL", peer + #"{A: "b\x7f"}"#, "1:53: error: routes: r: \(fieldValue)"),
    row("an empty value", peer + "{A: }", "1:53: error: routes: r: connect-fields: the value is empty"),
    row(
        "a value of spaces",
        peer + #"{A: " \t"}"#,
        "1:53: error: routes: r: connect-fields: the value is empty"
    ),
    row("values from elsewhere", peer + "{A: {env: SECRET}, B: {file: /secret}, C: {file: secret}}"),
    row("a variable that is not set", peer + "{A: {env: NO}}", "1:59: error: routes: r: \(unset)"),
    row("a variable with a line break", peer + "{A: {env: LINES}}", "1:53: error: routes: r: \(fieldValue)"),
    row("a file with two lines", peer + "{A: {file: /lines}}", "1:53: error: routes: r: \(fieldValue)"),
    row(
        "a file that is missing",
        peer + "{A: {file: /no}}",
        "1:60: error: routes: r: connect-fields: file: \(missing)"
    ),
    row(
        "a folder",
        peer + "{A: {file: /folder}}",
        "1:60: error: routes: r: connect-fields: file: this is a folder"
    ),
    row("a value from nowhere", peer + "{A: {environment: X}}", "1:53: error: routes: r: \(fieldSource)"),
    row(
        "a value from two places",
        peer + "{A: {env: SECRET, file: /secret}}",
        "1:53: error: routes: r: \(fieldSource)"
    ),
    row("a value that is a list", peer + "{A: [b]}", "1:53: error: routes: r: \(fieldSource)"),
    row("a field without a value", peer + "[{name: A}]", "1:50: error: routes: r: \(pair)"),
    row("a field as a mapping in a list", peer + "[{A: b}]", "1:50: error: routes: r: \(pair)"),
    row(
        "a field with too much",
        peer + "[{name: A, value: b, values: c}]",
        "1:50: error: routes: r: \(pair)"
    ),
    row(
        "fields that are too long together",
        peer + "{A: \(String(repeating: "a", count: 40_000)), B: \(String(repeating: "b", count: 30_000))}",
        "1:49: error: routes: r: connect-fields: longer than 65536 bytes in all"
    ),
    Row(
        "more endpoints than a request may have",
        "limits: {endpoints-max: 1}\nroutes: {r: {endpoints: ['unix:/a', 'unix:/b']}}",
        "2:13: error: routes: r: endpoints: at most 1, as endpoints-max says"
    ),
    Row("a route before its profile", "routes: {r: {origin-tls: t}}\ntls: {t: {}}"),
    Row(
        "a profile that is nearly there",
        "routes: {r: {origin-tls: defualt}}\ntls: {default: {}}",
        "1:26: error: routes: r: origin-tls: there is no such profile; did you mean default?"
    ),
]

private let endpoint = "endpoints: IPv4:PORT, [IPv6]:PORT or unix:PATH; names are not resolved"
private let list = "a list is wanted here, such as [a, b]"
private let local = "local-address: an IP address is wanted, without port or brackets"
private let profile = "the name of a profile or a mapping is wanted here"
private let kind = "error: routes: r: kind: one of direct, peer, peer-tunnel"
private let fieldName = "connect-fields: this is no field name (RFC 9110 §5.1)"
private let fieldValue =
    "connect-fields: a value has no line break and no other control character (RFC 9110 §5.5)"
private let fieldSource = "connect-fields: a value is a text, {env: VARIABLE} or {file: PATH}"
private let own = "connect-fields: the sidecar writes this field itself"
private let unset = "connect-fields: env: this variable is not set"
private let missing = "no such file"
private let pair = "connect-fields: {name: NAME, value: VALUE} is wanted here"

struct RouteTests {
    private let world = World(
        variables: [("SECRET", " canary-7 "), ("LINES", "canary-7\nX: y")],
        files: [
            "/secret": .bytes(Array("canary-7\r\n".utf8)), "/etc/secret": .bytes(Array("canary-8".utf8)),
            "/lines": .bytes(Array("canary-7\nX: y\n".utf8)),
        ],
        folders: ["/folder": []]
    )

    @Test(arguments: rows) func `a route is sound, or the place of what is not is told`(_ row: Row) {
        #expect(world.read(row.text).problems == row.problems)
    }

    @Test func `every key of a route has its place in the settings`() {
        let text = """
            tls: {t: {server-name: origin.example}}
            routes:
              all:
                kind: peer-tunnel
                endpoints: ["192.0.2.1:3128", "unix:p.sock"]
                local-address: 192.0.2.7
                peer-tls: {server-name: peer.example}
                origin-tls: t
                connect-fields:
                  - {name: A, value: " 1 "}
                  - {name: A, value: {env: SECRET}}
                  - {name: B, value: {file: /secret}}
                proxy-protocol: v1
              none:
            """
        let answer = world.read(text)
        #expect(answer.problems.isEmpty)
        var all = NamedRoute()
        all.kind = .peerTunnel
        all.endpoints = [.ip(.v4(0xC000_0201), port: 3128), .unix(path: Array("/etc/p.sock".utf8))]
        all.localAddress = .v4(0xC000_0207)
        var peer = TLSProfile()
        peer.serverName = "peer.example"
        all.peerTLS = peer
        var origin = TLSProfile()
        origin.serverName = "origin.example"
        all.originTLS = origin
        all.connectFields = [("A", "1"), ("A", "canary-7"), ("B", "canary-7")].map {
            HeaderField(name: Array($0.0.utf8), value: Array($0.1.utf8))
        }
        all.proxyProtocol = .v1
        #expect(answer.settings.named.routes == ["all": all, "none": NamedRoute()])
    }

    /// Each has the canary in a place where a value, or a key that is a slip of the pen, may be.
    @Test(arguments: [
        "routes: {r: {kind: direct, connect-fields: {A: canary-7}}}",
        "routes: {r: {\(peer){A: \"canary-7\\n\"}}}", "routes: {r: {\(peer){Host: canary-7}}}",
        "routes: {r: {\(peer){\"canary-7 \": }}}", "routes: {r: {\(peer){\"Basic canary-7\": x}}}",
        "routes: {r: {\(peer)[{A: canary-7}]}}", "routes: {r: {\(peer)[{name: A, \"canary-7\": B}]}}",
        "routes: {r: {\(peer){A: [canary-7]}}}", "routes: {r: {\(peer){A: {canary-7: x}}}}",
        "routes: {r: {\(peer)canary-7}}", "routes: {r: {\(peer){A: b, canary-7, canary-7}}}",
        "routes: {r: {\(peer){A: {env: LINES}}}}", "routes: {r: {\(peer){A: {file: /lines}}}}",
        "routes: {r: {\(peer){A: canary-7", "routes: {r: {\(peer){A: 'canary-7}}}", "workers: canary-7",
        "socket: [canary-7]", "limits: canary-7", "allow-uid: [canary-7]", "tls: {t: {trust: canary-7}}",
        "tls: {t: {spki-sha256: [canary-7]}}", "routes: {r: {origin-tls: canary-7}}", "a: *canary-7",
        "a: !canary-7 b",
        "a: &canary-7 b", "tls: {'canary-7 ': {}}",
    ])
    func `no value is printed`(_ text: String) {
        let problems = world.read(text).problems
        #expect(!problems.isEmpty)
        #expect(!problems.contains { $0.contains("canary") }, "\(problems)")
    }
}
