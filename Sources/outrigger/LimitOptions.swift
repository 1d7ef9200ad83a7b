// LimitOptions.swift: every limit as an option of the command line.
// Owns: how the table of limits becomes options; the table is Sources/Configuration/LimitTable.swift.
import ArgumentParser
import Configuration

/// Options of all limits. ArgumentParser finds options by looking at a value's children, and so these are
/// made from the table; a declaration for each would repeat it.
struct LimitOptions: ParsableArguments, CustomReflectable {
    /// A key for whatever name.
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// What was said, in the order of the table.
    private(set) var given: [(setting: Setting, text: String)] = []

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        for setting in Setting.limits {
            let option = try container.decode(Option<Int?>.self, forKey: Name(stringValue: setting.name))
            if let value = option.wrappedValue { given.append((setting, String(value))) }
        }
    }

    var customMirror: Mirror {
        Mirror(self, children: Setting.limits.map { (label: $0.name, value: Self.option($0)) })
    }

    private static func option(_ setting: Setting) -> Option<Int?> {
        let help = "\(setting.help). (\(setting.wanted); default: \(setting.defaultText))"
        return Option(name: .customLong(setting.name), help: ArgumentHelp(help, valueName: "n")) { text in
            guard let value = setting.number(text) else {
                throw ValidationError("not a number from \(setting.wanted): \(text)")
            }
            return value
        }
    }
}
