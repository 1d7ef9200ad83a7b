// ConnectFields.swift: field lines for a CONNECT, which may be secrets.
// Owns: what such a line may be, and where its value comes from. Never prints a name or a value of one.
// Source: RFC 9110 §5.1, §5.5, §5.6.2, §7.6.1; limits: message Hop of proto/outrigger.proto.
import Model

private enum FieldKeys {
    static let name = Key("name", "")
    static let value = Key("value", "")
    static let all = [name, value]
}

extension Reading {
    private static let countMax = 256
    private static let bytesMax = 65_536

    /// Fields that frame a message or belong to the connection: the sidecar writes them itself.
    private static let own = [
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    /// Reads a mapping of names to values, or a list where a name can come twice.
    mutating func connectFields(_ node: Node, _ name: String) -> [HeaderField] {
        var result: [HeaderField] = []
        switch node.content {
        case .mapping(let entries):
            for entry in entries.prefix(Self.countMax) {
                if let field = field(entry.key, entry.mark, entry.value, name) { result.append(field) }
            }
            if entries.count > Self.countMax {
                error(entries[Self.countMax].mark, "\(name): at most \(Self.countMax)")
            }
        case .list, .text:
            for node in list(node, name, countMax: Self.countMax) ?? [] {
                guard let entries = mapping(node, name) else { continue }
                // An unknown key may be the name of a field with its value: it is not printed.
                let isGood = entries.count == 2 && entries.allSatisfy { ["name", "value"].contains($0.key) }
                let fields = Fields(entries: entries)
                guard isGood, let key = fields[FieldKeys.name], let value = fields[FieldKeys.value],
                    case .text(let text, _) = key.content
                else {
                    error(node.mark, "\(name): {name: NAME, value: VALUE} is wanted here")
                    continue
                }
                if let field = field(text, key.mark, value, name) { result.append(field) }
            }
        }
        // A colon, a space and a line end for each.
        if result.reduce(0, { $0 + $1.name.count + $1.value.count + 4 }) > Self.bytesMax {
            error(node.mark, "\(name): longer than \(Self.bytesMax) bytes in all")
        }
        return result
    }

    private mutating func field(_ key: String, _ mark: Mark, _ node: Node, _ name: String) -> HeaderField? {
        guard 1...256 ~= key.utf8.count, key.utf8.allSatisfy(Self.isTokenByte) else {
            error(mark, "\(name): this is no field name (RFC 9110 §5.1)")
            return nil
        }
        guard !Self.own.contains(key.lowercased()) else {
            error(mark, "\(name): the sidecar writes this field itself")
            return nil
        }
        guard let value = value(node, name) else { return nil }
        // RFC 9110 §5.5: visible characters, spaces, tabs, and bytes over 127.
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            error(
                node.mark,
                "\(name): a value has no line break and no other control character (RFC 9110 §5.5)"
            )
            return nil
        }
        return HeaderField(name: Array(key.utf8), value: value)
    }

    /// The value without space around it, which is no part of it (RFC 9110 §5.5).
    private mutating func value(_ node: Node, _ name: String) -> [UInt8]? {
        guard let bytes = source(node, name) else { return nil }
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }),
            let last = bytes.lastIndex(where: { !isSpace($0) })
        else {
            error(node.mark, "\(name): the value is empty")
            return nil
        }
        return Array(bytes[first...last])
    }

    /// What a text, a variable or a file says.
    mutating func source(_ node: Node, _ name: String) -> [UInt8]? {
        switch node.content {
        case .text(let text, _): return Array(text.utf8)
        case .mapping(let entries) where entries.count == 1 && entries[0].key == "env":
            let value = entries[0].value
            guard let variable = text(value, "\(name): env", 1...256) else { return nil }
            guard let found = outside.variable(variable) else {
                error(value.mark, "\(name): env: this variable is not set")
                return nil
            }
            return Array(found.utf8)
        case .mapping(let entries) where entries.count == 1 && entries[0].key == "file":
            let value = entries[0].value
            guard let path = filePath(value, "\(name): file") else { return nil }
            return secret(path, value.mark, name)
        case .mapping, .list:
            error(node.mark, "\(name): a value is a text, {env: VARIABLE} or {file: PATH}")
            return nil
        }
    }

    /// Without it there is no route, so that it is an error when it cannot be had.
    private mutating func secret(_ path: String, _ mark: Mark, _ name: String) -> [UInt8]? {
        switch outside.contents(path) {
        case .folder: error(mark, "\(name): file: this is a folder")
        case .unreadable(let reason): error(mark, "\(name): file: \(reason)")
        case .bytes(let bytes):
            guard bytes.count <= Self.bytesMax else {
                error(mark, "\(name): file: longer than \(Self.bytesMax) bytes")
                return nil
            }
            // Editors and `echo` end a line; the secret does not have it.
            var value = bytes
            if value.last == 0x0A { value.removeLast() }
            if value.last == 0x0D { value.removeLast() }
            return value
        }
        return nil
    }

    /// Source: RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
