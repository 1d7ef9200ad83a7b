// Reading.swift: values out of nodes, and what is wrong with them.
// Owns: the rules for texts, numbers, paths and lists, whatever they are settings of. Never prints a value.
// Source: issue "Configuration".

/// A reading of one file. What is wrong is collected, and reading goes on.
struct Reading {
    private(set) var problems = Problems()
    let outside: Outside
    /// Path of the file; empty: there is none.
    private(set) var path = ""

    init(outside: Outside) { self.outside = outside }

    mutating func begin(path: String) { self.path = path }

    // Problems.

    func place(_ mark: Mark) -> Place { .file(path: path, mark) }

    mutating func error(_ place: Place, _ text: String) { problems.add(.error, place, text) }
    mutating func error(_ mark: Mark, _ text: String) { problems.add(.error, place(mark), text) }
    mutating func warn(_ place: Place, _ text: String) { problems.add(.warning, place, text) }
    mutating func warn(_ mark: Mark, _ text: String) { problems.add(.warning, place(mark), text) }

    // Values; `nil`: it is wrong, and said so.

    /// A text of `range` bytes without control characters.
    mutating func text(_ node: Node, _ name: String, _ range: ClosedRange<Int>) -> String? {
        guard case .text(let text, _) = node.content, !node.isAbsent || range.contains(0) else {
            error(node.mark, "\(name): a text is wanted here")
            return nil
        }
        guard range.contains(text.utf8.count) else {
            error(node.mark, "\(name): \(range.lowerBound) to \(range.upperBound) bytes")
            return nil
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            error(node.mark, "\(name): a control character does not belong here")
            return nil
        }
        return text
    }

    /// One of a few words.
    mutating func choice<Value>(
        _ node: Node,
        _ name: String,
        _ choices: [(word: String, value: Value)]
    ) -> Value? {
        if case .text(let text, _) = node.content, let found = choices.first(where: { $0.word == text }) {
            return found.value
        }
        error(node.mark, "\(name): one of \(choices.map(\.word).joined(separator: ", "))")
        return nil
    }

    mutating func isTrue(_ node: Node, _ name: String) -> Bool? {
        choice(node, name, [("true", true), ("false", false)])
    }

    /// A path, taken from the file's folder when it does not begin with a slash.
    mutating func filePath(_ node: Node, _ name: String, bytesMax: Int = 4096) -> String? {
        guard let text = text(node, name, 1...bytesMax) else { return nil }
        let path = resolved(text)
        guard path.utf8.count <= bytesMax else {
            error(node.mark, "\(name): with the file's folder it is longer than \(bytesMax) bytes")
            return nil
        }
        return path
    }

    func resolved(_ text: String) -> String {
        guard !text.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return text }
        return String(path[...slash]) + text
    }

    /// The items of a list; none when nothing is said.
    mutating func list(_ node: Node, _ name: String, countMax: Int) -> [Node]? {
        if node.isAbsent { return [] }
        guard case .list(let nodes) = node.content else {
            error(node.mark, "\(name): a list is wanted here, such as [a, b]")
            return nil
        }
        guard nodes.count <= countMax else {
            error(nodes[countMax].mark, "\(name): at most \(countMax)")
            return nil
        }
        return nodes
    }

    /// The keys of a mapping; none when nothing is said.
    mutating func mapping(_ node: Node, _ name: String) -> [Entry]? {
        if node.isAbsent { return [] }
        guard case .mapping(let entries) = node.content else {
            error(node.mark, "\(name): keys and values are wanted here")
            return nil
        }
        return entries
    }

    /// The keys of a mapping, each of which has to be in `keys`.
    mutating func fields(_ node: Node, _ name: String, _ keys: [Key]) -> Fields? {
        guard let entries = mapping(node, name) else { return nil }
        return fields(entries, name, keys.map(\.name))
    }

    mutating func fields(_ entries: [Entry], _ name: String, _ known: [String]) -> Fields {
        for entry in entries where !known.contains(entry.key) {
            let scope = name.isEmpty ? "" : "\(name): "
            error(entry.mark, "\(scope)unknown key \(Self.shown(entry.key))\(hint(entry.key, among: known))")
        }
        return Fields(entries: entries)
    }

    /// "; did you mean X?", or nothing.
    func hint(_ name: String, among known: [String]) -> String {
        // Nobody reads further ones, and measuring takes time.
        guard !problems.isFull, let nearest = NearestName.of(name, among: known) else { return "" }
        return "; did you mean \(nearest)?"
    }

    /// A name for something that requests refer to: 1 to 64 letters, digits, dots, hyphens and underscores.
    mutating func isName(_ entry: Entry, _ what: String) -> Bool {
        if Self.isName(entry.key) { return true }
        error(entry.mark, "\(what): a name has 1 to 64 letters, digits, '.', '-', '_'")
        return false
    }

    static func isName(_ text: String) -> Bool {
        1...64 ~= text.utf8.count
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || [0x2D, 0x2E, 0x5F].contains($0)
            }
    }

    /// A key or path as it may be printed: short, and without what would split a line or move a cursor.
    static func shown(_ text: String, scalarsMax: Int = 40) -> String {
        let safe = text.unicodeScalars.prefix(scalarsMax).map {
            $0.value < 32 || $0.properties.generalCategory == .control ? "?" : String($0)
        }
        return "'\(safe.joined())\(text.unicodeScalars.count > scalarsMax ? "…" : "")'"
    }
}

/// A key that a mapping may have, as `outrigger check --print-default` shows it.
struct Key: Sendable {
    let name: String
    /// In words: what it is, its unit, its range, its default. A line each.
    let help: [String]
    /// A value that could stand behind it.
    let example: String

    init(_ name: String, _ example: String, _ help: String...) {
        self.name = name
        self.help = help
        self.example = example
    }
}

/// The keys of a mapping and their values.
struct Fields {
    let entries: [Entry]

    subscript(name: String) -> Node? { entries.first { $0.key == name }?.value }
    subscript(key: Key) -> Node? { self[key.name] }

    /// Where the key itself stands.
    func mark(_ key: Key) -> Mark? { entries.first { $0.key == key.name }?.mark }
}
