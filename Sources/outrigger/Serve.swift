// Serve.swift: the command that runs the sidecar as a daemon. Source: issue "Commands"; sysexits(3).
import ArgumentParser
import Configuration
import EventLoop
import Model
import Sidecar

/// `outrigger serve`.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve proxies over a Unix socket.",
        discussion: """
            Runs in the foreground until SIGTERM or SIGINT: then proxies are told to go, open streams may end, and the \
            process exits with 0. A second such signal ends it at once. At SIGHUP the weights of groups' members and \
            standby-connections-min are read again, and nothing else. Events go to standard error, one line each.

            Settings come from a file (--config), from the environment and from flags; each is stronger than the one \
            before. The variable of a flag is named OUTRIGGER_ and the flag in capitals, such as OUTRIGGER_WORKERS, \
            OUTRIGGER_IDLE_MILLISECONDS, OUTRIGGER_ALLOW_UID (numbers with commas) and OUTRIGGER_CONFIG. TLS profiles, \
            routes, groups and credentials are in the file only: see 'outrigger check --print-default'.

            Exit codes: 64 wrong usage, 66 the file of --config cannot be read, 69 another process serves the socket, \
            71 the system refuses something, 73 the socket cannot be made, 77 no permission, 78 something is wrong in \
            the file or the environment, 128 + its number after a second signal.

            Limits of the process hold over all workers, never one too many; who has waited longest comes first.
            """
    )

    @Option(help: ArgumentHelp("Configuration file, YAML.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Path of the socket, at most 107 bytes; needed, here or elsewhere. A stale file is replaced.",
            valueName: "path"
        )
    )
    var socket: String?

    @Option(
        name: .customLong("admin-socket"),
        help: ArgumentHelp(
            "Path of a socket where 'outrigger show' and curl can ask what is open. Root's and ours alone.",
            valueName: "path"
        )
    )
    var adminSocket: String?

    @Option(
        help: ArgumentHelp(
            "\(Setting.workers.help). (\(Setting.workers.wanted); default: \(Setting.workers.defaultText))",
            valueName: "n"
        ),
        transform: { text in
            guard let value = Setting.workers.number(text) else {
                throw ValidationError("not a number from \(Setting.workers.wanted): \(text)")
            }
            return value
        }
    )
    var workers: Int?

    @Option(
        name: .customLong("allow-uid"),
        help: ArgumentHelp(
            "Also let this user connect, beside root and your own. Repeatable.",
            valueName: "uid"
        )
    )
    var allowedUserIDs: [UInt32] = []

    @OptionGroup var limitOptions: LimitOptions

    /// What file, environment and flags say together; set by `validate`.
    private var read: Result<SettingsSources.Answer, CommandFailure>?

    /// Where that came from.
    private var sources = SettingsSources(file: nil)

    /// What comes from the command line: `read` and `sources` do not.
    enum CodingKeys: CodingKey { case config, socket, adminSocket, workers, allowedUserIDs, limitOptions }

    mutating func validate() throws {
        var sources = SettingsSources(file: config ?? Environment.value(of: EnvironmentNames.file))
        if let socket { sources.flags.append((.socket, [socket])) }
        if let adminSocket { sources.flags.append((.adminSocket, [adminSocket])) }
        if let workers { sources.flags.append((.workers, [String(workers)])) }
        if !allowedUserIDs.isEmpty {
            sources.flags.append((.allowedUserIDs, allowedUserIDs.map { String($0) }))
        }
        sources.flags += limitOptions.given.map { ($0.setting, [$0.text]) }
        self.sources = sources
        do throws(CommandFailure) { read = .success(try sources.read()) } catch { read = .failure(error) }
        // Here and not in `run`, so that usage is shown with what is wrong with it.
        guard case .success(let answer)? = read else { return }
        if answer.problems.hasErrors, answer.problems.areOfFlags {
            let texts = answer.problems.sorted.map { $0.severity == .error ? "--\($0.text)" : "\($0)" }
            throw ValidationError(texts.joined(separator: "\n"))
        }
        if !answer.problems.hasErrors, answer.settings.socket.isEmpty {
            throw ValidationError(
                "a socket is needed: --socket, \(Setting.socket.variable), or 'socket' in a file"
            )
        }
    }

    func run() throws {
        let settings = try settings()
        var configuration = SidecarConfiguration()
        configuration.workers = settings.workers
        configuration.limits = settings.limits
        configuration.allowedUserIDs = settings.allowedUserIDs
        configuration.named = settings.named
        configuration.adminPath = Array(settings.adminSocket.utf8)
        let end: DaemonEnd
        do throws(DaemonError) {
            end = try Daemon.serve(path: Array(settings.socket.utf8), configuration) { [sources] in
                Self.groups(of: sources)
            }
        } catch {
            Log.write(.error, "cannot serve", ["socket": settings.socket, "error": error.detail])
            throw error.exitCode
        }
        switch end {
        case .drained: break
        // As a shell reports a process that a signal ended.
        case .killed(let signal): throw ExitCode(128 + signal)
        }
    }

    /// The groups that the sources say now; `nil`: something is wrong with them.
    private static func groups(of sources: SettingsSources) -> [String: NamedGroup]? {
        do throws(CommandFailure) {
            let (settings, problems) = try sources.read()
            for problem in problems.sorted where problem.severity == .error {
                Log.write(.error, "configuration", ["place": "\(problem.place)", "detail": problem.text])
            }
            return problems.hasErrors ? nil : settings.named.groups
        } catch {
            Log.write(.error, "configuration", ["detail": error.detail])
            return nil
        }
    }

    /// Ends the command when the sources say something wrong.
    private func settings() throws -> Settings {
        guard let read else { preconditionFailure("run before validate") }
        switch read {
        case .failure(let failure):
            File.standardError.write("outrigger: \(failure.detail)\n")
            throw failure.exitCode
        case .success(let (settings, problems)):
            if problems.hasErrors {
                problems.print()
                throw ExitStatus.configuration
            }
            for problem in problems.sorted {
                Log.write(.warning, "configuration", ["place": "\(problem.place)", "detail": problem.text])
            }
            return settings
        }
    }
}

extension DaemonError {
    fileprivate var detail: String {
        switch self {
        case .socketInUse: "another process serves this socket"
        case .notASocket: "something that is no socket is in its place"
        case .noPermission: "no permission"
        case .cannotCreateSocket(let error): "the socket cannot be made: \(error)"
        case .cannotAdminister(let error): "the socket of --admin-socket cannot be made: \(error)"
        case .system(let error): "the system refuses: \(error)"
        }
    }

    /// As sysexits.h has it.
    fileprivate var exitCode: ExitCode {
        switch self {
        case .socketInUse: ExitStatus.unavailable
        // EX_NOPERM.
        case .noPermission: ExitCode(77)
        case .notASocket, .cannotCreateSocket, .cannotAdminister: ExitStatus.cannotCreate
        case .system: ExitStatus.osError
        }
    }
}
