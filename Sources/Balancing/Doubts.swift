// Doubts.swift: members whose TLS failed for requests that go one way, and who may be perfect for all others.
// Owns: which member such requests leave alone, and for how long. Never touches: the health that all requests share
// (HealthLedger.swift); what a way is made of. Of one worker, as numbers of ways are.
// Source: Sources/Engine/Engine.docc/Groups.md, "TLS that fails".
import Model

/// Failures of members, each for one way.
package struct Doubts: Sendable {
    /// So many are remembered; the one that failed longest ago gives way.
    package static let countMax = 64

    private struct Doubt {
        let member: Int
        let way: RouteID
        /// In a row.
        var failures = 0
        /// How often the member was left alone.
        var rounds = 0
        var heldUntil = Instant.longAgo
        /// When it is forgotten, if nothing more fails.
        var endsAt = Instant.longAgo
    }

    /// What remembering has come to: a way that is remembered now, and one that is not any more.
    package struct Change: Equatable, Sendable {
        package var begins = false
        package var ends: RouteID?
    }

    /// The one that failed longest ago first.
    private var list: [Doubt] = []

    package init() {}

    package var isEmpty: Bool { list.isEmpty }

    /// When the next one is forgotten.
    package var endsAt: Instant { list.reduce(Instant.never) { min($0, $1.endsAt) } }

    /// `member` has failed for `way`. After as many failures in a row as would eject it, it is held, for as long as it would
    /// be ejected. The random source is that of the jitter.
    package mutating func failed(
        _ member: Int,
        _ way: RouteID,
        _ ejection: EjectionSettings,
        now: Instant,
        random: inout RandomSource
    ) -> Change {
        if ejection.dialFailures == 0 { return Change() }
        var change = Change()
        if let found = find(member, way) {
            list.append(list.remove(at: found))
        } else {
            if list.count == Self.countMax { change.ends = list.removeFirst().way }
            list.append(Doubt(member: member, way: way))
            change.begins = true
        }
        let index = list.count - 1
        // What was under way when it began to be held adds nothing.
        if list[index].heldUntil <= now {
            list[index].failures += 1
            if list[index].failures >= ejection.dialFailures { hold(index, ejection, now, &random) }
        }
        list[index].endsAt = max(now, list[index].heldUntil).adding(milliseconds: ejection.baseMilliseconds)
        return change
    }

    private mutating func hold(
        _ index: Int,
        _ ejection: EjectionSettings,
        _ now: Instant,
        _ random: inout RandomSource
    ) {
        let milliseconds = Doubling.milliseconds(
            base: ejection.baseMilliseconds,
            doublings: list[index].rounds,
            max: ejection.millisecondsMax
        )
        let jittered = random.jittered(milliseconds: milliseconds, percent: ejection.jitterPercent)
        list[index].heldUntil = now.adding(milliseconds: max(1, jittered))
        list[index].rounds += 1
        // On probation afterwards.
        list[index].failures = ejection.dialFailures - 1
    }

    /// TLS to `member` stands for `way`. - Returns: whether that is no longer remembered.
    package mutating func succeeded(_ member: Int, _ way: RouteID) -> Bool {
        guard let index = find(member, way) else { return false }
        list.remove(at: index)
        return true
    }

    /// Whether requests of `way` leave `member` alone.
    package func holds(_ member: Int, _ way: RouteID, now: Instant) -> Bool {
        find(member, way).map { list[$0].heldUntil > now } ?? false
    }

    /// Until when; not later than now: they do not.
    package func heldUntil(_ member: Int, _ way: RouteID) -> Instant {
        find(member, way).map { list[$0].heldUntil } ?? Instant.longAgo
    }

    /// Forgets one whose time is over. - Returns: its way; `nil`: there is none.
    package mutating func forget(now: Instant) -> RouteID? {
        list.firstIndex { $0.endsAt <= now }.map { list.remove(at: $0).way }
    }

    private func find(_ member: Int, _ way: RouteID) -> Int? {
        list.firstIndex { $0.member == member && $0.way == way }
    }
}
