// RequestMaker.swift: REQUEST payloads from a seed: those that proxies send, odd ones, and broken ones.
// Owns: what is worth trying. Never touches: the code under test. Source: proto/outrigger.proto, message
// Request; the protobuf encoding guide: a varint may be padded, a field repeat, fields stand in any order.
import Model

/// Numbers from a seed: SplitMix64.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Makes payloads. The same seed makes the same ones.
struct RequestMaker {
    /// Around every width of a varint and of the types behind it.
    private static let numbers: [UInt64] = [
        0, 1, 2, 3, 80, 127, 128, 16_383, 16_384, 65_535, 65_536, 86_400_000, 86_400_001, 1 << 32 - 1,
        1 << 32,
        1 << 32 + 1, 1 << 62, 1 << 63 - 1, 1 << 63, .max,
    ]
    private var random: SeededNumbers

    init(seed: UInt64) { random = SeededNumbers(state: seed) }

    mutating func payload() -> [UInt8] {
        var parts = plainParts()
        if chance(1, of: 4) {
            for _ in 0..<Int.random(in: 1...2, using: &random) { parts.append(oddPart()) }
        }
        if chance(1, of: 4), let part = parts.randomElement(using: &random) { parts.append(part) }
        if chance(1, of: 3) { parts.shuffle(using: &random) }
        var bytes = parts.flatMap { $0 }
        if chance(1, of: 4) { mutate(&bytes) }
        return bytes
    }

    private mutating func chance(_ part: Int, of whole: Int) -> Bool {
        Int.random(in: 0..<whole, using: &random) < part
    }

    private mutating func number() -> UInt64 { RequestMaker.numbers.randomElement(using: &random) ?? 0 }

    private mutating func data(upTo countMax: Int) -> [UInt8] {
        let count = Int.random(in: 0...countMax, using: &random)
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    // Keys and varints, a few of them longer than they need to be.
    private mutating func varint(_ value: UInt64) -> [UInt8] {
        var bytes = Wire.varint(value)
        if chance(1, of: 40) {
            bytes[bytes.count - 1] |= 0x80
            bytes +=
                Array(repeating: 0x80, count: Int.random(in: 0...(10 - bytes.count), using: &random)) + [0]
        }
        return bytes
    }

    private mutating func key(_ field: Int, _ wireType: UInt64) -> [UInt8] {
        let key = UInt64(field) << 3 | wireType
        return chance(1, of: 400) ? varint(key) : Wire.varint(key)
    }

    private mutating func number(_ field: Int, _ value: UInt64) -> [UInt8] { key(field, 0) + varint(value) }

    private mutating func data(_ field: Int, _ data: [UInt8]) -> [UInt8] {
        key(field, 2) + varint(UInt64(data.count)) + data
    }

    private mutating func text(_ field: Int, _ text: String) -> [UInt8] { data(field, Array(text.utf8)) }

    /// A group, its key, a policy; not all that goes together.
    private mutating func groupParts() -> [[UInt8]] {
        var parts: [[UInt8]] = []
        if chance(1, of: 2) {
            parts.append(text(7, ["", "g", "a b", "\u{e9}", "x\u{0}"].randomElement(using: &random) ?? ""))
        }
        if chance(1, of: 2) { parts.append(data(20, data(upTo: 300))) }
        if chance(1, of: 2) { parts.append(number(21, UInt64.random(in: 0...8, using: &random))) }
        return parts
    }

    // What can be served.
    private mutating func plainParts() -> [[UInt8]] {
        var parts = [
            text(1, ["GET", "POST", "Connect", "PROPFIND"].randomElement(using: &random) ?? ""),
            text(3, "example.com"), text(4, "/a?b=c"),
        ]
        for _ in 0..<Int.random(in: 0...4, using: &random) { parts.append(fieldPart()) }
        for _ in 0..<Int.random(in: 0...3, using: &random) { parts.append(endpointPart()) }
        if chance(1, of: 8) { parts.append(number(2, UInt64.random(in: 0...1, using: &random))) }
        if chance(1, of: 4) { parts.append(number(8, UInt64.random(in: 0...1, using: &random))) }
        if chance(1, of: 8) { parts += groupParts() }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: parts += [number(10, 1), number(11, number())]
        case 1: parts.append(number(10, 2))
        case 2: parts += [number(10, 0), number(11, 0)]
        case 3: parts.append(text(14, "websocket"))
        default: break
        }
        if chance(1, of: 3) { parts.append(deadlinesPart(upTo: 86_400_000)) }
        if chance(1, of: 4) { parts.append(number(13, UInt64.random(in: 0...2, using: &random))) }
        if chance(1, of: 4) { parts.append(data(15, data(upTo: 128))) }
        return parts
    }

    private mutating func fieldPart() -> [UInt8] {
        var field = chance(1, of: 10) ? [] : data(1, data(upTo: 20))
        if !chance(1, of: 10) { field += data(2, data(upTo: chance(1, of: 20) ? 300 : 20)) }
        if chance(1, of: 10) { field += data(Int.random(in: 1...2, using: &random), data(upTo: 5)) }
        return data(5, field)
    }

    private mutating func endpointPart() -> [UInt8] {
        let isIPv6 = chance(1, of: 2)
        let port = number(2, UInt64.random(in: 1...65_535, using: &random))
        var endpoint = data(1, (0..<(isIPv6 ? 16 : 4)).map { UInt8($0) })
        if chance(1, of: 8) { endpoint = port + endpoint } else { endpoint += port }
        if isIPv6 && chance(1, of: 3) { endpoint += number(3, number() & 0xFFFF_FFFF) }
        if chance(1, of: 8) { endpoint += number(3, 0) }
        if chance(1, of: 8) { endpoint += number(2, 80) }
        return data(6, endpoint)
    }

    private mutating func deadlinesPart(upTo millisecondsMax: UInt64) -> [UInt8] {
        var deadlines: [UInt8] = []
        for field in 1...5 where chance(1, of: 2) {
            deadlines += number(field, min(number(), millisecondsMax))
        }
        return data(12, deadlines)
    }

    // What is unusual, refused or broken.
    private mutating func oddPart() -> [UInt8] {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: number([2, 8, 10, 11, 13].randomElement(using: &random) ?? 2, number())
        case 1: deadlinesPart(upTo: 86_400_000) + deadlinesPart(upTo: .max)
        case 2: data(6, oddEndpoint())
        case 3: data(9, oddEndpoint())
        case 4: data([5, 6, 9, 12, 16, 17, 18, 19].randomElement(using: &random) ?? 5, [])
        case 5: data(Int.random(in: 1...18, using: &random), data(upTo: 12))
        case 6: number(Int.random(in: 1...18, using: &random), number())
        case 7:
            key(Int.random(in: 0...20, using: &random), UInt64.random(in: 0...7, using: &random))
                + data(upTo: 9)
        case 8: unknownPart()
        case 9:
            data(
                [1, 3, 14, 15].randomElement(using: &random) ?? 1,
                Array(repeating: 0x41, count: longCount())
            )
        case 10: text([7, 1].randomElement(using: &random) ?? 7, "CONNECT")
        default: manyParts()
        }
    }

    private mutating func longCount() -> Int {
        [0, 64, 65, 127, 128, 129, 1024, 1025].randomElement(using: &random) ?? 0
    }

    private mutating func oddEndpoint() -> [UInt8] {
        var endpoint = data(
            1,
            Array(repeating: 7, count: [0, 3, 4, 5, 16, 17].randomElement(using: &random) ?? 0)
        )
        for field in 2...3 where chance(1, of: 2) { endpoint += number(field, number()) }
        if chance(1, of: 3) { endpoint += text(4, "/run/up.sock") }
        if chance(1, of: 4) { endpoint += unknownPart() }
        if chance(1, of: 4) { endpoint += data(1, []) }
        return endpoint
    }

    private mutating func unknownPart() -> [UInt8] {
        let field = [20, 99, 2000, 15, 5].randomElement(using: &random) ?? 20
        return switch Int.random(in: 0..<4, using: &random) {
        case 0: number(field, number())
        case 1: data(field, data(upTo: 9))
        case 2: key(field, 1) + Array(repeating: 1, count: 8)
        default: key(field, 5) + Array(repeating: 1, count: 4)
        }
    }

    /// Around the limits of lists, and submessages with something unknown inside.
    private mutating func manyParts() -> [UInt8] {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: (0..<Int.random(in: 250...257, using: &random)).flatMap { _ in [0x2A, 0x00] as [UInt8] }
        case 1: (0..<Int.random(in: 12...17, using: &random)).flatMap { _ in endpointPart() }
        case 2: data(5, text(1, "a") + unknownPart())
        default: data(12, number(1, 5) + unknownPart())
        }
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[index] = UInt8.random(in: .min ... .max, using: &random)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: index)
            case 4: bytes.removeSubrange(index...)
            default: bytes.insert(contentsOf: bytes[index...].prefix(9), at: index)
            }
        }
    }
}
