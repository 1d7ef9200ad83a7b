// MemberHealth.swift: what the ledger knows of one member. Owns: counters and times.
import Model

/// Health of one member.
struct MemberHealth: Sendable {

    // Requests: failures in a row, of each kind.
    var dialFailures = 0
    var replyFailures = 0
    /// As the groups were told.
    var suspectsDials = false
    var suspectsReplies = false

    // Ejection.
    var ejectedUntil = Instant.longAgo
    /// How often the time of the next ejection is doubled.
    var ejections = 0

    // Back-off.
    /// Since the last dial that succeeded.
    var hasFailedDial = false
    /// Since then a dial has failed in a way that says nothing about other groups with this endpoint.
    var hasFailedAlone = false
    var backOffs = 0
    var dialAfter = Instant.longAgo

    // Checks.
    var isDown = false
    /// Results in a row that speak against `isDown`.
    var contradictions = 0
    /// When the next check begins; `.never`: one is under way.
    var checkAt = Instant.never

    func isEjected(_ now: Instant) -> Bool { now < ejectedUntil }

    /// For every `milliseconds` since the last ejection ended one ejection is forgotten.
    mutating func forgive(_ now: Instant, every milliseconds: Int) {
        guard ejections > 0, milliseconds > 0 else { return }
        let passed = now.microseconds(since: ejectedUntil) / 1000
        ejections -= Int(min(UInt64(ejections), passed / UInt64(milliseconds)))
    }
}
