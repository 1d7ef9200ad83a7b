// RigNeighbour.swift: the other worker, number 1, which the script plays: what it is told, sends and takes.
import Model

@testable import Engine

extension Rig {
    func sendLetters(_ count: Int) {
        for letter in engine.takeLetters(count) {
            switch letter.content {
            case .news(let news): record.add("to \(letter.worker): \(news.words)")
            case .parcel(let id, let parcel):
                guard let socket = find(id, "parcel") else { continue }
                sockets[socket].isClosed = true
                parcels.append((socket, parcel))
                record.add("to \(letter.worker): socket \(socket)")
            case .idle(.wanted(let target, _, let ask)):
                asks.append(ask)
                record.add("to \(letter.worker): \(target.endpoint.letter) wanted")
            case .idle(.none): record.add("to \(letter.worker): none")
            case .idleParcel(let id, let parcel):
                guard let socket = find(id, "parcel") else { continue }
                sockets[socket].isClosed = true
                idleParcels.append((socket, parcel))
                record.add("to \(letter.worker): socket \(socket)")
            }
        }
    }

    /// One call of the engine's, and what follows from it.
    func tell(_ call: (inout WorkerEngine, Instant) -> Void) {
        call(&engine, now)
        run()
    }

    /// It sends the first pinned connection back that it was sent, as the next socket. To worker 0, whose pin it then is.
    func neighbourSendsPin() {
        let (socket, parcel) = parcels.removeFirst()
        directory.move(parcel.name, to: 0)
        budget.ledger.move(parcel.room, from: 1, to: 0)
        come(socket) { $0.adopted(parcel, now: $1) }
    }

    /// A connection comes from the neighbour, as the next socket.
    func come(_ socket: Int, _ tell: (inout WorkerEngine, Instant) -> ConnectionID?) {
        if let id = tell(&engine, now) {
            sockets.append(UpstreamSide(id: id))
            sockets[sockets.count - 1].isStale = isNextStale
            isNextStale = false
            record.add("socket \(socket) comes as \(sockets.count - 1)")
        } else {
            record.add("socket \(socket) is closed")
        }
        run()
    }

    /// What comes next has died on its way.
    func nextIsStale() { isNextStale = true }

    /// It gives up what it was sent.
    func neighbourLosesPins() {
        for (_, parcel) in parcels {
            directory.remove(parcel.name)
            budget.ledger.giveBack(parcel.room, by: 1)
        }
        parcels.removeAll()
        spreadNews()
        run()
    }

    /// It wants to dial.
    func neighbourTakes(_ letter: Character) -> Room? {
        let answer = budget.take(.lettered(letter), since: now, idle: IdleRooms(), mayWait: true, by: 1)
        spreadNews()
        run()
        guard case .room(let room) = answer else { return nil }
        neighbourRooms.append(room)
        return room
    }

    /// It has closed a connection.
    func neighbourGivesBack(_ room: Room?) {
        guard let room else { return record.add("neighbour has no room") }
        if let index = neighbourRooms.firstIndex(of: room) { neighbourRooms.remove(at: index) }
        budget.ledger.giveBack(room, by: 1)
        spreadNews()
        run()
    }

    func neighbourQueues() { _ = budget.enterQueue(forced: false) }
    func neighbourLeavesQueue() { budget.leaveQueue() }

    /// It is told at once. What the neighbour is told is written down.
    func spreadNews() {
        for news in health.book.takeNews() { engine.told(news, now: now) }
        for (worker, news) in budget.ledger.takeNews() {
            if worker == 0 {
                engine.told(news, now: now)
                continue
            }
            switch news {
            case .granted(let endpoint, let room, _, _):
                neighbourRooms.append(room)
                record.add("neighbour may dial \(endpoint.letter)")
            case .endpointWanted(let endpoint): record.add("neighbour hears \(endpoint.letter) is wanted")
            case .processWanted: record.add("neighbour hears room is wanted")
            }
        }
    }
}
