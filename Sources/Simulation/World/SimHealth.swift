// SimHealth.swift: the real ledgers of groups' members between the workers of a world.
// Owns: news that are on their way. Never touches: time; the world delivers them.
import Balancing
import Engine
import Model

/// The ledgers without a lock.
final class SimHealth: HealthDirectory {
    private(set) var book: HealthBook
    let workers: Int
    /// Since the world has taken them.
    var news: [GroupNews] = []
    /// When the last ones arrive at each worker.
    var mailAt: [Instant]
    private let sabotage: Sabotage?

    init(_ scenario: Scenario, _ named: NamedSettings, _ sabotage: Sabotage?, now: Instant) {
        book = HealthBook(named, seed: scenario.seed, now: now)
        self.sabotage = sabotage
        workers = scenario.workerCount
        mailAt = Array(repeating: now, count: scenario.workerCount)
    }

    func record(_ result: MemberResult, of place: MemberPlace, now: Instant) {
        if sabotage == .overlookFailures && result == .dialFailed { return }
        book.record(result, of: place, now: now)
        news += book.takeNews()
    }

    func share(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant) {
        book.share(shared, of: endpoint, now: now)
        news += book.takeNews()
    }

    func enterQueue(_ group: Int, having own: Int, forced: Bool) -> Bool {
        book.enterQueue(group, having: own, forced: forced)
    }

    func leaveQueue(_ group: Int) { book.leaveQueue(group) }

    /// Requests that wait, as the ledgers count them.
    var waitingCount: Int { book.waitingCount }

    func takeSettings(_ groups: [String: NamedGroup]) {
        book.takeSettings(groups)
        news += book.takeNews()
    }

    var nextCheckAt: Instant { book.nextCheckAt }

    func checkDue(now: Instant) -> MemberPlace? { book.checkDue(now: now) }

    func checked(_ place: MemberPlace, _ result: CheckResult, now: Instant) {
        book.checked(place, result, now: now)
        news += book.takeNews()
    }
}
