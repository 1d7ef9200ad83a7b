// OutputQueueTests.swift: the order of frames in a session's output.
// Source: DESIGN "Control frames overtake".
import Frames
import Model
import Testing

@testable import Engine

/// A queue, streams that append numbered frames, and a reader that takes what it likes.
private struct Traffic: ~Copyable {
    var queue = OutputQueue()
    var marks: [UInt64] = [0, 0, 0, 0]
    var counters: [UInt32] = [0, 0, 0, 0]
    var read: [UInt8] = []

    /// A frame of a stream with its number in front and `bytes` of filling.
    mutating func append(_ stream: Int, bytes: Int, isBody: Bool) {
        let lane = queue.lane(behind: marks[stream], bodyBytes: isBody ? bytes : 0)
        let length = 4 + bytes
        for shift in [24, 16, 8, 0] { queue[lane].append(UInt8(length >> shift & 255)) }
        for byte in [0, 0, 0, UInt8(stream), isBody ? 3 : 6, 0, 0, 0] { queue[lane].append(byte) }
        for shift in [24, 16, 8, 0] { queue[lane].append(UInt8(counters[stream] >> shift & 255)) }
        queue[lane].append(Array(repeating: UInt8(stream), count: bytes).span)
        counters[stream] += 1
        marks[stream] = queue.mark(lane)
    }

    mutating func write(_ bytesMax: Int) {
        let before = queue.count
        let first = array(queue.segment(0))
        let all = first + array(queue.segment(1)) + array(queue.segment(2))
        #expect(all.count == before)
        let count = min(bytesMax, all.count)
        read += all[..<count]
        queue.wrote(count)
        #expect(queue.count == before - count)
    }

    /// The frames read so far: stream and number.
    func frames() -> [(stream: Int, number: UInt32)] {
        var frames: [(stream: Int, number: UInt32)] = []
        var start = 0
        while start + 16 <= read.count {
            func number(_ at: Int) -> UInt32 { read[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
            let end = start + 12 + Int(number(start))
            guard end <= read.count else { break }
            let stream = Int(read[start + 7])
            let filling = [UInt8](repeating: UInt8(stream), count: end - start - 16)
            #expect(read[(start + 16)..<end].elementsEqual(filling))
            frames.append((stream, number(start + 12)))
            start = end
        }
        #expect(start == read.count)
        return frames
    }
}

struct OutputQueueTests {
    @Test(arguments: 0..<16)
    func `every frame comes out whole, once, and in the order of its stream`(seed: UInt64) {
        var random = Seeded(seed)
        var traffic = Traffic()
        for _ in 0..<120 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: traffic.write(Int.random(in: 0..<30_000, using: &random))
            case 1: traffic.append(Int.random(in: 0..<4, using: &random), bytes: 10, isBody: false)
            default:
                let bytes = Int.random(in: 1..<12_000, using: &random)
                traffic.append(Int.random(in: 0..<4, using: &random), bytes: bytes, isBody: true)
            }
        }
        traffic.write(.max)
        let isEmpty = traffic.queue.isEmpty
        #expect(isEmpty)
        let frames = traffic.frames()
        for stream in 0..<4 {
            let numbers = frames.filter { $0.stream == stream }.map(\.number)
            #expect(numbers == Array(0..<traffic.counters[stream]))
        }
    }

    @Test func `a control frame of another stream stands before bodies past 64 KiB`() {
        var traffic = Traffic()
        for _ in 0..<4 { traffic.append(1, bytes: 30_000, isBody: true) }
        traffic.append(2, bytes: 5, isBody: false)
        traffic.append(1, bytes: 5, isBody: false)
        traffic.write(.max)
        let order = traffic.frames().map { "\($0.stream).\($0.number)" }
        #expect(order == ["1.0", "1.1", "2.0", "1.2", "1.3", "1.4"])
    }

    @Test func `a frame that is begun is finished first`() {
        var traffic = Traffic()
        for _ in 0..<4 { traffic.append(1, bytes: 30_000, isBody: true) }
        traffic.write(2 * 30_016 + 1)
        traffic.append(2, bytes: 5, isBody: false)
        traffic.write(.max)
        let order = traffic.frames().map { "\($0.stream).\($0.number)" }
        #expect(order == ["1.0", "1.1", "1.2", "2.0", "1.3"])
    }
}
