// EventQueue.swift: what is going to happen, by time and then by order of planning.
import Engine
import Model

/// Something that happens at a planned time.
enum WorldEvent: Equatable {
    /// The oldest piece in flight on a link reaches the kernel of its reader.
    case arrival(link: Int, towardsEngine: Bool)
    /// A worker's event loop wakes up.
    case workerTurn(worker: Int)
    /// News of the budget are found in a worker's mailbox.
    case mail(worker: Int, BudgetNews)
    /// News of groups are found there.
    case groupMail(worker: Int, GroupNews)
    /// A letter of another worker is found there, by its place in `SimWorld.workerMail`.
    case workerMail(worker: Int, letter: Int)
    /// A connect call is answered.
    case dialAnswer(link: Int)
    /// A handshake comes to its end.
    case handshake(link: Int, TLSFailure.Kind?)
    /// The far end goes away in the middle of one.
    case handshakeCut(link: Int, isReset: Bool)
    case proxyWake(proxy: Int)
    case upstreamWake(link: Int)
    case drain
    case traffic(Traffic)
}

/// A binary heap; equal times come out in the order in which they were added.
struct EventQueue {
    private struct Entry {
        var time: Instant
        var sequence: UInt64
        var event: WorldEvent

        func isBefore(_ other: Entry) -> Bool {
            time == other.time ? sequence < other.sequence : time < other.time
        }
    }

    private var heap: [Entry] = []
    private var added: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func add(_ event: WorldEvent, at time: Instant) {
        added += 1
        heap.append(Entry(time: time, sequence: added, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> (time: Instant, event: WorldEvent)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
