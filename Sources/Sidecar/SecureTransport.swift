// SecureTransport.swift: one or two layers of TLS on a socket, one inside the other, as one.
// Owns: the layers and what is under way between them. Never touches: the engine, the socket's readiness.
// Source: DESIGN "Modules", TLS; RFC 8446 §6.1.
import EventLoop
import Model
import TLS

/// A layer inside another.
private final class InnerLayer {
    var layer: TLSLayer

    init(_ layer: consuming TLSLayer) { self.layer = layer }

    /// Lets the lower layer encrypt what this one has to send, as far as there is room.
    func sinkOutput(into lower: inout TLSLayer) {
        var taken = 0
        repeat {
            taken = layer.sendOutput { $0.isEmpty ? 0 : lower.write($0) }
        } while taken > 0
    }
}

/// What a look for memory to give back did.
enum MemoryLook {
    /// It was given back before, and nothing happened since.
    case nothingToRelease
    /// The connection was used not long ago.
    case tooSoon
    case released
}

/// The TLS of one connection. A class, so that the connection's slot can be copied; it is the slot's alone.
final class SecureTransport {
    /// The layer on the socket.
    private var bottom: TLSLayer
    /// The layer inside it: to the origin, where `bottom` is to a peer.
    private var top: InnerLayer?
    /// Whether the uppermost layer is not established yet.
    private(set) var isHandshaking = true
    /// Whether reading may bring something without more from the socket.
    private(set) var mayHavePlaintext = false
    /// Bytes of the engine's that are encrypted and not yet all in the kernel.
    var unwrittenPlaintext = 0
    /// Whether the layer could take less than it was offered: it waits for its output to leave.
    var isInputFull = false
    /// Whether FIN follows what waits.
    var endsBehindOutput = false
    /// Looks that found it unused, one after the other; those behind the second are not counted.
    private var quietLooks = 0

    init(_ layer: consuming TLSLayer) { bottom = layer }

    /// Puts a layer inside the one that stands.
    func add(_ layer: consuming TLSLayer) {
        precondition(top == nil && !isHandshaking, "a layer in the middle of another's handshake")
        top = InnerLayer(layer)
        isHandshaking = true
        mayHavePlaintext = true
    }

    // From the socket.

    /// Takes what the socket has. `buffer` is lent to the layer for as long as it needs it.
    func receive(from socket: Socket, upTo bytesMax: Int, _ buffer: inout ByteBuffer) -> Transfer {
        quietLooks = 0
        bottom.swapInput(&buffer)
        let countMax = min(bytesMax, bottom.inputRoom)
        isInputFull = countMax < bytesMax
        if countMax == 0 { return .wouldBlock }
        var transfer = Transfer.wouldBlock
        bottom.receive(upTo: countMax) { transfer = socket.read(into: &$0) }
        switch transfer {
        case .bytes: mayHavePlaintext = true
        case .endOfFile: endOfInput()
        case .wouldBlock, .failed: break
        }
        return transfer
    }

    /// Gives back memory that was lent, unless something waits in it.
    func returnInput(_ buffer: inout ByteBuffer) { bottom.swapInput(&buffer) }

    /// The socket has ended.
    private func endOfInput() {
        bottom.endOfInput()
        mayHavePlaintext = true
    }

    /// Goes on with the handshake of the uppermost layer.
    func handshake() -> TLSHandshake {
        var result = TLSHandshake.needsMore
        if let top {
            repeat { result = top.layer.handshake() } while result == .needsMore && fill(top)
        } else {
            result = bottom.handshake()
        }
        sinkOutput()
        switch result {
        case .needsMore: mayHavePlaintext = false
        case .done:
            isHandshaking = false
            mayHavePlaintext = true
        case .failed: break
        }
        return result
    }

    /// Appends plaintext of the uppermost layer.
    func read(into bytes: inout OutputSpan<UInt8>) -> TLSRead {
        var result = TLSRead.wouldBlock
        if let top {
            repeat { result = top.layer.read(into: &bytes) } while result == .wouldBlock && fill(top)
        } else {
            result = bottom.read(into: &bytes)
        }
        sinkOutput()
        if result == .wouldBlock || bytes.freeCapacity > 0 { mayHavePlaintext = hasMore(behind: result) }
        return result
    }

    /// Whether a read that did not fill its room has an end to tell of next. An end itself is told once.
    private func hasMore(behind result: TLSRead) -> Bool {
        switch result {
        case .bytes: top?.layer.hasUnread == true || bottom.hasUnread
        case .wouldBlock, .endOfFile, .truncated, .failed: false
        }
    }

    /// Moves plaintext of the lower layer into the upper one. - Returns: whether that may make a difference.
    private func fill(_ top: InnerLayer) -> Bool {
        if top.layer.inputRoom == 0 { return false }
        var result = TLSRead.wouldBlock
        top.layer.receive { result = bottom.read(into: &$0) }
        switch result {
        case .bytes: return true
        case .wouldBlock: return false
        case .endOfFile, .truncated, .failed:
            if top.layer.isInputEnded { return false }
            top.layer.endOfInput()
            return true
        }
    }

    // To the socket.

    /// Whether ciphertext waits to be sent.
    var hasOutput: Bool { bottom.hasOutput }

    /// Encrypts. - Returns: bytes taken.
    func write(_ plaintext: Span<UInt8>) -> Int {
        quietLooks = 0
        let count = top?.layer.write(plaintext) ?? bottom.write(plaintext)
        sinkOutput()
        return count
    }

    /// Says in every layer that nothing more comes.
    func closeNotify() {
        if isHandshaking && top == nil { return }
        if !isHandshaking { top?.layer.closeNotify() }
        sinkOutput()
        bottom.closeNotify()
    }

    /// Writes ciphertext. - Returns: `.bytes(0)` when all is written.
    func flush(to socket: Socket) -> Transfer {
        while true {
            sinkOutput()
            var waiting = 0
            var transfer = Transfer.bytes(0)
            let written = bottom.sendOutput { output in
                waiting = output.count
                if waiting == 0 { return 0 }
                transfer = socket.write(output)
                if case .bytes(let count) = transfer { return count }
                return 0
            }
            if waiting == 0 { return .bytes(0) }
            if written == 0 { return transfer }
            if written < waiting { return .wouldBlock }
        }
    }

    /// Gives memory back when this is the second look in a row that finds it unused.
    func releaseMemoryIfQuiet() -> MemoryLook {
        if quietLooks == 2 { return .nothingToRelease }
        quietLooks += 1
        if quietLooks < 2 { return .tooSoon }
        top?.layer.releaseMemory()
        bottom.releaseMemory()
        return .released
    }

    /// The connection goes to another thread.
    func leaveThread() {
        top?.layer.leaveThread()
        bottom.leaveThread()
        // An end that was told here is told once more there.
        if top?.layer.hasUnread == true || bottom.hasUnread { mayHavePlaintext = true }
    }

    private func sinkOutput() { top?.sinkOutput(into: &bottom) }
}
