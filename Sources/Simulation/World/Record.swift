// Record.swift: what is true about a run so far, as only the world can know it. Checkers read it.
import Engine
import Model

/// One time that a request's bytes were given to a connection.
struct WriteFacts {
    var link: Int
    /// The connection had carried a request before, or had at least been idle or another's.
    var wasReused: Bool
    /// Reply bytes that the engine had read from the connection before.
    var readBefore: Int
    var bodyBytes = 0
    var isWhole = false
}

/// One request of one proxy.
struct RequestFacts {
    var plan: RequestPlan
    var proxy: Int
    var openedAt = Instant.never
    var isOpened = false
    var isCancelled = false
    /// The session went before the END came.
    var isOrphan = false
    var endCount = 0
    var outcome: Outcome?
    var writes: [WriteFacts] = []
    /// The reply whose head reached the proxy.
    var serve: Int?
    var isReplySeen = false
    /// Reply body bytes the proxy took, and those it allowed.
    var received = 0
    var creditGiven = 0
    /// Request body bytes that the engine allowed, and that the proxy sent.
    var creditTaken = 0
    var bodySent = 0
    var bodyFrames = 0
    var hasTrailersSeen = false

    init(plan: RequestPlan, proxy: Int) {
        self.plan = plan
        self.proxy = proxy
    }

    /// Whether an END has to come.
    var isOwed: Bool { isOpened && !plan.isHostile && !isOrphan && endCount == 0 }
}

/// One link.
struct LinkFacts {
    /// Index into the scenario's endpoints; `nil`: a session.
    var endpoint: Int?
    var dialedAt = Instant.never
    /// When the engine first ordered something written, and how often it has.
    var firstOrderAt = Instant.never
    var writeOrders = 0
    var requestsBegan = 0
    var currentRequest: Int?
    var isCurrentSent = true
    /// Reply bytes that the engine has taken, and in how many pieces.
    var bytesRead = 0
    var reads = 0
    /// The engine has been told that it ended, was reset or is stale.
    var isOverReported = false
    /// FIN was read.
    var isFinishRead = false
    /// Replies on it, in order.
    var serves: [Int] = []

    /// Whether a request that begins now is not the one for which it was established.
    var isUsed: Bool { requestsBegan > 0 || writeOrders > 1 || firstOrderAt > dialedAt }
}

/// One reply of an upstream.
struct ServeFacts {
    let request: Int
    let link: Int
    let plan: ReplyPlan
    /// Offset of the plan's first byte among all the bytes towards the engine on its link; `nil`: not begun.
    private(set) var startOffset: Int?

    init(request: Int, link: Int, plan: ReplyPlan) {
        self.request = request
        self.link = link
        self.plan = plan
    }

    mutating func start(at offset: Int) { startOffset = offset }

    /// Where it is proven whole, among the bytes of its link; `nil`: never.
    var wholeAt: Int? {
        guard let startOffset, let wholeAt = plan.wholeAt else { return nil }
        return startOffset + wholeAt
    }

    /// Where its last byte, stray ones included, has gone by.
    var endsAt: Int? { startOffset.map { $0 + plan.bytes.count } }
}

/// The whole of it.
final class Record {
    let scenario: Scenario
    var requests: [RequestFacts] = []
    var links: [LinkFacts] = []
    var serves: [ServeFacts] = []
    /// Proxies that are held to nothing.
    var hostileProxies: [Int] = []
    var jumpedSeconds = 0
    var isDraining = false

    init(scenario: Scenario) { self.scenario = scenario }

    /// Whether the last reply on a link began, was not proven whole, and cannot be any more.
    func hasBrokenReply(_ link: Int) -> Bool {
        guard links[link].isOverReported, let last = links[link].serves.last else { return false }
        return serves[last].wholeAt.map { links[link].bytesRead < $0 } ?? true
    }

    /// Brings the record up to date.
    func apply(_ event: Observation, now: Instant) {
        switch event {
        case .opened(let request):
            requests[request].isOpened = true
            requests[request].openedAt = now
        case .cancelled(let request): requests[request].isCancelled = true
        case .reply(let request, let head):
            requests[request].serve = head.serveField
            requests[request].isReplySeen = true
        case .interim(let request, _): requests[request].isReplySeen = true
        case .body(let request, _, let count, _): requests[request].received += count
        case .trailers(let request, _, _): requests[request].hasTrailersSeen = true
        case .ended(let request, let report, _):
            requests[request].endCount += 1
            if requests[request].outcome == nil { requests[request].outcome = report.outcome }
        case .creditGiven(let request, let bytes): requests[request].creditGiven += bytes
        case .creditTaken(let request, let bytes): requests[request].creditTaken += bytes
        case .sessionOver(let proxy, _):
            for index in requests.indices
            where requests[index].proxy == proxy && requests[index].endCount == 0 {
                requests[index].isOrphan = true
            }
        case .jumped(let seconds): jumpedSeconds += seconds
        case .drained: isDraining = true
        case .dialed, .requestBegan, .requestBody, .requestSent, .read, .connectionOver, .serveBegan:
            applyToLink(event, now)
        case .strayFrame, .badFrame, .goAway, .sessionOpened, .pingAnswered, .effect, .effectOutOfTurn,
            .malformedRequest, .connectionClosed, .sessionOutput, .connectionOutput, .deadlineInThePast,
            .foreignRequest, .quiescent, .endless, .socketOpened, .socketClosed, .wishMet, .budgetLeft:
            break
        }
    }

    /// The engine has ordered something to be written.
    func noteWriteOrder(_ link: Int, now: Instant) {
        links[link].writeOrders += 1
        links[link].firstOrderAt = min(links[link].firstOrderAt, now)
    }

    private func applyToLink(_ event: Observation, _ now: Instant) {
        switch event {
        case .dialed(let link, _): links[link].dialedAt = now
        case .requestBegan(let link, let request):
            if let request {
                let facts = links[link]
                requests[request].writes.append(
                    WriteFacts(link: link, wasReused: facts.isUsed, readBefore: facts.bytesRead)
                )
            }
            links[link].requestsBegan += 1
            links[link].currentRequest = request
            links[link].isCurrentSent = false
        case .requestBody(let link, let request, let count):
            if let last = requests[request].writes.lastIndex(where: { $0.link == link }) {
                requests[request].writes[last].bodyBytes += count
            }
        case .requestSent(let link, let request):
            links[link].isCurrentSent = true
            if let last = requests[request].writes.lastIndex(where: { $0.link == link }) {
                requests[request].writes[last].isWhole = true
            }
        case .read(let link, let count, _):
            links[link].bytesRead += count
            links[link].reads += 1
        case .connectionOver(let link, let reason):
            links[link].isOverReported = true
            if reason == "FIN" { links[link].isFinishRead = true }
        case .serveBegan(let serve, let link): links[link].serves.append(serve)
        default: break
        }
    }
}
