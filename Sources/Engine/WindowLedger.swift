// WindowLedger.swift: how many requests a session may have under way at a destination that others use too, over all workers.
// Owns: what replies take there, the windows. Never touches: threads, locks, the clock, who waits.
// Source: issue "Proof", starvation; RFC 5681 §3.1 for the window's ways; Netflix concurrency-limits and Envoy's adaptive
// concurrency for the measure.
//
// An upstream works on so many requests at a time; the rest wait inside it, first come first served. A session with a
// thousand requests under way puts everybody behind a thousand. No order in which we send changes that: some have to stay
// here. How many is measured, as a fixed number would slow down upstreams that can do many at once:
// 1. Replies to sessions with few requests under way are timed: *alone* while no session has more than the least window,
//    *beside* while one has. Who has many is not asked: it would measure what it waits for itself.
// 2. While others have replies, no session has more than the window. It grows while they take about as long as alone, and
//    is halved when they take a quarter more.
// 3. What they take alone is found out anew every ten seconds: the window is the least one until enough replies have come.
// 4. Nobody else has had a reply for a second: the window is open. A session by itself is never held back.
import Model

/// Windows by destination.
package struct WindowLedger: Sendable {
    /// Replies that a comparison needs.
    private static let samplesMin = 32
    /// The window changes as often as a reply takes, so that what it did is seen before it does more; within these bounds.
    private static let stepMillisecondsMin = 50
    private static let stepMillisecondsMax = 250
    /// After this without a reply to others there are none.
    private static let othersMilliseconds = 1000
    /// Times alone that are older are measured anew.
    private static let aloneMilliseconds = 10_000
    private static let probeMillisecondsMin = 100
    private static let probeMillisecondsMax = 1000
    /// A worker that says nothing for so long has no session with many requests under way.
    package static let silenceMilliseconds = 1000

    /// How it is found out what replies take alone.
    private struct Probe {
        /// Long enough for a reply.
        let milliseconds: Int
        /// When it begins at the latest.
        let beginsAt: Instant
        /// Until when the window is the least one; `nil`: what was under way already has to be served first.
        var until: Instant?
    }

    private struct Entry {
        /// The window, but while `probe` has the least one.
        var requestsMax = Int.max
        /// Whether it has shrunk since it was open.
        var hasShrunk = false
        /// What replies take alone, microseconds, and since when that is so; `nil`: not known yet, or not to be had.
        var alone: (microseconds: UInt64?, at: Instant)?
        /// Replies alone, and beside, that were not looked at yet.
        var freshAlone = ReplyTimes()
        var beside = ReplyTimes()
        var probe: Probe?
        /// When others of each worker have had their last reply. A worker takes back what it said of a session that has many
        /// requests under way now.
        var othersAt: [Instant]
        var steppedAt = Instant.longAgo
        var usedAt = Instant.longAgo
        /// The most that one session has had under way since the last step.
        var awaitedMax = 0
        /// Until when each worker has a session with more than the least window.
        var crowdedUntil: [Instant]
    }

    private let requestsMin: Int
    private let workers: Int
    private let destinationsMax: Int
    private var entries: [Destination: Entry] = [:]

    /// - Parameters:
    ///   - requestsMin: the least window.
    ///   - workers: how many share them.
    ///   - destinationsMax: that are remembered. Reached: the one used longest ago is forgotten.
    package init(requestsMin: Int, workers: Int, destinationsMax: Int = 1024) {
        self.requestsMin = requestsMin
        self.workers = workers
        self.destinationsMax = destinationsMax
    }

    /// Destinations that are remembered.
    package var count: Int { entries.count }

    /// As `WindowDirectory.exchange`.
    package mutating func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant
    ) -> Window? {
        if entries[destination] == nil {
            if !report.hasShares { return nil }
            makeRoom()
        }
        var entry =
            entries.removeValue(forKey: destination)
            ?? Entry(
                othersAt: Array(repeating: .longAgo, count: workers),
                crowdedUntil: Array(repeating: .longAgo, count: workers)
            )
        take(report, by: worker, now, &entry)
        step(now, &entry)
        let isProbing = entry.probe.map { $0.until.map { $0 > now } ?? true } ?? false
        entries[destination] = entry
        return Window(
            requestsMax: isProbing ? min(requestsMin, entry.requestsMax) : entry.requestsMax,
            isCrowded: isCrowded(entry, now)
        )
    }

    private func isCrowded(_ entry: Entry, _ now: Instant) -> Bool {
        entry.crowdedUntil.contains { $0 > now }
    }

    private mutating func makeRoom() {
        if entries.count < destinationsMax { return }
        guard let oldest = entries.values.map(\.usedAt).min() else { return }
        entries = entries.filter { $0.value.usedAt > oldest }
    }

    private func take(_ report: WindowReport, by worker: Int, _ now: Instant, _ entry: inout Entry) {
        entry.usedAt = now
        let isCrowded = report.awaitedMax > requestsMin
        entry.crowdedUntil[worker] = isCrowded ? now.adding(milliseconds: Self.silenceMilliseconds) : .longAgo
        entry.awaitedMax = max(entry.awaitedMax, report.awaitedMax)
        entry.freshAlone.add(report.alone)
        entry.beside.add(report.beside)
        entry.othersAt[worker] = report.othersAt
    }

    private func step(_ now: Instant, _ entry: inout Entry) {
        if !entry.othersAt.contains(where: { $0.adding(milliseconds: Self.othersMilliseconds) >= now }) {
            entry.requestsMax = .max
            entry.hasShrunk = false
            entry.probe = nil
            return
        }
        if entry.requestsMax == .max { beginStep(requestsMin, now, &entry) }
        if isProbing(now, &entry) {
            beginStep(entry.requestsMax, now, &entry)
            return
        }
        let alone = entry.alone?.microseconds
        let usual = Int(clamping: (alone ?? 0) / 1000)
        let time = min(max(Self.stepMillisecondsMin, usual), Self.stepMillisecondsMax)
        if entry.steppedAt.adding(milliseconds: time) > now { return }
        let window = entry.requestsMax
        // A window that nobody fills says nothing about what the upstream can do, and does not grow.
        let growth = window / (entry.hasShrunk ? 8 : 2) + 1
        let grown = entry.awaitedMax < window / 4 * 3 ? window : window + growth
        if entry.beside.count < Self.samplesMin {
            entry.requestsMax = grown
            entry.steppedAt = now
            entry.awaitedMax = 0
        } else if let alone, entry.beside.mean > Self.bound(alone) {
            let excess = Double(entry.beside.mean) / Double(Self.bound(alone))
            entry.hasShrunk = true
            beginStep(max(requestsMin, Int(Double(window) / min(excess, 2))), now, &entry)
        } else {
            beginStep(grown, now, &entry)
        }
    }

    /// What takes longer is slowed down. Differences below 50 µs say nothing.
    private static func bound(_ microseconds: UInt64) -> UInt64 { microseconds + microseconds / 4 + 50 }

    private func beginStep(_ requestsMax: Int, _ now: Instant, _ entry: inout Entry) {
        entry.requestsMax = requestsMax
        entry.steppedAt = now
        entry.awaitedMax = 0
        entry.beside = ReplyTimes()
    }

    /// Whether the window is the least one to find out what replies take alone. Between probes they are not timed: beside
    /// sessions that fill the least window, which come right behind ones that filled a larger one, they take longer.
    private func isProbing(_ now: Instant, _ entry: inout Entry) -> Bool {
        let fresh = entry.freshAlone
        if let probe = entry.probe {
            guard let until = probe.until else {
                if !isCrowded(entry, now) || now >= probe.beginsAt {
                    entry.probe?.until = now.adding(milliseconds: probe.milliseconds)
                }
                return true
            }
            if now < until { return true }
            // The quick replies come first.
            if now < until.adding(milliseconds: probe.milliseconds) { return false }
            // Nothing better is to be had for a while if none have come.
            entry.alone = (fresh.count > 0 ? fresh.mean : entry.alone?.microseconds, now)
            entry.probe = nil
            entry.freshAlone = ReplyTimes()
        } else if let alone = entry.alone, alone.at.adding(milliseconds: Self.aloneMilliseconds) > now {
            entry.freshAlone = ReplyTimes()
        } else if entry.alone == nil && fresh.count >= Self.samplesMin {
            entry.alone = (fresh.mean, now)
            entry.freshAlone = ReplyTimes()
        } else {
            let usual = Int(clamping: max(entry.alone?.microseconds ?? 0, entry.beside.mean) / 1000)
            let time = min(max(Self.probeMillisecondsMin, 3 * usual), Self.probeMillisecondsMax)
            entry.probe = Probe(
                milliseconds: time,
                beginsAt: now.adding(milliseconds: Self.probeMillisecondsMax)
            )
            entry.freshAlone = ReplyTimes()
            return true
        }
        return false
    }
}
