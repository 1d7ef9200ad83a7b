// Passages.swift: body bytes of a request on the shortest way: from the buffer that a session was read into to the
// upstream's socket, kept only as far as the socket does not take them.
// Owns: which bytes may go that way, and BODY frames that are passed on before they are whole.
// Source: DESIGN "Buffers and credit".
import Frames
import Model

/// Writes to an upstream's socket at once: first what waits (`output(of:)`), then body bytes; no order was given.
/// - Returns: bytes written of both; 0 when the socket blocks or failed: then `writeConnection` will find that out.
package typealias PassWrite = (ConnectionID, _ waiting: Span<UInt8>, _ body: Span<UInt8>) -> Int

/// A BODY frame whose first bytes have been passed on.
struct Passage {
    var stream: UInt32
    /// Data that has not come yet, bytes; never 0.
    var bytesLeft: Int
    var endsStream: Bool
}

extension WorkerEngine {
    /// Body bytes of a stream, in their order: to the socket where that is possible, else to the end of `upload`.
    mutating func passBody(_ slot: Int, _ data: Span<UInt8>, _ write: PassWrite) {
        streams[slot].uploadCredit -= data.count
        streams[slot].bodyReceived += UInt64(data.count)
        guard data.count >= passBytesMin, mayPass(slot, data.count),
            case .active(let connection) = streams[slot].phase
        else { return appendBody(slot, data) }
        let waiting = streams[slot].upload.count - streams[slot].uploadWritten
        let count = write(
            id(ofConnection: connection),
            streams.slots[slot].element.upload.bytes.extracting(droppingFirst: streams[slot].uploadWritten),
            data
        )
        if count > waiting { streams[slot].isReplayHeld = false }
        appendBody(slot, data.extracting(droppingFirst: max(0, count - waiting)))
        if count > 0 { noteWritten(min(count, waiting), connection, slot) }
    }

    /// Keeps bytes that leave with those behind them: each write costs more than such a copy. - Returns: their number.
    private mutating func keepBody(_ slot: Int, _ data: Span<UInt8>) -> Int {
        streams[slot].uploadCredit -= data.count
        streams[slot].bodyReceived += UInt64(data.count)
        appendBody(slot, data)
        return data.count
    }

    /// Lets the upload be written again. What was ordered meanwhile found nothing to write, and said nothing.
    private mutating func endWaiting(_ slot: Int) {
        guard streams[slot].awaitsRest else { return }
        streams[slot].awaitsRest = false
        if case .active(let connection) = streams[slot].phase { connections[connection].isWriting = false }
    }

    /// Whether bytes may leave that are not kept: nothing stands in front of them but what may be written too, and
    /// they would not be held for a repetition anyway.
    private func mayPass(_ slot: Int, _ count: Int) -> Bool {
        guard case .active(let connection) = streams[slot].phase, case .length = streams[slot].body else {
            return false
        }
        let total = streams[slot].upload.count + count
        return streams[slot].gate == .open && !isDropping(slot) && !connections[connection].awaitsProbe
            && (!streams[slot].isReplayHeld || total > limits.replayBytesMax)
    }

    /// Begins to pass on a BODY frame that is not whole yet, as far as it has come, when it is a large one of the
    /// usual shape and nothing is wrong with it. What is wrong with any other is said when it is whole.
    /// - Returns: whether all of `payload` was taken.
    mutating func beginPassage(
        _ header: FrameHeader,
        _ payload: Span<UInt8>,
        session: Int,
        _ write: PassWrite
    ) -> Bool {
        guard header.type == .body, sessions[session].state == .open,
            payload.count >= passBytesMin,
            let start = BodyPlace.start(in: payload, payloadBytes: header.payloadBytes),
            case .open(let slot) = sessions[session].ids.find(header.stream),
            !streams[slot].isProxyDone, case .length = streams[slot].body,
            bodyFault(slot, header.payloadBytes - start) == nil
        else { return false }
        sessions[session].passage = Passage(
            stream: header.stream,
            bytesLeft: header.payloadBytes - start,
            endsStream: header.endsStream
        )
        // A head that has not left waits for the frame: one write instead of two. Older parts of a body do not.
        let waiting = streams[slot].upload.count - streams[slot].uploadWritten
        streams[slot].awaitsRest = waiting <= streams[slot].headBytes
        _ = continuePassage(payload.extracting(droppingFirst: start), session: session, write)
        return true
    }

    /// More of the frame that is being passed on, from the front of `bytes`. - Returns: bytes used.
    mutating func continuePassage(_ bytes: Span<UInt8>, session: Int, _ write: PassWrite) -> Int {
        guard var passage = sessions[session].passage else { return 0 }
        let count = min(passage.bytesLeft, bytes.count)
        passage.bytesLeft -= count
        let isOver = passage.bytesLeft == 0
        sessions[session].passage = isOver ? nil : passage
        switch sessions[session].ids.find(passage.stream) {
        case .unknown:
            break
        case .ended:
            if isOver && passage.endsStream { sessions[session].ids.remove(passage.stream) }
        case .open(let slot):
            let data = bytes.extracting(first: count)
            if !isOver { return keepBody(slot, data) }
            endWaiting(slot)
            passBody(slot, data, write)
            if passage.endsStream { finishUpload(slot, trailers: []) }
            pushUpload(slot)
        }
        return count
    }
}
