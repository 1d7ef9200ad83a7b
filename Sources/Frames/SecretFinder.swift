// SecretFinder.swift: whether a REQUEST has secrets, before it is unpacked.
// Owns: the question, for requests that are not plain; the keys of the fields that carry secrets. Never touches: their bytes.
// Source: proto/outrigger.proto, messages Request, Credentials and Hop.
import Model

enum SecretFinder {
    /// Whether there is a Credentials, a field line for a CONNECT, or one of a request with credentials in it. What cannot be
    /// read may be anything.
    static func mayHaveSecrets(_ bytes: Span<UInt8>) -> Bool {
        var cursor = WireCursor(offset: 0, end: bytes.count)
        while !cursor.isAtEnd {
            guard let key = cursor.key(bytes) else { return true }
            switch key {
            case 0x2A: if hasCredentials(&cursor, bytes) { return true }
            case 0x0192: return true
            case 0x019A: if hasConnectFields(&cursor, bytes) { return true }
            default: guard skip(key, &cursor, bytes) else { return true }
            }
        }
        return false
    }

    private static func skip(_ key: UInt16, _ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool {
        switch key & 7 {
        case 0: cursor.varint(bytes) != nil
        case 2: cursor.slice(bytes) != nil
        // No message has others.
        default: false
        }
    }

    private static func hasConnectFields(_ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool {
        guard var hop = cursor.message(bytes) else { return true }
        while !hop.isAtEnd {
            guard let key = hop.key(bytes), key != 0x1A, skip(key, &hop, bytes) else { return true }
        }
        return false
    }

    private static func hasCredentials(_ cursor: inout WireCursor, _ bytes: Span<UInt8>) -> Bool {
        guard var field = cursor.message(bytes) else { return true }
        while !field.isAtEnd {
            guard let key = field.key(bytes) else { return true }
            if key != 0x0A {
                guard skip(key, &field, bytes) else { return true }
                continue
            }
            guard let name = field.slice(bytes) else { return true }
            if isOfCredentials(bytes.extracting(name)) { return true }
        }
        return false
    }

    /// Authorization and Proxy-Authorization, in any case.
    private static func isOfCredentials(_ name: Span<UInt8>) -> Bool {
        isEqual(name, "authorization") || isEqual(name, "proxy-authorization")
    }

    private static func isEqual(_ name: Span<UInt8>, _ lowercase: String) -> Bool {
        let wanted = lowercase.utf8.span
        guard name.count == wanted.count else { return false }
        for index in name.indices where name[index] | 0x20 != wanted[index] { return false }
        return true
    }
}
