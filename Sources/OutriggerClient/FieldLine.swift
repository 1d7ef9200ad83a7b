// FieldLine.swift: a field line as people type and read it. Owns: nothing. Source: curl(1), --header; RFC 9110 §5.5.

/// `Name: value`, taken apart: no space is left around the value.
package struct FieldLine: Equatable, Sendable {
    package var name: String
    package var value: String
    /// Written `Name;`: the field is meant to be there though its value is empty.
    package var isMeantEmpty: Bool

    /// A line for people's eyes, which end up in tickets and logs: secrets are left out, but for an authentication scheme.
    package static func shown(_ name: String, _ value: String) -> String {
        switch name.lowercased() {
        case "authorization", "proxy-authorization":
            let scheme = value.prefix { $0 != " " }
            return scheme.count < value.count ? "\(name): \(scheme) (not shown)" : "\(name): (not shown)"
        case "cookie", "set-cookie": return "\(name): (not shown)"
        default: return "\(name): \(value)"
        }
    }

    /// Reads a line.
    /// - Returns: `nil` when there is no name, or no ':' or ';' behind it.
    package init?(_ text: String) {
        guard let seam = text.firstIndex(where: { $0 == ":" || $0 == ";" }), seam != text.startIndex else {
            return nil
        }
        var value = text[text.index(after: seam)...]
        while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
        while let last = value.last, last == " " || last == "\t" { value.removeLast() }
        name = String(text[..<seam])
        self.value = String(value)
        isMeantEmpty = text[seam] == ";"
    }
}
