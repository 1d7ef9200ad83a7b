// Support.swift: reads settings in a world that is made up.
import Configuration
import Model
import Testing

/// What a reading came to.
struct Answer {
    var settings: Settings
    /// As they are printed.
    var problems: [String]

    /// Without warnings.
    var errors: [String] { problems.filter { !$0.contains(": warning: ") } }
}

/// A world of a few variables and files.
struct World {
    var variables: [(name: String, value: String)] = []
    var files: [String: FileContents] = [:]
    var folders: [String: [String]] = [:]
    var flags: [(Setting, [String])] = []
    var mechanisms = AuthenticationSchemes.connectionBound

    func read(_ text: String, path: String = "/etc/o.yaml") -> Answer { read(Array(text.utf8), path: path) }

    func read(_ bytes: [UInt8], path: String = "/etc/o.yaml") -> Answer {
        let outside = Outside(
            variables: variables.filter { $0.name.hasPrefix(EnvironmentNames.prefix) },
            variable: { name in variables.first { $0.name == name }?.value },
            contents: { path in
                folders[path] == nil ? files[path] ?? .unreadable("no such file") : .folder
            },
            names: { folders[$0] ?? [] },
            mechanisms: { mechanisms }
        )
        var reader = SettingsReader(Settings(workers: 2), outside)
        reader.readFile(path: path, bytes)
        reader.readEnvironment()
        for (setting, texts) in flags { reader.take(flag: setting, texts) }
        let (settings, problems) = reader.finish()
        return Answer(settings: settings, problems: problems.sorted.map(\.description))
    }

    /// PEM of what a certificate's file has, as far as anybody looks.
    static let certificate = FileContents.bytes(Array("-----BEGIN CERTIFICATE-----\n".utf8))
    static let key = FileContents.bytes(Array("-----BEGIN PRIVATE KEY-----\n".utf8))
}

/// A file, and what is said about it.
struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    /// Without the path of the file.
    let problems: [String]
    var testDescription: String { name }

    init(_ name: String, _ text: String, _ problems: String...) { self.init(name, text, problems) }

    init(_ name: String, _ text: String, _ problems: [String]) {
        self.name = name
        self.text = text
        self.problems = problems.map { "/etc/o.yaml:" + $0 }
    }
}
