// Wire.swift: protobuf written by hand, so that expectations do not come from the code under test.
// Source: the protobuf encoding guide (keys, varints, length-delimited).
import Frames
import Model

/// Bytes of a message under construction.
struct Wire: Equatable {
    var bytes: [UInt8] = []

    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    /// A varint field.
    func number(_ field: Int, _ value: UInt64) -> Wire {
        Wire(bytes: bytes + Wire.varint(UInt64(field) << 3) + Wire.varint(value))
    }

    /// A length-delimited field.
    func data(_ field: Int, _ data: [UInt8]) -> Wire {
        Wire(bytes: bytes + Wire.varint(UInt64(field) << 3 | 2) + Wire.varint(UInt64(data.count)) + data)
    }

    func text(_ field: Int, _ text: String) -> Wire { data(field, Array(text.utf8)) }

    func message(_ field: Int, _ message: Wire) -> Wire { data(field, message.bytes) }
}

extension [UInt8] {
    /// From hex digits; white space is left out.
    init(hex: String) {
        let digits = hex.compactMap { $0.hexDigitValue }
        self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    var hex: String {
        map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// The payload of a frame.
    var payload: [UInt8] { Array(dropFirst(FrameHeader.byteCount)) }
}

extension ByteBuffer {
    /// A copy of the bytes.
    var array: [UInt8] { bytes.array }

    /// Appends `text` and tells where it stands.
    mutating func put(_ text: String) -> Slice {
        let start = count
        append(text)
        return Slice(start: start, count: count - start)
    }
}

extension Span<UInt8> {
    var array: [UInt8] { indices.map { self[$0] } }

    func text(_ slice: Slice) -> String { String(decoding: extracting(slice).array, as: UTF8.self) }

    func lines(_ fields: [FieldSlice]) -> [String] { fields.map { "\(text($0.name)): \(text($0.value))" } }
}

/// Bytes to append to.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
    var output = ByteBuffer()
    write(&output)
    return output.array
}

/// The error that `body` throws, if any.
func failure(_ body: () throws(FrameError) -> Void) -> FrameError? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

/// A request without slices.
struct PlainRequest: Equatable {
    var method = "GET"
    var scheme = Scheme.http
    var authority = "example.com"
    var target = "/"
    var fields: [String] = []
    var endpoints: [Endpoint] = [.ip(.v4(0x7f00_0001), port: 80)]
    var route = Route.direct
    var localAddress: IPAddress?
    var body = RequestBody.none
    var deadlines = Deadlines()
    var retry = RetryRule.idempotentOnly
    var upgrade = ""
    var tag = ""
    var tls: TLSRequest?
    var hop: HopRequest?
    var pinToken = ""
    var pinMode = PinMode.auto
    var isConnect = false
    var group = ""
    var hashKey = ""
    var balancing: GroupPolicy?
    var invalid: String?

    init() {}

    init(_ request: Request, _ block: Span<UInt8>) {
        method = block.text(request.method)
        scheme = request.scheme
        authority = block.text(request.authority)
        target = block.text(request.target)
        fields = block.lines(request.fields)
        endpoints = request.endpoints
        route = request.route
        localAddress = request.localAddress
        body = request.body
        deadlines = request.deadlines
        retry = request.retry
        upgrade = block.text(request.upgrade)
        tag = block.text(request.tag)
        tls = request.tls
        hop = request.hop
        pinToken = block.text(request.pinToken)
        pinMode = request.pinMode
        isConnect = request.isConnect
        group = block.text(request.group)
        hashKey = block.text(request.hashKey)
        balancing = request.balancing
        invalid = request.invalid
    }

    /// Decodes a payload.
    init(payload: [UInt8], messageBytesMax: Int = 524_288) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: messageBytesMax)
        var request = Request()
        var block = ByteBuffer()
        try decoder.request(payload.span, into: &request, block: &block)
        self.init(request, block.bytes)
    }

    /// A REQUEST frame.
    func frame(stream: UInt32, endsStream: Bool) -> [UInt8] {
        var request = Request()
        var block = ByteBuffer()
        request.method = block.put(method)
        request.scheme = scheme
        request.authority = block.put(authority)
        request.target = block.put(target)
        for line in fields {
            let parts = line.split(separator: ": ", maxSplits: 1).map(String.init)
            let name = block.put(parts[0])
            request.fields.append(FieldSlice(name: name, value: block.put(parts.count > 1 ? parts[1] : "")))
        }
        request.endpoints = endpoints
        request.route = route
        request.localAddress = localAddress
        request.body = body
        request.deadlines = deadlines
        request.retry = retry
        request.upgrade = block.put(upgrade)
        request.tag = block.put(tag)
        request.tls = tls
        request.hop = hop
        request.pinToken = block.put(pinToken)
        request.pinMode = pinMode
        request.group = block.put(group)
        request.hashKey = block.put(hashKey)
        request.balancing = balancing
        var encoder = MessageEncoder(fieldCountMax: 1)
        var output = ByteBuffer()
        let isWritten = encoder.request(
            request,
            in: block.bytes,
            stream: stream,
            endsStream: endsStream,
            into: &output
        )
        return isWritten ? output.array : []
    }
}
