// Node.swift: a file as a tree of texts, lists and mappings, each with its place.
// Owns: what a configuration may not have: aliases, anchors, tags, several documents, a key twice, deep
// nesting.
// Never touches: what a key means. Source: issue "Configuration"; YAML 1.1.

/// A value of the file.
struct Node: Sendable {
    enum Content: Sendable {
        /// `isPlain`: without quotes. Nothing at all is plain and empty.
        case text(String, isPlain: Bool)
        case list([Node])
        case mapping([Entry])
    }

    var mark: Mark
    var content: Content

    /// Whether nothing was said, as behind `limits:` where all that follows is a comment.
    var isAbsent: Bool {
        switch content {
        case .text(let text, let isPlain): text.isEmpty && isPlain
        case .list, .mapping: false
        }
    }
}

/// A key of a mapping with its value.
struct Entry: Sendable {
    var key: String
    var mark: Mark
    var value: Node
}

/// Reads a file to a tree.
struct NodeBuilder {
    static let bytesMax = 1 << 20
    static let depthMax = 16

    /// A list or mapping that is not at its end.
    private struct Open {
        var mark: Mark
        var isMapping: Bool
        /// Whether it stands where a key should.
        var isKey = false
        var nodes: [Node] = []
        var entries: [Entry] = []
        var places: [String: Mark] = [:]
        /// Whose value comes next; `text` is `nil` when that is to be dropped.
        var key: (text: String?, mark: Mark)?
    }

    private var open: [Open] = []
    private var root: Node?
    private var documents = 0
    private var problems: [(Mark, String)] = []

    /// The tree; `nil`: there is nothing in the file. What is wrong with it goes to `problem`.
    static func read(_ bytes: [UInt8], problem: (Mark, String) -> Void) -> Node? {
        if bytes.count > bytesMax {
            problem(Mark(line: 1, column: 1), "the file is longer than \(bytesMax) bytes")
            return nil
        }
        do throws(UTF8.ValidationError) { _ = try UTF8Span(validating: bytes.span) } catch {
            problem(mark(of: error.byteOffsets.lowerBound, in: bytes), "this is not UTF-8")
            return nil
        }
        var builder = NodeBuilder()
        var failure: YAMLError?
        do throws(YAMLError) { try YAMLParser.run(bytes.span) { builder.take($0) } } catch { failure = error }
        for (mark, text) in builder.problems { problem(mark, text) }
        guard let failure else { return builder.root }
        switch failure.position {
        case .mark(let mark): problem(mark, failure.text)
        case .offset(let offset): problem(mark(of: offset, in: bytes), failure.text)
        }
        return nil
    }

    private static func mark(of offset: Int, in bytes: [UInt8]) -> Mark {
        let before = bytes[..<min(offset, bytes.count)]
        let lineFeed = UInt8(ascii: "\n")
        let start = before.lastIndex(of: lineFeed).map { $0 + 1 } ?? 0
        // Characters begin with a byte that is no continuation (10xxxxxx).
        let column = before[start...].count { $0 & 0xC0 != 0x80 }
        return Mark(line: before.count { $0 == lineFeed } + 1, column: column + 1)
    }

    /// - Returns: whether to go on.
    private mutating func take(_ event: YAMLEvent) -> Bool {
        if event.hasAnchor { problems.append((event.mark, "anchors (&name) do not belong here")) }
        if event.hasTag { problems.append((event.mark, "tags (!name) do not belong here")) }
        switch event.kind {
        case .text(let text, let isPlain):
            add(Node(mark: event.mark, content: .text(text, isPlain: isPlain)))
        case .alias:
            problems.append((event.mark, "aliases (*name) do not belong here"))
            dropNext(event.mark)
        case .listStart, .mappingStart: return begin(event)
        case .listEnd, .mappingEnd: end()
        case .documentStart:
            documents += 1
            guard documents > 1 else { break }
            problems.append((event.mark, "a second document does not belong here"))
            return false
        case .other: break
        }
        return true
    }

    private mutating func begin(_ event: YAMLEvent) -> Bool {
        guard open.count < Self.depthMax else {
            problems.append((event.mark, "nested deeper than \(Self.depthMax)"))
            return false
        }
        var next = Open(mark: event.mark, isMapping: false)
        if case .mappingStart = event.kind { next.isMapping = true }
        if let last = open.last, last.isMapping, last.key == nil {
            problems.append((event.mark, "a key has to be a text"))
            next.isKey = true
        }
        open.append(next)
        return true
    }

    private mutating func end() {
        guard let last = open.popLast() else { return }
        if last.isKey {
            open[open.count - 1].key = (nil, last.mark)
        } else {
            add(Node(mark: last.mark, content: last.isMapping ? .mapping(last.entries) : .list(last.nodes)))
        }
    }

    /// A key or value that was refused already.
    private mutating func dropNext(_ mark: Mark) {
        guard let last = open.indices.last, open[last].isMapping else { return }
        open[last].key = open[last].key == nil ? (nil, mark) : nil
    }

    private mutating func add(_ node: Node) {
        guard let last = open.indices.last else {
            root = node
            return
        }
        guard open[last].isMapping else {
            open[last].nodes.append(node)
            return
        }
        if let key = open[last].key {
            open[last].key = nil
            if let text = key.text {
                open[last].entries.append(Entry(key: text, mark: key.mark, value: node))
            }
        } else if case .text(let text, _) = node.content {
            open[last].key = (text, node.mark)
            // The key is not named: in a mapping of secrets one may stand where a key should.
            if let first = open[last].places.updateValue(node.mark, forKey: text) {
                open[last].places[text] = first
                problems.append((node.mark, "this key was given before, in line \(first.line)"))
                open[last].key = (nil, node.mark)
            }
        }
    }
}
