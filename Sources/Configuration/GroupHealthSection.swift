// GroupHealthSection.swift: `ejection:`, `back-off:`, `check:` and `retry:` of a group.
// Owns: their keys. Never touches: members, connections. Source: Sources/Model/NamedGroup.swift; Envoy's
// outlier detection and retry budget; HAProxy's inter, rise and fall.
import Model

private enum EjectionKeys {
    static let statuses = Key(
        "statuses",
        "[502, 503-504]",
        "Statuses that are failures: at most 16 from 200 to 599, or ranges such as 500-599. Default: none."
    )
    static let numbers: [NumberKey<EjectionSettings>] = [
        NumberKey(
            "dial-failures",
            \.dialFailures,
            .number,
            0...1000,
            "Dials and TLS handshakes that fail in a row, after which a member is ejected; 0: never for these"
        ),
        NumberKey(
            "reply-failures",
            \.replyFailures,
            .number,
            0...1000,
            "Exchanges that fail in a row (reset, cut short, timed out, a status), after which it is; 0: never"
        ),
        NumberKey(
            "base-milliseconds",
            \.baseMilliseconds,
            .milliseconds,
            1...groupMillisecondsMax,
            "Time of the first ejection; each further one takes twice as long"
        ),
        NumberKey(
            "max-milliseconds",
            \.millisecondsMax,
            .milliseconds,
            1...groupMillisecondsMax,
            "Time of the longest one, before jitter"
        ),
        NumberKey(
            "jitter-percent",
            \.jitterPercent,
            .number,
            0...50,
            "How far such a time may be off either way, percent of it"
        ),
        NumberKey(
            "ejected-percent-max",
            \.ejectedPercentMax,
            .number,
            0...100,
            "Share of members that may be ejected at the same time; 0: none, else at least one"
        ),
    ]
}

private enum BackOffKeys {
    static let numbers: [NumberKey<BackOffSettings>] = [
        NumberKey(
            "base-milliseconds",
            \.baseMilliseconds,
            .milliseconds,
            0...groupMillisecondsMax,
            "After the first failure; twice as long after each further one in a row. 0: not at all"
        ),
        NumberKey(
            "max-milliseconds",
            \.millisecondsMax,
            .milliseconds,
            1...groupMillisecondsMax,
            "The longest one, before jitter"
        ),
    ]
}

private enum CheckKeys {
    static let kinds: [(word: String, value: CheckSettings.Kind)] = [
        ("tcp", .tcp), ("tls", .tls), ("http", .http), ("https", .https),
    ]
    static let kind = Key(
        "kind",
        "https",
        "What has to work: tcp (a connection), tls (and a handshake), http (GET in clear text), https (GET over TLS)."
    )
    static let path = Key(
        "path",
        "/health",
        "Target of the request: 1 to 1024 bytes that begin with '/'. Default: /."
    )
    static let host = Key(
        "host",
        "origin.example",
        "Host of the request: 1 to 255 bytes. Default, also in TLS for checks of the kind tls: that of the group's origin,",
        "where its route is direct; else the endpoint."
    )
    static let statuses = Key(
        "statuses",
        "[200-399]",
        "Statuses that pass: at most 16 from 200 to 599, or ranges such as 200-299. Default: [200-399]."
    )
    static let tls = Key(
        "tls",
        "default",
        "TLS of the check: the name of a profile, or a mapping like one. Default: that of the group's route to its members,",
        "else the profile \"default\". Where it names nobody, `host` or its default is verified."
    )
    static let words = [kind, path, host, statuses, tls]
    static let numbers: [NumberKey<CheckSettings>] = [
        NumberKey(
            "interval-milliseconds",
            \.intervalMilliseconds,
            .milliseconds,
            100...groupMillisecondsMax,
            "From the end of a check to the next one of the same member, off by up to 10 %"
        ),
        NumberKey(
            "timeout-milliseconds",
            \.timeoutMilliseconds,
            .milliseconds,
            1...groupMillisecondsMax,
            "Time for a whole check"
        ),
        NumberKey("rise", \.rise, .number, 1...1000, "Checks passed in a row that make a member up"),
        NumberKey("fall", \.fall, .number, 1...1000, "Checks failed in a row that make it down"),
    ]
}

private enum RetryKeys {
    static let statuses = Key(
        "statuses",
        "[503]",
        "Statuses after which another member is asked: at most 16 from 200 to 599, or ranges. Default: none."
    )
    static let numbers: [NumberKey<RetrySettings>] = [
        NumberKey(
            "percent",
            \.percent,
            .number,
            0...100,
            "Most retries in a worker at members that failed within the last second, percent of its active requests"
        ),
        NumberKey(
            "concurrency-min",
            \.concurrencyMin,
            .number,
            0...10_000,
            "So many at the same time, however few requests there are; at members that are well retries are free"
        ),
        NumberKey(
            "attempts-max",
            \.attemptsMax,
            .number,
            1...NamedGroup.attemptsMax,
            "Members that one request is tried at, the first one included"
        ),
    ]
}

/// Lines of the printed file.
enum GroupHealthLines {
    static func ejection(_ indent: String) -> [String] {
        let numbers = EjectionKeys.numbers.flatMap { $0.lines(indent: indent, EjectionSettings()) }
        return numbers + EjectionKeys.statuses.lines(indent: indent)
    }

    static func backOff(_ indent: String) -> [String] {
        BackOffKeys.numbers.flatMap { $0.lines(indent: indent, BackOffSettings()) }
    }

    static func check(_ indent: String) -> [String] {
        let numbers = CheckKeys.numbers.flatMap { $0.lines(indent: indent, CheckSettings(kind: .tcp)) }
        return CheckKeys.words.flatMap { $0.lines(indent: indent) } + numbers
    }

    static func retry(_ indent: String) -> [String] {
        RetryKeys.numbers.flatMap { $0.lines(indent: indent, RetrySettings()) }
            + RetryKeys.statuses.lines(indent: indent)
    }
}

extension Reading {
    mutating func ejection(_ node: Node, _ name: String) -> EjectionSettings {
        var ejection = EjectionSettings()
        guard let entries = mapping(node, name) else { return ejection }
        let keys = [EjectionKeys.statuses.name] + EjectionKeys.numbers.map(\.name)
        let fields = fields(entries, name, keys)
        takeNumbers(fields, name, EjectionKeys.numbers, &ejection)
        if let node = fields[EjectionKeys.statuses], let ranges = statuses(node, "\(name): statuses") {
            ejection.statuses = ranges
        }
        checkTimes(node, name, base: ejection.baseMilliseconds, longest: ejection.millisecondsMax)
        return ejection
    }

    mutating func backOff(_ node: Node, _ name: String) -> BackOffSettings {
        var backOff = BackOffSettings()
        guard let entries = mapping(node, name) else { return backOff }
        takeNumbers(
            fields(entries, name, BackOffKeys.numbers.map(\.name)),
            name,
            BackOffKeys.numbers,
            &backOff
        )
        checkTimes(node, name, base: backOff.baseMilliseconds, longest: backOff.millisecondsMax)
        return backOff
    }

    private mutating func checkTimes(_ node: Node, _ name: String, base: Int, longest: Int) {
        if base > longest {
            error(node.mark, "\(name): base-milliseconds (\(base)) is above max-milliseconds (\(longest))")
        }
    }

    mutating func retry(_ node: Node, _ name: String) -> RetrySettings {
        var retry = RetrySettings()
        guard let entries = mapping(node, name) else { return retry }
        let fields = fields(entries, name, [RetryKeys.statuses.name] + RetryKeys.numbers.map(\.name))
        takeNumbers(fields, name, RetryKeys.numbers, &retry)
        if let node = fields[RetryKeys.statuses], let ranges = statuses(node, "\(name): statuses") {
            retry.statuses = ranges
        }
        return retry
    }

    /// - Returns: `nil` also when nothing is said.
    mutating func check(_ node: Node, _ name: String, _ settings: Settings) -> CheckSettings? {
        guard !node.isAbsent, let entries = mapping(node, name) else { return nil }
        let fields = fields(entries, name, CheckKeys.words.map(\.name) + CheckKeys.numbers.map(\.name))
        guard let node = fields[CheckKeys.kind] else {
            error(node.mark, "\(name): kind is missing")
            return nil
        }
        guard let kind = choice(node, "\(name): kind", CheckKeys.kinds) else { return nil }
        var check = CheckSettings(kind: kind)
        takeNumbers(fields, name, CheckKeys.numbers, &check)
        takeRequest(fields, name, &check)
        if let node = fields[CheckKeys.tls] {
            check.tls = profile(of: node, "\(name): tls", settings)
        }
        checkKind(fields, name, kind)
        return check
    }

    private mutating func takeRequest(_ fields: Fields, _ name: String, _ check: inout CheckSettings) {
        if let node = fields[CheckKeys.path], let path = text(node, "\(name): path", 1...1024) {
            // RFC 9112 §3.2.1: no space, and the fragment is never sent.
            if path.hasPrefix("/"), path.utf8.allSatisfy({ 0x21...0x7E ~= $0 && $0 != 0x23 }) {
                check.path = path
            } else {
                error(node.mark, "\(name): path: '/' and visible ASCII but '#' is wanted")
            }
        }
        if let node = fields[CheckKeys.host], let host = text(node, "\(name): host", 1...255) {
            if Self.isHost(host) {
                check.host = host
            } else {
                error(node.mark, "\(name): host: a name or address, and a port where there is one, is wanted")
            }
        }
        if let node = fields[CheckKeys.statuses], let ranges = statuses(node, "\(name): statuses") {
            check.statuses = ranges
            if ranges.isEmpty { warn(node.mark, "\(name): statuses: without any, no check passes") }
        }
    }

    /// Source: RFC 9110 §7.2.
    static func isHost(_ text: String) -> Bool {
        if HostName.isName(text) || IPAddress(text: text) != nil && !text.contains(":") { return true }
        if Endpoint(text: text) != nil, !text.hasPrefix("unix:") { return true }
        if text.hasPrefix("["), text.hasSuffix("]") { return Endpoint(text: text + ":1") != nil }
        guard let colon = text.lastIndex(of: ":") else { return false }
        let port = text[text.index(after: colon)...]
        return HostName.isName(String(text[..<colon])) && UInt16(port) != nil
    }

    /// Keys that mean nothing for the kind.
    private mutating func checkKind(_ fields: Fields, _ name: String, _ kind: CheckSettings.Kind) {
        let (isRequest, isSecured) =
            switch kind {
            case .tcp: (false, false)
            case .tls: (false, true)
            case .http: (true, false)
            case .https: (true, true)
            }
        for key in [CheckKeys.path, CheckKeys.host, CheckKeys.statuses] where !isRequest {
            if let mark = fields.mark(key) {
                error(mark, "\(name): \(key.name) is of a check of the kind http or https")
            }
        }
        if !isSecured, let mark = fields.mark(CheckKeys.tls) {
            error(mark, "\(name): tls is of a check of the kind tls or https")
        }
    }
}
