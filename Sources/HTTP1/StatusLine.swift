// StatusLine.swift: the first line of a reply.
// Owns: its grammar. Never touches: limits; its caller hands in no more than may be read. Source: RFC 9112
// §4.
import Model

/// Reads `HTTP/1.x SP 3DIGIT [ SP reason ] CR LF`: one space each, and the last one may be missing, as some
/// servers without a reason have it.
enum StatusLine {
    /// What every reply begins with.
    static let beginning = "HTTP/1."

    /// "HTTP/1.1 200" and its line end.
    private static let bytesMin = 14

    /// Reads a status line into `head`. The answer is the offset behind it; `nil` when it has no end yet.
    @inline(__always)
    static func read(_ window: Span<UInt8>, at start: Int, head: inout ReplyHead) throws(ReplyError) -> Int? {
        let line = window.extracting(droppingFirst: start)
        // Tells another protocol by its first bytes, which may never be followed by a line end. A CR LF
        // before the status line is refused too: on a connection that is used again nobody can say whose it
        // is.
        let beginning = beginning.utf8.span
        for index in 0..<Swift.min(line.count, beginning.count) where line[index] != beginning[index] {
            throw .notHTTP1
        }
        guard line.count >= bytesMin, readNumbers(line, head: &head) else { return try endOrFault(line) }
        let reasonStart = line[12] == Octet.space ? 13 : 12
        var index = reasonStart
        while true {
            index = line.firstControl(from: index)
            guard index < line.count else { return nil }
            if line[index] != Octet.tab { break }
            index &+= 1
        }
        guard line[index] == Octet.carriageReturn, index == reasonStart || reasonStart == 13 else {
            return try endOrFault(line)
        }
        guard index &+ 1 < line.count else { return nil }
        guard line[index &+ 1] == Octet.lineFeed else { return try endOrFault(line) }
        head.reason = Slice(start: start &+ reasonStart, count: index &- reasonStart)
        return start &+ index &+ 2
    }

    /// Reads version and status of a `line` of `bytesMin` bytes at least.
    @inline(__always)
    private static func readNumbers(_ line: Span<UInt8>, head: inout ReplyHead) -> Bool {
        guard Octet.isDigit(line[7]) && line[8] == Octet.space && line[9] != Octet.zero else { return false }
        guard Octet.isDigit(line[9]) && Octet.isDigit(line[10]) && Octet.isDigit(line[11]) else {
            return false
        }
        let hundreds = Int(line[9] &- Octet.zero)
        head.status = (hundreds &* 10 &+ Int(line[10] &- Octet.zero)) &* 10 &+ Int(line[11] &- Octet.zero)
        // Any other minor version of 1 is understood as the newest that is known. Source: RFC 9110 §2.5.
        head.version = line[7] == Octet.zero ? 10 : 11
        return true
    }

    /// Tells a line that has no end yet (`nil`) from a wrong one, without regard to what follows it.
    private static func endOrFault(_ line: Span<UInt8>) throws(ReplyError) -> Int? {
        guard let end = line.firstIndex(of: Octet.lineFeed, from: 0) else { return nil }
        throw end > 0 && line[end &- 1] == Octet.carriageReturn ? .statusLine : .lineEnding
    }
}
