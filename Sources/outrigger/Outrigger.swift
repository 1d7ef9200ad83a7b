// Outrigger.swift: the command line's root.
import ArgumentParser

@main struct Outrigger: ParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [Serve.self])
}
