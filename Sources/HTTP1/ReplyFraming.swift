// ReplyFraming.swift: what the fields of a reply say about its body and its connection, and the verdict on
// both.
// Owns: the meaning of Content-Length, Transfer-Encoding, Connection and Keep-Alive. Source: RFC 9112 §6.3,
// §9.3.
import Model

/// The numbers of `Limits` that a decoder uses.
struct ReplyLimits: Sendable {
    let headBytesMax: Int
    let fieldCountMax: Int
    let chunkLineBytesMax: Int
    let chunkOverheadBytesMax: Int
    let interimRepliesMax: Int

    init(_ limits: Limits) {
        headBytesMax = limits.replyHeadBytesMax
        fieldCountMax = limits.fieldCountMax
        chunkLineBytesMax = limits.chunkLineBytesMax
        chunkOverheadBytesMax = limits.chunkOverheadBytesMax
        interimRepliesMax = limits.interimRepliesMax
    }
}

/// Collects what the framing fields of one head say. Judges when all are seen, so that order does not matter.
struct ReplyFraming: Sendable {
    private var length: UInt64?
    private var lengthFault: ReplyError?
    private var isChunked = false
    private var codingFault = false
    private var closes = false
    private var keepsAlive = false
    /// The timeout parameter of Keep-Alive, seconds.
    private(set) var keepAliveSeconds: Int?

    /// A framing field was read; other names are ignored.
    mutating func saw(_ name: FieldName, _ value: Span<UInt8>) {
        switch name {
        case .contentLength: sawContentLength(value)
        case .transferEncoding: sawTransferEncoding(value)
        case .connection: sawConnection(value)
        case .keepAlive: sawKeepAlive(value)
        case .other, .te, .host, .expect, .upgrade, .proxyConnection, .proxyAuthorization, .authorization:
            break
        }
    }

    /// How the body of a final reply is delimited, and whether the connection outlives it.
    /// - Returns: `persists` only when the framing is beyond doubt.
    func verdict(
        status: Int,
        version: Int,
        context: ReplyContext
    ) throws(ReplyError) -> (body: ReplyBody, persists: Bool) {
        let persists = !closes && (version >= 11 || keepsAlive)
        let isContradictory = isChunked && (length != nil || lengthFault != nil || version < 11)
        // A tunnel begins, whatever the fields say of a body. Source: RFC 9110 §9.3.6.
        if context.isConnect && status < 300 { return (.tunnel, false) }
        if context.isHead || status == 204 || status == 304 {
            // 204 has neither field: whoever sends one may send a body too. Source: RFC 9110 §8.6, RFC 9112
            // §6.1.
            let isDoubtful = status == 204 && (isChunked || length ?? 0 > 0)
            let isFaulty = lengthFault != nil || codingFault
            return (.none, persists && !isContradictory && !isDoubtful && !isFaulty)
        }
        if codingFault { throw .transferEncoding }
        if let lengthFault { throw lengthFault }
        if isChunked { return (.chunked, persists && !isContradictory) }
        if let length { return (.length(length), persists) }
        return (.untilEOF, false)
    }

    /// Whether an interim reply says that it has a body, which none can have. Source: RFC 9112 §6.3 item 1.
    var claimsBody: Bool { isChunked || codingFault || lengthFault != nil || length ?? 0 > 0 }

    private mutating func sawContentLength(_ value: Span<UInt8>) {
        var position = 0
        while let element = value.nextElement(&position) {
            guard let number = value.decimal(element) else {
                lengthFault = .contentLength
                return
            }
            // "5, 5" and two fields of 5 are one 5. Source: RFC 9112 §6.3 item 5.
            if let length, length != number, lengthFault == nil { lengthFault = .contentLengthsDiffer }
            length = number
        }
    }

    private mutating func sawTransferEncoding(_ value: Span<UInt8>) {
        // Content codings in Transfer-Encoding were not asked for (no TE is sent), and what is not asked for
        // is not read. A second "chunked" in whatever place is as wrong. Source: RFC 9112 §6.1, §7.
        if isChunked || !value.isEqual(ignoringCase: "chunked") { codingFault = true }
        isChunked = true
    }

    private mutating func sawConnection(_ value: Span<UInt8>) {
        var position = 0
        while let element = value.nextElement(&position) {
            let option = value.extracting(element)
            if option.count == 5 && option.isEqual(ignoringCase: "close") { closes = true }
            if FieldName(option) == .keepAlive { keepsAlive = true }
        }
    }

    private mutating func sawKeepAlive(_ value: Span<UInt8>) {
        let name = "timeout="
        var position = 0
        while let element = value.nextElement(&position) {
            guard element.count > name.utf8.count else { continue }
            let number = element.lowerBound &+ name.utf8.count
            guard value.extracting(element.lowerBound..<number).isEqual(ignoringCase: name) else { continue }
            guard let seconds = value.decimal(number..<element.upperBound) else { continue }
            // Of two, the shorter one is safe.
            keepAliveSeconds = Swift.min(keepAliveSeconds ?? .max, Int(seconds))
        }
    }
}
