// Plain.swift: messages without slices, to be compared.
import Frames
import Model

struct PlainRequest: Equatable {
    let parts: [[UInt8]]
    let fields: [[UInt8]]
    let endpoints: [Endpoint]
    let localAddress: IPAddress?
    let route: Route
    let scheme: Scheme
    let body: RequestBody
    let retry: RetryRule
    let deadlines: Deadlines
    let tls: TLSRequest?
    let hop: HopRequest?
    let isConnect: Bool
    let balancing: GroupPolicy?
    let invalid: String?

    init(_ request: Request, _ block: Span<UInt8>) {
        parts = [
            block.extracting(request.method).array, block.extracting(request.authority).array,
            block.extracting(request.target).array, block.extracting(request.upgrade).array,
            block.extracting(request.tag).array, block.extracting(request.group).array,
            block.extracting(request.hashKey).array,
        ]
        fields = block.fields(request.fields)
        endpoints = request.endpoints
        localAddress = request.localAddress
        route = request.route
        scheme = request.scheme
        body = request.body
        retry = request.retry
        deadlines = request.deadlines
        tls = request.tls
        hop = request.hop
        isConnect = request.isConnect
        balancing = request.balancing
        invalid = request.invalid
    }
}

struct PlainReply: Equatable {
    let status: Int
    let version: Int
    let reason: [UInt8]
    let fields: [[UInt8]]
    let body: ReplyBody

    init(_ head: ReplyHead, _ block: Span<UInt8>) {
        status = head.status
        version = head.version
        reason = block.extracting(head.reason).array
        fields = block.fields(head.fields)
        body = head.body
    }
}

extension Span<UInt8> {
    var array: [UInt8] { indices.map { self[$0] } }

    /// Names and values in turn.
    func fields(_ fields: [FieldSlice]) -> [[UInt8]] {
        fields.flatMap { [extracting($0.name).array, extracting($0.value).array] }
    }

    /// The bytes as one number.
    func reduceBigEndian() -> Int { indices.reduce(0) { $0 << 8 | Int(self[$1]) } }
}

extension ByteBuffer {
    /// What stands behind the first frame's header.
    var payload: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes.extracting(droppingFirst: FrameHeader.byteCount) }
    }
}
