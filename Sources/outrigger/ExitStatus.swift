// ExitStatus.swift: how a command ends, in the numbers of sysexits.h. Owns: the numbers. Source: sysexits(3).
import ArgumentParser
import Model

/// Exit codes of the commands.
enum ExitStatus {
    /// An exchange did not go as it should, of several.
    static let failed = ExitCode(1)
    /// `fetch --fail`: HTTP status 400 or more, as curl has it.
    static let httpError = ExitCode(22)
    /// The command line is wrong.
    static let usage = ExitCode(64)
    /// The request is not valid (BAD_REQUEST).
    static let dataError = ExitCode(65)
    /// A file to send cannot be read.
    static let noInput = ExitCode(66)
    /// No connection to the upstream, or no sidecar there.
    static let unavailable = ExitCode(69)
    /// A fault of the sidecar's own.
    static let software = ExitCode(70)
    /// The operating system refused something.
    static let osError = ExitCode(71)
    /// A file to write cannot be made.
    static let cannotCreate = ExitCode(73)
    /// Writing failed.
    static let ioError = ExitCode(74)
    /// A deadline has passed.
    static let temporary = ExitCode(75)
    /// The upstream or the sidecar broke its protocol: a bad or short reply.
    static let protocolError = ExitCode(76)
    /// Something is wrong in a configuration.
    static let configuration = ExitCode(78)
    /// Cancelled by a signal.
    static let interrupted = ExitCode(130)

    /// What `fetch` ends with.
    static func of(_ outcome: Outcome) -> ExitCode {
        switch outcome {
        case .complete, .completeByEOF: .success
        case .badRequest: dataError
        case .connectRefused, .connectUnreachable, .peerRefused, .overloaded, .draining, .pinLost,
            .pinMismatch,
            .pinBusy, .tlsHandshake, .tlsVerify:
            unavailable
        case .truncated, .badReply, .reset: protocolError
        case .queueTimeout, .connectTimeout, .replyTimeout, .idleTimeout, .deadline: temporary
        case .cancelled: interrupted
        case .internal: software
        }
    }
}

/// Why a command cannot go on, in words, with its exit code.
struct CommandFailure: Error {
    let exitCode: ExitCode
    let detail: String

    init(_ exitCode: ExitCode, _ detail: String) {
        self.exitCode = exitCode
        self.detail = detail
    }

    /// What was asked for makes no sense.
    static func usage(_ detail: String) -> CommandFailure { CommandFailure(ExitStatus.usage, detail) }
}
