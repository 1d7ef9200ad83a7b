// SimWorker.swift: plays the worker: polls, reads, writes and runs the engine's orders as the real one
// does. Rules of the seam: connection events before session events; orders in the order given, after the
// call that gave them has returned; nothing is reported for an id that is dead. Source: WorkerEngine.swift,
// Effect.
import Engine
import Model

/// What the worker keeps between turns.
struct SimWorker {
    var taken: [Effect] = []
    var waiting: [Effect] = []
    var isRunning = false
    var isInTurn = false
    /// When it wakes next; `never`: no wake-up is planned.
    var turnAt = Instant.never
    /// For lookups only.
    var linkOfConnection: [ConnectionID: Int] = [:]
    var linkOfSession: [SessionID: Int] = [:]
    /// Links whose worker side is not over, in order of their making.
    var live: [Int] = []
    /// By their numbers.
    var pipes: [SimPipe] = []

    /// An empty pipe's number; `nil`: all have bytes.
    mutating func emptyPipe(countMax: Int) -> Int? {
        if let number = pipes.firstIndex(where: { $0.bytes.isEmpty }) { return number }
        if pipes.count >= countMax { return nil }
        pipes.append(SimPipe())
        return pipes.count - 1
    }
}

/// Bytes on their way from an upstream to a session.
struct SimPipe {
    var bytes: [UInt8] = []
    var session: SessionID?
}

extension SimWorld {
    /// Wakes a worker up at `time`, unless it wakes earlier anyway.
    func planTurn(of number: Int, at time: Instant) {
        let time = max(time, now)
        guard time < workers[number].turnAt || workers[number].turnAt < now else { return }
        workers[number].turnAt = time
        plan(.workerTurn(worker: number), at: time)
    }

    /// One call into the engine of the active worker, then its orders.
    func callEngine(_ call: (inout WorkerEngine, Instant) -> Void) {
        record.calls += 1
        call(&engine, now)
        takeEffects()
        if scenario.runsEffectsAtOnce || !worker.isInTurn { runEffects() }
        if !worker.isInTurn { planNextTurn() }
    }

    /// One turn of the event loop.
    func workerTurn(_ number: Int) {
        active = number
        if worker.turnAt <= now { worker.turnAt = .never }
        worker.isInTurn = true
        var ready = worker.live.filter { links[$0].isReady }
        random.shuffle(&ready)
        for id in ready where links[id].session == nil { serveConnection(links[id]) }
        for id in ready where links[id].session != nil { serveSession(links[id]) }
        runEffects()
        if let deadline = engine.nextDeadline, deadline <= now {
            callEngine { $0.advance(to: $1) }
            if let next = engine.nextDeadline, next <= now {
                observe(.deadlineInThePast(nanoseconds: now.nanoseconds - next.nanoseconds))
                isStuck = true
            }
        } else if random.chance(5) {
            // A timer that fires early.
            callEngine { $0.advance(to: $1) }
        }
        runEffects()
        observeBuffers()
        worker.live.removeAll { links[$0].workerSide == .over }
        worker.isInTurn = false
        planNextTurn()
    }

    private func planNextTurn() {
        if worker.live.contains(where: { links[$0].isReady }) {
            planTurn(of: active, at: now.adding(microseconds: 1 + randomDelay() / 10))
        }
        if let deadline = engine.nextDeadline {
            planTurn(of: active, at: max(deadline, now).adding(microseconds: random.pick([0, 0, 1, 2000])))
        }
    }

    /// Bytes that wait to be written.
    func outputCount(of connection: ConnectionID) -> Int { engine.outputCount(of: connection) }

    func outputCount(of session: SessionID) -> Int { engine.outputCount(of: session) }

    private func observeBuffers() {
        for id in worker.live where links[id].workerSide == .open && !links[id].isCloseOrdered {
            let link = links[id]
            if let session = link.session, case .proxy(let proxy) = link.farEnd {
                let bytes = outputCount(of: session)
                if bytes > 0 { observe(.sessionOutput(proxy: proxy, bytes: bytes)) }
            } else if let connection = link.connection {
                let bytes = outputCount(of: connection)
                if bytes > 0 { observe(.connectionOutput(link: id, bytes: bytes)) }
            }
        }
    }

    // Connections.

    func dialAnswer(_ link: Link) {
        guard case .dialing(let answer, _) = link.workerSide, !link.isCloseOrdered else { return }
        link.workerSide = .dialing(answer: answer, isDue: true)
        planTurn(of: link.worker, at: now.adding(microseconds: randomDelay() / 10))
    }

    private func serveConnection(_ link: Link) {
        guard link.isReady, let connection = link.connection else { return }
        if case .dialing(let answer, _) = link.workerSide {
            if case .connected = answer { link.workerSide = .open } else { link.workerSide = .over }
            if link.workerSide == .over { uncount(link) }
            observe(.dialed(link: link.id, answer))
            return callEngine { $0.dialed(connection, answer, now: $1) }
        }
        if link.handshake != nil { return continueHandshake(link, connection) }
        // Bytes before room: what has arrived may forbid what is about to be written.
        readConnection(link, connection)
        if link.connection == connection && link.isOpenAtWorker && link.wantsWrite {
            writeConnection(link, connection)
        }
    }

    func readConnection(_ link: Link, _ connection: ConnectionID) {
        guard !link.isPaused else { return }
        // Until a read comes back short: what has arrived is known before sessions are served.
        // A connection that was given back may be pinned and on its way to another worker.
        while link.connection == connection && link.isOpenAtWorker && !link.isPaused && link.isReady
            && link.handshake == nil
        {
            if !link.toEngine.arrived.isEmpty {
                readBytes(link, connection)
            } else if link.toEngine.isReset {
                return lose(link, connection, .reset)
            } else if link.isSecure && link.toEngine.hasGarbageArrived {
                return lose(link, connection, .broken(TLSFailure(.handshake, "a broken record")))
            } else if link.toEngine.isReadable && !link.isEndOfFileReported {
                return reportEnd(link, connection)
            } else {
                return
            }
        }
    }

    private func reportEnd(_ link: Link, _ connection: ConnectionID) {
        link.isEndOfFileReported = true
        let isProven = link.isSecure && link.toEngine.hasNotifyArrived
        observe(.connectionOver(link: link.id, reason: "FIN", isProven: isProven))
        let isTrusted = isProven || (link.isSecure && sabotages(.trustTruncation))
        callEngine { $0.endOfFile(from: connection, isProven: isTrusted, now: $1) }
    }

    private func readBytes(_ link: Link, _ connection: ConnectionID) {
        let inPlaceMax = engine.bytesInPlaceMax(connection)
        let pipe = link.toEngine
        // The real worker always asks; the engine must also do with what is read without asking.
        if random.chance(70) && engine.holdsReading(connection) {
            link.isPaused = true
            return
        }
        let pipedMax = min(engine.bytesThroughPipeMax(connection), scenario.readBytesMax)
        if pipedMax > 0, random.chance(70),
            let number = worker.emptyPipe(countMax: scenario.limits.pipesMax)
        {
            let bytes = pipe.read(upTo: pipedMax)
            observe(.read(link: link.id, count: bytes.count, inPlace: true))
            worker.pipes[number].bytes = bytes
            callEngine { engine, now in
                self.worker.pipes[number].session = engine.piped(
                    bytes.count,
                    into: number,
                    from: connection,
                    now: now
                )
            }
        } else if inPlaceMax > 0 && random.chance(70) {
            let countMax = min(inPlaceMax, scenario.readBytesMax)
            let before = pipe.readTotal
            // What does not fit in place is read with it, and handed over behind it in the same call.
            let behindMax = [0, 1, 100, scenario.readBytesMax][record.calls % 4]
            callEngine { engine, now in
                var behind: [UInt8] = []
                engine.receivedInPlace(from: connection, now: now) { output in
                    let bytes = pipe.read(upTo: min(countMax, output.freeCapacity))
                    for byte in bytes { output.append(byte) }
                    if output.freeCapacity == 0 { behind = pipe.read(upTo: behindMax) }
                    let count = bytes.count + behind.count
                    self.observe(.read(link: link.id, count: count, inPlace: true))
                    return bytes.count == countMax || !behind.isEmpty
                }
                precondition(pipe.readTotal - before <= inPlaceMax + behind.count)
                if behind.isEmpty { return }
                engine.received(behind.span, from: connection, mayHaveMore: true, now: now)
            }
        } else {
            let bytes = pipe.read(upTo: scenario.readBytesMax)
            observe(.read(link: link.id, count: bytes.count, inPlace: false))
            let mayHaveMore = bytes.count == scenario.readBytesMax
            callEngine { $0.received(bytes.span, from: connection, mayHaveMore: mayHaveMore, now: $1) }
        }
        farRoomChanged(link)
    }

    /// The socket is gone without the engine's order.
    private func lose(_ link: Link, _ connection: ConnectionID, _ cause: CloseCause) {
        observe(.connectionOver(link: link.id, reason: "\(cause)", isProven: false))
        closeAtWorker(link)
        callEngine { $0.closed(connection, cause, now: $1) }
    }

    /// Writes what there is room for. A reset socket is drained of what arrived before, then reported.
    func writeConnection(_ link: Link, _ connection: ConnectionID) {
        if link.probesFirst {
            link.probesFirst = false
            if link.toEngine.isReadable {
                guard link.isSecure else { return lose(link, connection, .stale) }
                // What there is may be TLS's own: it is read, and the engine told of the rest.
                readConnection(link, connection)
                guard link.connection == connection, link.isOpenAtWorker, !link.isEndOfFileReported else {
                    return
                }
            }
        }
        while link.connection == connection && link.isOpenAtWorker && link.wantsWrite {
            if outputCount(of: connection) == 0 {
                link.wantsWrite = false
                return
            }
            if link.toEngine.isReset { return failWrite(link, connection) }
            guard link.fromEngine.room > 0, !random.chance(scenario.spuriousPercent) else { return }
            let count = transmit(engine.copyOutput(of: connection, upTo: .max), on: link)
            callEngine { $0.wrote(count, to: connection, now: $1) }
        }
    }

    /// One write of as much of `output` as there is room for. - Returns: bytes written.
    private func transmit(_ output: [UInt8], on link: Link) -> Int {
        var count = min(output.count, link.fromEngine.room)
        if count > 1 && random.chance(scenario.spuriousPercent) { count = random.between(1, count) }
        let endsInBody = tap(link, output, count)
        var bytes = Array(output[..<count])
        if endsInBody && sabotages(.flipRequestByte) { bytes[count - 1] ^= 0x20 }
        send(.bytes(bytes), on: link, towardsEngine: false)
        return count
    }

    /// What waits for a connection and a piece of body behind it, in the middle of a call of the engine's.
    private func pass(_ connection: ConnectionID, _ waiting: Span<UInt8>, _ body: Span<UInt8>) -> Int {
        guard let index = worker.linkOfConnection[connection], links[index].isOpenAtWorker else {
            observe(
                .effectOutOfTurn(
                    .writeConnection(connection, probeFirst: false),
                    reason: "passed to no connection"
                )
            )
            return 0
        }
        let link = links[index]
        guard !link.probesFirst, !link.isSecure, !link.toEngine.isReset, link.fromEngine.room > 0,
            !random.chance(scenario.spuriousPercent)
        else { return 0 }
        return transmit(copy(waiting) + copy(body), on: link)
    }

    private func failWrite(_ link: Link, _ connection: ConnectionID) {
        while link.connection == connection && !link.toEngine.arrived.isEmpty && !link.isPaused
            && link.isOpenAtWorker
        {
            readBytes(link, connection)
        }
        if link.connection == connection && link.isOpenAtWorker { lose(link, connection, .reset) }
    }

    // Sessions.

    private func serveSession(_ link: Link) {
        guard link.isReady, let session = link.session else { return }
        if link.wantsWrite { writeSession(link, session) }
        guard link.isOpenAtWorker, !random.chance(scenario.spuriousPercent) else { return }
        for _ in 0..<scenario.readsPerTurnMax where link.isOpenAtWorker {
            if !link.toEngine.arrived.isEmpty {
                let bytes = link.toEngine.read(upTo: scenario.readBytesMax)
                farRoomChanged(link)
                noteReached(link, bytes)
                callEngine { engine, now in
                    engine.received(bytes.span, from: session, now: now) { self.pass($0, $1, $2) }
                }
            } else if link.toEngine.isReset || link.toEngine.hasFinishArrived {
                return loseSession(link, session, byEngine: false)
            }
        }
    }

    func loseSession(_ link: Link, _ session: SessionID, byEngine: Bool) {
        closeAtWorker(link)
        if case .proxy(let proxy) = link.farEnd { observe(.sessionOver(proxy: proxy, byEngine: byEngine)) }
        for number in worker.pipes.indices where worker.pipes[number].session == session {
            worker.pipes[number] = SimPipe()
        }
        if sabotages(.forgetSession) { return }
        callEngine { $0.closed(session, now: $1) }
    }

    func writeSession(_ link: Link, _ session: SessionID) {
        while link.isOpenAtWorker && link.wantsWrite {
            if outputCount(of: session) == 0 {
                link.wantsWrite = false
                return
            }
            if link.toEngine.isReset { return loseSession(link, session, byEngine: false) }
            guard link.fromEngine.room > 0, !random.chance(scenario.spuriousPercent) else { return }
            writeOnce(link, session)
        }
    }

    /// One write, of the pipe that is due or gathering what else waits; the engine is told of it if `isReported`.
    func writeOnce(_ link: Link, _ session: SessionID, isReported: Bool = true) {
        if let due = engine.pipeDue(of: session) {
            var count = min(due.bytes, link.fromEngine.room)
            if count > 1 && random.chance(scenario.spuriousPercent) { count = random.between(1, count) }
            if count == 0 { return }
            send(.bytes(Array(worker.pipes[due.pipe].bytes.prefix(count))), on: link, towardsEngine: false)
            worker.pipes[due.pipe].bytes.removeFirst(count)
            if isReported { callEngine { $0.wroteDue(count, to: session, now: $1) } }
        } else {
            let count = writeSegments(link, session)
            if isReported && count > 0 { callEngine { $0.wrote(count, to: session, now: $1) } }
        }
    }

    /// One gathering write. - Returns: bytes written.
    private func writeSegments(_ link: Link, _ session: SessionID) -> Int {
        let output = engine.copyOutput(of: session, upTo: link.fromEngine.room)
        var count = output.count
        if count > 1 && random.chance(scenario.spuriousPercent) { count = random.between(1, count) }
        if count > 0 { send(.bytes(Array(output[..<count])), on: link, towardsEngine: false) }
        return count
    }
}

extension SimWorld {
    /// The worker accepts a proxy.
    func connectSession(_ link: Link, isRefused: Bool, userID: UInt32 = 0) {
        active = link.worker
        var session: SessionID?
        callEngine { engine, now in
            session =
                isRefused
                ? engine.refused(detail: "not you", now: now) : engine.opened(userID: userID, now: now)
            link.session = session
            if let session { self.worker.linkOfSession[session] = link.id }
        }
        worker.live.append(link.id)
        if case .proxy(let proxy) = link.farEnd { observe(.sessionOpened(proxy: proxy, link: link.id)) }
    }
}

extension WorkerEngine {
    /// Bytes that wait to be written to an upstream.
    borrowing func copyOutput(of connection: ConnectionID, upTo countMax: Int) -> [UInt8] {
        let bytes = output(of: connection)
        return copy(bytes, min(countMax, bytes.count))
    }

    borrowing func outputCount(of connection: ConnectionID) -> Int { output(of: connection).count }

    borrowing func outputCount(of session: SessionID) -> Int {
        outputSegment(0, of: session).count + outputSegment(1, of: session).count
            + outputSegment(2, of: session).count + (pipeDue(of: session)?.bytes ?? 0)
    }

    /// Bytes that wait to be written to a proxy.
    borrowing func copyOutput(of session: SessionID, upTo countMax: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<3 {
            let segment = outputSegment(index, of: session)
            bytes += copy(segment, min(segment.count, countMax - bytes.count))
        }
        return bytes
    }
}
