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
              \(invocation) demo     (exchanges of many kinds, in seconds)
              \(invocation) fetch -v http://example.org/ --address 192.0.2.1:80
              \(invocation) serve --socket /run/outrigger.sock
            """,
        version: Product.version,
        subcommands: [Serve.self, Check.self, Show.self, Fetch.self, Demo.self, Bench.self, Simulate.self]
    )
}

extension Outrigger {
    /// How this program was called, so that what we suggest can be typed as it stands.
    static let invocation: String = {
        let name = CommandLine.arguments.first ?? "outrigger"
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "/._-+".utf8.contains(byte)
            }
        }
        return isPlain ? name : "'" + name.replacing("'", with: "'\\''") + "'"
    }()
}

extension ParsableCommand {
    /// Runs the body of a command; says on stderr why it failed, if it did, and ends with that exit code.
    /// With `isSilent` it says so only when the command line is to blame.
    func reporting(isSilent: Bool = false, _ body: () throws(CommandFailure) -> ExitCode) throws {
        Signals.ignoreBrokenPipe()
        let exitCode: ExitCode
        do throws(CommandFailure) { exitCode = try body() } catch {
            exitCode = error.exitCode
            if !isSilent || exitCode == ExitStatus.usage {
                File.standardError.write("outrigger: \(error.detail)\n")
            }
        }
        if exitCode != .success { throw exitCode }
    }
}
