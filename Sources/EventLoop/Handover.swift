// Handover.swift: something that lives on one thread, on its way to another. Owns: that it is taken once.
import Synchronization

/// Carries what the giver has let go of.
package final class Handover<Content>: @unchecked Sendable {
    private var content: Content?
    private let isTaken = Atomic<Bool>(false)

    /// - Parameter content: from now on the giver and everybody it knows leave it alone.
    package init(_ content: Content) { self.content = content }

    /// What is carried; once.
    package func take() -> Content {
        precondition(!isTaken.exchange(true, ordering: .acquiringAndReleasing), "taken twice")
        guard let taken = content.take() else { preconditionFailure("nothing was given") }
        return taken
    }
}
