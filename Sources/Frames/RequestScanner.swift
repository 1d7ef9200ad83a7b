// RequestScanner.swift: plain REQUEST messages read where they stand, without protobuf-c's arena.
// Owns: nothing it does not know. Whatever is unusual, refused or wrong is left to protobuf-c and RequestReader, so that
// there is one verdict; a test compares the two on everything that is accepted here.
// Measured: protobuf-c took 16 % of all instructions of a small exchange for unpacking. Source: proto/outrigger.proto.
import Model

/// A place in a message.
struct WireCursor {
    var offset: Int
    let end: Int

    var isAtEnd: Bool { offset >= end }

    /// The next key as its bytes, the second one above the first, which fields above 15 have.
    @inline(__always)
    mutating func key(_ bytes: Span<UInt8>) -> UInt16? {
        let byte = bytes[offset]
        offset &+= 1
        if byte < 0x80 { return UInt16(byte) }
        if isAtEnd { return nil }
        let next = bytes[offset]
        offset &+= 1
        return UInt16(next) &<< 8 | UInt16(byte)
    }

    /// - Returns: `nil` past the end, or for more than 63 bits.
    @inline(__always)
    mutating func varint(_ bytes: Span<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < end && shift < 63 {
            let byte = bytes[offset]
            offset &+= 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }

    /// The place of a length-delimited value. - Returns: `nil` past the end, or for a length longer than the
    /// 5 bytes that protobuf-c reads.
    @inline(__always)
    mutating func slice(_ bytes: Span<UInt8>) -> Slice? {
        let start = offset
        guard let count = varint(bytes), offset &- start <= 5, count <= UInt64(end &- offset) else {
            return nil
        }
        let slice = Slice(start: offset, count: Int(count))
        offset &+= Int(count)
        return slice
    }

    /// A cursor over an embedded message.
    @inline(__always)
    mutating func message(_ bytes: Span<UInt8>) -> WireCursor? {
        guard let slice = slice(bytes) else { return nil }
        return WireCursor(offset: Int(slice.start), end: offset)
    }
}

/// Reads plain requests.
struct RequestScanner: Sendable {
    let endpointsMax: Int
    let fieldCountMax: Int

    /// Fills a request that was reset, with slices into `bytes`.
    /// - Returns: false when the message is not plain: then `request` is undefined.
    func scan(_ bytes: Span<UInt8>, into request: inout Request) -> Bool {
        var cursor = WireCursor(offset: 0, end: bytes.count)
        var bodyKind: UInt64 = 0
        var bodyLength: UInt64 = 0
        while !cursor.isAtEnd {
            guard let key = cursor.key(bytes) else { return false }
            switch key {
            case 0x0A: guard set(&request.method, &cursor, bytes) else { return false }
            case 0x1A: guard set(&request.authority, &cursor, bytes) else { return false }
            case 0x22: guard set(&request.target, &cursor, bytes) else { return false }
            case 0x2A: guard addField(&request, &cursor, bytes) else { return false }
            case 0x32: guard addEndpoint(&request, &cursor, bytes) else { return false }
            case 0x62: guard setDeadlines(&request, &cursor, bytes) else { return false }
            case 0x72: guard set(&request.upgrade, &cursor, bytes) else { return false }
            case 0x7A: guard set(&request.tag, &cursor, bytes) else { return false }
            case 0x0182: guard setPin(&request, &cursor, bytes) else { return false }
            case 0x3A: guard set(&request.group, &cursor, bytes) else { return false }
            case 0x01A2: guard set(&request.hashKey, &cursor, bytes) else { return false }
            case 0x10, 0x40, 0x50, 0x58, 0x68, 0x01A8:
                guard let value = cursor.varint(bytes) else { return false }
                switch key {
                case 0x10:
                    guard value <= 1 else { return false }
                    request.scheme = value == 0 ? .http : .https
                case 0x40: guard setRoute(value, &request) else { return false }
                case 0x50: bodyKind = value
                case 0x58: bodyLength = value
                case 0x01A8: guard setBalancing(value, &request) else { return false }
                default: guard setRetry(value, &request) else { return false }
                }
            default: return false
            }
        }
        return setBody(bodyKind, bodyLength, &request) && isPlain(request, bytes)
    }

    private func isPlain(_ request: borrowing Request, _ bytes: Span<UInt8>) -> Bool {
        request.method.count <= RequestBound.methodBytesMax
            && request.authority.count <= RequestBound.authorityBytesMax
            && request.upgrade.count <= RequestBound.upgradeBytesMax
            && request.tag.count <= RequestBound.tagBytesMax
            && (request.group.isEmpty ? !request.endpoints.isEmpty : isPlainGroup(request, bytes))
            && request.hashKey.count <= RequestBound.hashKeyBytesMax
            && (request.upgrade.isEmpty || request.body == .none)
            && !Self.isConnect(bytes.extracting(request.method))
    }

    /// Whether a group's name is one that a configuration can have, and nothing beside it is in its place.
    private func isPlainGroup(_ request: borrowing Request, _ bytes: Span<UInt8>) -> Bool {
        guard request.group.count <= RequestBound.groupBytesMax, request.endpoints.isEmpty,
            request.balancing == nil
        else { return false }
        let name = bytes.extracting(request.group)
        for index in name.indices where !(0x21...0x7E).contains(name[index]) { return false }
        return true
    }

    private static func isConnect(_ method: Span<UInt8>) -> Bool {
        guard method.count == 7 && method[0] == 0x43 else { return false }
        for (index, byte) in "CONNECT".utf8.enumerated() where method[index] != byte { return false }
        return true
    }

    @inline(__always)
    private func set(_ slice: inout Slice, _ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool {
        guard let found = cursor.slice(bytes) else { return false }
        slice = found
        return true
    }

    private func addField(_ request: inout Request, _ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool
    {
        guard request.fields.count < fieldCountMax, var inner = cursor.message(bytes) else { return false }
        var field = FieldSlice(name: .empty, value: .empty)
        while !inner.isAtEnd {
            switch inner.key(bytes) {
            case 0x0A: guard set(&field.name, &inner, bytes) else { return false }
            case 0x12: guard set(&field.value, &inner, bytes) else { return false }
            default: return false
            }
        }
        request.fields.append(field)
        return true
    }

    /// An IP address and its port. Unix paths are left to whoever keeps them.
    private func addEndpoint(
        _ request: inout Request,
        _ cursor: inout WireCursor,
        _ bytes: Span<UInt8>
    ) -> Bool {
        guard request.endpoints.count < endpointsMax, var inner = cursor.message(bytes) else { return false }
        var ip = Slice.empty
        var port: UInt64 = 0
        var scope: UInt64 = 0
        while !inner.isAtEnd {
            switch inner.key(bytes) {
            case 0x0A: guard set(&ip, &inner, bytes) else { return false }
            case 0x10:
                guard let value = inner.varint(bytes) else { return false }
                port = value
            case 0x18:
                guard let value = inner.varint(bytes) else { return false }
                scope = value
            default: return false
            }
        }
        guard let port = UInt16(exactly: port), port > 0, scope <= UInt64(UInt32.max) else { return false }
        let start = Int(ip.start)
        switch ip.count {
        case 4 where scope == 0:
            let word = UInt32(truncatingIfNeeded: Self.bigEndian(bytes, start, 4))
            request.endpoints.append(.ip(.v4(word), port: port))
        case 16:
            let (high, low) = (Self.bigEndian(bytes, start, 8), Self.bigEndian(bytes, start &+ 8, 8))
            request.endpoints.append(.ip(.v6(high: high, low: low, scope: UInt32(scope)), port: port))
        default: return false
        }
        return true
    }

    private static func bigEndian(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in start..<start &+ count { value = value &<< 8 | UInt64(bytes[index]) }
        return value
    }

    private func setDeadlines(
        _ request: inout Request,
        _ cursor: inout WireCursor,
        _ bytes: Span<UInt8>
    ) -> Bool {
        // A second one would have to be merged with the first.
        guard request.deadlines == Deadlines(), var inner = cursor.message(bytes) else { return false }
        while !inner.isAtEnd {
            guard let key = inner.key(bytes), let value = inner.varint(bytes),
                value <= UInt64(RequestBound.deadlineMillisecondsMax)
            else { return false }
            switch key {
            case 0x08: request.deadlines.queueMilliseconds = Int(value)
            case 0x10: request.deadlines.connectMilliseconds = Int(value)
            case 0x18: request.deadlines.firstByteMilliseconds = Int(value)
            case 0x20: request.deadlines.idleMilliseconds = Int(value)
            case 0x28: request.deadlines.totalMilliseconds = Int(value)
            default: return false
            }
        }
        return true
    }

    private func setPin(_ request: inout Request, _ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool {
        // A second one would have to be merged with the first.
        guard request.pinToken.isEmpty, var inner = cursor.message(bytes) else { return false }
        while !inner.isAtEnd {
            switch inner.key(bytes) {
            case 0x0A: guard set(&request.pinToken, &inner, bytes) else { return false }
            case 0x10:
                guard let value = inner.varint(bytes), let mode = PinMode(rawValue: Int(value)) else {
                    return false
                }
                request.pinMode = mode
            default: return false
            }
        }
        return 1...RequestBound.tokenBytesMax ~= Int(request.pinToken.count)
    }

    private func setRoute(_ value: UInt64, _ request: inout Request) -> Bool {
        switch value {
        case 0: request.route = .direct
        case 1: request.route = .peer
        default: return false
        }
        return true
    }

    private func setBalancing(_ value: UInt64, _ request: inout Request) -> Bool {
        guard value <= 6 else { return false }
        request.balancing = GroupPolicy(rawValue: Int(value))
        return true
    }

    private func setRetry(_ value: UInt64, _ request: inout Request) -> Bool {
        switch value {
        case 0: request.retry = .idempotentOnly
        case 1: request.retry = .never
        case 2: request.retry = .replayable
        default: return false
        }
        return true
    }

    private func setBody(_ kind: UInt64, _ length: UInt64, _ request: inout Request) -> Bool {
        switch kind {
        case 0 where length == 0: request.body = .none
        case 1: request.body = .length(length)
        case 2 where length == 0: request.body = .chunked
        default: return false
        }
        return true
    }
}
