// OracleTests.swift: the parts of a world on which its verdicts rest.
import Model
import Testing

@testable import Simulation

@Suite struct OracleTests {
    struct Row: CustomTestStringConvertible {
        var testDescription: String
        var bytes: String
        var parts: [String]

        init(_ name: String, _ bytes: String, _ parts: [String]) {
            testDescription = name
            self.bytes = bytes
            self.parts = parts
        }
    }

    static let rows = [
        Row("no body", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", ["began", "head GET /a", "whole"]),
        Row(
            "by length",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            ["began", "head PUT /", "body abc", "whole"]
        ),
        Row(
            "chunked with trailers",
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n",
            ["began", "head PUT /", "body abc", "trailers T", "whole"]
        ),
        Row(
            "two in a row",
            "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            ["began", "head GET /", "whole", "began", "head GET /b", "whole"]
        ),
        Row("no Host", "GET / HTTP/1.1\r\n\r\n", ["began", "malformed"]),
        Row("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", ["began", "malformed"]),
        Row("a bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", ["began", "malformed"]),
        Row("a CR inside a line", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ["began", "malformed"]),
        Row("a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", ["began", "malformed"]),
        Row("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", ["began", "malformed"]),
        Row(
            "a length and a coding",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            ["began", "head PUT /", "malformed"]
        ),
        Row(
            "a chunk extension, which a client has no use for",
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\n\r\n",
            ["began", "head PUT /", "malformed"]
        ),
        Row(
            "a PROXY header of version 1",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nPUT / HTTP/1.1\r\nHost: h\r\n\r\n",
            ["PROXY 1 somebody", "began", "head PUT /", "whole"]
        ),
        Row(
            "a PROXY header of version 2, and raw bytes behind it",
            "\r\n\r\n\0\r\nQUIT\n \0\0\0RAW 0000000012\nGET /",
            ["PROXY 2 nobody", "tag 12", "tunnel"]
        ),
        Row(
            "two PROXY headers",
            "PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n",
            ["PROXY 1 nobody", "malformed"]
        ),
        Row("a PROXY line that is none", "PROXY TCP4 1.2.3 5.6.7.8 9 10\r\n", ["malformed"]),
        Row(
            "a method that begins like PROXY",
            "PUT / HTTP/1.1\r\nHost: h\r\n\r\n",
            ["began", "head PUT /", "whole"]
        ),
        Row(
            "a chunk that is longer than it says",
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            ["began", "head PUT /", "body ab", "malformed"]
        ),
    ]

    @Test(arguments: rows) func `the oracle takes requests as RFC 9112 has a client send them`(_ row: Row) {
        for size in [row.bytes.utf8.count, 1, 2, 7] {
            var parser = RequestParser()
            var parts: [RequestPart] = []
            let bytes = Array(row.bytes.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                parser.parse(Array(bytes[start..<min(bytes.count, start + size)]), into: &parts)
            }
            #expect(words(parts) == row.parts, "\(size) bytes at a time")
        }
    }

    /// The parts in words, pieces of a body joined.
    private func words(_ parts: [RequestPart]) -> [String] {
        var words: [String] = []
        for part in parts {
            switch part {
            case .began: words.append("began")
            case .head(let head): words.append("head \(head.method) \(head.target)")
            case .body(let bytes):
                let text = String(decoding: bytes, as: UTF8.self)
                if let last = words.last, last.hasPrefix("body ") {
                    words[words.count - 1] = last + text
                } else {
                    words.append("body \(text)")
                }
            case .trailers(let section): words.append("trailers \(section.fields.map(\.name).joined())")
            case .whole: words.append("whole")
            case .tunnel: if words.last != "tunnel" { words.append("tunnel") }
            case .proxyHeader(let header):
                words.append("PROXY \(header.version) \(header.source == nil ? "nobody" : "somebody")")
            case .tag(let request): words.append("tag \(request)")
            case .malformed: words.append("malformed")
            }
        }
        return words
    }

    @Test func `the tap of a session finds each REQUEST when it is whole`() {
        let request: [UInt8] = [0, 0, 0, 3, 0, 0, 1, 2, 0x02, 1, 0, 0, 7, 7, 7]
        let empty: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9, 0x02, 0, 0, 0]
        let body: [UInt8] = [0, 0, 0, 2, 0, 0, 1, 2, 0x03, 0, 0, 0, 2, 2]
        let bytes = request + body + empty + request.dropLast()
        for size in [bytes.count, 1, 2, 5, 13] {
            var tap = SessionTap()
            var found: [UInt32] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                found += tap.parse(Array(bytes[start..<min(bytes.count, start + size)]))
            }
            #expect(found == [258, 9], "\(size) bytes at a time")
        }
    }

    @Test func `what a worker knew is what it was told before`() {
        var history = KnownHistory(weight: 3)
        history.change(at: Instant(nanoseconds: 50)) { $0.isDown = true }
        history.change(at: Instant(nanoseconds: 90)) { $0.weight = 1 }
        let known = [50, 51, 90, 91].map { history.known(before: Instant(nanoseconds: $0)) }
        #expect(known.map(\.isDown) == [false, true, true, true])
        #expect(known.map(\.weight) == [3, 3, 3, 1])
    }

    @Test func `events come by time, then in the order of planning`() {
        var queue = EventQueue()
        let times = [5, 1, 3, 1, 5, 2, 1]
        for (index, time) in times.enumerated() {
            queue.add(.proxyWake(proxy: index), at: Instant(nanoseconds: Int64(time)))
        }
        var order: [Int] = []
        while let (_, event) = queue.removeFirst() {
            if case .proxyWake(let proxy) = event { order.append(proxy) }
        }
        #expect(order == [1, 3, 6, 5, 2, 0, 4])
    }

    @Test func `a body's bytes say whose they are and where they stand`() {
        let body = Pattern(serve: 3).bytes(0..<200_000)
        #expect(Pattern(serve: 3).mismatch(body.span, at: 0) == nil)
        #expect(Pattern(serve: 3).bytes(70_000..<70_100) == Array(body[70_000..<70_100]))
        for other in 0..<200 where other != 3 {
            #expect((Pattern(serve: other).mismatch(body.span, at: 0) ?? .max) < 16, "reply \(other)")
            #expect((Pattern(request: other).mismatch(body.span, at: 0) ?? .max) < 16, "request \(other)")
        }
        for slip in [1, 2, 100, 65_535, 65_536, 65_537, 131_072] {
            #expect((Pattern(serve: 3).mismatch(body.span, at: slip) ?? .max) < slip + 16, "slip \(slip)")
        }
    }

    @Test func `pieces arrive in order, a reset may overtake them`() {
        let pipe = Pipe(capacity: 5)
        pipe.write(.bytes([1, 2, 3]))
        #expect(pipe.room == 2)
        #expect(!pipe.isReadable)
        _ = pipe.arrive()
        #expect(pipe.read(upTo: 2) == [1, 2])
        #expect(pipe.room == 4)
        pipe.write(.bytes([4]))
        pipe.dropInFlight()
        pipe.writeReset()
        #expect(pipe.arrive() == .reset)
        #expect(pipe.read(upTo: 9) == [3])
        #expect(pipe.room == 0)
    }

    @Test func `a way is another as soon as one thing in it is`() {
        var random = SeededRandom(seed: 4)
        let endpoint = Endpoint.ip(.v4(0x0A00_0001), port: 80)
        var pairs = 0
        for _ in 0..<400 {
            let way = WayPlan(random: &random)
            let other = way.changed(&random)
            for isConnect in [false, true] {
                let (one, two) = (way.legal(isConnect: isConnect), other.legal(isConnect: isConnect))
                let seen = one.seen(at: endpoint, isConnect: isConnect)
                #expect(seen.difference(from: one.seen(at: endpoint, isConnect: isConnect)) == nil)
                // Who is spoken to in clear text or in absolute-form is told by each request, not by the way.
                guard one.route == .peerTunnel, two.route == .peerTunnel, !isConnect, one != two else {
                    continue
                }
                pairs += 1
                let difference = seen.difference(from: two.seen(at: endpoint, isConnect: isConnect))
                #expect(difference != nil, "\(one) and \(two)")
            }
        }
        #expect(pairs > 50)
    }

    @Test func `close_notify and a broken record stand in their order among the bytes`() {
        let pipe = Pipe(capacity: 5)
        pipe.write(.bytes([1]))
        pipe.write(.notify)
        pipe.write(.finish)
        _ = pipe.arrive()
        #expect(!pipe.hasNotifyArrived)
        _ = pipe.arrive()
        #expect(pipe.hasNotifyArrived && !pipe.hasFinishArrived)
        #expect(pipe.read(upTo: 9) == [1])
        #expect(pipe.isReadable)
        let broken = Pipe(capacity: 5)
        broken.write(.garbage)
        #expect(broken.arrive() == .garbage)
        #expect(broken.isReadable && broken.hasGarbageArrived)
    }

    @Test(arguments: [(1, false), (2, true)])
    func `only the call in which a connection stands writes the request for which it was made`(
        call: Int,
        isUsed: Bool
    ) {
        let record = Record(scenario: Scenario(seed: 1))
        record.links.append(LinkFacts())
        record.calls = 7
        record.apply(.dialed(link: 0, .connected(local: nil)), now: Instant(nanoseconds: 1))
        record.calls += call
        record.noteWriteOrder(0)
        #expect(record.links[0].isUsed == isUsed)
    }
}
