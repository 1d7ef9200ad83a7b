// SharedHealth.swift: health of groups' members for workers that are threads: the ledgers under a lock.
// Owns: the lock, and that news reach every worker in one order. Never decides: that is the ledgers'. Source: DESIGN
// "Threads".
//
// One lock for all groups: it is taken for failures, for successes of members under suspicion, for checks and for requests
// that wait; a plain request never sees it.
import Balancing
import Engine
import EventLoop
import Model

/// Asked by the engines of all workers, each on its thread.
final class SharedHealth: HealthDirectory, Sendable {
    private let book: Guarded<HealthBook>
    /// By number of the worker.
    private let mailboxes: [Mailbox<WorkerMessage>]

    init(_ named: NamedSettings, _ mailboxes: [Mailbox<WorkerMessage>]) {
        let now = Instant(nanoseconds: Clock.now)
        book = Guarded(HealthBook(named, seed: .random(in: .min ... .max), now: now))
        self.mailboxes = mailboxes
    }

    var workers: Int { mailboxes.count }

    func record(_ result: MemberResult, of place: MemberPlace, now: Instant) {
        telling { $0.record(result, of: place, now: now) }
    }

    func share(_ shared: EndpointNews, of endpoint: Endpoint, now: Instant) {
        telling { $0.share(shared, of: endpoint, now: now) }
    }

    func enterQueue(_ group: Int, having own: Int, forced: Bool) -> Bool {
        book.withLock { $0.enterQueue(group, having: own, forced: forced) }
    }

    func leaveQueue(_ group: Int) { book.withLock { $0.leaveQueue(group) } }

    var nextCheckAt: Instant { book.withLock { $0.nextCheckAt } }

    func checkDue(now: Instant) -> MemberPlace? { book.withLock { $0.checkDue(now: now) } }

    func checked(_ place: MemberPlace, _ result: CheckResult, now: Instant) {
        telling { $0.checked(place, result, now: now) }
    }

    /// Has all workers use those settings of a configuration that can change.
    func takeSettings(_ groups: [String: NamedGroup]) { telling { $0.takeSettings(groups) } }

    /// Posted under the lock: news about one member must not overtake each other.
    private func telling(_ change: (inout HealthBook) -> Void) {
        book.withLock { book in
            change(&book)
            for news in book.takeNews() {
                for mailbox in mailboxes { mailbox.post(.group(news)) }
            }
        }
    }
}
