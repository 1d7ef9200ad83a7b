// EndpointReader.swift: addresses in messages to addresses of the model.
// Owns: the Unix paths seen lately. Source: proto/outrigger.proto, message Endpoint.
import COutriggerProto
import Model

/// Why an endpoint is none, in words. It ends the request, not the session: one bad answer of a proxy's resolver must not
/// take its other streams along.
struct EndpointFault: Error {
    let words: String
}

/// Reads endpoints. An IP endpoint never allocates, a Unix path only when it was not among the last
/// `pathsMax`.
struct EndpointReader: ~Copyable, Sendable {
    private static let pathsMax = 16
    /// `sun_path` holds 108 bytes, the last of them a NUL (unix(7)).
    static let pathBytesMax = 107

    private var paths: [[UInt8]] = []
    private var oldest = 0

    init() { paths.reserveCapacity(EndpointReader.pathsMax) }

    mutating func endpoint(
        _ message: UnsafePointer<Outrigger__V1__Endpoint>
    ) throws(EndpointFault) -> Endpoint {
        // SAFETY: `message` was unpacked and its arena is alive.
        if unsafe message.pointee.unix_path.len > 0 {
            return try unsafe unix(message)
        }
        guard let address = try unsafe EndpointReader.address(message) else {
            throw EndpointFault(words: "endpoint has neither ip nor unix_path")
        }
        guard let port = unsafe UInt16(exactly: message.pointee.port), port > 0 else {
            throw EndpointFault(words: "endpoint has a port outside 1...65535")
        }
        return .ip(address, port: port)
    }

    /// The same in a reply's facts, where a sidecar says what it has connected to: there a fault is the message's.
    mutating func endpointOfReply(
        _ message: UnsafePointer<Outrigger__V1__Endpoint>
    ) throws(FrameError) -> Endpoint {
        do throws(EndpointFault) {
            // SAFETY: `message` was unpacked and its arena is alive.
            return try unsafe endpoint(message)
        } catch {
            throw .badMessage(error.words)
        }
    }

    /// The address of a message that must not be a Unix path; its port is ignored.
    static func localAddress(
        _ message: UnsafePointer<Outrigger__V1__Endpoint>
    ) throws(EndpointFault) -> IPAddress {
        // SAFETY: `message` was unpacked and its arena is alive.
        guard unsafe message.pointee.unix_path.len == 0, let address = try unsafe address(message) else {
            throw EndpointFault(words: "local_address is not an ip")
        }
        return address
    }

    /// - Returns: `nil` without an `ip`.
    private static func address(
        _ message: UnsafePointer<Outrigger__V1__Endpoint>
    ) throws(EndpointFault) -> IPAddress? {
        // SAFETY: `message` was unpacked and its arena is alive; `ip` has `len` bytes.
        let scope = unsafe message.pointee.scope_id
        let bytes = unsafe UnsafeRawBufferPointer(
            start: message.pointee.ip.data,
            count: message.pointee.ip.len
        )
        switch bytes.count {
        case 0: return nil
        case 4:
            guard scope == 0 else {
                throw EndpointFault(words: "endpoint has a scope_id with an IPv4 address")
            }
            return unsafe .v4(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        case 16:
            return unsafe .v6(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                scope: scope
            )
        default: throw EndpointFault(words: "endpoint has an ip of neither 4 nor 16 bytes")
        }
    }

    private mutating func unix(
        _ message: UnsafePointer<Outrigger__V1__Endpoint>
    ) throws(EndpointFault) -> Endpoint {
        // SAFETY: `message` was unpacked and its arena is alive; `unix_path` has `len` bytes.
        let bytes = unsafe UnsafeBufferPointer(
            start: message.pointee.unix_path.data,
            count: message.pointee.unix_path.len
        )
        guard unsafe message.pointee.ip.len == 0 else {
            throw EndpointFault(words: "endpoint has both ip and unix_path")
        }
        guard unsafe message.pointee.port == 0, unsafe message.pointee.scope_id == 0 else {
            throw EndpointFault(words: "endpoint has a port or scope_id with a unix_path")
        }
        guard bytes.count <= EndpointReader.pathBytesMax else {
            throw EndpointFault(words: "endpoint has a unix_path over \(EndpointReader.pathBytesMax) bytes")
        }
        guard unsafe !bytes.contains(0) else { throw EndpointFault(words: "endpoint has a NUL in unix_path") }
        for path in paths where unsafe path.elementsEqual(bytes) { return .unix(path: path) }
        let path = unsafe Array(bytes)
        if paths.count < EndpointReader.pathsMax {
            paths.append(path)
        } else {
            paths[oldest] = path
            oldest = (oldest + 1) % EndpointReader.pathsMax
        }
        return .unix(path: path)
    }
}
