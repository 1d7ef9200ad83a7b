// RandomSource.swift: chance for balancing: random choices and jitter. Owns: the sequence of a seed.
// Never touches: the system's entropy; whoever makes one hands in the seed. Not for secrets.
// Source: Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014), SplitMix64; Lemire:
// "Fast random integer generation in an interval" (2019).

/// A generator whose numbers follow from its seed.
package struct RandomSource: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mixed(state)
    }

    /// A number from 0 to `count` - 1, biased by less than `count` / 2^64.
    package mutating func below(_ count: Int) -> Int {
        precondition(count > 0)
        return Int(next().multipliedFullWidth(by: UInt64(count)).high)
    }

    /// `milliseconds`, off by as much as `percent` percent either way.
    package mutating func jittered(milliseconds: Int, percent: Int) -> Int {
        let span = milliseconds * percent / 100
        return span == 0 ? milliseconds : milliseconds - span + below(2 * span + 1)
    }

    /// Every bit depends on every bit.
    static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
