// SecurityContext.swift: the border to whoever speaks Kerberos and NTLM.
// Owns: tokens as fields carry them. Never touches: what is in a token. Source: RFC 4559 §4; RFC 2743 §1.2;
// MS-NLMP.
import Model

/// A mechanism that answers with tokens, in several steps, for one connection.
package enum SecurityMechanism: Hashable, Sendable {
    case negotiate
    case ntlm

    package var scheme: AuthenticationSchemes {
        switch self {
        case .negotiate: .negotiate
        case .ntlm: .ntlm
        }
    }

    /// The auth-scheme.
    package var name: String {
        switch self {
        case .negotiate: "Negotiate"
        case .ntlm: "NTLM"
        }
    }
}

/// What a context is made from. Equal ones only may go on with one another's connection.
package struct SecurityContextRequest: Hashable, Sendable {
    package var mechanism: SecurityMechanism
    package var side: AuthenticationSide
    /// Host name of the server, for the service name HTTP@host: no port, no brackets.
    package var host: [UInt8]
    package var credential: Credential

    package init(
        mechanism: SecurityMechanism,
        side: AuthenticationSide,
        host: [UInt8],
        credential: Credential
    ) {
        self.mechanism = mechanism
        self.side = side
        self.host = host
        self.credential = credential
    }
}

/// What came of one step.
package enum SecurityContextResult: Equatable, Sendable {
    /// Send this; the server has to answer with a token.
    case proceed(token: Secret)
    /// Send this, if it is not empty; nothing more is needed from us.
    case done(token: Secret)
    /// Why not, in words without secrets.
    case failed(String)
}

/// One side of an authentication that goes on over several messages. Never used for a second connection.
package protocol SecurityContext: AnyObject {
    /// Takes the server's token, empty in the first step, and says what to send.
    func step(_ input: Span<UInt8>) -> SecurityContextResult
}

/// The next step of a context.
package struct SecurityStep: Equatable, Sendable {
    package var mechanism: SecurityMechanism
    /// The server's token; empty: a context has to be made first.
    package var input: [UInt8]

    package init(mechanism: SecurityMechanism, input: [UInt8]) {
        self.mechanism = mechanism
        self.input = input
    }

    /// Appends the field value that carries `token` to the server.
    package static func append(
        _ mechanism: SecurityMechanism,
        token: Span<UInt8>,
        to output: inout ByteBuffer
    ) {
        output.append(mechanism.name)
        output.append(Octet.space)
        Base64.append(token, to: &output)
    }
}

extension ChallengeList {
    /// The token that the server sends for `mechanism`, also with a reply that is no challenge (mutual
    /// authentication). Empty: it is named without one. `nil`: it is not named, or its token is no base64.
    package func token(for mechanism: SecurityMechanism, in block: Span<UInt8>) -> [UInt8]? {
        let scheme: ChallengeScheme =
            switch mechanism {
            case .negotiate: .negotiate
            case .ntlm: .ntlm
            }
        for challenge in challenges where challenge.scheme == scheme && challenge.parameters.isEmpty {
            guard let token = challenge.token68 else { return [] }
            return Base64.decode(block.extracting(token))
        }
        return nil
    }
}
