// DeadlineHeap.swift: at most one wake-up a slot, the earliest first.
// A deadline that moves later costs nothing: the wake-up comes early, finds that, and is armed again.
import Model

/// A binary heap of slots with their places, so that a wake-up can be moved without a search.
struct DeadlineHeap: Sendable {
    private var heap: [Int32] = []
    private var place: [Int32] = []
    private var due: [Instant] = []

    /// The earliest wake-up.
    var earliest: Instant? { heap.first.map { due[Int($0)] } }

    /// Makes sure that `slot` is woken at `instant` or before.
    mutating func arm(_ slot: Int, at instant: Instant) {
        if instant == .never { return }
        while place.count <= slot {
            place.append(-1)
            due.append(.never)
        }
        if place[slot] >= 0 {
            if due[slot] <= instant { return }
            due[slot] = instant
            rise(Int(place[slot]))
        } else {
            due[slot] = instant
            place[slot] = Int32(heap.count)
            heap.append(Int32(slot))
            rise(heap.count &- 1)
        }
    }

    /// Takes out the earliest slot whose wake-up is at `now` or before.
    mutating func popDue(_ now: Instant) -> Int? {
        guard let first = heap.first, due[Int(first)] <= now else { return nil }
        place[Int(first)] = -1
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            place[Int(last)] = 0
            sink(0)
        }
        return Int(first)
    }

    private mutating func rise(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index &- 1) / 2
            guard isBefore(index, parent) else { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var least = index
            let left = 2 &* index &+ 1
            if left < heap.count && isBefore(left, least) { least = left }
            if left &+ 1 < heap.count && isBefore(left &+ 1, least) { least = left &+ 1 }
            if least == index { return }
            exchange(index, least)
            index = least
        }
    }

    /// Equal times are ordered by slot, so that a run can be repeated.
    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        let (one, other) = (heap[left], heap[right])
        let (oneDue, otherDue) = (due[Int(one)], due[Int(other)])
        return oneDue < otherDue || (oneDue == otherDue && one < other)
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        place[Int(heap[left])] = Int32(left)
        place[Int(heap[right])] = Int32(right)
    }
}
