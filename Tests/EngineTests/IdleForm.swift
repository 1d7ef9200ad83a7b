// IdleForm.swift: idle connections at the neighbour, worker 1, in few words.
import Model

@testable import Engine

/// The numbers of two workers.
final class LocalIdles: IdleDirectory {
    /// Of worker 0.
    private(set) var ownCount: Int32 = 0
    /// Buckets in which the neighbour has one.
    var neighbours: Set<Int> = []

    func add(_ change: Int32, bucket: Int, worker: Int) { ownCount += change }

    func find(bucket: Int, behind worker: Int, distance: Int) -> (worker: Int, distance: Int)? {
        distance <= 1 && neighbours.contains(bucket) ? (1, 1) : nil
    }
}

extension Rig {
    private func key(_ endpoint: Character) -> PoolKey {
        PoolKey(endpoint: .lettered(endpoint), route: .direct, localAddress: nil)
    }

    /// The neighbour has idle connections, as far as its numbers say; `nil`: none.
    func neighbourHasIdle(_ endpoint: Character? = "a") {
        guard let endpoint else { return idles.neighbours.removeAll() }
        idles.neighbours.insert(IdleBuckets.bucket(of: .lettered(endpoint), RouteIdentity()))
    }

    /// The neighbour has news of idle connections.
    func neighbourTells(_ news: IdleNews) { tell { $0.told(news, now: $1) } }

    /// The neighbour asks for an idle connection.
    func neighbourWantsIdle(_ endpoint: Character = "a") {
        neighbourTells(.wanted(engine.portable(key(endpoint)), by: 1, AskID(slot: 0, generation: 0)))
    }

    /// It has none for whoever asked first.
    func neighbourHasNone() { neighbourTells(IdleNews.none(asks.removeFirst())) }

    /// It sends back the first that it was sent, for whoever asked first.
    func neighbourSendsIdle() {
        let (socket, sent) = idleParcels.removeFirst()
        budget.ledger.move(sent.room, from: 1, to: 0)
        let parcel = IdleParcel(
            target: sent.target,
            ask: asks.removeFirst(),
            room: sent.room,
            connection: sent.connection
        )
        come(socket) { $0.adopted(parcel, now: $1) }
    }

    /// It closes the first that it was sent.
    func neighbourLosesIdle() { neighbourGivesBack(idleParcels.removeFirst().parcel.room) }

    /// A connection to an endpoint that the neighbour was sent, with nothing written down.
    func movedAway(_ socket: Int = 0, _ endpoint: String = "a") {
        warm(socket, 99, endpoint)
        pass(20)
        neighbourWantsIdle(Character(endpoint))
        neighbourHasIdle(Character(endpoint))
        forget()
    }
}
