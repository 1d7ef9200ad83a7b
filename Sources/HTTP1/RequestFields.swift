// RequestFields.swift: which fields of a request go out, and which are ours, contradict us or end at this
// hop.
// Owns: Connection and what it names. Source: RFC 9110 §7.6.1, §8.6, §10.1.1; RFC 9112 §3.2, §6.
import Model

/// Copies fields and collects what they say.
struct RequestFields {
    private let body: RequestBody
    /// Whether the next hop is a proxy that sees these fields.
    private let goesToPeer: Bool
    private var hasHost = false
    private var hasCoding = false
    /// A Content-Length of 0 stands where there is no body.
    private(set) var saidZeroLength = false
    private(set) var expectsContinue = false
    /// Whether a field with credentials goes out.
    private(set) var hasCredentials = false
    /// Connection names a field that is not left out anyway.
    private(set) var nominates = false

    init(_ request: borrowing Request) {
        body = request.body
        var goesToPeer = request.isConnect
        if case .peer = request.route { goesToPeer = true }
        self.goesToPeer = goesToPeer
    }

    /// Appends every field that goes out, exactly as it is. The first wrong one refuses all. `nominated` has
    /// the fields that Connection names; with `nil` it is found out whether there are any.
    @inline(__always)
    mutating func append(
        _ request: borrowing Request,
        in block: Span<UInt8>,
        nominated: Nominations?,
        into output: inout ByteBuffer
    ) throws(RequestError) {
        var stage = InlineArray<64, UInt8>(repeating: 0)
        for index in request.fields.indices {
            let field = request.fields[index]
            let name = block.extracting(field.name)
            let value = block.extracting(field.value)
            let known = FieldName(name)
            if known != .other {
                guard name.isToken else { throw .fieldName(line: index + 1) }
                guard value.isFieldValue else { throw .fieldValue(line: index + 1) }
                guard try passes(known, value, authority: block.extracting(request.authority)) else {
                    continue
                }
            }
            // What ends here was checked in the first pass.
            if let nominated, nominated.contains(name, in: block) { continue }
            if known == .expect { expectsContinue = expectsContinue || hasContinue(value) }
            try RequestEncoder.appendField(name, value, line: index + 1, stage: &stage, into: &output)
        }
    }

    /// Whether a known field goes out.
    private mutating func passes(
        _ name: FieldName,
        _ value: Span<UInt8>,
        authority: Span<UInt8>
    ) throws(RequestError) -> Bool {
        switch name {
        case .other, .expect: return true
        case .te, .upgrade, .keepAlive, .proxyConnection: return false
        // For the next hop only, and that is no proxy.
        case .proxyAuthorization:
            if goesToPeer { hasCredentials = true }
            return goesToPeer
        case .authorization:
            hasCredentials = true
            return true
        case .connection:
            nominates = nominates || Nominations.hasAny(value)
            return false
        case .host:
            guard !hasHost else { throw .hostRepeated }
            // Hosts are compared without regard to case. Source: RFC 9110 §4.2.3.
            guard value.isEqual(ignoringCase: authority) else { throw .hostContradiction }
            hasHost = true
            return false
        case .contentLength:
            let length = value.decimal(value.trimmed(value.indices))
            switch body {
            case .none:
                guard length == 0 else { throw .contentLengthContradiction }
                saidZeroLength = true
            case .length(let expected):
                guard length == expected else { throw .contentLengthContradiction }
            case .chunked: throw .contentLengthContradiction
            }
            return false
        case .transferEncoding:
            // Two of them would say "chunked" twice.
            guard body == .chunked && !hasCoding && value.isEqual(ignoringCase: "chunked") else {
                throw .transferEncodingContradiction
            }
            hasCoding = true
            return false
        }
    }

    private func hasContinue(_ value: Span<UInt8>) -> Bool {
        var position = 0
        while let element = value.nextElement(&position) {
            if value.extracting(element).isEqual(ignoringCase: "100-continue") { return true }
        }
        return false
    }
}

/// The fields that the Connection fields of a request name: they end here too. Made only when there are any,
/// which a proxy that owns its end-to-end fields never sends; only then does encoding allocate.
struct Nominations {
    private var names: [Slice] = []

    /// `limit` is that of all options together, for each is compared with each field.
    init(_ request: borrowing Request, in block: Span<UInt8>, limit: Int) throws(RequestError) {
        for index in request.fields.indices {
            let field = request.fields[index]
            guard FieldName(block.extracting(field.name)) == .connection else { continue }
            var position = 0
            while let option = block.extracting(field.value).nextElement(&position) {
                guard names.count < limit else { throw .tooManyConnectionOptions(limit: limit) }
                names.append(Slice(start: Int(field.value.start) + option.lowerBound, count: option.count))
            }
        }
    }

    /// Whether a Connection field has an option that names a field which would go out otherwise.
    static func hasAny(_ value: Span<UInt8>) -> Bool {
        var position = 0
        while let element = value.nextElement(&position) {
            let option = value.extracting(element)
            switch FieldName(option) {
            case .te, .upgrade, .keepAlive, .proxyConnection, .connection: continue
            case .host, .contentLength, .transferEncoding: continue
            case .expect, .proxyAuthorization, .authorization: return true
            case .other: if !option.isEmpty && !option.isEqual(ignoringCase: "close") { return true }
            }
        }
        return false
    }

    /// Whether `name` is among them. Cache-Control never is: it is meant for every recipient (RFC 9110
    /// §7.6.1), and naming it would be a way to strip it.
    func contains(_ name: Span<UInt8>, in block: Span<UInt8>) -> Bool {
        if name.isEqual(ignoringCase: "cache-control") { return false }
        for option in names where block.extracting(option).isEqual(ignoringCase: name) { return true }
        return false
    }
}
