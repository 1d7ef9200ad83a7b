// Serve.swift: the command that runs the sidecar as a daemon. Source: issue "Commands"; sysexits(3).
import ArgumentParser
import EventLoop
import Sidecar

/// `outrigger serve`.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve proxies over a Unix socket.",
        discussion: """
            Runs in the foreground until SIGTERM or SIGINT: then proxies are told to go, open streams may end, and the \
            process exits with 0. A second such signal ends it at once. Events go to standard error, one line each.

            Exit codes: 64 wrong usage, 69 another process serves the socket, 71 the system refuses something, \
            73 the socket cannot be made, 77 no permission, 128 + its number after a second signal.

            Limits of the process hold over all workers, never one too many; who has waited longest comes first.
            """
    )

    @Option(
        help: ArgumentHelp(
            "Path of the socket, at most 107 bytes. A stale file is replaced.",
            valueName: "path"
        )
    )
    var socket: String

    @Option(help: ArgumentHelp("Threads that serve (1 to 1024).", valueName: "n"))
    var workers = ProcessLimits.processors

    @Option(
        name: .customLong("allow-uid"),
        help: ArgumentHelp(
            "Also let this user connect, beside root and your own. Repeatable.",
            valueName: "uid"
        )
    )
    var allowedUserIDs: [UInt32] = []

    @OptionGroup var limitOptions: LimitOptions

    func validate() throws {
        if !(1...1024).contains(workers) { throw ValidationError("--workers: 1 to 1024") }
        if !(1...107).contains(socket.utf8.count) || socket.utf8.contains(0) {
            throw ValidationError("--socket: 1 to 107 bytes")
        }
        let limits = limitOptions.limits
        let room = limits.sessionOutputPauseBytes + 4 * limits.framePayloadBytesMax
        if limits.sessionOutputBytesMax < room {
            throw ValidationError(
                "--session-output-bytes-max: at least \(room), for --session-output-pause-bytes and four frames"
            )
        }
    }

    func run() throws {
        var configuration = SidecarConfiguration()
        configuration.workers = workers
        configuration.limits = limitOptions.limits
        configuration.allowedUserIDs = allowedUserIDs
        let end: DaemonEnd
        do throws(DaemonError) {
            end = try Daemon.serve(path: Array(socket.utf8), configuration)
        } catch {
            Log.write(.error, "cannot serve", ["socket": socket, "error": error.detail])
            throw error.exitCode
        }
        switch end {
        case .drained: break
        // As a shell reports a process that a signal ended.
        case .killed(let signal): throw ExitCode(128 + signal)
        }
    }
}

extension DaemonError {
    fileprivate var detail: String {
        switch self {
        case .socketInUse: "another process serves this socket, or a file is in its place"
        case .noPermission: "no permission"
        case .cannotCreateSocket(let error): "the socket cannot be made: \(error)"
        case .system(let error): "the system refuses: \(error)"
        }
    }

    /// As sysexits.h has it.
    fileprivate var exitCode: ExitCode {
        switch self {
        case .socketInUse: ExitStatus.unavailable
        // EX_NOPERM.
        case .noPermission: ExitCode(77)
        case .cannotCreateSocket: ExitStatus.cannotCreate
        case .system: ExitStatus.osError
        }
    }
}
