// MemberState.swift: what a worker knows of a member, and which members may be chosen.
// Owns: shares, slow start, panic. Source: Envoy's "slow start mode" (linear, at least a tenth) and "panic
// threshold".
import Model

/// One member of a worker's group.
struct MemberState: Sendable {
    // Settings.
    /// What the hash policy draws by: of the name, so that neither order nor address moves keys.
    let identity: UInt64
    let isBackup: Bool
    let activeMax: Int
    var weight: Int

    // Load of this worker.
    var active = 0
    /// No room for a further connection in the process.
    var isFull = false
    /// Of the next pick: not for a request like this one, unless nobody else is left.
    var isDoubted = false
    /// When an attempt of this worker's failed there last.
    var failedAt = Instant.longAgo
    /// Recent latency, nanoseconds, as of `costAt`; 0: unknown.
    var cost = 0.0
    var costAt = Instant(nanoseconds: 0)

    // Health.
    var ejectedUntil = Instant.longAgo
    var isDown = false
    var suspectsDials = false
    var suspectsReplies = false
    var dialAfter = Instant.longAgo
    /// When it last recovered.
    var recoveredAt = Instant.longAgo

    // What follows from these, as of the last refresh.
    /// Weight in 256ths, less while it recovers.
    var share = 0
    /// 0: primary or, in a panic, any; 1: backup; -1: not chosen.
    var level = -1
    /// Of the smooth round robin: how much it is overdue, in shares.
    var turn = 0
    /// Of the current pick.
    var isUsable = false

    static let shareUnit = 256
    /// A recovering member has at least a tenth, as otherwise nothing would show that it recovered.
    static let shareMin = 26

    init(_ member: GroupMember) {
        identity = HashKey.of(Array(member.name.utf8).span)
        isBackup = member.isBackup
        activeMax = member.connectionsMax == 0 ? .max : member.connectionsMax
        weight = member.weight
    }

    func isHealthy(_ now: Instant) -> Bool { !isDown && now >= ejectedUntil }

    /// Whether it is healthy, and has not failed for as long as retries count.
    func isWell(_ now: Instant) -> Bool {
        isHealthy(now) && failedAt.adding(milliseconds: RetryBudget.windowMilliseconds) <= now
    }

    /// What it was like before is no longer known.
    mutating func recovered(at instant: Instant) {
        recoveredAt = instant
        cost = 0
    }
}

extension Group {
    /// So often the share of a member grows while it recovers.
    private static let steps = 64

    /// Works out who may be chosen and with which share, and until when that holds.
    mutating func refresh(_ now: Instant) {
        staleAt = .never
        var healthy = 0
        var healthyPrimaries = 0
        var present = 0
        for index in members.indices {
            refreshShare(index, now)
            guard members[index].weight > 0 else { continue }
            present += 1
            guard members[index].isHealthy(now) else { continue }
            healthy += 1
            healthyPrimaries += members[index].isBackup ? 0 : 1
        }
        isPanicking = present > 0 && (healthy == 0 || healthy * 100 < panicPercent * present)
        primaries.removeAll(keepingCapacity: true)
        backups.removeAll(keepingCapacity: true)
        var isSame = true
        for index in members.indices {
            let level = level(index, now)
            isSame = isSame && level == members[index].level
            members[index].level = level
            if level == 0 { primaries.append(index) }
            if level == 1 { backups.append(index) }
        }
        if isSame { return }
        // Debts among other members could let one have hundreds of turns in a row.
        for index in members.indices { members[index].turn = 0 }
    }

    private func level(_ index: Int, _ now: Instant) -> Int {
        let member = members[index]
        if member.weight == 0 { return -1 }
        if isPanicking { return 0 }
        return member.isHealthy(now) ? (member.isBackup ? 1 : 0) : -1
    }

    private mutating func refreshShare(_ index: Int, _ now: Instant) {
        let until = members[index].ejectedUntil
        if now < until {
            staleAt = min(staleAt, until)
        } else if until > Instant.longAgo {
            // No news comes of the end of an ejection: it was told at its beginning.
            members[index].ejectedUntil = Instant.longAgo
            members[index].recovered(at: until)
        }
        members[index].share = members[index].weight * MemberState.shareUnit
        let start = members[index].recoveredAt
        guard start > Instant.longAgo, slowStartMilliseconds > 0 else { return }
        let passed = Int(now.microseconds(since: start) / 1000)
        guard passed < slowStartMilliseconds else {
            members[index].recoveredAt = Instant.longAgo
            return
        }
        let grown = max(MemberState.shareMin, MemberState.shareUnit * passed / slowStartMilliseconds)
        members[index].share = members[index].weight * grown
        staleAt = min(staleAt, now.adding(milliseconds: max(1, slowStartMilliseconds / Self.steps)))
    }

    /// Marks those of `indices` that a request can be given to.
    /// - Returns: how many these are, and how many were not tried yet.
    mutating func survey(_ indices: [Int], _ tried: Tried, _ now: Instant) -> (usable: Int, untried: Int) {
        var usable = 0
        var untried = 0
        var backingOff = 0
        for index in indices {
            members[index].isUsable = false
            if tried.contains(index) { continue }
            untried += 1
            if members[index].dialAfter > now || members[index].isDoubted {
                backingOff += 1
                continue
            }
            if members[index].isFull || members[index].active >= members[index].activeMax { continue }
            members[index].isUsable = true
            usable += 1
        }
        guard untried > 0, backingOff == untried else { return (usable, untried) }
        // All of them back off: the request waits, at one of them.
        for index in indices where !tried.contains(index) {
            if members[index].isFull || members[index].active >= members[index].activeMax { continue }
            members[index].isUsable = true
            usable += 1
        }
        return (usable, untried)
    }
}
