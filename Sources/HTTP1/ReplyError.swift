// ReplyError.swift: why an upstream's bytes are no valid reply, and the same in words.
// Owns: the words of END BAD_REPLY. Never touches: values of fields, which may be secrets.

/// Why an upstream's bytes are no valid reply.
package enum ReplyError: Error, Equatable, Sendable {
    /// The first bytes are not "HTTP/1.".
    case notHTTP1
    /// RFC 9112 §4: version, status of three digits, reason.
    case statusLine
    /// A line that does not end with CR LF, or a CR elsewhere. Source: RFC 9112 §2.2.
    case lineEnding
    /// RFC 9112 §5.1: a token, then a colon at once. Lines count from 1.
    case fieldName(line: Int)
    /// RFC 9110 §5.5: a control byte in a value.
    case fieldValue(line: Int)
    /// RFC 9112 §5.2: a line that begins with a blank.
    case foldedField(line: Int)
    case headTooLong(limitBytes: Int)
    case tooManyFields(limit: Int)
    /// RFC 9112 §6.3: not a decimal number that fits.
    case contentLength
    case contentLengthsDiffer
    /// RFC 9112 §6.3: anything but "chunked", once.
    case transferEncoding
    /// 101 that nobody asked for. Source: RFC 9110 §7.8.
    case unexpectedUpgrade
    case tooManyInterimReplies(limit: Int)
    /// RFC 9112 §7.1: not a hexadecimal number that fits.
    case chunkSize
    /// RFC 9112 §7.1.1.
    case chunkExtension
    case chunkLineTooLong(limitBytes: Int)
    /// Much framing for little body.
    case chunkOverhead(limitBytes: Int)
    /// The data of a chunk is not followed by CR LF.
    case chunkEnd
}

extension ReplyError {
    /// For people and logs.
    package var detail: String {
        switch self {
        case .notHTTP1: "the reply does not begin with HTTP/1"
        case .statusLine: "the status line of the reply is malformed"
        case .lineEnding: "a line of the reply has a CR or an LF that is not part of a CR LF at its end"
        case .fieldName(let line): "field line \(line) of the reply has no valid name followed by a colon"
        case .fieldValue(let line): "the value of field line \(line) of the reply has a control character"
        case .foldedField(let line): "field line \(line) of the reply begins with white space"
        case .headTooLong(let limit): "a head or trailer section of the reply exceeds \(limit) bytes"
        case .tooManyFields(let limit): "a head or trailer section of the reply exceeds \(limit) field lines"
        case .contentLength: "the Content-Length of the reply is no valid number"
        case .contentLengthsDiffer: "the reply has Content-Length values that differ"
        case .transferEncoding: "the Transfer-Encoding of the reply is not just chunked"
        case .unexpectedUpgrade: "the reply is 101 and no upgrade was asked for"
        case .tooManyInterimReplies(let limit): "more than \(limit) interim replies"
        case .chunkSize: "a chunk size of the reply is no valid number"
        case .chunkExtension: "a chunk extension of the reply is malformed"
        case .chunkLineTooLong(let limit): "a chunk-size line of the reply exceeds \(limit) bytes"
        case .chunkOverhead(let limit): "the framing of chunks exceeds their data by more than \(limit) bytes"
        case .chunkEnd: "the data of a chunk is not followed by CR LF"
        }
    }
}
