// Scratch.swift: protobuf-c's structs for one frame, made once and filled again for each.
// Owns: their memory. Never touches: what is to be said. Source: proto/outrigger.proto.
import COutriggerProto
import Model

/// Structs of one kind in a row, and the array of pointers to them that protobuf-c wants for a repeated field.
@safe struct StructRow<Message: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    private(set) var structs: UnsafeMutablePointer<Message>
    private(set) var pointers: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>
    private(set) var capacity: Int
    private let initial: Message

    /// `initial` is what the generated init function makes.
    init(capacity: Int, initial: Message) {
        self.capacity = max(1, capacity)
        self.initial = initial
        // SAFETY: every struct and pointer is initialised before anyone sees it; deinit frees both.
        unsafe structs = .allocate(capacity: self.capacity)
        unsafe pointers = .allocate(capacity: self.capacity)
        fill()
    }

    deinit {
        // SAFETY: allocated here; no pointer to them outlives an encoder's call.
        unsafe structs.deallocate()
        unsafe pointers.deallocate()
    }

    /// Makes room for `count` structs. What earlier ones were set to is lost when it grows.
    mutating func reserve(_ count: Int) {
        if count <= capacity { return }
        // SAFETY: as in `init` and `deinit`.
        unsafe structs.deallocate()
        unsafe pointers.deallocate()
        capacity = max(count, capacity * 2)
        unsafe structs = .allocate(capacity: capacity)
        unsafe pointers = .allocate(capacity: capacity)
        fill()
    }

    private func fill() {
        // SAFETY: both hold `capacity` elements.
        unsafe structs.initialize(repeating: initial, count: capacity)
        for index in 0..<capacity { unsafe (pointers + index).initialize(to: structs + index) }
    }
}

/// Everything an encoder fills before it lets protobuf-c pack.
@safe struct Scratch: ~Copyable, Sendable {
    /// Room for one address: the longest is a Unix path.
    private static let addressBytes = 112
    private static let endpointsAtFirst = 18

    var fields: StructRow<Outrigger__V1__Field>
    var endpoints: StructRow<Outrigger__V1__Endpoint>
    let deadlines: StructRow<Outrigger__V1__Deadlines>
    private var addresses: StructRow<UInt8>
    private let text: StructRow<CChar>

    init(fieldCountMax: Int) {
        // SAFETY: C structs of numbers and pointers; the init functions fill them whole, with pointers to constants.
        var field = unsafe Outrigger__V1__Field()
        unsafe outrigger__v1__field__init(&field)
        unsafe fields = StructRow(capacity: fieldCountMax, initial: field)
        var endpoint = unsafe Outrigger__V1__Endpoint()
        unsafe outrigger__v1__endpoint__init(&endpoint)
        unsafe endpoints = StructRow(capacity: Scratch.endpointsAtFirst, initial: endpoint)
        var deadlines = unsafe Outrigger__V1__Deadlines()
        unsafe outrigger__v1__deadlines__init(&deadlines)
        unsafe self.deadlines = StructRow(capacity: 1, initial: deadlines)
        addresses = StructRow(capacity: Scratch.endpointsAtFirst * Scratch.addressBytes, initial: 0)
        text = StructRow(capacity: MessageEncoder.textBytesMax + 1, initial: 0)
    }

    /// Sets the first structs of `fields`.
    /// - Returns: a bound of the bytes they pack to.
    mutating func setFields(_ slices: [FieldSlice], in block: Span<UInt8>) -> Int {
        unsafe fields.reserve(slices.count)
        var bound = slices.count * Bound.fieldOverhead
        // SAFETY: there is room for all; `Scratch.bytes` checks that each slice lies in `block`.
        for index in slices.indices {
            let slice = slices[index]
            let field = unsafe fields.structs + index
            unsafe field.pointee.name = Scratch.bytes(slice.name, in: block)
            unsafe field.pointee.value = Scratch.bytes(slice.value, in: block)
            bound += Int(slice.name.count) + Int(slice.value.count)
        }
        return bound
    }

    /// Makes room for so many endpoints. Set them after, not before.
    mutating func reserveEndpoints(_ count: Int) {
        // SAFETY: as said above, pointers into the rows are taken only after this.
        unsafe endpoints.reserve(count)
        addresses.reserve(count * Scratch.addressBytes)
    }

    /// Sets the struct at `index`.
    func setEndpoint(_ endpoint: Endpoint, at index: Int) {
        switch endpoint {
        case .ip(let address, let port):
            setAddress(address, at: index)
            // SAFETY: `reserveEndpoints` made room for the index.
            unsafe endpoints.structs[index].port = UInt32(port)
        case .unix(let path):
            precondition(path.count <= EndpointReader.pathBytesMax, "a Unix path over 107 bytes")
            // SAFETY: as above; `addressBytes` is more than a path can have.
            let bytes = unsafe addresses.structs + index * Scratch.addressBytes
            for offset in path.indices { unsafe bytes[offset] = path[offset] }
            unsafe endpoints.structs[index].ip = ProtobufCBinaryData()
            unsafe endpoints.structs[index].port = 0
            unsafe endpoints.structs[index].scope_id = 0
            unsafe endpoints.structs[index].unix_path = ProtobufCBinaryData(len: path.count, data: bytes)
        }
    }

    /// Sets the struct at `index` to an address with port 0.
    func setAddress(_ address: IPAddress, at index: Int) {
        // SAFETY: `reserveEndpoints` made room for the index; an address has at most 16 of its 112 bytes.
        let bytes = unsafe addresses.structs + index * Scratch.addressBytes
        let raw = UnsafeMutableRawPointer(bytes)
        var ip = unsafe ProtobufCBinaryData(len: 4, data: bytes)
        var scopeID: UInt32 = 0
        switch address {
        case .v4(let word): unsafe raw.storeBytes(of: word.bigEndian, as: UInt32.self)
        case .v6(let high, let low, let scope):
            unsafe raw.storeBytes(of: high.bigEndian, as: UInt64.self)
            unsafe raw.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            unsafe ip.len = 16
            scopeID = scope
        }
        unsafe endpoints.structs[index].ip = ip
        unsafe endpoints.structs[index].port = 0
        unsafe endpoints.structs[index].scope_id = scopeID
        unsafe endpoints.structs[index].unix_path = ProtobufCBinaryData()
    }

    /// A C string of `words` up to the first NUL, cut between characters where they are over 256 bytes.
    /// Valid until the next call.
    func cString(_ words: String) -> UnsafeMutablePointer<CChar> {
        let count = MessageEncoder.textBytes(words)
        // SAFETY: `text` has room for 256 bytes and the NUL.
        for (index, byte) in words.utf8.prefix(count).enumerated() {
            unsafe text.structs[index] = CChar(bitPattern: byte)
        }
        unsafe text.structs[count] = 0
        return unsafe text.structs
    }

    /// The bytes of `slice` where they stand. Traps when they do not lie in `block`.
    static func bytes(_ slice: Slice, in block: Span<UInt8>) -> ProtobufCBinaryData {
        if slice.isEmpty { return unsafe ProtobufCBinaryData() }
        // SAFETY: the span is checked to have the slice. The pointer is read by the pack call of the same encoder
        // function, for the whole of which its caller lends `block`; protobuf-c reads bytes fields only.
        return unsafe block.extracting(slice).withUnsafeBufferPointer { bytes in
            unsafe ProtobufCBinaryData(
                len: bytes.count,
                data: UnsafeMutablePointer(mutating: bytes.baseAddress)
            )
        }
    }
}

/// Upper bounds of packed sizes, in bytes.
enum Bound {
    /// A key of up to two bytes and a varint of 64 bits.
    static let number = 12
    /// A key of up to two bytes and a length of 32 bits.
    static let prefix = 7
    /// A field line without its name and value.
    static let fieldOverhead = 3 * prefix
    /// One endpoint: a prefix of its own, the longest path, port and scope.
    static let endpoint = 2 * prefix + EndpointReader.pathBytesMax + 2 * number
    static let deadlines = prefix + 5 * number
    static let text = prefix + MessageEncoder.textBytesMax
}
