// Fingerprint.swift: an event as a number, for the digest by which two runs are compared.

import Engine

extension GroupNews {
    fileprivate var group: Int {
        switch self {
        case .health(let group, _), .weight(let group, _, _), .standby(let group, _): group
        case .endpoint: -1
        }
    }
}

extension Observation {
    /// Depends on the event's kind and its numbers, not on the process.
    var fingerprint: UInt64 {
        let (kind, first, second) = numbers
        return UInt64(kind) &* 1_000_003 &+ UInt64(truncatingIfNeeded: first) &* 7919
            &+ UInt64(truncatingIfNeeded: second)
    }

    private var numbers: (Int, Int, Int) {
        switch self {
        case .opened(let request): (1, request, 0)
        case .cancelled(let request): (2, request, 0)
        case .interim(let request, let head): (3, request, head.status)
        case .reply(let request, let head): (4, request, head.serveField ?? -1)
        case .body(let request, let offset, let count, _): (5, request, offset &* 31 &+ count)
        case .trailers(let request, let serve, _): (6, request, serve ?? -1)
        case .ended(let request, let report, let attempts):
            (7, request, report.outcome.rawValue * 64 + attempts.count)
        case .creditGiven(let request, let bytes): (8, request, bytes)
        case .creditTaken(let request, let bytes): (9, request, bytes)
        case .strayFrame(let proxy, let stream, _, _): (10, proxy, Int(stream))
        case .badFrame(let proxy, _): (11, proxy, 0)
        case .goAway(let proxy, let code, _): (12, proxy, code.rawValue)
        case .sessionOpened(let proxy, let link): (13, proxy, link)
        case .sessionOver(let proxy, let byEngine): (14, proxy, byEngine ? 1 : 0)
        case .pingAnswered(let proxy): (15, proxy, 0)
        case .effect: (16, 0, 0)
        case .effectOutOfTurn: (17, 0, 0)
        case .dialed(let link, _): (18, link, 0)
        case .requestBegan(let link, let request): (19, link, request ?? -1)
        case .requestBody(let link, let request, let count): (20, link, request &* 31 &+ count)
        case .requestSent(let link, let request): (21, link, request)
        case .malformedRequest(let link, _): (22, link, 0)
        case .read(let link, let count, let inPlace): (23, link, count * 2 + (inPlace ? 1 : 0))
        case .connectionOver(let link, let reason, _): (24, link, reason.utf8.count)
        case .connectionClosed(let link): (25, link, 0)
        case .sessionOutput(let proxy, let bytes): (26, proxy, bytes)
        case .connectionOutput(let link, let bytes): (27, link, bytes)
        case .deadlineInThePast(let nanoseconds): (28, Int(nanoseconds), 0)
        case .drained: (29, 0, 0)
        case .jumped(let seconds): (30, seconds, 0)
        case .serveBegan(let serve, let link): (31, serve, link)
        case .foreignRequest(let request, let link, _): (32, request, link)
        case .quiescent(let counts, let open): (33, counts.connections, open)
        case .endless(let steps): (34, steps, 0)
        case .socketOpened(let link, _): (35, link, 0)
        case .socketClosed(let link): (36, link, 0)
        case .wishMet(let wish): (37, wish.worker, Int(wish.since.nanoseconds))
        case .tagged(let request, let serve): (39, request, serve)
        case .connectBegan(let link): (40, link, 0)
        case .proxyHeaderSent(let link): (41, link, 0)
        case .tlsStarted(let link, let hop, _): (42, link, hop == .outer ? 0 : 1)
        case .tlsSecured(let link, let hop): (43, link, hop == .outer ? 0 : 1)
        case .tlsFailed(let link, let kind): (44, link, kind == .handshake ? 0 : 1)
        case .requestRead(let request, let link, _): (45, request, link)
        case .connectRead(let link, _): (46, link, 0)
        case .proxyHeaderRead(let link, _): (47, link, 0)
        case .pinTold(let proxy, let told): (48, proxy, told.change.rawValue)
        case .unpinSent(let proxy, let token): (49, proxy, token.count)
        case .pinMoved(let link): (50, link, 0)
        case .idleMoved(let link): (53, link, 0)
        case .pinGone: (51, 0, 0)
        case .requestReached(let request, let worker): (54, request, worker)
        case .checkBegan(let link): (55, link, 0)
        case .fellIll(let endpoint, _): (56, endpoint, 0)
        case .gotWell(let endpoint): (57, endpoint, 0)
        case .newsPublished(let news): (58, news.group, 0)
        case .newsTold(let worker, let news): (59, worker, news.group)
        case .waitingLeft(let count): (60, count, 0)
        case .pinsLeft(let pins, let entries, let letters): (52, pins, entries * 31 + letters)
        case .budgetLeft(let rooms, let wishes, _, _): (38, rooms, wishes)
        }
    }
}
