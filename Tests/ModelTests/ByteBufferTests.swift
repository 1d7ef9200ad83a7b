// ByteBufferTests.swift: a queue of bytes against an array that does the same.
import Model
import Testing

private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

private func array(_ span: Span<UInt8>) -> [UInt8] {
    var all: [UInt8] = []
    for index in span.indices { all.append(span[index]) }
    return all
}

@Suite struct ByteBufferTests {
    @Test(arguments: 0..<64) func `bytes come out as they went in`(seed: UInt64) {
        var random = Seeded(state: seed)
        var buffer = ByteBuffer()
        var model: [UInt8] = []
        for step in 0..<200 {
            let piece = (0..<Int.random(in: 0...50, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            switch Int.random(in: 0..<7, using: &random) {
            case 0, 1:
                buffer.append(piece.span)
                model += piece
            case 2:
                buffer.append(UInt8(step & 0xFF))
                model.append(UInt8(step & 0xFF))
            case 3:
                // Fewer than there is room for.
                buffer.append(upTo: piece.count + 3) { output in
                    for byte in piece { output.append(byte) }
                }
                model += piece
            case 4:
                let count = Int.random(in: 0...model.count, using: &random)
                buffer.consume(count)
                model.removeFirst(count)
            case 5:
                let count = Int.random(in: 0...min(model.count, 20), using: &random)
                buffer.removeLast(count)
                model.removeLast(count)
            default:
                buffer.append("text")
                model += "text".utf8
            }
            #expect(
                array(buffer.bytes) == model && buffer.count == model.count && buffer.isEmpty == model.isEmpty
            )
        }
    }

    @Test func `memory is kept when it runs empty and does not grow with what passes through`() {
        var buffer = ByteBuffer()
        #expect(buffer.capacity == 0)
        let piece = [UInt8](repeating: 7, count: 100)
        for _ in 0..<4 { buffer.append(piece.span) }
        let capacity = buffer.capacity
        for _ in 0..<10_000 {
            buffer.append(piece.span)
            buffer.consume(100)
        }
        #expect(buffer.capacity <= capacity * 4)
        buffer.consume(buffer.count)
        #expect(buffer.isEmpty && buffer.capacity >= capacity)
    }

    @Test func `memory is given back above a limit only`() {
        var buffer = ByteBuffer(capacity: 1000)
        buffer.append("abc")
        buffer.consume(1)
        buffer.removeAll(keepingAtMost: 100_000)
        #expect(buffer.isEmpty && buffer.capacity >= 1000)
        buffer.append("abc")
        buffer.removeAll(keepingAtMost: 10)
        #expect(buffer.isEmpty && buffer.capacity == 0)
        buffer.append("def")
        #expect(array(buffer.bytes) == Array("def".utf8))
    }

    @Test func `an append that fails keeps what it wrote before`() {
        struct Failure: Error {}
        var buffer = ByteBuffer()
        buffer.append("ab")
        #expect(throws: Failure.self) {
            try buffer.append(upTo: 4) { (output: inout OutputSpan<UInt8>) throws(Failure) in
                output.append(0x63)
                throw Failure()
            }
        }
        #expect(array(buffer.bytes) == Array("abc".utf8))
    }

    @Test func `consuming more than there is ends the process`() async {
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.append("abc")
            buffer.consume(1)
            buffer.consume(3)
        }
    }
}
