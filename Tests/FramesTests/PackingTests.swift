// PackingTests.swift: INTERIM, REPLY and END are packed byte for byte, and protobuf-c reads them back.
// Source: proto/outrigger.proto; the protobuf encoding guide. The bytes expected are written by `Wire`.
import Model
import Testing

@testable import Frames

/// Values around every change of a varint's length.
private let boundaries: [UInt64] = [
    0, 1, 127, 128, 1 << 14 - 1, 1 << 14, 1 << 21 - 1, 1 << 21, 1 << 28 - 1, 1 << 28, 1 << 32 - 1, 1 << 32,
    1 << 35 - 1, 1 << 35, 1 << 42 - 1, 1 << 42, 1 << 49 - 1, 1 << 49, 1 << 56 - 1, 1 << 56, 1 << 63 - 1,
    1 << 63,
    .max,
]

extension Wire {
    /// A number field, absent when 0, as proto3 has it.
    fileprivate func present(_ field: Int, _ value: UInt64) -> Wire {
        value == 0 ? self : number(field, value)
    }

    /// Bytes, absent when empty.
    fileprivate func present(_ field: Int, _ text: String) -> Wire {
        text.isEmpty ? self : self.text(field, text)
    }
}

/// A reply to pack and what its payload has to be.
private struct ReplyCase {
    var head = ReplyHead()
    var facts: ConnectionFacts?
    var block: [UInt8] = []
    var expected = Wire()

    init(
        status: Int = 200,
        reason: String = "OK",
        lines: [(String, String)] = [],
        body: (ReplyBody, kind: UInt64, length: UInt64) = (.none, 0, 0)
    ) {
        head.status = status
        head.reason = put(reason)
        head.body = body.0
        expected = Wire().number(1, UInt64(status)).present(2, reason).number(3, 11)
        for (name, value) in lines {
            head.fields.append(FieldSlice(name: put(name), value: put(value)))
            // Names and values are written even when they are empty.
            expected = expected.message(4, Wire().text(1, name).text(2, value))
        }
        expected = expected.present(5, body.kind).present(6, body.length)
    }

    private mutating func put(_ text: String) -> Slice {
        block += Array(text.utf8)
        return Slice(start: block.count - text.utf8.count, count: text.utf8.count)
    }

    mutating func add(_ facts: ConnectionFacts, _ wire: Wire) {
        self.facts = facts
        expected = expected.message(7, wire)
    }

    /// Packs, compares byte for byte, has protobuf-c read it and compares again.
    func check(_ where: SourceLocation = #_sourceLocation) throws {
        let size = expected.bytes.count
        #expect(frame(payloadBytesMax: size - 1).isEmpty, sourceLocation: `where`)
        let frame = frame(payloadBytesMax: size)
        let header = FrameHeader(
            payloadBytes: size,
            stream: 9,
            type: facts == nil ? .interim : .reply,
            endsStream: false
        )
        #expect(try FrameHeader.decode(frame.span, payloadBytesMax: size) == header, sourceLocation: `where`)
        #expect(frame.payload.hex == expected.bytes.hex, sourceLocation: `where`)
        var decoder = MessageDecoder(messageBytesMax: 1 << 20)
        var read = ReplyHead()
        var readFacts = ConnectionFacts()
        var readBlock = ByteBuffer()
        try decoder.reply(frame.payload.span, into: &read, facts: &readFacts, block: &readBlock)
        #expect(read.status == head.status && read.version == head.version, sourceLocation: `where`)
        #expect(read.body == head.body, sourceLocation: `where`)
        #expect(readFacts == facts ?? ConnectionFacts(), sourceLocation: `where`)
        let texts = ([read.reason] + read.fields.flatMap { [$0.name, $0.value] }).map {
            readBlock.bytes.text($0)
        }
        let wanted = ([head.reason] + head.fields.flatMap { [$0.name, $0.value] }).map { block.span.text($0) }
        #expect(texts == wanted, sourceLocation: `where`)
    }

    /// Nothing when the payload is over the limit.
    private func frame(payloadBytesMax: Int) -> [UInt8] {
        written { output in
            var encoder = MessageEncoder(fieldCountMax: 1)
            let isWithin = encoder.reply(
                head,
                in: block.span,
                facts: facts ?? ConnectionFacts(),
                isInterim: facts == nil,
                stream: 9,
                payloadBytesMax: payloadBytesMax,
                into: &output
            )
            #expect(isWithin == !output.isEmpty)
        }
    }
}

@Suite struct PackingTests {
    @Test(arguments: [100, 101, 127, 128, 200, 999]) func `every status`(status: Int) throws {
        try ReplyCase(status: status).check()
    }

    @Test(arguments: boundaries) func `every length of a reply's body`(length: UInt64) throws {
        try ReplyCase(body: (.length(length), kind: 1, length: length)).check()
    }

    @Test func `every kind of a reply's body`() throws {
        let kinds: [(ReplyBody, kind: UInt64)] = [(.none, 0), (.chunked, 2), (.untilEOF, 3), (.tunnel, 4)]
        for (body, kind) in kinds { try ReplyCase(body: (body, kind: kind, length: 0)).check() }
    }

    @Test(arguments: [0, 1, 127, 128, 1 << 14 - 1, 1 << 14])
    func `every length of a reason, a name and a value`(count: Int) throws {
        let text = String(repeating: "x", count: count)
        try ReplyCase(reason: text).check()
        try ReplyCase(lines: [(text, "v")]).check()
        try ReplyCase(lines: [("n", text)]).check()
    }

    @Test(arguments: [0, 1, 256, 300]) func `any number of fields`(count: Int) throws {
        try ReplyCase(lines: (0..<count).map { ("Name-\($0)", $0 % 3 == 0 ? "" : "value") }).check()
    }

    /// The length of a field's message crosses a varint's width before or behind that of its value.
    @Test(arguments: 110...130) func `a field around 128 bytes`(count: Int) throws {
        try ReplyCase(lines: [("n", String(repeating: "v", count: count))]).check()
    }

    @Test func `every kind of endpoint in the facts`() throws {
        let path = String(repeating: "p", count: 107)
        let ipv4 = Wire().data(1, [127, 0, 0, 1])
        let ipv6 = Wire().data(1, [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
        let (high, low): (UInt64, UInt64) = (0xFE80 << 48, 0x0102_0304_0506_0708)
        let endpoints: [(Endpoint?, Wire)] = [
            (nil, Wire()),
            (.ip(.v4(0x7F00_0001), port: 1), ipv4.number(2, 1)),
            (.ip(.v4(0x7F00_0001), port: .max), ipv4.number(2, 65_535)),
            (.ip(.v6(high: high, low: low, scope: 0), port: 128), ipv6.number(2, 128)),
            (
                .ip(.v6(high: high, low: low, scope: .max), port: 80),
                ipv6.number(2, 80).number(3, 1 << 32 - 1)
            ),
            (.unix(path: [0x2F]), Wire().text(4, "/")),
            (.unix(path: Array(path.utf8)), Wire().text(4, path)),
        ]
        for (remote, remoteWire) in endpoints {
            for (local, localWire) in endpoints {
                var facts = ConnectionFacts()
                facts.remote = remote
                facts.local = local
                var wire = Wire().number(3, 1)
                if remote != nil { wire = wire.message(5, remoteWire) }
                if local != nil { wire = wire.message(6, localWire) }
                var reply = ReplyCase()
                reply.add(facts, wire)
                try reply.check()
            }
        }
    }

    @Test(arguments: boundaries.filter { $0 <= UInt32.max }, [true, false])
    func `every number of the facts`(number: UInt64, reused: Bool) throws {
        var facts = ConnectionFacts()
        facts.reused = reused
        facts.endpointIndex = Int(number)
        facts.requests = Int(number)
        var reply = ReplyCase()
        reply.add(facts, Wire().present(1, reused ? 1 : 0).present(2, number).present(3, number))
        try reply.check()
    }

    @Test(arguments: ["", "the password is wrong", String(repeating: "é", count: 129)])
    func `what the facts say of authentication`(words: String) throws {
        var facts = ConnectionFacts()
        facts.isPinned = true
        facts.isBound = true
        facts.authentication = String(words.prefix(128))
        var reply = ReplyCase()
        reply.add(
            facts,
            Wire().number(3, 1).number(4, 1).number(9, 1).present(10, String(words.prefix(128)))
        )
        try reply.check()
    }

    @Test func `numbers of the facts beyond 32 bits stay at the largest`() throws {
        var facts = ConnectionFacts()
        facts.endpointIndex = .max
        facts.requests = 1 << 32
        let frame = written {
            var encoder = MessageEncoder(fieldCountMax: 1)
            encoder.reply(ReplyCase().head, in: ReplyCase().block.span, facts: facts, stream: 9, into: &$0)
        }
        let largest = Wire().number(2, 1 << 32 - 1).number(3, 1 << 32 - 1)
        #expect(frame.payload.hex == ReplyCase().expected.message(7, largest).bytes.hex)
    }
}
