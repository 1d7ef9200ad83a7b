// Tunnels.swift: a two-way byte stream: its beginning, and its end in each direction on its own.
// Owns: half-close. Source: RFC 9110 §7.8, §9.3.6; the protocol reference, "Upgrade" and "CONNECT".
import Frames
import Model

extension WorkerEngine {
    /// As which a CONNECT is answered whose tunnel is the connection itself.
    private static let rawReason = Array("Connection established".utf8)

    /// 101, or 2xx to CONNECT, was passed on: bytes go both ways from here on.
    mutating func openTunnel(_ stream: Int) {
        streams[stream].isTunnel = true
        openGate(stream)
    }

    /// Answers a CONNECT with the connection that it asked for.
    mutating func beginRaw(_ slot: Int, _ stream: Int) {
        connections[slot].decoder.beginTunnel()
        connections[slot].mayHaveMore = false
        connections[slot].isWriting = false
        streams[stream].isReplayHeld = false
        streams[stream].sentAt = now
        head.status = 200
        replyBegan(stream)
        head.reason = Slice(start: 0, count: Self.rawReason.count)
        head.version = 11
        head.fields.removeAll(keepingCapacity: true)
        head.body = .tunnel
        if passHead(Self.rawReason.span, slot, stream, isInterim: false) { openTunnel(stream) }
    }

    /// The upstream's direction has ended: the proxy is told, and the stream ends when its own direction has too.
    mutating func endDownload(_ slot: Int, _ stream: Int) {
        if streams[stream].isDownloadDone { return }
        streams[stream].isDownloadDone = true
        streams[stream].isCut = isCut(slot)
        if streams[stream].isUploadShut {
            finish(slot, stream, .complete, keepsConnection: false)
            return
        }
        let session = streams[stream].session
        let lane = sessions[session].output.lane(behind: streams[stream].outputMark)
        encoder.body(
            Span(),
            stream: streams[stream].id,
            endsStream: true,
            payloadBytesMax: payloadBytesMax(stream),
            into: &sessions[session].output[lane]
        )
        streams[stream].outputMark = sessions[session].output.mark(lane)
        orderWrite(session: session)
    }

    /// The proxy's direction has ended and is written.
    mutating func shutTunnel(_ stream: Int, _ slot: Int) {
        if streams[stream].isUploadShut { return }
        streams[stream].isUploadShut = true
        if streams[stream].isDownloadDone {
            finish(slot, stream, .complete, keepsConnection: false)
        } else {
            effects.append(.shutdownWriting(id(ofConnection: slot)))
        }
    }
}
