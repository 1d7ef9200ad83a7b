// Demo.swift: `outrigger demo`: an origin, a sidecar and a proxy in one process, and a table of what they
// did.
// Owns: the table. Source: DemoScript.
import ArgumentParser
import EventLoop
import Model
import OutriggerClient

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See what Outrigger does: a few hundred exchanges of all kinds, checked byte by byte.",
        discussion: """
            Starts a scripted HTTP/1.1 origin on loopback and a Unix socket, and a sidecar, both inside this \
            process; needs no network and leaves nothing behind. Takes a few seconds.

            Exit codes: 0 all was as expected; 1 something was not; 71 system error.

            Examples:
              \(Outrigger.invocation) demo
              NO_COLOR=1 \(Outrigger.invocation) demo | less
            """
    )

    func run() throws {
        try reporting { () throws(CommandFailure) in
            let isGood = try DemoOrigin.during { origin throws(CommandFailure) in try Self.run(origin) }
            return isGood ? .success : ExitStatus.failed
        }
    }

    private static func run(_ origin: borrowing DemoOrigin) throws(CommandFailure) -> Bool {
        let source = try SidecarSource(path: nil)
        defer { source.stop() }
        let table = DemoTable()
        table.begin(origin)
        var client = try DemoClient.start(try source.connect())
        let script = DemoScript(
            origin: origin.endpoint,
            other: origin.otherEndpoint,
            unix: origin.unixEndpoint,
            refused: origin.refusedEndpoint
        )
        let start = Clock.now
        var sum = DemoSum()
        for kind in script.kinds {
            let requests = origin.requests
            let results = try client.run(kind.exchanges, outstanding: kind.outstanding)
            var line = DemoLine(kind, results)
            if kind.name == "injection", origin.requests != requests {
                line.failures.append("the origin has seen \(origin.requests - requests) requests")
            }
            table.print(line)
            sum.add(line)
        }
        sum.nanoseconds = UInt64(Clock.now - start)
        table.end(sum)
        return sum.failed == 0
    }
}
