// FNV.swift: the hash by which workers agree on buckets, that of Fowler, Noll and Vo (FNV-1a, 64 bits): it only has to spread,
// and to be the same in every worker and every run. Source: draft-eastlake-fnv.
import Model

/// A hash of all that was added.
struct FNV {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }

    mutating func add(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    mutating func add(_ bytes: [UInt8]) {
        for byte in bytes { add(byte) }
        add(UInt8(0))
    }

    mutating func add(_ endpoint: Endpoint) {
        switch endpoint {
        case .ip(.v4(let bits), let port): add(UInt64(bits) << 16 | UInt64(port))
        case .ip(.v6(let high, let low, let scope), let port):
            add(high)
            add(low)
            add(UInt64(scope) << 16 | UInt64(port))
        case .unix(let path): add(path)
        }
    }
}
