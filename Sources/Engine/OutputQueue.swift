// OutputQueue.swift: frames waiting for one session. Control frames overtake bodies, never inside a frame.
// Owns: the order of frames. Never touches: sockets. Source: DESIGN "Control frames overtake body frames".
import Frames
import Model

/// Two queues: `urgent` is written first; `bulk` takes bodies once `urgent` holds enough of them. The frames of one
/// stream keep their order: while bytes of a stream wait in `bulk`, its later frames go there too.
struct OutputQueue: ~Copyable {
    private var urgent = ByteBuffer()
    private var bulk = ByteBuffer()
    /// Bytes of `bulk` ever written.
    private var bulkWritten: UInt64 = 0
    /// Bytes at the front of `bulk` that finish a frame whose beginning is written.
    private var bulkPartial = 0

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

    var count: Int { urgent.count &+ bulk.count }
    var isEmpty: Bool { urgent.isEmpty && bulk.isEmpty }

    /// In the order to be written: the rest of a begun frame, the urgent ones, the others.
    @_lifetime(borrow self)
    func segment(_ index: Int) -> Span<UInt8> {
        switch index {
        case 0: bulk.bytes.extracting(first: bulkPartial)
        case 1: urgent.bytes
        default: bulk.bytes.extracting(droppingFirst: bulkPartial)
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

    /// `count` bytes of the segments are written, in their order.
    mutating func wrote(_ count: Int) {
        let finishing = min(count, bulkPartial)
        bulkPartial &-= finishing
        consumeBulk(finishing)
        let first = min(count &- finishing, urgent.count)
        urgent.consume(first)
        wroteWhole(count &- finishing &- first)
        if isEmpty {
            urgent.removeAll(keepingAtMost: Self.capacityKeptBytesMax)
            bulk.removeAll(keepingAtMost: Self.capacityKeptBytesMax)
        }
    }

    /// Forgets everything.
    mutating func removeAll() {
        urgent.removeAll(keepingAtMost: 0)
        bulk.removeAll(keepingAtMost: 0)
        bulkWritten = 0
        bulkPartial = 0
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

    /// Header and payload of the frame that begins at `offset` of `bulk`; its length stands first, big-endian.
    private func frameBytes(at offset: Int) -> Int {
        var length = 0
        for index in offset..<offset &+ 4 { length = length &<< 8 | Int(bulk.bytes[index]) }
        return FrameHeader.byteCount &+ length
    }
}
