// NumberKey.swift: a key of a mapping whose value is a number. Owns: how it is read, and its lines in the
// printed file.
// Source: Setting.swift, whose numbers variables and flags can say too.

/// A number of a `Root`.
struct NumberKey<Root: Sendable>: Sendable {
    let name: String
    let path: WritableKeyPath<Root, Int> & Sendable
    let range: ClosedRange<Int>
    let unit: Setting.Unit
    let help: String

    init(
        _ name: String,
        _ path: WritableKeyPath<Root, Int> & Sendable,
        _ unit: Setting.Unit,
        _ range: ClosedRange<Int>,
        _ help: String
    ) {
        self.name = name
        self.path = path
        self.range = range
        self.unit = unit
        self.help = help
    }

    /// What it has to be, for people.
    var wanted: String {
        "\(range.lowerBound) to \(range.upperBound)" + (unit == .number ? "" : " \(unit.rawValue)")
    }

    /// Its lines in the printed file.
    func lines(indent: String, _ defaults: Root) -> [String] {
        let value = defaults[keyPath: path]
        return [
            "\(indent)# \(help).", "\(indent)# Value: \(wanted); default: \(value).",
            "\(indent)#\(name): \(value)",
        ]
    }
}

extension Reading {
    /// Takes those of `keys` that are said. What is wrong keeps its default.
    mutating func takeNumbers<Root>(
        _ fields: Fields,
        _ name: String,
        _ keys: [NumberKey<Root>],
        _ root: inout Root
    ) {
        for key in keys {
            guard let node = fields[key.name] else { continue }
            // A number in quotes is a text; no sign, no space, no digits of other scripts.
            guard case .text(let text, true) = node.content, !text.isEmpty,
                text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let value = Int(text), key.range.contains(value)
            else {
                error(node.mark, "\(name): \(key.name): \(key.wanted)")
                continue
            }
            root[keyPath: key.path] = value
        }
    }

    /// Statuses and ranges of them: [502, 503-504].
    mutating func statuses(_ node: Node, _ name: String) -> [ClosedRange<Int>]? {
        guard let nodes = list(node, name, countMax: 16) else { return nil }
        var ranges: [ClosedRange<Int>] = []
        for node in nodes {
            guard case .text(let text, _) = node.content, let range = Self.statusRange(text) else {
                error(node.mark, "\(name): a status from 200 to 599, or a range such as 500-599")
                continue
            }
            ranges.append(range)
        }
        return ranges
    }

    private static func statusRange(_ text: String) -> ClosedRange<Int>? {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count else { return nil }
        var bounds: [Int] = []
        for part in parts {
            guard part.count == 3, part.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
            let value = part.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            guard 200...599 ~= value else { return nil }
            bounds.append(value)
        }
        let last = bounds.count == 2 ? bounds[1] : bounds[0]
        return bounds[0] <= last ? bounds[0]...last : nil
    }
}
