// FieldLine.swift: a field line as people type it. Owns: nothing. Source: curl(1), --header; RFC 9110 §5.5.

/// `Name: value`, taken apart: no space is left around the value.
package struct FieldLine: Equatable, Sendable {
    package var name: String
    package var value: String
    /// Written `Name;`: the field is meant to be there though its value is empty.
    package var isMeantEmpty: Bool

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
