// Sidecar.swift: frames as a sidecar sends them, for scripts.
import Frames
import Model
import OutriggerClient

/// Builds a sidecar's bytes frame by frame.
struct SidecarScript: ~Copyable {
    var encoder = MessageEncoder(fieldCountMax: 16)
    var output = ByteBuffer()

    var bytes: [UInt8] { array(output.bytes) }

    mutating func hello(credit: Int = 1000, payload: Int = 65_536, streamsMax: Int = 0, version: UInt32 = 1) {
        var hello = Hello()
        hello.version = version
        hello.initialCreditBytes = credit
        hello.framePayloadBytesMax = payload
        hello.streamsMax = streamsMax
        encoder.hello(hello, into: &output)
    }

    mutating func reply(
        _ stream: UInt32,
        status: Int = 200,
        body: ReplyBody = .none,
        isInterim: Bool = false
    ) {
        let block = Array("OKNameValue".utf8)
        var head = ReplyHead()
        head.status = status
        head.reason = Slice(start: 0, count: 2)
        head.fields = [FieldSlice(name: Slice(start: 2, count: 4), value: Slice(start: 6, count: 5))]
        head.body = body
        let facts = ConnectionFacts()
        encoder.reply(
            head,
            in: block.span,
            facts: facts,
            isInterim: isInterim,
            stream: stream,
            into: &output
        )
    }

    mutating func body(_ stream: UInt32, _ bytes: [UInt8], ends: Bool = false) {
        encoder.body(bytes.span, stream: stream, endsStream: ends, payloadBytesMax: 65_536, into: &output)
    }

    mutating func trailers(_ stream: UInt32) {
        let block = Array("NameValue".utf8)
        let field = FieldSlice(name: Slice(start: 0, count: 4), value: Slice(start: 4, count: 5))
        encoder.trailers([field], in: block.span, stream: stream, endsStream: false, into: &output)
    }

    mutating func end(_ stream: UInt32, _ outcome: Outcome = .complete, detail: String = "") {
        let attempt = Attempt(
            endpointIndex: 0,
            result: .connected,
            startMicroseconds: 1,
            durationMicroseconds: 2
        )
        let report = EndReport(outcome, detail: detail)
        encoder.end(report, attempts: [attempt], stream: stream, into: &output)
    }

    mutating func raw(type: UInt8, stream: UInt32 = 0, payload: [UInt8] = []) {
        for number in [payload.count, Int(stream)] {
            for shift in [24, 16, 8, 0] { output.append(UInt8(number >> shift & 255)) }
        }
        output.append(type)
        for byte in [0, 0, 0] + payload { output.append(byte) }
    }
}

/// A copy of bytes.
func array(_ bytes: Span<UInt8>) -> [UInt8] { bytes.indices.map { bytes[$0] } }

/// How a script is cut before it is fed.
enum Cutting: CaseIterable, Sendable {
    case whole
    case byteByByte
    /// Whole, and half a header of a next frame behind it.
    case trailing
}

/// A session in a box, so that expectations can look at it.
final class Proxy {
    private var session: ClientSession
    private var script = SidecarScript()

    /// A proxy whose sidecar may send `credit` body bytes a stream, after the HELLO of both.
    init(credit: Int = 100, greeting: (inout SidecarScript) -> Void = { $0.hello() }) {
        var hello = Hello()
        hello.initialCreditBytes = credit
        session = ClientSession(hello: hello)
        _ = hear(.whole, greeting)
        _ = written
    }

    var openCount: Int { session.openCount }
    var canOpen: Bool { session.canOpen }

    func open(_ method: String = "GET", body: RequestBody = .none, upgrade: String = "") -> UInt32? {
        var form = RequestForm(method: method, authority: "a", target: "/")
        form.update { $0.body = body }
        form.setUpgrade(upgrade)
        return session.open(form)
    }

    func send(_ count: Int, _ stream: UInt32, ends: Bool = false) -> Int {
        let bytes = [UInt8](repeating: 1, count: count)
        return session.sendBody(bytes.span, stream: stream, ends: ends)
    }

    func sendCredit(_ stream: UInt32) -> Int { session.sendCredit(of: stream) }
    func consumed(_ count: Int, _ stream: UInt32) { session.consumed(count, stream: stream) }
    func cancel(_ stream: UInt32) { session.cancel(stream, detail: "why") }

    /// Frames written since the last look.
    var written: [Written] {
        var bytes = array(session.output)
        session.wrote(bytes.count)
        var frames: [Written] = []
        while let header = try? FrameHeader.decode(bytes.span, payloadBytesMax: 1 << 20) {
            let end = FrameHeader.byteCount + header.payloadBytes
            frames.append(
                Written(type: header.type, ends: header.endsStream, payload: Array(bytes[12..<end]))
            )
            bytes.removeFirst(end)
        }
        return frames
    }

    /// What a script means, as text, up to the first error.
    func hear(_ cutting: Cutting = .whole, _ build: (inout SidecarScript) -> Void) -> [String] {
        script.output.removeAll()
        build(&script)
        let bytes = script.bytes
        let pieces: [[UInt8]] =
            switch cutting {
            case .whole: [bytes]
            case .byteByByte: bytes.map { [$0] }
            case .trailing: [bytes + [0, 0, 0, 1, 0, 0]]
            }
        var lines: [String] = []
        for piece in pieces {
            session.received(piece.span)
            do throws(ClientError) {
                while let event = try session.nextEvent() { lines.append(line(event, session)) }
            } catch {
                lines.append("error \(error)")
                break
            }
        }
        return lines
    }
}

/// One frame that a session has written.
struct Written {
    let type: FrameType?
    let ends: Bool
    let payload: [UInt8]
}

private func line(_ event: ClientEvent, _ session: borrowing ClientSession) -> String {
    switch event {
    case .ready: return "ready"
    case .interim: return "interim \(session.head.status)"
    case .reply:
        let field = session.head.fields.map {
            text(session.block, $0.name) + ":" + text(session.block, $0.value)
        }
        let reason = text(session.block, session.head.reason)
        return "reply \(session.head.status) \(reason) \(field.joined(separator: ","))"
    case .body: return "body " + String(decoding: array(session.body), as: UTF8.self)
    case .trailers:
        let field = session.head.fields.map {
            text(session.block, $0.name) + ":" + text(session.block, $0.value)
        }
        return "trailers \(field.joined(separator: ","))"
    case .writable: return "writable"
    case .ended: return "ended \(session.report.outcome.word) \(session.attempts.count)"
    case .pin: return "pin \(session.pinEvent.change) \(session.pinEvent.detail)"
    case .pong: return "pong"
    case .goAway(let code): return "goAway \(code.word)"
    }
}

private func text(_ block: Span<UInt8>, _ slice: Slice) -> String {
    String(decoding: array(block.extracting(slice)), as: UTF8.self)
}
