// RequestError.swift: why a request cannot be sent, and the same in words.
// Owns: the words of END BAD_REQUEST. Never touches: values of fields, which may be secrets.

/// Why a request cannot be sent. Field lines count from 1.
package enum RequestError: Error, Equatable, Sendable {
    /// RFC 9110 §9.1: not a token.
    case method
    case methodTooLong(limitBytes: Int)
    /// RFC 9110 §9.3.6: CONNECT names host:port and nothing else.
    case connectTarget
    /// RFC 9110 §9.3.6: a field of a CONNECT for a tunnel that is the sidecar's to send, or means nothing there.
    case connectField(line: Int)
    /// RFC 9112 §3.2: a byte that no target has, or no "/" at its beginning.
    case target
    /// RFC 9112 §3.2.4: "*" is for OPTIONS only.
    case asteriskTarget
    /// RFC 3986 §3.2: not host[:port].
    case authority
    case authorityTooLong(limitBytes: Int)
    /// RFC 9112 §3.2.2: absolute-form needs a host.
    case authorityMissing
    /// RFC 9110 §5.6.2: not a token.
    case fieldName(line: Int)
    /// RFC 9110 §5.5: a control character.
    case fieldValue(line: Int)
    case tooManyFields(limit: Int)
    case tooManyConnectionOptions(limit: Int)
    case headTooLong(limitBytes: Int)
    /// RFC 9112 §3.2: two Host fields.
    case hostRepeated
    /// RFC 9112 §3.2: a Host field that differs from the authority.
    case hostContradiction
    /// A Content-Length field that contradicts the kind or length of the body.
    case contentLengthContradiction
    /// A Transfer-Encoding field that is not "chunked" before a chunked body.
    case transferEncodingContradiction
    /// RFC 9110 §7.8: not a protocol name with an optional version.
    case upgrade
    case upgradeTooLong(limitBytes: Int)
    case upgradeWithBody
    /// RFC 9110 §6.5.1: a trailer field that belongs into the head.
    case trailerForbidden(line: Int)
}

extension RequestError {
    /// For people and logs.
    package var detail: String {
        switch self {
        case .method: "the method is not a token"
        case .methodTooLong(let limit): "the method exceeds \(limit) bytes"
        case .connectTarget: "CONNECT needs host:port as its authority and no target"
        case .connectField(let line): "connect field \(line) is not for a CONNECT"
        case .target: "the target has an illegal byte or does not begin with a slash"
        case .asteriskTarget: "the target * is for OPTIONS only"
        case .authority: "the authority is not host[:port]"
        case .authorityTooLong(let limit): "the authority exceeds \(limit) bytes"
        case .authorityMissing: "a request to a peer needs an authority"
        case .fieldName(let line): "the name of field \(line) is not a token"
        case .fieldValue(let line): "the value of field \(line) has a control character"
        case .tooManyFields(let limit): "more than \(limit) fields"
        case .tooManyConnectionOptions(let limit): "more than \(limit) options in Connection"
        case .headTooLong(let limit): "the head or trailer section exceeds \(limit) bytes"
        case .hostRepeated: "two Host fields"
        case .hostContradiction: "the Host field differs from the authority"
        case .contentLengthContradiction: "the Content-Length field contradicts the body"
        case .transferEncodingContradiction: "the Transfer-Encoding field contradicts the body"
        case .upgrade: "the protocol to upgrade to is malformed"
        case .upgradeTooLong(let limit): "the protocol to upgrade to exceeds \(limit) bytes"
        case .upgradeWithBody: "a request for an upgrade cannot have a body"
        case .trailerForbidden(let line): "trailer field \(line) is not allowed in a trailer section"
        }
    }
}
