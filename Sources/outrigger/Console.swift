// Console.swift: text for people: colours where they are wanted, columns, numbers with units.
// Owns: nothing. Source: no-color.org.
import EventLoop

/// Colours of one stream, or none.
struct Style: Sendable {
    let isColoured: Bool

    /// Colours only on a terminal, and not against NO_COLOR.
    init(_ file: borrowing File) {
        let refusal = Environment.value(of: "NO_COLOR") ?? ""
        isColoured = file.isTerminal && refusal.isEmpty && Environment.value(of: "TERM") != "dumb"
    }

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func green(_ text: String) -> String { wrap(text, "32") }
    func red(_ text: String) -> String { wrap(text, "1;31") }
    func blue(_ text: String) -> String { wrap(text, "36") }

    private func wrap(_ text: String, _ code: String) -> String {
        isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

extension String {
    /// Filled with spaces on the right up to `width` characters.
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(width - count, 0)) }

    /// Filled with spaces on the left up to `width` characters.
    func leading(_ width: Int) -> String { String(repeating: " ", count: max(width - count, 0)) + self }
}

/// Numbers as people read them.
enum Figures {
    /// With so many digits behind the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "-" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let rounded = UInt64((abs(value) * scale).rounded())
        let sign = value < 0 && rounded > 0 ? "-" : ""
        let whole = String(rounded / UInt64(scale))
        guard digits > 0 else { return sign + whole }
        let fraction = String(rounded % UInt64(scale))
        return sign + whole + "." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// With a comma behind each three digits: 12,345.
    static func grouped(_ value: UInt64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// A duration in a unit that suits it.
    static func duration(nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<1_000_000: fixed(Double(nanoseconds) / 1000, 0) + " us"
        case ..<100_000_000: fixed(Double(nanoseconds) / 1_000_000, 2) + " ms"
        case ..<1_000_000_000: fixed(Double(nanoseconds) / 1_000_000, 0) + " ms"
        default: fixed(Double(nanoseconds) / 1_000_000_000, 2) + " s"
        }
    }
}
