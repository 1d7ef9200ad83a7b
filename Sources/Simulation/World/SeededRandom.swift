// SeededRandom.swift: the only source of chance in a simulated world: same seed, same numbers, on every
// machine. Source: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).

/// A seeded stream of numbers.
package struct SeededRandom: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed &* 0xD134_2543_DE82_EF95 &+ 0x632B_E59B_D9B4_E019 }

    /// Any 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound` - 1; 0 when `bound` is 0.
    package mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(next() % UInt64(bound)) }

    /// From `low` to `high`, both included.
    package mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

    /// True in `percent` of 100 cases.
    package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// One of `choices`, which must not be empty.
    package mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[below(choices.count)] }

    /// From 0 to `limit`, mostly small: the scale is chosen first, then the number.
    package mutating func small(upTo limit: Int) -> Int {
        var scale = limit
        for _ in 0..<below(6) { scale /= 4 }
        return between(0, scale)
    }

    /// A stream of its own for one part of the world, so that the parts do not shift each other's numbers.
    package mutating func fork() -> SeededRandom { SeededRandom(seed: next()) }

    /// Puts `items` into a random order.
    package mutating func shuffle<Item>(_ items: inout [Item]) {
        guard items.count > 1 else { return }
        for index in stride(from: items.count - 1, to: 0, by: -1) { items.swapAt(index, below(index + 1)) }
    }
}
