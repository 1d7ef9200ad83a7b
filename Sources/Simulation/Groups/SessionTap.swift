// SessionTap.swift: reads along what a worker reads from a session, to know when each REQUEST has reached the engine.
// Owns: frame borders. An oracle: it shares no code with what it judges. Source: DESIGN "The protocol".
import Model

struct SessionTap {
    private static let requestType: UInt8 = 0x02

    private var header: [UInt8] = []
    /// Bytes of the payload that are still to come.
    private var left = 0

    /// - Returns: the streams of the REQUESTs that are whole now, in order.
    mutating func parse(_ bytes: [UInt8]) -> [UInt32] {
        var found: [UInt32] = []
        var place = 0
        while place < bytes.count {
            if header.count < 12 {
                header.append(bytes[place])
                place += 1
                if header.count == 12 { left = Int(word(0)) }
            } else {
                let count = min(left, bytes.count - place)
                left -= count
                place += count
            }
            guard header.count == 12, left == 0 else { continue }
            if header[8] == Self.requestType { found.append(word(4)) }
            header.removeAll(keepingCapacity: true)
        }
        return found
    }

    private func word(_ place: Int) -> UInt32 {
        header[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
