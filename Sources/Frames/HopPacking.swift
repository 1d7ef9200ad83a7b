// HopPacking.swift: how a proxy says Tls and Hop: rare and small, so packed into arrays of their own.
// Owns: nothing. Source: proto/outrigger.proto, messages Tls and Hop; tests unpack them with protobuf-c.
import Model

/// A message under construction.
struct WireMessage {
    private(set) var bytes: [UInt8] = []

    /// `group` and the fields from 16 on of a REQUEST; mostly nothing.
    static func way(_ request: borrowing Request, in block: Span<UInt8>) -> [UInt8] {
        let hasGroup = !request.group.isEmpty || !request.hashKey.isEmpty || request.balancing != nil
        if request.tls == nil && request.hop == nil && request.pinToken.isEmpty && request.credentials == nil
            && !hasGroup
        {
            return []
        }
        var message = WireMessage()
        if hasGroup { message.appendGroup(request, in: block) }
        if !request.pinToken.isEmpty {
            var pin = WireMessage()
            let token = block.extracting(request.pinToken)
            pin.append(token.indices.map { token[$0] }, field: 1)
            pin.append(UInt64(request.pinMode.rawValue), field: 2)
            message.append(pin.bytes, field: 16)
        }
        if let tls = request.tls { message.append(WireMessage(tls).bytes, field: 17) }
        if let credentials = request.credentials {
            message.append(WireMessage(credentials).bytes, field: 18)
        }
        if let hop = request.hop { message.append(WireMessage(hop).bytes, field: 19) }
        return message.bytes
    }

    init() {}

    private mutating func appendGroup(_ request: borrowing Request, in block: Span<UInt8>) {
        let (name, key) = (block.extracting(request.group), block.extracting(request.hashKey))
        append(name.indices.map { name[$0] }, field: 7)
        append(key.indices.map { key[$0] }, field: 20)
        append(UInt64(request.balancing?.rawValue ?? 0), field: 21)
    }

    private init(_ tls: TLSRequest) {
        append(tls.profile, field: 1)
        append(tls.serverName, field: 2)
        append(tls.verifyName, field: 3)
        if let trust = tls.trust { append(trust) }
        append(tls.certificateFile, field: 6)
        append(tls.keyFile, field: 7)
        append(UInt64(tls.versionMin?.rawValue ?? 0), field: 8)
        append(UInt64(tls.versionMax?.rawValue ?? 0), field: 9)
        append(tls.ciphers, field: 10)
        append(tls.cipherSuites, field: 11)
        for name in tls.alpn { append(Array(name.utf8), field: 12) }
        for pin in tls.pins { append(pin, field: 13) }
        append(tls.requiresStaple ? 1 : 0, field: 14)
    }

    private init(_ hop: HopRequest) {
        append(hop.name, field: 1)
        if let tls = hop.tls { append(WireMessage(tls).bytes, field: 2) }
        for line in hop.connectFields {
            var field = WireMessage()
            field.append(line.name, field: 1)
            field.append(line.value.copied, field: 2)
            append(field.bytes, field: 3)
        }
        switch hop.proxyProtocol {
        case .none: break
        case .v1: append(1, field: 4)
        case .v2: append(2, field: 4)
        }
        if let source = hop.proxySource { append(WireMessage(source).bytes, field: 5) }
        if let destination = hop.proxyDestination { append(WireMessage(destination).bytes, field: 6) }
    }

    private init(_ endpoint: Endpoint) {
        switch endpoint {
        case .ip(.v4(let word), let port):
            append(Self.bigEndian(UInt64(word), count: 4), field: 1)
            append(UInt64(port), field: 2)
        case .ip(.v6(let high, let low, let scope), let port):
            append(Self.bigEndian(high, count: 8) + Self.bigEndian(low, count: 8), field: 1)
            append(UInt64(port), field: 2)
            append(UInt64(scope), field: 3)
        case .unix(let path):
            append(path, field: 4)
        }
    }

    private mutating func append(_ trust: TLSTrust) {
        switch trust {
        case .system: append(1, field: 4)
        case .file(let path):
            append(2, field: 4)
            append(path, field: 5)
        case .directory(let path):
            append(3, field: 4)
            append(path, field: 5)
        case .anyone: append(4, field: 4)
        }
    }

    mutating func append(_ text: String, field: UInt64) {
        if !text.isEmpty { append(Array(text.utf8), field: field) }
    }

    mutating func append(_ value: [UInt8], field: UInt64) {
        appendVarint(field << 3 | 2)
        appendVarint(UInt64(value.count))
        bytes += value
    }

    private mutating func append(_ number: UInt64, field: UInt64) {
        if number == 0 { return }
        appendVarint(field << 3)
        appendVarint(number)
    }

    private mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private static func bigEndian(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }
}
