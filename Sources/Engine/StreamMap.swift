// StreamMap.swift: the stream ids that are in use on one session.
// Owns: which id means which stream. Source: DESIGN "The protocol", stream ids are the proxy's choice.

/// What a stream id stands for.
enum StreamEntry: Equatable {
    case unknown
    /// Its END was sent while the proxy's side was open: frames of the proxy may still be on the way.
    case ended
    /// A slot of the stream table.
    case open(Int)
}

/// Open addressing with linear probing; removal closes the gap, so probes stay short for ever.
struct StreamMap: Sendable {
    private var keys: [UInt32] = []
    private var values: [Int32] = []
    private(set) var count = 0
    /// What ended ids stand for: those of the present round; -1 and -2 in turn.
    private var ended: Int32 = -1
    /// Ended ids of the present round.
    private var endedCount = 0

    func find(_ id: UInt32) -> StreamEntry {
        guard let place = place(of: id) else { return .unknown }
        return values[place] < 0 ? .ended : .open(Int(values[place]))
    }

    /// Sets or replaces what `id` stands for. Id 0 is the session itself and never a stream.
    mutating func set(_ id: UInt32, slot: Int) { set(id, Int32(slot)) }

    /// Remembers that `id` has ended. Nobody has to say that it may be forgotten: once `endedMax` others have
    /// ended after it, it may be.
    mutating func setEnded(_ id: UInt32, endedMax: Int) {
        if endedCount >= endedMax { beginRound() }
        set(id, ended)
        endedCount &+= 1
    }

    mutating func remove(_ id: UInt32) {
        guard var hole = place(of: id) else { return }
        count &-= 1
        if values[hole] == ended { endedCount &-= 1 }
        let mask = keys.count &- 1
        var index = (hole &+ 1) & mask
        while keys[index] != 0 {
            let home = start(of: keys[index])
            if (index &- home) & mask >= (index &- hole) & mask {
                keys[hole] = keys[index]
                values[hole] = values[index]
                hole = index
            }
            index = (index &+ 1) & mask
        }
        keys[hole] = 0
    }

    /// Forgets every id and keeps the memory.
    mutating func removeAll() {
        for index in keys.indices { keys[index] = 0 }
        count = 0
        endedCount = 0
    }

    /// Forgets the ids that ended in the round before; those of this one have one round more.
    private mutating func beginRound() {
        ended = ended == -1 ? -2 : -1
        endedCount = 0
        let (oldKeys, oldValues) = (keys, values)
        for index in keys.indices { keys[index] = 0 }
        count = 0
        for index in oldKeys.indices where oldKeys[index] != 0 && oldValues[index] != ended {
            insert(oldKeys[index], oldValues[index])
            count &+= 1
        }
    }

    private mutating func set(_ id: UInt32, _ value: Int32) {
        precondition(id != 0, "stream 0 is the session")
        if let place = place(of: id) {
            if values[place] == ended { endedCount &-= 1 }
            values[place] = value
            return
        }
        if keys.count < 2 &* (count &+ 1) { grow() }
        insert(id, value)
        count &+= 1
    }

    private mutating func insert(_ id: UInt32, _ value: Int32) {
        let mask = keys.count &- 1
        var index = start(of: id)
        while keys[index] != 0 { index = (index &+ 1) & mask }
        keys[index] = id
        values[index] = value
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        let size = max(64, 2 &* oldKeys.count)
        keys = Array(repeating: 0, count: size)
        values = Array(repeating: 0, count: size)
        for index in oldKeys.indices where oldKeys[index] != 0 { insert(oldKeys[index], oldValues[index]) }
    }

    private func place(of id: UInt32) -> Int? {
        if count == 0 || id == 0 { return nil }
        let mask = keys.count &- 1
        var index = start(of: id)
        while keys[index] != 0 {
            if keys[index] == id { return index }
            index = (index &+ 1) & mask
        }
        return nil
    }

    /// Fibonacci hashing: neighbouring ids, which proxies choose, land apart.
    private func start(of id: UInt32) -> Int {
        Int((UInt64(id) &* 0x9E37_79B9_7F4A_7C15) >> 32) & (keys.count &- 1)
    }
}
