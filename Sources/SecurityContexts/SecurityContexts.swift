// SecurityContexts.swift: who makes security contexts, and which mechanisms this machine has.
// Owns: the question of what was compiled in. Never touches: threads; each maker lives on one. Source: RFC 4559; issue
// "Local authentication".
import Authentication
import Model

/// Makes contexts. One for each thread: what it makes stays there, and blocks while a KDC is asked.
package protocol SecurityContextMaker: AnyObject {
    /// A context whose first step has not been taken.
    func make(_ request: SecurityContextRequest) -> any SecurityContext

    /// Forgets the credentials that it keeps of users. Contexts that have them go on.
    func forgetUsers()
}

/// What this build and this machine can do.
package enum SecurityContexts {
    /// Credentials of users that one maker keeps, so that not every context asks the KDC who the user is.
    package static let credentialsMax = 64

    #if Kerberos
    /// Mechanisms that can be spoken here. Loads GSSAPI's plugins: ask once.
    package static var available: AuthenticationSchemes { GSSMechanisms.available }

    /// A maker for the calling thread.
    package static func maker() -> any SecurityContextMaker {
        GSSContextMaker(credentialsMax: credentialsMax)
    }

    /// Why a mechanism that is wanted is not among `available`.
    package static let words = "the mechanism is not installed; for NTLM: gss-ntlmssp"
    #else
    package static var available: AuthenticationSchemes { [] }

    package static func maker() -> any SecurityContextMaker { NoContextMaker() }

    package static let words = "this build has no GSSAPI: swift build --traits Kerberos"
    #endif
}

#if !Kerberos
/// Stands in where there is nothing.
private final class NoContextMaker: SecurityContextMaker {
    func make(_ request: SecurityContextRequest) -> any SecurityContext { NoContext() }

    func forgetUsers() {}
}

private final class NoContext: SecurityContext {
    func step(_ input: Span<UInt8>) -> SecurityContextResult { .failed(SecurityContexts.words) }
}
#endif
