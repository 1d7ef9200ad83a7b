// TableTests.swift: the flat tables under the engine, each against a simple model, by seeds.
import Model
import Testing

@testable import Engine

/// Numbers from a seed: SplitMix64.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

struct SlotTableTests {
    @Test(arguments: 0..<16) func `a slot is found by its generation while it is taken`(seed: UInt64) {
        var random = Seeded(seed)
        var table = SlotTable<Int>()
        var taken: [Int: (generation: UInt32, value: Int)] = [:]
        var gone: [(slot: Int, generation: UInt32)] = []
        for step in 0..<400 {
            if let slot = taken.keys.sorted().randomElement(using: &random), Bool.random(using: &random) {
                gone.append((slot, table.generation(of: slot)))
                table.release(slot)
                taken[slot] = nil
            } else {
                let slot = table.take { -1 }
                #expect(taken[slot] == nil)
                table[slot] = step
                taken[slot] = (table.generation(of: slot), step)
            }
        }
        #expect(table.takenCount == taken.count)
        for (slot, entry) in taken {
            #expect(table.find(UInt32(slot), entry.generation) == slot)
            #expect(table[slot] == entry.value)
        }
        for id in gone { #expect(table.find(UInt32(id.slot), id.generation) == nil) }
        #expect(table.find(UInt32(table.slotCount), 0) == nil)
    }

    @Test func `the slot that was released last is taken first, as it was left`() {
        var table = SlotTable<Int>()
        let slots = (0..<3).map { value in table.take { value } }
        table.release(slots[2])
        table.release(slots[0])
        let again = table.take { 9 }
        #expect(again == slots[0] && table[again] == 0)
        #expect(table.slotCount == 3)
    }
}

struct SlotLinksTests {
    @Test(arguments: 0..<16) func `lists keep the order in which slots were appended`(seed: UInt64) {
        var random = Seeded(seed)
        var links = SlotLinks()
        var lists = [SlotList(), SlotList()]
        var model: [[Int]] = [[], []]
        for _ in 0..<400 {
            let slot = Int.random(in: 0..<20, using: &random)
            if let list = model.firstIndex(where: { $0.contains(slot) }) {
                links.remove(slot, from: &lists[list])
                model[list].removeAll { $0 == slot }
            } else {
                let list = Int.random(in: 0..<2, using: &random)
                links.append(slot, to: &lists[list])
                model[list].append(slot)
            }
            for list in 0..<2 {
                var found: [Int] = []
                var next = lists[list].first
                while let slot = next, found.count <= 20 {
                    found.append(slot)
                    next = links.next(after: slot)
                }
                #expect(found == model[list])
                #expect(lists[list].last == model[list].last && lists[list].count == model[list].count)
            }
        }
    }
}

struct StreamMapTests {
    @Test(arguments: 0..<16) func `an id means what it was last set to`(seed: UInt64) {
        var random = Seeded(seed)
        var map = StreamMap()
        var model: [UInt32: StreamEntry] = [:]
        // Few enough to come again, far enough apart to meet in the table.
        let ids = (1...120).map { UInt32($0) &* (seed % 2 == 0 ? 1 : 0x1001_0000) | 1 }
        for step in 0..<2000 {
            let id = ids.randomElement(using: &random) ?? 1
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                map.remove(id)
                model[id] = nil
            case 1:
                map.setEnded(id, endedMax: 1000)
                model[id] = .ended
            default:
                map.set(id, slot: step)
                model[id] = .open(step)
            }
            #expect(map.find(id) == model[id] ?? .unknown)
        }
        #expect(map.count == model.count)
        for id in ids { #expect(map.find(id) == model[id] ?? .unknown) }
        map.removeAll()
        #expect(map.count == 0)
        for id in ids { #expect(map.find(id) == .unknown) }
    }

    @Test(arguments: 0..<16) func `the last ids that ended are known, and few more`(seed: UInt64) {
        var random = Seeded(seed)
        var map = StreamMap()
        let endedMax = 10
        var recent: [UInt32] = []
        map.set(1_000_000, slot: 7)
        for step in 1...500 as ClosedRange<UInt32> {
            let id = Bool.random(using: &random) ? step : recent.randomElement(using: &random) ?? step
            map.set(id, slot: 3)
            map.setEnded(id, endedMax: endedMax)
            recent.removeAll { $0 == id }
            recent.append(id)
            for known in recent.suffix(endedMax) { #expect(map.find(known) == .ended) }
            #expect(map.count <= 2 * endedMax + 1)
        }
        #expect(map.find(1_000_000) == .open(7))
        #expect(map.find(0) == .unknown)
    }
}

struct DeadlineHeapTests {
    @Test(arguments: 0..<16) func `every slot is woken once, at its earliest time, in order`(seed: UInt64) {
        var random = Seeded(seed)
        var heap = DeadlineHeap()
        var model: [Int: Int64] = [:]
        var now: Int64 = 0
        for _ in 0..<500 {
            if Int.random(in: 0..<3, using: &random) > 0 {
                let slot = Int.random(in: 0..<30, using: &random)
                let due = now + Int64.random(in: 0..<50, using: &random)
                heap.arm(slot, at: Instant(nanoseconds: due))
                model[slot] = min(model[slot] ?? .max, due)
            } else {
                now += Int64.random(in: 0..<20, using: &random)
                while let slot = heap.popDue(Instant(nanoseconds: now)) {
                    let first = model.map { ($0.value, $0.key) }.min { $0 < $1 }
                    #expect(first?.1 == slot && (first?.0 ?? .max) <= now)
                    model[slot] = nil
                }
                #expect(model.values.allSatisfy { $0 > now })
            }
            #expect(heap.earliest?.nanoseconds == model.values.min())
        }
    }

    @Test func `never is no time to be woken`() {
        var heap = DeadlineHeap()
        heap.arm(3, at: .never)
        #expect(heap.earliest == nil)
        heap.arm(3, at: Instant(nanoseconds: 5))
        heap.arm(3, at: .never)
        #expect(heap.earliest == Instant(nanoseconds: 5))
    }
}

struct TargetTableTests {
    @Test func `keys of one endpoint share its state and leave with the last of them`() {
        var table = TargetTable()
        let endpoint = Endpoint.lettered("a")
        let one = table.make(PoolKey(endpoint: endpoint, route: .direct, localAddress: nil))
        let two = table.make(PoolKey(endpoint: endpoint, route: .peer, localAddress: nil))
        #expect(one != two && table[one].endpoint == table[two].endpoint)
        #expect(table.make(table[one].key) == one && table.count == 2)
        table[two].connections = 1
        table.removeIfUnused(two)
        table.removeIfUnused(one)
        #expect(table.count == 1 && table.isEndpointTaken(table[two].endpoint))
        table[two].connections = 0
        table.removeIfUnused(two)
        table.removeIfUnused(two)
        #expect(table.count == 0 && !table.isEndpointTaken(table[two].endpoint))
        #expect(table.find(PoolKey(endpoint: endpoint, route: .peer, localAddress: nil)) == nil)
    }
}
