// Record.swift: what happened in a rig, as lines; and a proxy's ear, which makes lines of frames.
import Engine
import Frames
import Model

/// Lines, with neighbouring pieces of a body joined, so that it does not matter how they were cut.
struct Record {
    private var done: [String] = []
    private var bodyOf = ""
    private var body: [UInt8] = []

    /// Bodies of more than 40 bytes are told by their count and a sum.
    private var bodyLine: [String] {
        if bodyOf.isEmpty { return [] }
        if body.count <= 40 { return ["\(bodyOf)\(String(decoding: body, as: UTF8.self).escaped)"] }
        var sum: UInt32 = 0
        for byte in body { sum = sum &* 31 &+ UInt32(byte) }
        return ["\(bodyOf)\(body.count) bytes, sum \(sum)"]
    }

    var lines: [String] { done + bodyLine }

    mutating func add(_ line: String) {
        done = lines
        bodyOf = ""
        body = []
        done.append(line)
    }

    mutating func add(_ bytes: [UInt8], of name: String) {
        if name != bodyOf {
            done = lines
            body = []
            bodyOf = name
        }
        body += bytes
    }

    /// A request's head is told as method and target.
    mutating func upstreamGot(_ socket: Int, _ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n"), let version = text.range(of: " HTTP/1.1\r\n") else {
            return add(bytes, of: "\(socket) more ")
        }
        add("\(socket) got \(text[..<version.lowerBound])")
        let rest = Array(text[end.upperBound...].utf8)
        if !rest.isEmpty { add(rest, of: "\(socket) more ") }
    }
}

extension String {
    /// Control characters made visible: CR LF as |.
    fileprivate var escaped: String {
        var text = ""
        for character in self { text += character == "\r\n" ? "|" : String(character) }
        return text
    }

    /// The first place of `needle`.
    fileprivate func range(of needle: String) -> Range<String.Index>? {
        let (own, other) = (Array(utf8), Array(needle.utf8))
        guard own.count >= other.count else { return nil }
        for start in 0...own.count - other.count where Array(own[start..<start + other.count]) == other {
            let lower = utf8.index(startIndex, offsetBy: start)
            return lower..<utf8.index(lower, offsetBy: other.count)
        }
        return nil
    }
}

/// What the rig holds of a proxy.
struct ProxySide {
    let id: SessionID
    let name: String
    var isClosed = false
    var isReading = true
    private var input: [UInt8] = []

    init(id: SessionID, name: String) {
        self.id = id
        self.name = name
    }

    mutating func hear(_ bytes: [UInt8], _ record: inout Record) {
        input += bytes
        while let header = try? FrameHeader.decode(input.span, payloadBytesMax: 1 << 20),
            input.count >= FrameHeader.byteCount + header.payloadBytes
        {
            let end = FrameHeader.byteCount + header.payloadBytes
            let payload = Array(input[FrameHeader.byteCount..<end])
            input.removeFirst(end)
            do throws(FrameError) {
                try write(header, payload, &record)
            } catch { record.add("\(name)undecodable \(error)") }
        }
    }

    private func write(
        _ header: FrameHeader,
        _ payload: [UInt8],
        _ record: inout Record
    ) throws(FrameError) {
        var decoder = MessageDecoder(messageBytesMax: 1 << 20)
        var block = ByteBuffer()
        let stream = "\(name)\(header.stream)"
        switch header.type {
        case .hello: _ = try decoder.hello(payload.span)
        case .interim, .reply:
            var head = ReplyHead()
            var facts = ConnectionFacts()
            try decoder.reply(payload.span, into: &head, facts: &facts, block: &block)
            let kind = header.type == .interim ? "interim" : "reply"
            let reused = facts.reused ? " reused" : ""
            let index = facts.endpointIndex > 0 ? " endpoint \(facts.endpointIndex)" : ""
            record.add("\(stream) \(kind) \(head.status)\(reused)\(index)")
        case .body:
            let data: [UInt8]
            switch try decoder.body(payload.span, block: &block) {
            case .payload(let range): data = Array(payload[range])
            case .block(let slice): data = array(block.bytes.extracting(slice))
            }
            if !data.isEmpty { record.add(data, of: "\(stream) body ") }
            if header.endsStream { record.add("\(stream) body ends") }
        case .trailers:
            var fields: [FieldSlice] = []
            try decoder.trailers(payload.span, into: &fields, block: &block)
            record.add("\(stream) trailers \(fields.count)")
        case .credit: record.add("\(stream) credit \(try decoder.credit(payload.span))")
        case .pin:
            let event = try decoder.pin(payload.span)
            let token = String(decoding: event.token, as: UTF8.self)
            record.add("\(name)pin \(token) \(event.change)")
        case .pong: record.add("\(name)pong")
        case .goAway: record.add("\(name)goaway \(try decoder.goAway(payload.span).0)")
        case .end:
            let (report, attempts) = try decoder.end(payload.span)
            let tries = attempts.map { attempt in
                attempt.member < 0
                    ? "\(attempt.result)\(attempt.endpointIndex)"
                    : "\(attempt.result) at \(report.members[attempt.member])"
            }
            .joined(separator: " ")
            let member = report.member < 0 ? "" : " by \(report.members[report.member])"
            let facts = report.requestStarted ? (report.repeatable ? "" : " unrepeatable") : " unsent"
            record.add("\(stream) end \(report.outcome) \(report.connection) [\(tries)]\(member)\(facts)")
        case .request, .cancel, .unpin, .ping, nil: record.add("\(stream) unexpected frame")
        }
    }
}
