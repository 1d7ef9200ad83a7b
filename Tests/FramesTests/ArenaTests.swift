// ArenaTests.swift: the memory of a message is capped, aligned, and used again.
import Frames
import Model
import Testing

@Suite struct ArenaTests {
    /// Many fields of nothing: two bytes each on the wire, dozens in memory.
    static let dense = (0..<2000).reduce(into: RequestRow.base) { wire, _ in wire.bytes += [0x2a, 0x00] }
        .bytes

    @Test func `a message that takes more memory than allowed is a bad message`() {
        let error = failure { () throws(FrameError) in
            _ = try PlainRequest(payload: ArenaTests.dense, messageBytesMax: 65_536)
        }
        #expect(error == .badMessage("takes over 65536 bytes unpacked"))
        #expect(failure { () throws(FrameError) in _ = try PlainRequest(payload: ArenaTests.dense) } == nil)
    }

    @Test func `the cap of the test above is met from both sides`() {
        let payload = RoundTripTests.requests[2].frame(stream: 1, endsStream: false).payload
        for (cap, isRead) in [(1, false), (1101, true)] {
            let error = failure { () throws(FrameError) in
                _ = try PlainRequest(payload: payload, messageBytesMax: cap)
            }
            #expect((error == nil) == isRead)
        }
    }

    @Test func `a request that is read in place takes no more than its payload`() throws {
        let whole = RoundTripTests.requests[3]
        let payload = whole.frame(stream: 1, endsStream: false).payload
        #expect(try PlainRequest(payload: payload, messageBytesMax: 1) == whole)
    }

    @Test func `the block never grows past the cap`() {
        var decoder = MessageDecoder(messageBytesMax: 65_536)
        var request = Request()
        var block = ByteBuffer()
        let payload = ArenaTests.dense
        let error = failure { () throws(FrameError) in
            try decoder.request(payload.span, into: &request, block: &block)
        }
        #expect(error != nil)
        #expect(block.capacity <= 65_536 * 2)
    }

    @Test(arguments: 0...1100) func `under any cap an unpacked request is read whole or refused`(cap: Int) {
        // Not one that is read in place: its local address is left to protobuf-c.
        let whole = RoundTripTests.requests[2]
        let payload = whole.frame(stream: 1, endsStream: false).payload
        var request: PlainRequest?
        let error = failure { () throws(FrameError) in
            request = try PlainRequest(payload: payload, messageBytesMax: 1 + cap)
        }
        #expect(request == whole || error == .badMessage("takes over \(1 + cap) bytes unpacked"))
        #expect((request == nil) != (error == nil))
    }

    @Test func `a warm block keeps its memory and covers every slice`() throws {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var request = Request()
        var block = ByteBuffer()
        var capacity: Int?
        let expected = RoundTripTests.requests[1]
        let payload = expected.frame(stream: 1, endsStream: true).payload
        for _ in 0..<3 {
            try decoder.request(payload.span, into: &request, block: &block)
            #expect(PlainRequest(request, block.bytes) == expected)
            #expect(capacity == nil || capacity == block.capacity)
            capacity = block.capacity
            // What a holder appends behind the message must not move under it.
            block.append("held")
            #expect(PlainRequest(request, block.bytes) == expected)
        }
    }

    @Test func `a Unix path seen lately is not copied again`() throws {
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        func storage(_ path: String) throws -> Int {
            var request = Request()
            var block = ByteBuffer()
            let payload = Wire().text(1, "GET").message(6, Wire().text(4, path)).bytes
            try decoder.request(payload.span, into: &request, block: &block)
            guard case .unix(let bytes)? = request.endpoints.first else { return 0 }
            #expect(bytes == Array(path.utf8))
            // SAFETY: an address is compared, no memory is read.
            return unsafe bytes.withUnsafeBufferPointer { Int(bitPattern: $0.baseAddress) }
        }
        let first = try storage("/a")
        #expect(try storage("/a") == first)
        // 16 paths are kept; each later one takes the place of the oldest.
        for index in 0..<15 { _ = try storage("/\(index)") }
        #expect(try storage("/a") == first)
        for index in 15..<40 { _ = try storage("/\(index)") }
        let later = try storage("/39")
        #expect(try storage("/39") == later)
    }

    @Test func `an odd start of memory does not unalign a message`() throws {
        // A consumed prefix used to shift where the bytes begin; the arena begins anew.
        var decoder = MessageDecoder(messageBytesMax: 524_288)
        var request = Request()
        var block = ByteBuffer()
        for count in 1..<20 {
            block.append(Array(repeating: 1, count: 40).span)
            block.consume(count)
            let expected = RoundTripTests.requests[1]
            let payload = expected.frame(stream: 1, endsStream: true).payload
            try decoder.request(payload.span, into: &request, block: &block)
            #expect(PlainRequest(request, block.bytes) == expected)
        }
    }
}
