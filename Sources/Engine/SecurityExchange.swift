// SecurityExchange.swift: what the engine holds of an authentication by tokens: a context that somebody else steps.
// Owns: the words. Never touches: what is in a token; contexts are numbers here. Source: RFC 4559 §4; MS-NTHT §3.
import Authentication
import HTTP1
import Model

/// Names a context of one engine; never used twice.
package struct SecurityContextID: Hashable, Sendable {
    package let number: UInt64
}

/// A step that somebody has to take who may block. Answer with `stepped`, once.
package struct SecurityOrder: Sendable {
    package let connection: ConnectionID
    package let context: SecurityContextID
    /// What the context is made from, where it does not exist yet.
    package let request: SecurityContextRequest
    /// The server's token; empty in the first step.
    package let input: [UInt8]
    /// Nobody waits for the answer from then on.
    package let until: Instant
}

/// What a step is for.
enum SecurityPurpose: Equatable {
    /// A challenge is to be answered.
    case challenge
    /// The server has let us in, and gives a token by which it proves itself in turn.
    case proof
    /// The same of a peer that has made a tunnel.
    case tunnelProof
}

/// A head whose fate depends on a step, with what came of it before.
struct SecurityHold {
    let purpose: SecurityPurpose
    let input: [UInt8]
    let until: Instant
    var head = ReplyHead()
    /// What the head's slices point into.
    var bytes: [UInt8] = []
}

/// One context with its connection. A connection has it, and a stream only on the way from one connection to the next,
/// before any token was sent. Exactly one of them has it, and whoever lets go of it orders `dropSecurity`.
final class SecurityExchange {
    let id: SecurityContextID
    let request: SecurityContextRequest
    /// Whether it is with a peer that is asked for a tunnel.
    let isOfTunnel: Bool
    /// Whether a token has been put into a request: the context is bound to its connection from then on.
    var hasSent = false
    /// Whether our side needs no more.
    var isDone = false
    /// The step that is being taken.
    var hold: SecurityHold?
    /// With the reply that made a tunnel.
    var tunnelToken: [UInt8] = []

    init(id: SecurityContextID, request: SecurityContextRequest, isOfTunnel: Bool) {
        self.id = id
        self.request = request
        self.isOfTunnel = isOfTunnel
    }
}

/// What becomes of the head of a final reply.
enum HeadFate: Equatable {
    /// It is the proxy's.
    case passed
    /// It is answered: the rest of the reply is dropped.
    case dropped
    /// A step will tell.
    case held
}

/// What is done about a challenge.
enum ChallengeAnswer: Equatable {
    case resubmit
    case step(SecurityStep)
    /// Why it is passed on.
    case none(String)
}
