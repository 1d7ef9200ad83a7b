// SettingsReader.swift: file, environment and flags to settings, the later over the earlier.
// Owns: their order. Never touches: files and variables themselves; see `Outside`. Source: issue
// "Configuration".

/// Reads settings. Call `readFile`, `readEnvironment` and `take` in this order, each if there is something,
/// then `finish`.
package struct SettingsReader {
    private var reading: Reading
    private var settings: Settings

    /// `settings` are the defaults.
    package init(_ settings: Settings, _ outside: Outside) {
        self.settings = settings
        reading = Reading(outside: outside)
    }

    /// Reads a file. Relative paths in it are taken from its folder.
    package mutating func readFile(path: String, _ bytes: [UInt8]) {
        reading.begin(path: path)
        var problems: [(Mark, String)] = []
        let root = NodeBuilder.read(bytes) { problems.append(($0, $1)) }
        for (mark, text) in problems { reading.error(mark, text) }
        // An empty file says nothing, and that is no mistake.
        guard let root, let entries = reading.mapping(root, "the file") else { return }
        let fields = reading.fields(entries, "", Section.all.map(\.key.name))
        for section in Section.all {
            if let node = fields[section.key] { section.read(node, &reading, &settings) }
        }
    }

    /// Reads the variables of `Outside`.
    package mutating func readEnvironment() { reading.takeEnvironment(&settings) }

    /// Takes what a flag says: one text, or any number for a list.
    package mutating func take(flag setting: Setting, _ texts: [String]) {
        reading.take(setting, texts, .flag(name: setting.flag), &settings)
    }

    /// Looks for contradictions.
    package consuming func finish() -> (settings: Settings, problems: Problems) {
        for section in Section.all { section.check(settings, &reading) }
        return (settings, reading.problems)
    }
}

/// The file with every setting, as `outrigger check --print-default` prints it.
package enum PrintedFile {
    package static var text: String {
        let head = [
            "# Configuration of Outrigger, with every setting there is. A line with '#' and no space is a setting: take the",
            "# '#' away and change the value. Variables (OUTRIGGER_WORKERS, OUTRIGGER_IDLE_MILLISECONDS ...) are",
            "# stronger than this file, flags (--workers, --idle-milliseconds ...) stronger than both.",
            "# Relative paths are taken from the folder of this file.", "",
        ]
        return (head + Section.all.flatMap { $0.lines() }).joined(separator: "\n")
    }
}
