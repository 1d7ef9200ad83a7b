// ChallengeScanner.swift: the grammar of challenges, piece by piece, in place.
// Owns: where one challenge ends and the next begins, also among garbage. Never touches: what a scheme means.
// Source: RFC 9110 §5.6, §11.2, §11.3, §11.6.1.

/// Walks through one field value. Linear in its length, allocates nothing.
///
/// What breaks the grammar is skipped up to the next comma outside quotes and told as `broken`. Behind a
/// quote that is never closed quotes mean nothing: challenges that need none are still found.
struct ChallengeScanner: ~Escapable {
    enum Piece: Equatable {
        /// An auth-scheme: a challenge begins.
        case challenge(Range<Int>)
        case token68(Range<Int>)
        /// Of a quoted value the part between the quotes, escapes and all.
        case parameter(name: Range<Int>, value: Range<Int>, isQuoted: Bool)
        /// Something that is no part of a challenge. Ends the last one, if any, which is not to be trusted.
        case broken
    }

    private let bytes: Span<UInt8>
    private var position = 0
    /// Whether a scheme and blanks came last: token68 is possible here only.
    private var isBehindScheme = false
    private var quotesMeanNothing = false

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    /// The next piece; `nil` behind the last.
    mutating func next() -> Piece? {
        if isBehindScheme {
            isBehindScheme = false
            if !isAtEnd { return firstOfChallenge() }
        }
        while position < bytes.count && (bytes[position] == Octet.comma || Octet.isBlank(bytes[position])) {
            position += 1
        }
        if position == bytes.count { return nil }
        let word = position..<bytes.skipToken(position)
        if word.isEmpty { return skipElement() }
        let behind = bytes.skipBlanks(word.upperBound)
        if behind < bytes.count && bytes[behind] == Octet.equals {
            return parameter(name: word, equals: behind)
        }
        position = behind
        isBehindScheme = behind > word.upperBound
        return .challenge(word)
    }

    /// Whether an element of the list ends here.
    private var isAtEnd: Bool { position == bytes.count || bytes[position] == Octet.comma }

    /// What stands right behind a scheme: token68, or the first parameter.
    private mutating func firstOfChallenge() -> Piece {
        let start = position
        let end = bytes.skipToken68(start)
        if end > start {
            position = bytes.skipBlanks(end)
            if isAtEnd { return .token68(start..<end) }
            position = start
        }
        let name = start..<bytes.skipToken(start)
        let equals = bytes.skipBlanks(name.upperBound)
        guard !name.isEmpty, equals < bytes.count, bytes[equals] == Octet.equals else { return skipElement() }
        return parameter(name: name, equals: equals)
    }

    private mutating func parameter(name: Range<Int>, equals: Int) -> Piece {
        position = bytes.skipBlanks(equals + 1)
        let start = position
        let isQuoted = start < bytes.count && bytes[start] == Octet.quote && !quotesMeanNothing
        let value: Range<Int>
        if isQuoted {
            guard let closing = closingQuote(start) else { return skipElement() }
            value = start + 1..<closing
            position = closing + 1
        } else {
            value = start..<bytes.skipToken(start)
            position = value.upperBound
        }
        let isWhole = isQuoted ? !bytes.extracting(value).contains(where: Octet.isControl) : !value.isEmpty
        position = bytes.skipBlanks(position)
        guard isWhole && isAtEnd else { return skipElement() }
        return .parameter(name: name, value: value, isQuoted: isQuoted)
    }

    /// Place of the quote that closes the one at `start`; `nil` when there is none, and quotes mean nothing
    /// from then on.
    private mutating func closingQuote(_ start: Int) -> Int? {
        var index = start + 1
        while index < bytes.count {
            switch bytes[index] {
            case Octet.quote: return index
            case Octet.backslash: index += 2
            default: index += 1
            }
        }
        quotesMeanNothing = true
        return nil
    }

    /// Moves on to the next comma outside quotes.
    private mutating func skipElement() -> Piece {
        while !isAtEnd {
            if bytes[position] == Octet.quote, !quotesMeanNothing, let closing = closingQuote(position) {
                position = closing
            }
            position += 1
        }
        return .broken
    }
}
