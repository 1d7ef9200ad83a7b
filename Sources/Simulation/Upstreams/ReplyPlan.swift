// ReplyPlan.swift: the bytes with which an upstream answers one request, and what is true about them.
// Owns: what a right reader may conclude from them. Source: RFC 9112 §6, §7, §9.
import Model

/// What an upstream does when the last byte of a reply is written.
enum ReplyEnding: Equatable {
    case keep, finish, reset, stall
}

/// A fault in a reply.
enum ReplyFlaw: CaseIterable {
    case truncated, badStatusLine, badChunkSize, codingAndLength, twoLengths, nulInField, hugeHead,
        bareLineFeed
    case manyInterims, secondReply, strayBytes, codingInOldVersion, unaskedUpgrade
    /// Lengths at the ends of what a number holds, and beyond; no body is as long as that.
    case hugeLength, hugeChunk
}

/// One reply, from the first interim to the last stray byte.
struct ReplyPlan {
    var bytes: [UInt8] = []
    /// Offset behind the last head; `Int.max`: it never comes.
    var headEnd = Int.max
    /// Offset at which the reply is proven whole; `nil`: never.
    var wholeAt: Int?
    var body = ReplyBody.none
    var bodyBytes = 0
    var chunkCount = 0
    var hasTrailers = false
    var status = 200
    /// Whether a right reader may use the connection again once it is whole.
    var persists = true
    /// Whether a right reader may call it bad.
    var isBad = false
    var ending = ReplyEnding.keep
    /// It is sent before the request's body is read.
    var isEarly = false
    /// "100 Continue" goes out when the head is there.
    var sendsContinue = false
    /// What Content-Length says where it does not fit a number.
    var lengthText: String?
    /// Bytes at the end that are written in one piece.
    var tailBytes = 0
    var pieceBytesMax = 65_536
    var pauseMicroseconds = 0
    /// Behind 101: bytes that the upstream sends, and whether it ends the tunnel itself.
    var tunnelBytes = 0
    /// Bytes go both ways behind it.
    var isTwoWay = false
    /// It answers a CONNECT: what comes behind it goes to the origin.
    var grantsTunnel = false
    /// It answers a CONNECT with no.
    var isRefusal = false
    /// It makes its connection one client's. Source: RFC 4559 §6.
    var binds = false
    /// It says that its connection stays authenticated, which means something to who has shown credentials or a token.
    var isPersistent = false
}

/// Builds plans for one upstream.
struct ReplyWriter {
    let scenario: Scenario
    var random: SeededRandom

    /// - Parameters:
    ///   - head: of the request to answer.
    ///   - serve: the reply's own number.
    ///   - status: which it has to be; `nil`: any.
    /// - Returns: what is going to be sent, and what is true about it.
    mutating func plan(_ head: ParsedHead, serve: Int, status: Int? = nil) -> ReplyPlan {
        var plan = ReplyPlan()
        let isRough = scenario.upstreamRoughness == .rough
        var flaw: ReplyFlaw?
        if isRough && random.chance(30) { flaw = random.pick(ReplyFlaw.allCases) }
        if scenario.upstreamRoughness == .mild && random.chance(8) {
            flaw = random.pick([.truncated, .secondReply])
        }
        choosePace(&plan)
        plan.isEarly = random.chance(10)
        plan.sendsContinue = !plan.isEarly && random.chance(70)
        plan.status = random.pick([200, 200, 200, 404, 204, 304, 500, 401])
        if let pins = scenario.pins, random.chance(pins.challengePercent) {
            plan.status = random.pick([401, 401, 407])
        }
        if let status { plan.status = status }
        let upgrades = head.values("upgrade").contains("echo") && flaw == nil && random.chance(70)
        if upgrades || flaw == .unaskedUpgrade && head.values("upgrade").isEmpty {
            switchProtocols(&plan, head, serve)
        } else {
            if flaw == .unaskedUpgrade { flaw = nil }
            write(&plan, head, serve, flaw)
        }
        return plan
    }

    mutating func choosePace(_ plan: inout ReplyPlan) {
        plan.pieceBytesMax = random.pick([65_536, 65_536, 1000, 100, 1])
        plan.pauseMicroseconds = random.pick([0, 0, 0, 50, 5000])
    }

    mutating func interims(_ plan: inout ReplyPlan, _ head: ParsedHead, _ serve: Int, _ count: Int) {
        for _ in 0..<count {
            let line = random.pick(["103 Early Hints", "102 Processing", "199 "])
            append(
                "HTTP/1.1 \(line)\r\nX-Request: \(head.requestID ?? -1)\r\nX-Serve: \(serve)\r\n\r\n",
                &plan
            )
        }
    }

    private mutating func switchProtocols(_ plan: inout ReplyPlan, _ head: ParsedHead, _ serve: Int) {
        plan.status = 101
        plan.isEarly = true
        plan.persists = false
        append(
            "HTTP/1.1 101 Switching Protocols\r\nX-Request: \(head.requestID ?? -1)\r\nX-Serve: \(serve)\r\n",
            &plan
        )
        append("Connection: Upgrade\r\nUpgrade: echo\r\n\r\n", &plan)
        guard !head.values("upgrade").isEmpty else {
            plan.isBad = true
            plan.ending = .stall
            return
        }
        plan.headEnd = plan.bytes.count
        plan.body = .tunnel
        plan.isTwoWay = true
        plan.tunnelBytes = random.small(upTo: 2000)
        plan.bodyBytes = plan.tunnelBytes
        plan.bytes += Pattern(serve: serve).bytes(0..<plan.tunnelBytes)
        plan.ending = random.pick([.finish, .stall])
    }

    mutating func write(_ plan: inout ReplyPlan, _ head: ParsedHead, _ serve: Int, _ flaw: ReplyFlaw?) {
        if random.chance(15) { interims(&plan, head, serve, random.between(1, 3)) }
        if flaw == .manyInterims {
            interims(&plan, head, serve, scenario.limits.interimRepliesMax + 1)
            plan.isBad = true
        }
        chooseFraming(&plan, head, flaw)
        let isOld = flaw == .codingInOldVersion || (flaw == nil && plan.body != .chunked && random.chance(12))
        if flaw == .badStatusLine {
            append(
                random.pick([
                    "HTTP/1.1 2000 OK\r\n", "HTTQ/1.1 200 OK\r\n", "\u{1}\u{2}\u{3}\r\n", "<html>\r\n",
                ]),
                &plan
            )
        } else {
            append("HTTP/1.\(isOld ? 0 : 1) \(plan.status) \(random.pick(["OK", "", "A b"]))\r\n", &plan)
        }
        append("X-Request: \(head.requestID ?? -1)\r\nX-Serve: \(serve)\r\n", &plan)
        writePersistence(&plan, isOld: isOld)
        if let pins = scenario.pins { writeAuthentication(&plan, pins) }
        writeFaultyFields(&plan, flaw)
        let isBodiless = head.method == "HEAD" || plan.status == 204 || plan.status == 304
        writeFraming(&plan, isBodiless: isBodiless)
        append("\r\n", &plan)
        plan.headEnd = plan.bytes.count
        if isBodiless { (plan.body, plan.bodyBytes, plan.hasTrailers) = (.none, 0, false) }
        writeBody(&plan, serve, flaw)
        spoil(&plan, serve, flaw)
        limitPieces(&plan)
    }

    private mutating func chooseFraming(_ plan: inout ReplyPlan, _ head: ParsedHead, _ flaw: ReplyFlaw?) {
        plan.bodyBytes = random.small(upTo: scenario.bodyBytesMax)
        plan.body = random.pick([
            .length(UInt64(plan.bodyBytes)), .length(UInt64(plan.bodyBytes)), .chunked, .untilEOF,
        ])
        switch flaw {
        case .badChunkSize, .codingInOldVersion, .bareLineFeed, .codingAndLength: plan.body = .chunked
        case .twoLengths: plan.body = .length(UInt64(plan.bodyBytes))
        case .hugeLength: chooseHugeLength(&plan)
        case .hugeChunk: (plan.body, plan.status) = (.chunked, 200)
        case .truncated, .secondReply, .strayBytes:
            if plan.body == .untilEOF { plan.body = .chunked }
        default: break
        }
        if let flaw, [.badChunkSize, .bareLineFeed, .codingAndLength, .codingInOldVersion].contains(flaw) {
            plan.status = 200
        }
        plan.hasTrailers = plan.body == .chunked && random.chance(30)
    }

    private mutating func chooseHugeLength(_ plan: inout ReplyPlan) {
        plan.body = .length(random.pick([.init(UInt32.max) + 1, 1 << 62, .init(Int64.max)]))
        plan.status = 200
        guard random.chance(50) else { return }
        plan.lengthText = random.pick([
            "\(UInt64(1) << 63)", "\(UInt64.max)", "18446744073709551616", "-1", "+1",
        ])
        plan.isBad = true
    }

    private mutating func writePersistence(_ plan: inout ReplyPlan, isOld: Bool) {
        if isOld {
            plan.persists = random.chance(50)
            if plan.persists { append("Connection: keep-alive\r\n", &plan) }
        } else if random.chance(15) {
            plan.persists = false
            append(random.pick(["Connection: close\r\n", "connection: x-foo, Close\r\n"]), &plan)
        }
        if random.chance(25) {
            let wild = [
                "0", "-1", "", "\(Int.max)", "\(UInt64.max)", "1" + String(repeating: "0", count: 40),
            ]
            let seconds = random.between(1, 20)
            let timeout = seconds > 17 ? random.pick(wild) : "\(seconds)"
            append(
                "Keep-Alive: timeout=\(timeout), max=\(seconds > 17 ? random.pick(wild) : "100")\r\n",
                &plan
            )
        }
        if random.chance(20) {
            append("Set-Cookie: a=\(random.below(99))\r\nSet-Cookie: b\r\nX-Empty:\r\n", &plan)
        }
        if !plan.persists { plan.ending = random.pick([.finish, .finish, .keep]) }
    }

    private mutating func writeAuthentication(_ plan: inout ReplyPlan, _ pins: PinWorld) {
        if plan.status == 401 || plan.status == 407 {
            let name = plan.status == 401 ? "WWW-Authenticate" : "Proxy-authenticate"
            if random.chance(pins.challengePercent) {
                append(
                    "\(name): \(random.pick(["NTLM", "negotiate", "Basic realm=\"a, b\", NTLM abc="]))\r\n",
                    &plan
                )
                plan.binds = true
            } else if random.chance(50) {
                append(
                    "\(name): \(random.pick(["Basic realm=\"NTLM\"", "NTLMish x=1", "Digest x=Negotiate"]))\r\n",
                    &plan
                )
            }
        } else if random.chance(pins.challengePercent / 4) {
            append("Persistent-Auth: true\r\n", &plan)
            plan.isPersistent = true
        }
    }

    private mutating func writeFaultyFields(_ plan: inout ReplyPlan, _ flaw: ReplyFlaw?) {
        switch flaw {
        case .codingAndLength:
            append("Content-Length: \(plan.bodyBytes)\r\n", &plan)
            (plan.persists, plan.isBad) = (false, true)
        case .codingInOldVersion: (plan.persists, plan.isBad) = (false, true)
        case .twoLengths:
            append("Content-Length: \(plan.bodyBytes + 1)\r\n", &plan)
            plan.isBad = true
        case .nulInField:
            append("X-Nul: a\u{0}b\r\n", &plan)
            plan.isBad = true
        case .hugeHead:
            let value = String(repeating: "x", count: 1000)
            for _ in 0...(scenario.limits.replyHeadBytesMax / 1000) { append("X-Huge: \(value)\r\n", &plan) }
            plan.isBad = true
        case .badStatusLine: plan.isBad = true
        default: break
        }
    }

    private mutating func writeFraming(_ plan: inout ReplyPlan, isBodiless: Bool) {
        switch plan.body {
        case .none, .tunnel: break
        case .length(let length):
            guard plan.status != 204 else { return }
            let text = plan.lengthText ?? "\(length)"
            append(random.pick(["Content-Length: ", "content-length:  "]) + "\(text)\r\n", &plan)
        case .chunked:
            guard plan.status != 204 else { return }
            append(random.pick(["Transfer-Encoding: chunked\r\n", "transfer-encoding: Chunked\r\n"]), &plan)
        case .untilEOF:
            if !isBodiless { (plan.persists, plan.ending) = (false, .finish) }
        }
    }

    private mutating func writeBody(_ plan: inout ReplyPlan, _ serve: Int, _ flaw: ReplyFlaw?) {
        let pattern = Pattern(serve: serve)
        if plan.body == .chunked {
            var offset = 0
            let chunkBytesMax = random.pick([plan.bodyBytes / 30 + 1, plan.bodyBytes / 3 + 1, 70_000])
            while offset < plan.bodyBytes {
                let count = min(random.between(1, chunkBytesMax), plan.bodyBytes - offset)
                let size = String(count, radix: 16, uppercase: random.chance(50))
                append(size + random.pick(["", "", ";a=b", ";q=\"x y\"", ";a;b"]), &plan)
                append(flaw == .bareLineFeed ? "\n" : "\r\n", &plan)
                plan.bytes += pattern.bytes(offset..<offset + count)
                append("\r\n", &plan)
                offset += count
                plan.chunkCount += 1
            }
            if flaw == .badChunkSize {
                append(random.pick(["-1\r\n", "0x5\r\n", "g\r\n", " \r\n", "+2\r\n"]), &plan)
            }
            if flaw == .hugeChunk {
                beginHugeChunk(&plan, pattern)
                // All that followed would be its data.
                if !plan.isBad { return }
            }
            append(random.pick(["0\r\n", "000\r\n", "0;last\r\n"]), &plan)
            if plan.hasTrailers { append("X-Trailer: \(serve)\r\n", &plan) }
            append("\r\n", &plan)
            if flaw == .badChunkSize || (flaw == .bareLineFeed && plan.bodyBytes > 0) { plan.isBad = true }
        } else {
            plan.bytes += pattern.bytes(0..<plan.bodyBytes)
        }
        let isEitherWay = flaw == .codingAndLength || flaw == .codingInOldVersion || plan.body == .none
        let isNeverWhole =
            plan.isBad && (!isEitherWay || [.nulInField, .hugeHead, .badStatusLine].contains(flaw))
        plan.wholeAt = isNeverWhole || plan.body == .untilEOF ? nil : plan.bytes.count
    }

    /// What comes behind its line is the beginning of its data, as far as anybody can tell.
    private mutating func beginHugeChunk(_ plan: inout ReplyPlan, _ pattern: Pattern) {
        plan.isBad = random.chance(50)
        let good = ["7fffffffffffffff", "FFFFFFFFFFFFFFF", "000100000000"]
        let bad = [
            "8000000000000000", "ffffffffffffffff", "10000000000000000",
            "f" + String(repeating: "0", count: 40),
        ]
        append(random.pick(plan.isBad ? bad : good) + "\r\n", &plan)
        let count = random.small(upTo: 1000)
        plan.bytes += pattern.bytes(plan.bodyBytes..<plan.bodyBytes + count)
        plan.bodyBytes += count
    }

    /// Faults at the end.
    private mutating func spoil(_ plan: inout ReplyPlan, _ serve: Int, _ flaw: ReplyFlaw?) {
        switch flaw {
        case .truncated:
            plan.bytes.removeLast(random.between(1, plan.bytes.count))
            plan.wholeAt = nil
            plan.headEnd = plan.bytes.count < plan.headEnd ? Int.max : plan.headEnd
            plan.ending = random.pick([.finish, .reset, .stall])
        case .secondReply:
            let before = plan.bytes.count
            append("HTTP/1.1 200 OK\r\nX-Request: -1\r\nX-Serve: -1\r\nContent-Length: 3\r\n\r\nbad", &plan)
            plan.tailBytes = plan.bytes.count - before + 1
        case .strayBytes:
            let before = plan.bytes.count
            append(random.pick(["\r\n", "x", "\u{0}", "HTTP/1.1 200"]), &plan)
            plan.tailBytes = plan.bytes.count - before + 1
        case .hugeLength where plan.body != .none, .hugeChunk where plan.body != .none:
            plan.wholeAt = nil
            plan.ending = random.pick([.finish, .reset, .stall])
        case nil:
            if scenario.upstreamRoughness == .rough && random.chance(8) {
                plan.ending = random.pick([.finish, .reset])
            }
        default:
            if plan.isBad { plan.ending = random.pick([.finish, .stall, .keep]) }
        }
    }

    /// Very small pieces only where the reply is small.
    mutating func limitPieces(_ plan: inout ReplyPlan) {
        plan.pieceBytesMax = max(plan.pieceBytesMax, plan.bytes.count / 300)
    }

    func append(_ text: String, _ plan: inout ReplyPlan) { plan.bytes += Array(text.utf8) }
}
