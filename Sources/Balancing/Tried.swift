// Tried.swift: the members that a request was tried at. Owns: their set, without memory of its own.
import Model

/// A set of up to `NamedGroup.attemptsMax` members.
package struct Tried: Equatable, Sendable {
    private var indices = SIMD8<Int16>(repeating: -1)
    package private(set) var count = 0

    package init() {}

    package var isFull: Bool { count == NamedGroup.attemptsMax }

    package func contains(_ member: Int) -> Bool {
        count > 0 && any(indices .== SIMD8(repeating: Int16(truncatingIfNeeded: member)))
    }

    /// Adds a member, which may be in it already. It must not be full then.
    package mutating func insert(_ member: Int) {
        if contains(member) { return }
        precondition(!isFull && 0..<NamedGroup.membersMax ~= member)
        indices[count] = Int16(member)
        count += 1
    }
}
