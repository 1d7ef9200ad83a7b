// HashKey.swift: keys of requests and names of members as numbers, and what a member scores for a key.
// Owns: the hash. It is the same in every process, on every machine, in every version: sidecars that share
// peers have to send one key to one peer. Source: Wang Yi: wyhash (multiply and fold); Thaler, Ravishankar:
// "Using name-based mappings to increase hit rates" (1998), rendezvous; Schindelhauer, Schomaker: "Weighted
// distributed hash tables" (2005).

/// Hashes for the policy `hash`.
package enum HashKey {
    /// The number of a key. Reads eight bytes at a time; allocates nothing.
    package static func of(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = folded(0xA076_1D64_78BD_642F ^ UInt64(bytes.count), 0xE703_7ED1_A0B4_28DB)
        var place = 0
        while place < bytes.count {
            let end = min(place + 8, bytes.count)
            var word: UInt64 = 0
            for index in place..<end { word = word << 8 | UInt64(bytes[index]) }
            hash = folded(hash ^ word, 0x8EBC_6AF0_9C88_C6E3)
            place = end
        }
        return RandomSource.mixed(hash)
    }

    /// The number of a key in two parts.
    package static func of(_ first: Span<UInt8>, _ second: Span<UInt8>) -> UInt64 {
        RandomSource.mixed(folded(of(first), 0xA076_1D64_78BD_642F) ^ of(second))
    }

    /// What `member` draws for `key`: even over all numbers, and nothing to do with what others draw.
    static func draw(key: UInt64, member: UInt64) -> UInt64 {
        RandomSource.mixed(RandomSource.mixed(key ^ member) &+ member)
    }

    /// The time after which a member with `weight` would come in, of an exponential race for `key`: -ln(draw)
    /// / weight. The first wins with a probability of its weight in all weights, and whoever leaves or joins
    /// changes nothing between others.
    static func arrival(draw: UInt64, weight: Int) -> Double {
        -Curve.logarithm(even(draw)) / Double(weight)
    }

    /// No later than `arrival`, as -ln x is never less than 1 - x.
    static func earliest(draw: UInt64, weight: Int) -> Double { (1 - even(draw)) / Double(weight) }

    /// Between 0 and 1: in the middle of its step, so that it is neither.
    private static func even(_ draw: UInt64) -> Double { (Double(draw >> 12) + 0.5) * 0x1p-52 }

    /// The halves of the product, one over the other. An operand of 0 must not swallow the other one.
    private static func folded(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low ^ left
    }
}
