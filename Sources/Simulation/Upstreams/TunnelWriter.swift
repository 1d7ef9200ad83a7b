// TunnelWriter.swift: what a peer answers to CONNECT, and what an upstream sends into a tunnel.
// Source: RFC 9110 §9.3.6; RFC 9112 §6.3.
import Model

extension ReplyWriter {
    /// The answer to a CONNECT.
    /// - Parameters:
    ///   - head: of the CONNECT.
    ///   - serve: the reply's own number.
    ///   - isRequest: it is a request of the proxy's, and not a step on the way of one.
    /// - Returns: what is going to be sent, and what is true about it.
    mutating func connectPlan(_ head: ParsedHead, serve: Int, isRequest: Bool) -> ReplyPlan {
        guard random.chance(scenario.setupFaultPercent) else {
            return grant(head, serve: serve, isRequest: isRequest)
        }
        switch random.below(8) {
        case 0: return garbage()
        case 1: return silence()
        case 2 where !isRequest: return grantWithEarlyBytes(head, serve: serve)
        default: return refusal(head, serve: serve)
        }
    }

    private mutating func grant(_ head: ParsedHead, serve: Int, isRequest: Bool) -> ReplyPlan {
        var plan = ReplyPlan()
        choosePace(&plan)
        if random.chance(15) { interims(&plan, head, serve, 1) }
        plan.status = random.pick([200, 200, 201, 299])
        append("HTTP/1.1 \(plan.status) \(random.pick(["OK", "", "Connection established"]))\r\n", &plan)
        // They mean nothing here.
        if random.chance(20) { append("Content-Length: 5\r\n", &plan) }
        if random.chance(10) { append("Transfer-Encoding: chunked\r\n", &plan) }
        append("X-Request: \(head.requestID ?? -1)\r\nX-Serve: \(serve)\r\n\r\n", &plan)
        plan.body = .tunnel
        plan.headEnd = plan.bytes.count
        if isRequest {
            plan.isEarly = true
            plan.persists = false
            fillTunnel(&plan, serve)
        } else {
            plan.grantsTunnel = true
            plan.wholeAt = plan.headEnd
        }
        limitPieces(&plan)
        return plan
    }

    /// Bytes behind a head or a tag, and the end of them.
    private mutating func fillTunnel(_ plan: inout ReplyPlan, _ serve: Int) {
        plan.isTwoWay = true
        plan.tunnelBytes = random.small(upTo: min(scenario.bodyBytesMax, 5000))
        plan.bodyBytes += plan.tunnelBytes
        plan.bytes += Pattern(serve: serve).bytes(0..<plan.tunnelBytes)
        plan.ending =
            scenario.upstreamRoughness == .calm
            ? random.pick([.finish, .stall]) : random.pick([.finish, .finish, .stall, .stall, .reset])
    }

    /// Neither TLS nor HTTP lets a server begin: these bytes stand in one piece with the head.
    private mutating func grantWithEarlyBytes(_ head: ParsedHead, serve: Int) -> ReplyPlan {
        var plan = grant(head, serve: serve, isRequest: false)
        plan.bytes += Array(random.pick(["x", "HTTP/1.1 200 OK\r\nX-Request: -1\r\n\r\n", "\u{0}\r\n"]).utf8)
        plan.tailBytes = plan.bytes.count - plan.headEnd + 1
        return plan
    }

    private mutating func refusal(_ head: ParsedHead, serve: Int) -> ReplyPlan {
        var plan = ReplyPlan()
        choosePace(&plan)
        plan.status = random.pick([407, 407, 403, 502, 301])
        plan.isRefusal = true
        let isCut = scenario.upstreamRoughness == .rough && random.chance(15)
        write(&plan, head, serve, isCut ? .truncated : nil)
        return plan
    }

    private mutating func garbage() -> ReplyPlan {
        var plan = ReplyPlan()
        append(
            random.pick(["SSH-2.0-x\r\n", "\u{16}\u{3}\u{1}\u{2}", "<html>\r\n", "HTTP/1.1 20 OK\r\n\r\n"]),
            &plan
        )
        plan.isBad = true
        plan.ending = random.pick([.finish, .stall, .reset])
        return plan
    }

    /// Nothing, or an end instead of an answer.
    private mutating func silence() -> ReplyPlan {
        var plan = ReplyPlan()
        plan.ending = random.pick([.stall, .finish, .reset])
        return plan
    }

    /// What an upstream sends into a raw tunnel.
    mutating func rawPlan(serve: Int) -> ReplyPlan {
        var plan = ReplyPlan()
        choosePace(&plan)
        plan.body = .tunnel
        plan.isEarly = true
        plan.persists = false
        plan.headEnd = 0
        plan.bytes = RawTag.of(serve: serve)
        plan.bodyBytes = plan.bytes.count
        fillTunnel(&plan, serve)
        limitPieces(&plan)
        return plan
    }
}
