// FetchPeerOptions.swift: how `fetch` gets to the addresses: peers, tunnels, the PROXY protocol.
// Owns: these options and what they mean together. Source: proto/outrigger.proto, message Hop.
import ArgumentParser
import Model
import OutriggerClient

/// The way to the addresses.
struct FetchPeerOptions: ParsableArguments {
    @Flag(help: "The addresses are those of a peer (a parent proxy): ask in absolute-form.")
    var peer = false

    @Flag(help: "The addresses are those of a peer: ask it for a tunnel to the origin (CONNECT).")
    var peerTunnel = false

    @Flag(
        name: .customLong("peer-tls"),
        help: "Speak TLS to the peer, who is known by its address unless --peer-verify-name says else."
    )
    var hasPeerTLS = false

    @Option(help: ArgumentHelp("As --cacert, for the peer.", valueName: "file"))
    var peerCacert: String?

    @Flag(help: "As --insecure, for the peer.")
    var peerInsecure = false

    @Option(
        help: ArgumentHelp(
            "Name or IP address that the peer's certificate must be for. A name is sent as server name, too.",
            valueName: "name"
        )
    )
    var peerVerifyName: String?

    @Option(
        help: ArgumentHelp(
            "Field line for the CONNECT, 'Name: value', which the origin does not get. Repeat for more.",
            valueName: "line"
        )
    )
    var connectHeader: [String] = []

    @Option(
        help: ArgumentHelp("Begin connections with a header of the PROXY protocol.", valueName: "version")
    )
    var proxyProtocol: FetchProxyProtocol?

    @Option(
        help: ArgumentHelp(
            "Client's address for that header. It says 'unknown' without.",
            valueName: "ip:port"
        )
    )
    var proxySource: String?

    @Option(help: ArgumentHelp("Route of the sidecar's configuration.", valueName: "name"))
    var route: String?

    /// What the request says of its route.
    var kind: Route { peer ? .peer : peerTunnel ? .peerTunnel : .direct }

    /// Whether the addresses are surely not the origin's.
    var isPeer: Bool { peer || peerTunnel }

    /// What the request says of the way; `nil`: nothing.
    func request(_ reader: FetchFileReader, _ endpoints: [Endpoint]) throws(CommandFailure) -> HopRequest? {
        let routes = [(peer, "--peer"), (peerTunnel, "--peer-tunnel"), (route != nil, "--route")]
            .filter(\.0).map(\.1)
        if routes.count > 1 { throw .usage("\(routes.joined(separator: " and ")) exclude each other") }
        var hop = HopRequest()
        hop.name = route ?? ""
        hop.tls = try peerTLS(reader)
        hop.connectFields = try connectFields()
        hop.proxyProtocol = proxyProtocol?.version ?? .none
        hop.proxySource = try source(endpoints)
        return hop == HopRequest() ? nil : hop
    }

    private func peerTLS(_ reader: FetchFileReader) throws(CommandFailure) -> TLSRequest? {
        guard hasPeerTLS else {
            let options = [
                (peerCacert != nil, "--peer-cacert"), (peerInsecure, "--peer-insecure"),
                (peerVerifyName != nil, "--peer-verify-name"),
            ]
            if let option = options.first(where: \.0) { throw .usage("\(option.1) goes with --peer-tls") }
            return nil
        }
        // What a named route is, its sidecar knows.
        if !isPeer && route == nil { throw .usage("--peer-tls goes with --peer or --peer-tunnel") }
        if peerInsecure && peerVerifyName != nil {
            throw .usage("--peer-insecure verifies no name: leave out --peer-verify-name")
        }
        var tls = TLSRequest()
        tls.trust = try reader.trust(
            file: peerCacert,
            directory: nil,
            anyone: peerInsecure,
            prefix: "--peer-"
        )
        if let peerVerifyName {
            tls.verifyName = peerVerifyName
            // RFC 6066 §3: no literal addresses.
            if IPAddress(text: peerVerifyName) == nil { tls.serverName = peerVerifyName }
        }
        return tls
    }

    private func connectFields() throws(CommandFailure) -> [HeaderField] {
        if !connectHeader.isEmpty && !peerTunnel && route == nil {
            throw .usage("--connect-header goes with --peer-tunnel")
        }
        var fields: [HeaderField] = []
        for text in connectHeader {
            guard let line = FieldLine(text), !line.value.isEmpty || line.isMeantEmpty else {
                throw .usage("--connect-header: '\(text)' is no field line; write 'Name: value'")
            }
            fields.append(HeaderField(name: Array(line.name.utf8), value: Array(line.value.utf8)))
        }
        return fields
    }

    private func source(_ endpoints: [Endpoint]) throws(CommandFailure) -> Endpoint? {
        guard let proxySource else { return nil }
        if proxyProtocol == nil && route == nil { throw .usage("--proxy-source goes with --proxy-protocol") }
        guard let source = Endpoint(text: proxySource), case .ip(let address, _) = source else {
            throw .usage("--proxy-source: '\(proxySource)' is no IP address with a port")
        }
        let isPaired = endpoints.allSatisfy { endpoint in
            switch (address, endpoint) {
            case (.v4, .ip(.v4, _)), (.v6, .ip(.v6, _)): true
            case (.v4, .ip(.v6, _)), (.v6, .ip(.v4, _)), (_, .unix): false
            }
        }
        guard isPaired else { throw .usage("--proxy-source and --address have to be of one IP family") }
        return source
    }
}

/// Words for `ProxyProtocol`.
enum FetchProxyProtocol: String, ExpressibleByArgument, CaseIterable {
    case v1
    case v2

    var version: ProxyProtocol {
        switch self {
        case .v1: .v1
        case .v2: .v2
        }
    }
}
