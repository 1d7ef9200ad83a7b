// RefusalTests.swift: what is no message ends the session; what cannot be served ends the stream.
// Source: proto/outrigger.proto, where every limit stands beside its field.
import Frames
import Model
import Testing

struct RequestRow: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let payload: [UInt8]
    let error: String?
    let invalid: String?

    /// A request of a method and one endpoint, and what `change` adds.
    init(
        _ rule: String,
        error: String? = nil,
        invalid: String? = nil,
        base: Wire = RequestRow.base,
        _ change: (Wire) -> Wire
    ) {
        testDescription = rule
        payload = change(base).bytes
        self.error = error
        self.invalid = invalid
    }

    static let address = Wire().data(1, [127, 0, 0, 1])
    static let base = Wire().text(1, "GET").message(6, address.number(2, 80))
    static let noEndpoint = Wire().text(1, "GET")

    static let malformed: [RequestRow] = [
        RequestRow("garbage is no message", error: "not valid protobuf for its type") { _ in
            Wire(bytes: [0xff, 0xff])
        },
        RequestRow("a field cut short is no message", error: "not valid protobuf for its type") {
            Wire(bytes: $0.text(3, "example.com").bytes.dropLast())
        },
        RequestRow("an unknown balancing", error: "balancing is unknown") { $0.number(21, 7) },
        RequestRow("a group that is no text", error: "group is not UTF-8") { $0.data(7, [0xff]) },
        RequestRow("an unknown scheme", error: "scheme is unknown") { $0.number(2, 2) },
        RequestRow("a negative scheme", error: "scheme is unknown") { $0.number(2, .max) },
        RequestRow("an unknown trust", error: "trust is unknown") { $0.message(17, Wire().number(4, 5)) },
        RequestRow("an unknown version of TLS", error: "version of TLS is unknown") {
            $0.message(17, Wire().number(8, 11))
        },
        RequestRow("an unknown PROXY protocol", error: "proxy_protocol is unknown") {
            $0.message(19, Wire().number(4, 3))
        },
        RequestRow("a NUL in a server name", error: "tls server_name has a NUL") {
            $0.message(17, Wire().data(2, [0x61, 0]))
        },
        RequestRow("an unknown route", error: "route is unknown") { $0.number(8, 3) },
        RequestRow("an unknown body", error: "body is unknown") { $0.number(10, 3) },
        RequestRow("an unknown retry", error: "retry is unknown") { $0.number(13, 3) },
        RequestRow("an unknown pin mode", error: "pin mode is unknown") {
            $0.message(16, Wire().number(2, 4))
        },
        RequestRow("no body and a length", error: "body_length without BODY_LENGTH") { $0.number(11, 1) },
        RequestRow("a chunked body and a length", error: "body_length without BODY_LENGTH") {
            $0.number(10, 2).number(11, 1)
        },
        RequestRow("an endpoint of nothing", invalid: "endpoint has neither ip nor unix_path") {
            $0.message(6, Wire())
        },
        RequestRow("an endpoint of both kinds", invalid: "endpoint has both ip and unix_path") {
            $0.message(6, address.text(4, "/a"))
        },
        RequestRow("an ip of 3 bytes", invalid: "endpoint has an ip of neither 4 nor 16 bytes") {
            $0.message(6, Wire().data(1, [1, 2, 3]).number(2, 80))
        },
        RequestRow("an ip of 17 bytes", invalid: "endpoint has an ip of neither 4 nor 16 bytes") {
            $0.message(6, Wire().data(1, Array(0...16)).number(2, 80))
        },
        RequestRow("port 0", invalid: "endpoint has a port outside 1...65535") { $0.message(6, address) },
        RequestRow("port 65536", invalid: "endpoint has a port outside 1...65535") {
            $0.message(6, address.number(2, 65_536))
        },
        RequestRow("a scope for IPv4", invalid: "endpoint has a scope_id with an IPv4 address") {
            $0.message(6, address.number(2, 80).number(3, 1))
        },
        RequestRow("a port for a Unix path", invalid: "endpoint has a port or scope_id with a unix_path") {
            $0.message(6, Wire().number(2, 80).text(4, "/a"))
        },
        RequestRow("a scope for a Unix path", invalid: "endpoint has a port or scope_id with a unix_path") {
            $0.message(6, Wire().number(3, 1).text(4, "/a"))
        },
        RequestRow("a Unix path of 108 bytes", invalid: "endpoint has a unix_path over 107 bytes") {
            $0.message(6, Wire().data(4, Array(repeating: 0x61, count: 108)))
        },
        RequestRow("a NUL in a Unix path", invalid: "endpoint has a NUL in unix_path") {
            $0.message(6, Wire().data(4, [0x2f, 0, 0x61]))
        },
        RequestRow("an abstract Unix path", invalid: "endpoint has a NUL in unix_path") {
            $0.message(6, Wire().data(4, [0, 0x61]))
        },
        RequestRow("a local address that is a path", invalid: "local_address is not an ip") {
            $0.message(9, Wire().text(4, "/a"))
        },
        RequestRow("a local address of nothing", invalid: "local_address is not an ip") {
            $0.message(9, Wire())
        },
        RequestRow("a NUL in the group", error: "group has a NUL") { $0.data(7, [0x61, 0, 0x62]) },
        RequestRow("a NUL in front of the group", error: "group has a NUL") { $0.data(7, [0, 0x62]) },
        RequestRow("a group that is not UTF-8", error: "group is not UTF-8") { $0.data(7, [0xc3, 0x28]) },
        RequestRow("a NUL in a TLS profile", error: "tls profile has a NUL") {
            $0.message(17, Wire().data(1, [0]))
        },
        RequestRow("a NUL in a server name", error: "tls server_name has a NUL") {
            $0.message(17, Wire().data(2, Array("good".utf8) + [0] + Array(".evil".utf8)))
        },
        RequestRow("a NUL in a credentials name", error: "credentials origin_name has a NUL") {
            $0.message(18, Wire().data(1, [0x61, 0]))
        },
        RequestRow("a NUL in a peer credentials name", error: "credentials peer_name has a NUL") {
            $0.message(18, Wire().data(2, [0x61, 0]))
        },
    ]

    static let refused: [RequestRow] = [
        RequestRow("the base itself is served") { $0 },
        RequestRow("a local address needs no port") { $0.message(9, address) },
        RequestRow("16 endpoints are served") { wire in
            (0..<15).reduce(wire) { wire, _ in wire.message(6, address.number(2, 80)) }
        },
        RequestRow("17 endpoints", invalid: "over 16 endpoints") { wire in
            (0..<16).reduce(wire) { wire, _ in wire.message(6, address.number(2, 80)) }
        },
        RequestRow("no endpoint", invalid: "neither endpoints nor group nor a named route", base: noEndpoint)
        { $0 },
        RequestRow("256 fields are served") { wire in
            (0..<256).reduce(wire) { wire, _ in wire.message(5, Wire().text(1, "a")) }
        },
        RequestRow("257 fields", invalid: "over 256 fields") { wire in
            (0..<257).reduce(wire) { wire, _ in wire.message(5, Wire().text(1, "a")) }
        },
        RequestRow("a method of 64 bytes is served", base: Wire().message(6, address.number(2, 80))) {
            $0.data(1, Array(repeating: 0x41, count: 64))
        },
        RequestRow("a method of 65 bytes", invalid: "method over 64 bytes") {
            $0.data(1, Array(repeating: 0x41, count: 65))
        },
        RequestRow("an authority of 1024 bytes is served") {
            $0.data(3, Array(repeating: 0x41, count: 1024))
        },
        RequestRow("an authority of 1025 bytes", invalid: "authority over 1024 bytes") {
            $0.data(3, Array(repeating: 0x41, count: 1025))
        },
        RequestRow("an upgrade of 65 bytes", invalid: "upgrade over 64 bytes") {
            $0.data(14, Array(repeating: 0x41, count: 65))
        },
        RequestRow("an upgrade with a body", invalid: "an upgrade with a body") {
            $0.number(10, 2).text(14, "h2c")
        },
        RequestRow("a tag of 129 bytes", invalid: "tag over 128 bytes") {
            $0.data(15, Array(repeating: 0, count: 129))
        },
        RequestRow("a deadline of a day is served") { $0.message(12, Wire().number(5, 86_400_000)) },
        RequestRow("a deadline over a day", invalid: "a deadline over 86400000 ms") {
            $0.message(12, Wire().number(4, 86_400_001))
        },
        RequestRow("CONNECT is served", base: Wire().message(6, address.number(2, 80))) {
            $0.text(1, "CONNECT")
        },
        RequestRow("methods are case-sensitive", base: Wire().message(6, address.number(2, 80))) {
            $0.text(1, "Connect")
        },
        RequestRow("https is served") { $0.number(2, 1) },
        RequestRow("a group needs no endpoint", base: noEndpoint) { $0.text(7, "g") },
        RequestRow("a group of 65 bytes", invalid: "group over 64 bytes", base: noEndpoint) {
            $0.text(7, String(repeating: "g", count: 65))
        },
        RequestRow("a group in place of endpoints only", invalid: "a group beside endpoints") {
            $0.text(7, "g")
        },
        RequestRow("a group has its own policy", invalid: "balancing beside a group", base: noEndpoint) {
            $0.text(7, "g").number(21, 1)
        },
        RequestRow("a key of 257 bytes", invalid: "hash_key over 256 bytes") {
            $0.data(20, Array(repeating: 0, count: 257))
        },
        RequestRow("endpoints are balanced") { $0.number(21, 5).text(20, "k") },
        RequestRow("a tunnel through a peer is served") { $0.number(8, 2) },
        RequestRow("a named route needs no endpoint", base: noEndpoint) {
            $0.message(19, Wire().text(1, "parents"))
        },
        RequestRow("a pin is served") { $0.message(16, Wire().data(1, [1]).number(2, 3)) },
        RequestRow("a pin without a token", invalid: "a pin token outside 1...64 bytes") {
            $0.message(16, Wire().number(2, 3))
        },
        RequestRow("a pin token of 65 bytes", invalid: "a pin token outside 1...64 bytes") {
            $0.message(16, Wire().data(1, Array(repeating: 1, count: 65)))
        },
        RequestRow("TLS of nothing is served") { $0.message(17, Wire()) },
        RequestRow("a TLS profile of 65 bytes", invalid: "tls profile over 64 bytes") {
            $0.message(17, Wire().data(1, Array(repeating: 0x61, count: 65)))
        },
        RequestRow("a server name of 256 bytes", invalid: "tls server_name over 255 bytes") {
            $0.message(17, Wire().data(2, Array(repeating: 0x61, count: 256)))
        },
        RequestRow("a trust file without its path", invalid: "tls trust without trust_path") {
            $0.message(17, Wire().number(4, 2))
        },
        RequestRow("a path without its trust", invalid: "trust_path without its trust") {
            $0.message(17, Wire().text(5, "/etc/ca.pem"))
        },
        RequestRow("9 protocols", invalid: "over 8 protocols in alpn") {
            $0.message(17, (0..<9).reduce(Wire()) { wire, _ in wire.text(12, "a") })
        },
        RequestRow("a protocol without a name", invalid: "an empty protocol in alpn") {
            $0.message(17, Wire().text(12, ""))
        },
        RequestRow("a pin of 31 bytes", invalid: "a spki_sha256 that is not 32 bytes") {
            $0.message(17, Wire().data(13, Array(repeating: 1, count: 31)))
        },
        RequestRow("17 pins", invalid: "over 16 in spki_sha256") {
            $0.message(
                17,
                (0..<17).reduce(Wire()) { wire, _ in wire.data(13, Array(repeating: 1, count: 32)) }
            )
        },
        RequestRow("TLS of the peer has the same limits", invalid: "tls profile over 64 bytes") {
            $0.message(19, Wire().message(2, Wire().data(1, Array(repeating: 0x61, count: 65))))
        },
        RequestRow("257 connect fields", invalid: "over 256 connect_fields") {
            $0.message(19, (0..<257).reduce(Wire()) { wire, _ in wire.message(3, Wire().text(1, "a")) })
        },
        RequestRow(
            "a source of no address",
            invalid: "proxy_source or proxy_destination: endpoint has neither ip nor unix_path"
        ) {
            $0.message(19, Wire().message(5, Wire()))
        },
        RequestRow("credentials by name are served") { $0.message(18, Wire().text(1, "partner")) },
        RequestRow("a user and a password are served") {
            $0.message(18, Wire().message(3, Wire().text(2, "u").text(3, "p")))
        },
        RequestRow("a name of credentials of 65 bytes", invalid: "a name of credentials over 64 bytes") {
            $0.message(18, Wire().data(2, Array(repeating: 0x61, count: 65)))
        },
        RequestRow("credentials twice", invalid: "credentials peer and peer_name") {
            $0.message(18, Wire().text(2, "n").message(4, Wire().text(2, "u").text(3, "p")))
        },
        RequestRow("a password of 1025 bytes", invalid: "a password over 1024 bytes") {
            $0.message(
                18,
                Wire().message(3, Wire().text(2, "u").data(3, Array(repeating: 1, count: 1025)))
            )
        },
        RequestRow("an unknown scheme", invalid: "an unknown scheme of credentials") {
            $0.message(18, Wire().message(3, Wire().text(1, "Hawk").text(2, "u").text(3, "p")))
        },
        RequestRow("a user alone", invalid: "a credential that no scheme can use") {
            $0.message(18, Wire().message(3, Wire().text(2, "u")))
        },
    ]
}

@Suite struct RefusalTests {
    static func read(_ row: RequestRow, _ payload: [UInt8]) -> (request: PlainRequest?, error: FrameError?) {
        var request: PlainRequest?
        let error = failure { () throws(FrameError) in request = try PlainRequest(payload: payload) }
        return (request, error)
    }

    @Test(arguments: RequestRow.malformed) func `what is no request is a bad message`(_ row: RequestRow) {
        #expect(RefusalTests.read(row, row.payload).error == row.error.map { .badMessage($0) })
    }

    @Test(arguments: RequestRow.refused) func `what cannot be served is still read`(_ row: RequestRow) {
        let (request, error) = RefusalTests.read(row, row.payload)
        #expect(error == nil)
        #expect(request?.invalid == row.invalid)
    }

    @Test(arguments: RequestRow.malformed.dropFirst(2) + RequestRow.refused)
    func `an unknown field behind changes nothing`(_ row: RequestRow) {
        let plain = RefusalTests.read(row, row.payload)
        let more = RefusalTests.read(row, Wire(bytes: row.payload).text(99, "later").number(2000, 1).bytes)
        #expect(plain.request == more.request && plain.error == more.error)
    }

    @Test(arguments: RequestRow.malformed.dropFirst(2) + RequestRow.refused)
    func `a stray byte behind is a bad message`(_ row: RequestRow) {
        let error = RefusalTests.read(row, row.payload + [0x0a]).error
        #expect(error == .badMessage("not valid protobuf for its type"))
    }

    @Test func `a request cut anywhere is a bad message or a shorter request`() {
        let payload = RoundTripTests.requests[1].frame(stream: 1, endsStream: true).payload
        let whole = RoundTripTests.requests[1]
        for count in 0..<payload.count {
            let (request, error) = RefusalTests.read(RequestRow("cut") { $0 }, Array(payload[..<count]))
            #expect(request != whole)
            #expect(request != nil || error?.goAwayCode == .badMessage)
        }
    }

    @Test func `numbers of a hello out of range are a bad hello`() {
        let version = Wire().number(1, 1)
        let rows: [(Wire, String)] = [
            (version.number(2, 1023), "frame_payload_bytes_max outside 1024...1048576"),
            (version.number(2, 1_048_577), "frame_payload_bytes_max outside 1024...1048576"),
            (version.number(3, 16_777_217), "initial_credit_bytes outside 1...16777216"),
            (version.data(4, Array(repeating: 0, count: 65)), "instance_id over 64 bytes"),
            ((0..<65).reduce(version) { wire, _ in wire.text(6, "c") }, "over 64 capabilities"),
            (version.data(7, Array(repeating: 0x61, count: 257)), "software over 256 bytes"),
        ]
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        for (wire, words) in rows {
            let error = failure { () throws(FrameError) in _ = try decoder.hello(wire.bytes.span) }
            #expect(error == .badHello(words))
        }
        let nul = version.data(6, [0x61, 0]).bytes
        let error = failure { () throws(FrameError) in _ = try decoder.hello(nul.span) }
        #expect(error == .badMessage("a capability has a NUL"))
    }

    @Test func `another version's hello is not judged`() throws {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        #expect(try decoder.hello(Wire().number(1, 2).number(2, 1).bytes.span).version == 2)
        #expect(try decoder.hello([UInt8]().span).version == 0)
    }

    @Test func `small messages keep their limits`() {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var block = ByteBuffer()
        func words(_ error: FrameError?) -> String? {
            if case .badMessage(let words)? = error { words } else { nil }
        }
        for bytes: UInt64 in [0, 16_777_217] {
            let wire = Wire().number(1, bytes).bytes
            #expect(
                words(failure { () throws(FrameError) in _ = try decoder.credit(wire.span) })
                    == "credit outside 1...16777216 bytes"
            )
        }
        let ping = Wire().data(1, Array(repeating: 0, count: 65)).bytes
        #expect(
            words(failure { () throws(FrameError) in _ = try decoder.ping(ping.span, block: &block) })
                == "ping over 64 bytes"
        )
        for count in [0, 65] {
            let unpin = Wire().data(1, Array(repeating: 0, count: count)).bytes
            #expect(
                words(failure { () throws(FrameError) in _ = try decoder.unpin(unpin.span) })
                    == "token outside 1...64 bytes"
            )
        }
        let cancel = Wire().data(1, [0x61, 0]).bytes
        #expect(
            words(failure { () throws(FrameError) in try decoder.cancel(cancel.span) }) == "detail has a NUL"
        )
    }

    @Test func `what a sidecar must not send is a bad message`() {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        let status = Wire().number(1, 200).number(3, 11)
        let replies: [(Wire, String)] = [
            (Wire().number(1, 99).number(3, 11), "status outside 100...999"),
            (Wire().number(1, 1000).number(3, 11), "status outside 100...999"),
            (Wire().number(1, 200).number(3, 20), "version is neither 10 nor 11"),
            (status.number(5, 5), "body is unknown"),
            (status.number(5, 2).number(6, 1), "body_length without REPLY_BODY_LENGTH"),
            (status.message(7, Wire().message(5, Wire())), "endpoint has neither ip nor unix_path"),
        ]
        for (wire, words) in replies {
            var head = ReplyHead()
            var facts = ConnectionFacts()
            var block = ByteBuffer()
            let error = failure { () throws(FrameError) in
                try decoder.reply(wire.bytes.span, into: &head, facts: &facts, block: &block)
            }
            #expect(error == .badMessage(words))
        }
        let ends: [(Wire, String)] = [
            (Wire(), "outcome is unknown"),
            (Wire().number(1, 24), "outcome is unknown"),
            (Wire().number(1, 1).number(8, 4), "connection is unknown"),
            (Wire().number(1, 1).message(7, Wire().number(2, 12)), "result of an attempt is unknown"),
            (Wire().number(1, 1).data(2, [0]), "detail has a NUL"),
        ]
        for (wire, words) in ends {
            let error = failure { () throws(FrameError) in _ = try decoder.end(wire.bytes.span) }
            #expect(error == .badMessage(words))
        }
        let goAway = Wire().number(1, 12).bytes
        let error = failure { () throws(FrameError) in _ = try decoder.goAway(goAway.span) }
        #expect(error == .badMessage("code is unknown"))
    }
}
