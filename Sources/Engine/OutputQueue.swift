// OutputQueue.swift: frames waiting for one session. Control frames overtake bodies, never inside a frame.
// Owns: the order of frames, those included whose data waits in a pipe. Never touches: sockets. Source: DESIGN "Control frames overtake body frames".
import Frames
import Model

/// A BODY frame whose header is in `bulk` and whose data is in a pipe.
private struct PipedFrame {
    /// Where its header begins and ends, counted as `bulkWritten` is.
    var headerStart: UInt64
    var headerEnd: UInt64
    /// As the worker numbers them.
    var pipe: Int
    /// Data that is not written yet, bytes.
    var bytes: Int
}

/// Two queues: `urgent` is written first; `bulk` takes bodies once `urgent` holds enough of them. The frames of one
/// stream keep their order: while bytes of a stream wait in `bulk`, its later frames go there too.
struct OutputQueue: ~Copyable {
    private var urgent = ByteBuffer()
    private var bulk = ByteBuffer()
    /// Bytes of `urgent` ever written.
    private(set) var urgentWritten: UInt64 = 0
    /// Bytes of `bulk` ever written.
    private var bulkWritten: UInt64 = 0
    /// Bytes at the front of `bulk` that finish a frame whose beginning is written.
    private var bulkPartial = 0
    /// In their order. Data comes right behind its header, and before anything else.
    private var piped: [PipedFrame] = []
    private var pipedBytes = 0

    /// Body bytes that may stand in front of a control frame.
    private static let urgentBytesMax = 65_536
    /// Memory kept when a queue runs empty, bytes: more than one has as a rule when its session is paused for its output.
    /// With half of it 64 KiB replies cost a tenth more: what is given back is asked for again at once.
    private static let capacityKeptBytesMax = 2 << 20

    /// One of the two queues.
    enum Lane {
        case urgent
        case bulk
    }

    /// Where the last urgent frame ends, counted as `urgentWritten` is.
    var urgentEnd: UInt64 { urgentWritten &+ UInt64(urgent.count) }

    var count: Int { urgent.count &+ bulk.count &+ pipedBytes }
    var isEmpty: Bool { urgent.isEmpty && bulk.isEmpty && pipedBytes == 0 }

    /// The pipe whose bytes have to be written before the segments, and how many of them.
    var due: (pipe: Int, bytes: Int)? {
        guard pipedBytes > 0, piped[0].headerEnd == bulkWritten else { return nil }
        return (piped[0].pipe, piped[0].bytes)
    }

    /// In the order to be written: the rest of a begun frame, the urgent ones, the others; up to the first data that has
    /// to come out of a pipe.
    @_lifetime(borrow self)
    func segment(_ index: Int) -> Span<UInt8> {
        if pipedBytes > 0 {
            let end = Int(piped[0].headerEnd &- bulkWritten)
            // Nothing may come between a header and its data.
            let endsInPartial = end <= bulkPartial
            switch index {
            case 0: return bulk.bytes.extracting(first: min(bulkPartial, end))
            case 1: return endsInPartial ? Span() : urgent.bytes
            default: return endsInPartial ? Span() : bulk.bytes.extracting(bulkPartial..<end)
            }
        }
        switch index {
        case 0: return bulk.bytes.extracting(first: bulkPartial)
        case 1: return urgent.bytes
        default: return bulk.bytes.extracting(droppingFirst: bulkPartial)
        }
    }

    /// The queue for the next frame of a stream.
    /// - Parameters:
    ///   - mark: what `mark` said behind the stream's last frame; 0 before the first, and for the session's own.
    ///   - bodyBytes: data in the frame; 0 for a control frame.
    /// - Returns: where the frame has to go, so that it comes behind the stream's last.
    func lane(behind mark: UInt64, bodyBytes: Int = 0) -> Lane {
        mark > bulkWritten || (bodyBytes > 0 && urgent.count &+ bodyBytes > Self.urgentBytesMax)
            ? .bulk : .urgent
    }

    /// The queue itself, to append whole frames to.
    subscript(_ lane: Lane) -> ByteBuffer {
        _read {
            switch lane {
            case .urgent: yield urgent
            case .bulk: yield bulk
            }
        }
        _modify {
            switch lane {
            case .urgent: yield &urgent
            case .bulk: yield &bulk
            }
        }
    }

    /// Where a frame ends that was just appended.
    func mark(_ lane: Lane) -> UInt64 {
        switch lane {
        case .urgent: 0
        case .bulk: bulkWritten &+ UInt64(bulk.count)
        }
    }

    /// Appends a frame to the bodies whose data is in a pipe.
    /// - Parameters:
    ///   - bytes: of it, at least 1. What a pipe holds is named in the order in which it was put there.
    ///   - pipe: which.
    ///   - header: appends what stands before the data.
    mutating func append(_ bytes: Int, of pipe: Int, behind header: (inout ByteBuffer) -> Void) {
        let start = bulkWritten &+ UInt64(bulk.count)
        header(&bulk)
        let end = bulkWritten &+ UInt64(bulk.count)
        piped.append(PipedFrame(headerStart: start, headerEnd: end, pipe: pipe, bytes: bytes))
        pipedBytes &+= bytes
    }

    /// `count` bytes of the pipe that is due are written.
    mutating func wroteDue(_ count: Int) {
        precondition(count <= piped[0].bytes, "more than the frame has")
        pipedBytes &-= count
        piped[0].bytes &-= count
        if piped[0].bytes == 0 { piped.removeFirst() }
        trim()
    }

    /// `count` bytes of the segments are written, in their order.
    mutating func wrote(_ count: Int) {
        let finishing = min(count, bulkPartial)
        bulkPartial &-= finishing
        consumeBulk(finishing)
        let first = min(count &- finishing, urgent.count)
        urgent.consume(first)
        urgentWritten &+= UInt64(first)
        wroteWhole(count &- finishing &- first)
        trim()
    }

    private mutating func trim() {
        if isEmpty {
            urgent.removeAll(keepingAtMost: Self.capacityKeptBytesMax)
            bulk.removeAll(keepingAtMost: Self.capacityKeptBytesMax)
        }
    }

    /// Forgets everything.
    mutating func removeAll() {
        urgent.removeAll(keepingAtMost: 0)
        bulk.removeAll(keepingAtMost: 0)
        urgentWritten = 0
        bulkWritten = 0
        bulkPartial = 0
        piped.removeAll(keepingCapacity: true)
        pipedBytes = 0
    }

    /// Finds the frame that the last of `count` bytes lies in.
    private mutating func wroteWhole(_ count: Int) {
        if count == 0 { return }
        var end = 0
        while end < count {
            end &+= frameBytes(at: end)
        }
        bulkPartial = end &- count
        consumeBulk(count)
    }

    private mutating func consumeBulk(_ count: Int) {
        bulk.consume(count)
        bulkWritten &+= UInt64(count)
    }

    /// Bytes in `bulk` of the frame that begins at `offset` of it: header and payload, or what stands before the data in
    /// a pipe. Its length stands first, big-endian.
    private func frameBytes(at offset: Int) -> Int {
        if pipedBytes > 0, piped[0].headerStart == bulkWritten &+ UInt64(offset) {
            return Int(piped[0].headerEnd &- piped[0].headerStart)
        }
        var length = 0
        for index in offset..<offset &+ 4 { length = length &<< 8 | Int(bulk.bytes[index]) }
        return FrameHeader.byteCount &+ length
    }
}
