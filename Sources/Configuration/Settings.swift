// Settings.swift: what a sidecar is set to, and who said so.
// Owns: the values. Never touches: the form in which they are written. Source: issue "Configuration".
import Model

/// Everything that file, environment and flags decide.
package struct Settings: Sendable {
    /// Path of the socket; empty: nobody said.
    package var socket = ""
    /// Path of the operators' socket; empty: none.
    package var adminSocket = ""
    /// Threads that serve.
    package var workers: Int
    package var allowedUserIDs: [UInt32] = []
    package var limits = Limits()
    package var named = NamedSettings()
    /// Who said what a setting is, by its name; absent: it is built in.
    var places: [String: Place] = [:]

    /// - Parameter workers: the default.
    package init(workers: Int) { self.workers = workers }

    func place(_ setting: Setting) -> Place { places[setting.name] ?? .builtIn }
}
