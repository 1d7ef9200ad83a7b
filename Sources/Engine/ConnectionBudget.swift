// ConnectionBudget.swift: what an engine asks before it dials, when limits are shared with other workers.
// Owns: the words of that talk. Who answers is outside the engine: a ledger under a lock, or one without in tests.
// Source: DESIGN "Threads"; RoomLedger.swift has the rules.
import Model

/// The right to have one connection open. Whoever holds it gives it back once, after its socket is closed.
package struct Room: Equatable, Sendable {
    /// Of the ledger's entry of the endpoint; negative: connections are counted in all, not by endpoint.
    let place: Int32

    init(place: Int) { self.place = Int32(place) }

    /// Where there is no limit for each endpoint.
    static let anywhere = Room(place: -1)
}

/// Whose wish a room fulfils that is handed over.
package struct Heir: Equatable, Sendable {
    package let worker: Int32
    /// Of the ledger's entry of the endpoint that the wish is for.
    let place: Int32
}

/// Which limit is meant.
package enum LimitScope: Equatable, Sendable {
    case endpoint
    case process
}

/// Idle connections that a worker could close.
package struct IdleRooms: Equatable, Sendable {
    /// Whether it has one to the endpoint in question.
    var hasOneOfEndpoint = false
    /// The room of the one that has been idle longest.
    var oldest: Room?
}

/// The answer to a worker that wants to dial.
package enum RoomAnswer: Equatable, Sendable {
    /// Dial.
    case room(Room)
    /// Wait until `BudgetNews.granted` comes.
    case wait(LimitScope)
    /// Close the idle connection, the endpoint's or the oldest, and hand its room to the heir: its wish has come first.
    /// - isOwn: the heir is who asked; else wait as well.
    case exchange(LimitScope, Heir, isOwn: Bool)
    /// There is no room, and waiting was not asked for.
    case refused
}

/// The answer to a worker that has a free connection while others wait.
package struct Claim: Equatable, Sendable {
    /// Close the connection and hand its room over; `nil`: keep it.
    package var heir: Heir?
    /// Whether anybody waits for room at its endpoint.
    package var isEndpointWanted = false
    /// Whether anybody waits for room in the process.
    package var isProcessWanted = false
}

/// What a worker is told about other workers.
package enum BudgetNews: Equatable, Sendable {
    /// A room that it wished for is its own. The others say whether somebody waits still.
    case granted(Endpoint, Room, isEndpointWanted: Bool, isProcessWanted: Bool)
    /// Somebody waits for room at this endpoint.
    case endpointWanted(Endpoint)
    /// Somebody waits for room in the process.
    case processWanted
}

/// The limits of a process as its engines see them. Asked when a connection is dialed, when a request has to wait, and
/// while somebody waits when a connection becomes free; never otherwise. Workers are numbered from 0.
package protocol ConnectionBudget: AnyObject {
    /// Asks for room for one connection.
    /// - Parameters:
    ///   - endpoint: where to.
    ///   - since: when the oldest request began to wait that the room is for. A worker has one wish for an endpoint:
    ///     asking again changes it.
    ///   - idle: what the worker could close for it.
    ///   - mayWait: `false`: have no wish noted unless an idle connection can be exchanged.
    ///   - worker: who asks.
    /// - Returns: room, or what to do to get it.
    func take(
        _ endpoint: Endpoint,
        since: Instant,
        idle: IdleRooms,
        mayWait: Bool,
        by worker: Int
    ) -> RoomAnswer

    /// Offers the room of a free connection. - Parameter bound: to wishes that are older than this.
    func claim(_ room: Room, olderThan bound: Instant) -> Claim

    /// Takes a wish back. A room that was granted already comes all the same.
    func withdraw(_ endpoint: Endpoint, by worker: Int)

    /// A connection goes to another worker, and its room with it: it is that worker's to give back.
    func move(_ room: Room, from worker: Int, to other: Int)

    /// Whether one more request may wait.
    var hasQueueRoom: Bool { get }

    /// Counts one more waiting request. - Returns: whether it may wait; always when it is `forced`.
    func enterQueue(forced: Bool) -> Bool

    func leaveQueue()
}
