// Setting.swift: a setting that the file, a variable and a flag can say alike.
// Owns: its name, default, unit, range and help, for all three. Source: issue "Configuration".
import Model

/// A setting of one value. Its name is the file's key; the flag has two hyphens in front.
package struct Setting: Sendable {
    package enum Unit: String, Sendable {
        case bytes
        case milliseconds
        /// Of what, the help says.
        case number = ""
    }

    enum Form: Sendable {
        case number(Unit, ClosedRange<Int>, WritableKeyPath<Settings, Int> & Sendable)
        /// Of so many bytes.
        case path(ClosedRange<Int>, WritableKeyPath<Settings, String> & Sendable)
        case userIDs(WritableKeyPath<Settings, [UInt32]> & Sendable)
    }

    package let name: String
    /// What it is, and what a special value means.
    package let help: String
    let form: Form
    /// In place of a number, where the default is no constant.
    let defaultWords: String?

    init(_ name: String, _ form: Form, _ help: String, defaultWords: String? = nil) {
        self.name = name
        self.form = form
        self.help = help
        self.defaultWords = defaultWords
    }

    package var flag: String { "--" + name }

    package var variable: String { EnvironmentNames.prefix + name.uppercased().replacing("-", with: "_") }

    package var range: ClosedRange<Int>? {
        switch form {
        case .number(_, let range, _): range
        case .path, .userIDs: nil
        }
    }

    /// What a value has to be, for people: "0 to 86400000 milliseconds".
    package var wanted: String {
        switch form {
        case .number(let unit, let range, _):
            "\(range.lowerBound) to \(range.upperBound)" + (unit == .number ? "" : " \(unit.rawValue)")
        case .path(let range, _): "a path of \(range.lowerBound) to \(range.upperBound) bytes"
        case .userIDs: "numbers from 0 to \(UInt32.max)"
        }
    }

    /// What it is when nobody says anything, for people.
    package var defaultText: String {
        if let defaultWords { return defaultWords }
        return switch form {
        case .number(_, _, let path): String(Settings(workers: 1)[keyPath: path])
        case .path, .userIDs: "none"
        }
    }

    /// Reads a number as it has to be.
    package func number(_ text: String) -> Int? {
        // No sign, no space, no digits of other scripts.
        guard let range, !text.isEmpty, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        guard let value = Int(text), range.contains(value) else { return nil }
        return value
    }

    static let userIDCountMax = 1024

    /// Sets it from texts: one, or any number for a list.
    /// - Returns: `nil` when all is well, else what is wrong.
    func set(_ texts: [String], in settings: inout Settings) -> String? {
        let wrong = "\(name): \(wanted)"
        switch form {
        case .number(_, _, let path):
            guard texts.count == 1, let value = number(texts[0]) else { return wrong }
            settings[keyPath: path] = value
        case .path(let range, let path):
            guard texts.count == 1, range.contains(texts[0].utf8.count), !texts[0].utf8.contains(0) else {
                return wrong
            }
            settings[keyPath: path] = texts[0]
        case .userIDs(let path):
            let numbers = texts.map { $0.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? UInt32($0) : nil }
            let values = numbers.compactMap { $0 }
            guard values.count == numbers.count, values.count <= Self.userIDCountMax else { return wrong }
            settings[keyPath: path] = values
        }
        return nil
    }
}

extension Setting {
    package static let socket = Setting(
        "socket",
        .path(1...107, \.socket),
        "Path of the socket, which is needed. A stale file is replaced"
    )
    package static let adminSocket = Setting(
        "admin-socket",
        .path(1...107, \.adminSocket),
        "Path of a socket where operators can ask what is open, by HTTP; without it there is none"
    )
    package static let workers = Setting(
        "workers",
        .number(.number, 1...1024, \.workers),
        "Threads that serve",
        defaultWords: "one for each processor"
    )
    package static let allowedUserIDs = Setting(
        "allow-uid",
        .userIDs(\.allowedUserIDs),
        "Users that may connect, beside root and the sidecar's own"
    )

    /// Those of the file's top level, in the order of the printed file.
    package static let process = [socket, adminSocket, workers, allowedUserIDs]

    /// All that variables and flags can say too.
    package static let all = process + limits
}
