// SharedBudget.swift: the limits of the process for workers that are threads: the ledger under a lock.
// Owns: the lock, and who is told through which mailbox. Never decides: that is RoomLedger's. Source: DESIGN "Threads".
//
// One lock for all endpoints, and not one for each: a wish for room in the process has to be compared with those at other
// endpoints. It is taken for a dial, a close and a request that waits, and costs nothing that could be measured beside
// the kernel's work for a connection (60 µs a request); a request on a connection that stands never sees it.
import Engine
import EventLoop
import Model
import Synchronization

/// Asked by the engines of all workers, each on its thread.
final class SharedBudget: ConnectionBudget, Sendable {
    private let ledger: Guarded<RoomLedger>
    /// Requests that wait.
    private let queueLength = Atomic<Int>(0)
    private let queueLengthMax: Int
    /// By number of the worker.
    private let mailboxes: [Mailbox<WorkerMessage>]

    /// - Parameters:
    ///   - limits: of the process.
    ///   - named: whose groups say limits of single endpoints.
    ///   - mailboxes: of all workers.
    init(_ limits: Limits, _ named: NamedSettings, _ mailboxes: [Mailbox<WorkerMessage>]) {
        ledger = Guarded(
            RoomLedger(
                connectionsMax: limits.connectionsMax,
                connectionsPerEndpointMax: limits.connectionsPerEndpointMax,
                ownMax: named.connectionLimits,
                workers: mailboxes.count
            )
        )
        queueLengthMax = limits.queueLengthMax
        self.mailboxes = mailboxes
    }

    // What engines call.

    func take(
        _ endpoint: Endpoint,
        since: Instant,
        idle: IdleRooms,
        mayWait: Bool,
        by worker: Int
    )
        -> RoomAnswer
    {
        let (answer, news) = ledger.withLock {
            ($0.take(endpoint, since: since, idle: idle, mayWait: mayWait, by: worker), $0.takeNews())
        }
        post(news)
        return answer
    }

    func claim(_ room: Room, olderThan bound: Instant) -> Claim {
        let (claim, news) = ledger.withLock { ($0.claim(room, olderThan: bound), $0.takeNews()) }
        post(news)
        return claim
    }

    func withdraw(_ endpoint: Endpoint, by worker: Int) {
        let news = ledger.withLock {
            $0.withdraw(endpoint, by: worker)
            return $0.takeNews()
        }
        post(news)
    }

    func move(_ room: Room, from worker: Int, to other: Int) {
        ledger.withLock { $0.move(room, from: worker, to: other) }
    }

    var hasQueueRoom: Bool { queueLength.load(ordering: .relaxed) < queueLengthMax }

    func enterQueue(forced: Bool) -> Bool {
        let before = queueLength.add(1, ordering: .relaxed).oldValue
        if forced || before < queueLengthMax { return true }
        queueLength.subtract(1, ordering: .relaxed)
        return false
    }

    func leaveQueue() { queueLength.subtract(1, ordering: .relaxed) }

    // What workers call, with the socket closed.

    /// - Returns: news for the worker itself.
    func giveBack(_ room: Room, by worker: Int) -> [BudgetNews] {
        let news = ledger.withLock {
            $0.giveBack(room, by: worker)
            return $0.takeNews()
        }
        return post(news, butReturnThoseFor: worker)
    }

    /// - Returns: news for the worker itself.
    func handOver(_ room: Room, to heir: Heir, by worker: Int) -> [BudgetNews] {
        let news = ledger.withLock {
            $0.handOver(room, to: heir, by: worker)
            return $0.takeNews()
        }
        return post(news, butReturnThoseFor: worker)
    }

    // The order in which news arrive does not matter, so that they are posted without the lock.

    private func post(_ news: [(worker: Int, news: BudgetNews)]) {
        for (worker, news) in news { mailboxes[worker].post(.budget(news)) }
    }

    private func post(
        _ news: [(worker: Int, news: BudgetNews)],
        butReturnThoseFor own: Int
    ) -> [BudgetNews] {
        var rest: [BudgetNews] = []
        for (worker, news) in news {
            if worker == own { rest.append(news) } else { mailboxes[worker].post(.budget(news)) }
        }
        return rest
    }
}
