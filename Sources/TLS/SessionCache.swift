// SessionCache.swift: what peers gave us to resume a session with (tickets, 1.3 PSKs), by key, bounded.
// Owns: references to sessions, their order and age. Never touches: a connection, a clock.
// Source: RFC 8446 §4.6.1, appendix C.4; RFC 5077; DESIGN "Identity is part of the key".
import COpenSSL
import Model

/// Whom a session is good for. Compared whole.
struct SessionKey: Hashable {
    let identity: TLSIdentity
    /// The caller's bytes, e.g. endpoint and tunnel: one identity may be spoken at several places.
    let scope: [UInt8]
}

/// One reference to a session of OpenSSL's.
@safe final class Session {
    // SAFETY: an SSL_SESSION of which this object owns one reference, given back in `deinit`.
    let pointer: OpaquePointer
    /// Number of the context it was made under.
    let context: Int
    /// Seconds since 1970 until which what was verified when it was made holds.
    let usableUntil: Int64

    /// Takes over one reference to `pointer`.
    @unsafe init(owning pointer: OpaquePointer, context: Int, usableUntil: Int64) {
        // SAFETY: the caller gives a reference away.
        unsafe self.pointer = pointer
        self.context = context
        self.usableUntil = usableUntil
    }

    deinit {
        // SAFETY: see `pointer`.
        unsafe SSL_SESSION_free(pointer)
    }

    /// Whether a second use would let somebody who listens link the two. Source: RFC 8446 appendix C.4.
    var isSingleUse: Bool {
        // SAFETY: see `pointer`.
        unsafe SSL_SESSION_get_protocol_version(pointer) >= TLS1_3_VERSION
    }

    /// Whether OpenSSL would offer it: not after a fatal alert.
    var isResumable: Bool {
        // SAFETY: see `pointer`.
        unsafe SSL_SESSION_is_resumable(pointer) == 1
    }
}

/// Sessions of one worker. Keys are dropped least recently used first; a key keeps its newest sessions.
final class SessionCache {
    private struct Slot {
        var key: SessionKey
        /// Oldest first.
        var sessions: [Session]
        var newer: Int
        var older: Int
    }

    private static let none = -1

    private let keysMax: Int
    private let perKeyMax: Int
    private let countMax: Int
    /// Sessions held.
    private(set) var count = 0
    private var slots: [Slot] = []
    private var places: [SessionKey: Int] = [:]
    private var newest = none
    private var oldest = none

    init(keysMax: Int, perKeyMax: Int, countMax: Int) {
        precondition(keysMax > 0 && perKeyMax > 0 && countMax > 0, "a session cache without room")
        self.keysMax = keysMax
        self.perKeyMax = perKeyMax
        self.countMax = countMax
    }

    /// The newest session that can be offered under `context`; one of 1.3 leaves the cache. Sessions of an
    /// older context are dropped. `seconds`: since 1970.
    func take(_ key: SessionKey, context: Int, at seconds: Int64) -> Session? {
        guard let place = places[key] else { return nil }
        moveToFront(place)
        while let session = slots[place].sessions.last {
            let isUsable = session.context == context && session.usableUntil > seconds && session.isResumable
            if !isUsable || session.isSingleUse {
                slots[place].sessions.removeLast()
                count -= 1
            }
            if isUsable { return session }
        }
        return nil
    }

    func store(_ session: Session, for key: SessionKey) {
        let place = places[key] ?? makeSlot(key)
        moveToFront(place)
        if slots[place].sessions.count == perKeyMax {
            removeOldest(of: place)
        } else if count == countMax {
            removeOldest()
        }
        slots[place].sessions.append(session)
        count += 1
    }

    /// Drops a session of the key that was not used for longest, of those that have any.
    private func removeOldest() {
        var place = oldest
        while slots[place].sessions.isEmpty { place = slots[place].newer }
        removeOldest(of: place)
    }

    private func removeOldest(of place: Int) {
        slots[place].sessions.removeFirst()
        count -= 1
    }

    private func removeAll(of place: Int, where isUnwanted: (Session) -> Bool) {
        let before = slots[place].sessions.count
        slots[place].sessions.removeAll(where: isUnwanted)
        count -= before - slots[place].sessions.count
    }

    /// Forgets a session that the peer did not want.
    func remove(_ session: Session, for key: SessionKey) {
        guard let place = places[key] else { return }
        removeAll(of: place) { $0 === session }
    }

    /// Forgets all that were made under a context.
    func removeAll(context: Int) {
        for place in slots.indices { removeAll(of: place) { $0.context == context } }
    }

    // Order.

    /// A slot for a new key, not linked yet: a new one, or that of the key which was not used for longest.
    private func makeSlot(_ key: SessionKey) -> Int {
        let slot = Slot(key: key, sessions: [], newer: Self.none, older: Self.none)
        var place = slots.count
        if place < keysMax {
            slots.append(slot)
        } else {
            place = oldest
            unlink(place)
            places[slots[place].key] = nil
            count -= slots[place].sessions.count
            slots[place] = slot
        }
        places[key] = place
        return place
    }

    private func moveToFront(_ place: Int) {
        if place == newest { return }
        if slots[place].newer != Self.none { unlink(place) }
        slots[place].older = newest
        if newest != Self.none { slots[newest].newer = place }
        newest = place
        if oldest == Self.none { oldest = place }
    }

    private func unlink(_ place: Int) {
        let (newer, older) = (slots[place].newer, slots[place].older)
        if newer != Self.none { slots[newer].older = older } else { newest = older }
        if older != Self.none { slots[older].newer = newer } else { oldest = newer }
        slots[place].newer = Self.none
        slots[place].older = Self.none
    }
}
