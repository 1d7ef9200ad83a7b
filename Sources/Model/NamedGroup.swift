// NamedGroup.swift: a named set of endpoints with a balancing policy, as the configuration says it.
// Owns: settings and their defaults. Never touches: load, health, connections. Source: DESIGN "Words", group;
// the names follow HAProxy (weight, backup, slow start, rise, fall) and Envoy (ejection, panic, retry
// budget).

/// How a member is chosen for a request. What each does exactly is said in Sources/Balancing/Policy.swift. Raw values are
/// those of the protocol.
package enum GroupPolicy: Int, CaseIterable, Sendable {
    /// In turn, smoothly, by weight.
    case roundRobin = 1
    /// The one with the fewest requests for its weight.
    case leastConnections
    /// Of two taken at random, the one with fewer requests for its weight.
    case powerOfTwoChoices
    /// Of two taken at random, the one whose recent latency promises the earlier reply.
    case peakEWMA
    /// By a key of the request: equal keys go to the same member for as long as it can be used.
    case hash
    /// In the order of the configuration: the next one when all before it are at their limit.
    case first
}

/// One server or peer of a group.
package struct GroupMember: Hashable, Sendable {
    package static let weightMax = 1000

    /// What END, logs and the hash policy know it by.
    package var name: String
    package var endpoint: Endpoint
    /// Its share beside others, 0 to `weightMax`; 0: it is not chosen.
    package var weight = 1
    /// Whether it is chosen only while no other member can be.
    package var isBackup = false
    /// Connections of the process to it, over all workers; 0: no limit but that of its endpoint. Reached:
    /// another member, else the group's queue.
    package var connectionsMax = 0

    package init(name: String, endpoint: Endpoint) {
        self.name = name
        self.endpoint = endpoint
    }
}

/// What is concluded from requests that fail.
package struct EjectionSettings: Hashable, Sendable {
    /// Dials and TLS handshakes that fail in a row, after which a member is ejected; 0: it never is for
    /// these.
    package var dialFailures = 3
    /// Exchanges that fail in a row (cut short, reset, timed out, chosen status), after which it is; 0: never
    /// for these.
    package var replyFailures = 5
    /// Statuses that are failures.
    package var statuses: [ClosedRange<Int>] = []
    /// Time of the first ejection; each further one takes twice as long.
    package var baseMilliseconds = 30_000
    /// The longest one, before jitter.
    package var millisecondsMax = 300_000
    /// How far a time may be off either way, percent of it, so that members do not come back together.
    package var jitterPercent = 10
    /// Share of members that may be ejected at the same time; 0: none, else at least one.
    package var ejectedPercentMax = 75

    package init() {}
}

/// How long an endpoint that could not be dialed is not dialed.
package struct BackOffSettings: Hashable, Sendable {
    /// After the first failure; twice as long after each further one in a row. 0: no back-off.
    package var baseMilliseconds = 100
    package var millisecondsMax = 5000

    package init() {}
}

/// Checks of members beside the requests.
package struct CheckSettings: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// A connection can be made.
        case tcp
        /// And a TLS handshake on it.
        case tls
        /// A GET in clear text has an expected status.
        case http
        /// A GET over TLS has one.
        case https
    }

    package var kind: Kind
    /// Target of the request, in origin-form.
    package var path = "/"
    /// Its Host, and what is said in TLS where the profile says nothing; empty: the host of the group's origin where requests
    /// go to it directly, else the member's endpoint.
    package var host = ""
    /// Statuses that pass.
    package var statuses: [ClosedRange<Int>] = [200...399]
    /// TLS of `tls` and `https`; `nil`: that of the group's route to its members, else the profile "default".
    package var tls: TLSProfile?
    /// From the end of a check to the next one of the same member.
    package var intervalMilliseconds = 5000
    /// Time for a whole check.
    package var timeoutMilliseconds = 2000
    /// Checks passed in a row that make a member up.
    package var rise = 2
    /// Checks failed in a row that make it down.
    package var fall = 3

    package init(kind: Kind) { self.kind = kind }
}

/// How many requests may be sent again to another member. At one that is healthy and has not failed for a second they are
/// free: it has room for what another one drops. The share is for all others, which retries could finish off.
package struct RetrySettings: Hashable, Sendable {
    /// Share of the requests that are active.
    package var percent = 20
    /// So many at the same time, however few requests there are.
    package var concurrencyMin = 10
    /// Members that one request is tried at, the first one included.
    package var attemptsMax = 3
    /// Statuses after which a request that may be repeated is tried at another member; the last one's is passed on.
    package var statuses: [ClosedRange<Int>] = []

    package init() {}
}

/// What requests of a group will ask for, as far as connections to its members depend on it. Requests may ask for anything.
package struct ExpectedRequests: Hashable, Sendable {
    package var scheme = Scheme.http
    /// Host of the origin, and its port where there is one; what is said in TLS where the route's profile says nothing.
    package var authority = ""
    /// `nil`: direct.
    package var route: NamedRoute?

    package init() {}
}

/// A group by name.
package struct NamedGroup: Hashable, Sendable {
    package static let membersMax = 1024
    /// As many as a request can remember.
    package static let attemptsMax = 8

    package var policy = GroupPolicy.roundRobin
    package var members: [GroupMember] = []
    /// Requests that wait for a member of the group, over all workers; 0: none waits. Reached: END
    /// OVERLOADED.
    package var queueLengthMax = 1024
    /// Time in which the share of a member that recovered grows to what its weight says; 0: at once.
    package var slowStartMilliseconds = 10_000
    /// Idle connections of the process to each member that are kept ready, from the start, as far as the pool holds them. Where
    /// one is closed before it was of use, the next is dialed a second after it was.
    package var standbyConnectionsMin = 0
    /// Decides over the way of those connections, whose TLS failures count against a member for all requests, and what checks
    /// ask for. Left as it is, connections are like those of the last request, in clear text before the first.
    package var expects = ExpectedRequests()
    /// Share of healthy members below which all members are chosen from, percent. When none is healthy, all
    /// are in any case.
    package var panicPercent = 10
    /// Time in which an observed latency counts for 1/e less, of the policy `peakEWMA`.
    package var decayMilliseconds = 10_000
    package var ejection = EjectionSettings()
    package var backOff = BackOffSettings()
    /// `nil`: members are not checked.
    package var check: CheckSettings?
    package var retry = RetrySettings()

    package init() {}

    /// Whether a process that began with this group can be what `other` says: nothing but weights and the number of connections
    /// to be kept ready is different.
    package func canBecome(_ other: NamedGroup) -> Bool {
        var other = other
        other.standbyConnectionsMin = standbyConnectionsMin
        guard other.members.count == members.count else { return false }
        for index in members.indices { other.members[index].weight = members[index].weight }
        return other == self
    }
}
