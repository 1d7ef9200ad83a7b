// SessionLines.swift: requests of one session that wait for the same kind of connection, behind one of theirs that waits
// with everybody else. Owns: their order. Source: DESIGN "The way of a request", step 4; issue "Proof", starvation.
//
// First come, first served alone lets one session that asks for a thousand things at once put everybody a thousand places
// back. So of each session one request at a time stands in the line of all; when it is served the next one of its session
// goes to the end of that line. Sessions take turns; within a session it is first come, first served.
import Model

/// What of one session waits for one pool key.
struct SessionLine {
    struct Key: Hashable {
        var session: Int
        var target: Int
    }

    var key = Key(session: 0, target: 0)
    /// The waiter in the line of all; `nil`: it has just left it.
    var first: Int?
    /// Those behind it.
    var others = SlotList()
}

extension WorkerEngine {
    private func lineKey(_ waiter: Int) -> SessionLine.Key {
        SessionLine.Key(session: streams[waiters[waiter].stream].session, target: waiters[waiter].target)
    }

    /// Has a waiter stand behind others of its session. - Returns: `false`: none of them is in the line of all, it is the
    /// one to go there.
    mutating func standBehind(_ waiter: Int) -> Bool {
        // One that any member of a group will do for is in the group's queue.
        if waiters[waiter].member >= 0 { return false }
        let key = lineKey(waiter)
        let line: Int
        if let found = lineByKey[key] {
            line = found
        } else {
            line = lines.take { SessionLine() }
            lines[line] = SessionLine(key: key)
            lineByKey[key] = line
        }
        waiters[waiter].line = line
        guard lines[line].first != nil else {
            lines[line].first = waiter
            return false
        }
        waiters[waiter].dial = .lined
        blockedCount += 1
        waiterLinks.remove(waiter, from: &targets[key.target].waiters)
        targets[key.target].lined += 1
        // One that had a dial keeps its age.
        var next = lines[line].others.last
        var behind: Int?
        while let other = next, waiters[other].startedAt > waiters[waiter].startedAt {
            behind = other
            next = lineLinks.previous(before: other)
        }
        lineLinks.insert(waiter, before: behind, in: &lines[line].others)
        return true
    }

    /// A waiter is not in the line of all any more.
    mutating func leaveLine(_ waiter: Int) {
        guard let line = waiters[waiter].line else { return }
        waiters[waiter].line = nil
        lines[line].first = nil
        if !dropLineIfEmpty(line) { linesToAdvance.append(line) }
    }

    /// Takes one from behind the others. - Returns: whether it was there; then it is in no list of waiters.
    mutating func stepOut(_ waiter: Int) -> Bool {
        guard waiters[waiter].dial == .lined, let line = waiters[waiter].line else { return false }
        waiters[waiter].line = nil
        waiters[waiter].dial = .none
        lineLinks.remove(waiter, from: &lines[line].others)
        targets[waiters[waiter].target].lined -= 1
        blockedCount -= 1
        budget.leaveQueue()
        _ = dropLineIfEmpty(line)
        return true
    }

    private mutating func dropLineIfEmpty(_ line: Int) -> Bool {
        guard lines[line].first == nil, lines[line].others.count == 0 else { return false }
        lineByKey[lines[line].key] = nil
        lines.release(line)
        return true
    }

    /// The next of a session goes where the last one was, behind those who wait there.
    mutating func advance(_ line: Int) {
        guard lines.isTaken(line), lines[line].first == nil, let waiter = lines[line].others.first else {
            return
        }
        let target = waiters[waiter].target
        // The line stays for those behind it.
        let hasMore = lines[line].others.count > 1
        if stepOut(waiter) { waiterLinks.append(waiter, to: &targets[target].waiters) }
        waiters[waiter].queuedAt = now
        if let idle = targets[target].idle.last, connections[idle].idleUntil > now,
            !streams[waiters[waiter].stream].needsFresh
        {
            unpark(idle)
            hand(idle, wasIdle: true)
        } else {
            admit(waiter)
        }
        // It may have found room at once.
        if hasMore { linesToAdvance.append(line) }
    }
}
