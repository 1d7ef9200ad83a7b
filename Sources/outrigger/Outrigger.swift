// Outrigger.swift: the root command. Owns: the list of subcommands, one file each.
import ArgumentParser
import EventLoop
import Model

@main struct Outrigger: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outrigger",
        abstract: "The server side of a caching proxy, as a sidecar.",
        discussion: """
            A proxy decides what to fetch and from which address; Outrigger decides over which connection, \
            and moves the bytes. It listens on a Unix socket for its proxy.

            Begin with:
              outrigger demo                                   all it does, in seconds
              outrigger fetch -v http://example.org/ --address 192.0.2.1:80
              outrigger serve --socket /run/outrigger.sock
            """,
        version: Product.version,
        subcommands: [Serve.self, Fetch.self, Demo.self, Bench.self, Simulate.self]
    )
}

extension ParsableCommand {
    /// Runs the body of a command; says on stderr why it failed, if it did, and ends with that exit code.
    func reporting(_ body: () throws(CommandFailure) -> ExitCode) throws {
        Signals.ignoreBrokenPipe()
        let exitCode: ExitCode
        do throws(CommandFailure) { exitCode = try body() } catch {
            File.standardError.write("outrigger: \(error.detail)\n")
            exitCode = error.exitCode
        }
        if exitCode != .success { throw exitCode }
    }
}
