// GroupLines.swift: requests of one session that wait for any member of a group, behind one of theirs that waits with
// everybody else. Owns: their order. Source: SessionLines.swift, which does the same where a request waits for one endpoint.
import Model

/// What of one session waits for members of one group, and goes the same way: any connection that the first of them waits
/// for would do for the others.
struct GroupLine {
    struct Key: Hashable {
        var session: Int
        var group: Int
        var route: RouteID
        var localAddress: IPAddress?
    }

    var key = Key(session: 0, group: 0, route: .direct)
    /// The stream in the group's queue; `nil`: it has just left it.
    var first: Int?
    /// Streams behind it.
    var others = SlotList()
}

/// The lines of all groups of a worker.
struct GroupLines: ~Copyable {
    var lines = SlotTable<GroupLine>()
    var byKey: [GroupLine.Key: Int] = [:]
    /// Links of `GroupLine.others`, by slot of the stream.
    var links = SlotLinks()
    /// Lines whose first has left the group's queue.
    var toAdvance: [Int] = []
}

extension WorkerEngine {
    private func lineKey(ofStream stream: Int) -> GroupLine.Key {
        GroupLine.Key(
            session: streams[stream].session,
            group: Int(streams[stream].group),
            route: streams[stream].route,
            localAddress: streams[stream].localAddress
        )
    }

    /// Where a stream stands among those of its session.
    enum GroupStand {
        /// It is the one to go to the group's queue.
        case inFront
        case behind
        /// Too many wait in the process.
        case refused
    }

    /// Has a stream stand behind others of its session, if there are any.
    mutating func standInGroup(_ stream: Int, isNew: Bool) -> GroupStand {
        if errands[stream].line != nil { return .inFront }
        let line = groupLine(of: stream)
        if groupLines.lines[line].first == nil {
            groupLines.lines[line].first = stream
            errands[stream].line = line
            return .inFront
        }
        if !budget.enterQueue(forced: !isNew) { return .refused }
        errands[stream].line = line
        errands[stream].isLined = true
        groups.states[groupLines.lines[line].key.group].lined += 1
        blockedCount += 1
        // One that was at a member before keeps its age.
        var next = groupLines.lines[line].others.last
        var behind: Int?
        while let other = next, errands[other].since > errands[stream].since {
            behind = other
            next = groupLines.links.previous(before: other)
        }
        groupLines.links.insert(stream, before: behind, in: &groupLines.lines[line].others)
        return .behind
    }

    /// The line of its session, which is made where there is none.
    private mutating func groupLine(of stream: Int) -> Int {
        let key = lineKey(ofStream: stream)
        if let line = groupLines.byKey[key] { return line }
        let line = groupLines.lines.take { GroupLine() }
        groupLines.lines[line] = GroupLine(key: key)
        groupLines.byKey[key] = line
        return line
    }

    /// Requests of a stream's session that wait as it would.
    func waitingInGroup(besides stream: Int) -> Int {
        guard let line = groupLines.byKey[lineKey(ofStream: stream)] else { return 0 }
        return groupLines.lines[line].others.count + 1
    }

    /// A stream waits for the group no longer, in its queue or behind others.
    mutating func leaveGroupLine(_ stream: Int) {
        guard let line = errands[stream].line else { return }
        if errands[stream].isLined {
            stepOutInGroup(stream, line)
            _ = dropGroupLineIfEmpty(line)
            return
        }
        errands[stream].line = nil
        groupLines.lines[line].first = nil
        if !dropGroupLineIfEmpty(line) { groupLines.toAdvance.append(line) }
    }

    private mutating func stepOutInGroup(_ stream: Int, _ line: Int) {
        errands[stream].line = nil
        errands[stream].isLined = false
        groupLines.links.remove(stream, from: &groupLines.lines[line].others)
        groups.states[groupLines.lines[line].key.group].lined -= 1
        blockedCount -= 1
        budget.leaveQueue()
    }

    private mutating func dropGroupLineIfEmpty(_ line: Int) -> Bool {
        guard groupLines.lines[line].first == nil, groupLines.lines[line].others.count == 0 else {
            return false
        }
        groupLines.byKey[groupLines.lines[line].key] = nil
        groupLines.lines.release(line)
        return true
    }

    /// The next of a session goes where the last one was, behind those who wait there.
    mutating func advanceGroupLine(_ line: Int) {
        guard groupLines.lines.isTaken(line), groupLines.lines[line].first == nil,
            let stream = groupLines.lines[line].others.first
        else { return }
        // The line stays for those behind it.
        let hasMore = groupLines.lines[line].others.count > 1
        stepOutInGroup(stream, line)
        if !hasMore { _ = dropGroupLineIfEmpty(line) }
        errands[stream].since = now
        dispatchErrand(stream, freshOnly: false)
        // It may have found a member at once.
        if hasMore { groupLines.toAdvance.append(line) }
    }
}
