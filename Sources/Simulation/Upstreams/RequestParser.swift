// RequestParser.swift: a strict parser of HTTP/1.1 requests, written for the simulation only: an oracle
// that shares no code with what it judges. Accepts nothing but what RFC 9112 tells a client to send.

/// The head of a request as an upstream reads it.
struct ParsedHead: Equatable {
    var method = ""
    var target = ""
    var fields: [(name: String, value: String)] = []

    /// Values of the fields called `name`, which is in lower case.
    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name }.map(\.value)
    }

    /// The number in the field that every simulated request carries.
    var requestID: Int? { values("x-request").first.flatMap { Int($0) } }

    static func == (left: ParsedHead, right: ParsedHead) -> Bool {
        left.method == right.method && left.target == right.target
            && left.fields.elementsEqual(right.fields) { $0 == $1 }
    }
}

/// One piece of a request.
enum RequestPart: Equatable {
    case proxyHeader(SeenProxyHeader)
    /// Raw bytes of a request follow.
    case tag(Int)
    /// The first byte of a message has come.
    case began
    case head(ParsedHead)
    case body([UInt8])
    case trailers(ParsedHead)
    case whole
    /// Behind an upgrade.
    case tunnel([UInt8])
    case malformed(String)
}

/// Cuts a client's bytes into requests.
struct RequestParser {
    private enum State: Equatable {
        case start, head
        case length(Int)
        case chunkLine
        case chunk(Int)
        case chunkEnd
        case trailers
        case tunnel, broken
    }

    private var state = State.start
    /// What stands at the front of the connection until it is clear what it is; `nil`: that is over.
    private var front: [UInt8]? = []
    private var mayHaveHeader = true
    private var line: [UInt8] = []
    private var lines: [String] = []

    /// Whether the last message was whole and no byte of another has come.
    var isAtStart: Bool { state == .start && front?.isEmpty != false }

    /// Whether it is still open what stands at the front of the connection.
    var isAtFront: Bool { front != nil }

    /// From here on bytes belong to an upgraded protocol.
    mutating func becomeTunnel() {
        state = .tunnel
        front = nil
    }

    /// - Parameters:
    ///   - bytes: what has come.
    ///   - ahead: what is known to come next; only looked at.
    ///   - parts: gets what was found.
    mutating func parse(_ bytes: [UInt8], ahead: [UInt8] = [], into parts: inout [RequestPart]) {
        guard var front else { return parseMessages(bytes, into: &parts) }
        front += bytes
        switch Preamble.find(front + ahead) {
        case .undecided: self.front = front
        case .nothing:
            self.front = nil
            parseMessages(front, into: &parts)
        case .header(let header, let used):
            self.front = front
            guard front.count >= used else { return }
            guard mayHaveHeader else { return fail("a second PROXY header", &parts) }
            mayHaveHeader = false
            parts.append(.proxyHeader(header))
            self.front = []
            let rest = Array(front[used...])
            if !rest.isEmpty { parse(rest, ahead: ahead, into: &parts) }
        case .tag(let request, let used):
            self.front = front
            guard front.count >= used else { return }
            becomeTunnel()
            parts.append(.tag(request))
            parseMessages(Array(front[used...]), into: &parts)
        case .malformed(let reason): fail(reason, &parts)
        }
    }

    private mutating func parseMessages(_ bytes: [UInt8], into parts: inout [RequestPart]) {
        var place = 0
        while place < bytes.count {
            switch state {
            case .start:
                parts.append(.began)
                state = .head
            case .head, .chunkLine, .chunkEnd, .trailers:
                takeLine(bytes, &place, &parts)
            case .length(let left):
                let piece = Array(bytes[place..<min(bytes.count, place + left)])
                parts.append(.body(piece))
                place += piece.count
                state = .length(left - piece.count)
                if left == piece.count { finish(&parts) }
            case .chunk(let left):
                let piece = Array(bytes[place..<min(bytes.count, place + left)])
                parts.append(.body(piece))
                place += piece.count
                state = left == piece.count ? .chunkEnd : .chunk(left - piece.count)
            case .tunnel:
                parts.append(.tunnel(Array(bytes[place...])))
                return
            case .broken: return
            }
        }
    }

    private mutating func takeLine(_ bytes: [UInt8], _ place: inout Int, _ parts: inout [RequestPart]) {
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if byte == 0x0A {
                guard line.last == 0x0D else { return fail("a line without CR", &parts) }
                line.removeLast()
                let text = String(decoding: line, as: UTF8.self)
                line.removeAll(keepingCapacity: true)
                return takeLine(text, &parts)
            }
            if line.last == 0x0D || (byte < 0x20 && byte != 0x0D && byte != 0x09) || byte == 0x7F {
                return fail("control byte \(byte) in a line", &parts)
            }
            line.append(byte)
        }
    }

    private mutating func takeLine(_ text: String, _ parts: inout [RequestPart]) {
        switch state {
        case .head where !text.isEmpty: lines.append(text)
        case .head: takeHead(&parts)
        case .chunkLine:
            guard !text.isEmpty, text.allSatisfy(\.isHexDigit), let size = Int(text, radix: 16) else {
                return fail("chunk size «\(text)»", &parts)
            }
            state = size == 0 ? .trailers : .chunk(size)
        case .chunkEnd:
            guard text.isEmpty else { return fail("no CRLF behind a chunk", &parts) }
            state = .chunkLine
        case .trailers where !text.isEmpty: lines.append(text)
        case .trailers:
            var section = ParsedHead()
            guard fields(lines[...], &section) else { return fail("trailer lines \(lines)", &parts) }
            if !lines.isEmpty { parts.append(.trailers(section)) }
            finish(&parts)
        case .start, .length, .chunk, .tunnel, .broken: preconditionFailure("line in \(state)")
        }
    }

    private mutating func takeHead(_ parts: inout [RequestPart]) {
        var head = ParsedHead()
        let words = lines.first?.split(separator: " ", omittingEmptySubsequences: false) ?? []
        guard words.count == 3, words[2] == "HTTP/1.1", isToken(words[0]), !words[1].isEmpty else {
            return fail("request line «\(lines.first ?? "")»", &parts)
        }
        head.method = String(words[0])
        head.target = String(words[1])
        guard fields(lines.dropFirst(), &head) else { return fail("field lines \(lines)", &parts) }
        guard head.values("host").count == 1 else {
            return fail("\(head.values("host").count) Hosts", &parts)
        }
        lines.removeAll(keepingCapacity: true)
        let lengths = head.values("content-length")
        let codings = head.values("transfer-encoding")
        parts.append(.head(head))
        switch (lengths.count, codings.count) {
        case (0, 0): finish(&parts)
        case (1, 0):
            guard lengths[0].allSatisfy(\.isNumber), let length = UInt64(lengths[0]) else {
                return fail("Content-Length «\(lengths[0])»", &parts)
            }
            // More than anybody sends.
            state = .length(Int(min(length, UInt64(Int.max))))
            if length == 0 { finish(&parts) }
        case (0, 1) where codings[0] == "chunked": state = .chunkLine
        default: fail("framing \(lengths) \(codings)", &parts)
        }
    }

    private func fields(_ lines: ArraySlice<String>, _ head: inout ParsedHead) -> Bool {
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), isToken(line[..<colon]) else { return false }
            let value = line[line.index(after: colon)...]
            guard value.isEmpty || value.first == " " else { return false }
            head.fields.append((String(line[..<colon]), String(value.dropFirst())))
        }
        return true
    }

    private func isToken(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }

    private mutating func finish(_ parts: inout [RequestPart]) {
        parts.append(.whole)
        lines.removeAll(keepingCapacity: true)
        state = .start
    }

    private mutating func fail(_ reason: String, _ parts: inout [RequestPart]) {
        parts.append(.malformed(reason))
        state = .broken
        front = nil
    }
}
