// Arena.swift: the memory that protobuf-c unpacks one message into: a ByteBuffer that belongs to the caller.
// Owns: where allocations lie, and their cap. Never touches: what messages mean. Source: DESIGN "The
// protocol".
import COutriggerProto
import Model

/// A generated unpack function.
typealias Unpack<Message> = (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) ->
    UnsafeMutablePointer<Message>?

/// A bump allocator over memory of someone else. Each allocation is aligned to 16 bytes and has its size in
/// the 8 bytes before it: protobuf-c hands strings out as C strings, and only the size tells whether a NUL
/// hides in one.
@unsafe struct Arena {
    private static let alignment = 16
    private static let sizeBytes = 8

    /// The memory's first byte; slices count from here.
    let base: UnsafeMutableRawPointer
    private let end: UnsafeMutableRawPointer
    /// Where the next allocation goes; past `end` when there is no room.
    private var next: UnsafeMutableRawPointer
    /// Whether an allocation failed.
    private(set) var isFull = false

    init(_ memory: UnsafeMutableBufferPointer<UInt8>) {
        // SAFETY: addresses only; whoever calls keeps the memory alive and to itself while the arena is used.
        unsafe base = UnsafeMutableRawPointer(memory.baseAddress.unsafelyUnwrapped)
        unsafe end = base + memory.count
        unsafe next = (base + Arena.sizeBytes).alignedUp(toMultipleOf: Arena.alignment)
    }

    /// Bytes from `base` that may have been written.
    var used: Int {
        // SAFETY: both point into, or right behind, the same memory.
        unsafe min(next, end) - base
    }

    mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        // SAFETY: addresses only.
        guard size >= 0, unsafe size <= end - next else {
            unsafe isFull = true
            return nil
        }
        let allocation = unsafe next
        // SAFETY: `allocation - 8 ..< allocation + size` lies within the memory and belongs to no earlier
        // allocation.
        unsafe (allocation - Arena.sizeBytes).storeBytes(of: size, as: Int.self)
        unsafe next = (allocation + size + Arena.sizeBytes).alignedUp(toMultipleOf: Arena.alignment)
        return unsafe allocation
    }

    func contains(_ pointer: UnsafeRawPointer) -> Bool {
        // SAFETY: addresses only.
        unsafe pointer >= base && pointer < end
    }

    /// Runs a generated unpack function on this arena.
    /// - Returns: `nil` when `payload` is not that message, or when the arena is full.
    mutating func unpack<Message>(
        _ payload: Span<UInt8>,
        with unpack: Unpack<Message>
    ) -> UnsafeMutablePointer<Message>? {
        // SAFETY: protobuf-c calls `alloc` with the pointer to `self` only until `unpack` returns, and reads
        // `payload` no longer than that.
        unsafe withUnsafeMutablePointer(to: &self) { arena in
            var allocator = unsafe ProtobufCAllocator(
                alloc: { arena, size in
                    unsafe arena?.assumingMemoryBound(to: Arena.self).pointee.allocate(size)
                },
                free: { _, _ in },
                allocator_data: arena
            )
            return unsafe payload.withUnsafeBufferPointer { bytes in
                unsafe unpack(&allocator, bytes.count, bytes.baseAddress)
            }
        }
    }

    /// Size of an allocation of this arena.
    static func size(of allocation: UnsafeRawPointer) -> Int {
        // SAFETY: `allocate` put the size there.
        unsafe (allocation - sizeBytes).load(as: Int.self)
    }
}

/// A message that protobuf-c has unpacked, and the arena that it lies in.
@unsafe struct Unpacked<Message> {
    let message: UnsafePointer<Message>
    private let arena: Arena

    init(_ message: UnsafePointer<Message>, in arena: Arena) {
        // SAFETY: only kept; valid while the arena's memory is.
        unsafe self.message = message
        unsafe self.arena = arena
    }

    /// Where `bytes` stand in the arena.
    func slice(_ bytes: ProtobufCBinaryData) -> Slice {
        // SAFETY: protobuf-c points at an allocation of the arena, or nowhere when there are no bytes.
        guard let data = unsafe bytes.data, unsafe bytes.len > 0 else { return .empty }
        return unsafe Slice(start: UnsafeMutableRawPointer(data) - arena.base, count: bytes.len)
    }

    /// A copy of `bytes`.
    func array(_ bytes: ProtobufCBinaryData) -> [UInt8] {
        // SAFETY: as for `slice`.
        unsafe Array(UnsafeBufferPointer(start: bytes.data, count: bytes.len))
    }

    /// Where a string field stands in the arena; `what` names it in the error.
    func textSlice(_ string: UnsafePointer<CChar>?, _ what: StaticString) throws(FrameError) -> Slice {
        let count = try unsafe text(string, what).utf8.count
        // SAFETY: text that is not empty lies in the arena.
        guard count > 0, let string = unsafe string else { return .empty }
        return unsafe Slice(start: UnsafeRawPointer(string) - UnsafeRawPointer(arena.base), count: count)
    }

    /// A copy of a string field, which `what` names in the error.
    func text(_ string: UnsafePointer<CChar>?, _ what: StaticString) throws(FrameError) -> String {
        // SAFETY: protobuf-c points at an allocation of the arena that ends with the NUL it added, or, for
        // an absent field, at a constant of its own that lies elsewhere.
        guard let string = unsafe string, unsafe arena.contains(string) else { return "" }
        let bytes = unsafe UnsafeBufferPointer(start: string, count: Arena.size(of: string) - 1)
        guard unsafe !bytes.contains(0) else { throw .badMessage("\(what) has a NUL") }
        guard let text = unsafe String(validating: bytes, as: UTF8.self) else {
            throw .badMessage("\(what) is not UTF-8")
        }
        return text
    }
}

extension ByteBuffer {
    /// Memory tried first for a message; enough for nearly all, so that a buffer seldom grows more than once.
    private static let firstBytes = 1024
    private static let firstBytesPerPayloadByte = 4
    private static let growth = 4

    /// Replaces the bytes by protobuf-c's reading of `payload` and hands it to `read` for the time of the
    /// call. `messageBytesMax` is the memory that the message may take; what the buffer already holds is
    /// used first.
    mutating func unpack<Message, Result>(
        _ payload: Span<UInt8>,
        messageBytesMax: Int,
        with unpack: Unpack<Message>,
        read: (Unpacked<Message>) throws(FrameError) -> Result
    ) throws(FrameError) -> Result {
        let wanted = ByteBuffer.firstBytes + payload.count * ByteBuffer.firstBytesPerPayloadByte
        var capacity = min(max(self.capacity, wanted), messageBytesMax)
        while true {
            removeAll()
            var result: Result?
            try append(upTo: capacity) { (output) throws(FrameError) in
                // SAFETY: arena and message are used within this call only. What protobuf-c allocated is
                // written, the few bytes between allocations are nobody's and hold what the buffer held
                // before.
                try unsafe output.withUnsafeMutableBufferPointer { (memory, count) throws(FrameError) in
                    var arena = unsafe Arena(UnsafeMutableBufferPointer(rebasing: memory[count...]))
                    let message = unsafe arena.unpack(payload, with: unpack)
                    // Also what is of no use has to be known of, to be wiped.
                    unsafe count += arena.used
                    if let message = unsafe message {
                        result = try unsafe read(Unpacked(message, in: arena))
                    } else if unsafe !arena.isFull {
                        throw .badMessage("not valid protobuf for its type")
                    }
                }
            }
            if let result { return result }
            guard capacity < messageBytesMax else {
                throw .badMessage("takes over \(messageBytesMax) bytes unpacked")
            }
            capacity = min(capacity * ByteBuffer.growth, messageBytesMax)
        }
    }
}
