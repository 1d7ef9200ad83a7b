// MemberResult.swift: what came of an attempt at a member, in the words that health is judged by.
// Owns: what is a failure of the member and what is none. Source: issue "Groups": a stale pooled connection
// is no failure; a racer that lost is none.
import Model

/// What came of one step at a member. Tell each once.
package enum MemberResult: Equatable, Sendable {
    /// A fresh connection is ready for its first request, TLS included.
    case dialed
    /// A connection was refused, or the member not reached, or not in time.
    case dialFailed
    /// No connection became ready, where another request could fare better: one stood, and what was asked of it failed or
    /// took too long; or it was to come from a certain local address, or in less time than others give it.
    case setupFailed
    /// The connection stood, but TLS on it did not. Not for a name or a certificate that only this request
    /// asks for: that is `notItsFault`.
    case tlsFailed
    /// A reply came, and its framing held to the end. Whether the status is a failure, the settings say.
    case replied(status: Int)
    /// A connection was reset or closed while an exchange was on it: a fresh one, or any after a byte of the
    /// reply.
    case cutShort
    /// The reply did not begin, or stood still, for longer than it may.
    case timedOut
    /// What came was no HTTP.
    case malformed
    /// A connection from the pool was closed before a byte of the reply: it was stale.
    case stale
    /// A dial that was given up as another one was faster.
    case raceLost
    /// Ended by the proxy, by its request or by the sidecar itself: cancel, deadline, drain, limits.
    case notItsFault

    enum Meaning {
        case dialSuccess
        case dialFailure
        case replySuccess
        case replyFailure
        case nothing
    }

    /// What it says about the member, where `statuses` are failures.
    func meaning(_ statuses: [ClosedRange<Int>]) -> Meaning {
        switch self {
        case .dialed: .dialSuccess
        case .dialFailed, .setupFailed, .tlsFailed: .dialFailure
        case .replied(let status): statuses.contains { $0.contains(status) } ? .replyFailure : .replySuccess
        case .cutShort, .timedOut, .malformed: .replyFailure
        case .stale, .raceLost, .notItsFault: .nothing
        }
    }
}

/// What the ledger of a group found out, for every worker's `Group`. Members are named by their index in the
/// configuration.
package enum HealthNews: Equatable, Sendable {
    /// Whether successes of the member have to be told to the ledger.
    case suspect(member: Int, dials: Bool, replies: Bool)
    /// Too many failures in a row: it is not chosen before `until`, and its share grows from then on.
    case ejected(member: Int, until: Instant)
    /// Checks failed: it is not chosen before it is up.
    case down(member: Int)
    /// Checks passed again: its share grows from `at` on.
    case up(member: Int, at: Instant)
    /// It is not to be dialed before `until`; not later than now: it may be.
    case backOff(member: Int, until: Instant)
}

/// What the ledger of a group found out about an endpoint, for all groups that have it.
package enum EndpointNews: Equatable, Sendable {
    /// It is not to be dialed before `until`, the last of so many back-offs in a row.
    case backOff(until: Instant, count: Int)
    /// A connection to it became ready.
    case recovered
}
