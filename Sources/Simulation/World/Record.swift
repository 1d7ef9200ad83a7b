// Record.swift: what is true about a run so far, as only the world can know it. Checkers read it.
import Engine
import Model

/// One time that a request's bytes were given to a connection.
struct WriteFacts {
    var link: Int
    var at: Instant
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
    /// When its END came, or its session went.
    var endedAt = Instant.never
    var outcome: Outcome?
    /// What END said has become of its connection.
    var fate = ConnectionFate.none
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
    /// Place in the order of the record.
    var order = 0
    /// Its reply said that its connection is pinned.
    var isPinnedSeen = false
    /// When, and as which of all, the engine of a worker has got it; `nil`: not, or there are neither pins nor groups.
    var reachedAt: Instant?
    var reachedOrder = 0
    var worker = 0

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
    /// In which call the engine first ordered something written, and how often it has.
    var firstOrderCall = Int.max
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
    /// Behind close_notify, over TLS.
    var isEndProven = false
    /// What its far ends have seen of the way.
    var way = SeenWay()
    /// Since when a request can be sent on it as it is now (connected, secured, behind a tunnel): how many calls of the
    /// engine came before the one in which it was told so.
    var readyCall = 0
    /// Hops on which TLS stands.
    var securedHops: [TLSHop] = []
    var tlsFailure: TLSFailure.Kind?
    /// A whole PROXY header was written.
    var isHeaderSent = false
    /// CONNECTs of the engine's own, and whether the last was granted and that read.
    var connectsBegan = 0
    var isTunnel = false
    /// Requests since `readyCall`.
    var requestsSinceReady = 0
    /// It has sent bytes that nobody had asked for.
    var hasStrayed = false
    /// Replies on it, in order.
    var serves: [Int] = []
    /// Requests on it, in order.
    var requests: [Int] = []
    var binding: LinkBinding?
    var closedAt = Instant.never
    /// When bytes last went over it at the worker.
    var activeAt = Instant(nanoseconds: 0)
    /// A reply was read behind which it is pinned, unless something came between.
    var mayBePinned = false

    /// Whether a request that begins now is not the one for which it was established: that one is written in the very
    /// call. Seed 31780 of an older world had another come at the same time, one call later: to an idle connection.
    var isUsed: Bool { requestsSinceReady > 0 || writeOrders > 1 || firstOrderCall > readyCall + 1 }

    /// Begins anew as a connection that was established just now.
    mutating func becomeReady(calls: Int) {
        readyCall = calls
        (writeOrders, requestsSinceReady, firstOrderCall) = (0, 0, .max)
    }
}

/// One reply of an upstream.
struct ServeFacts {
    /// -1: of whoever is given the answer to a CONNECT.
    var request: Int
    let link: Int
    let plan: ReplyPlan
    /// The link's way when it was written, and where TLS stood; both may change before the proxy reads it.
    var way = SeenWay()
    var hops: [TLSHop] = []
    /// When the engine had all of its head.
    var headReadAt: Instant?
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

    /// Offset behind its head, among the bytes of its link.
    var headEndsAt: Int? {
        guard let startOffset, plan.headEnd != .max else { return nil }
        return startOffset + plan.headEnd
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
    /// Numbers the requests, UNPINs and pins as they are seen.
    var order = 0
    /// Of engines, so far.
    var calls = 0
    var unpins: [UnpinFacts] = []
    var sessions: [SessionFacts] = []
    /// `nil`: there are no groups.
    let groups: GroupLog?
    private var reached = 0

    init(scenario: Scenario) {
        self.scenario = scenario
        groups = scenario.groups.map { GroupLog($0, workers: scenario.workerCount) }
    }

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
            if let serve = head.serveField, serves.indices.contains(serve), serves[serve].request < 0 {
                serves[serve].request = request
            }
        case .tagged(let request, let serve): requests[request].serve = serve
        case .interim(let request, _): requests[request].isReplySeen = true
        case .body(let request, _, let count, _): requests[request].received += count
        case .trailers(let request, _, _): requests[request].hasTrailersSeen = true
        case .ended(let request, let report, _):
            requests[request].endCount += 1
            if requests[request].outcome == nil { requests[request].outcome = report.outcome }
            requests[request].endedAt = min(requests[request].endedAt, now)
            requests[request].fate = report.connection
        case .creditGiven(let request, let bytes): requests[request].creditGiven += bytes
        case .creditTaken(let request, let bytes): requests[request].creditTaken += bytes
        case .sessionOver(let proxy, _):
            for index in requests.indices
            where requests[index].proxy == proxy && requests[index].endCount == 0 {
                requests[index].isOrphan = true
                requests[index].endedAt = min(requests[index].endedAt, now)
            }
        case .requestReached(let request, let worker):
            reached += 1
            requests[request].reachedAt = now
            requests[request].reachedOrder = reached
            requests[request].worker = worker
        case .jumped(let seconds): jumpedSeconds += seconds
        case .drained: isDraining = true
        case .dialed, .requestBegan, .requestBody, .requestSent, .read, .connectionOver, .serveBegan:
            applyToLink(event, now)
        case .connectBegan, .proxyHeaderSent, .tlsStarted, .tlsSecured, .tlsFailed, .requestRead,
            .connectRead, .proxyHeaderRead:
            applyToWay(event)
        case .strayFrame, .badFrame, .goAway, .sessionOpened, .pingAnswered, .effect, .effectOutOfTurn,
            .malformedRequest, .connectionClosed, .sessionOutput, .connectionOutput, .deadlineInThePast,
            .foreignRequest, .quiescent, .endless, .socketOpened, .socketClosed, .wishMet, .budgetLeft,
            .pinTold, .unpinSent, .pinMoved, .idleMoved, .pinGone, .pinsLeft, .checkBegan,
            .fellIll, .gotWell, .newsPublished, .newsTold, .waitingLeft:
            break
        }
        applyToPins(event, now)
        if let groups { apply(event, to: groups, now) }
    }

    private func apply(_ event: Observation, to groups: GroupLog, _ now: Instant) {
        switch event {
        case .ended(let request, let report, let attempts):
            if requests[request].endCount == 1 {
                groups.ended(request, requests[request], report, attempts)
            }
        case .newsPublished(let news): groups.published(news, now: now)
        case .newsTold(let worker, let news): groups.told(worker, news, now: now)
        case .fellIll(let endpoint, let ailment): groups.fellIll(endpoint, ailment, now: now)
        case .gotWell(let endpoint): groups.gotWell(endpoint, now: now)
        case .jumped: groups.jumped(now: now)
        case .checkBegan: groups.tally.checks += 1
        case .socketOpened(let link, _):
            if let endpoint = links[link].endpoint { groups.opened(endpoint: endpoint, now: now) }
        default: break
        }
    }

    /// The call before has ordered something to be written.
    func noteWriteOrder(_ link: Int) {
        links[link].writeOrders += 1
        links[link].firstOrderCall = min(links[link].firstOrderCall, calls)
    }

    private func applyToWay(_ event: Observation) {
        switch event {
        case .connectBegan(let link):
            links[link].requestsBegan += 1
            links[link].connectsBegan += 1
            links[link].requestsSinceReady += 1
            links[link].currentRequest = nil
            links[link].isTunnel = false
        case .proxyHeaderSent(let link):
            links[link].isHeaderSent = true
            links[link].becomeReady(calls: calls)
        case .tlsStarted(let link, .outer, let identity): links[link].way.outer = identity
        case .tlsStarted(let link, .inner, let identity): links[link].way.inner = identity
        case .tlsSecured(let link, let hop):
            links[link].securedHops.append(hop)
            links[link].becomeReady(calls: calls)
        case .tlsFailed(let link, let kind): links[link].tlsFailure = kind
        case .requestRead(let request, let link, let isInAbsoluteForm):
            if links[link].isTunnel {
                links[link].way.kind = .tunnel
                return
            }
            let isRaw = requests[request].plan.isRaw
            links[link].way.kind = isRaw ? .raw : isInAbsoluteForm ? .peer : .origin
            links[link].way.tunnel = nil
        case .connectRead(let link, let tunnel): links[link].way.tunnel = tunnel
        case .proxyHeaderRead(let link, let header): links[link].way.header = header
        default: break
        }
    }

    private func applyToLink(_ event: Observation, _ now: Instant) {
        switch event {
        case .dialed(let link, _):
            links[link].dialedAt = now
            links[link].becomeReady(calls: calls)
        case .requestBegan(let link, let request):
            if let request {
                let facts = links[link]
                requests[request].writes.append(
                    WriteFacts(link: link, at: now, wasReused: facts.isUsed, readBefore: facts.bytesRead)
                )
            }
            links[link].activeAt = now
            links[link].requestsBegan += 1
            links[link].requestsSinceReady += 1
            links[link].currentRequest = request
            links[link].isCurrentSent = false
        case .requestBody(let link, let request, let count):
            links[link].activeAt = now
            if let last = requests[request].writes.lastIndex(where: { $0.link == link }) {
                requests[request].writes[last].bodyBytes += count
            }
        case .requestSent(let link, let request):
            links[link].isCurrentSent = true
            if let last = requests[request].writes.lastIndex(where: { $0.link == link }) {
                requests[request].writes[last].isWhole = true
            }
        case .read(let link, let count, _):
            links[link].activeAt = now
            links[link].bytesRead += count
            links[link].reads += 1
            if let last = links[link].serves.last, serves[last].plan.grantsTunnel, !links[link].isTunnel,
                let end = serves[last].headEndsAt, links[link].bytesRead >= end
            {
                links[link].isTunnel = true
                links[link].becomeReady(calls: calls)
            }
        case .connectionOver(let link, let reason, let isProven):
            links[link].isOverReported = true
            if reason == "FIN" { links[link].isFinishRead = true }
            links[link].isEndProven = isProven
        case .serveBegan(let serve, let link):
            links[link].serves.append(serve)
            serves[serve].way = links[link].way
            serves[serve].hops = links[link].securedHops
        default: break
        }
    }
}
