// RetryBudgetTests.swift: how many retries there may be at the same time.
import Balancing
import Model
import Testing

struct RetryBudgetTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    private func budget(percent: Int, min: Int) -> RetryBudget {
        var settings = RetrySettings()
        settings.percent = percent
        settings.concurrencyMin = min
        return RetryBudget(settings, now: start)
    }

    private func taken(_ budget: inout RetryBudget, _ now: Instant) -> Int {
        var count = 0
        while budget.takeRetry(now: now), count < 10_000 { count += 1 }
        return count
    }

    @Test(arguments: [
        (20, 0, 0, 0), (20, 3, 0, 3), (20, 3, 15, 3), (20, 3, 20, 4), (20, 0, 4, 0), (20, 0, 5, 1),
        (100, 0, 7, 7),
        (0, 0, 100, 0), (0, 2, 100, 2), (20, 10, 1000, 200),
    ])
    func `retries are a share of active requests, or the least number`(
        _ percent: Int,
        _ min: Int,
        _ active: Int,
        _ expected: Int
    ) {
        var budget = budget(percent: percent, min: min)
        for _ in 0..<active { budget.requestBegan() }
        #expect(taken(&budget, start) == expected)
    }

    @Test func `a retry that ended counts for a second more, and so does a request`() {
        var budget = budget(percent: 50, min: 0)
        for _ in 0..<10 { budget.requestBegan() }
        #expect(taken(&budget, start) == 5)
        for _ in 0..<5 { budget.retryEnded(now: start) }
        #expect(taken(&budget, start.adding(milliseconds: 874)) == 0)
        #expect(taken(&budget, start.adding(milliseconds: 1000)) == 5)
        for _ in 0..<5 { budget.retryEnded(now: start.adding(milliseconds: 1000)) }
        for _ in 0..<10 { budget.requestEnded(now: start.adding(milliseconds: 1000)) }
        #expect(taken(&budget, start.adding(milliseconds: 1874)) == 0)
        for _ in 0..<4 { budget.requestBegan() }
        #expect(taken(&budget, start.adding(milliseconds: 9000)) == 2)
    }

    @Test func `however fast attempts fail, in an hour retries stay within the share`() {
        var budget = budget(percent: 20, min: 3)
        var retries = 0
        // 100 requests a second, each of which fails at once and is tried as often as may be.
        for tick in 0..<360_000 {
            let now = start.adding(milliseconds: tick * 10)
            budget.requestBegan()
            for _ in 0..<2 where budget.takeRetry(now: now) {
                retries += 1
                budget.retryEnded(now: now)
            }
            budget.requestEnded(now: now)
        }
        #expect(17...21 ~= retries * 100 / 360_000, "\(retries)")
    }
}
