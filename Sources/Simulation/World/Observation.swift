// Observation.swift: everything that a checker may see of a run, one case for each kind of event.
// The record (Record.swift) is brought up to date before a checker sees an event.
import Engine
import Frames
import Model

/// Names of a reply that the upstream wrote into its head, as they reached the proxy.
struct SeenHead: Equatable {
    var status = 0
    var requestField: Int?
    var serveField: Int?
    var body = ReplyBody.none
    var isPinned = false
    /// What the sidecar says of TLS: marks that the simulated handshakes have set; `nil`: clear text.
    var originTLS: String?
    var peerTLS: String?
}

/// One event of a run. `request` is an index into the record's requests, `link` one into its links.
enum Observation: Equatable {
    // At the proxies.
    case opened(request: Int)
    case cancelled(request: Int)
    case interim(request: Int, SeenHead)
    case reply(request: Int, SeenHead)
    case body(request: Int, offset: Int, count: Int, mismatchAt: Int?)
    /// The first bytes of a raw tunnel have said which reply they belong to.
    case tagged(request: Int, serve: Int)
    case trailers(request: Int, serveField: Int?, fieldCount: Int)
    case ended(request: Int, EndReport, [Attempt])
    case creditGiven(request: Int, bytes: Int)
    case creditTaken(request: Int, bytes: Int)
    /// A frame of a stream that is not open; the last request under its number, if any.
    case strayFrame(proxy: Int, stream: UInt32, type: FrameType, lastRequest: Int?)
    case badFrame(proxy: Int, reason: String)
    case goAway(proxy: Int, GoAwayCode, detail: String)
    case sessionOpened(proxy: Int, link: Int)
    /// - byEngine: otherwise the proxy left.
    case sessionOver(proxy: Int, byEngine: Bool)
    case pingAnswered(proxy: Int)
    case pinTold(proxy: Int, PinEvent)
    case unpinSent(proxy: Int, token: [UInt8])

    // At the worker's sockets.
    case effect(Effect)
    /// An order for an id that is no longer, or not yet, there; or one out of turn.
    case effectOutOfTurn(Effect, reason: String)
    /// A socket towards an endpoint exists from now on.
    case socketOpened(link: Int, Endpoint)
    case socketClosed(link: Int)
    case dialed(link: Int, DialResult)
    /// The first byte of a request was written. `request` is `nil` when it does not say whose it is.
    case requestBegan(link: Int, request: Int?)
    /// The first byte of a CONNECT was written that the engine sends for itself.
    case connectBegan(link: Int)
    /// The same of the request of a check.
    case checkBegan(link: Int)
    case proxyHeaderSent(link: Int)
    case tlsStarted(link: Int, TLSHop, TLSIdentity)
    case tlsSecured(link: Int, TLSHop)
    case tlsFailed(link: Int, TLSFailure.Kind)
    case requestBody(link: Int, request: Int, count: Int)
    case requestSent(link: Int, request: Int)
    case malformedRequest(link: Int, reason: String)
    case read(link: Int, count: Int, inPlace: Bool)
    /// - isProven: behind close_notify.
    case connectionOver(link: Int, reason: String, isProven: Bool)
    case connectionClosed(link: Int)
    case sessionOutput(proxy: Int, bytes: Int)
    case connectionOutput(link: Int, bytes: Int)
    case deadlineInThePast(nanoseconds: Int64)
    /// A worker that waited for room is given it.
    case wishMet(MetWish)
    /// A pinned connection goes to another worker.
    case pinMoved(link: Int)
    /// An idle connection is on its way to another worker.
    case idleMoved(link: Int)
    /// One worker tells another that it does not have a pin.
    case pinGone
    case drained
    case jumped(seconds: Int)
    /// All of a REQUEST has been given to a worker's engine.
    case requestReached(request: Int, worker: Int)
    /// The ledgers of groups have found something out; it is on its way to all workers.
    case newsPublished(GroupNews)
    case newsTold(worker: Int, GroupNews)

    // At the upstreams.
    case fellIll(endpoint: Int, Ailment)
    case gotWell(endpoint: Int)
    case serveBegan(serve: Int, link: Int)
    /// Bytes, fields or a length that are not those the proxy sent.
    /// A request has come over a link that its way is compared with.
    case requestRead(request: Int, link: Int, isInAbsoluteForm: Bool)
    /// A CONNECT without a request's number has come.
    case connectRead(link: Int, SeenTunnel)
    case proxyHeaderRead(link: Int, SeenProxyHeader)
    case foreignRequest(request: Int, link: Int, reason: String)

    // At the end.
    case quiescent(Counts, openLinks: Int)
    /// What the budget holds when no connection and no request is left.
    case budgetLeft(rooms: Int, wishes: Int, endpoints: Int, queued: Int)
    /// Pins of all workers, entries of the directory and letters that were never sent.
    case pinsLeft(pins: Int, entries: Int, letters: Int)
    /// Requests that the ledgers of groups count as waiting.
    case waitingLeft(Int)
    case endless(steps: Int)
}

/// One thing that went wrong.
package struct Violation: Equatable, Sendable, CustomStringConvertible {
    package var checker: String
    package var time: Instant
    package var text: String

    package var description: String { "[\(formatted(time))] \(checker): \(text)" }
}

/// Seconds with six digits behind the point.
func formatted(_ time: Instant) -> String {
    let microseconds = time.nanoseconds / 1000
    let fraction = String(microseconds % 1_000_000)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
}
