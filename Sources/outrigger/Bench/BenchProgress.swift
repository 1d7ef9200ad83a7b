// BenchProgress.swift: the bar that a person watches while a run goes on. Owns: one line of standard error.
import EventLoop

/// A progress bar, on a terminal only.
struct BenchProgress {
    private let isShown: Bool
    private let plan: BenchPlan
    private var nextAt: Int64 = 0

    private static let width = 30
    private static let intervalNanoseconds: Int64 = 100_000_000

    init(_ plan: BenchPlan) {
        self.plan = plan
        isShown = File.standardError.isTerminal
    }

    /// Draws when it is time to.
    mutating func show(_ phase: BenchPhase, _ totals: borrowing BenchTotals, now: Int64, since start: Int64) {
        guard isShown, now >= nextAt else { return }
        nextAt = now + Self.intervalNanoseconds
        switch phase {
        case .warmup: draw(0, "warming up")
        case .measuring:
            let elapsed = Double(now - start)
            let share =
                plan.requests.map { Double(totals.ended) / Double($0) }
                ?? elapsed / Double(plan.durationNanoseconds)
            let rate = elapsed > 0 ? Double(totals.ended) / elapsed * 1_000_000_000 : 0
            draw(share, "\(Figures.grouped(UInt64(rate))) requests a second")
        case .draining: draw(1, "letting the rest end")
        }
    }

    private func draw(_ share: Double, _ words: String) {
        let filled = min(Self.width, Int(share * Double(Self.width)))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
        File.standardError.write(
            "\r\(bar) \(Figures.fixed(min(share, 1) * 100, 0).leading(3)) %  \(words)\u{1B}[K"
        )
    }

    /// Takes the bar away.
    func clear() { if isShown { File.standardError.write("\r\u{1B}[K") } }
}
