// GroupTable.swift: the groups of one worker: members, load, retries, who waits; and what a request of a group carries.
// Owns: numbers of groups and their look-up. Never touches: connections. Source: issue "Groups"; Sources/Balancing.
import Balancing
import Model

/// One group of this worker.
struct GroupState {
    var settings: NamedGroup
    var balancing: Group
    var budget: RetryBudget
    let endpoints: [Endpoint]
    let names: [String]
    /// Of a group without a name: health is this worker's own, but for the back-off of its endpoints.
    var ledger: HealthLedger?
    /// Requests of it that are open.
    var users = 0
    /// Requests that wait for a member, first come first; of each session and way one that waits for room.
    var queue = SlotList()
    /// Requests that wait behind those (GroupLines.swift).
    var lined = 0
    /// When those are looked at again without news.
    var wakeAt = Instant.never
    /// Until when members may be marked as full.
    var fullUntil = Instant.never
    /// For groups without a name: the last use, and how often the place was given to another.
    var usedAt: Instant
    var generation: Int32 = 0
    /// Idle connections to each member that this worker keeps ready, and the way of them.
    var standby = Standby()
    /// The way that the configuration says its requests take; `nil`: it says nothing.
    var expectedWay: RouteID?
    /// Members whose TLS failed for requests of some ways.
    var doubts = Doubts()
    /// Of sessions with many requests of it under way.
    var window = WindowState()

    init(_ settings: NamedGroup, spread: Int, now: Instant) {
        self.settings = settings
        balancing = Group(settings, spread: spread, now: now)
        budget = RetryBudget(settings.retry, now: now)
        endpoints = settings.members.map(\.endpoint)
        names = settings.members.map(\.name)
        usedAt = now
    }
}

/// What a stream of a group carries beside what all streams do; by slot of the stream.
struct Errand {
    /// The hash policy's key.
    var key: UInt64 = 0
    var tried = Tried()
    /// The member of the attempt that is under way; negative: none.
    var member = -1
    /// The member of the last one.
    var lastMember = -1
    /// When the attempt began.
    var attemptAt = Instant(nanoseconds: 0)
    /// Since when it wants a member: its place among those that wait.
    var since = Instant(nanoseconds: 0)
    /// Whether the attempt, or the one to come, counts as a retry.
    var isRetry = false
    /// Whether it goes to a member that is well, and so counts as none.
    var wantsWell = false
    /// Whether it waits for a member: in the group's queue, or behind others of its session.
    var isQueued = false
    /// Whether it was let in before, and is not turned away any more.
    var isAdmitted = false
    /// Whether its time for waiting has begun, and no connection has served it since.
    var isTimed = false
    var isInQueue = false
    /// Its session's line, once it has had to wait for room.
    var line: Int?
    var isLined = false
    /// Of the reply that has begun; 0: none.
    var status = 0
    /// Why its last attempt reached no member; `nil`: it did, or there was none.
    var failure: AttemptFailure?
}

/// A member as a connection remembers it, and what the connection is for.
struct MemberTag: Equatable {
    enum Duty: UInt8 {
        /// It was dialed for a request.
        case attempt
        /// It is being dialed to be kept ready.
        case standby
        /// A check goes over it.
        case check
    }

    var group: Int32 = -1
    var generation: Int32 = 0
    var member: Int32 = 0
    var duty = Duty.attempt

    static let none = MemberTag()
}

/// All groups of a worker: those of the configuration first, by number, then those without a name.
struct GroupTable {
    var states: [GroupState] = []
    /// Hash of the name and number, by hash: one look-up without a string.
    private var hashes: [(hash: UInt64, number: Int)] = []
    private var names: [[UInt8]] = []
    /// Groups of the configuration.
    private(set) var namedCount = 0
    /// Groups without a name, by what they are.
    var adHoc: [AdHocGroup: Int] = [:]
    /// Of those.
    var endpoints = EndpointPlaces()
    var backOffs = EndpointBackOffs()
    /// Links of `GroupState.queue`, by slot of the stream.
    var links = SlotLinks()
    /// When the first group looks at its queue again.
    var wakeAt = Instant.never

    init(_ named: NamedSettings, worker: Int, workers: Int, now: Instant) {
        for (number, (name, group)) in named.numberedGroups.enumerated() {
            var state = GroupState(group, spread: worker, now: now)
            state.standby.countMin = Standby.share(of: group.standbyConnectionsMin, worker, workers)
            state.standby.members = Array(repeating: Standby.Member(), count: group.members.count)
            states.append(state)
            names.append(Array(name.utf8))
            let hash = HashKey.of(Array(name.utf8).span)
            hashes.append((hash, number))
        }
        hashes.sort { $0.hash < $1.hash }
        namedCount = states.count
    }

    /// The number of the group with that name.
    func find(_ name: Span<UInt8>) -> Int? {
        let hash = HashKey.of(name)
        var low = 0
        var high = hashes.count
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        while low < hashes.count, hashes[low].hash == hash {
            if isName(name, names[hashes[low].number]) { return hashes[low].number }
            low += 1
        }
        return nil
    }

    private func isName(_ name: Span<UInt8>, _ other: [UInt8]) -> Bool {
        guard name.count == other.count else { return false }
        for index in name.indices where name[index] != other[index] { return false }
        return true
    }

    /// Empty: it has none.
    func name(_ number: Int) -> String {
        isAdHoc(number) ? "" : String(decoding: names[number], as: UTF8.self)
    }

    /// Whether the group has no name, and so no ledger that workers share.
    func isAdHoc(_ number: Int) -> Bool { number >= namedCount }

    func tag(_ group: Int, _ member: Int) -> MemberTag {
        MemberTag(group: Int32(group), generation: states[group].generation, member: Int32(member))
    }

    /// The place that a tag means; `nil`: none, or its group is no more.
    func place(_ tag: MemberTag) -> MemberPlace? {
        let group = Int(tag.group)
        guard group >= 0, group < states.count, states[group].generation == tag.generation else { return nil }
        return MemberPlace(group: group, member: Int(tag.member))
    }
}
