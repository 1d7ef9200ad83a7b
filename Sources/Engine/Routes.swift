// Routes.swift: ways from an endpoint to the origin, each under a number that pool keys compare instead of the whole.
// Owns: who is equal to whom: a way is compared in everything, and two numbers are equal only for equal ways.
// Never touches: connections. Source: DESIGN "Identity is part of the key".
import Model

/// TLS of one hop: the settings by number, and the names.
struct HopTLS: Hashable {
    /// Number of the settings; `clear`: no TLS.
    var settings = HopTLS.clear
    var serverName: [UInt8] = []
    /// Empty: the IP address of the endpoint.
    var verifyName: [UInt8] = []

    static let clear = -1

    var isClear: Bool { settings == HopTLS.clear }

    /// Back to clear text, keeping memory.
    mutating func reset() {
        settings = HopTLS.clear
        serverName.removeAll(keepingCapacity: true)
        verifyName.removeAll(keepingCapacity: true)
    }
}

/// Everything about the way from an endpoint to the origin in which connections have to be equal to be shared.
struct RouteIdentity: Hashable {
    enum Kind: Hashable {
        case direct
        case peer
        case tunnel
        /// No HTTP: a CONNECT that is answered by connecting.
        case raw
    }

    var kind = Kind.direct
    /// TLS to the endpoint.
    var outer = HopTLS()
    /// TLS to the origin through a tunnel.
    var inner = HopTLS()
    /// host:port that the tunnel leads to.
    var authority: [UInt8] = []
    /// Field lines of the CONNECT, as they are sent; `nil`: none.
    var connectLines: Secret?
    /// Who we are to the peer of a tunnel: nobody else's request goes through it.
    var credential: Credential?
    /// Whether the CONNECT carries credentials of NTLM or Negotiate: its connection is one client's.
    var bindsPeer = false
    var proxyProtocol = ProxyProtocol.none
    var proxySource: Endpoint?
    var proxyDestination: Endpoint?

    /// Back to `init()`, keeping memory.
    mutating func reset() {
        kind = .direct
        outer.reset()
        inner.reset()
        authority.removeAll(keepingCapacity: true)
        connectLines = nil
        credential = nil
        bindsPeer = false
        proxyProtocol = .none
        proxySource = nil
        proxyDestination = nil
    }

    /// The way to the peer of a tunnel, which requests in absolute-form share.
    var toPeer: RouteIdentity {
        var identity = self
        identity.kind = .peer
        identity.inner = HopTLS()
        identity.authority = []
        identity.connectLines = nil
        identity.credential = nil
        identity.bindsPeer = false
        return identity
    }
}

/// One way.
struct RouteEntry {
    var identity = RouteIdentity()
    /// Of a tunnel: the way to its peer.
    var toPeer = RouteID.direct
    var users = 0
}

/// One set of TLS settings.
struct TLSSettingsEntry {
    var settings = TLSSettings()
    var users = 0
}

/// Ways and TLS settings that are in use. Both leave when nobody uses them, but for those that were there at first.
struct RouteTable: ~Copyable {
    private var entries = SlotTable<RouteEntry>()
    private var numbers: [RouteIdentity: Int] = [:]
    private var settings = SlotTable<TLSSettingsEntry>()
    private var settingsNumbers: [TLSSettings: Int] = [:]
    /// Slot of the way that was asked for last: mostly the one that is asked for next.
    private var lastFound = 0

    /// Begins with `RouteID.direct`, `.peer` and `.raw`.
    init() {
        for kind in [RouteIdentity.Kind.direct, .peer, .raw] {
            var identity = RouteIdentity()
            identity.kind = kind
            _ = retain(identity)
        }
    }

    /// Ways that exist.
    var count: Int { entries.takenCount }
    /// TLS settings that exist.
    var settingsCount: Int { settings.takenCount }

    func identity(_ route: RouteID) -> RouteIdentity { entries[Int(route.slot)].identity }

    func kind(_ route: RouteID) -> RouteIdentity.Kind { entries[Int(route.slot)].identity.kind }

    /// Whether no HTTP is spoken; with a PROXY header in front, say, it is not `RouteID.raw`.
    func isRaw(_ route: RouteID) -> Bool { route.slot > RouteID.peer.slot && kind(route) == .raw }

    /// Whether a connection of that way is one client's from its beginning.
    func bindsPeer(_ route: RouteID) -> Bool {
        !isPermanent(route) && entries[Int(route.slot)].identity.bindsPeer
    }

    /// Of a tunnel: the way to its peer.
    func toPeer(_ route: RouteID) -> RouteID { entries[Int(route.slot)].toPeer }

    /// The number of a way; one more uses it.
    mutating func retain(_ identity: RouteIdentity) -> RouteID {
        // Comparing one is much cheaper than hashing.
        if entries.takenCount > 0, entries.isTaken(lastFound), entries[lastFound].identity == identity {
            entries[lastFound].users += 1
            return RouteID(slot: lastFound)
        }
        if let slot = numbers[identity] {
            lastFound = slot
            entries[slot].users += 1
            return RouteID(slot: slot)
        }
        let toPeer = identity.kind == .tunnel ? retain(identity.toPeer) : RouteID.direct
        let slot = entries.take { RouteEntry() }
        entries[slot] = RouteEntry(identity: identity, toPeer: toPeer, users: 1)
        numbers[identity] = slot
        for hop in [identity.outer, identity.inner] where !hop.isClear { settings[hop.settings].users += 1 }
        return RouteID(slot: slot)
    }

    /// One more uses a way that is in use.
    mutating func retain(_ route: RouteID) {
        if !isPermanent(route) { entries[Int(route.slot)].users += 1 }
    }

    private func isPermanent(_ route: RouteID) -> Bool { route.slot <= RouteID.raw.slot }

    /// One less uses it.
    mutating func release(_ route: RouteID) {
        if isPermanent(route) { return }
        let slot = Int(route.slot)
        entries[slot].users -= 1
        if entries[slot].users > 0 { return }
        let entry = entries[slot]
        numbers[entry.identity] = nil
        entries[slot] = RouteEntry()
        entries.release(slot)
        for hop in [entry.identity.outer, entry.identity.inner] where !hop.isClear {
            release(settings: hop.settings)
        }
        if entry.identity.kind == .tunnel { release(entry.toPeer) }
    }

    // TLS settings.

    /// The number of settings; one more uses them.
    mutating func retain(_ wanted: TLSSettings) -> Int {
        if let slot = settingsNumbers[wanted] {
            settings[slot].users += 1
            return slot
        }
        let slot = settings.take { TLSSettingsEntry() }
        settings[slot] = TLSSettingsEntry(settings: wanted, users: 1)
        settingsNumbers[wanted] = slot
        return slot
    }

    mutating func release(settings slot: Int) {
        settings[slot].users -= 1
        if settings[slot].users > 0 { return }
        settingsNumbers[settings[slot].settings] = nil
        settings[slot] = TLSSettingsEntry()
        settings.release(slot)
    }

    func settings(_ slot: Int) -> TLSSettings { settings[slot].settings }
}
