// ReplyRow.swift: one row of a decoder table, and the ways in which each row is run.
import HTTP1
import Model
import Testing

/// Numbers from a seed: SplitMix64.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Bytes of an upstream and what the decoder makes of them.
///
/// `expected` is the transcript: each event, then `complete` with `reuse` or `close`, or the end of the bytes
/// and so of the connection (`eof whole`, `eof cut`), or the error.
struct ReplyRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var input: [UInt8]
    var expected: String
    var context = ReplyContext()
    var limits = Limits()

    init(_ rule: String, _ input: String, _ expected: String) {
        self.init(rule, bytes: Array(input.utf8), expected)
    }

    init(_ rule: String, bytes: [UInt8], _ expected: String) {
        self.rule = rule
        input = bytes
        self.expected = expected
    }

    init(_ rule: String, _ input: String, fails error: ReplyError, after events: String = "") {
        self.init(rule, input, (events.isEmpty ? "" : events + " | ") + "error \(error)")
    }

    var testDescription: String { rule }
    var isComplete: Bool { expected.hasSuffix("complete reuse") || expected.hasSuffix("complete close") }
    var isRefused: Bool { expected.contains("error ") }

    /// The reply to HEAD.
    var head: ReplyRow {
        var row = self
        row.context.isHead = true
        return row
    }

    /// The reply to a request for an upgrade.
    var upgrade: ReplyRow {
        var row = self
        row.context.expectsUpgrade = true
        return row
    }

    func with(_ change: (inout Limits) -> Void) -> ReplyRow {
        var row = self
        change(&row.limits)
        return row
    }
}

/// Plays an upstream's bytes to a decoder and writes down what it tells.
struct Player {
    /// Take bytes by `opaqueBytes` where that is possible, as a worker with an empty buffer does.
    var usesOpaque = false
    /// Write down every field line.
    var showsFields = false
    private(set) var leftOver = 0
    private var events: [String] = []
    private var body: [UInt8] = []
    private var bytes: [UInt8] = []
    /// Bytes from the front that were consumed.
    private var first = 0
    private var head = ReplyHead()

    init(usesOpaque: Bool = false, showsFields: Bool = false) {
        self.usesOpaque = usesOpaque
        self.showsFields = showsFields
    }

    /// Feeds `input` cut at `cuts`, then ends the connection unless the reply is complete.
    mutating func play(_ input: [UInt8], cuts: [Int], _ decoder: inout ReplyDecoder) -> String {
        events = []
        body = []
        bytes = []
        first = 0
        var start = 0
        for cut in cuts + [input.count] {
            bytes += input[start..<cut]
            start = cut
            if drain(&decoder) {
                leftOver = input.count - first
                return finished()
            }
        }
        // Nothing may come of asking again.
        if drain(&decoder) {
            leftOver = input.count - first
            return finished()
        }
        let isWhole = decoder.endOfFile()
        flush()
        events.append(isWhole ? "eof whole" : "eof cut")
        if decoder.persists { events.append("persists after the end") }
        return events.joined(separator: " | ")
    }

    private mutating func finished() -> String {
        flush()
        return events.joined(separator: " | ")
    }

    private mutating func flush() {
        // Adjacent pieces of body are one: where they are cut is no part of the verdict.
        if !body.isEmpty { events.append(String(decoding: body, as: UTF8.self)) }
        body = []
    }

    /// - Returns: whether the reply has ended.
    private mutating func drain(_ decoder: inout ReplyDecoder) -> Bool {
        while true {
            if usesOpaque && decoder.opaqueBytes > 0 && first < bytes.count {
                let count = Int(min(UInt64(bytes.count - first), decoder.opaqueBytes))
                body += bytes[first..<first + count]
                first += count
                decoder.consumedOpaque(count)
            }
            do {
                var fields = ReplyHead()
                swap(&fields, &head)
                defer { swap(&fields, &head) }
                let step = try decoder.decode(bytes.span.extracting(droppingFirst: first), head: &fields)
                note(step.event, fields, decoder)
                first += step.consumed
                if case .complete = step.event { return true }
                if case .needMore = step.event { return false }
            } catch {
                flush()
                events.append("error \(error)")
                if decoder.persists { events.append("persists after an error") }
                return true
            }
        }
    }

    private mutating func note(_ event: ReplyEvent, _ head: ReplyHead, _ decoder: ReplyDecoder) {
        switch event {
        case .needMore: return
        case .body(let range):
            body += bytes[first + range.lowerBound..<first + range.upperBound]
            return
        case .interim: events.append("\(head.status)" + fields(of: head))
        case .head:
            let body = "\(head.body)".replacing("(", with: " ").replacing(")", with: "")
            events.append("\(head.status) \(body)" + fields(of: head))
        case .trailers:
            flush()
            events.append("trailers" + fields(of: head))
        case .complete:
            flush()
            events.append(decoder.persists ? "complete reuse" : "complete close")
        }
    }

    private func fields(of head: ReplyHead) -> String {
        guard showsFields else { return "" }
        let lines = head.fields.map { "\(text($0.name))=\(text($0.value))" }.joined(separator: ",")
        return " \(head.version) <\(text(head.reason))> [\(lines)]"
    }

    private func text(_ slice: Slice) -> String {
        String(decoding: bytes[(first + Int(slice.start))...].prefix(Int(slice.count)), as: UTF8.self)
    }
}

extension ReplyRow {
    /// Every way to cut the input that each row is run with.
    var cuttings: [[Int]] {
        var all: [[Int]] = [[], input.count > 1 ? Array(1..<input.count) : []]
        var random = Seeded(UInt64(input.count) &+ 1)
        for _ in 0..<8 where input.count > 1 {
            let cuts = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Int.random(in: 1..<input.count, using: &random)
            }
            all.append(cuts.sorted())
        }
        return all
    }

    func play(_ bytes: [UInt8], cuts: [Int], usesOpaque: Bool = false) -> (transcript: String, leftOver: Int)
    {
        var decoder = ReplyDecoder(limits: limits)
        decoder.begin(context)
        var player = Player(usesOpaque: usesOpaque)
        let transcript = player.play(bytes, cuts: cuts, &decoder)
        return (transcript, player.leftOver)
    }

    /// Runs the row whole, byte by byte, cut at random, in place, with a byte behind it, and cut short.
    func check() {
        for cuts in cuttings {
            #expect(play(input, cuts: cuts).transcript == expected, "\(rule), cut at \(cuts)")
            #expect(
                play(input, cuts: cuts, usesOpaque: true).transcript == expected,
                "\(rule), in place, \(cuts)"
            )
        }
        if isComplete || isRefused {
            for cuts in cuttings {
                let (transcript, leftOver) = play(input + [0x58], cuts: cuts)
                #expect(transcript == expected, "\(rule), with a byte behind it, cut at \(cuts)")
                if isComplete { #expect(leftOver == 1, "\(rule): the byte behind it was consumed") }
            }
        }
        if isComplete && input.count < 2000 {
            for count in 0..<input.count {
                let transcript = play(Array(input[..<count]), cuts: []).transcript
                #expect(transcript.hasSuffix("eof cut"), "\(rule), cut short after \(count)")
            }
        }
        if expected.hasSuffix("complete reuse") { checkAgain() }
    }

    /// The same bytes again on the same connection: nothing of the first reply is left in the decoder.
    private func checkAgain() {
        var decoder = ReplyDecoder(limits: limits)
        var player = Player()
        for _ in 0..<2 {
            decoder.begin(context)
            #expect(!decoder.hasBegun && !decoder.persists && decoder.keepAliveSeconds == nil)
            let transcript = player.play(input, cuts: [], &decoder)
            #expect(transcript == expected, "\(rule), again")
        }
    }
}
