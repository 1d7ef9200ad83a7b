// StreamTable.swift: the open streams of a session in a flat table; slots are used again, ids are not.
// Owns: ids and credit of both directions. Never touches: frames.
import Model

/// What a session knows about one open stream.
struct ClientStream {
    /// 0: the slot is free.
    var id: UInt32 = 0
    /// Body bytes that we may still send.
    var sendCredit = 0
    /// Whether our side of the stream is open.
    var isSending = false
    /// Whether bytes wait for credit: `writable` is due when it comes.
    var isStarved = false
    /// Whether the final reply or the 101 has come.
    var hasReply = false
    /// Whether its reply was 101: then BODY with END_STREAM ends the upstream's direction alone.
    var isTunnel = false
    /// Body bytes that the sidecar may still send.
    var receiveCredit = 0
    /// Body bytes taken and not yet given back as credit.
    var owedBytes = 0
    /// Body bytes that are still to come, where the reply's head said so.
    var replyBytesLeft = UInt64.max
    /// Next free slot, while this one is free.
    var nextFree = -1
}

/// Open streams by id. The low 16 bits of an id are its slot, the high ones count its uses from 1, so that a
/// late id is never taken for another stream's.
struct StreamTable {
    static let slotsMax = 1 << 16

    private var streams: [ClientStream] = []
    private var uses: [UInt16] = []
    private var firstFree = -1
    private(set) var count = 0

    /// Opens a stream with this much credit in each direction.
    /// - Returns: its id; `nil` when every slot is taken.
    mutating func open(sendCredit: Int, receiveCredit: Int, isSending: Bool) -> UInt32? {
        if firstFree < 0 {
            guard streams.count < Self.slotsMax else { return nil }
            streams.append(ClientStream())
            uses.append(0)
            firstFree = streams.count - 1
        }
        let slot = firstFree
        firstFree = streams[slot].nextFree
        uses[slot] = uses[slot] == .max ? 1 : uses[slot] + 1
        let id = UInt32(uses[slot]) << 16 | UInt32(slot)
        streams[slot] = ClientStream(
            id: id,
            sendCredit: sendCredit,
            isSending: isSending,
            receiveCredit: receiveCredit
        )
        count += 1
        return id
    }

    /// Slot of an open stream; `nil`: no such stream is open.
    @inline(__always)
    func slot(of id: UInt32) -> Int? {
        let slot = Int(id & 0xffff)
        return id != 0 && slot < streams.count && streams[slot].id == id ? slot : nil
    }

    /// The stream in a slot that `slot(of:)` gave.
    subscript(slot: Int) -> ClientStream {
        @inline(__always) get { streams[slot] }
        @inline(__always) _modify { yield &streams[slot] }
    }

    /// Frees a slot.
    mutating func close(_ slot: Int) {
        streams[slot].id = 0
        streams[slot].nextFree = firstFree
        firstFree = slot
        count -= 1
    }
}
