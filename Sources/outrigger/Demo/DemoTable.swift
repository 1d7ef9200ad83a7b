// DemoTable.swift: the demo's table. Owns: its columns and words.
import EventLoop
import Model
import OutriggerClient

/// One line: a kind and what came of it.
struct DemoLine {
    let kind: DemoKind
    var opened = 0
    var reused = 0
    var bytes = 0
    var outcomes: [Outcome] = []
    var medianNanoseconds: UInt64 = 0
    var failures: [String] = []

    init(_ kind: DemoKind, _ results: [DemoResult]) {
        self.kind = kind
        for (exchange, result) in zip(kind.exchanges, results) {
            opened += result.attempts.count { $0 == .connected }
            reused += result.isReused ? 1 : 0
            bytes += result.bytes + (exchange.outcome.isSuccess ? exchange.bodyBytes : 0)
            if !outcomes.contains(result.outcome) { outcomes.append(result.outcome) }
            if let failure = result.failure(exchange) {
                failures.append("\(exchange.method) \(exchange.target): \(failure)")
            }
        }
        let times = results.map(\.nanoseconds).sorted()
        medianNanoseconds = times.isEmpty ? 0 : times[times.count / 2]
    }
}

/// All lines together.
struct DemoSum {
    var exchanges = 0
    var kinds = 0
    var opened = 0
    var reused = 0
    var bytes = 0
    var failed = 0
    var nanoseconds: UInt64 = 0

    mutating func add(_ line: DemoLine) {
        exchanges += line.kind.exchanges.count
        kinds += 1
        opened += line.opened
        reused += line.reused
        bytes += line.bytes
        failed += line.failures.count
    }
}

/// Prints as the demo goes.
struct DemoTable {
    private let style = Style(.standardOutput)

    func begin(_ origin: borrowing DemoOrigin) {
        write(
            style.bold("Outrigger \(Outrigger.configuration.version)")
                + ": a proxy, a sidecar and an origin, all in this process."
        )
        write(
            style.dim(
                "origin at "
                    + [origin.endpoint, origin.otherEndpoint, origin.unixEndpoint].map(\.text)
                    .joined(separator: ", ")
            )
        )
        write("")
        let head = columns("KIND", "COUNT", "WHAT HAPPENS", "NEW/REUSED", "OUTCOME", "MEDIAN")
        write(style.bold("  " + head))
    }

    func print(_ line: DemoLine) {
        let mark = line.failures.isEmpty ? style.green("✓") : style.red("✗")
        let text = columns(
            line.kind.name,
            String(line.kind.exchanges.count),
            line.kind.story,
            "\(line.opened)/\(line.reused)",
            line.outcomes.map(\.word).joined(separator: ", "),
            Figures.duration(nanoseconds: line.medianNanoseconds)
        )
        write(mark + " " + text)
        for failure in line.failures.prefix(3) { write(style.red("    " + failure)) }
        if line.failures.count > 3 { write(style.red("    and \(line.failures.count - 3) more")) }
    }

    func end(_ sum: DemoSum) {
        let volume = Figures.fixed(Double(sum.bytes) / 1_000_000, 0)
        let time = Figures.duration(nanoseconds: sum.nanoseconds)
        write("")
        write(
            "\(sum.exchanges) exchanges of \(sum.kinds) kinds over \(sum.opened) connections, "
                + "\(sum.reused) of them on one that had served before;"
        )
        write("\(volume) MB of bodies, each byte compared, in \(time).")
        if sum.failed == 0 {
            write(
                style.green(
                    "Every stream ended exactly as it should: whole replies COMPLETE, all else by its reason."
                )
            )
        } else {
            write(style.red("\(sum.failed) did not end as they should."))
        }
        write("")
        write("Next:")
        suggest("fetch -v http://127.0.0.1:8080/", "one request, with all that happens to it")
        suggest("bench", "how fast it is here")
        suggest("serve --socket /tmp/outrigger.sock", "a sidecar for your proxy")
    }

    private func suggest(_ words: String, _ what: String) {
        write("  \(Outrigger.invocation) \(words.padded(34)) " + style.dim(what))
    }

    private func columns(
        _ kind: String,
        _ count: String,
        _ story: String,
        _ connections: String,
        _ outcome: String,
        _ median: String
    ) -> String {
        kind.padded(17) + count.leading(6) + "  " + story.padded(36) + connections.leading(10) + "  "
            + outcome.padded(16) + median.leading(9)
    }

    private func write(_ line: String) { File.standardOutput.write(line + "\n") }
}
