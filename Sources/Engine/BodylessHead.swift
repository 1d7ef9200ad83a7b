// BodylessHead.swift: the head of a request as it is without its body.
// Owns: which lines go. Never touches: a head that is not one of ours. Source: RFC 9110 §8.6, §10.1.1; RFC 9112 §6.
import HTTP1
import Model

enum BodylessHead {
    /// Appends whole lines that were encoded here, without those that speak of a body, and says that there is none.
    static func append(_ head: Span<UInt8>, to output: inout ByteBuffer) {
        var start = 0
        while start < head.count {
            var end = start
            while head[end] != UInt8(ascii: "\n") { end += 1 }
            let line = head.extracting(start..<end + 1)
            if start == 0 || !speaksOfBody(line) { output.append(line) }
            start = end + 1
        }
        output.append("Content-Length: 0\r\n")
    }

    private static func speaksOfBody(_ line: Span<UInt8>) -> Bool {
        var end = 0
        while line[end] != UInt8(ascii: ":") { end += 1 }
        let name = line.extracting(first: end)
        return ["content-length", "transfer-encoding", "expect", "trailer"].contains {
            name.isEqual(ignoringCase: $0)
        }
    }
}
