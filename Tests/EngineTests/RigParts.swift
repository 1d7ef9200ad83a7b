// RigParts.swift: what the rig is made of: how it reads, what it holds of a socket, the endpoints of scripts.
import Model

@testable import Engine

/// How the rig reads a socket.
enum Reading: CaseIterable, Sendable {
    case whole
    case byteByByte
    /// Into the session's output wherever the engine offers that.
    case inPlace
    /// Into a pipe wherever the engine offers that.
    case piped
}

/// What the rig holds of a socket to an upstream.
struct UpstreamSide {
    let id: ConnectionID
    var isClosed = false
    var isPaused = false
    var wasResumed = false
    var isWriteOrdered = false
    var probesFirst = false
    var isStale = false
    var isStaleInTLS = false
    var arrived: [UInt8] = []
    var got: [UInt8] = []
    var hasEnded = false
    var isEndProven = false
    var isEndTold = false
}

extension Endpoint {
    /// Endpoints of tests are 0.0.0.1, 0.0.0.2 …, port 80: a, b …, and so on behind z as Unicode has it.
    static func lettered(_ letter: Character) -> Endpoint {
        .ip(.v4((letter.unicodeScalars.first?.value ?? 0) - 96), port: 80)
    }

    var letter: String {
        guard case .ip(.v4(let number), _) = self else { return "?" }
        return UnicodeScalar(number + 96).map { String(Character($0)) } ?? "?"
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// A copy of bytes.
func array(_ bytes: Span<UInt8>) -> [UInt8] { bytes.indices.map { bytes[$0] } }
