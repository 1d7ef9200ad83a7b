// RequestEncoder.swift: a request in, bytes for the upstream out, or a refusal before any byte.
// Owns: Host, hop-by-hop fields, framing. Never touches: buffers of others, sockets. Source: RFC 9112 §3, §6,
// §7.
import Model

/// What the rest of an exchange needs to know about an encoded head.
package struct EncodedRequest: Equatable, Sendable {
    /// RFC 9110 §9.2.2: sending it again has the effect of sending it once.
    package var isIdempotent = false
    package var isHead = false
    /// It has a body and "Expect: 100-continue".
    package var expectsContinue = false
    /// A CONNECT.
    package var isConnect = false
    /// Authorization, or Proxy-Authorization for a peer, goes out with it.
    package var hasCredentials = false

    /// Of no request yet.
    package init() {}

    init(
        isIdempotent: Bool,
        isHead: Bool,
        expectsContinue: Bool,
        isConnect: Bool,
        hasCredentials: Bool = false
    ) {
        self.hasCredentials = hasCredentials
        self.isIdempotent = isIdempotent
        self.isHead = isHead
        self.expectsContinue = expectsContinue
        self.isConnect = isConnect
    }
}

/// Writes request heads and chunked framing.
package enum RequestEncoder {
    /// Checks the whole request, then appends its head.
    /// - Parameters:
    ///   - request: to send.
    ///   - block: what the request's slices point into.
    ///   - limits: `requestHeadBytesMax` and `fieldCountMax` are used.
    ///   - output: untouched when the request is refused.
    /// - Returns: what the rest of the exchange needs to know.
    /// - Throws: the first reason not to send it.
    package static func encode(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        limits: Limits,
        into output: inout ByteBuffer
    ) throws(RequestError) -> EncodedRequest {
        guard request.fields.count <= limits.fieldCountMax else {
            throw .tooManyFields(limit: limits.fieldCountMax)
        }
        let method = try Method(block.extracting(request.method))
        if method == .connect {
            try checkTunnel(block.extracting(request.authority))
        } else {
            try checkAuthority(block.extracting(request.authority), route: request.route)
        }
        try checkTarget(block.extracting(request.target), method)
        try checkUpgrade(block.extracting(request.upgrade), body: request.body)
        let before = output.count
        do throws(RequestError) {
            if method == .connect {
                appendConnectLine(block.extracting(request.authority), into: &output)
            } else {
                appendRequestLine(request, in: block, into: &output)
            }
            let beforeFields = output.count
            var fields = RequestFields(request)
            try fields.append(request, in: block, nominated: nil, into: &output)
            if fields.nominates {
                // A Connection field names other fields, some of which may have gone before it: once more,
                // with care.
                drop(output.count &- beforeFields, of: &output)
                let nominated = try Nominations(request, in: block, limit: limits.fieldCountMax)
                fields = RequestFields(request)
                try fields.append(request, in: block, nominated: nominated, into: &output)
            }
            appendFraming(
                request,
                in: block,
                sendsZero: method.anticipatesBody || fields.saidZeroLength,
                &output
            )
            guard output.count &- before <= limits.requestHeadBytesMax else {
                throw .headTooLong(limitBytes: limits.requestHeadBytesMax)
            }
            return EncodedRequest(
                isIdempotent: method.isIdempotent,
                isHead: method == .head,
                expectsContinue: fields.expectsContinue && hasContent(request.body),
                isConnect: method == .connect,
                hasCredentials: fields.hasCredentials
            )
        } catch {
            drop(output.count &- before, of: &output)
            throw error
        }
    }

    /// Takes back bytes that may have credentials among them.
    private static func drop(_ count: Int, of output: inout ByteBuffer) {
        let wasSecret = output.isSecret
        output.isSecret = true
        output.removeLast(count)
        output.isSecret = wasSecret
    }

    /// Appends `data` as one chunk; nothing when it is empty, for an empty chunk is the last one.
    package static func appendChunk(_ data: Span<UInt8>, into output: inout ByteBuffer) {
        guard !data.isEmpty else { return }
        appendNumber(UInt64(data.count), radix: 16, into: &output)
        output.append("\r\n")
        output.append(data)
        output.append("\r\n")
    }

    /// Appends the last chunk and a trailer section.
    /// - Parameters:
    ///   - trailers: fields in order; mostly none.
    ///   - block: what the slices of `trailers` point into.
    ///   - limits: `requestHeadBytesMax` and `fieldCountMax` are used.
    ///   - output: untouched when the trailers are refused.
    /// - Throws: the first reason not to send them.
    package static func appendLastChunk(
        trailers: [FieldSlice],
        in block: Span<UInt8>,
        limits: Limits,
        into output: inout ByteBuffer
    ) throws(RequestError) {
        guard trailers.count <= limits.fieldCountMax else {
            throw .tooManyFields(limit: limits.fieldCountMax)
        }
        let before = output.count
        do throws(RequestError) {
            var stage = InlineArray<64, UInt8>(repeating: 0)
            output.append("0")
            for index in trailers.indices {
                let name = block.extracting(trailers[index].name)
                let value = block.extracting(trailers[index].value)
                try appendField(name, value, line: index + 1, stage: &stage, into: &output)
                guard !FieldName.isForbiddenInTrailers(name) else { throw .trailerForbidden(line: index + 1) }
            }
            output.append("\r\n\r\n")
            guard output.count &- before <= limits.requestHeadBytesMax else {
                throw .headTooLong(limitBytes: limits.requestHeadBytesMax)
            }
        } catch {
            output.removeLast(output.count &- before)
            throw error
        }
    }
}

extension RequestEncoder {
    /// Request line and Host, which goes first. Source: RFC 9112 §3.2.
    @inline(__always)
    private static func appendRequestLine(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        into output: inout ByteBuffer
    ) {
        let authority = block.extracting(request.authority)
        let target = block.extracting(request.target)
        output.append(block.extracting(request.method))
        output.append(" ")
        switch request.route {
        case .direct, .peerTunnel: output.append(target)
        case .peer:
            output.append(request.scheme == .https ? "https://" : "http://")
            output.append(authority)
            // "*" has no absolute-form: the peer makes it from the missing path. Source: RFC 9112 §3.2.4.
            if !target.isEmpty && target[0] == Octet.slash { output.append(target) }
        }
        if target.isEmpty { output.append("/") }
        output.append(" HTTP/1.1\r\nHost: ")
        output.append(authority)
    }

    /// The fields that are ours, and the empty line. The line before has no end yet.
    @inline(__always)
    private static func appendFraming(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        sendsZero: Bool,
        _ output: inout ByteBuffer
    ) {
        switch request.body {
        case .none:
            // Without it a server cannot tell that nothing was meant to come. Source: RFC 9110 §8.6.
            if sendsZero { output.append("\r\nContent-Length: 0") }
        case .length(let count):
            output.append("\r\nContent-Length: ")
            appendNumber(count, radix: 10, into: &output)
        case .chunked: output.append("\r\nTransfer-Encoding: chunked")
        }
        if !request.upgrade.isEmpty {
            output.append("\r\nConnection: Upgrade\r\nUpgrade: ")
            output.append(block.extracting(request.upgrade))
        }
        output.append("\r\n\r\n")
    }

    /// Appends a line end, then a field line without one. `line` is its number, for the error; `stage` is
    /// scratch memory: to check a name there and put beside it what stands around it costs less than an
    /// append a piece.
    @inline(__always)
    static func appendField(
        _ name: Span<UInt8>,
        _ value: Span<UInt8>,
        line: Int,
        stage: inout InlineArray<64, UInt8>,
        into output: inout ByteBuffer
    ) throws(RequestError) {
        guard value.isFieldValue else { throw .fieldValue(line: line) }
        guard name.count <= stage.count &- 4 else {
            guard name.isToken else { throw .fieldName(line: line) }
            output.append("\r\n")
            output.append(name)
            output.append(": ")
            output.append(value)
            return
        }
        guard !name.isEmpty else { throw .fieldName(line: line) }
        stage[0] = Octet.carriageReturn
        stage[1] = Octet.lineFeed
        for index in name.indices {
            guard Octet.isToken(name[index]) else { throw .fieldName(line: line) }
            stage[index &+ 2] = name[index]
        }
        stage[name.count &+ 2] = Octet.colon
        stage[name.count &+ 3] = Octet.space
        output.append(stage.span.extracting(first: name.count &+ 4))
        output.append(value)
    }

    private static func hasContent(_ body: RequestBody) -> Bool {
        switch body {
        case .none: false
        case .length(let count): count > 0
        case .chunked: true
        }
    }

    private static func appendNumber(_ number: UInt64, radix: UInt64, into output: inout ByteBuffer) {
        // 20 decimal digits at most.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var start = digits.count
        var rest = number
        repeat {
            start &-= 1
            let digit = UInt8(rest % radix)
            digits[start] = digit < 10 ? digit &+ Octet.zero : digit &+ 0x57
            rest /= radix
        } while rest > 0
        output.append(digits.span.extracting(droppingFirst: start))
    }
}
