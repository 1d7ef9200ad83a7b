// LocalHealth.swift: health of members without threads: the rig's worker is number 0, the test plays the others.
import Balancing
import Engine
import Model

/// The ledgers without a lock.
final class LocalHealth: HealthDirectory {
    var book: HealthBook
    let workers: Int

    init(_ named: NamedSettings, workers: Int, now: Instant) {
        book = HealthBook(named, seed: 7, now: now)
        self.workers = workers
    }

    func record(_ result: MemberResult, of place: MemberPlace, now: Instant) {
        book.record(result, of: place, now: now)
    }

    func share(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant) {
        book.share(shared, of: endpoint, now: now)
    }

    func enterQueue(_ group: Int, having own: Int, forced: Bool) -> Bool {
        book.enterQueue(group, having: own, forced: forced)
    }

    func leaveQueue(_ group: Int) { book.leaveQueue(group) }
    var nextCheckAt: Instant { book.nextCheckAt }
    func checkDue(now: Instant) -> MemberPlace? { book.checkDue(now: now) }

    func checked(_ place: MemberPlace, _ result: CheckResult, now: Instant) {
        book.checked(place, result, now: now)
    }
}
