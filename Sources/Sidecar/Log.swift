// Log.swift: one line an event to standard error, `key=value`. Never a secret: names, paths, numbers and reasons only.
import EventLoop

/// How much an event matters.
package enum LogLevel: String, Sendable {
    case info
    case warning
    case error
}

/// A log line.
package enum Log {
    /// Writes the line of one event. Keys are lower-case words; any value is safe, odd bytes are escaped.
    package static func write(
        _ level: LogLevel,
        _ event: String,
        _ fields: KeyValuePairs<String, String> = [:]
    ) {
        StandardError.write(line(level, event, fields, wallNanoseconds: Clock.wall))
    }

    static func line(
        _ level: LogLevel,
        _ event: String,
        _ fields: KeyValuePairs<String, String>,
        wallNanoseconds: Int64
    ) -> String {
        var line = "time=\(timestamp(wallNanoseconds)) level=\(level.rawValue) event=\(quoted(event))"
        for (key, value) in fields { line += " \(key)=\(quoted(value))" }
        return line + "\n"
    }

    /// RFC 3339 in UTC, to the millisecond.
    static func timestamp(_ nanoseconds: Int64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        let (year, month, day) = date(daysSince1970: seconds / 86_400)
        let clock = [seconds % 86_400 / 3600, seconds % 3600 / 60, seconds % 60].map { padded($0, 2) }
        let milliseconds = padded(nanoseconds / 1_000_000 % 1000, 3)
        return
            "\(year)-\(padded(month, 2))-\(padded(day, 2))T\(clock.joined(separator: ":")).\(milliseconds)Z"
    }

    /// The Gregorian date; years that begin in March put the leap day last, so that month lengths follow one formula.
    private static func date(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSince1970 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (
            era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1
        )
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// The value as it is, or in quotes when it holds anything that could be taken for the end of it.
    static func quoted(_ value: String) -> String {
        let isPlain = value.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 34 && $0 != 61 && $0 != 92 }
        if isPlain && !value.isEmpty { return value }
        var result = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _
            where scalar.value < 32 || scalar.value == 127 || scalar.properties.generalCategory == .control:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
