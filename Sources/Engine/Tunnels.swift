// Tunnels.swift: the end of a two-way byte stream, each direction on its own.
// Owns: half-close. Source: RFC 9110 §7.8; the protocol reference, "Upgrade".
import Frames
import Model

extension WorkerEngine {
    /// The upstream's direction has ended: the proxy is told, and the stream ends when its own direction has too.
    mutating func endDownload(_ slot: Int, _ stream: Int) {
        if streams[stream].isDownloadDone { return }
        streams[stream].isDownloadDone = true
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
