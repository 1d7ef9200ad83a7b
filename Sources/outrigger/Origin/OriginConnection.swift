// OriginConnection.swift: one connection at the scripted origin. Owns: its bytes and its place in the script.
// Source: OriginReply.
import EventLoop
import Model

/// One connection at the origin. Call `run` whenever the poller reports it.
final class OriginConnection {
    private enum State {
        case head
        case body(OriginRequest, left: Int)
        case chunkedBody(OriginRequest, OriginChunks)
        case echoing
        /// Whatever comes is dropped: the last reply was sent, or none ever will be.
        case deaf
    }

    let socket: Socket
    private(set) var requests = 0
    private var state = State.head
    private var input = ByteBuffer()
    private var output = ByteBuffer()
    private var body = OriginBody.none
    private var bodyOffset = 0
    private var receivedBytes = 0
    private var isIntact = true
    private var isSpoiled = false
    private var owner: Int?
    private var closesAfterOutput = false
    private var hasShutDown = false
    private var isReadEnded = false

    private static let readBytesMax = 131_072
    private static let chunkBytesMax = 16_384

    init(_ socket: Socket) { self.socket = socket }

    /// Does all that can be done now.
    /// - Returns: `false`: the connection is over; close it.
    func run() -> Bool {
        while true {
            guard write() else { return false }
            // What cannot be written now stops reading too, so that memory stays bounded.
            guard output.isEmpty, body == .none else { return true }
            if advance() { continue }
            if isReadEnded { return false }
            switch read() {
            case .bytes: continue
            case .wouldBlock: return true
            case .endOfFile: isReadEnded = true
            case .failed: return false
            }
        }
    }

    private func read() -> Transfer {
        var transfer = Transfer.wouldBlock
        input.append(upTo: Self.readBytesMax) { transfer = socket.read(into: &$0) }
        return transfer
    }

    /// - Returns: `false`: the socket has failed.
    private func write() -> Bool {
        while true {
            let bodyBytes = pendingBody()
            if output.isEmpty, bodyBytes.isEmpty {
                if closesAfterOutput, !hasShutDown {
                    hasShutDown = true
                    socket.shutdownWriting()
                }
                return true
            }
            switch socket.write(output.bytes, bodyBytes.span, Span()) {
            case .bytes(let count):
                let head = min(count, output.count)
                output.consume(head)
                sentBody(count - head)
            case .wouldBlock: return true
            case .endOfFile, .failed: return false
            }
        }
    }

    /// Body bytes that are written in place; chunks go by way of `output`.
    private func pendingBody() -> ArraySlice<UInt8> {
        switch body {
        case .none: return []
        case .plain(let count): return Pattern.bytes(from: bodyOffset, countMax: count)
        case .chunked(let count, let isCut):
            guard output.isEmpty else { return [] }
            appendChunk(left: count, isCut: isCut)
            return []
        }
    }

    private func sentBody(_ count: Int) {
        guard count > 0, case .plain(let left) = body else { return }
        bodyOffset += count
        body = left == count ? .none : .plain(left - count)
    }

    private func appendChunk(left: Int, isCut: Bool) {
        guard left > 0 else {
            body = .none
            if !isCut { output.append("0\r\nX-Bytes: \(bodyOffset)\r\n\r\n") }
            return
        }
        let data = Pattern.bytes(from: bodyOffset, countMax: min(left, Self.chunkBytesMax))
        output.append(String(data.count, radix: 16) + ";kind=demo\r\n")
        output.append(data.span)
        output.append("\r\n")
        bodyOffset += data.count
        body = .chunked(left - data.count, isCut: isCut)
    }

    /// Takes the next piece of the input.
    /// - Returns: `false`: more bytes are needed.
    private func advance() -> Bool {
        switch state {
        case .head:
            guard let request = OriginRequest(input.bytes) else { return false }
            input.consume(request.headBytes)
            begin(request)
        case .body(let request, let left):
            guard !input.isEmpty else { return false }
            let count = min(left, input.count)
            received(0..<count)
            input.consume(count)
            state = .body(request, left: left - count)
            if left == count { finish(hasTrailers: false) }
        case .chunkedBody(let request, var chunks):
            var data = 0..<0
            let done = chunks.take(input.bytes, data: &data)
            guard done > 0 else { return false }
            received(data)
            input.consume(done)
            state = .chunkedBody(request, chunks)
            if chunks.isComplete { finish(hasTrailers: chunks.hasTrailers) }
        case .echoing:
            guard !input.isEmpty else { return false }
            output.append(input.bytes)
            input.removeAll()
        case .deaf:
            input.removeAll()
            return false
        }
        return true
    }

    private func received(_ range: Range<Int>) {
        if !Pattern.matches(input.bytes, range, from: receivedBytes) { isIntact = false }
        receivedBytes += range.count
    }

    private func begin(_ request: OriginRequest) {
        requests += 1
        (receivedBytes, isIntact) = (0, true)
        if isSpoiled {
            closesAfterOutput = true
            state = .deaf
            return
        }
        if request.verb == "own" && owner == nil { owner = request.amount }
        let reply = OriginReply(request, owner: owner)
        if request.bodyBytes != 0, reply?.ignoresBody == false {
            if request.expectsContinue { output.append("HTTP/1.1 100 Continue\r\n\r\n") }
            if let bytes = request.bodyBytes {
                state = .body(request, left: bytes)
            } else {
                state = .chunkedBody(request, OriginChunks())
            }
            return
        }
        guard let reply else {
            state = .deaf
            return
        }
        send(reply)
    }

    private func finish(hasTrailers: Bool) {
        send(.received(bytes: receivedBytes, isIntact: isIntact, hasTrailers: hasTrailers))
    }

    private func send(_ reply: OriginReply) {
        output.append(reply.head)
        body = reply.body == .plain(0) ? .none : reply.body
        bodyOffset = 0
        isSpoiled = reply.spoils
        closesAfterOutput = reply.closes || reply.ignoresBody
        state = closesAfterOutput ? .deaf : reply.echoes ? .echoing : .head
    }
}
