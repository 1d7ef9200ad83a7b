// WorkerPipes.swift: pipes that large replies go through without being copied to us.
// Owns: the pipes, each empty or with bytes for one session. Never decides which replies: that is the engine's.
// Source: splice(2); DESIGN "Modules", on large bodies.
import Engine
import EventLoop
import Glibc
import Model

/// The worker's pipes, by number.
struct PipePool {
    /// One of them.
    struct Slot {
        /// `nil`: closed, until it is needed again.
        var pipe: Pipe?
        /// Bytes that are in it.
        var bytes = 0
        /// Whose they are.
        var session: SessionID?
    }

    let countMax: Int
    private(set) var slots: [Slot] = []
    /// Numbers of the empty ones, the one that was used last behind the others.
    private var empty: [Int] = []
    /// Whether the system has refused what it takes: then everything is read.
    private(set) var isRefused = false

    init(countMax: Int) { self.countMax = countMax }

    /// An empty pipe's number, which `put` or `giveBack` follows; `nil`: all are in use.
    mutating func take() -> Int? {
        if isRefused { return nil }
        if empty.isEmpty {
            if slots.count >= countMax { return nil }
            slots.append(Slot())
            empty.append(slots.count - 1)
        }
        guard let number = empty.last else { return nil }
        if slots[number].pipe == nil {
            // Without a descriptor left, what there is is read.
            guard let pipe = try? Pipe() else { return nil }
            slots[number].pipe = pipe
        }
        empty.removeLast()
        return number
    }

    mutating func giveBack(_ number: Int) { empty.append(number) }

    mutating func put(_ bytes: Int, into number: Int, for session: SessionID) {
        slots[number].bytes = bytes
        slots[number].session = session
    }

    /// `count` bytes have left it.
    mutating func drew(_ count: Int, from number: Int) {
        slots[number].bytes -= count
        if slots[number].bytes == 0 { empty.append(number) }
    }

    /// The session is no more, and what is in pipes for it can go nowhere else.
    mutating func drop(_ session: SessionID) {
        for number in slots.indices where slots[number].bytes > 0 && slots[number].session == session {
            slots[number].pipe?.close()
            slots[number].pipe = nil
            slots[number].bytes = 0
            empty.append(number)
        }
    }

    mutating func refuse() { isRefused = true }

    /// Closes those that are empty.
    mutating func closeEmpty() {
        for number in empty {
            slots[number].pipe?.close()
            slots[number].pipe = nil
        }
    }

    /// Closes all.
    mutating func closeAll() {
        for slot in slots { slot.pipe?.close() }
        slots.removeAll()
        empty.removeAll()
    }
}

extension Worker {
    /// Moves what has arrived to a pipe, where the engine offers that. - Returns: whether it was tried, so that there is no
    /// need to read now.
    mutating func readIntoPipe(_ index: Int) -> Bool {
        let id = connections[index].id
        let room = min(engine.bytesThroughPipeMax(id), Pipe.bytesMax)
        guard room > 0, let number = pipes.take(), let pipe = pipes.slots[number].pipe else { return false }
        switch pipe.take(from: connections[index].socket, upTo: room) {
        case .bytes(let count):
            let session = engine.piped(count, into: number, from: id, now: now)
            pipes.put(count, into: number, for: session)
            connections[index].bringsMuch = count >= Self.connectionReadBytesMax
            connections[index].turnBytes &+= UInt32(count)
            unflushedBytes += count
            notePipes()
        case .failed(.noFile), .failed(.noPermission), .failed(.other(errno: ENOSYS)):
            // EINVAL: not on this kernel; the others: not in this sandbox. No socket fails so.
            pipes.giveBack(number)
            pipes.refuse()
            return false
        case let transfer:
            pipes.giveBack(number)
            ended(index, transfer)
        }
        return true
    }

    /// Writes from a pipe. - Returns: whether the session can take more.
    mutating func write(_ bytes: Int, fromPipe number: Int, to index: Int) -> Bool {
        guard let pipe = pipes.slots[number].pipe else { preconditionFailure("a pipe that is closed") }
        let id = sessions[index].id
        switch pipe.hand(to: sessions[index].socket, bytes) {
        case .bytes(let count):
            pipes.drew(count, from: number)
            engine.wroteDue(count, to: id, now: now)
            notePipes()
            return true
        case .wouldBlock, .endOfFile:
            blockSession(index)
            return false
        case .failed:
            lose(id)
            return false
        }
    }

    /// Pipes are kept for as long as replies go through them, and a while longer.
    private mutating func notePipes() {
        arePipesUsed = true
        noteUse()
    }

    /// Closes the empty pipes when none was used since the last look. - Returns: whether there is nothing more to close.
    mutating func releasePipes() -> Bool {
        if arePipesUsed {
            arePipesUsed = false
            return false
        }
        pipes.closeEmpty()
        return true
    }
}
