// Targets.swift: what is known by pool key and by endpoint: idle connections, who waits, how many there are.
// Owns: the tables and their look-up. Never touches: connections themselves. Source: DESIGN "Words", pool.
import Model

/// All connections of one pool key.
struct Target {
    var key: PoolKey
    /// Slot of the endpoint's state.
    var endpoint: Int
    /// Where the idle ones count in the directory.
    var bucket = 0
    /// Idle connections, the newest last.
    var idle = SlotList()
    /// Waiters, first come first.
    var waiters = SlotList()
    /// Waiters behind others of their session, which are not among those.
    var lined = 0
    /// Questions to other workers that nobody waits for any more: the next waiter does, in place of a dial.
    var strayAsks = SlotList()
    /// Connections in any state.
    var connections = 0
}

/// All connections of one endpoint, over all pool keys.
struct EndpointState {
    var endpoint: Endpoint
    /// Targets and shares that refer to it, and whether its window is kept.
    fileprivate(set) var users = 0
    /// Waiters that a limit keeps from dialing, first come first.
    var blocked = SlotList()
    /// Since when the first of them waits, as the budget was told; `never`: it knows of no wish.
    var wishSince = Instant.never
    /// Idle connections, the one that waits longest first; kept only where endpoints have a limit.
    var idle = SlotList()
    /// Whether any worker waits for room here, as far as this one knows.
    fileprivate(set) var isWanted = false
    /// Of sessions with many requests under way here.
    var window = WindowState()
}

/// A stream's claim on a connection to one of its endpoints.
struct Waiter {
    var stream = 0
    var target = 0
    /// Index into the stream's endpoints.
    var endpointIndex = 0
    var startedAt = Instant(nanoseconds: 0)
    /// Since when it stands in the line of all; those of earlier times come first.
    var queuedAt = Instant(nanoseconds: 0)
    /// Its session's line, when it is in it.
    var line: Int?
    /// When a transport stood for it.
    var transportAt: Instant?
    /// Whether an idle connection to its tunnel's peer has failed it.
    var isFreshOnly = false
    /// Workers from here on have not been asked for an idle connection yet, counted from this one.
    var askNext = 1
    var dial = WaiterDial.none
    /// Of a stream that waits for any member of a group: the one that this is about; negative: it is at its member.
    var member: Int32 = -1
    /// Whether it counts in the queue of the process while a limit blocks it.
    var isCounted = true
}

/// What a waiter does about getting a connection of its own.
enum WaiterDial: Equatable {
    /// Nothing: another connection is on the way for it.
    case none
    /// A connection (slot) is being established for it.
    case dialing(Int)
    /// A limit is reached.
    case blocked
    /// A limit is reached, and another of its session waits for the same.
    case lined
    /// Another worker was asked (slot of the question) for an idle connection.
    case asking(Int)
}

/// Targets and endpoints by slot and by key. Both leave when nothing refers to them.
struct TargetTable: ~Copyable {
    private var targets = SlotTable<Target>()
    private var endpoints = SlotTable<EndpointState>()
    /// Ways that targets, and streams, refer to.
    var routes = RouteTable()
    private var slotByKey: [PoolKey: Int] = [:]
    private var slotByEndpoint: [Endpoint: Int] = [:]
    /// Where targets were found last, by `hint(of:)`: what is there is compared whole, as hashing costs more than that.
    private var hints = InlineArray<64, Int32>(repeating: 0)
    /// Endpoints whose `isWanted` holds.
    private(set) var wantedCount = 0

    /// Targets that exist.
    var count: Int { targets.takenCount }

    mutating func find(_ key: PoolKey) -> Int? {
        let hint = Self.hint(of: key)
        let last = Int(hints[hint])
        if last < targets.slotCount && targets.isTaken(last) && targets[last].key == key { return last }
        guard let slot = slotByKey[key] else { return nil }
        hints[hint] = Int32(slot)
        return slot
    }

    /// Where in `hints` to look; keys that share a place take turns in it.
    private static func hint(of key: PoolKey) -> Int {
        let number: UInt64
        switch key.endpoint {
        case .ip(.v4(let bytes), let port): number = UInt64(bytes) &+ UInt64(port) &<< 32
        case .ip(.v6(_, let low, _), let port): number = low &+ UInt64(port) &<< 32
        case .unix(let path): number = UInt64(path.last ?? 0)
        }
        return Int(((number &+ UInt64(key.route.slot)) &* 0x9E37_79B9_7F4A_7C15) >> 58)
    }

    func find(endpoint: Endpoint) -> Int? { slotByEndpoint[endpoint] }

    mutating func setWanted(_ endpoint: Int, _ isWanted: Bool) {
        if endpoints[endpoint].isWanted == isWanted { return }
        endpoints[endpoint].isWanted = isWanted
        wantedCount += isWanted ? 1 : -1
    }

    /// The target of `key`, made when there is none.
    mutating func make(_ key: PoolKey) -> Int {
        if let slot = find(key) { return slot }
        let endpoint = makeEndpoint(key.endpoint)
        routes.retain(key.route)
        endpoints[endpoint].users += 1
        let bucket = IdleBuckets.bucket(of: key.endpoint, routes.identity(key.route))
        let fresh = Target(key: key, endpoint: endpoint, bucket: bucket)
        let slot = targets.take { fresh }
        targets[slot] = fresh
        slotByKey[key] = slot
        return slot
    }

    /// Forgets the target when nothing refers to it any more.
    mutating func removeIfUnused(_ slot: Int) {
        guard targets.isTaken(slot), targets[slot].connections == 0, targets[slot].waiters.count == 0,
            targets[slot].lined == 0, targets[slot].strayAsks.count == 0
        else {
            return
        }
        precondition(targets[slot].idle.count == 0, "an idle connection is not counted")
        let endpoint = targets[slot].endpoint
        slotByKey[targets[slot].key] = nil
        routes.release(targets[slot].key.route)
        targets.release(slot)
        release(endpoint: endpoint)
    }

    /// The endpoint of a pool key that a target may be made for; whoever it is made for retains it at once.
    mutating func makeEndpoint(of key: PoolKey) -> Int {
        if let target = find(key) { return targets[target].endpoint }
        return makeEndpoint(key.endpoint)
    }

    mutating func retain(endpoint: Int) { endpoints[endpoint].users += 1 }

    /// Forgets the endpoint when nobody retains it any more.
    mutating func release(endpoint: Int) {
        endpoints[endpoint].users -= 1
        if endpoints[endpoint].users > 0 { return }
        setWanted(endpoint, false)
        slotByEndpoint[endpoints[endpoint].endpoint] = nil
        endpoints.release(endpoint)
    }

    /// A target by slot.
    subscript(_ slot: Int) -> Target {
        @inline(__always) _read { yield targets[slot] }
        @inline(__always) _modify { yield &targets[slot] }
    }

    /// An endpoint's state by slot.
    subscript(endpoint slot: Int) -> EndpointState {
        @inline(__always) _read { yield endpoints[slot] }
        @inline(__always) _modify { yield &endpoints[slot] }
    }

    func isEndpointTaken(_ slot: Int) -> Bool { endpoints.isTaken(slot) }

    /// As above.
    mutating func makeEndpoint(_ endpoint: Endpoint) -> Int {
        if let slot = slotByEndpoint[endpoint] { return slot }
        let fresh = EndpointState(endpoint: endpoint)
        let slot = endpoints.take { fresh }
        endpoints[slot] = fresh
        slotByEndpoint[endpoint] = slot
        return slot
    }
}
