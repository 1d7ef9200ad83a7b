// StreamAuthentication.swift: what the engine holds of a stream that has credentials.
// Owns: the request's head without them, and what was answered to whom. Source: proto/outrigger.proto, Credentials.
import Authentication
import Model

/// The origin or the peer of one stream.
struct AuthenticationTry {
    let credential: Credential
    var attempt = AuthenticationAttempt()
    /// Who is answered; `nil`: not known before there is a connection.
    var space: AuthenticationSpace?
    /// The field value that the next request carries, or the last one carried.
    var value: Secret?
    /// Whether `value` answers a challenge and has not been sent yet.
    var isAnswer = false
    /// `value` where it answers a challenge.
    var answer: Secret? { isAnswer ? value : nil }

    init(_ credential: Credential) { self.credential = credential }
}

/// One stream's.
struct StreamAuthentication {
    /// In answer to 401; `nil`: no credentials, or the request brings its own.
    var origin: AuthenticationTry?
    /// In answer to 407 of a peer that reads the request itself.
    var peer: AuthenticationTry?
    /// In answer to 407 of a peer that is asked for a tunnel first.
    var tunnel: AuthenticationTry?
    let method: [UInt8]
    /// As on the request line.
    let target: [UInt8]
    /// The head as it was encoded, without its empty line.
    let plainHead: Secret
    /// Whether the request itself asks for 100 (Continue).
    let expectsContinue: Bool
    /// Whether it asks for another protocol, or is a CONNECT.
    let asksForUpgrade: Bool
    let scheme: Scheme
    /// The authority's host, without port and brackets.
    let host: [UInt8]
    /// Whether the authority is empty.
    let isNameless: Bool
    /// Whether the server refused an Expect that we had added.
    var isExpectRefused = false
    /// Bytes of the body of a challenge that is answered.
    var droppedBytes = 0
}
