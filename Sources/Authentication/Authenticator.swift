// Authenticator.swift: challenges in, credentials out; what was accepted is sent at once the next time.
// Owns: nonces and protection spaces of one worker. Never touches: a connection, the clock, where credentials
// come from. Source: RFC 9110 §11; RFC 7616 §3; RFC 7617 §2.2; DESIGN "Semantics with their source".
import Model

/// Answers challenges for all streams of one worker.
///
/// For each request and side: `preemptive` before it is sent the first time; `answer` to each 401 or 407;
/// `succeeded` when another status comes.
package struct Authenticator: ~Copyable {
    private let functions: DigestFunctions
    private let seed: Secret
    private var spaces: ProtectionSpaces
    /// Sessions made; also makes every nonce of ours another one.
    private var serial: UInt64 = 0
    /// Uses of one nonce, after which a new one is asked for: the count has eight digits and must not wrap.
    private let nonceUsesMax: UInt32

    /// - Parameters:
    ///   - functions: hash functions of Digest.
    ///   - seed: 32 random bytes, from which our nonces are made. Equal seeds give equal nonces.
    ///   - limits: `authenticationSpacesMax` of them.
    ///   - nonceUsesMax: below `UInt32.max`.
    package init(
        functions: DigestFunctions,
        seed: Secret,
        limits: Limits,
        nonceUsesMax: UInt32 = .max - 1
    ) {
        precondition(nonceUsesMax < .max, "a count that wraps")
        self.functions = functions
        self.seed = seed
        self.nonceUsesMax = nonceUsesMax
        spaces = ProtectionSpaces(countMax: limits.authenticationSpacesMax)
    }

    /// Servers and credentials of which something is remembered.
    package var spaceCount: Int { spaces.count }

    /// Appends the value for a request that is about to be sent, when what the server accepted before covers
    /// it.
    /// - Returns: `false`: nothing was appended; send it without.
    package mutating func preemptive(
        _ space: AuthenticationSpace,
        _ credential: Credential,
        _ request: borrowing AuthenticatedRequest,
        _ attempt: inout AuthenticationAttempt,
        appendingTo output: inout ByteBuffer
    ) -> Bool {
        let key = SpaceKey(space: space, credential: credential)
        ended(key, attempt)
        attempt.seenSerial = serial
        attempt.sent = .nothing
        guard let place = spaces.place(key), let index = spaces.best(request.target, at: place)
        else { return false }
        let (realm, scheme) = spaces.withRealm(index, at: place) { ($0.realm, $0.scheme) }
        switch scheme {
        case .basic:
            Basic.append(credential, to: &output)
            attempt.send(.basic(realm: realm))
        case .bearer:
            Bearer.append(credential, to: &output)
            attempt.send(.bearer(realm: realm))
        case .digest:
            let (usesMax, isHeld) = (nonceUsesMax, request.body != nil)
            let next = spaces.withRealm(index, at: place) {
                $0.nonces.next(usesMax: usesMax, isBodyHeld: isHeld)
            }
            guard let use = next else { return false }
            use.session.append(request, count: use.count, functions, to: &output)
            attempt.send(.digest(use))
        }
        return true
    }

    /// What to do about the challenges of a 401 or 407, whose slices point into `block`. Appends a value when
    /// the answer is `resubmit`.
    package mutating func answer(
        _ list: ChallengeList,
        in block: Span<UInt8>,
        _ space: AuthenticationSpace,
        _ credential: Credential,
        _ request: borrowing AuthenticatedRequest,
        _ attempt: inout AuthenticationAttempt,
        appendingTo output: inout ByteBuffer
    ) -> Answer {
        precondition(list.side == space.side, "credentials of one side for the other")
        let key = SpaceKey(space: space, credential: credential)
        let choice = ChallengeChoice(list, in: block, credential, attempt, isBodyHeld: request.body != nil)
        ended(key, attempt)
        if case .digest(let use) = attempt.sent { withNonces(of: use, key) { $0.refuse(use) } }
        if let refusal = refusal(choice, list, in: block, key, attempt) { return .none(refusal) }
        switch choice {
        case .none(let reason): return .none(reason)
        case .context(let mechanism):
            guard attempt.steps < AuthenticationAttempt.stepsMax else { return .none(.tooManyTries) }
            guard let input = list.token(for: mechanism, in: block) else { return .none(.badToken) }
            // A token before our first is a leftover of somebody else's context.
            let isFirst = attempt.sent != .context(mechanism)
            attempt.send(.context(mechanism))
            return .securityContext(SecurityStep(mechanism: mechanism, input: isFirst ? [] : input))
        case .bearer(let realm):
            Bearer.append(credential, to: &output)
            attempt.send(.bearer(realm: realm))
        case .basic(let realm):
            Basic.append(credential, to: &output)
            attempt.send(.basic(realm: realm))
        case .digest(let challenge, let protection):
            guard let use = use(challenge, protection, key, &attempt, isBodyHeld: request.body != nil)
            else { return .none(.unusableCredential) }
            use.session.append(request, count: use.count, functions, to: &output)
            attempt.send(.digest(use))
        }
        attempt.seenSerial = serial
        return .resubmit
    }

    /// Notes that a request with an answer got another status than the one that asks for it. `information` is
    /// the value of `Authentication-Info` (of an origin) or `Proxy-Authentication-Info` (of a peer); `nil`:
    /// there is none.
    package mutating func succeeded(
        _ space: AuthenticationSpace,
        _ credential: Credential,
        _ request: borrowing AuthenticatedRequest,
        _ attempt: AuthenticationAttempt,
        information: Span<UInt8>?
    ) -> ServerProof {
        let key = SpaceKey(space: space, credential: credential)
        switch attempt.sent {
        case .nothing, .context: return .none
        case .basic(let realm):
            prove(realm, .basic, key, request.target)
            return .none
        case .bearer(let realm):
            prove(realm, .bearer, key, request.target)
            return .none
        case .digest(let use): return succeeded(use, key, request.target, information)
        }
    }

    /// Notes that a request with an answer has no reply, and will get none.
    package mutating func ended(
        _ space: AuthenticationSpace,
        _ credential: Credential,
        _ attempt: AuthenticationAttempt
    ) {
        ended(SpaceKey(space: space, credential: credential), attempt)
    }

    /// Its nonce is another's.
    private mutating func ended(_ key: SpaceKey, _ attempt: AuthenticationAttempt) {
        if case .digest(let use) = attempt.sent { withNonces(of: use, key) { $0.release(use) } }
    }

    /// Forgets everything.
    package mutating func removeAll() { spaces.removeAll() }

    /// What tells a secret from others without giving it away; only this worker's.
    package func fingerprint(of secret: Secret) -> [UInt8] {
        var input = ByteBuffer(capacity: seed.count + secret.count)
        seed.withBytes { input.append($0) }
        secret.withBytes { input.append($0) }
        defer { input.wipe() }
        var digits = ByteBuffer()
        functions.appendHex(.sha256, of: input.bytes, to: &digits)
        return digits.bytes.copied()
    }
}

// What servers refuse.
extension Authenticator {
    /// Why the last answer of the stream must not be followed by another; `nil`: it may.
    private mutating func refusal(
        _ choice: ChallengeChoice,
        _ list: ChallengeList,
        in block: Span<UInt8>,
        _ key: SpaceKey,
        _ attempt: AuthenticationAttempt
    ) -> NoAnswer? {
        switch attempt.sent {
        case .nothing: break
        case .basic(let realm):
            // The same bytes would be refused again, in whatever realm. Where it is another, the first may
            // yet take them.
            if case .basic(realm) = choice { forget(realm, .basic, key) }
            return .rejected
        case .bearer(let realm):
            if case .bearer(realm) = choice { forget(realm, .bearer, key) }
            return .rejected
        case .context(let mechanism):
            // Without a token it begins anew: what we sent was not enough.
            guard case .context(mechanism) = choice, list.token(for: mechanism, in: block) != [] else {
                return .rejected
            }
            return nil
        case .digest(let use):
            guard case .digest(let challenge, _) = choice else {
                if use.isOwn { return .rejected }
                break
            }
            guard challenge.realm == use.session.realm, use.isOwn else { break }
            if challenge.isStale && attempt.staleCount < AuthenticationAttempt.staleMax { break }
            // Not every server says stale to a count that others overtook.
            if !challenge.isStale && isShared(use, key) { break }
            forget(challenge.realm, .digest(use.session.algorithm), key)
            return challenge.isStale ? .tooManyTries : .rejected
        }
        return attempt.tries >= AuthenticationAttempt.triesMax ? .tooManyTries : nil
    }

    /// See `SharedNonces.areAhead`.
    private mutating func isShared(_ use: DigestUse, _ key: SpaceKey) -> Bool {
        withNonces(of: use, key) { $0.areAhead(of: use) } ?? false
    }

    private mutating func forget(_ realm: [UInt8], _ scheme: RealmScheme, _ key: SpaceKey) {
        guard let place = spaces.place(key), let index = spaces.realm(realm, scheme, at: place) else {
            return
        }
        spaces.removeRealm(index, at: place)
    }
}

// What servers accept.
extension Authenticator {
    private mutating func succeeded(
        _ use: DigestUse,
        _ key: SpaceKey,
        _ target: Span<UInt8>,
        _ information: Span<UInt8>?
    ) -> ServerProof {
        let scheme = RealmScheme.digest(use.session.algorithm)
        var read: AuthenticationInfo?
        if let information { read = AuthenticationInfo(information) }
        let proof = if let read { proof(read, use, target) } else { ServerProof.none }
        if proof == .wrong {
            forget(use.session.realm, scheme, key)
            return .wrong
        }
        share(use, key)
        withNonces(of: use, key) { $0.release(use) }
        prove(use.session.realm, scheme, key, target)
        if let nonce = read?.nextNonce, !nonce.isEmpty { replace(use.session, nonce, key) }
        return proof
    }

    private mutating func prove(
        _ realm: [UInt8],
        _ scheme: RealmScheme,
        _ key: SpaceKey,
        _ target: Span<UInt8>
    ) {
        let place = spaces.makePlace(key)
        let index = spaces.makeRealm(realm, scheme, at: place)
        spaces.withRealm(index, at: place) { realm in
            realm.isProven = true
            realm.add(target)
        }
    }

    /// Takes the nonce that the server wants next, unless there is another one meanwhile.
    private mutating func replace(_ session: DigestSession, _ nonce: [UInt8], _ key: SpaceKey) {
        let next = DigestSession(session, nextNonce: nonce, serial: serial + 1)
        let isTaken = withNonces(session.realm, session.algorithm, key) { $0.replace(session, with: next) }
        if isTaken == true { serial += 1 }
    }

    private func proof(
        _ information: AuthenticationInfo,
        _ use: DigestUse,
        _ target: Span<UInt8>
    ) -> ServerProof {
        guard let claimed = information.proof else { return .none }
        let session = use.session
        // auth-int covers the reply's body, which is not held.
        guard session.protection != .authInt,
            information.protection?.span.isEqual(ignoringCase: session.protection.name) ?? true
        else { return .none }
        if let cnonce = information.cnonce, cnonce != session.cnonce { return .wrong }
        if let count = information.count {
            var own = ByteBuffer()
            DigestSession.append(count: use.count, to: &own)
            if !count.span.isEqual(ignoringCase: own.bytes) { return .wrong }
        }
        var expected = ByteBuffer()
        let method: [UInt8] = []
        session.appendResponse(method.span, target, nil, count: use.count, functions, to: &expected)
        return claimed.span.isEqualInConstantTime(to: expected.bytes) ? .proven : .wrong
    }
}

// Nonces.
extension Authenticator {
    /// Reads or changes the nonces of a realm; `nil`: nothing is known of it.
    private mutating func withNonces<Result>(
        _ realm: [UInt8],
        _ algorithm: DigestAlgorithm,
        _ key: SpaceKey,
        _ body: (inout SharedNonces) -> Result
    ) -> Result? {
        guard let place = spaces.place(key), let index = spaces.realm(realm, .digest(algorithm), at: place)
        else { return nil }
        return spaces.withRealm(index, at: place) { body(&$0.nonces) }
    }

    @discardableResult
    private mutating func withNonces<Result>(
        of use: DigestUse,
        _ key: SpaceKey,
        _ body: (inout SharedNonces) -> Result
    ) -> Result? {
        withNonces(use.session.realm, use.session.algorithm, key, body)
    }

    /// The use of a nonce that answers a challenge. The first time it is one that streams share: the newest
    /// of the realm where it came after the stream's last request, so that of many streams that are asked at
    /// once all but the first take that one's; else the challenge's. When that was refused, as requests may
    /// overtake each other and some servers want counts to rise, it is the challenge's again, and until it is
    /// accepted nobody else gets it. Where requests are kept apart it is the challenge's at once.
    private mutating func use(
        _ challenge: DigestChallenge,
        _ protection: DigestProtection,
        _ key: SpaceKey,
        _ attempt: inout AuthenticationAttempt,
        isBodyHeld: Bool
    ) -> DigestUse? {
        let (usesMax, seenSerial) = (nonceUsesMax, attempt.seenSerial)
        let areApart = withNonces(challenge.realm, challenge.algorithm, key) { $0.areApart } ?? false
        let isShared = !attempt.hasShared && !areApart
        attempt.hasShared = true
        if isShared {
            let newest = withNonces(challenge.realm, challenge.algorithm, key) {
                $0.next(since: seenSerial, usesMax: usesMax, isBodyHeld: isBodyHeld)
            }
            if let use = newest ?? nil { return use }
        }
        if case .digest(let use) = attempt.sent, use.isOwn, challenge.isStale { attempt.staleCount += 1 }
        // The challenge's nonce may be one that is shared already: its count goes on. Source: RFC 7616 §3.4 (nc): the
        // count is the nonce's, not the challenge's.
        let same = withNonces(challenge.realm, challenge.algorithm, key) {
            $0.next(of: challenge.nonce, usesMax: usesMax, isBodyHeld: isBodyHeld)
        }
        if let use = same ?? nil { return DigestUse(session: use.session, count: use.count, isOwn: true) }
        serial += 1
        guard
            let session = DigestSession(
                challenge,
                protection,
                key.credential,
                cnonce: makeNonce(),
                serial: serial,
                functions
            )
        else { return nil }
        let use = DigestUse(session: session, count: 1, isOwn: true, isForAll: isShared)
        if isShared || areApart { share(use, key) }
        return use
    }

    /// Lets other streams have a nonce.
    private mutating func share(_ use: DigestUse, _ key: SpaceKey) {
        let session = use.session
        let place = spaces.makePlace(key)
        let index = spaces.makeRealm(session.realm, .digest(session.algorithm), at: place)
        spaces.withRealm(index, at: place) { realm in
            if realm.nonces.add(use) { realm.setDomain(session.domain, key.space) }
        }
    }

    /// 128 bits that nobody can foretell who does not know the seed, in hexadecimal.
    private func makeNonce() -> [UInt8] {
        var input = ByteBuffer(capacity: seed.count + 8)
        seed.withBytes { input.append($0) }
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            input.append(UInt8(truncatingIfNeeded: serial >> shift))
        }
        var digits = ByteBuffer()
        functions.appendHex(.sha256, of: input.bytes, to: &digits)
        input.wipe()
        return digits.bytes.extracting(0..<32).copied()
    }
}
