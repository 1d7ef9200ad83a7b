// RoundTripTests.swift: whatever an encoder says, a decoder understands, every field of every message.
import Frames
import Model
import Testing

@Suite struct RoundTripTests {
    static let ipv6 = IPAddress.v6(high: 0xfe80_0000_0000_0000, low: 0x0102_0304_0506_0708, scope: 3)

    static let requests: [PlainRequest] = {
        var full = PlainRequest()
        full.method = "PATCH"
        full.authority = "[::1]:8080"
        full.target = "/a?b=c"
        full.fields = ["Accept: */*", "X-Empty: ", "X-Long: " + String(repeating: "y", count: 3000)]
        full.endpoints = [
            .ip(.v4(0xc000_0201), port: 65_535), .ip(ipv6, port: 1), .unix(path: Array("/run/up.sock".utf8)),
        ]
        full.route = .peer
        full.localAddress = ipv6
        full.body = .length(.max)
        full.deadlines.queueMilliseconds = 1
        full.deadlines.connectMilliseconds = 2
        full.deadlines.firstByteMilliseconds = 3
        full.deadlines.idleMilliseconds = 4
        full.deadlines.totalMilliseconds = 86_400_000
        full.retry = .replayable
        full.tag = "t-1"
        var upgrade = PlainRequest()
        upgrade.upgrade = "websocket"
        upgrade.retry = .never
        upgrade.localAddress = .v4(0x7f00_0002)
        var chunked = PlainRequest()
        chunked.body = .chunked
        chunked.endpoints = (1...16).map { .ip(.v4($0), port: UInt16($0)) }
        chunked.fields = (0..<256).map { "N\($0): v" }
        var https = PlainRequest()
        https.scheme = .https
        https.tls = tls
        var tunnel = PlainRequest()
        tunnel.method = "CONNECT"
        tunnel.isConnect = true
        tunnel.target = ""
        tunnel.route = .peerTunnel
        tunnel.endpoints = []
        tunnel.hop = hop
        return [PlainRequest(), full, upgrade, chunked, https, tunnel]
    }()

    static let tls: TLSRequest = {
        var tls = TLSRequest()
        tls.profile = "inside"
        tls.serverName = "a.example"
        tls.verifyName = "b.example"
        tls.trust = .directory("/etc/trust")
        tls.certificateFile = "/etc/c.pem"
        tls.keyFile = "/etc/k.pem"
        tls.versionMin = .v12
        tls.versionMax = .v13
        tls.ciphers = "ECDHE+AESGCM"
        tls.cipherSuites = "TLS_AES_128_GCM_SHA256"
        tls.alpn = ["http/1.1", "http/1.0"]
        tls.pins = [Array(0..<32), Array(32..<64)]
        tls.requiresStaple = true
        return tls
    }()

    static let hop: HopRequest = {
        var hop = HopRequest()
        hop.name = "parents"
        hop.tls = TLSRequest()
        hop.tls?.trust = .file("/etc/ca.pem")
        hop.connectFields = [HeaderField(name: Array("User-Agent".utf8), value: Array("us".utf8))]
        hop.proxyProtocol = .v2
        hop.proxySource = .ip(ipv6, port: 1)
        hop.proxyDestination = .ip(.v6(high: 1, low: 2, scope: 0), port: 443)
        return hop
    }()

    @Test(arguments: [TLSTrust.system, .file("/a"), .directory("/b"), .anyone])
    func `every trust comes back`(trust: TLSTrust) throws {
        var request = PlainRequest()
        request.tls = TLSRequest()
        request.tls?.trust = trust
        request.hop = HopRequest()
        request.hop?.proxyProtocol = .v1
        #expect(try PlainRequest(payload: request.frame(stream: 7, endsStream: true).payload) == request)
    }

    @Test(arguments: requests) func `a request comes back whole`(_ request: PlainRequest) throws {
        let frame = request.frame(stream: 7, endsStream: true)
        let header = try FrameHeader.decode(frame.span, payloadBytesMax: .max)
        #expect(
            header
                == FrameHeader(payloadBytes: frame.payload.count, stream: 7, type: .request, endsStream: true)
        )
        #expect(try PlainRequest(payload: frame.payload) == request)
    }

    @Test(
        arguments: [ReplyBody.none, .length(0), .length(.max), .chunked, .untilEOF, .tunnel],
        [true, false]
    )
    func `a reply head comes back whole`(body: ReplyBody, hasFacts: Bool) throws {
        var block = ByteBuffer()
        var head = ReplyHead()
        head.status = 999
        head.reason = block.put("Quite So")
        head.version = 10
        for _ in 0..<300 {
            let name = block.put("Set-Cookie")
            head.fields.append(FieldSlice(name: name, value: block.put("a=b")))
        }
        head.body = body
        var facts = ConnectionFacts()
        facts.reused = true
        facts.endpointIndex = 2
        facts.requests = 70_000
        facts.remote = .unix(path: Array("/tmp/s".utf8))
        facts.local = .ip(RoundTripTests.ipv6, port: 5)
        facts.tls = TLSFacts()
        facts.tls?.cipher = "TLS_AES_128_GCM_SHA256"
        facts.tls?.alpn = "http/1.1"
        facts.tls?.certificateSHA256 = Array(0..<32)
        facts.tls?.isResumed = true
        facts.peerTLS = TLSFacts()
        facts.peerTLS?.version = .v12
        var encoder = MessageEncoder(fieldCountMax: 256)
        var output = ByteBuffer()
        encoder.reply(head, in: block.bytes, facts: facts, isInterim: !hasFacts, stream: 9, into: &output)

        let header = try FrameHeader.decode(output.bytes, payloadBytesMax: .max)
        #expect(
            header?.type == (hasFacts ? .reply : .interim) && header?.stream == 9
                && header?.endsStream == false
        )
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var read = ReplyHead()
        var readFacts = ConnectionFacts()
        readFacts.reused = true
        var readBlock = ByteBuffer()
        try decoder.reply(output.array.payload.span, into: &read, facts: &readFacts, block: &readBlock)
        #expect(read.status == 999 && read.version == 10 && read.body == body)
        #expect(readBlock.bytes.text(read.reason) == "Quite So")
        #expect(readBlock.bytes.lines(read.fields) == block.bytes.lines(head.fields))
        #expect(readFacts == (hasFacts ? facts : ConnectionFacts()))
    }

    @Test(arguments: Outcome.allCases) func `an end comes back whole`(outcome: Outcome) throws {
        var report = EndReport(outcome, detail: "say why")
        report.requestBodyBytes = .max
        report.replyBodyBytes = 1
        report.requestStarted = true
        report.repeatable = true
        report.connection = .pinned
        report.timings.connectedMicroseconds = 1
        report.timings.sentMicroseconds = 2
        report.timings.firstByteMicroseconds = 3
        report.timings.totalMicroseconds = .max
        let attempts = AttemptResult.allCases.map {
            Attempt(
                endpointIndex: $0.rawValue,
                result: $0,
                startMicroseconds: 5,
                durationMicroseconds: 6,
                transportMicroseconds: 4
            )
        }
        let frame = written {
            var encoder = MessageEncoder(fieldCountMax: 1)
            encoder.end(report, attempts: attempts, stream: 3, into: &$0)
        }
        let header = try FrameHeader.decode(frame.span, payloadBytesMax: .max)
        #expect(
            header == FrameHeader(payloadBytes: frame.payload.count, stream: 3, type: .end, endsStream: true)
        )
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        let (readReport, readAttempts) = try decoder.end(frame.payload.span)
        #expect(readReport == report)
        #expect(readAttempts == attempts)
    }

    @Test func `an end of any size fits the smallest payload limit`() throws {
        let detail = String(repeating: "é", count: 1000)
        var report = EndReport(.deadline, detail: detail)
        report.requestBodyBytes = .max
        report.replyBodyBytes = .max
        report.requestStarted = true
        report.repeatable = true
        report.connection = .closed
        report.timings.connectedMicroseconds = .max
        report.timings.sentMicroseconds = .max
        report.timings.firstByteMicroseconds = .max
        report.timings.totalMicroseconds = .max
        let attempt = Attempt(
            endpointIndex: 15,
            result: .failed,
            startMicroseconds: .max,
            durationMicroseconds: .max,
            transportMicroseconds: .max
        )
        let frame = written {
            var encoder = MessageEncoder(fieldCountMax: 1)
            encoder.end(report, attempts: Array(repeating: attempt, count: 99), stream: 3, into: &$0)
        }
        #expect(frame.payload.count <= 1024)
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        let (readReport, readAttempts) = try decoder.end(frame.payload.span)
        #expect(readReport.detail == String(repeating: "é", count: 128))
        #expect(readAttempts.count == MessageEncoder.attemptsMax)
        #expect(readAttempts.first?.startMicroseconds == UInt64(UInt32.max))
    }

    @Test(arguments: GoAwayCode.allCases) func `a goaway comes back whole`(code: GoAwayCode) throws {
        let frame = written {
            var encoder = MessageEncoder(fieldCountMax: 1)
            encoder.goAway(code, detail: "words\0more", into: &$0)
        }
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        let (readCode, detail) = try decoder.goAway(frame.payload.span)
        #expect(readCode == code)
        #expect(detail == "words")
    }

    @Test func `a hello comes back whole, and absent numbers are the defaults`() throws {
        var hello = Hello()
        hello.framePayloadBytesMax = 1_048_576
        hello.initialCreditBytes = 16_777_216
        hello.instanceID = Array(0..<64)
        hello.streamsMax = 4096
        hello.capabilities = (0..<64).map { "capability-\($0)" }
        hello.software = String(repeating: "s", count: 256)
        let frame = written {
            var encoder = MessageEncoder(fieldCountMax: 1)
            encoder.hello(hello, into: &$0)
        }
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        #expect(try decoder.hello(frame.payload.span) == hello)
        #expect(try decoder.hello(Wire().number(1, 1).bytes.span) == Hello())
    }

    @Test func `trailers, credit, ping, pong, cancel and unpin come back whole`() throws {
        var encoder = MessageEncoder(fieldCountMax: 4)
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var block = ByteBuffer()
        let fields = [FieldSlice(name: block.put("Checksum"), value: block.put("abc"))]
        var fieldsRead = fields + fields
        var blockRead = ByteBuffer()
        let trailers = written {
            _ = encoder.trailers(fields, in: block.bytes, stream: 5, endsStream: true, into: &$0)
        }
        try decoder.trailers(trailers.payload.span, into: &fieldsRead, block: &blockRead)
        #expect(blockRead.bytes.lines(fieldsRead) == ["Checksum: abc"])
        #expect(try FrameHeader.decode(trailers.span, payloadBytesMax: 99)?.endsStream == true)

        for bytes: UInt32 in [1, 16_777_216] {
            let credit = written { encoder.credit(bytes, stream: 5, into: &$0) }
            #expect(try decoder.credit(credit.payload.span) == bytes)
        }
        for isReply in [true, false] {
            let data = [UInt8](0..<64)
            let ping = written { encoder.ping(data.span, isReply: isReply, into: &$0) }
            #expect(try FrameHeader.decode(ping.span, payloadBytesMax: 99)?.type == (isReply ? .pong : .ping))
            let slice = try decoder.ping(ping.payload.span, block: &blockRead)
            #expect(blockRead.bytes.extracting(slice).array == data)
        }
        let cancel = written { encoder.cancel(detail: "bored", stream: 5, into: &$0) }
        #expect(cancel == [UInt8](hex: "00000007 00000005 05 00 0000 0a05") + Array("bored".utf8))
        #expect(failure { () throws(FrameError) in try decoder.cancel(cancel.payload.span) } == nil)
        let token: [UInt8] = [1, 0, 2]
        let unpin = written { encoder.unpin(token: token.span, into: &$0) }
        #expect(unpin == [UInt8](hex: "00000005 00000000 07 00 0000 0a03010002"))
        #expect(try decoder.unpin(unpin.payload.span) == token)
        let remote = Endpoint.ip(.v4(0x7f00_0001), port: 8080)
        let event = PinEvent(token: token, change: .expired, detail: "idle", remote: remote)
        let pin = written { encoder.pin(event, into: &$0) }
        #expect(
            pin == [UInt8](hex: "00000018 00000000 13 00 0000 0a03010002 1003 1a04") + Array("idle".utf8)
                + [UInt8](hex: "2209 0a047f000001 10903f")
        )
        #expect(try decoder.pin(pin.payload.span) == event)
    }

    @Test func `a payload over the other side's limit is not sent at all`() {
        let frame = PlainRequest().frame(stream: 1, endsStream: true)
        var request = Request()
        var block = ByteBuffer()
        request.method = block.put("GET")
        var encoder = MessageEncoder(fieldCountMax: 4)
        var output = ByteBuffer()
        output.append("before")
        #expect(!frame.isEmpty)
        for (limit, isSent) in [(4, false), (5, true)] {
            #expect(
                encoder.request(
                    request,
                    in: block.bytes,
                    stream: 1,
                    endsStream: true,
                    payloadBytesMax: limit,
                    into: &output
                ) == isSent
            )
            #expect(output.count == "before".utf8.count + (isSent ? FrameHeader.byteCount + 5 : 0))
        }
    }
}
