// FieldSection.swift: the lines of a head or a trailer section, read as they come.
// Owns: where reading stands. Never touches: what fields mean. Source: RFC 9112 §2.2, §4, §5.
import Model

/// Reads the lines of one section. Bytes may come one by one: no byte is looked at more than three times, and
/// a fault is told when its line has ended, so that the verdict does not depend on how bytes were cut.
struct FieldSection: Sendable {
    /// Offset of the section in the bytes.
    private let start: Int
    private let hasStatusLine: Bool
    /// Offset of the first line that has not been read.
    private var line: Int
    /// No LF stands between `line` and here.
    private var searched: Int
    private var fieldCount = 0

    /// - Parameters:
    ///   - start: offset of the section in the bytes that `read` will be given.
    ///   - hasStatusLine: false for a trailer section.
    init(start: Int, hasStatusLine: Bool) {
        self.start = start
        self.hasStatusLine = hasStatusLine
        line = start
        searched = start
    }

    /// Reads what is there of the section, from its first byte on when it is whole. `head` gets the status
    /// line and the fields and is undefined unless the section is whole; `framing` is told every field of a
    /// whole section. The answer is the offset behind the section's empty line; `nil` when that has not come
    /// yet.
    mutating func read(
        _ bytes: Span<UInt8>,
        limits: ReplyLimits,
        head: inout ReplyHead,
        framing: inout ReplyFraming
    ) throws(ReplyError) -> Int? {
        // A section that does not end within this window is too long, however the bytes are cut.
        let window = bytes.extracting(first: start &+ limits.headBytesMax)
        let isResumed = searched > start
        let isBeginning = searched &- start < StatusLine.beginning.utf8.count
        var end: Int?
        if isBeginning || window.firstIndex(of: Octet.lineFeed, from: searched) != nil {
            end = try readLines(window, limits: limits, head: &head, framing: &framing)
        } else {
            searched = window.count
        }
        if end == nil {
            guard window.count &- start < limits.headBytesMax else {
                throw .headTooLong(limitBytes: limits.headBytesMax)
            }
            return nil
        }
        guard isResumed else { return end }
        // The lines read before this call were not kept.
        self = FieldSection(start: start, hasStatusLine: hasStatusLine)
        framing = ReplyFraming()
        return try readLines(window, limits: limits, head: &head, framing: &framing)
    }

    /// Reads line by line until the empty one; `nil` when the bytes end before.
    private mutating func readLines(
        _ window: Span<UInt8>,
        limits: ReplyLimits,
        head: inout ReplyHead,
        framing: inout ReplyFraming
    ) throws(ReplyError) -> Int? {
        head.fields.removeAll(keepingCapacity: true)
        do throws(ReplyError) {
            if hasStatusLine && line == start {
                guard let next = try StatusLine.read(window, at: line, head: &head) else {
                    return unfinished(window)
                }
                line = next
            }
            while true {
                let next = try readField(window, head: &head, framing: &framing)
                if next == 0 { return unfinished(window) }
                if next < 0 { return -next }
                guard fieldCount < limits.fieldCountMax else {
                    throw .tooManyFields(limit: limits.fieldCountMax)
                }
                line = next
                fieldCount &+= 1
            }
        } catch {
            guard error == .notHTTP1 || window.firstIndex(of: Octet.lineFeed, from: line) != nil else {
                return unfinished(window)
            }
            throw error
        }
    }

    private mutating func unfinished(_ window: Span<UInt8>) -> Int? {
        searched = window.count
        return nil
    }

    /// Reads the field line at `line`. The answer is the offset of the next line; negative: of what follows
    /// the empty line; 0: the line has no end yet.
    @inline(__always)
    private func readField(
        _ window: Span<UInt8>,
        head: inout ReplyHead,
        framing: inout ReplyFraming
    ) throws(ReplyError) -> Int {
        var index = window.endOfLetters(from: line)
        while index < window.count && Octet.isToken(window[index]) { index &+= 1 }
        guard index < window.count else { return 0 }
        guard window[index] == Octet.colon && index > line else { return try endOrFault(window) }
        let nameEnd = index
        index &+= 1
        while index < window.count && Octet.isBlank(window[index]) { index &+= 1 }
        let valueStart = index
        while true {
            index = window.firstControl(from: index)
            guard index < window.count else { return 0 }
            let byte = window[index]
            if byte == Octet.carriageReturn { break }
            if byte == Octet.lineFeed { throw .lineEnding }
            if byte != Octet.tab { throw .fieldValue(line: fieldCount &+ 1) }
            index &+= 1
        }
        guard index &+ 1 < window.count else { return 0 }
        guard window[index &+ 1] == Octet.lineFeed else { throw .lineEnding }
        var valueEnd = index
        while valueEnd > valueStart && Octet.isBlank(window[valueEnd &- 1]) { valueEnd &-= 1 }
        head.fields.append(
            FieldSlice(
                name: Slice(start: line, count: nameEnd &- line),
                value: Slice(start: valueStart, count: valueEnd &- valueStart)
            )
        )
        let name = FieldName(window.extracting(line..<nameEnd))
        if name != .other { framing.saw(name, window.extracting(valueStart..<valueEnd)) }
        return index &+ 2
    }

    /// The empty line, or why it is no field line either.
    private func endOrFault(_ window: Span<UInt8>) throws(ReplyError) -> Int {
        let first = window[line]
        if first == Octet.carriageReturn {
            guard line &+ 1 < window.count else { return 0 }
            if window[line &+ 1] == Octet.lineFeed { return -(line &+ 2) }
        }
        if first == Octet.carriageReturn || first == Octet.lineFeed { throw .lineEnding }
        // Replacing a fold with spaces, the other choice of RFC 9112 §5.2, would mean to read a value that
        // the upstream's bytes do not hold.
        if Octet.isBlank(first) { throw .foldedField(line: fieldCount &+ 1) }
        throw .fieldName(line: fieldCount &+ 1)
    }
}
