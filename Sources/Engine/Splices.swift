// Splices.swift: large replies that go from socket to socket through a pipe of the worker's, and are never looked at.
// Owns: which may, and the frames around their bytes. Source: DESIGN "Modules", on large bodies; splice(2).
import Frames
import Model

extension WorkerEngine {
    /// Fewer bytes are not worth three system calls.
    private static let pipedBytesMin = 32_768

    /// Body bytes that may be put into a pipe now instead of being read; 0: read them. A reply's last byte is always read:
    /// what comes with it tells whether anything follows.
    package func bytesThroughPipeMax(_ connection: ConnectionID) -> Int {
        guard let slot = connections.find(connection.slot, connection.generation),
            case .busy(let stream) = connections[slot].state
        else { return 0 }
        let remaining = connections[slot].decoder.opaqueBytes
        guard remaining > 1, remaining >= UInt64(limits.spliceBytesMin), connections[slot].isClear,
            connections[slot].inbound.isEmpty, !streams[stream].isTunnel, !isDropping(stream),
            !isHeld(slot)
        else { return 0 }
        // No more above the mark at which the session's streams pause than a read in place can bring.
        let session = streams[stream].session
        let room = limits.sessionOutputPauseBytes - sessions[session].output.count + payloadBytesMax(stream)
        let count = sendable(stream, upTo: Int(min(remaining - 1, UInt64(max(0, room)))))
        return count < min(Self.pipedBytesMin, limits.spliceBytesMin) ? 0 : count
    }

    /// Bytes of an upstream's went into a pipe, which had none before and is this session's until all are written: as
    /// many as `bytesThroughPipeMax` has just said at most, and 1 at least.
    /// - Parameters:
    ///   - count: bytes.
    ///   - pipe: which, as the worker numbers them.
    ///   - connection: where from.
    ///   - now: the time.
    /// - Returns: whose the pipe is.
    package mutating func piped(
        _ count: Int,
        into pipe: Int,
        from connection: ConnectionID,
        now: Instant
    ) -> SessionID {
        precondition(count > 0 && count <= bytesThroughPipeMax(connection), "bytes that were not asked for")
        self.now = now
        let slot = Int(connection.slot)
        guard case .busy(let stream) = connections[slot].state else {
            preconditionFailure("a pipe in \(connections[slot].state)")
        }
        let session = streams[stream].session
        let pieceMax = BodyPlace.dataBytesMax(payloadBytesMax: payloadBytesMax(stream))
        let id = streams[stream].id
        var rest = count
        while rest > 0 {
            let piece = min(rest, pieceMax)
            sessions[session].output.append(piece, of: pipe) {
                encoder.bodyFront(piece, stream: id, into: &$0)
            }
            rest -= piece
        }
        streams[stream].outputMark = sessions[session].output.mark(.bulk)
        streams[stream].lastActivityAt = now
        streams[stream].replyCredit -= Int64(count)
        streams[stream].replyBytes += UInt64(count)
        connections[slot].decoder.consumedOpaque(count)
        connections[slot].mayHaveMore = true
        orderWrite(session: session)
        settle()
        return self.id(ofSession: session)
    }

    /// The pipe whose bytes have to be written to the session before its segments, and how many; `nil`: none.
    package func pipeDue(of session: SessionID) -> (pipe: Int, bytes: Int)? {
        guard let slot = sessions.find(session.slot, session.generation) else { return nil }
        return sessions[slot].output.due
    }

    /// `count` bytes of the pipe that is due are written.
    package mutating func wroteDue(_ count: Int, to session: SessionID, now: Instant) {
        guard let slot = sessions.find(session.slot, session.generation) else { return }
        self.now = now
        sessions[slot].output.wroteDue(count)
        wroteSome(slot)
    }
}
