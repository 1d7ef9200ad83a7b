// FormTests.swift: the form of the file: what YAML may and may not be, and where a mistake is.
import Configuration
import Testing

private let rows = [
    Row("nothing at all", ""),
    Row("a comment", "# nothing\n"),
    Row("a key whose value is a comment", "limits:\n  # idle-milliseconds: 1\n"),
    Row("a byte order mark", "\u{FEFF}workers: 3\n"),
    Row("carriage returns", "workers: 3\r\nsocket: /x\r\n"),
    Row("flow style", "{workers: 3, allow-uid: [1, 2]}"),
    Row("one document with marks", "---\nworkers: 3\n...\n"),
    Row("a list", "- workers\n", "1:1: error: the file: keys and values are wanted here"),
    Row("a text", "workers\n", "1:1: error: the file: keys and values are wanted here"),
    Row("an anchor", "workers: &a 3\n", "1:10: error: anchors (&name) do not belong here"),
    Row(
        "an alias",
        "allow-uid: [&a 3, *a]\n",
        "1:13: error: anchors (&name) do not belong here",
        "1:19: error: aliases (*name) do not belong here"
    ),
    Row("an alias as a value", "workers: *a\n", "1:10: error: aliases (*name) do not belong here"),
    Row("an alias as a key", "*a : 3\n", "1:1: error: aliases (*name) do not belong here"),
    Row("a tag", "workers: !!int 3\n", "1:10: error: tags (!name) do not belong here"),
    Row("a tag of a list", "allow-uid: !x [3]\n", "1:12: error: tags (!name) do not belong here"),
    Row("a tag of a mapping", "limits: !x {}\n", "1:9: error: tags (!name) do not belong here"),
    Row(
        "a second document",
        "workers: 3\n---\nworkers: 4\n",
        "2:1: error: a second document does not belong here"
    ),
    Row(
        "a key twice",
        "workers: 3\nsocket: /x\nworkers: 4\n",
        "3:1: error: this key was given before, in line 1"
    ),
    Row(
        "a key three times",
        "workers: 3\nworkers: 4\nworkers: 5\n",
        "2:1: error: this key was given before, in line 1",
        "3:1: error: this key was given before, in line 1"
    ),
    Row("a list as a key", "? [a]\n: 1\nworkers: 3\n", "1:3: error: a key has to be a text"),
    Row("a mapping as a key", "? {a: 1}\n: 1\n", "1:3: error: a key has to be a text"),
    Row("nesting of 16", "x: " + nested(15), "1:1: error: unknown key 'x'"),
    Row("nesting of 17", "x: " + nested(16), "1:19: error: nested deeper than 16"),
    Row("NUL", "workers: 3\0\n", "1:11: error: control characters are not allowed"),
    Row("an escape", "# ä\nsocket: \u{1B}[2J\n", "2:9: error: control characters are not allowed"),
    Row("a tab for indentation", "limits:\n\tidle-max: 1\n", "2:1: " + tabbed),
    Row("a bracket that is left open", "allow-uid: [1\n", "2:1: " + unclosed),
    Row(
        "a column counts characters, not bytes",
        "äöü: 1\n日本: {b: &c 1}\n",
        "1:1: " + unknown("äöü"),
        "2:1: " + unknown("日本"),
        "2:9: error: anchors (&name) do not belong here"
    ),
]

private let tabbed = "error: found character that cannot start any token (while scanning for the next token)"
private let unclosed = "error: did not find expected ',' or ']' (while parsing a flow sequence)"

private func unknown(_ key: String) -> String { "error: unknown key '\(key)'" }

private func nested(_ depth: Int) -> String {
    String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
}

struct FormTests {
    @Test(arguments: rows) func `a file has the form of a configuration, or its place is told`(_ row: Row) {
        #expect(World().read(row.text).problems == row.problems)
    }

    @Test(
        arguments: [
            ([0x77, 0xFF], "1:2"), ([0x61, 0x3A, 0x20, 0x0A, 0xC3, 0xA4, 0xC0, 0xAF], "2:2"),
            ([0xED, 0xA0, 0x80], "1:1"), ([0xFF, 0xFE, 0x61, 0x00], "1:1"),
        ] as [([UInt8], String)]
    )
    func `bytes that are not UTF-8 are refused with their place`(_ bytes: [UInt8], _ place: String) {
        #expect(World().read(bytes).problems == ["/etc/o.yaml:\(place): error: this is not UTF-8"])
    }

    @Test func `a file has at most a mebibyte`() {
        let full = Array("workers: 3\n".utf8) + [UInt8](repeating: UInt8(ascii: "#"), count: (1 << 20) - 11)
        #expect(World().read(full).problems.isEmpty)
        #expect(World().read(full).settings.workers == 3)
        #expect(
            World().read(full + [0x23]).problems == [
                "/etc/o.yaml:1:1: error: the file is longer than 1048576 bytes"
            ]
        )
    }

    @Test func `of very many problems the first are kept and the rest is counted`() {
        let text = (0..<1500).map { "key\($0): 1\n" }.joined()
        #expect(World().read(text).problems.count == 1000)
    }

    @Test func `all that is wrong is told, from top to bottom, whatever the section`() {
        let text = """
            routes: {r: {kind: x}}
            worker: 1
            limits: {idle-max: -1}
            tls: {t: {alpn: 1}}
            """
        #expect(
            World().read(text).problems == [
                "/etc/o.yaml:1:20: error: routes: r: kind: one of direct, peer, peer-tunnel",
                "/etc/o.yaml:2:1: error: unknown key 'worker'; did you mean workers?",
                "/etc/o.yaml:3:20: error: idle-max: 0 to 1000000",
                "/etc/o.yaml:4:17: error: tls: t: alpn: a list is wanted here, such as [a, b]",
            ]
        )
    }

    /// xorshift, so that a failure comes again.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `no change of bytes makes reading crash, and every problem has a place`(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        func random(_ count: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(count))
        }
        let original = Array(PrintedFileTests.uncommented.utf8)
        var bytes = Array(original[..<(seed % 4 == 0 ? random(original.count) : original.count)])
        for _ in 0..<random(20) where !bytes.isEmpty {
            let tokens: [UInt8] = Array("{}[]:,-#&*!|>'\"% \n\t\0\u{7F}".utf8) + [0xC3, 0xFF]
            bytes[random(bytes.count)] = tokens[random(tokens.count)]
        }
        for problem in World().read(bytes).problems {
            #expect(
                problem.wholeMatch(of: /\/etc\/o\.yaml:[1-9]\d*:[1-9]\d*: (error|warning): [^\n]+/) != nil
            )
        }
    }
}
