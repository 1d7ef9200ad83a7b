// ProtectionSpaces.swift: what servers accepted from whom, and for which paths; bounded, the one used longest
// ago goes.
// Owns: order of use. Never touches: a challenge, a field. Source: RFC 7617 §2.2; RFC 7616 §3.3 (domain).
import Model

/// Whose state it is. Compared whole.
struct SpaceKey: Hashable, Sendable {
    let space: AuthenticationSpace
    let credential: Credential
}

/// What is sent to a realm.
enum RealmScheme: Hashable, Sendable {
    case basic
    case bearer
    case digest(DigestAlgorithm)
}

/// One realm of a server, with one scheme.
struct ProtectedRealm: Sendable {
    static let rootsMax = 16

    let realm: [UInt8]
    let scheme: RealmScheme
    /// Whether a request with the credential was not refused.
    var isProven = false
    /// Paths in the realm; what is below them is too.
    private(set) var roots: [[UInt8]] = []
    /// Whether the server named the roots: then nothing else is in the realm.
    var isDomainNamed = false
    /// Of Digest.
    var nonces = SharedNonces()
    var lastUse: UInt64 = 0

    init(realm: [UInt8], scheme: RealmScheme) {
        self.realm = realm
        self.scheme = scheme
    }

    /// How well the target fits: length of the longest root above it; `nil`: not in the realm.
    func score(_ target: Span<UInt8>, _ side: AuthenticationSide) -> Int? {
        // RFC 7616 §3.3, RFC 7617 §4: the whole of a peer.
        if side == .peer { return 0 }
        var best: Int?
        for root in roots where TargetPath.isBelow(root, target) { best = max(best ?? 0, root.count) }
        if let best { return best }
        switch scheme {
        case .basic, .bearer: return nil
        case .digest: return isDomainNamed ? nil : 0
        }
    }

    /// Adds what is below `target`.
    mutating func add(_ target: Span<UInt8>) {
        guard !isDomainNamed, let root = TargetPath.root(target) else { return }
        add(root: root)
    }

    /// Takes the roots from a challenge: URIs of the space itself only, as a credential is for one server.
    mutating func setDomain(_ uris: [[UInt8]]?, _ space: AuthenticationSpace) {
        guard let uris, space.side == .origin else { return }
        roots = []
        isDomainNamed = true
        for uri in uris {
            if uri.first == Octet.slash {
                add(root: uri)
            } else if let path = space.path(of: uri.span) {
                add(root: path)
            }
        }
    }

    private mutating func add(root: [UInt8]) {
        if roots.contains(where: { root.starts(with: $0) }) { return }
        roots.removeAll { $0.starts(with: root) }
        if roots.count == Self.rootsMax { roots.removeFirst() }
        roots.append(root)
    }
}

extension AuthenticationSpace {
    /// The path of an absolute URI; `nil` when it is not on this server.
    fileprivate func path(of uri: Span<UInt8>) -> [UInt8]? {
        guard let authority = TargetPath.authorityStart(uri), let path = TargetPath.range(uri) else {
            return nil
        }
        let name = scheme == .https ? "https://" : "http://"
        guard uri.extracting(0..<authority).isEqual(ignoringCase: name),
            Self.normalized(uri.extracting(authority..<path.lowerBound), scheme) == identity
        else { return nil }
        return path.isEmpty ? [Octet.slash] : uri.extracting(path).copied()
    }
}

/// Realms by server and credential.
struct ProtectionSpaces: ~Copyable {
    /// Realms, each with a scheme, of one server and credential.
    static let realmsMax = 8

    /// One server and credential, in a list by use.
    private struct Slot {
        var key: SpaceKey
        var realms: [ProtectedRealm] = []
        /// Used before and after this one; -1: none.
        var older = -1
        var newer = -1
    }

    private let countMax: Int
    private var slots: [Slot] = []
    private var places: [SpaceKey: Int] = [:]
    private var oldest = -1
    private var newest = -1
    private var uses: UInt64 = 0

    /// - Parameter countMax: servers with their credentials; at least 1.
    init(countMax: Int) { self.countMax = max(1, countMax) }

    /// Servers and credentials held.
    var count: Int { slots.count }

    /// Where the key's realms are, which count as used from now on; `nil`: nothing is known.
    mutating func place(_ key: SpaceKey) -> Int? {
        guard let place = places[key] else { return nil }
        unlink(place)
        link(place)
        return place
    }

    /// The same, with room made when there is none.
    mutating func makePlace(_ key: SpaceKey) -> Int {
        if let place = place(key) { return place }
        let place: Int
        if slots.count < countMax {
            place = slots.count
            slots.append(Slot(key: key))
        } else {
            place = oldest
            unlink(place)
            places[slots[place].key] = nil
            slots[place] = Slot(key: key)
        }
        places[key] = place
        link(place)
        return place
    }

    /// The realm of a place; `nil`: nothing is known.
    func realm(_ realm: [UInt8], _ scheme: RealmScheme, at place: Int) -> Int? {
        slots[place].realms.firstIndex { $0.scheme == scheme && $0.realm == realm }
    }

    /// The same, with room made when there is none.
    mutating func makeRealm(_ realm: [UInt8], _ scheme: RealmScheme, at place: Int) -> Int {
        if let index = self.realm(realm, scheme, at: place) { return index }
        let count = slots[place].realms.count
        if count == Self.realmsMax, let index = (0..<count).min(by: { use(place, $0) < use(place, $1) }) {
            slots[place].realms.remove(at: index)
        }
        slots[place].realms.append(ProtectedRealm(realm: realm, scheme: scheme))
        return slots[place].realms.count - 1
    }

    /// The proven realm that fits `target` best; of equal ones the one used last.
    func best(_ target: Span<UInt8>, at place: Int) -> Int? {
        let side = slots[place].key.space.side
        var best: (index: Int, score: Int, use: UInt64)?
        for (index, realm) in slots[place].realms.enumerated() where realm.isProven {
            guard let score = realm.score(target, side) else { continue }
            if let best, (best.score, best.use) >= (score, realm.lastUse) { continue }
            best = (index, score, realm.lastUse)
        }
        return best?.index
    }

    /// Reads or changes a realm.
    mutating func withRealm<Result>(
        _ realm: Int,
        at place: Int,
        _ body: (inout ProtectedRealm) -> Result
    ) -> Result {
        uses += 1
        slots[place].realms[realm].lastUse = uses
        return body(&slots[place].realms[realm])
    }

    /// Forgets a realm. Numbers of later ones change.
    mutating func removeRealm(_ realm: Int, at place: Int) { slots[place].realms.remove(at: realm) }

    /// Forgets everything.
    mutating func removeAll() { self = ProtectionSpaces(countMax: countMax) }

    private func use(_ place: Int, _ realm: Int) -> UInt64 { slots[place].realms[realm].lastUse }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (slots[place].older, slots[place].newer)
        if older < 0 { oldest = newer } else { slots[older].newer = newer }
        if newer < 0 { newest = older } else { slots[newer].older = older }
    }

    private mutating func link(_ place: Int) {
        slots[place].older = newest
        slots[place].newer = -1
        if newest < 0 { oldest = place } else { slots[newest].newer = place }
        newest = place
    }
}
