// InstantTests.swift: points in time, and places in a block of bytes.
import Model
import Testing

@Suite struct InstantTests {
    @Test func `milliseconds are added`() {
        #expect(Instant(nanoseconds: 5).adding(milliseconds: 3) == Instant(nanoseconds: 3_000_005))
        #expect(Instant(nanoseconds: 5_000_000).adding(milliseconds: -3) == Instant(nanoseconds: 2_000_000))
    }

    static let tooFar = [(Int64.max, 1), (Int64.max - 999_999, 1), (0, Int.max), (0, 9_223_372_036_855)]

    @Test(arguments: tooFar) func `what does not fit is never`(_ start: Int64, _ milliseconds: Int) {
        #expect(Instant(nanoseconds: start).adding(milliseconds: milliseconds) == .never)
    }

    @Test func `never is later than all`() {
        #expect(Instant(nanoseconds: .max - 1) < .never && Instant(nanoseconds: -1) < Instant(nanoseconds: 0))
        #expect(Instant.never.adding(milliseconds: 0) == .never)
    }

    @Test func `a distance is whole microseconds and never negative`() {
        let start = Instant(nanoseconds: 1000)
        #expect(Instant(nanoseconds: 4999).microseconds(since: start) == 3)
        #expect(start.microseconds(since: start) == 0)
        #expect(start.microseconds(since: Instant(nanoseconds: 4999)) == 0)
        #expect(Instant.never.microseconds(since: Instant(nanoseconds: .min)) == UInt64.max / 1000)
    }
}

@Suite struct SliceTests {
    @Test func `a slice names bytes of its block`() {
        let block: [UInt8] = [1, 2, 3, 4]
        let slice = Slice(start: 1, count: 2)
        let part = block.span.extracting(slice)
        #expect(part.count == 2 && part[0] == 2 && part[1] == 3)
        #expect(Slice.empty.isEmpty && !slice.isEmpty)
        let end = block.span.extracting(Slice(start: 4, count: 0))
        #expect(end.count == 0)
    }

    @Test func `a slice past its block ends the process`() async {
        await #expect(processExitsWith: .failure) {
            let block: [UInt8] = [1, 2, 3, 4]
            _ = block.span.extracting(Slice(start: 3, count: 2)).count
        }
    }
}
