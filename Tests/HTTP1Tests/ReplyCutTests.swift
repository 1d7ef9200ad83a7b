// ReplyCutTests.swift: damaged replies, for which nobody wrote down a verdict, get the same one however they are cut.
// Source: DESIGN "No desynchronisation".
import HTTP1
import Model
import Testing

@Suite struct ReplyCutTests {
    private static let replies =
        ReplyHeadTests.fieldLines + ReplyFramingTests.lengths + ReplyFramingTests.codings
        + ReplyFramingTests.bodiless + ReplyPersistenceTests.interim + ReplyPersistenceTests.upgrades
        + ReplyChunkTests.sizes + ReplyChunkTests.extensions + ReplyChunkTests.trailers

    /// Bytes that mean something to a decoder.
    private static let bytes = Array("\r\n :;,=\"\\\t\0\u{7F}0159afxHTP/-+".utf8)

    private static func damage(_ input: [UInt8], _ random: inout Seeded) -> [UInt8] {
        var damaged = input
        for _ in 0..<Int.random(in: 1...3, using: &random) where !damaged.isEmpty {
            let index = Int.random(in: 0..<damaged.count, using: &random)
            let byte = bytes.randomElement(using: &random) ?? 0
            switch Int.random(in: 0..<4, using: &random) {
            case 0: damaged[index] = byte
            case 1: damaged.insert(byte, at: index)
            case 2: damaged.remove(at: index)
            default: damaged.removeSubrange(index..<min(damaged.count, index + 4))
            }
        }
        return damaged
    }

    @Test(arguments: 0..<12) func `a damaged reply has one verdict however it is cut`(seed: UInt64) {
        var random = Seeded(seed)
        for row in Self.replies {
            var damaged = row
            damaged.input = Self.damage(row.input, &random)
            if seed % 2 == 1 {
                damaged.limits.replyHeadBytesMax = Int.random(in: 30...90, using: &random)
                damaged.limits.chunkLineBytesMax = Int.random(in: 4...12, using: &random)
                damaged.limits.fieldCountMax = Int.random(in: 1...3, using: &random)
                damaged.limits.chunkOverheadBytesMax = Int.random(in: 0...4, using: &random)
            }
            let verdict = damaged.play(damaged.input, cuts: []).transcript
            for cuts in damaged.cuttings.dropFirst() {
                let text = String(decoding: damaged.input, as: UTF8.self)
                #expect(damaged.play(damaged.input, cuts: cuts).transcript == verdict, "\(text) at \(cuts)")
                let inPlace = damaged.play(damaged.input, cuts: cuts, usesOpaque: true).transcript
                #expect(inPlace == verdict, "\(text) in place at \(cuts)")
            }
        }
    }
}
