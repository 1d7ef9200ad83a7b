// Place.swift: where a setting was said, and what is wrong there.
// Owns: marks, problems and their order. Never touches: what a setting means. Source: the GNU coding
// standards, "Formatting Error Messages".

/// A place in a file; both numbers from 1, columns in characters.
package struct Mark: Hashable, Comparable, Sendable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (left: Mark, right: Mark) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// Who says something, the weakest voice first.
package enum Place: Hashable, Sendable {
    case builtIn
    case file(path: String, Mark)
    case environment(variable: String)
    case flag(name: String)

    fileprivate var rank: (Int, Mark) {
        switch self {
        case .builtIn: (0, Mark(line: 0, column: 0))
        case .file(_, let mark): (1, mark)
        case .environment: (2, Mark(line: 0, column: 0))
        case .flag: (3, Mark(line: 0, column: 0))
        }
    }

    static func isWeaker(_ left: Place, _ right: Place) -> Bool { left.rank < right.rank }
}

extension Place: CustomStringConvertible {
    package var description: String {
        switch self {
        case .builtIn: "built in"
        case .file(let path, let mark): "\(path):\(mark.line):\(mark.column)"
        case .environment(let variable): "environment: \(variable)"
        case .flag(let name): name
        }
    }
}

/// Something that is wrong. Its text holds no value of a setting: values may be secrets.
package struct Problem: Hashable, Sendable {
    package enum Severity: String, Sendable {
        /// It cannot be served with.
        case error
        /// It can, but is hardly what was meant.
        case warning
    }

    package let severity: Severity
    package let place: Place
    package let text: String
}

extension Problem: CustomStringConvertible {
    /// `FILE:LINE:COLUMN: error: …`, without a line break.
    package var description: String { "\(place): \(severity.rawValue): \(text)" }
}

/// Everything that is wrong, not only the first.
package struct Problems: Sendable {
    /// More are counted and not kept: each input has a limit to the memory it takes.
    package static let countMax = 1000

    private var list: [Problem] = []
    /// How many more there are than `sorted` has.
    package private(set) var leftOut = 0
    package private(set) var hasErrors = false

    package init() {}

    package var isEmpty: Bool { list.isEmpty }
    /// Whether further ones are only counted.
    var isFull: Bool { list.count == Self.countMax }

    /// By place: the file's from top to bottom, then the environment's, then the flags'.
    package var sorted: [Problem] {
        // The order in which they were found decides between equals, as `sort` promises nothing there.
        list.enumerated().sorted { left, right in
            if Place.isWeaker(left.element.place, right.element.place) { return true }
            if Place.isWeaker(right.element.place, left.element.place) { return false }
            return left.offset < right.offset
        }
        .map(\.element)
    }

    mutating func add(_ severity: Problem.Severity, _ place: Place, _ text: String) {
        hasErrors = hasErrors || severity == .error
        guard list.count < Self.countMax else {
            leftOut += 1
            return
        }
        list.append(Problem(severity: severity, place: place, text: text))
    }
}
