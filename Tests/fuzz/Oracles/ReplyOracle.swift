// ReplyOracle.swift: a reply has one verdict, however its bytes are cut on the way.
import HTTP1
import Model

extension FuzzOracles {
    /// The first byte says what the request was, four more seed the cuts, the rest comes from an upstream.
    public static func checkReplies(_ input: Span<UInt8>) {
        let settingBytes = 5
        if input.count < settingBytes { return }
        let bytes = input.extracting(droppingFirst: settingBytes).array
        var context = ReplyContext()
        context.isHead = input[0] & 1 != 0
        context.expectsUpgrade = input[0] & 2 != 0
        let endsThere = input[0] & 4 != 0

        var whole = ReplyRun(context)
        whole.feed(bytes[...], takesOpaque: false)
        var cut = ReplyRun(context)
        var seed = UInt32(truncatingIfNeeded: input.extracting(1..<settingBytes).reduceBigEndian())
        var rest = bytes[...]
        while !rest.isEmpty {
            seed = seed &* 1_664_525 &+ 1_013_904_223
            // Mostly single bytes, where lines are cut, and now and then a stretch.
            let count = min(rest.count, seed >> 30 == 0 ? Int(seed >> 20 & 0x3f) + 1 : 1)
            cut.feed(rest.prefix(count), takesOpaque: seed & 0x10000 != 0)
            rest = rest.dropFirst(count)
        }
        cut.feed([], takesOpaque: false)
        if endsThere {
            whole.end()
            cut.end()
        }
        precondition(whole.verdict == cut.verdict, "\(whole.verdict) is not \(cut.verdict)")
    }
}

/// One connection's reading of one reply.
private struct ReplyRun {
    /// All that is told about a reply; body bytes in one piece, as cuts may part them.
    struct Verdict: Equatable {
        var heads: [PlainReply] = []
        var body: [UInt8] = []
        var trailers: [[UInt8]]?
        var isComplete = false
        var persists: Bool?
        var keepAliveSeconds: Int?
        var consumed = 0
        var isCompleteByEnd: Bool?
        var error: ReplyError?

        /// Whether nothing more is to come.
        var isFinal: Bool { isComplete || error != nil }
    }

    private(set) var verdict = Verdict()
    private var decoder = ReplyDecoder(limits: Limits())
    private var head = ReplyHead()
    private var waiting: [UInt8] = []

    init(_ context: ReplyContext) { decoder.begin(context) }

    /// More bytes arrive; they are read as far as they go.
    mutating func feed(_ bytes: ArraySlice<UInt8>, takesOpaque: Bool) {
        waiting += bytes
        var steps = 0
        while !verdict.isFinal {
            if takesOpaque { takeOpaque() }
            if !step() { break }
            steps += 1
            precondition(steps < 4 * waiting.count + 1000, "no progress")
        }
    }

    mutating func end() {
        if !verdict.isFinal { verdict.isCompleteByEnd = decoder.endOfFile() }
    }

    private mutating func takeOpaque() {
        let count = Int(min(decoder.opaqueBytes, UInt64(waiting.count)))
        if count == 0 { return }
        decoder.consumedOpaque(count)
        verdict.body += waiting.prefix(count)
        consume(count)
    }

    /// - Returns: whether there may be more in the bytes that wait.
    private mutating func step() -> Bool {
        let waiting = waiting
        do throws(ReplyError) {
            let step = try decoder.decode(waiting.span, head: &head)
            precondition(step.consumed <= waiting.count, "more consumed than there was")
            switch step.event {
            case .needMore: break
            case .interim, .head: verdict.heads.append(PlainReply(head, waiting.span))
            case .body(let range):
                precondition(range.upperBound <= step.consumed, "body past what was consumed")
                verdict.body += waiting[range]
            case .trailers: verdict.trailers = waiting.span.fields(head.fields)
            case .complete:
                verdict.isComplete = true
                verdict.persists = decoder.persists
                verdict.keepAliveSeconds = decoder.keepAliveSeconds
            }
            consume(step.consumed)
            return step.event != .needMore
        } catch {
            verdict.error = error
            return false
        }
    }

    private mutating func consume(_ count: Int) {
        waiting.removeFirst(count)
        verdict.consumed += count
    }
}
