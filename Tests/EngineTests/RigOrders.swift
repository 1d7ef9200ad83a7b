// RigOrders.swift: how the rig carries out what the engine orders, until nothing is left to do.
import Model

@testable import Engine

extension Rig {
    func run() {
        var effects: [Effect] = []
        repeat {
            effects.removeAll()
            spreadNews()
            engine.takeEffects(into: &effects)
            var index = 0
            while index < effects.count {
                run(effects[index])
                index += 1
                if index == effects.count { engine.takeEffects(into: &effects) }
            }
            if isWriting {
                for socket in sockets.indices { writeOnce(socket, bytesMax: writeBytesMax) }
            }
            for session in proxies.indices where proxies[session].isReading {
                writeSession(session, bytesMax: .max)
            }
            for socket in sockets.indices where sockets[socket].wasResumed {
                sockets[socket].wasResumed = false
                deliver(socket)
            }
        } while !effects.isEmpty
    }

    func run(_ effect: Effect) {
        switch effect {
        case .dial(let id):
            guard let (endpoint, _) = engine.address(of: id) else { return record.add("dial of a dead id") }
            if sockets.contains(where: { $0.id.slot == id.slot && !$0.isClosed }) {
                record.add("dial into a slot in use")
            }
            sockets.append(UpstreamSide(id: id))
            record.add("dial \(sockets.count - 1) \(endpoint.letter)")
        case .startTLS(let id, let hop):
            guard let socket = find(id, "tls"), let peer = engine.tlsIdentity(of: id, hop) else { return }
            let names = "\(text(peer.identity.serverName))/\(text(peer.identity.verifyName))"
            record.add("tls \(socket) \(hop) \(names)")
        case .notifyClose(let id): if let socket = find(id, "notify") { record.add("notify \(socket)") }
        case .writeConnection(let id, let probeFirst):
            guard let socket = find(id, "write") else { return }
            sockets[socket].isWriteOrdered = true
            if probeFirst { sockets[socket].probesFirst = true }
        case .pauseReading(let id):
            guard let socket = find(id, "pause") else { return }
            sockets[socket].isPaused = true
            record.add("pause \(socket)")
        case .resumeReading(let id):
            guard let socket = find(id, "resume") else { return }
            sockets[socket].isPaused = false
            sockets[socket].wasResumed = true
            record.add("resume \(socket)")
        case .shutdownWriting(let id): if let socket = find(id, "shut") { record.add("shut \(socket)") }
        case .closeConnection(let id):
            guard let socket = find(id, "close") else { return }
            sockets[socket].isClosed = true
            record.add("close \(socket)")
        case .giveBack(let room):
            budget.ledger.giveBack(room, by: 0)
            spreadNews()
        case .handOver(let room, let heir):
            budget.ledger.handOver(room, to: heir, by: 0)
            spreadNews()
        case .writeSession: break
        case .sendLetters(let count): sendLetters(count)
        case .stepSecurity(let id): takeStep(id)
        case .dropSecurity(let context): record.add("drop context \(context.number)")
        case .closeSession(let id):
            guard let session = proxies.firstIndex(where: { $0.id == id && !$0.isClosed }) else {
                return record.add("closeSession of a dead id")
            }
            writeSession(session, bytesMax: .max)
            record.add("\(proxies[session].name)session closed")
            proxies[session].isClosed = true
            engine.closed(id, now: now)
        }
    }

    func find(_ id: ConnectionID, _ order: String) -> Int? {
        let socket = sockets.firstIndex { $0.id == id && !$0.isClosed }
        if socket == nil { record.add("\(order) of a dead id") }
        return socket
    }

    func output(_ session: Int) -> [UInt8] {
        (0...2).flatMap { Self.segment($0, of: proxies[session].id, engine) }
    }

    static func segment(_ index: Int, of id: SessionID, _ engine: borrowing WorkerEngine) -> [UInt8] {
        array(engine.outputSegment(index, of: id))
    }

    func writeSession(_ session: Int, bytesMax: Int) {
        let id = proxies[session].id
        var rest = bytesMax
        repeat {
            let piece: [UInt8]
            if let due = engine.pipeDue(of: id) {
                piece = Array(pipes[due.pipe].prefix(min(due.bytes, rest)))
                pipes[due.pipe].removeFirst(piece.count)
                engine.wroteDue(piece.count, to: id, now: now)
            } else {
                piece = Array(output(session).prefix(rest))
                if piece.isEmpty { return }
                engine.wrote(piece.count, to: id, now: now)
            }
            proxies[session].hear(piece, &record)
            rest -= piece.count
        } while rest > 0 && engine.pipeDue(of: id) != nil
    }
}
