// WindowDirectory.swift: what an engine asks before it sends yet another request of a session that has many under way, and
// what it says of the others' replies. Owns: the words of that talk. Who answers is outside the engine.
// Source: issue "Proof", starvation; WindowLedger.swift has the rules.
import Model

/// Where requests of several sessions meet, by the same name in every worker.
package enum Destination: Hashable, Sendable {
    /// That of the request, or the first of several.
    case endpoint(Endpoint)
    /// A group of the configuration, by number.
    case group(Int)
    /// A group without a name.
    case list(AdHocGroup)

    /// The same in every worker.
    package var fingerprint: UInt64 {
        var hash = FNV()
        switch self {
        case .endpoint(let endpoint): hash.add(endpoint)
        case .group(let number): hash.add(UInt64(number))
        case .list(let list): for endpoint in list.endpoints { hash.add(endpoint) }
        }
        return hash.value
    }
}

/// That a worker has others at a destination, in one word, so that it can be told and asked without a lock.
package struct OthersNote {
    /// Places for notes that a worker has; destinations that share one overwrite each other's.
    package static let count = 1024

    package let word: UInt64

    package init(word: UInt64) { self.word = word }

    /// Half of the fingerprint, and when, in units of 2^24 ns (17 ms).
    package init(of fingerprint: UInt64, at now: Instant) {
        word = fingerprint & ~UInt64(UInt32.max) | UInt64(Self.ticks(now))
    }

    package static func place(of fingerprint: UInt64) -> Int { Int(fingerprint % UInt64(count)) }

    /// - Returns: when, no later than it was; long ago if this is about another destination.
    package func time(of fingerprint: UInt64, now: Instant) -> Instant {
        if (word ^ fingerprint) >> 32 != 0 { return .longAgo }
        let age = Self.ticks(now) &- UInt32(truncatingIfNeeded: word)
        return Instant(nanoseconds: (now.nanoseconds >> 24 - Int64(age)) << 24)
    }

    private static func ticks(_ instant: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: instant.nanoseconds >> 24)
    }
}

/// How long replies have taken to begin, from when their requests had left.
package struct ReplyTimes: Equatable, Sendable {
    package var count = 0
    /// Of all of them together.
    package var microseconds: UInt64 = 0

    package init() {}

    /// Of one, microseconds.
    var mean: UInt64 { count == 0 ? 0 : microseconds / UInt64(count) }

    package mutating func add(_ microseconds: UInt64) {
        count += 1
        self.microseconds &+= microseconds
    }

    mutating func add(_ other: ReplyTimes) {
        count += other.count
        microseconds &+= other.microseconds
    }

    /// What was seen long ago counts less.
    mutating func age(countMax: Int) {
        if count < countMax { return }
        count /= 2
        microseconds /= 2
    }
}

/// Whether a destination is crowded, and whether it was a while ago.
package struct Crowding: Sendable {
    package private(set) var isCrowded = false
    /// When that changed, the last time first.
    private var changes = InlineArray<4, Instant>(repeating: .longAgo)

    package init() {}

    /// It is so at least since then.
    package mutating func note(_ isCrowded: Bool, since: Instant) {
        if isCrowded == self.isCrowded { return }
        self.isCrowded = isCrowded
        if changes[0] >= since {
            // One has its reply, the next of its session is sent: nothing has changed.
            for index in 1..<changes.count { changes[index - 1] = changes[index] }
            return
        }
        for index in (1..<changes.count).reversed() { changes[index] = changes[index - 1] }
        changes[0] = since
    }

    /// - Returns: `nil`: that was too long ago.
    package func wasCrowded(at instant: Instant) -> Bool? {
        for index in changes.indices where instant >= changes[index] {
            return index % 2 == 0 ? isCrowded : !isCrowded
        }
        return nil
    }
}

/// What a worker has seen at one destination since it was asked last.
package struct WindowReport: Equatable, Sendable {
    /// Whether any session of the worker has as many requests under way as the least window has room for.
    package var isFull = false
    /// When a reply to a session of the worker has come last that has few requests under way, and had for a second.
    package var othersAt = Instant.longAgo
    /// What those took that have come since.
    package var others = ReplyTimes()
    /// Most requests of one session that awaited their replies at the same time, beyond those that each may have anyway.
    package var awaitedMax = 0
    /// Of sessions that have few requests under way, sent while none had more than the least window here.
    package var alone = ReplyTimes()
    /// Of such, sent while one had.
    package var beside = ReplyTimes()

    package init() {}

    /// What came in between says nothing about what came before: an upstream takes its requests one after the other.
    package mutating func add(_ microseconds: UInt64, wasCrowded: Bool) {
        if wasCrowded { beside.add(microseconds) } else { alone.add(microseconds) }
    }
}

/// What holds at a destination until it is asked about again.
package struct Window: Equatable, Sendable {
    /// Requests that each session may have under way there.
    package var requestsMax: Int
    /// Since when a session has more than the least window; `nil`: none has.
    package var crowdedSince: Instant?

    package init(requestsMax: Int, crowdedSince: Instant? = nil) {
        self.requestsMax = requestsMax
        self.crowdedSince = crowdedSince
    }

    /// There is nobody to make room for.
    package static let open = Window(requestsMax: .max)
}

/// Windows as the engines of a process see them: asked now and then while a session has many requests under way.
package protocol WindowDirectory: AnyObject {
    /// Whether the least window was full at any worker within the last second, whatever the destination.
    func isAsked(now: Instant) -> Bool

    /// A reply has come to a session of `worker` that has few requests under way, at a destination where none has many. That
    /// may cost no more than a store.
    func noteOthers(at fingerprint: UInt64, by worker: Int, now: Instant)

    /// Takes what a worker has seen, and says what holds from here on.
    /// - Returns: `nil`: no session has many requests under way there, and none had; the report was not taken.
    func exchange(_ destination: Destination, _ report: WindowReport, by worker: Int, now: Instant) -> Window?
}
