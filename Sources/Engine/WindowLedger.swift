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
//    shrinks, to a half at most, when they take a quarter more.
// 3. What they take alone is found out anew once a minute, and every ten seconds while they take longer: the window is the
//    least one for a moment, from when what was under way before has its replies.
// 4. Nobody else has had a reply for a second, or for twice as long as those take or as they last stayed away: the window is
//    open. A session by itself is never held back.
// 5. Others at another worker are known before the first session has many: each worker notes for all to see where it has some.
import Model

/// Windows by destination.
package struct WindowLedger: Sendable {
    /// Replies that a comparison needs.
    private static let samplesMin = 32
    /// The window changes as often as a reply takes, so that what it did is seen before it does more; within these bounds.
    private static let stepMillisecondsMin = 50
    private static let stepMillisecondsMax = 250
    /// After twice the time that their replies take without one, within these bounds, there are no others.
    private static let othersMillisecondsMin = 1000
    private static let othersMillisecondsMax = 10_000
    /// Times alone that are older are measured anew, where others suffer and where not.
    private static let aloneMilliseconds = 10_000
    private static let aloneMillisecondsAtEase = 60_000
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
        /// Whether others took longer at the last step.
        var isSuffering = false
        /// What replies take alone, microseconds, and since when that is so; `nil`: not known yet, or not to be had.
        var alone: (microseconds: UInt64?, at: Instant)?
        /// Replies alone, and beside, that were not looked at yet.
        var freshAlone = ReplyTimes()
        var beside = ReplyTimes()
        var probe: Probe?
        /// Whether others have had replies since the last step.
        var hasNews = false
        /// What their replies took last, milliseconds.
        var replyMilliseconds = 0
        /// The longest time between two of their replies of late, milliseconds, and when that was seen.
        var pause = (milliseconds: 0, at: Instant.longAgo)
        /// When others of each worker have had their last reply. A worker takes back what it said of a session that has many
        /// requests under way now.
        var othersAt: [Instant]
        var steppedAt = Instant.longAgo
        var usedAt = Instant.longAgo
        /// The most that one session has had under way since the last step.
        var awaitedMax = 0
        /// When each worker has reported last, and until when it has a session with more than the least window.
        var reportedAt: [Instant]
        var crowdedUntil: [Instant]
        /// Since when any has one, if any has.
        var crowdedSince = Instant.longAgo
        /// When a worker has said last that the least window is full.
        var fullAt = Instant.longAgo

        /// For how long others are there after a reply.
        var othersMilliseconds: Int {
            min(
                max(WindowLedger.othersMillisecondsMin, 2 * replyMilliseconds, 2 * pause.milliseconds),
                WindowLedger.othersMillisecondsMax
            )
        }

        init(workers: Int) {
            othersAt = Array(repeating: .longAgo, count: workers)
            reportedAt = othersAt
            crowdedUntil = othersAt
        }
    }

    private let requestsMin: Int
    private let workers: Int
    private let destinationsMax: Int
    private var entries: [Destination: Entry] = [:]

    /// - Parameters:
    ///   - requestsMin: the least window.
    ///   - workers: how many share them.
    ///   - destinationsMax: that are remembered, 1 at least. Reached: the ones used longest ago are forgotten.
    package init(requestsMin: Int, workers: Int, destinationsMax: Int = 1024) {
        self.requestsMin = requestsMin
        self.workers = workers
        self.destinationsMax = destinationsMax
    }

    /// Destinations that are remembered.
    package var count: Int { entries.count }

    /// As `WindowDirectory.exchange`. When a worker has noted others there last is asked of `noted`.
    package mutating func exchange(
        _ destination: Destination,
        _ report: WindowReport,
        by worker: Int,
        now: Instant,
        noted: (_ worker: Int) -> Instant
    ) -> Window? {
        if entries[destination] == nil {
            if !report.isFull { return nil }
            makeRoom()
        }
        var entry = entries.removeValue(forKey: destination) ?? Entry(workers: workers)
        // While it is full at no worker, none is asked.
        let wasAsked = entry.fullAt.adding(milliseconds: Self.silenceMilliseconds) >= now
        take(report, by: worker, now, &entry)
        if report.isFull && !wasAsked {
            for other in 0..<workers where other != worker {
                entry.othersAt[other] = max(entry.othersAt[other], noted(other))
            }
        }
        step(now, &entry)
        let isProbing = entry.probe.map { $0.until.map { $0 > now } ?? true } ?? false
        entries[destination] = entry
        return Window(
            requestsMax: isProbing ? min(requestsMin, entry.requestsMax) : entry.requestsMax,
            crowdedSince: isCrowded(entry, now) ? entry.crowdedSince : nil
        )
    }

    private func isCrowded(_ entry: Entry, _ now: Instant) -> Bool {
        entry.crowdedUntil.contains { $0 > now }
    }

    private mutating func makeRoom() {
        if entries.count < destinationsMax { return }
        // A sixteenth at a time: whoever uses more destinations than that would look at all of them for each.
        let times = entries.values.map(\.usedAt).sorted()
        let last = times[max(0, destinationsMax / 16 - 1)]
        entries = entries.filter { $0.value.usedAt > last }
    }

    private func take(_ report: WindowReport, by worker: Int, _ now: Instant, _ entry: inout Entry) {
        entry.usedAt = now
        let isCrowding = report.awaitedMax > requestsMin
        // When it began is not told, only that it was not before the report before.
        if isCrowding && !isCrowded(entry, now) { entry.crowdedSince = entry.reportedAt[worker] }
        entry.crowdedUntil[worker] =
            isCrowding ? now.adding(milliseconds: Self.silenceMilliseconds) : .longAgo
        entry.reportedAt[worker] = now
        if report.isFull { entry.fullAt = now }
        entry.awaitedMax = max(entry.awaitedMax, report.awaitedMax)
        entry.freshAlone.add(report.alone)
        entry.beside.add(report.beside)
        let othersAt = entry.othersAt.reduce(.longAgo) { max($0, $1) }
        entry.othersAt[worker] = report.othersAt
        notePause(from: othersAt, to: min(report.othersAt, now), now, &entry)
        noteOthers(report, &entry)
    }

    /// Those that come every few seconds would find a flood under way each time if they were forgotten in between.
    private func notePause(from last: Instant, to next: Instant, _ now: Instant, _ entry: inout Entry) {
        let pause = next.microseconds(since: last) / 1000
        if next <= last || pause > UInt64(Self.othersMillisecondsMax) { return }
        let isOld = entry.pause.at.adding(milliseconds: Self.othersMillisecondsMax) < now
        if isOld || pause >= UInt64(entry.pause.milliseconds) { entry.pause = (Int(pause), now) }
    }

    private func noteOthers(_ report: WindowReport, _ entry: inout Entry) {
        if report.alone.count + report.beside.count > 0 { entry.hasNews = true }
        if report.others.count > 0 { entry.replyMilliseconds = Int(clamping: report.others.mean / 1000) }
    }

    private func step(_ now: Instant, _ entry: inout Entry) {
        let absence = entry.othersMilliseconds
        if !entry.othersAt.contains(where: { $0.adding(milliseconds: absence) >= now }) {
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
        // What the last step did cannot be known yet.
        if !entry.hasNews && entry.steppedAt.adding(milliseconds: Self.othersMillisecondsMin) > now { return }
        let window = entry.requestsMax
        // A window that nobody fills says nothing about what the upstream can do, and does not grow.
        let growth = window / (entry.hasShrunk ? 8 : 2) + 1
        let grown = entry.awaitedMax < window / 4 * 3 ? window : window + growth
        let bound = alone.map(Self.bound) ?? .max
        entry.isSuffering = entry.beside.mean > bound
        // Few may be the slow ones by chance, unless they took longer than many may.
        let beside = entry.beside
        if beside.count < Self.samplesMin && beside.microseconds / UInt64(Self.samplesMin) <= bound {
            beginStep(entry.isSuffering ? window : grown, now, &entry)
            entry.beside = beside
        } else if entry.isSuffering {
            let excess = Double(entry.beside.mean) / Double(bound)
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
        entry.hasNews = false
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
            // The quick replies come first. While nothing is known there is nothing to compare with.
            if now < until.adding(milliseconds: probe.milliseconds) { return entry.alone == nil }
            // Nor do those come at once that come every few seconds.
            let isUnknown = entry.alone == nil && fresh.count == 0
            if isUnknown && now < until.adding(milliseconds: 2 * entry.pause.milliseconds) { return true }
            // Nothing better is to be had for a while if none have come.
            entry.alone = (fresh.count > 0 ? fresh.mean : entry.alone?.microseconds, now)
            entry.probe = nil
            entry.freshAlone = ReplyTimes()
        } else if let alone = entry.alone,
            alone.at.adding(
                milliseconds: entry.isSuffering ? Self.aloneMilliseconds : Self.aloneMillisecondsAtEase
            ) > now
        {
            // Of those that come seldom the worker tells late.
            if alone.microseconds == nil && fresh.count > 0 { entry.alone = (fresh.mean, now) }
            entry.freshAlone = ReplyTimes()
        } else if entry.alone == nil && fresh.count >= Self.samplesMin {
            entry.alone = (fresh.mean, now)
            entry.freshAlone = ReplyTimes()
        } else {
            let times = max(entry.alone?.microseconds ?? 0, entry.beside.mean)
            let usual = max(Int(clamping: times / 1000), entry.replyMilliseconds)
            let time = min(max(Self.probeMillisecondsMin, 3 * usual), Self.probeMillisecondsMax)
            entry.probe = Probe(
                milliseconds: time,
                beginsAt: now.adding(milliseconds: entry.othersMilliseconds)
            )
            // While nothing is known, the few that came before are something.
            if entry.alone != nil { entry.freshAlone = ReplyTimes() }
            return true
        }
        return false
    }
}
