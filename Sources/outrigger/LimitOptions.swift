// LimitOptions.swift: every limit as an option of the command line; name, unit and default are those of `Limits`.
// To add a limit, add one declaration here: `limits` finds it by reflection, and refuses to run when one is missing.
import ArgumentParser
import Model

/// A limit, and what it is set to.
struct LimitSetting: CustomStringConvertible, Sendable {
    let path: WritableKeyPath<Limits, Int> & Sendable
    let value: Int

    var description: String { String(value) }
}

extension Option where Value == LimitSetting {
    /// An option for the limit at `path`, which must be in `range`.
    fileprivate init(
        _ path: WritableKeyPath<Limits, Int> & Sendable,
        _ range: ClosedRange<Int>,
        _ help: String
    ) {
        let initial = LimitSetting(path: path, value: Limits()[keyPath: path])
        let words = ArgumentHelp(
            "\(help). (\(range.lowerBound) to \(range.upperBound); default: \(initial))",
            valueName: "n"
        )
        self.init(wrappedValue: initial, help: words) { text in
            guard let value = Int(text), range.contains(value) else {
                throw ValidationError("not a number from \(range.lowerBound) to \(range.upperBound): \(text)")
            }
            return LimitSetting(path: path, value: value)
        }
    }
}

private let gibibyte = 1 << 30
private let count = 1_000_000
/// A day in milliseconds.
private let day = 86_400_000

/// Options of all limits.
struct LimitOptions: ParsableArguments {
    // Sessions.
    @Option(
        \.framePayloadBytesMax,
        16_384...1_048_576,
        "Largest frame payload that is taken, offered in HELLO"
    )
    var framePayloadBytesMax: LimitSetting
    @Option(
        \.initialCreditBytes,
        1...16_777_216,
        "Request body bytes that a proxy may send before it needs credit"
    )
    var initialCreditBytes: LimitSetting
    @Option(\.streamsPerSessionMax, 1...count, "Streams open at once on one session")
    var streamsPerSessionMax: LimitSetting
    @Option(\.helloMilliseconds, 1...day, "Time a session has for its HELLO")
    var helloMilliseconds: LimitSetting
    @Option(
        \.sessionOutputPauseBytes,
        65_536...gibibyte,
        "Bytes waiting for a session at which its upstreams pause"
    )
    var sessionOutputPauseBytes: LimitSetting
    @Option(
        \.sessionOutputBytesMax,
        65_536...16 * gibibyte,
        "Bytes waiting for a session at which it is closed"
    )
    var sessionOutputBytesMax: LimitSetting
    @Option(\.messageBytesMax, 65_536...gibibyte, "Memory for one unpacked message")
    var messageBytesMax: LimitSetting

    // Requests and replies.
    @Option(\.requestHeadBytesMax, 1024...1_048_576, "Request head as sent")
    var requestHeadBytesMax: LimitSetting
    @Option(\.replyHeadBytesMax, 1024...1_048_576, "Reply head, and trailer section")
    var replyHeadBytesMax: LimitSetting
    @Option(\.fieldCountMax, 8...65_536, "Field lines in a head or trailer section")
    var fieldCountMax: LimitSetting
    @Option(\.chunkLineBytesMax, 16...65_536, "One chunk-size line with its extensions")
    var chunkLineBytesMax: LimitSetting
    @Option(\.chunkOverheadBytesMax, 1024...gibibyte, "Chunk framing beyond one byte for each body byte")
    var chunkOverheadBytesMax: LimitSetting
    @Option(\.interimRepliesMax, 0...10_000, "Interim replies to one request")
    var interimRepliesMax: LimitSetting
    @Option(\.endpointsMax, 1...1024, "Endpoints of one request")
    var endpointsMax: LimitSetting
    @Option(\.replayBytesMax, 0...gibibyte, "Bytes of a request kept so that it can be sent again")
    var replayBytesMax: LimitSetting

    // Connections.
    @Option(\.connectionsPerEndpointMax, 0...count, "Connections of the process to one endpoint; 0: no limit")
    var connectionsPerEndpointMax: LimitSetting
    @Option(\.connectionsMax, 1...count, "Connections of the process")
    var connectionsMax: LimitSetting
    @Option(\.queueLengthMax, 0...count, "Requests of the process that wait for a connection")
    var queueLengthMax: LimitSetting
    @Option(\.idlePerKeyMax, 0...count, "Idle connections of a worker that are interchangeable")
    var idlePerKeyMax: LimitSetting
    @Option(\.idleMax, 0...count, "Idle connections of the process, shared out evenly to the workers")
    var idleMax: LimitSetting
    @Option(\.idleConnectionMilliseconds, 0...day, "Time after which an idle connection is closed")
    var idleConnectionMilliseconds: LimitSetting
    @Option(
        \.livenessProbeIdleMilliseconds,
        0...day,
        "Idle time after which a connection is probed before it is used"
    )
    var livenessProbeIdleMilliseconds: LimitSetting
    @Option(\.requestsPerConnectionMax, 0...Int(Int32.max), "Requests on one connection; 0: no limit")
    var requestsPerConnectionMax: LimitSetting
    @Option(\.connectionAgeMilliseconds, 0...30 * day, "Age at which a connection is closed; 0: no limit")
    var connectionAgeMilliseconds: LimitSetting
    @Option(
        \.racingDelayMilliseconds,
        10...day,
        "Head start of one address before the next is tried beside it"
    )
    var racingDelayMilliseconds: LimitSetting

    // Deadlines.
    @Option(\.queueMilliseconds, 0...day, "Deadline for getting a connection to dial or use; 0: none")
    var queueMilliseconds: LimitSetting
    @Option(\.connectMilliseconds, 0...day, "Deadline for connecting; 0: none")
    var connectMilliseconds: LimitSetting
    @Option(\.firstByteMilliseconds, 0...day, "Deadline for the first byte of a reply; 0: none")
    var firstByteMilliseconds: LimitSetting
    @Option(\.idleMilliseconds, 0...day, "Time in which something has to move in an exchange; 0: none")
    var idleMilliseconds: LimitSetting
    @Option(\.totalMilliseconds, 0...30 * day, "Deadline for a whole exchange; 0: none")
    var totalMilliseconds: LimitSetting
    @Option(\.continueMilliseconds, 0...day, "Time to wait for 100 (Continue) before the body is sent")
    var continueMilliseconds: LimitSetting
    @Option(\.drainMilliseconds, 0...day, "Time that open streams have after SIGTERM")
    var drainMilliseconds: LimitSetting

    /// All of them.
    var limits: Limits {
        var limits = Limits()
        var names: [String] = []
        for child in Mirror(reflecting: self).children {
            guard let option = child.value as? Option<LimitSetting> else { continue }
            limits[keyPath: option.wrappedValue.path] = option.wrappedValue.value
            // The name of a wrapper is that of its property behind an underscore.
            names.append(String((child.label ?? "").dropFirst()))
        }
        precondition(
            names == Mirror(reflecting: limits).children.map { $0.label ?? "" },
            "a limit without an option"
        )
        return limits
    }
}
