// RoomLedgerTests.swift: the ledger against a tally of its own: limits, turns, and that nothing is forgotten.
// Source: RoomLedger.swift, rules 1 to 4.
import Model
import Testing

@testable import Engine

struct RoomLedgerTests {
    /// What the workers of a run know.
    private struct Tally {
        var ledger: RoomLedger
        let limits: (process: Int, endpoint: Int)
        var rooms: [(worker: Int, letter: Character, room: Room)] = []
        /// Sockets that are being closed for an heir.
        var closing: [(worker: Int, letter: Character, room: Room, heir: Heir)] = []
        var wishes: [(worker: Int, letter: Character, since: Instant)] = []
        var faults: [String] = []
        var meetings = 0

        mutating func takeNews(heirs: Int = 0) {
            // The wishes of heirs were met before, and may have been made anew.
            var heirs = heirs
            for (worker, news) in ledger.takeNews() {
                guard case .granted(let endpoint, let room, _, _) = news else { continue }
                let letter = "abc".first { Endpoint.lettered($0) == endpoint } ?? "?"
                if heirs == 0 { wishes.removeAll { $0.worker == worker && $0.letter == letter } }
                heirs = max(0, heirs - 1)
                rooms.append((worker, letter, room))
            }
            check()
        }

        mutating func check() {
            if rooms.count + closing.count > limits.process { faults.append("too many in all") }
            for letter in "abc" {
                let count =
                    rooms.count { $0.letter == letter } + closing.count { $0.letter == letter }
                if limits.endpoint > 0 && count > limits.endpoint { faults.append("too many at \(letter)") }
            }
        }

        /// Who has claimed a room must be the oldest at its endpoint.
        mutating func met(_ heir: Heir) {
            meetings += 1
            let letter = "abc".first { Endpoint.lettered($0) == ledger.endpoint(of: heir) } ?? "?"
            let rivals = wishes.filter { $0.letter == letter }
            let own = rivals.first { $0.worker == Int(heir.worker) }?.since
            if own == nil || own != rivals.map(\.since).min() {
                faults.append("\(heir) is not the oldest at \(letter)")
            }
            wishes.removeAll { $0.worker == Int(heir.worker) && $0.letter == letter }
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `no limit is exceeded, the oldest wish comes first, nothing is left`(seed: UInt64) {
        var random = Shuffler(seed)
        let limits = (process: 1 + random.below(6), endpoint: random.below(4))
        var tally = Tally(
            ledger: RoomLedger(
                connectionsMax: limits.process,
                connectionsPerEndpointMax: limits.endpoint,
                workers: 3
            ),
            limits: limits
        )
        for step in 0..<400 {
            act(&tally, &random, Instant(nanoseconds: Int64(step)))
            tally.takeNews()
        }
        while let (worker, _, room, heir) = tally.closing.popLast() {
            tally.ledger.handOver(room, to: heir, by: worker)
            tally.takeNews(heirs: 1)
        }
        while let (worker, _, room) = tally.rooms.popLast() {
            tally.ledger.giveBack(room, by: worker)
            tally.takeNews()
        }
        #expect(tally.faults == [])
        #expect(tally.wishes.isEmpty, "each wish is met when room comes back")
        #expect(tally.ledger.count == 0)
        #expect(tally.ledger.wishCount == 0)
        #expect(tally.ledger.entryCount == 0)
        #expect(tally.meetings > 0 || limits.process > 4)
    }

    private func act(_ tally: inout Tally, _ random: inout Shuffler, _ now: Instant) {
        let worker = random.below(3)
        switch random.below(10) {
        case 0..<5:
            let letter = Array("abc")[random.below(3)]
            let since = tally.wishes.first { $0.worker == worker && $0.letter == letter }?.since ?? now
            let answer = tally.ledger.take(
                .lettered(letter),
                since: since,
                idle: IdleRooms(),
                mayWait: true,
                by: worker
            )
            tally.wishes.removeAll { $0.worker == worker && $0.letter == letter }
            switch answer {
            case .room(let room): tally.rooms.append((worker, letter, room))
            case .wait: tally.wishes.append((worker, letter, since))
            case .exchange, .refused: tally.faults.append("\(answer) was not asked for")
            }
        case 5:
            guard let wish = tally.wishes.randomElement(using: &random) else { return }
            tally.ledger.withdraw(.lettered(wish.letter), by: wish.worker)
            tally.wishes.removeAll { $0.worker == wish.worker && $0.letter == wish.letter }
        case 6, 7:
            guard !tally.rooms.isEmpty else { return }
            let index = random.below(tally.rooms.count)
            let (owner, letter, room) = tally.rooms[index]
            guard let heir = tally.ledger.claim(room, olderThan: .never).heir else { return }
            tally.met(heir)
            tally.rooms.remove(at: index)
            tally.closing.append((owner, letter, room, heir))
        case 8:
            guard let (owner, _, room, heir) = tally.closing.popLast() else { return }
            tally.ledger.handOver(room, to: heir, by: owner)
            tally.takeNews(heirs: 1)
        default:
            guard let (owner, _, room) = tally.rooms.popLast() else { return }
            tally.ledger.giveBack(room, by: owner)
        }
    }
}

/// Numbers that a seed decides.
private struct Shuffler: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 2 &+ 1 }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }

    mutating func below(_ count: Int) -> Int { Int(next() >> 33) % count }
}
