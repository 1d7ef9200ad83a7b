// SlotTable.swift: flat tables whose places are named by slot and generation, and lists that run through them.
// Owns: which slots are taken. Never touches: what the elements mean. Elements keep their memory when released.
import BasicContainers

/// One place of a table.
struct Slot<Element: ~Copyable>: ~Copyable {
    var generation: UInt32 = 0
    var isTaken = false
    var element: Element
}

/// Elements that stay where they are. A released element is handed out again as it was left: its owner resets it.
struct SlotTable<Element: ~Copyable>: ~Copyable {
    /// To be used from outside only where a span of an element is returned: `subscript` ends its access too early.
    private(set) var slots = UniqueArray<Slot<Element>>()
    private var free: [Int32] = []

    /// Slots that are taken.
    var takenCount: Int { slots.count &- free.count }

    /// Slots that exist, taken or not.
    var slotCount: Int { slots.count }

    /// Takes the slot that was released last, or a new one that `make` fills.
    mutating func take(_ make: () -> Element) -> Int {
        if let slot = free.popLast() {
            slots[Int(slot)].isTaken = true
            return Int(slot)
        }
        slots.append(Slot(isTaken: true, element: make()))
        return slots.count &- 1
    }

    /// Gives a slot back; its generation never comes again.
    mutating func release(_ slot: Int) {
        precondition(slots[slot].isTaken, "released twice")
        slots[slot].isTaken = false
        slots[slot].generation &+= 1
        free.append(Int32(slot))
    }

    func isTaken(_ slot: Int) -> Bool { slots[slot].isTaken }

    func generation(of slot: Int) -> UInt32 { slots[slot].generation }

    /// The slot, when it still is what the caller means.
    func find(_ slot: UInt32, _ generation: UInt32) -> Int? {
        let index = Int(slot)
        guard index < slots.count, slots[index].isTaken, slots[index].generation == generation else {
            return nil
        }
        return index
    }

    subscript(_ slot: Int) -> Element {
        @inline(__always) _read { yield slots[slot].element }
        @inline(__always) _modify { yield &slots[slot].element }
    }
}

/// The ends of a list of slots; the links are in a `SlotLinks`.
struct SlotList: Sendable {
    fileprivate(set) var first: Int?
    fileprivate(set) var last: Int?
    fileprivate(set) var count = 0
}

/// Links of lists that are disjoint: a slot is in one of them at most.
struct SlotLinks: Sendable {
    private var next: [Int32] = []
    private var previous: [Int32] = []
    private static let none: Int32 = -1

    /// The slot behind `slot` in its list.
    func next(after slot: Int) -> Int? { next[slot] < 0 ? nil : Int(next[slot]) }

    /// The slot in front of `slot` in its list.
    func previous(before slot: Int) -> Int? { previous[slot] < 0 ? nil : Int(previous[slot]) }

    /// Makes `slot` the last of `list`. It must be in no list of these links.
    mutating func append(_ slot: Int, to list: inout SlotList) {
        while next.count <= slot {
            next.append(Self.none)
            previous.append(Self.none)
        }
        next[slot] = Self.none
        previous[slot] = Int32(list.last ?? -1)
        if let last = list.last { next[last] = Int32(slot) } else { list.first = slot }
        list.last = slot
        list.count &+= 1
    }

    /// Puts `slot` in front of `other`, which must be in `list`; `nil`: at the end.
    mutating func insert(_ slot: Int, before other: Int?, in list: inout SlotList) {
        append(slot, to: &list)
        guard let other else { return }
        remove(slot, from: &list)
        previous[slot] = previous[other]
        next[slot] = Int32(other)
        if previous[other] < 0 { list.first = slot } else { next[Int(previous[other])] = Int32(slot) }
        previous[other] = Int32(slot)
        list.count &+= 1
    }

    /// Takes `slot` out of `list`, where it must be.
    mutating func remove(_ slot: Int, from list: inout SlotList) {
        let before = previous[slot]
        let after = next[slot]
        if before < 0 { list.first = after < 0 ? nil : Int(after) } else { next[Int(before)] = after }
        if after < 0 { list.last = before < 0 ? nil : Int(before) } else { previous[Int(after)] = before }
        next[slot] = Self.none
        previous[slot] = Self.none
        list.count &-= 1
    }
}
