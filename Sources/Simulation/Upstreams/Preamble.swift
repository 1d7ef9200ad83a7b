// Preamble.swift: what may stand before the first request of a connection: a PROXY header, or the tag of a raw tunnel.
// An oracle: it shares no code with what it judges. Source: HAProxy's proxy-protocol.txt, §2.1 and §2.2.
import Model

/// Says whose raw bytes follow, where no head can. Fixed length, so that it is known when it is whole.
enum RawTag {
    static let byteCount = 15

    /// In front of the bytes of a request's tunnel.
    static func of(request: Int) -> [UInt8] { bytes("RAW ", request) }

    /// In front of the bytes that an upstream sends into it.
    static func of(serve: Int) -> [UInt8] { bytes("SRV ", serve) }

    private static func bytes(_ mark: String, _ number: Int) -> [UInt8] {
        let digits = String(number)
        return Array((mark + String(repeating: "0", count: 10 - digits.count) + digits + "\n").utf8)
    }

    static func number(_ bytes: [UInt8]) -> Int? {
        Int(String(decoding: bytes.dropFirst(4).dropLast(), as: UTF8.self))
    }
}

/// Looks for a preamble at the front of a connection.
struct Preamble {
    enum Found: Equatable {
        /// More bytes are needed to tell.
        case undecided
        /// None follows; all bytes are what comes behind.
        case nothing
        case header(SeenProxyHeader, used: Int)
        case tag(Int, used: Int)
        case malformed(String)
    }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
    private static let textStart = Array("PROXY ".utf8)
    private static let rawStart = Array("RAW ".utf8)
    /// §2.1: the longest line of version 1.
    private static let textBytesMax = 107

    static func find(_ bytes: [UInt8]) -> Found {
        var mayBecome = false
        for start in [signature, textStart, rawStart] {
            let count = min(start.count, bytes.count)
            guard bytes[..<count].elementsEqual(start[..<count]) else { continue }
            if count < start.count {
                mayBecome = true
                continue
            }
            if start == signature { return binary(bytes) }
            return start == textStart ? text(bytes) : tag(bytes)
        }
        return mayBecome ? .undecided : .nothing
    }

    private static func tag(_ bytes: [UInt8]) -> Found {
        guard bytes.count >= RawTag.byteCount else { return .undecided }
        guard let number = RawTag.number(Array(bytes[..<RawTag.byteCount])) else {
            return .malformed("a tag that is none")
        }
        return .tag(number, used: RawTag.byteCount)
    }

    private static func text(_ bytes: [UInt8]) -> Found {
        guard let end = bytes.firstIndex(of: 10) else {
            return bytes.count > textBytesMax ? .malformed("an endless PROXY line") : .undecided
        }
        guard bytes[end - 1] == 13 else { return .malformed("a PROXY line without CR") }
        let line = String(decoding: bytes[..<(end - 1)], as: UTF8.self)
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        var header = SeenProxyHeader(version: 1)
        if words.count >= 2, words[1] == "UNKNOWN" { return .header(header, used: end + 1) }
        guard words.count == 6, let fromPort = UInt16(words[4]), let toPort = UInt16(words[5]) else {
            return .malformed(line)
        }
        let read = words[1] == "TCP4" ? dotted : groups
        guard ["TCP4", "TCP6"].contains(words[1]), let from = read(words[2]), let to = read(words[3]) else {
            return .malformed(line)
        }
        header.source = .ip(from, port: fromPort)
        header.destination = .ip(to, port: toPort)
        return .header(header, used: end + 1)
    }

    private static func dotted(_ text: Substring) -> IPAddress? {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        return parts.count == 4 ? .v4(parts.reduce(0) { $0 << 8 | UInt32($1) }) : nil
    }

    private static func groups(_ text: Substring) -> IPAddress? {
        let parts = text.split(separator: ":").compactMap { UInt16($0, radix: 16) }
        guard parts.count == 8 else { return nil }
        return .v6(
            high: parts[..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: parts[4...].reduce(0) { $0 << 16 | UInt64($1) },
            scope: 0
        )
    }

    private static func binary(_ bytes: [UInt8]) -> Found {
        guard bytes.count >= 16 else { return .undecided }
        let end = 16 + Int(bytes[14]) << 8 + Int(bytes[15])
        guard bytes.count >= end else { return .undecided }
        var header = SeenProxyHeader(version: 2)
        func number(_ place: Int, _ count: Int) -> UInt64 {
            bytes[place..<place + count].reduce(0) { $0 << 8 | UInt64($1) }
        }
        switch (bytes[12], bytes[13], end) {
        case (0x20, 0, 16): break
        case (0x21, 0x11, 28):
            header.source = .ip(.v4(UInt32(number(16, 4))), port: UInt16(number(24, 2)))
            header.destination = .ip(.v4(UInt32(number(20, 4))), port: UInt16(number(26, 2)))
        case (0x21, 0x21, 52):
            let from = IPAddress.v6(high: number(16, 8), low: number(24, 8), scope: 0)
            let to = IPAddress.v6(high: number(32, 8), low: number(40, 8), scope: 0)
            header.source = .ip(from, port: UInt16(number(48, 2)))
            header.destination = .ip(to, port: UInt16(number(50, 2)))
        default: return .malformed("a PROXY header of \(bytes[12...13])")
        }
        return .header(header, used: end)
    }
}
