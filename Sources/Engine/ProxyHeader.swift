// ProxyHeader.swift: the PROXY protocol's header in front of a connection.
// Owns: its two forms. Source: HAProxy's proxy-protocol.txt, versions 1 (§2.1) and 2 (§2.2).
import Model

extension RouteIdentity {
    /// - Parameter endpoint: where the connection leads: the destination unless one is named.
    /// - Returns: the header, empty without one.
    func proxyHeader(to endpoint: Endpoint) -> [UInt8] {
        let pair = ProxyAddresses(source: proxySource, destination: proxyDestination ?? endpoint)
        switch proxyProtocol {
        case .none: return []
        case .v1: return pair.text
        case .v2: return pair.binary
        }
    }
}

/// Source and destination of one family.
private enum ProxyAddresses {
    case v4(UInt32, UInt16, UInt32, UInt16)
    case v6([UInt8], UInt16, [UInt8], UInt16)
    /// Nothing is known of the client.
    case unknown

    init(source: Endpoint?, destination: Endpoint) {
        switch (source, destination) {
        case (.ip(.v4(let from), let fromPort), .ip(.v4(let to), let toPort)):
            self = .v4(from, fromPort, to, toPort)
        case (.ip(.v6(let high, let low, _), let fromPort), .ip(.v6(let toHigh, let toLow, _), let toPort)):
            self = .v6(Self.bytes(high, low), fromPort, Self.bytes(toHigh, toLow), toPort)
        default: self = .unknown
        }
    }

    var text: [UInt8] {
        switch self {
        case .v4(let from, let fromPort, let to, let toPort):
            let addresses = "\(Self.dotted(from)) \(Self.dotted(to)) \(fromPort) \(toPort)"
            return Array("PROXY TCP4 \(addresses)\r\n".utf8)
        case .v6(let from, let fromPort, let to, let toPort):
            let addresses = "\(Self.groups(from)) \(Self.groups(to)) \(fromPort) \(toPort)"
            return Array("PROXY TCP6 \(addresses)\r\n".utf8)
        case .unknown: return Array("PROXY UNKNOWN\r\n".utf8)
        }
    }

    var binary: [UInt8] {
        var bytes: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
        switch self {
        case .v4(let from, let fromPort, let to, let toPort):
            // Version 2, command PROXY; TCP over IPv4; 12 bytes of addresses.
            bytes += [0x21, 0x11, 0, 12] + Self.bytes(UInt64(from), 4) + Self.bytes(UInt64(to), 4)
            bytes += Self.bytes(UInt64(fromPort), 2) + Self.bytes(UInt64(toPort), 2)
        case .v6(let from, let fromPort, let to, let toPort):
            bytes += [0x21, 0x21, 0, 36] + from + to
            bytes += Self.bytes(UInt64(fromPort), 2) + Self.bytes(UInt64(toPort), 2)
        case .unknown:
            // Command LOCAL: the receiver takes the connection's own addresses.
            bytes += [0x20, 0, 0, 0]
        }
        return bytes
    }

    private static func bytes(_ high: UInt64, _ low: UInt64) -> [UInt8] { bytes(high, 8) + bytes(low, 8) }

    /// The lowest `count` bytes, the highest of them first.
    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }

    private static func dotted(_ address: UInt32) -> String {
        bytes(UInt64(address), 4).map { String($0) }.joined(separator: ".")
    }

    /// Eight groups, none left out: every reader takes that.
    private static func groups(_ address: [UInt8]) -> String {
        (0..<8).map { String(UInt16(address[2 * $0]) << 8 | UInt16(address[2 * $0 + 1]), radix: 16) }
            .joined(separator: ":")
    }
}
