// RequestEncoder.swift: a request in, bytes for the upstream out, or a refusal before any byte.
// Owns: Host, hop-by-hop fields, framing. Never touches: buffers of others, sockets. Source: RFC 9112 §3, §6, §7.
import Model

/// What the rest of an exchange needs to know about an encoded head.
package struct EncodedRequest: Equatable, Sendable {
    /// RFC 9110 §9.2.2: sending it again has the effect of sending it once.
    package var isIdempotent = false
    package var isHead = false
    /// It has a body and "Expect: 100-continue".
    package var expectsContinue = false

    /// Of no request yet.
    package init() {}

    init(isIdempotent: Bool, isHead: Bool, expectsContinue: Bool) {
        self.isIdempotent = isIdempotent
        self.isHead = isHead
        self.expectsContinue = expectsContinue
    }
}

/// Writes request heads and chunked framing.
package enum RequestEncoder {
    /// Checks the whole request, then appends its head.
    /// - Parameters:
    ///   - block: what the request's slices point into.
    ///   - output: untouched when the request is refused.
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
        try checkAuthority(block.extracting(request.authority), route: request.route)
        try checkTarget(block.extracting(request.target), method)
        try checkUpgrade(block.extracting(request.upgrade), body: request.body)
        let before = output.count
        do throws(RequestError) {
            appendRequestLine(request, in: block, into: &output)
            let beforeFields = output.count
            var fields = RequestFields(request)
            try fields.append(request, in: block, nominated: nil, into: &output)
            if fields.nominates {
                // A Connection field names other fields, some of which may have gone before it: once more, with care.
                output.removeLast(output.count &- beforeFields)
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
                expectsContinue: fields.expectsContinue && request.body != .none && request.body != .length(0)
            )
        } catch {
            output.removeLast(output.count &- before)
            throw error
        }
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
    ///   - block: what the slices of `trailers` point into.
    ///   - output: untouched when the trailers are refused.
    package static func appendLastChunk(
        trailers: [FieldSlice],
        in block: Span<UInt8>,
        limits: Limits,
        into output: inout ByteBuffer
    ) throws(RequestError) {
        guard trailers.count <= limits.fieldCountMax else {
            throw .tooManyFields(limit: limits.fieldCountMax)
        }
        var bytes = 0
        for index in trailers.indices {
            let name = block.extracting(trailers[index].name)
            let value = block.extracting(trailers[index].value)
            guard name.isToken else { throw .fieldName(line: index + 1) }
            guard value.isFieldValue else { throw .fieldValue(line: index + 1) }
            guard !FieldName.isForbiddenInTrailers(name) else { throw .trailerForbidden(line: index + 1) }
            bytes += name.count + value.count + 4
        }
        guard bytes <= limits.requestHeadBytesMax else {
            throw .headTooLong(limitBytes: limits.requestHeadBytesMax)
        }
        output.append("0\r\n")
        for field in trailers {
            appendField(block.extracting(field.name), block.extracting(field.value), into: &output)
        }
        output.append("\r\n")
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
        if request.route == .peer {
            output.append(request.scheme == .https ? "https://" : "http://")
            output.append(authority)
        }
        if target.isEmpty {
            output.append("/")
        } else if request.route == .direct || target[0] == Octet.slash {
            // "*" has no absolute-form: the peer makes it from the missing path. Source: RFC 9112 §3.2.4.
            output.append(target)
        }
        output.append(" HTTP/1.1\r\n")
        output.append("Host: ")
        output.append(authority)
        output.append("\r\n")
    }

    /// The fields that are ours, and the empty line.
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
            if sendsZero { output.append("Content-Length: 0\r\n") }
        case .length(let count):
            output.append("Content-Length: ")
            appendNumber(count, radix: 10, into: &output)
            output.append("\r\n")
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        }
        if !request.upgrade.isEmpty {
            output.append("Connection: Upgrade\r\nUpgrade: ")
            output.append(block.extracting(request.upgrade))
            output.append("\r\n")
        }
        output.append("\r\n")
    }

    @inline(__always)
    static func appendField(_ name: Span<UInt8>, _ value: Span<UInt8>, into output: inout ByteBuffer) {
        output.append(name)
        output.append(": ")
        output.append(value)
        output.append("\r\n")
    }

    private static func appendNumber(_ number: UInt64, radix: UInt64, into output: inout ByteBuffer) {
        var places = 1
        var power: UInt64 = 1
        while number / power >= radix {
            power &*= radix
            places &+= 1
        }
        output.append(upTo: places) { text in
            while power > 0 {
                let digit = UInt8(number / power % radix)
                text.append(digit < 10 ? digit &+ Octet.zero : digit &+ 0x57)
                power /= radix
            }
        }
    }
}
