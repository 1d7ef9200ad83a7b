// ChallengeChoice.swift: which of several challenges is answered.
// Owns: the order of schemes. Never touches: a secret's bytes beyond asking whether they fit. Source: RFC
// 9110 §11.6.1 ("the most secure"); RFC 7616 §3.7; DESIGN (SHA-256 before MD5).
import Model

/// The best challenge that the credential can answer. Order: Negotiate, Bearer, Digest by its hash function,
/// NTLM, Basic; of equal ones the first.
enum ChallengeChoice {
    case none(NoAnswer)
    case context(SecurityMechanism)
    case bearer(realm: [UInt8])
    case digest(DigestChallenge, DigestProtection)
    case basic(realm: [UInt8])

    init(
        _ list: ChallengeList,
        in block: Span<UInt8>,
        _ credential: Credential,
        _ attempt: AuthenticationAttempt,
        isBodyHeld: Bool
    ) {
        if list.challenges.isEmpty {
            self = .none(.noChallenge)
            return
        }
        var best = ChallengeChoice.none(.noPermittedScheme)
        for challenge in list.challenges {
            let candidate = ChallengeChoice(
                challenge,
                of: list,
                in: block,
                credential,
                isBodyHeld: isBodyHeld
            )
            if candidate.isPossible(attempt), candidate.isBetter(than: best) { best = candidate }
        }
        self = best
    }

    private init(
        _ challenge: Challenge,
        of list: ChallengeList,
        in block: Span<UInt8>,
        _ credential: Credential,
        isBodyHeld: Bool
    ) {
        func permits(_ scheme: AuthenticationSchemes) -> Bool { credential.schemes.contains(scheme) }
        let realm = list.value("realm", of: challenge, in: block) ?? []
        let isOtherRealm = credential.realm.map { $0 != realm } ?? false
        switch challenge.scheme {
        case .negotiate where permits(.negotiate): self = .context(.negotiate)
        case .ntlm where permits(.ntlm): self = .context(.ntlm)
        case .bearer where permits(.bearer):
            self = Bearer.isUsable(credential) ? .bearer(realm: realm) : .none(.unusableCredential)
        case .basic where permits(.basic):
            self = Basic.isUsable(credential) ? .basic(realm: realm) : .none(.unusableCredential)
        case .digest where permits(.digest):
            guard let digest = DigestChallenge(challenge, of: list, in: block) else {
                self = .none(.noChallenge)
                return
            }
            if credential.password == nil {
                self = .none(.unusableCredential)
            } else if let protection = digest.protection(isBodyHeld: isBodyHeld) {
                self = .digest(digest, protection)
            } else {
                self = .none(.bodyNotHeld)
            }
        case .negotiate, .ntlm, .bearer, .basic, .digest, .other: self = .none(.noPermittedScheme)
        }
        if isOtherRealm, rank > 0 { self = .none(.otherRealm) }
    }

    /// A running context goes on or ends; nothing takes its place.
    private func isPossible(_ attempt: AuthenticationAttempt) -> Bool {
        switch (attempt.sent, self) {
        case (.context(let running), .context(let mechanism)): running == mechanism
        case (.context, _): false
        case (_, .context(let mechanism)): !attempt.excluded.contains(mechanism.scheme)
        case (_, _): true
        }
    }

    /// Positive when it is an answer; of reasons the one that says most is the greatest.
    private var rank: Int {
        switch self {
        case .context(.negotiate): 7
        case .bearer: 6
        case .digest(let challenge, _): 3 + challenge.algorithm.rawValue
        case .context(.ntlm): 2
        case .basic: 1
        case .none(let reason):
            switch reason {
            case .bodyNotHeld: -1
            case .unusableCredential: -2
            case .otherRealm: -3
            case .noPermittedScheme: -5
            case .noChallenge, .rejected, .tooManyTries, .badToken: -4
            }
        }
    }

    private func isBetter(than other: ChallengeChoice) -> Bool { rank > other.rank }
}
