// NamedFiles.swift: a look at the files that a configuration names.
// Owns: what is worth a warning. A missing certificate is no error: it is read when first needed and again
// when it changes, so it may well come later, and one profile's must not keep all the others from being
// served.
// Source: proto/outrigger.proto, message Tls; openssl-rehash(1).

extension Reading {
    /// Warns when a PEM file cannot be read or has none of the lines that `wanted` are parts of.
    mutating func look(at path: String, _ node: Node, _ name: String, for wanted: [String]) {
        switch outside.contents(path) {
        case .folder: warn(node.mark, "\(name): \(Self.shown(path, scalarsMax: 4096)) is a folder")
        case .unreadable(let reason):
            warn(node.mark, "\(name): \(Self.shown(path, scalarsMax: 4096)): \(reason)")
        case .bytes(let bytes):
            for part in wanted where !Self.contains(bytes, Array(part.utf8)) {
                warn(node.mark, "\(name): \(Self.shown(path, scalarsMax: 4096)) has no line with \(part)")
            }
        }
    }

    /// Warns when a folder cannot be read or has no certificate under a hashed name.
    mutating func lookAtFolder(_ path: String, _ node: Node, _ name: String) {
        switch outside.contents(path) {
        case .bytes: warn(node.mark, "\(name): \(Self.shown(path, scalarsMax: 4096)) is no folder")
        case .unreadable(let reason):
            warn(node.mark, "\(name): \(Self.shown(path, scalarsMax: 4096)): \(reason)")
        case .folder:
            if !outside.names(path).contains(where: Self.isHashedName) {
                warn(
                    node.mark,
                    "\(name): \(Self.shown(path, scalarsMax: 4096)) has no hashed names; see openssl rehash"
                )
            }
        }
    }

    /// Eight digits of hex, a dot, a number.
    static func isHashedName(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0].count == 8 && !parts[1].isEmpty
            && parts[0].allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }
            && parts[1].allSatisfy { 0x30...0x39 ~= $0 }
    }

    private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard bytes.count >= part.count else { return false }
        return (0...bytes.count - part.count).contains { start in
            bytes[start] == part[0] && bytes[start..<start + part.count].elementsEqual(part)
        }
    }
}
