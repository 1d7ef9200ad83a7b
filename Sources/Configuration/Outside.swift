// Outside.swift: what a configuration asks of the world: variables, and files that it names.
// Owns: the questions. Never touches: the world itself; whoever reads a configuration answers.
import Model

/// What stands in a file.
package enum FileContents: Equatable, Sendable {
    case bytes([UInt8])
    case folder
    /// Why it cannot be read, in words, such as "no such file".
    case unreadable(String)
}

/// Answers to a configuration's questions.
package struct Outside {
    /// The environment's variables that begin with `EnvironmentNames.prefix`.
    package var variables: [(name: String, value: String)]
    /// The value of any variable; `nil`: it is not set.
    package var variable: (_ name: String) -> String?
    /// The beginning of a file: all of it up to `NodeBuilder.bytesMax` and a byte.
    package var contents: (_ path: String) -> FileContents
    /// Names in a folder.
    package var names: (_ folder: String) -> [String]
    /// Of Negotiate and NTLM those that can be spoken here.
    package var mechanisms: () -> AuthenticationSchemes

    package init(
        variables: [(name: String, value: String)],
        variable: @escaping (_ name: String) -> String?,
        contents: @escaping (_ path: String) -> FileContents,
        names: @escaping (_ folder: String) -> [String],
        mechanisms: @escaping () -> AuthenticationSchemes = { .connectionBound }
    ) {
        self.variables = variables
        self.variable = variable
        self.contents = contents
        self.names = names
        self.mechanisms = mechanisms
    }

    /// The most that `contents` has to give: a byte more than a configuration may have.
    package static let contentsBytesMax = NodeBuilder.bytesMax + 1
}
