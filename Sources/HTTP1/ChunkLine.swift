// ChunkLine.swift: a chunk-size line with its extensions, in the strict reading.
// Owns: its grammar and length limit. Never touches: data. Source: RFC 9112 §7.1, §7.1.1.

/// A chunk-size line that was read.
struct ChunkLine: Equatable, Sendable {
    /// Bytes of data that follow; at most `Int64.max`.
    var size: UInt64
    /// Offset of the first byte behind the line.
    var end: Int

    /// Reads the line at `start`. Only CR LF ends it, only digits make a size, and blanks may stand around
    /// the parts of an extension only: each leniency here has been a way to smuggle a reply past someone. No
    /// LF stands between `start` and `searched`, which is moved on when the line has no end yet and the
    /// answer is `nil`.
    static func read(
        _ bytes: Span<UInt8>,
        at start: Int,
        searched: inout Int,
        bytesMax: Int
    ) throws(ReplyError) -> ChunkLine? {
        let window = bytes.extracting(first: start &+ bytesMax)
        guard let lineFeed = window.firstIndex(of: Octet.lineFeed, from: Swift.max(start, searched)) else {
            guard window.count &- start < bytesMax else { throw .chunkLineTooLong(limitBytes: bytesMax) }
            searched = window.count
            return nil
        }
        guard lineFeed > start && window[lineFeed &- 1] == Octet.carriageReturn else { throw .lineEnding }
        let line = window.extracting(start..<lineFeed &- 1)
        var index = 0
        var size: UInt64 = 0
        while index < line.count {
            let digit = Octet.hexValue(line[index])
            if digit > 15 { break }
            guard size < 1 &<< 59 else { throw .chunkSize }
            size = size &<< 4 | UInt64(digit)
            index &+= 1
        }
        guard index > 0 else { throw .chunkSize }
        if index < line.count { try checkExtensions(line, from: index) }
        return ChunkLine(size: size, end: lineFeed &+ 1)
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
    private static func checkExtensions(_ line: Span<UInt8>, from start: Int) throws(ReplyError) {
        var index = skipBlanks(line, start)
        guard index < line.count && line[index] == Octet.semicolon else { throw .chunkSize }
        while index < line.count {
            guard line[index] == Octet.semicolon else { throw .chunkExtension }
            index = try skipToken(line, skipBlanks(line, index &+ 1))
            var next = skipBlanks(line, index)
            if next < line.count && line[next] == Octet.equals {
                next = skipBlanks(line, next &+ 1)
                let isQuoted = next < line.count && line[next] == Octet.quote
                index = isQuoted ? try skipQuoted(line, next &+ 1) : try skipToken(line, next)
                next = skipBlanks(line, index)
            }
            // Blanks are read only in front of something.
            guard next < line.count || next == index else { throw .chunkExtension }
            index = next
        }
    }

    private static func skipBlanks(_ line: Span<UInt8>, _ start: Int) -> Int {
        var index = start
        while index < line.count && Octet.isBlank(line[index]) { index &+= 1 }
        return index
    }

    private static func skipToken(_ line: Span<UInt8>, _ start: Int) throws(ReplyError) -> Int {
        var index = start
        while index < line.count && Octet.isToken(line[index]) { index &+= 1 }
        guard index > start else { throw .chunkExtension }
        return index
    }

    /// From behind the opening quote to behind the closing one.
    private static func skipQuoted(_ line: Span<UInt8>, _ start: Int) throws(ReplyError) -> Int {
        var index = start
        while index < line.count {
            let byte = line[index]
            if byte == Octet.quote { return index &+ 1 }
            if byte == Octet.backslash { index &+= 1 }
            guard index < line.count else { break }
            let isControl = line[index] < 0x20 && line[index] != Octet.tab || line[index] == Octet.delete
            if isControl { break }
            index &+= 1
        }
        throw .chunkExtension
    }
}
