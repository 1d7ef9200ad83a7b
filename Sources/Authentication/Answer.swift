// Answer.swift: what becomes of a challenge, and what a stream remembers of those before.
// Owns: the words for why not. Never touches: a secret. Source: RFC 9110 §11.4, §15.5.2.
import Model

/// What to do about a 401 or 407.
package enum Answer: Equatable, Sendable {
    /// Send the request again with the value that was appended.
    case resubmit
    /// Let the context of this connection take a step, then send the request again on the same connection
    /// with `SecurityStep.append`.
    case securityContext(SecurityStep)
    /// Pass the reply on.
    case none(NoAnswer)
}

/// Why a challenge is not answered.
package enum NoAnswer: Equatable, Sendable {
    /// No challenge, or none that we can read.
    case noChallenge
    /// Every challenge is of a scheme that the credential does not permit, or that nobody here speaks.
    case noPermittedScheme
    /// The credential is for another realm.
    case otherRealm
    /// The server has seen the credential and refuses it.
    case rejected
    /// The server refuses one new nonce after the other.
    case tooManyTries
    /// Only auth-int is offered, and the body is not held whole.
    case bodyNotHeld
    /// User, password or token are missing, or have bytes that the scheme cannot carry.
    case unusableCredential
    /// The server's token is not base64.
    case badToken

    /// For people and logs.
    package var words: String {
        switch self {
        case .noChallenge: "no challenge that could be read"
        case .noPermittedScheme: "no authentication scheme that the credential permits"
        case .otherRealm: "the credential is for another realm"
        case .rejected: "the credential was refused"
        case .tooManyTries: "the server refused every nonce of its own"
        case .bodyNotHeld: "auth-int needs the body, which is not held whole"
        case .unusableCredential: "the credential does not fit the authentication scheme"
        case .badToken: "a token that is not base64"
        }
    }
}

/// What is known about the server from its `Authentication-Info`. Source: RFC 7616 §3.5.
package enum ServerProof: Equatable, Sendable {
    /// It said nothing, or nothing that could be checked.
    case none
    /// It knows the password.
    case proven
    /// It claims to know the password and does not: the reply is not from whom we authenticated to.
    case wrong
}

/// What one stream has tried with one credential at one server. A new one for every request and side.
package struct AuthenticationAttempt: Sendable {
    /// Answers to one request, the preemptive one included; more than any honest server needs.
    package static let triesMax = 5
    /// Steps of one security context.
    package static let stepsMax = 10
    /// Nonces that came with a challenge and were called stale when they were used.
    static let staleMax = 2

    /// Requests that carried an answer.
    package private(set) var tries = 0
    /// Steps of the security context.
    package private(set) var steps = 0
    /// What the last request carried.
    var sent = Sent.nothing
    /// The newest session that was known when the last request was made.
    var seenSerial: UInt64 = 0
    /// Whether a Digest challenge was answered with a nonce that other streams use too: once, then with one
    /// that nobody else has.
    var hasShared = false
    /// Nonces of its own that the server called stale.
    var staleCount = 0
    /// Mechanisms that are not available: see `exclude`.
    private(set) var excluded: AuthenticationSchemes = []

    package init() {}

    /// Takes a mechanism out that failed on our side; `answer` then takes the next best.
    package mutating func exclude(_ mechanism: SecurityMechanism) {
        excluded.insert(mechanism.scheme)
        sent = .nothing
    }

    /// Whether the last request carried an answer.
    package var hasAnswered: Bool { sent != .nothing }

    /// Whether what the last request carried may be refused though the user is known: its nonce did not come with a
    /// challenge to this stream, and the server may have given it up since. Source: RFC 7616 §3.3 (stale).
    package var mayBeStale: Bool {
        switch sent {
        case .digest(let use): !use.isOwn
        case .nothing, .basic, .bearer, .context: false
        }
    }

    mutating func send(_ sent: Sent) {
        self.sent = sent
        tries += 1
        switch sent {
        case .context: steps += 1
        case .nothing, .basic, .bearer, .digest: steps = 0
        }
    }
}

/// What a request carried.
enum Sent: Equatable, Sendable {
    case nothing
    case basic(realm: [UInt8])
    case bearer(realm: [UInt8])
    case digest(DigestUse)
    case context(SecurityMechanism)
}

/// One use of a nonce.
struct DigestUse: Equatable, Sendable {
    let session: DigestSession
    let count: UInt32
    /// Whether the nonce is that of the challenge that was answered: then a refusal is one of the password.
    let isOwn: Bool
    /// Whether it was any stream's to use when it was used.
    var isForAll = true

    static func == (left: DigestUse, right: DigestUse) -> Bool {
        left.session === right.session && left.count == right.count && left.isOwn == right.isOwn
    }
}
