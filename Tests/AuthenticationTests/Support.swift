// Support.swift: what the tests of this folder have in common.
import Authentication
import Model
import TLS

struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
}

extension ByteBuffer {
    /// What waits, as text.
    var text: String {
        var all: [UInt8] = []
        let span = bytes
        for index in span.indices { all.append(span[index]) }
        return String(decoding: all, as: UTF8.self)
    }
}

extension DigestFunctions {
    /// Those of OpenSSL.
    static let real = DigestFunctions(
        md5: { MessageDigest.md5($0, &$1) },
        sha256: { MessageDigest.sha256($0, &$1) },
        sha512256: { MessageDigest.sha512256($0, &$1) }
    )
}

extension Credential {
    /// A user with a password.
    init(_ user: String, _ password: String, _ schemes: AuthenticationSchemes) {
        self.init(name: "test", schemes: schemes)
        self.user = Array(user.utf8)
        self.password = Secret(password)
    }
}

/// The challenges of field values that stand in one block, with something in front so that an offset that is
/// forgotten shows.
struct Challenges {
    let list: ChallengeList
    let block: [UInt8]

    init(_ values: [String], side: AuthenticationSide = .origin) {
        var block = Array("front".utf8)
        var slices: [Slice] = []
        for value in values {
            slices.append(Slice(start: block.count, count: value.utf8.count))
            block += value.utf8
        }
        var list = ChallengeList(side: side)
        for slice in slices { list.read(slice, in: block.span) }
        self.list = list
        self.block = block
    }

    /// The first Digest challenge; `nil`: none that can be read.
    var digest: DigestChallenge? {
        for challenge in list.challenges where challenge.scheme == .digest {
            return DigestChallenge(challenge, of: list, in: block.span)
        }
        return nil
    }
}
