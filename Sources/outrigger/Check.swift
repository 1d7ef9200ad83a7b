// Check.swift: `outrigger check`: everything that is wrong with a configuration. Owns: its options, its last
// line.
// Source: issue "Configuration"; sysexits(3).
import ArgumentParser
import Configuration
import EventLoop

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file, and say all that is wrong with it.",
        discussion: """
            Says what 'outrigger serve --config FILE' would say here, with the same environment: each problem on a \
            line of standard error, as FILE:LINE:COLUMN: error: what. Warnings are about what can be served with but \
            is hardly meant, such as a certificate that is not there yet; --strict makes them errors. No value of a \
            setting is ever printed.

            Exit codes: 0 fine; 64 wrong usage; 66 the file cannot be read; 78 something is wrong.

            Examples:
              outrigger check /etc/outrigger/outrigger.yaml
              outrigger check --print-default > outrigger.yaml
            """
    )

    @Argument(help: ArgumentHelp("The file, YAML.", valueName: "file"))
    var file: String?

    @Flag(help: "Exit 78 on warnings too.")
    var strict = false

    @Flag(help: "Print a file with every setting, its default, unit and range, and check nothing.")
    var printDefault = false

    func validate() throws {
        if printDefault == (file != nil) { throw ValidationError("Name a file, or use --print-default.") }
    }

    func run() throws {
        try reporting { () throws(CommandFailure) in
            guard let file else {
                do throws(SocketError) {
                    try File.standardOutput.write(PrintedFile.text.utf8.span)
                } catch { throw CommandFailure(ExitStatus.ioError, "standard output: \(error)") }
                return .success
            }
            let (settings, problems) = try SettingsSources(file: file).read()
            problems.print()
            if problems.hasErrors || strict && !problems.isEmpty { return ExitStatus.configuration }
            let named = settings.named
            let counts = [
                "TLS profiles: \(named.tlsProfiles.count)", "routes: \(named.routes.count)",
                "groups: \(named.groups.count)", "credentials: \(named.credentials.count)",
            ].joined(separator: ", ")
            File.standardOutput.write("\(file): fine: \(counts)\n")
            return .success
        }
    }
}
