// LongRun.swift: hours of a group's life: when which member is ill, when weights change, how much is asked for meanwhile.
// Owns: the timetable. Never touches: what the engine makes of it.
import Model

/// What ails a member.
enum Ailment: Equatable {
    /// Nobody listens any more: connections that stand are reset, new ones refused.
    case refuses
    case unreachable
    /// Nothing is answered, not even a connect.
    case blackHole
    /// Connections are taken, and reset by the first request.
    case resets
    /// Connections are taken, and requests are not answered.
    case stalls
    case answers(status: Int)
    /// Every reply comes later by so much.
    case lags(milliseconds: Int)

    static let all: [Ailment] = [
        .refuses, .refuses, .unreachable, .blackHole, .resets, .stalls, .answers(status: 503),
        .lags(milliseconds: 400),
    ]
}

/// One time in which a member is ill.
struct Spell {
    /// Among the scenario's endpoints.
    var endpoint: Int
    var group: Int
    var ailment: Ailment
    var from: Instant
    var until: Instant
}

/// A member's weight from some time on.
struct WeightChange {
    var group: Int
    var member: Int
    var weight: Int
    var at: Instant
}

/// The timetable of a long world.
struct LongRun {
    private(set) var spells: [Spell] = []
    private(set) var weights: [WeightChange] = []
    /// When nothing more is asked for.
    private(set) var endsAt = Instant(nanoseconds: 60_000_000_000)
    /// Requests in all; reached: only a trickle is left.
    private(set) var requestsMax: Int
    /// Between two requests of the trickle, seconds.
    private(set) var trickleSeconds: Int

    init(_ random: inout SeededRandom, groups: [NamedGroup], endpoints: [[Int]]) {
        requestsMax = random.pick([300, 500, 900])
        trickleSeconds = random.pick([30, 60, 200])
        for _ in 0..<random.between(3, 7) {
            let group = random.below(groups.count)
            let member = random.below(endpoints[group].count)
            let length = random.pick([3, 4, 8, 8, 20, 40, 200, 900])
            add(random.pick(Ailment.all), group, endpoints[group][member], seconds: length)
            let beside = random.below(100)
            if beside < 15 {
                // Another one, or all of them, at the same time.
                let others = endpoints[group].filter { $0 != endpoints[group][member] }
                let count = beside < 8 ? 1 : others.count
                for other in others.prefix(count) {
                    add(random.pick(Ailment.all), group, other, seconds: length)
                }
            }
            endsAt = endsAt.adding(milliseconds: 1000 * (length + random.pick([10, 120, 600, 600, 3600])))
        }
        if random.chance(20) { changeWeights(&random, groups) }
        endsAt = endsAt.adding(milliseconds: 600_000)
    }

    private mutating func add(_ ailment: Ailment, _ group: Int, _ endpoint: Int, seconds: Int) {
        let until = endsAt.adding(milliseconds: 1000 * seconds)
        spells.append(Spell(endpoint: endpoint, group: group, ailment: ailment, from: endsAt, until: until))
    }

    private mutating func changeWeights(_ random: inout SeededRandom, _ groups: [NamedGroup]) {
        for _ in 0..<random.between(1, 3) {
            let group = random.below(groups.count)
            weights.append(
                WeightChange(
                    group: group,
                    // The first keeps its weight: somebody has to be there.
                    member: random.between(1, groups[group].members.count - 1),
                    weight: random.pick([0, 1, 5]),
                    at: Instant(
                        nanoseconds: Int64(random.between(10, Int(endsAt.nanoseconds / 1_000_000_000)))
                            * 1_000_000_000
                    )
                )
            )
        }
        weights.sort { $0.at < $1.at }
    }
}

extension RequestPlan {
    /// A request of a long world: short, mostly repeatable, sometimes given up.
    init(id: Int, group: Int, _ groups: GroupWorld, _ random: inout SeededRandom) {
        self.id = id
        method = random.pick(["GET", "GET", "GET", "GET", "POST"])
        retry = random.pick([.idempotentOnly, .idempotentOnly, .idempotentOnly, .never, .replayable])
        if method == "POST" {
            bodyBytes = random.below(300)
            body = .length(UInt64(bodyBytes))
        }
        credit = .ahead
        hashKey = "key \(random.below(10_000))"
        if random.chance(3) { cancelsAfterMilliseconds = random.pick([0, 20, 700]) }
        join(group, groups)
    }
}
