// Simulate.swift: `outrigger simulate`: runs seeded worlds against the real engine and explains the one
// that fails. Owns: progress, the trace of a failure, the exit code. Never touches: what a world does.
import ArgumentParser
import EventLoop
import Glibc
import Model
import Simulation

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run simulated worlds: network, clock, proxies, upstreams and faults made from a seed.",
        discussion: """
            Every world drives the real engine in one thread; checkers hold its rules. The same seed gives the \
            same run, so that a failure can be replayed. Exit code 1: a rule was broken.
            """
    )

    @Option(help: ArgumentHelp("Seeds to run, both ends included.", valueName: "A..B"))
    var seeds: SeedRange = SeedRange(first: 0, last: 499)

    @Flag(help: "Print every event as it happens; with one seed this shows the way to a crash.")
    var verbose = false

    @Option(
        help: ArgumentHelp(
            "Break one rule on purpose, to see that its checker notices. An unknown name lists all.",
            valueName: "name"
        )
    )
    var sabotage: String?

    @Option(help: ArgumentHelp("Events to print of a world that fails.", valueName: "n"))
    var traceLines = 200

    @Flag(help: "Go on after a failure and name every seed that fails.")
    var keepGoing = false

    func validate() throws {
        if let sabotage, Sabotage(rawValue: sabotage) == nil {
            let names = Sabotage.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("unknown sabotage '\(sabotage)'; one of \(names)")
        }
    }

    func run() throws {
        let broken = sabotage.flatMap { Sabotage(rawValue: $0) }
        var sum = Sum()
        let progress = Progress(seeds)
        for seed in seeds.first...seeds.last {
            progress.show(sum, next: seed)
            if verbose { Self.say("seed \(seed)") }
            let verdict = SimWorld(seed: seed, sabotage: broken, follow: verbose ? { Self.say($0) } : nil)
                .run()
            sum.add(verdict)
            if !verdict.violations.isEmpty {
                sum.failures += 1
                guard keepGoing else {
                    progress.clear()
                    explain(seed, broken, verdict)
                    throw ExitCode(1)
                }
                progress.clear()
                Self.say("seed \(seed): \(verdict.violations[0]), \(verdict.violations.count) in all")
            }
        }
        progress.clear()
        print("\(sum.failures) worlds in which a rule was broken\n\(sum.table)")
        if sum.failures > 0 { throw ExitCode(1) }
    }

    /// Written out at once: a trap in the engine ends the process, and the last line has to be there.
    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    private func explain(_ seed: UInt64, _ broken: Sabotage?, _ verdict: Verdict) {
        let replay = SimWorld(seed: seed, sabotage: broken, traceLinesMax: traceLines).run()
        print("seed \(seed): the last events before the end")
        for line in replay.trace.suffix(traceLines) { print("  \(line)") }
        print("\nseed \(seed): \(verdict.violations.count) violations")
        for violation in verdict.violations { print("  \(violation)") }
        if replay.digest != verdict.digest { print("  the replay differs: the run is not deterministic") }
        print("\nreplay: outrigger simulate --seeds \(seed)..\(seed) --verbose")
    }
}

/// How far a run is, on standard error. After a trap in the engine its last line tells which seeds it was among.
private struct Progress {
    private let seeds: SeedRange
    private let isTerminal = File.standardError.isTerminal

    init(_ seeds: SeedRange) { self.seeds = seeds }

    /// From one word to the next. A terminal has them all in one line.
    private var step: UInt64 { isTerminal ? 10 : 100 }

    func show(_ sum: Sum, next: UInt64) {
        if (next - seeds.first) % step != 0 { return }
        let last = min(seeds.last, next + step - 1)
        let words = "seeds \(next)..\(last) of \(seeds.last), \(sum.requests) requests so far"
        File.standardError.write(isTerminal ? "\r\(words)\u{1B}[K" : "\(words)\n")
    }

    /// Takes the line away.
    func clear() { if isTerminal { File.standardError.write("\r\u{1B}[K") } }
}

/// Seeds from the first to the last.
struct SeedRange: ExpressibleByArgument {
    var first: UInt64
    var last: UInt64

    init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }

    /// "A..B", or one number.
    init?(argument: String) {
        let ends = argument.split(separator: ".", omittingEmptySubsequences: true).map { UInt64($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last
        else {
            return nil
        }
        self.init(first: first, last: last)
    }

    var defaultValueDescription: String { "\(first)..\(last)" }
}

/// What all the worlds did.
private struct Sum {
    var worlds = 0
    var failures = 0
    var requests = 0
    var steps = 0
    var replyBytes = 0
    var connections = 0
    var reuses = 0
    var retries = 0
    var pins = PinTally()
    var groups = GroupTally()
    var outcomes = [Int](repeating: 0, count: Outcome.allCases.count + 1)

    mutating func add(_ verdict: Verdict) {
        worlds += 1
        requests += verdict.requests
        steps += verdict.steps
        replyBytes += verdict.replyBytes
        connections += verdict.connections
        reuses += verdict.reuses
        retries += verdict.retries
        pins.add(verdict.pins)
        groups.add(verdict.groups)
        for index in outcomes.indices { outcomes[index] += verdict.outcomes[index] }
    }

    var table: String {
        var lines = ["requests \(requests), connections \(connections), reuses \(reuses), retries \(retries)"]
        lines.append("events \(steps), reply body bytes \(replyBytes)")
        lines.append(
            "pins: made \(pins.made), lost \(pins.lost), expired \(pins.expired), unpinned \(pins.unpinned), "
                + "orphaned \(pins.orphaned), moved \(pins.moved), gone \(pins.gone); "
                + "idle moved \(pins.idleMoved)"
        )
        lines.append(
            "groups: requests \(groups.requests), attempts \(groups.attempts), retries \(groups.retries), "
                + "ejections \(groups.ejections), downs \(groups.downs), back-offs \(groups.backOffs), "
                + "checks \(groups.checks), in panic \(groups.panics), to backups \(groups.backups); "
                + "judged: recoveries \(groups.recoveries), slow starts \(groups.windows), "
                + "choices \(groups.choices)"
        )
        for outcome in Outcome.allCases where outcomes[outcome.rawValue] > 0 {
            lines.append("  \(outcome): \(outcomes[outcome.rawValue])")
        }
        lines.append("  session left first: \(outcomes[0])")
        return lines.joined(separator: "\n")
    }
}
