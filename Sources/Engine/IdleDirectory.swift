// IdleDirectory.swift: what an engine asks where idle connections may be at another worker, and what workers tell each other
// of them. Owns: the words of that talk. Who answers is outside the engine. Source: DESIGN "Threads".
import Model

/// A question for an idle connection, as the worker that asks names it.
package struct AskID: Hashable, Sendable {
    let slot: UInt32
    let generation: UInt32
}

/// What one worker tells another about idle connections.
package enum IdleNews: Sendable {
    /// Hand over one that has been idle for a while.
    case wanted(PoolTarget, by: Int, AskID)
    /// The worker that was asked has none to spare.
    case none(AskID)
}

/// An idle connection on its way from one worker to another, without its socket.
package struct IdleParcel: Sendable {
    let target: PoolTarget
    let ask: AskID
    let room: Room
    let connection: ParcelledConnection
}

/// How many idle connections each worker has, by bucket: keys that share a bucket are told apart by whom is asked. Told of
/// each connection that becomes idle or is taken, asked only where one is to be dialed. May be behind the truth.
package protocol IdleDirectory: AnyObject {
    /// One more, or with -1 one less, at `worker`, which is the only one that says so of itself.
    func add(_ change: Int32, bucket: Int, worker: Int)

    /// The nearest worker behind `worker`, and behind all of them the first again, that has one and is at least `distance`
    /// behind it; with its own distance.
    func find(bucket: Int, behind worker: Int, distance: Int) -> (worker: Int, distance: Int)?
}

/// Buckets of an `IdleDirectory`.
package enum IdleBuckets {
    package static let count = 256

    /// The same in every worker.
    static func bucket(of endpoint: Endpoint, _ route: RouteIdentity) -> Int {
        var hash = FNV()
        hash.add(endpoint)
        hash.add(route.authority)
        hash.add(route.outer.serverName)
        hash.add(route.inner.serverName)
        return Int(hash.value % UInt64(count))
    }
}
