// RoomLedger.swift: who may have how many connections, over all workers: the limits of endpoint and process, exactly.
// Owns: counts of rooms, wishes. Never touches: threads, locks, sockets, the clock. Source: DESIGN "Threads", step 4.
//
// A connection needs a room from before it is dialed until after its socket is closed. So no limit is ever exceeded:
// 1. Rooms are given out only while endpoint and process are below their limits; giving back comes after the close.
// 2. A wish is what a worker has when it got no room: one for each endpoint, as old as the first request it is for.
//    No wish waits while there is room for it; of those that there is room for, the oldest is granted.
// 3. A free connection of any worker is offered. The oldest wish that its room can serve claims it if it is older than
//    the request that the worker would give it to. It is met at once, so that nothing is given up twice for it; the room
//    changes hands when the socket is closed.
// 4. Whoever has connections learns when somebody begins to wait, and offers from then on what it has idle and what
//    becomes free, until it hears in the answer to an offer that nobody waits.
// Thus the oldest wish waits only for connections that serve older requests, or that are in use.
import Model

/// Wishes and rooms. Worker numbers are below `workers`.
package struct RoomLedger: Sendable {
    private struct Wish: Equatable {
        var worker: Int
        var since: Instant
        /// Tells wishes of one instant apart.
        var number: UInt64

        func isBefore(_ other: Wish) -> Bool {
            since == other.since ? number < other.number : since < other.since
        }
    }

    private struct Entry {
        var endpoint: Endpoint
        /// Its limit; 0: none.
        var roomsMax: Int
        /// Rooms given out; counted when there is a limit.
        var rooms = 0
        /// The same by worker.
        var held: [Int32]
        /// Wishes that were met and whose room is still to be handed over.
        var heirs = 0
        /// Oldest first.
        var wishes: [Wish] = []
        /// The wish by which it stands in `ready`.
        var readyBy: Wish?
        /// Whether the workers that have rooms know that somebody waits.
        var isAnnounced = false
        var isTaken = true
    }

    private struct Ready {
        var wish: Wish
        var place: Int
    }

    private let roomsMax: Int
    private let roomsPerEndpointMax: Int
    /// Of endpoints that have one of their own.
    private let ownMax: [Endpoint: Int]
    private let workers: Int
    private var rooms = 0
    private var entries: [Entry] = []
    private var free: [Int] = []
    private var placeByEndpoint: [Endpoint: Int] = [:]
    /// The oldest wish of each endpoint that is below its limit, oldest first: empty unless the process is at its own.
    private var ready: [Ready] = []
    private var isProcessAnnounced = false
    private var nextNumber: UInt64 = 0
    /// Places that the call under way has changed.
    private var changed: [Int] = []
    private var news: [(worker: Int, news: BudgetNews)] = []

    /// - Parameters:
    ///   - connectionsMax: in all.
    ///   - connectionsPerEndpointMax: 0: no limit.
    ///   - ownMax: of single endpoints, where that is less.
    ///   - workers: how many share them.
    package init(
        connectionsMax: Int,
        connectionsPerEndpointMax: Int,
        ownMax: [Endpoint: Int] = [:],
        workers: Int
    ) {
        self.ownMax = ownMax
        roomsMax = connectionsMax
        roomsPerEndpointMax = connectionsPerEndpointMax
        self.workers = workers
    }

    /// Rooms given out.
    package var count: Int { rooms }

    /// Wishes that wait.
    package var wishCount: Int { entries.reduce(0) { $0 + $1.wishes.count } }

    /// Endpoints that are remembered.
    package var entryCount: Int { placeByEndpoint.count }

    /// What is to be told to whom since the last call.
    package mutating func takeNews() -> [(worker: Int, news: BudgetNews)] {
        if news.isEmpty { return [] }
        defer { news = [] }
        return news
    }

    /// Which endpoint a wish was for that has claimed a room.
    package func endpoint(of heir: Heir) -> Endpoint { entries[Int(heir.place)].endpoint }

    // The calls.

    /// As `ConnectionBudget.take`.
    package mutating func take(
        _ endpoint: Endpoint,
        since: Instant,
        idle: IdleRooms,
        mayWait: Bool,
        by worker: Int
    ) -> RoomAnswer {
        if rooms < roomsMax && roomsMax(at: endpoint) == 0 {
            rooms += 1
            return .room(.anywhere)
        }
        let place = find(endpoint)
        defer { settle(asker: worker) }
        if isOpen(place) && rooms < roomsMax {
            precondition(entries[place].wishes.isEmpty, "a wish waits although there is room")
            occupy(place, worker)
            rooms += 1
            return .room(Room(place: place))
        }
        let scope = isOpen(place) ? LimitScope.process : .endpoint
        let spare =
            switch scope {
            case .endpoint: idle.hasOneOfEndpoint ? Room(place: place) : nil
            case .process: idle.oldest
            }
        if spare == nil && !mayWait { return .refused }
        wish(place, worker, since)
        guard let spare else { return .wait(scope) }
        guard let heir = meet(spare, olderThan: .never) else {
            preconditionFailure("an idle connection serves nobody")
        }
        return .exchange(scope, heir, isOwn: Int(heir.worker) == worker && Int(heir.place) == place)
    }

    /// As `ConnectionBudget.claim`.
    package mutating func claim(_ room: Room, olderThan bound: Instant) -> Claim {
        var claim = Claim(heir: meet(room, olderThan: bound))
        settle(asker: nil)
        claim.isEndpointWanted = room != .anywhere && !entries[Int(room.place)].wishes.isEmpty
        claim.isProcessWanted = !ready.isEmpty
        return claim
    }

    /// As `ConnectionBudget.withdraw`.
    package mutating func withdraw(_ endpoint: Endpoint, by worker: Int) {
        guard let place = placeByEndpoint[endpoint] else { return }
        remove(worker, from: place)
        settle(asker: worker)
    }

    /// The socket that had the room is closed.
    package mutating func giveBack(_ room: Room, by worker: Int) {
        rooms -= 1
        precondition(rooms >= 0, "a room is given back twice")
        vacate(room, worker)
        grantAll()
        settle(asker: nil)
    }

    /// The socket that had the room is closed, and whose wish has claimed it gets it.
    package mutating func handOver(_ room: Room, to heir: Heir, by worker: Int) {
        let place = Int(heir.place)
        entries[place].heirs -= 1
        if room.place == heir.place {
            entries[place].held[worker] -= 1
            entries[place].held[Int(heir.worker)] += 1
        } else {
            vacate(room, worker)
        }
        tell(place, Int(heir.worker))
        changed.append(place)
        grantAll()
        settle(asker: nil)
    }

    /// As `ConnectionBudget.move`. Nobody has to be told who waits: a pinned connection is not offered.
    package mutating func move(_ room: Room, from worker: Int, to other: Int) {
        if room == .anywhere { return }
        entries[Int(room.place)].held[worker] -= 1
        entries[Int(room.place)].held[other] += 1
    }

    // Rooms.

    private func isOpen(_ place: Int) -> Bool {
        entries[place].roomsMax == 0 || entries[place].rooms < entries[place].roomsMax
    }

    /// 0: no limit.
    private func roomsMax(at endpoint: Endpoint) -> Int {
        if ownMax.isEmpty { return roomsPerEndpointMax }
        guard let own = ownMax[endpoint] else { return roomsPerEndpointMax }
        return roomsPerEndpointMax == 0 ? own : min(own, roomsPerEndpointMax)
    }

    /// Counts a room at an endpoint; in all it is counted by the caller.
    private mutating func occupy(_ place: Int, _ worker: Int) {
        if entries[place].roomsMax == 0 { return }
        entries[place].rooms += 1
        entries[place].held[worker] += 1
        renew(place)
    }

    private mutating func vacate(_ room: Room, _ worker: Int) {
        if room == .anywhere { return }
        let place = Int(room.place)
        entries[place].rooms -= 1
        entries[place].held[worker] -= 1
        precondition(entries[place].held[worker] >= 0, "a room is given back by another")
        renew(place)
    }

    /// Gives out what has become free.
    private mutating func grantAll() {
        while rooms < roomsMax, let first = ready.first {
            rooms += 1
            remove(first.wish.worker, from: first.place)
            occupy(first.place, first.wish.worker)
            tell(first.place, first.wish.worker)
        }
    }

    /// Tells a worker that a room is its own.
    private mutating func tell(_ place: Int, _ worker: Int) {
        let granted = BudgetNews.granted(
            entries[place].endpoint,
            entries[place].roomsMax == 0 ? .anywhere : Room(place: place),
            isEndpointWanted: !entries[place].wishes.isEmpty,
            isProcessWanted: !ready.isEmpty
        )
        news.append((worker, granted))
    }

    /// Meets the oldest wish that a connection's room can serve: one at the same endpoint that is at its limit, or any at
    /// an endpoint below its limit when the process is at its own.
    private mutating func meet(_ room: Room, olderThan bound: Instant) -> Heir? {
        var best = ready.first
        if room != .anywhere, let first = entries[Int(room.place)].wishes.first,
            best.map({ first.isBefore($0.wish) }) ?? true
        {
            best = Ready(wish: first, place: Int(room.place))
        }
        guard let best, best.wish.since < bound else { return nil }
        remove(best.wish.worker, from: best.place)
        entries[best.place].heirs += 1
        if best.place != Int(room.place) { occupy(best.place, best.wish.worker) }
        return Heir(worker: Int32(best.wish.worker), place: Int32(best.place))
    }

    // Wishes.

    private mutating func wish(_ place: Int, _ worker: Int, _ since: Instant) {
        if let old = entries[place].wishes.first(where: { $0.worker == worker }) {
            if old.since == since { return }
            remove(worker, from: place)
        }
        nextNumber += 1
        let wish = Wish(worker: worker, since: since, number: nextNumber)
        let index = entries[place].wishes.firstIndex { wish.isBefore($0) } ?? entries[place].wishes.count
        entries[place].wishes.insert(wish, at: index)
        renew(place)
    }

    private mutating func remove(_ worker: Int, from place: Int) {
        guard let index = entries[place].wishes.firstIndex(where: { $0.worker == worker }) else { return }
        entries[place].wishes.remove(at: index)
        renew(place)
    }

    /// Brings `ready` up to date.
    private mutating func renew(_ place: Int) {
        changed.append(place)
        let wish = isOpen(place) ? entries[place].wishes.first : nil
        if wish == entries[place].readyBy { return }
        if let old = entries[place].readyBy { ready.remove(at: readyIndex(old)) }
        entries[place].readyBy = wish
        if let wish { ready.insert(Ready(wish: wish, place: place), at: readyIndex(wish)) }
    }

    /// Where a wish stands in `ready`, or belongs.
    private func readyIndex(_ wish: Wish) -> Int {
        var low = 0
        var high = ready.count
        while low < high {
            let middle = (low + high) / 2
            if ready[middle].wish.isBefore(wish) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // At the end of each call.

    /// Announces who waits, and forgets endpoints of which nothing is left.
    private mutating func settle(asker: Int?) {
        for place in changed where entries[place].isTaken {
            if entries[place].wishes.isEmpty {
                entries[place].isAnnounced = false
                if entries[place].rooms == 0 && entries[place].heirs == 0 { forget(place) }
            } else if !isOpen(place) && !entries[place].isAnnounced {
                entries[place].isAnnounced = true
                for worker in 0..<workers where entries[place].held[worker] > 0 && worker != asker {
                    news.append((worker, .endpointWanted(entries[place].endpoint)))
                }
            }
        }
        changed.removeAll(keepingCapacity: true)
        if ready.isEmpty {
            isProcessAnnounced = false
        } else if !isProcessAnnounced {
            isProcessAnnounced = true
            for worker in 0..<workers where worker != asker { news.append((worker, .processWanted)) }
        }
    }

    private mutating func find(_ endpoint: Endpoint) -> Int {
        if let place = placeByEndpoint[endpoint] { return place }
        let place: Int
        if let last = free.popLast() {
            place = last
            entries[place].endpoint = endpoint
            entries[place].roomsMax = roomsMax(at: endpoint)
            entries[place].isTaken = true
        } else {
            place = entries.count
            let held = [Int32](repeating: 0, count: workers)
            entries.append(Entry(endpoint: endpoint, roomsMax: roomsMax(at: endpoint), held: held))
        }
        placeByEndpoint[endpoint] = place
        changed.append(place)
        return place
    }

    private mutating func forget(_ place: Int) {
        placeByEndpoint[entries[place].endpoint] = nil
        entries[place].isTaken = false
        free.append(place)
    }
}
