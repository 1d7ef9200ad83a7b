// ClientSessionTests.swift: what a proxy's session makes of a sidecar's frames, however they are cut.
import Frames
import Model
import OutriggerClient
import Testing

/// The first stream of every session.
private let first: UInt32 = 1 << 16

/// A sidecar's frames behind HELLO, and what the session with one open stream says.
struct EventRow: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let script: @Sendable (inout SidecarScript) -> Void
    let expected: [String]

    init(
        _ description: String,
        _ expected: [String],
        _ script: @escaping @Sendable (inout SidecarScript) -> Void
    ) {
        testDescription = description
        self.script = script
        self.expected = expected
    }
}

private let rows = [
    EventRow("a reply without body", ["reply 200 OK Name:Value", "ended COMPLETE 1"]) {
        $0.reply(first)
        $0.end(first)
    },
    EventRow(
        "interim replies, a body in two frames and trailers",
        [
            "interim 103", "interim 100", "reply 200 OK Name:Value", "body ab", "body cde",
            "trailers Name:Value",
            "ended COMPLETE 1",
        ]
    ) {
        $0.reply(first, status: 103, isInterim: true)
        $0.reply(first, status: 100, isInterim: true)
        $0.reply(first, body: .chunked)
        $0.body(first, Array("ab".utf8))
        $0.body(first, Array("cde".utf8))
        $0.trailers(first)
        $0.end(first)
    },
    EventRow("an end without a reply", ["ended CONNECT_REFUSED 1"]) { $0.end(first, .connectRefused) },
    EventRow("an unknown type of 0x80 is skipped", ["ended COMPLETE 1"]) {
        $0.raw(type: 0x80, payload: [1, 2, 3])
        $0.end(first)
    },
    EventRow("GOAWAY DRAINING leaves streams open", ["goAway DRAINING", "ended COMPLETE 1"]) {
        $0.encoder.goAway(.draining, detail: "bye", into: &$0.output)
        $0.end(first)
    },
    EventRow("PIN comes through", ["pin lost gone"]) {
        $0.encoder.pin(PinEvent(token: [7], change: .lost, detail: "gone"), into: &$0.output)
    },
    EventRow("PONG comes through", ["pong"]) { $0.encoder.ping([7].span, isReply: true, into: &$0.output) },
    EventRow("a second HELLO breaks the session", ["error unexpectedHello"]) { $0.hello() },
    EventRow("a frame for no stream", ["error unknownStream(9, Frames.FrameType.end)"]) { $0.end(9) },
    EventRow(
        "nothing follows END",
        ["ended COMPLETE 1", "error unknownStream(65536, Frames.FrameType.body)"]
    ) {
        $0.end(first)
        $0.body(first, [1])
    },
    EventRow("a body without a reply", ["error unexpectedFrame(65536, Frames.FrameType.body)"]) {
        $0.body(first, [1])
    },
    EventRow(
        "two replies",
        ["reply 200 OK Name:Value", "error unexpectedFrame(65536, Frames.FrameType.reply)"]
    ) {
        $0.reply(first)
        $0.reply(first)
    },
    EventRow(
        "END_STREAM on a body frame of a sidecar",
        ["reply 200 OK Name:Value", "error unexpectedFrame(65536, Frames.FrameType.body)"]
    ) {
        $0.reply(first, body: .chunked)
        $0.body(first, [1], ends: true)
    },
    EventRow(
        "more body than the reply's length",
        ["reply 200 OK Name:Value", "error unexpectedFrame(65536, Frames.FrameType.body)"]
    ) {
        $0.reply(first, body: .length(1))
        $0.body(first, [1, 2])
    },
    EventRow(
        "more body than credit",
        ["reply 200 OK Name:Value", "error creditExceeded(65536)"]
    ) {
        $0.reply(first, body: .chunked)
        $0.body(first, [UInt8](repeating: 1, count: 101))
    },
    EventRow("a frame that no sidecar sends", ["error unexpectedFrame(65536, Frames.FrameType.cancel)"]) {
        $0.encoder.cancel(detail: "", stream: first, into: &$0.output)
    },
]

@Suite struct ClientSessionTests {
    @Test(arguments: rows, Cutting.allCases)
    func `a sidecar's frames mean the same however they are cut`(_ row: EventRow, _ cutting: Cutting) {
        let proxy = Proxy()
        #expect(proxy.open() == first)
        #expect(proxy.hear(cutting, row.script) == row.expected)
    }

    @Test(arguments: Cutting.allCases)
    func `the first frame is HELLO of version 1`(_ cutting: Cutting) {
        let early = Proxy { _ in }
        #expect(early.hear(cutting) { $0.end(first) } == ["error unexpectedHello"])
        let old = Proxy { _ in }
        #expect(old.hear(cutting) { $0.hello(version: 2) } == ["error unsupportedVersion(2)"])
        #expect(!old.canOpen)
    }

    @Test func `a session says HELLO before anything else`() {
        var session = ClientSession(hello: Hello())
        let form = RequestForm(method: "GET", authority: "a", target: "/")
        let isOpened = session.open(form) != nil
        #expect(!isOpened)
        let header = try? FrameHeader.decode(session.output, payloadBytesMax: 65_536)
        #expect(header?.type == .hello)
        #expect(header?.stream == 0)
    }

    @Test func `no stream opens past the sidecar's limit, or after GOAWAY`() {
        let proxy = Proxy { $0.hello(streamsMax: 2) }
        #expect(proxy.open() == first)
        #expect(proxy.open() == first + 1)
        #expect(proxy.open() == nil)
        let heard = proxy.hear {
            $0.end(first)
            $0.encoder.goAway(.draining, detail: "", into: &$0.output)
        }
        #expect(heard == ["ended COMPLETE 1", "goAway DRAINING"])
        #expect(proxy.openCount == 1)
        #expect(proxy.open() == nil)
    }

    @Test func `ids of one slot differ through 65,535 uses and are never 0`() {
        let proxy = Proxy()
        var unexpected = 0
        for use in UInt32(1)...70_000 {
            let expected = ((use - 1) % 65_535 + 1) << 16
            if proxy.open() != expected { unexpected += 1 }
            _ = proxy.hear { $0.end(expected) }
        }
        #expect(unexpected == 0)
        #expect(proxy.openCount == 0)
    }

    @Test func `a request without body ends its stream, an upgrade does not`() {
        let proxy = Proxy()
        _ = proxy.open()
        _ = proxy.open(upgrade: "echo")
        _ = proxy.open("PUT", body: .length(0))
        #expect(proxy.written.map(\.ends) == [true, false, false])
    }

    @Test func `the upstream's end of a tunnel closes the proxy's direction, too`() throws {
        let proxy = Proxy()
        let stream = try #require(proxy.open(upgrade: "echo"))
        _ = proxy.written
        _ = proxy.hear {
            $0.reply(stream, status: 101, body: .tunnel)
            $0.body(stream, [1, 2], ends: true)
        }
        #expect(proxy.written.map(\.ends) == [true])
        _ = proxy.hear { $0.end(stream) }
        #expect(proxy.openCount == 0)
    }

    @Test func `a request larger than a frame opens no stream`() {
        let proxy = Proxy { $0.hello(payload: 1024) }
        #expect(proxy.open(String(repeating: "A", count: 2000)) == nil)
        #expect(proxy.openCount == 0)
        #expect(proxy.written.isEmpty)
        #expect(proxy.open() != nil)
    }

    @Test func `a body goes out as credit and frame size allow, and writable follows credit`() throws {
        let proxy = Proxy { $0.hello(credit: 2500, payload: 1024) }
        let stream = try #require(proxy.open("PUT", body: .length(3000)))
        _ = proxy.written
        #expect(proxy.send(3000, stream, ends: true) == 2500)
        let frames = proxy.written
        #expect(frames.count == 3)
        #expect(frames.allSatisfy { $0.payload.count <= 1024 && !$0.ends })
        #expect(proxy.sendCredit(stream) == 0)
        #expect(proxy.send(500, stream, ends: true) == 0)
        #expect(proxy.written.isEmpty)
        let heard = proxy.hear(.byteByByte) { $0.encoder.credit(600, stream: stream, into: &$0.output) }
        #expect(heard == ["writable"])
        #expect(proxy.send(500, stream, ends: true) == 500)
        #expect(proxy.written.last?.ends == true)
        #expect(proxy.sendCredit(stream) == 0, "the sending side is over")
    }

    @Test func `an empty body of a length still ends its stream`() throws {
        let proxy = Proxy()
        let stream = try #require(proxy.open("PUT", body: .length(0)))
        _ = proxy.written
        #expect(proxy.send(0, stream, ends: true) == 0)
        let frames = proxy.written
        #expect(frames.map(\.type) == [.body])
        #expect(frames.first?.ends == true)
    }

    @Test func `credit is given back at half, and not when the rest is covered`() throws {
        let proxy = Proxy(credit: 100)
        let stream = try #require(proxy.open())
        _ = proxy.written
        func take(_ count: Int) -> [FrameType?] {
            _ = proxy.hear { $0.body(stream, [UInt8](repeating: 1, count: count)) }
            proxy.consumed(count, stream)
            return proxy.written.map(\.type)
        }
        _ = proxy.hear { $0.reply(stream, body: .length(160)) }
        #expect(take(40) == [], "60 of 100 left, 120 to come")
        #expect(take(10) == [.credit], "50 left, 110 to come: now 100")
        #expect(take(60) == [.credit], "40 left, 50 to come: now 100")
        #expect(take(30) == [], "70 left, 20 to come")
        #expect(take(20) == [])
        #expect(proxy.hear { $0.end(stream) } == ["ended COMPLETE 1"])
    }

    @Test(arguments: Cutting.allCases) func `PING is answered in kind`(_ cutting: Cutting) throws {
        let proxy = Proxy()
        #expect(
            proxy.hear(cutting) { $0.encoder.ping([1, 2, 3].span, isReply: false, into: &$0.output) } == []
        )
        let pong = try #require(proxy.written.first)
        #expect(pong.type == .pong)
        #expect(pong.payload.suffix(3) == [1, 2, 3])
    }

    @Test func `a cancelled stream takes no more body and still ends`() throws {
        let proxy = Proxy()
        let stream = try #require(proxy.open("PUT", body: .chunked))
        _ = proxy.written
        proxy.cancel(stream)
        #expect(proxy.send(2, stream, ends: true) == 2, "swallowed")
        #expect(proxy.written.map(\.type) == [.cancel])
        let heard = proxy.hear {
            $0.reply(stream)
            $0.end(stream, .cancelled)
        }
        #expect(heard.last == "ended CANCELLED 1")
        #expect(proxy.openCount == 0)
    }
}
