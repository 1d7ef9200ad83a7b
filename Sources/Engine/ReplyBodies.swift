// ReplyBodies.swift: bodies of replies on their way to the proxy, as fast as it takes them and no faster.
// Owns: credit, room in the session's output, which stream waits for either. Never touches: framing, the end (Replies.swift).
// Source: DESIGN "Back-pressure, end to end".
import Frames
import HTTP1
import Model

extension WorkerEngine {
    /// Room in front of BODY data inside a frame: tag and length.
    private static let bodyPrefixBytesMax = 6
    /// Least room worth a read in place.
    private static let inPlaceBytesMin = 4096

    /// Bytes of the body to come that need no decoding.
    func opaqueBytes(_ slot: Int) -> Int {
        Int(min(connections[slot].decoder.opaqueBytes, UInt64(Int32.max)))
    }

    /// How many of `count` body bytes the proxy can take now.
    func sendable(_ stream: Int, upTo count: Int) -> Int {
        if sessions[streams[stream].session].isCongested { return 0 }
        return Int(min(Int64(count), streams[stream].replyCredit))
    }

    mutating func sendBody(_ data: Span<UInt8>, _ stream: Int) {
        let session = streams[stream].session
        streams[stream].replyCredit -= Int64(data.count)
        streams[stream].replyBytes += UInt64(data.count)
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark, bodyBytes: data.count)
        encoder.body(
            data,
            stream: streams[stream].id,
            endsStream: false,
            payloadBytesMax: payloadBytesMax(stream),
            into: &sessions[session].output[lane]
        )
        streams[stream].outputMark = sessions[session].output.mark(lane)
        orderWrite(session: session)
    }

    /// Bytes that `receivedInPlace` would take now; 0: read into a buffer and call `received`.
    package func bytesInPlaceMax(_ connection: ConnectionID) -> Int {
        guard let slot = connections.find(connection.slot, connection.generation),
            case .busy(let stream) = connections[slot].state, connections[slot].inbound.isEmpty,
            !isDropping(stream), !isHeld(slot)
        else { return 0 }
        let payloadMax = sessions[streams[stream].session].framePayloadBytesMax - Self.bodyPrefixBytesMax
        let count = sendable(stream, upTo: min(payloadMax, opaqueBytes(slot)))
        return count < Self.inPlaceBytesMin ? 0 : count
    }

    /// Whether nothing can be taken now: then the connection is paused as if `pauseReading` had been ordered. Asking
    /// before a read keeps the bytes in the kernel.
    package mutating func holdsReading(_ connection: ConnectionID) -> Bool {
        guard let slot = connections.find(connection.slot, connection.generation),
            case .busy(let stream) = connections[slot].state, connections[slot].decoder.opaqueBytes > 0,
            sendable(stream, upTo: 1) == 0, !isDropping(stream)
        else { return false }
        connections[slot].isPaused = true
        connections[slot].mayHaveMore = true
        stall(stream)
        return true
    }

    /// Lets `read` put bytes of an upstream straight into the session's output, at most as many as
    /// `bytesInPlaceMax` has just said. What the upstream sent beyond them goes to `received` next.
    /// - Parameters:
    ///   - connection: where from.
    ///   - now: the time.
    ///   - read: puts the bytes; returns whether more may wait behind them.
    package mutating func receivedInPlace(
        from connection: ConnectionID,
        now: Instant,
        read: (inout OutputSpan<UInt8>) -> Bool
    ) {
        let room = bytesInPlaceMax(connection)
        guard room > 0, case .busy(let stream) = connections[Int(connection.slot)].state else { return }
        self.now = now
        let slot = Int(connection.slot)
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark, bodyBytes: room)
        var mayHaveMore = false
        let count = encoder.body(
            upTo: room,
            stream: streams[stream].id,
            into: &sessions[session].output[lane]
        ) { mayHaveMore = read(&$0) }
        connections[slot].mayHaveMore = mayHaveMore
        if count == 0 { return }
        streams[stream].outputMark = sessions[session].output.mark(lane)
        streams[stream].lastActivityAt = now
        streams[stream].replyCredit -= Int64(count)
        streams[stream].replyBytes += UInt64(count)
        connections[slot].decoder.consumedOpaque(count)
        orderWrite(session: session)
        if connections[slot].decoder.opaqueBytes == 0 { takeReply(Span(), connection: slot) }
        settle()
    }

    /// Stops reading until the proxy can take more.
    mutating func pause(_ slot: Int, _ stream: Int) {
        if connections[slot].isPaused { return }
        connections[slot].isPaused = true
        connections[slot].mayHaveMore = true
        stall(stream)
        effects.append(.pauseReading(id(ofConnection: slot)))
    }

    /// Goes on with a reply that waited for credit or for room.
    mutating func resume(_ stream: Int) {
        guard case .active(let slot) = streams[stream].phase, connections[slot].isPaused, !isHeld(slot)
        else { return }
        if sendable(stream, upTo: 1) == 0 {
            stall(stream)
            return
        }
        connections[slot].isPaused = false
        streams[stream].lastActivityAt = now
        armDeadline(stream)
        // Ordered first: what waits may complete the reply and send the connection back to the pool.
        effects.append(.resumeReading(id(ofConnection: slot)))
        decodeInbound(slot)
        guard connections.isTaken(slot), case .busy = connections[slot].state, !connections[slot].isPaused
        else { return }
        if connections[slot].hasEnded { endReply(slot) }
    }

    /// Lets every stream go on that waited for room in the session's output, in the order in which they began to wait.
    /// Those that find it full again line up behind the others.
    mutating func resumeStalled(ofSession session: Int) {
        var count = sessions[session].stalled.count
        while count > 0, let stream = sessions[session].stalled.first {
            count -= 1
            unstall(stream)
            resume(stream)
        }
    }

    private mutating func stall(_ stream: Int) {
        if streams[stream].isStalled || !sessions[streams[stream].session].isCongested { return }
        streams[stream].isStalled = true
        stalledLinks.append(stream, to: &sessions[streams[stream].session].stalled)
    }

    /// Takes the stream out of the line for room, if it is in it.
    mutating func unstall(_ stream: Int) {
        if !streams[stream].isStalled { return }
        streams[stream].isStalled = false
        stalledLinks.remove(stream, from: &sessions[streams[stream].session].stalled)
    }
}
