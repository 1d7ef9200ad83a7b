// Session.swift: what the engine holds of one proxy connection.
// Owns: its unfinished frame, its output, its stream ids. Never touches: what the streams do.
import Model

/// Where a session is in its life.
enum SessionState: Equatable {
    case awaitingHello
    case open
    /// GOAWAY with a reason was sent: nothing more is read; waits for the worker's `closed`.
    case closing
}

/// One session. Kept when its slot is released, so that the memory of its buffers serves the next.
struct Session: ~Copyable {
    var state = SessionState.awaitingHello
    /// When it has to have said HELLO.
    var helloUntil = Instant.never
    /// User of the proxy.
    var userID: UInt32 = 0
    /// Number of the proxy in the directory of pins; 0: it has not said HELLO.
    var owner = 0
    /// The beginning of a frame whose rest has not arrived. That of a REQUEST may have a secret in it.
    var inbound = ByteBuffer()
    /// The BODY frame that its next bytes belong to.
    var passage: Passage?
    var output = OutputQueue()
    /// PIN events that are not written whole yet, each with the end of its frame: see `OutputQueue.urgentEnd`.
    var pinEvents: [(event: PinEvent, end: UInt64)] = []
    var ids = StreamMap()
    /// Streams that are open, those that only wait for the proxy's END_STREAM not counted.
    var streamCount = 0
    /// Of those that have a turn: streams that await their replies.
    var awaited = 0
    /// Until when it is one that has many under way, wherever that is.
    var busyUntil = Instant.longAgo
    /// The share that was looked for last.
    var lastShare = 0
    /// Largest payload that the proxy accepts, bytes.
    var framePayloadBytesMax = 0
    /// Reply body bytes that each new stream may send.
    var initialCreditBytes = 0
    /// Whether `writeSession` was ordered and the output has not run empty since.
    var isWriting = false
    /// Whether so much output waits that its streams have stopped reading.
    var isCongested = false
    /// Streams whose upstream is not read for that reason, the one that waits longest first.
    var stalled = SlotList()

    mutating func reset() {
        state = .awaitingHello
        owner = 0
        inbound.removeAll(keepingAtMost: 0)
        passage = nil
        output.removeAll()
        pinEvents.removeAll()
        ids.removeAll()
        streamCount = 0
        awaited = 0
        busyUntil = .longAgo
        isWriting = false
        isCongested = false
    }
}
