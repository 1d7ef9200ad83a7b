// ClientEvent.swift: what a sidecar's frames mean to a proxy, and what can be wrong with them.
// Owns: the words only. Source: proto/outrigger.proto; DESIGN "The protocol".
import Frames
import Model

/// One thing that a sidecar said. What it said stands in the session's properties until the next event is
/// asked for.
package enum ClientEvent: Equatable, Sendable {
    /// The sidecar's HELLO: streams may be opened. See `ClientSession.hello`.
    case ready
    /// A 1xx reply, in `head` over `block`.
    case interim(stream: UInt32)
    /// The final reply or an awaited 101, in `head` over `block`, with `facts`.
    case reply(stream: UInt32)
    /// Body bytes of a reply or a tunnel, in `body`. Give them back with `consumed`.
    case body(stream: UInt32)
    /// The reply's trailer section, in `head.fields` over `block`.
    case trailers(stream: UInt32)
    /// More request body may be sent on this stream: it had run out of credit.
    case writable(stream: UInt32)
    /// The last word about a stream, in `report` and `attempts`. The id is dead.
    case ended(stream: UInt32)
    /// Something happened to a pinned connection, in `pinEvent`.
    case pin
    /// The answer to `ping`.
    case pong
    /// The sidecar takes no new streams. With any code but `.draining` the session is over.
    case goAway(GoAwayCode)
}

/// Why a session cannot go on: the sidecar broke the protocol.
package enum ClientError: Error, Equatable, Sendable {
    case frame(FrameError)
    /// The first frame was no HELLO, or another HELLO came.
    case unexpectedHello
    case unsupportedVersion(UInt32)
    /// A frame for a stream that is not open.
    case unknownStream(UInt32, FrameType)
    /// A frame that its stream cannot take now, or that no sidecar sends.
    case unexpectedFrame(UInt32, FrameType)
    /// More body bytes than credit was given for.
    case creditExceeded(UInt32)

    /// In words, for people.
    package var detail: String {
        switch self {
        case .frame(let error): "the sidecar sent an invalid frame: \(error.detail)"
        case .unexpectedHello: "the sidecar did not say HELLO first, or said it twice"
        case .unsupportedVersion(let version): "the sidecar speaks protocol version \(version), not 1"
        case .unknownStream(let stream, let type):
            "the sidecar sent \(type) for stream \(stream), which is not open"
        case .unexpectedFrame(let stream, let type):
            "the sidecar sent \(type) out of place on stream \(stream)"
        case .creditExceeded(let stream): "the sidecar sent more body bytes than allowed on stream \(stream)"
        }
    }
}
