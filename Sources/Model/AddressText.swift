// AddressText.swift: endpoints as people write them: 192.0.2.1:80, [2001:db8::1]:80, unix:/run/origin.sock.
// Owns: reading and printing. Never resolves a name. Source: RFC 3986 §3.2.2; RFC 4291 §2.2; RFC 5952.

extension Endpoint {
    /// Reads `IPv4:PORT`, `[IPv6]:PORT` or `unix:PATH`.
    /// - Returns: `nil` when `text` is none of these.
    package init?(text: String) {
        if text.hasPrefix("unix:") {
            let path = Array(text.utf8.dropFirst(5))
            guard 1...107 ~= path.count, !path.contains(0) else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(digits: text[text.index(after: colon)...]), port > 0
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard let address = IPAddress(v6Text: host.dropFirst().dropLast()) else { return nil }
            self = .ip(address, port: port)
        } else {
            guard let address = IPAddress(v4Text: host) else { return nil }
            self = .ip(address, port: port)
        }
    }

    /// As `init(text:)` reads it.
    package var text: String {
        switch self {
        case .unix(let path): "unix:" + String(decoding: path, as: UTF8.self)
        case .ip(.v4(let bits), let port): IPAddress.v4(bits).text + ":\(port)"
        case .ip(let address, let port): "[\(address.text)]:\(port)"
        }
    }
}

extension IPAddress {
    /// Reads an IPv4 or IPv6 address without brackets.
    package init?(text: String) {
        guard let address = IPAddress(v4Text: text[...]) ?? IPAddress(v6Text: text[...]) else { return nil }
        self = address
    }

    init?(v4Text text: Substring) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard part.count == 1 || part.first != "0", let byte = UInt8(digits: part) else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        self = .v4(bits)
    }

    /// With a numeric scope (interface index) after '%'.
    init?(v6Text text: Substring) {
        let scoped = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var scope: UInt32 = 0
        if scoped.count == 2 {
            guard let index = UInt32(digits: scoped[1]) else { return nil }
            scope = index
        }
        guard let address = scoped.first, let words = Self.words(address) else { return nil }
        let high = words[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        let low = words[4...].reduce(0) { $0 << 16 | UInt64($1) }
        self = .v6(high: high, low: low, scope: scope)
    }

    /// The eight words of an IPv6 address.
    private static func words(_ text: Substring) -> [UInt16]? {
        var front: [UInt16] = []
        var back: [UInt16] = []
        var rest = text
        var isCompressed = false
        if rest.hasPrefix("::") {
            isCompressed = true
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(part.count)
            var words: [UInt16] = []
            if part.contains(".") {
                guard rest.isEmpty, case .v4(let bits)? = IPAddress(v4Text: part) else { return nil }
                words = [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
            } else {
                guard 1...4 ~= part.utf8.count, part.first?.isHexDigit == true,
                    let word = UInt16(part, radix: 16)
                else { return nil }
                words = [word]
            }
            if isCompressed { back += words } else { front += words }
            if rest.hasPrefix("::") {
                guard !isCompressed else { return nil }
                isCompressed = true
                rest = rest.dropFirst(2)
            } else if !rest.isEmpty {
                rest = rest.dropFirst()
                guard !rest.isEmpty else { return nil }
            }
        }
        let missing = 8 - front.count - back.count
        guard isCompressed ? missing > 0 : missing == 0 else { return nil }
        return front + Array(repeating: 0, count: missing) + back
    }

    /// In the shortest usual form, RFC 5952 §4.
    package var text: String {
        switch self {
        case .v4(let bits): return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
        case .v6(let high, let low, let scope):
            let words = (0..<8).map {
                UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * ($0 % 4)))
            }
            let suffix = scope == 0 ? "" : "%\(scope)"
            let run = Self.longestZeroRun(words)
            let parts = words.map { String($0, radix: 16) }
            guard run.count > 1 else { return parts.joined(separator: ":") + suffix }
            let front = parts[..<run.lowerBound].joined(separator: ":")
            return front + "::" + parts[run.upperBound...].joined(separator: ":") + suffix
        }
    }

    private static func longestZeroRun(_ words: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0...words.count where index == words.count || words[index] != 0 {
            if index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best
    }
}

extension FixedWidthInteger {
    /// Reads decimal digits and nothing else: no sign, no space.
    package init?(digits text: Substring) {
        guard !text.isEmpty, text.utf8.allSatisfy({ 48...57 ~= $0 }), let value = Self(text, radix: 10) else {
            return nil
        }
        self = value
    }
}
