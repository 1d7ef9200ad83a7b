// GoldenTests.swift: one exchange, byte for byte, as the protocol reference prints it.
// Source: Sources/Frames/Frames.docc/Protocol.md, "A worked exchange".
import Foundation
import Frames
import Model
import Testing

/// One frame of the exchange.
struct Golden: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let frame: [UInt8]
    let hex: String

    init(_ name: String, _ frame: [UInt8], _ hex: String) {
        testDescription = name
        self.frame = frame
        self.hex = hex
    }

    static let exchange: [Golden] = [
        Golden(
            "HELLO of the proxy",
            written {
                var hello = Hello()
                hello.instanceID = Array("p1".utf8)
                hello.software = "cache/1"
                var encoder = MessageEncoder(fieldCountMax: 1)
                encoder.hello(hello, into: &$0)
            },
            """
            00000017 00000000 01 00 0000 0801 10808004 18808010 22027031
            3a0763616368652f31
            """
        ),
        Golden(
            "HELLO of the sidecar",
            written {
                var hello = Hello()
                hello.instanceID = Array("s1".utf8)
                hello.framePayloadBytesMax = 131_072
                hello.streamsMax = 4096
                hello.software = "outrigger/1"
                var encoder = MessageEncoder(fieldCountMax: 1)
                encoder.hello(hello, into: &$0)
            },
            """
            0000001e 00000000 01 00 0000 0801 10808008 18808010 22027331
            288020 3a0b6f75747269676765722f31
            """
        ),
        Golden(
            "REQUEST",
            {
                var request = PlainRequest()
                request.target = "/a?b"
                request.fields = ["Accept: */*"]
                request.endpoints = [.ip(.v4(0x7f00_0001), port: 8080)]
                return request.frame(stream: 1, endsStream: true)
            }(),
            """
            00000032 00000001 02 01 0000 0a03474554 1a0b6578616d706c652e636f6d 22042f613f62
            2a0d0a0641636365707412032a2f2a 32090a047f00000110903f
            """
        ),
        Golden(
            "REPLY",
            {
                var block = ByteBuffer()
                var head = ReplyHead()
                head.status = 200
                head.reason = block.put("OK")
                let name = block.put("Content-Length")
                head.fields = [FieldSlice(name: name, value: block.put("5"))]
                head.body = .length(5)
                var facts = ConnectionFacts()
                facts.remote = .ip(.v4(0x7f00_0001), port: 8080)
                facts.local = .ip(.v4(0x7f00_0001), port: 40_000)
                var encoder = MessageEncoder(fieldCountMax: 1)
                var output = ByteBuffer()
                encoder.reply(head, in: block.bytes, facts: facts, stream: 1, into: &output)
                return output.array
            }(),
            """
            0000003d 00000001 11 00 0000 08c801 12024f4b 180b 22130a0e436f6e74656e742d4c656e677468120135
            2801 3005 3a1918012a090a047f00000110903f320a0a047f00000110c0b802
            """
        ),
        Golden(
            "BODY",
            written { output in
                var encoder = MessageEncoder(fieldCountMax: 1)
                _ = encoder.body(upTo: 16_384, stream: 1, into: &output) { span in
                    for byte in "hello".utf8 { span.append(byte) }
                }
            },
            "00000009 00000001 03 00 0000 0a85800068656c6c6f"
        ),
        Golden(
            "END",
            written {
                var report = EndReport(.complete)
                report.replyBodyBytes = 5
                report.requestStarted = true
                report.repeatable = true
                report.connection = .pooled
                report.timings.connectedMicroseconds = 90
                report.timings.sentMicroseconds = 100
                report.timings.firstByteMicroseconds = 300
                report.timings.totalMicroseconds = 310
                let attempt = Attempt(
                    endpointIndex: 0,
                    result: .connected,
                    startMicroseconds: 10,
                    durationMicroseconds: 80,
                    transportMicroseconds: 80
                )
                var encoder = MessageEncoder(fieldCountMax: 1)
                encoder.end(report, attempts: [attempt], stream: 1, into: &$0)
            },
            """
            00000020 00000001 12 01 0000 0801 2005 2801 3001 3a081001180a20502850
            4001 4a0a085a106418ac0220b602
            """
        ),
    ]
}

@Suite struct GoldenTests {
    @Test(arguments: Golden.exchange) func `a frame goes out byte for byte as documented`(_ golden: Golden) {
        #expect(golden.frame.hex == golden.hex.filter { !$0.isWhitespace })
    }

    @Test func `the protocol reference prints exactly these frames`() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Frames/Frames.docc/Protocol.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        // Lines of the worked exchange: hex, two spaces or more, words.
        var frames: [String] = []
        var isExchange = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```" {
                isExchange = false
            } else if line == "```hex" {
                isExchange = true
                frames.append("")
            } else if isExchange, let hex = line.split(separator: "  ").first {
                frames[frames.count - 1] += hex.filter { !$0.isWhitespace }
            }
        }
        #expect(frames == Golden.exchange.map(\.frame.hex))
    }
}
