// RigUpstreams.swift: what upstreams do in scripts, and how the rig reads and writes their sockets.
import Model

@testable import Engine

extension Rig {
    func connect(_ socket: Int) {
        engine.dialed(sockets[socket].id, .connected(local: nil), now: now)
        run()
    }

    func fail(_ socket: Int, _ result: AttemptResult = .refused) {
        sockets[socket].isClosed = true
        engine.dialed(sockets[socket].id, .failed(result), now: now)
        run()
    }

    /// An upstream sends text in which | stands for CR LF.
    func hear(_ socket: Int, _ text: String) {
        let pieces = text.split(separator: "|", omittingEmptySubsequences: false)
        hearBytes(socket, Array(pieces.joined(separator: "\r\n").utf8))
    }

    func hearBytes(_ socket: Int, _ bytes: [UInt8]) {
        sockets[socket].arrived += bytes
        deliver(socket)
    }

    /// A handshake is done.
    func secure(_ socket: Int, _ change: (inout TLSFacts) -> Void = { _ in }) {
        var facts = TLSFacts()
        change(&facts)
        engine.secured(sockets[socket].id, .success(facts), now: now)
        run()
    }

    /// A handshake failed.
    func failTLS(_ socket: Int, _ kind: TLSFailure.Kind, blame: TLSFailure.Blame? = nil) {
        sockets[socket].isClosed = true
        let failure = TLSFailure(kind, "words", blame: blame)
        engine.secured(sockets[socket].id, .failure(failure), now: now)
        run()
    }

    /// The upstream says close_notify and sends FIN.
    func endProven(_ socket: Int) {
        sockets[socket].isEndProven = true
        end(socket)
    }

    /// The upstream sends FIN.
    func end(_ socket: Int) {
        sockets[socket].hasEnded = true
        deliver(socket)
    }

    /// The upstream's FIN is told although the engine has paused reading.
    func endAtOnce(_ socket: Int) {
        sockets[socket].isEndTold = true
        engine.endOfFile(from: sockets[socket].id, now: now)
        run()
    }

    /// The socket fails.
    func reset(_ socket: Int, _ cause: CloseCause = .reset) {
        sockets[socket].isClosed = true
        engine.closed(sockets[socket].id, cause, now: now)
        run()
    }

    /// The socket has encrypted what waits, and cannot write it.
    func commit(_ socket: Int) {
        isWriting = false
        engine.committed(to: sockets[socket].id)
        run()
    }

    /// A probe will find it dead.
    func spoil(_ socket: Int) { sockets[socket].isStale = true }

    /// A probe over TLS will find FIN.
    func spoilTLS(_ socket: Int) { sockets[socket].isStaleInTLS = true }

    /// The socket takes so many bytes of what waits.
    func write(_ socket: Int, _ bytesMax: Int = .max) {
        writeOnce(socket, bytesMax: bytesMax)
        run()
    }

    func deliver(_ socket: Int) {
        while !sockets[socket].isClosed && !sockets[socket].isPaused && !sockets[socket].arrived.isEmpty {
            let id = sockets[socket].id
            if reading == .inPlace || reading == .piped, engine.holdsReading(id) {
                sockets[socket].isPaused = true
                holds += 1
                return
            }
            let pipedMax = reading == .piped ? engine.bytesThroughPipeMax(id) : 0
            if pipedMax > 0 {
                let piece = Array(sockets[socket].arrived.prefix(pipedMax))
                sockets[socket].arrived.removeFirst(piece.count)
                pipes.append(piece)
                pipedBytes += piece.count
                _ = engine.piped(piece.count, into: pipes.count - 1, from: id, now: now)
            } else if reading == .inPlace, engine.bytesInPlaceMax(id) > 0 {
                engine.receivedInPlace(from: id, now: now) { place in
                    let count = min(place.freeCapacity, sockets[socket].arrived.count)
                    for byte in sockets[socket].arrived[..<count] { place.append(byte) }
                    sockets[socket].arrived.removeFirst(count)
                    inPlaceBytes += count
                    return !sockets[socket].arrived.isEmpty
                }
            } else {
                let count = reading == .byteByByte ? 1 : sockets[socket].arrived.count
                let piece = Array(sockets[socket].arrived[..<count])
                sockets[socket].arrived.removeFirst(count)
                let mayHaveMore = !sockets[socket].arrived.isEmpty
                engine.received(piece.span, from: id, mayHaveMore: mayHaveMore, now: now)
            }
            run()
        }
        if sockets[socket].hasEnded && !sockets[socket].isEndTold && sockets[socket].arrived.isEmpty
            && !sockets[socket].isClosed && !sockets[socket].isPaused
        {
            sockets[socket].isEndTold = true
            engine.endOfFile(from: sockets[socket].id, isProven: sockets[socket].isEndProven, now: now)
            run()
        }
    }

    func writeOnce(_ socket: Int, bytesMax: Int) {
        let id = sockets[socket].id
        while sockets[socket].isWriteOrdered && !sockets[socket].isClosed {
            if sockets[socket].probesFirst {
                sockets[socket].probesFirst = false
                record.add("probe \(socket)")
                if sockets[socket].isStale { return reset(socket, .stale) }
                if sockets[socket].isStaleInTLS { return endAtOnce(socket) }
            }
            let output = Self.output(of: id, engine)
            sockets[socket].isWriteOrdered = !output.isEmpty
            if output.isEmpty { return }
            let piece = Array(output.prefix(bytesMax))
            upstreamGot(socket, piece)
            engine.wrote(piece.count, to: id, now: now)
            if bytesMax != .max { return }
        }
    }

    /// What waits and a piece of body behind it, as far as the socket takes them.
    func pass(_ id: ConnectionID, _ waiting: Span<UInt8>, _ body: Span<UInt8>) -> Int {
        guard isWriting, let socket = find(id, "pass") else { return 0 }
        let piece = Array((array(waiting) + array(body)).prefix(writeBytesMax))
        upstreamGot(socket, piece)
        passedBytes += max(0, piece.count - waiting.count)
        return piece.count
    }

    static func output(of id: ConnectionID, _ engine: borrowing WorkerEngine) -> [UInt8] {
        array(engine.output(of: id))
    }
}
