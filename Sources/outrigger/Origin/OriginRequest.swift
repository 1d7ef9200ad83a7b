// OriginRequest.swift: as much of a request head as the scripted origin needs. It trusts its client: it is no
// server.
// Owns: nothing. Source: RFC 9112 §3, §5, §6.
import Model

/// What the origin understood of a request head.
struct OriginRequest: Equatable {
    var isHead = false
    /// First path segment: what to do.
    var verb = ""
    /// Second path segment: how much of it.
    var amount = 0
    /// Bytes of body; `nil`: chunked.
    var bodyBytes: Int? = 0
    var expectsContinue = false
    var asksUpgrade = false
    /// Whether it has the credentials of the demo.
    var isAuthorized = false
    /// Bytes of the head.
    var headBytes = 0

    /// Reads the head at the front of `bytes`; `nil`: it is not there whole.
    init?(_ bytes: Span<UInt8>) {
        guard let end = Self.headEnd(bytes) else { return nil }
        headBytes = end
        var start = Self.lineEnd(bytes, from: 0)
        readRequestLine(bytes.extracting(0..<start))
        while start + 2 < end - 2 {
            let next = Self.lineEnd(bytes, from: start + 2)
            readField(bytes.extracting(start + 2..<next))
            start = next
        }
    }

    private static func headEnd(_ bytes: Span<UInt8>) -> Int? {
        var index = 3
        while index < bytes.count {
            if bytes[index] == 10, bytes[index - 1] == 13, bytes[index - 2] == 10 { return index + 1 }
            index += 1
        }
        return nil
    }

    private static func lineEnd(_ bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        while bytes[index] != 13 { index += 1 }
        return index
    }

    private mutating func readRequestLine(_ line: Span<UInt8>) {
        isHead = line[0] == UInt8(ascii: "H")
        var index = 0
        while index < line.count, line[index] != 32 { index += 1 }
        index += 1
        // Absolute-form, as a peer is asked in: leave scheme and authority out.
        if index < line.count, line[index] == UInt8(ascii: "h") {
            index += 7
            while index < line.count, line[index] != UInt8(ascii: "/") { index += 1 }
        }
        let start = index + 1
        index = start
        while index < line.count, line[index] != 32, line[index] != UInt8(ascii: "/") { index += 1 }
        guard index > start else { return }
        verb = String(copying: line.extracting(start..<index))
        index += 1
        while index < line.count, 48...57 ~= line[index] {
            amount = amount * 10 + Int(line[index] - 48)
            index += 1
        }
    }

    private mutating func readField(_ line: Span<UInt8>) {
        guard let first = line.isEmpty ? nil : line[0] | 0x20 else { return }
        switch first {
        case UInt8(ascii: "c") where Self.hasPrefix(line, "content-length:"):
            bodyBytes = Self.number(line.extracting(droppingFirst: 15))
        case UInt8(ascii: "t") where Self.hasPrefix(line, "transfer-encoding:"): bodyBytes = nil
        case UInt8(ascii: "e") where Self.hasPrefix(line, "expect:"): expectsContinue = true
        case UInt8(ascii: "a") where Self.hasPrefix(line, "authorization:"):
            isAuthorized = String(copying: line).hasSuffix(" Basic ZGVtbzpkZW1v")
        case UInt8(ascii: "u") where Self.hasPrefix(line, "upgrade:"): asksUpgrade = true
        default: break
        }
    }

    /// Whether a line begins with `prefix`, which is in lower case.
    private static func hasPrefix(_ line: Span<UInt8>, _ prefix: String) -> Bool {
        guard line.count >= prefix.utf8.count else { return false }
        var index = 0
        for byte in prefix.utf8 {
            let actual = line[index]
            guard actual == byte || (65...90 ~= actual && actual | 0x20 == byte) else { return false }
            index += 1
        }
        return true
    }

    private static func number(_ text: Span<UInt8>) -> Int {
        var number = 0
        for index in text.indices where 48...57 ~= text[index] {
            number = number * 10 + Int(text[index] - 48)
        }
        return number
    }
}

/// Finds the end of a chunked request body, and its data on the way.
struct OriginChunks {
    private enum State {
        case size
        case data(Int)
        case dataEnd
        case trailers
    }

    private var state = State.size
    private(set) var isComplete = false
    /// Whether a trailer field came.
    private(set) var hasTrailers = false

    /// Takes the next piece.
    /// - Parameters:
    ///   - bytes: what has not been taken so far.
    ///   - data: range of `bytes` that is body.
    /// - Returns: bytes done with; 0: more are needed.
    mutating func take(_ bytes: Span<UInt8>, data: inout Range<Int>) -> Int {
        data = 0..<0
        if case .data(let left) = state {
            data = 0..<min(left, bytes.count)
            state = data.count == left ? .dataEnd : .data(left - data.count)
            return data.count
        }
        var index = 0
        while index < bytes.count, bytes[index] != 10 { index += 1 }
        guard index < bytes.count else { return 0 }
        switch state {
        case .size:
            let digits = String(copying: bytes.extracting(0..<max(index - 1, 0))).prefix { $0.isHexDigit }
            let size = Int(digits, radix: 16) ?? 0
            state = size == 0 ? .trailers : .data(size)
        case .dataEnd: state = .size
        case .trailers:
            if index > 1 { hasTrailers = true } else { isComplete = true }
        case .data: preconditionFailure("handled above")
        }
        return index + 1
    }
}

extension String {
    /// A copy of bytes as UTF-8.
    init(copying bytes: Span<UInt8>) {
        self.init(decoding: [UInt8](copying: bytes), as: UTF8.self)
    }
}

extension [UInt8] {
    /// A copy of bytes.
    init(copying bytes: Span<UInt8>) {
        self.init(capacity: bytes.count) { output in
            for index in bytes.indices { output.append(bytes[index]) }
        }
    }
}
