// SimBudget.swift: the real ledger between the workers of a world, and a shadow that knows whose turn it is.
// Owns: what the ledger was asked and what came of it. Never touches: time; the world delivers the news.
import Engine
import Model

/// A wish that was met.
struct MetWish: Equatable {
    var worker: Int
    var endpoint: Endpoint
    var since: Instant
    /// Since when the oldest of those waits that its room could have served.
    var oldest: Instant
}

final class SimBudget: ConnectionBudget {
    private struct Wish {
        var worker: Int
        var endpoint: Endpoint
        var since: Instant
    }

    private(set) var ledger: RoomLedger
    private let hasEndpointLimit: Bool
    private let queueLengthMax: Int
    private(set) var queueLength = 0
    /// Ledger entries are not looked at: what is here was seen from outside.
    private var wishes: [Wish] = []
    private let sabotage: Sabotage?
    /// Since the world has taken them.
    var met: [MetWish] = []
    var news: [(worker: Int, news: BudgetNews)] = []

    init(_ scenario: Scenario, _ named: NamedSettings, _ sabotage: Sabotage?) {
        let limits = scenario.limits
        let excess = sabotage == .exceedLimits ? 1 : 0
        // Where members have some, only wishes for the same endpoint are compared.
        let ownMax = named.connectionLimits.mapValues { sabotage == .crowdMember ? $0 + 1 : $0 }
        hasEndpointLimit = limits.connectionsPerEndpointMax > 0 || !ownMax.isEmpty
        ledger = RoomLedger(
            connectionsMax: limits.connectionsMax + excess,
            connectionsPerEndpointMax:
                limits.connectionsPerEndpointMax > 0 ? limits.connectionsPerEndpointMax + excess : 0,
            ownMax: ownMax,
            workers: scenario.workerCount
        )
        queueLengthMax = limits.queueLengthMax
        self.sabotage = sabotage
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
        let told = sabotage == .jumpQueue ? Instant(nanoseconds: -since.nanoseconds) : since
        let answer = ledger.take(endpoint, since: told, idle: idle, mayWait: mayWait, by: worker)
        switch answer {
        case .room: forget(worker, endpoint)
        case .wait: note(worker, endpoint, since)
        case .exchange(_, let heir, _):
            note(worker, endpoint, since)
            meet(heir)
        case .refused: break
        }
        news += ledger.takeNews()
        return answer
    }

    func claim(_ room: Room, olderThan bound: Instant) -> Claim {
        let told =
            sabotage == .jumpQueue && bound != .never ? Instant(nanoseconds: -bound.nanoseconds) : bound
        let claim = ledger.claim(room, olderThan: told)
        if let heir = claim.heir { meet(heir) }
        news += ledger.takeNews()
        return claim
    }

    func withdraw(_ endpoint: Endpoint, by worker: Int) {
        ledger.withdraw(endpoint, by: worker)
        forget(worker, endpoint)
        news += ledger.takeNews()
    }

    func move(_ room: Room, from worker: Int, to other: Int) { ledger.move(room, from: worker, to: other) }

    var hasQueueRoom: Bool { queueLength < queueLengthMax }

    func enterQueue(forced: Bool) -> Bool {
        if !forced && !hasQueueRoom { return false }
        queueLength += 1
        return true
    }

    func leaveQueue() { queueLength -= 1 }

    func giveBack(_ room: Room, by worker: Int) {
        ledger.giveBack(room, by: worker)
        takeGrants(ledger.takeNews(), skipping: 0)
    }

    func handOver(_ room: Room, to heir: Heir, by worker: Int) {
        ledger.handOver(room, to: heir, by: worker)
        // The first grant is the heir's, whose wish was met when it claimed the room.
        takeGrants(ledger.takeNews(), skipping: 1)
    }

    private func takeGrants(_ fresh: [(worker: Int, news: BudgetNews)], skipping count: Int) {
        var left = count
        for (worker, news) in fresh {
            guard case .granted(let endpoint, _, _, _) = news else { continue }
            if left == 0 { meet(worker, endpoint) } else { left -= 1 }
        }
        news += fresh
    }

    // The shadow.

    private func note(_ worker: Int, _ endpoint: Endpoint, _ since: Instant) {
        forget(worker, endpoint)
        wishes.append(Wish(worker: worker, endpoint: endpoint, since: since))
    }

    private func forget(_ worker: Int, _ endpoint: Endpoint) {
        wishes.removeAll { $0.worker == worker && $0.endpoint == endpoint }
    }

    private func meet(_ heir: Heir) { meet(Int(heir.worker), ledger.endpoint(of: heir)) }

    private func meet(_ worker: Int, _ endpoint: Endpoint) {
        let rivals = wishes.filter { !hasEndpointLimit || $0.endpoint == endpoint }
        let own = rivals.first { $0.worker == worker && $0.endpoint == endpoint }
        let oldest = rivals.map(\.since).min()
        forget(worker, endpoint)
        met.append(
            MetWish(
                worker: worker,
                endpoint: endpoint,
                since: own?.since ?? .never,
                oldest: oldest ?? .never
            )
        )
    }
}
