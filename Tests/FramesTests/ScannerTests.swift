// ScannerTests.swift: a request read in place is the request that protobuf-c reads, and the usual ones are.
// Source: RequestScanner.swift, which owes both.
import Model
import Testing

@testable import Frames

/// What both readers say about one payload.
private struct Comparison {
    /// Whether the scanner took it.
    let isScanned: Bool
    /// What protobuf-c's reader says otherwise, though the scanner took it; else `nil`.
    let disagreement: String?

    init(_ payload: [UInt8]) {
        let scanner = RequestScanner(endpointsMax: 16, fieldCountMax: 256)
        var scanned = Request()
        isScanned = scanner.scan(payload.span, into: &scanned)
        guard isScanned else {
            disagreement = nil
            return
        }
        // Memory is no matter here: a request that is read in place takes none.
        var decoder = MessageDecoder(messageBytesMax: 1 << 24)
        var unpacked = Request()
        var block = ByteBuffer()
        do throws(FrameError) {
            try decoder.unpackRequest(payload.span, into: &unpacked, block: &block)
        } catch {
            disagreement = "protobuf-c's reader refuses it: \(error)"
            return
        }
        let inPlace = (PlainRequest(scanned, payload.span), Self.bytes(scanned, payload.span))
        let copied = (PlainRequest(unpacked, block.bytes), Self.bytes(unpacked, block.bytes))
        disagreement = inPlace == copied ? nil : "\(inPlace.0) is not \(copied.0)"
    }

    /// The bytes behind every slice; `PlainRequest` has them as text, where two may look alike.
    private static func bytes(_ request: Request, _ block: Span<UInt8>) -> [[UInt8]] {
        var slices = [request.method, request.authority, request.target, request.upgrade, request.tag]
        slices += [request.group, request.hashKey, request.pinToken]
        for field in request.fields { slices += [field.name, field.value] }
        return slices.map { block.extracting($0).array }
    }
}

/// A shape that a proxy may well send, and that has to be read in place.
struct PlainRow: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let payload: [UInt8]

    init(_ rule: String, _ wire: Wire) {
        testDescription = rule
        payload = wire.bytes
    }

    private static let base = RequestRow.base
    private static let address = RequestRow.address

    static let rows: [PlainRow] = [
        PlainRow("the least", base),
        PlainRow("our encoder's shortest", encoded(PlainRequest())),
        PlainRow("our encoder's, with everything", encoded(whole)),
        PlainRow("our encoder's upgrade", encoded(RoundTripTests.requests[2], localAddress: nil)),
        PlainRow("our encoder's, with 16 endpoints and 256 fields", encoded(RoundTripTests.requests[3])),
        PlainRow("python's, with everything", Wire(bytes: [UInt8](hex: pythonWhole))),
        PlainRow("python's upgrade, with empty deadlines", Wire(bytes: [UInt8](hex: pythonUpgrade))),
        PlainRow("python's chunked body", Wire(bytes: [UInt8](hex: pythonChunked))),
        PlainRow(
            "zeroes that could be left out",
            base.number(2, 0).number(8, 0).number(10, 0).number(11, 0).number(13, 0).message(12, zeroes)
        ),
        PlainRow(
            "empty bytes that could be left out",
            base.data(3, []).data(4, []).data(14, []).data(15, [])
        ),
        PlainRow(
            "fields in reverse order",
            Wire().text(15, "t").number(13, 2).message(6, address.number(2, 80)).text(4, "/").text(1, "GET")
        ),
        PlainRow("of a field that repeats the last holds", base.text(1, "PUT").text(4, "/a").text(4, "/b")),
        PlainRow("a field of nothing", base.message(5, Wire())),
        PlainRow(
            "varints that are longer than they need to be",
            Wire(
                bytes: base.bytes + [0x22, 0x81, 0x80, 0x00, 0x2F, 0x40, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00]
            )
        ),
        PlainRow("a pin", base.message(16, Wire().text(1, "client 7").number(2, 1))),
        PlainRow("a pin of no mode", base.message(16, Wire().data(1, Array(repeating: 0, count: 64)))),
        PlainRow("a group", RequestRow.noEndpoint.text(7, "origins.eu-1")),
        PlainRow(
            "a group with a key",
            RequestRow.noEndpoint.text(7, "g").data(20, Array(repeating: 0, count: 256)).number(21, 0)
        ),
        PlainRow("endpoints that are balanced", base.number(21, 6).text(20, "k")),
        PlainRow("a group that is none", base.text(7, "")),
        PlainRow("the longest deadline", base.message(12, Wire().number(5, 86_400_000))),
        PlainRow(
            "the longest body that a varint of 63 bits can say",
            base.number(10, 1).number(11, 1 << 63 - 1)
        ),
    ]

    private static let zeroes = (1...5).reduce(Wire()) { wire, field in wire.number(field, 0) }

    /// Everything that is served but a local address and Unix paths.
    private static let whole: PlainRequest = {
        var request = RoundTripTests.requests[1]
        request.localAddress = nil
        request.endpoints.removeLast()
        request.body = .length(1 << 40)
        return request
    }()

    private static func encoded(_ request: PlainRequest, localAddress: IPAddress? = nil) -> Wire {
        var request = request
        request.localAddress = localAddress
        return Wire(bytes: request.frame(stream: 1, endsStream: true).payload)
    }

    // Written by the example client in Tests/python with protobuf 7.36.2.
    private static let pythonWhole = """
        0a04504f53541a125b323030313a6462383a3a315d3a3834343322062f613f623d632a0d0a0641636365707412032a2f
        2a2a090a07582d456d70747932080a04c0000201105032180a10fe80000000000000000000000000000110ffff031803
        4001500158808080808020620e080110c80118b0ea012880b8992968027a03742d31
        """
    private static let pythonUpgrade = """
        0a03474554 1a0b6578616d706c652e636f6d 22012f 32080a047f0000011050 6200 6801 7209776562736f636b6574
        """
    private static let pythonChunked = """
        0a03505554 1a0b6578616d706c652e636f6d 22012f 32140a10000000000000000000000000000000011050 5002
        """
}

@Suite struct ScannerTests {
    @Test(arguments: PlainRow.rows) func `a usual request is read in place`(_ row: PlainRow) {
        let comparison = Comparison(row.payload)
        #expect(comparison.isScanned)
        #expect(comparison.disagreement == nil)
    }

    @Test(arguments: PlainRow.rows + PlainRow.near)
    func `a cut or a byte more changes neither reader alone`(_ row: PlainRow) {
        for count in 0...min(row.payload.count, 400) {
            #expect(Comparison(Array(row.payload.prefix(count))).disagreement == nil)
        }
        for byte in UInt8.min ... .max {
            #expect(Comparison(row.payload + [byte]).disagreement == nil)
        }
    }

    @Test(arguments: RequestRow.malformed + RequestRow.refused)
    func `what is refused is refused by both readers`(_ row: RequestRow) {
        let comparison = Comparison(row.payload)
        #expect(comparison.disagreement == nil)
        #expect(!comparison.isScanned || (row.error ?? row.invalid) == nil)
    }

    @Test(arguments: 0..<64 as Range<UInt64>)
    func `what is read in place is what protobuf-c reads`(seed: UInt64) {
        var maker = RequestMaker(seed: seed)
        var scannedCount = 0
        let count = 300
        for index in 0..<count {
            let payload = maker.payload()
            let comparison = Comparison(payload)
            #expect(comparison.disagreement == nil, "request \(index): \(payload.hex)")
            if comparison.isScanned { scannedCount += 1 }
        }
        // Both ways are tried by every seed.
        #expect(scannedCount > count / 5 && scannedCount < count * 4 / 5)
    }

    @Test func `a length takes at most the 5 bytes that protobuf-c reads`() {
        for paddingCount in 0...8 {
            let length = [0x81] + Array(repeating: 0x80, count: paddingCount) + [0x00] as [UInt8]
            let payload = RequestRow.base.bytes + [0x22] + length + [0x2F]
            #expect(Comparison(payload).isScanned == (length.count <= 5))
            let error = failure { () throws(FrameError) in _ = try PlainRequest(payload: payload) }
            #expect((error == nil) == (length.count <= 5))
        }
    }
}

extension PlainRow {
    /// Almost plain: the scanner is right to leave any of them, and must not get them wrong.
    static let near: [PlainRow] = [
        PlainRow("deadlines twice are merged", base.message(12, deadline(1, 5)).message(12, deadline(5, 9))),
        PlainRow(
            "deadlines twice, the first of nothing",
            base.message(12, Wire()).message(12, deadline(5, 9))
        ),
        PlainRow(
            "deadlines twice, the last of nothing",
            base.message(12, deadline(5, 9)).message(12, Wire())
        ),
        PlainRow("a target that is taken back", base.text(4, "/a").data(4, [])),
        PlainRow("an ip that is taken back", base.message(6, address.number(2, 80).data(1, []))),
        PlainRow("a port beyond 32 bits", base.message(6, address.number(2, 1 << 32 + 80))),
        PlainRow("a scope beyond 32 bits", base.message(6, address.number(2, 80).number(3, 1 << 32))),
        PlainRow("a route beyond 32 bits", base.number(8, 1 << 32 + 1)),
        PlainRow("a body beyond 32 bits", base.number(10, 1 << 32)),
        PlainRow("a deadline beyond 32 bits", base.message(12, deadline(1, 1 << 32 + 1))),
        PlainRow("a body's length of 64 bits", base.number(10, 1).number(11, .max)),
        PlainRow("an unknown field in an endpoint", base.message(6, address.number(2, 80).number(9, 1))),
        PlainRow("method as a number", base.number(1, 1)),
        PlainRow("a scheme as bytes", base.data(2, [])),
    ]

    private static func deadline(_ field: Int, _ milliseconds: UInt64) -> Wire {
        Wire().number(field, milliseconds)
    }
}
