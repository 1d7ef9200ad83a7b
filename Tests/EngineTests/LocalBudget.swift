// LocalBudget.swift: the ledger without threads: the rig's worker is number 0, the test plays the others.
import Engine
import Model

/// A ledger whose news wait here until they are taken.
final class LocalBudget: ConnectionBudget {
    var ledger: RoomLedger
    private let queueLengthMax: Int
    private var queueLength = 0

    init(_ limits: Limits, _ named: NamedSettings, workers: Int) {
        ledger = RoomLedger(
            connectionsMax: limits.connectionsMax,
            connectionsPerEndpointMax: limits.connectionsPerEndpointMax,
            ownMax: named.connectionLimits,
            workers: workers
        )
        queueLengthMax = limits.queueLengthMax
    }

    func take(
        _ endpoint: Endpoint,
        since: Instant,
        idle: IdleRooms,
        mayWait: Bool,
        by worker: Int
    )
        -> RoomAnswer
    {
        ledger.take(endpoint, since: since, idle: idle, mayWait: mayWait, by: worker)
    }

    func claim(_ room: Room, olderThan bound: Instant) -> Claim { ledger.claim(room, olderThan: bound) }

    func withdraw(_ endpoint: Endpoint, by worker: Int) { ledger.withdraw(endpoint, by: worker) }

    func move(_ room: Room, from worker: Int, to other: Int) { ledger.move(room, from: worker, to: other) }

    var hasQueueRoom: Bool { queueLength < queueLengthMax }

    func enterQueue(forced: Bool) -> Bool {
        if !forced && !hasQueueRoom { return false }
        queueLength += 1
        return true
    }

    func leaveQueue() { queueLength -= 1 }
}
