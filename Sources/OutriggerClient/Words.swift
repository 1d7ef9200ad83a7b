// Words.swift: the protocol's names as they are written in the protocol, for people. Source:
// proto/outrigger.proto.
import Model

extension Outcome {
    /// Such as COMPLETE_BY_EOF.
    package var word: String { protocolWord(self) }

    /// Whether a whole reply has come, as far as anyone can tell.
    package var isSuccess: Bool { self == .complete || self == .completeByEOF }
}

extension AttemptResult {
    /// Such as REFUSED.
    package var word: String { protocolWord(self) }
}

extension ConnectionFate {
    /// Such as POOLED.
    package var word: String { protocolWord(self) }
}

extension GoAwayCode {
    /// Such as FRAME_TOO_LARGE.
    package var word: String { protocolWord(self) }
}

/// A case's name in capitals with a line under each seam: `completeByEOF` is COMPLETE_BY_EOF.
private func protocolWord(_ value: some Any) -> String {
    var word = ""
    var follows = false
    for letter in String(describing: value) {
        if letter.isUppercase, follows { word += "_" }
        follows = letter.isLowercase
        word += letter.uppercased()
    }
    return word
}
