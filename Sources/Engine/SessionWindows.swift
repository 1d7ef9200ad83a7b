// SessionWindows.swift: requests of a session that has many under way wait here while others' replies suffer from them.
// Owns: who awaits a reply where, who is held back. Never touches: how large a window is (WindowStates.swift and
// WindowLedger.swift), connections.
// Source: issue "Proof", starvation; Engine.docc/Architecture.md, "Limits".
//
// Only what awaits the beginning of its reply counts: a long reply, a tunnel or a WebSocket takes no turn from anybody. A
// session with few such requests is not looked at further, so that the usual request costs two additions.
import Model

/// What of one session awaits replies at one destination, beyond those that each session may have anyway.
struct Share {
    struct Key: Hashable {
        var session = 0
        /// Slot of the endpoint's state; negative: the complement of the group's number.
        var place = 0
    }

    var key = Key()
    /// Requests under way whose replies have not begun.
    var awaited = 0
    /// Streams that are held back, first come first.
    var held = SlotList()
}

/// Where a stream stands among those of its session.
enum Turn: Equatable {
    /// It has not been looked at, or has its reply.
    case none
    /// It awaits its reply, one of few.
    case few
    /// It awaits its reply, one of a share (by slot).
    case counted(Int)
    /// It is held back, one of a share (by slot).
    case held(Int)
}

extension WorkerEngine {
    /// How often the directory is asked while streams are held back, though none of their session has its reply.
    private static let lookMilliseconds = 20
    /// A session that has had more under way than the least window is none of the others there for so long.
    private static let busyMilliseconds = 1000
    /// A request whose queue has no deadline is held back as if it had this one.
    private static let queueMillisecondsAssumed = 10_000
    /// One that has less time is not held back: who looks after that comes too seldom.
    private static let patienceMillisecondsMin = 8 * lookMilliseconds

    /// Whether a stream that is about to look for a connection has to wait for others of its session instead.
    mutating func isHeldBack(_ stream: Int) -> Bool {
        guard let windows, streams[stream].turn == .none, !streams[stream].isConnect,
            !streams[stream].isReplyBegun
        else { return false }
        let session = streams[stream].session
        if sessions[session].awaited < limits.sessionWindowMin {
            sessions[session].awaited += 1
            streams[stream].turn = .few
            return false
        }
        let share = share(of: stream)
        let isFull = shares[share].awaited >= limits.sessionWindowMin
        if !isFull && shares[share].held.count == 0 {
            // So much room has any window.
            count(stream, in: share)
            return false
        }
        if isFull { noteBusy(session, shares[share].key.place) }
        renewWindow(shares[share].key.place, windows)
        if patience(stream) < Self.patienceMillisecondsMin {
            count(stream, in: share)
            return false
        }
        let hasRoom = shares[share].awaited < window(shares[share].key.place).window.requestsMax
        if (hasRoom && shares[share].held.count == 0) || !budget.enterQueue(forced: false) {
            count(stream, in: share)
            return false
        }
        hold(stream, in: share)
        return true
    }

    /// It is none of the others there from here on.
    mutating func noteBusy(_ session: Int, _ place: Int) {
        let (now, until) = (now, now.adding(milliseconds: Self.busyMilliseconds))
        sessions[session].busyUntil = until
        changeWindow(place) { $0.noteBusy(session, until: until, now: now) }
    }

    // Shares.

    private mutating func share(of stream: Int) -> Int {
        let session = streams[stream].session
        let group = Int(streams[stream].group)
        let place = group >= 0 ? ~group : targets.makeEndpoint(of: poolKey(stream, 0))
        let key = Share.Key(session: session, place: place)
        let last = sessions[session].lastShare
        if last < shares.slotCount && shares.isTaken(last) && shares[last].key == key { return last }
        let share: Int
        if let found = shareByKey[key] {
            share = found
        } else {
            share = shares.take { Share() }
            shares[share] = Share(key: key)
            shareByKey[key] = share
            if place >= 0 { targets.retain(endpoint: place) }
        }
        sessions[session].lastShare = share
        return share
    }

    private mutating func dropShareIfEmpty(_ share: Int) {
        guard shares[share].awaited == 0, shares[share].held.count == 0 else { return }
        let key = shares[share].key
        shareByKey[key] = nil
        shares.release(share)
        if key.place >= 0 { targets.release(endpoint: key.place) }
    }

    private mutating func count(_ stream: Int, in share: Int) {
        let place = shares[share].key.place
        shares[share].awaited += 1
        sessions[streams[stream].session].awaited += 1
        streams[stream].turn = .counted(share)
        let awaited = shares[share].awaited
        changeWindow(place) { $0.report.awaitedMax = max($0.report.awaitedMax, awaited) }
        if awaited == limits.sessionWindowMin {
            changeWindow(place) {
                $0.full += 1
                // All workers are to know at once. Where that comes and goes with each request they do.
                if $0.full == 1 && !$0.hasToldFull { $0.askAt = .longAgo }
            }
        }
        if awaited == limits.sessionWindowMin + 1 { crowd(place, by: 1) }
    }

    private mutating func hold(_ stream: Int, in share: Int) {
        streams[stream].turn = .held(share)
        streams[stream].phase = .waiting
        streams[stream].queueUntil = dueIn(streams[stream].deadlines.queueMilliseconds)
        streams[stream].heldUntil = now.adding(milliseconds: patience(stream) / 4 * 3)
        heldLinks.append(stream, to: &shares[share].held)
        blockedCount += 1
        totals.heldTotal &+= 1
        sharesLookAt = min(sharesLookAt, now.adding(milliseconds: Self.lookMilliseconds))
        armDeadline(stream)
    }

    /// A stream has its reply, or ends. - Parameter isReply: whether how long that took says something.
    mutating func leaveTurn(_ stream: Int, isReply: Bool) {
        switch streams[stream].turn {
        case .none:
            break
        case .few:
            sessions[streams[stream].session].awaited -= 1
            if isReply { timeReply(stream) }
        case .counted(let share):
            let session = streams[stream].session
            sessions[session].awaited -= 1
            let place = shares[share].key.place
            let awaited = shares[share].awaited
            changeWindow(place) { $0.report.awaitedMax = max($0.report.awaitedMax, awaited) }
            if awaited > limits.sessionWindowMin {
                noteBusy(session, place)
            } else if isReply {
                timeReply(stream)
            }
            if awaited == limits.sessionWindowMin { changeWindow(place) { $0.full -= 1 } }
            if awaited == limits.sessionWindowMin + 1 { crowd(place, by: -1) }
            shares[share].awaited -= 1
            if shares[share].held.count > 0 { sharesToAdvance.append(share) }
            dropShareIfEmpty(share)
        case .held(let share):
            stopHolding(stream, in: share)
            dropShareIfEmpty(share)
        }
        streams[stream].turn = .none
    }

    /// How long a stream waits in a queue at most, milliseconds.
    private func patience(_ stream: Int) -> Int {
        let queue = streams[stream].deadlines.queueMilliseconds
        return queue == 0 ? Self.queueMillisecondsAssumed : queue
    }

    private mutating func stopHolding(_ stream: Int, in share: Int) {
        heldLinks.remove(stream, from: &shares[share].held)
        streams[stream].heldUntil = .never
        blockedCount -= 1
        budget.leaveQueue()
    }

    /// Sends a request on its way that was held back.
    private mutating func letGoOn(_ stream: Int) {
        guard case .held(let share) = streams[stream].turn else { return }
        stopHolding(stream, in: share)
        count(stream, in: share)
        let queueUntil = streams[stream].queueUntil
        if streams[stream].group >= 0 { errands[stream].isTimed = true }
        dispatch(stream)
        // It waits no longer in all than it would have.
        guard case .counted = streams[stream].turn else { return }
        switch streams[stream].phase {
        case .waiting, .queued:
            streams[stream].queueUntil = min(streams[stream].queueUntil, queueUntil)
            armDeadline(stream)
        case .none, .active: break
        }
    }

    /// Sends as many on their way as the window has room for.
    mutating func advanceShare(_ share: Int) {
        guard shares.isTaken(share), let windows else { return }
        renewWindow(shares[share].key.place, windows)
        while shares.isTaken(share), let stream = shares[share].held.first,
            shares[share].awaited < window(shares[share].key.place).window.requestsMax
        {
            letGoOn(stream)
        }
    }

    /// Asks whether there is room by now for those that are held back.
    mutating func lookAtShares() {
        sharesLookAt = .never
        for share in 0..<shares.slotCount where shares.isTaken(share) && shares[share].held.count > 0 {
            sharesLookAt = now.adding(milliseconds: Self.lookMilliseconds)
            letOverdueGo(share)
            if !shares.isTaken(share) { continue }
            let place = shares[share].key.place
            // They would only wait elsewhere: they go on as replies come.
            if isAtLimit(place) { continue }
            let awaited = shares[share].awaited
            changeWindow(place) { $0.report.awaitedMax = max($0.report.awaitedMax, awaited) }
            sharesToAdvance.append(share)
        }
    }

    /// Those that have waited for three quarters of their time go on without room, one after the other over the last quarter:
    /// all at once they would be the flood that they were held back for.
    private mutating func letOverdueGo(_ share: Int) {
        var overdue = 0
        var first: Int?
        var next = shares[share].held.first
        while let stream = next {
            if streams[stream].heldUntil <= now {
                overdue += 1
                first = first ?? stream
            }
            next = heldLinks.next(after: stream)
        }
        guard let first else { return }
        let late = Int(clamping: now.microseconds(since: streams[first].heldUntil) / 1000)
        let left = max(Self.lookMilliseconds, patience(first) / 4 - late - Self.lookMilliseconds)
        var count = (overdue * Self.lookMilliseconds + left - 1) / left
        next = first
        while count > 0, let stream = next, streams[stream].turn == .held(share) {
            next = heldLinks.next(after: stream)
            if streams[stream].heldUntil > now { continue }
            count -= 1
            letGoOn(stream)
        }
    }

    /// Whether requests wait for connections there.
    private func isAtLimit(_ place: Int) -> Bool {
        if place >= 0 { return targets[endpoint: place].blocked.count > 0 }
        return groups.states[~place].queue.count > 0 || groups.states[~place].lined > 0
    }
}
