// WindowStates.swift: what a worker knows of windows: others' replies are timed, the directory is told and asked.
// Owns: who counts as others, when there was a crowd. Never touches: who is held back (SessionWindows.swift).
// Source: WindowDirectory.swift; Engine.docc/Architecture.md, "Fairness between sessions".
import Model

/// What a worker knows of a destination's window.
struct WindowState {
    var window = Window.open
    /// When the directory is to be asked again.
    var askAt = Instant.longAgo
    /// Shares here that have the least window full, and those of them with more.
    var full = 0
    var crowding = 0
    /// Whether any session of the process has one, as far as this worker knows.
    var crowd = Crowding()
    /// For the directory, and whether it was told of a full window the last time.
    var report = WindowReport()
    var hasToldFull = false
    /// Whether an endpoint is kept for its sake, and when others were noted last.
    var isKept = false
    var notedAt = Instant.longAgo
    /// The two sessions whose replies were timed last, and when.
    var others = InlineArray<2, (session: Int, at: Instant)>(repeating: (-1, .longAgo))
    /// The sessions that had more than the least window here last, and until when they are none of the others.
    private var busy = InlineArray<4, (session: Int, until: Instant)>(repeating: (-1, .longAgo))

    mutating func noteReply(_ session: Int, now: Instant) {
        if others[0].session != session { others[1] = others[0] }
        others[0] = (session, now)
    }

    func isBusy(_ session: Int, now: Instant) -> Bool {
        for index in busy.indices where busy[index].session == session { return busy[index].until >= now }
        return false
    }

    mutating func noteBusy(_ session: Int, until: Instant, now: Instant) {
        var place = 0
        for index in busy.indices {
            if busy[index].session == session {
                place = index
                break
            }
            if busy[index].until < busy[place].until { place = index }
        }
        // What was told of others may have been it alone. Where more are busy than are remembered, only if so.
        let isFull = busy[place].until >= now
        let isOther = others[0].session == session || others[1].session == session
        let isKnown = isFull && (busy[place].session == session || !isOther)
        if !isKnown { askAt = .longAgo }
        busy[place] = (session, until)
    }
}

extension WorkerEngine {
    /// How often the directory is asked, where it has something to say and where not.
    private static let askMilliseconds = 10
    private static let askMillisecondsElsewhere = 100
    /// Replies alone that are remembered while nobody asks.
    private static let aloneMax = 256
    /// How often others are noted where nobody has many requests under way.
    private static let noteMilliseconds = 100
    /// Endpoints whose windows are kept though nothing else refers to them, as those of upstreams that close each connection.
    /// One more: the one that is kept for the longest time is let go.
    private static let keptMax = 256

    /// The reply to a request of a session that has few has begun.
    mutating func timeReply(_ stream: Int) {
        guard let windows, case .active(let connection) = streams[stream].phase,
            let sentAt = streams[stream].sentAt
        else { return }
        let place = place(of: stream, at: connection)
        // Nobody is busy at one that was made only now.
        if isBusy(streams[stream].session, place) { return }
        if place >= 0 && !targets[endpoint: place].window.isKept { keepWindow(place) }
        if hasMany(streams[stream].session, place) { return noteBusy(streams[stream].session, place) }
        let isAsked = windows.isAsked(now: now)
        let time = now.microseconds(since: sentAt)
        let (now, session) = (now, streams[stream].session)
        changeWindow(place) {
            $0.noteReply(session, now: now)
            if isAsked { $0.report.others.add(time) }
        }
        if isAsked { renewWindow(place, windows) } else { openWindow(place, windows) }
        changeWindow(place) {
            guard let wasCrowded = $0.crowd.wasCrowded(at: sentAt) else { return }
            $0.report.add(time, wasCrowded: wasCrowded)
            $0.report.alone.age(countMax: Self.aloneMax)
        }
    }

    /// Whether a session had more than the least window at a place a moment ago. What it has elsewhere says nothing: a proxy
    /// may always have much under way somewhere.
    private func isBusy(_ session: Int, _ place: Int) -> Bool {
        // The slot's former session is forgotten.
        sessions[session].busyUntil >= now && window(place).isBusy(session, now: now)
    }

    /// Whether a session has more than the least window at a place. One that has had it for long may not be noted as busy.
    private func hasMany(_ session: Int, _ place: Int) -> Bool {
        if sessions[session].awaited < limits.sessionWindowMin { return false }
        guard let share = shareByKey[Share.Key(session: session, place: place)] else { return false }
        return shares[share].awaited > limits.sessionWindowMin
    }

    /// Where a reply counts: as its request did, whichever of its endpoints has served it.
    private mutating func place(of stream: Int, at connection: Int) -> Int {
        let group = Int(streams[stream].group)
        if group >= 0 { return ~group }
        if streams[stream].endpointIndex == 0 { return targets[connections[connection].target].endpoint }
        return targets.makeEndpoint(streams[stream].endpoints[0])
    }

    private mutating func keepWindow(_ place: Int) {
        targets.retain(endpoint: place)
        targets[endpoint: place].window.isKept = true
        if keptWindows.count < Self.keptMax {
            keptWindows.append(place)
            return
        }
        let oldest = keptWindows[keptWindowsNext]
        keptWindows[keptWindowsNext] = place
        keptWindowsNext = (keptWindowsNext + 1) % Self.keptMax
        targets[endpoint: oldest].window.isKept = false
        targets.release(endpoint: oldest)
    }

    /// Asks the directory, when it is time.
    mutating func renewWindow(_ place: Int, _ windows: any WindowDirectory) {
        if window(place).askAt > now { return }
        var report = window(place).report
        report.isFull = window(place).full > 0
        let others = window(place).others
        for index in others.indices {
            let (session, at) = others[index]
            if session < 0 || isBusy(session, place) { continue }
            report.othersAt = max(report.othersAt, at)
        }
        // Of those that have been there all the time nobody has spoken.
        if window(place).crowding > 0 {
            report.awaitedMax = max(report.awaitedMax, limits.sessionWindowMin + 1)
        }
        let now = now
        guard let answer = windows.exchange(destination(place), report, by: worker, now: now) else {
            changeWindow(place) {
                $0.askAt = now.adding(milliseconds: Self.askMillisecondsElsewhere)
                $0.report.others = ReplyTimes()
                $0.hasToldFull = false
            }
            return noteOthers(place, windows)
        }
        changeWindow(place) {
            $0.report = WindowReport()
            $0.hasToldFull = report.isFull
            $0.window = answer
            $0.askAt = now.adding(milliseconds: Self.askMilliseconds)
        }
        noteCrowd(place)
    }

    /// No session has many requests under way anywhere.
    private mutating func openWindow(_ place: Int, _ windows: any WindowDirectory) {
        noteOthers(place, windows)
        if window(place).window.crowdedSince == nil { return }
        changeWindow(place) { $0.window = .open }
        noteCrowd(place)
    }

    /// For a session of another worker that will have many requests under way: it is held back from the first on.
    private mutating func noteOthers(_ place: Int, _ windows: any WindowDirectory) {
        let now = now
        if window(place).notedAt.adding(milliseconds: Self.noteMilliseconds) > now { return }
        changeWindow(place) { $0.notedAt = now }
        windows.noteOthers(at: destination(place).fingerprint, by: worker, now: now)
    }

    mutating func crowd(_ place: Int, by change: Int) {
        changeWindow(place) { $0.crowding += change }
        noteCrowd(place)
    }

    private mutating func noteCrowd(_ place: Int) {
        let now = now
        changeWindow(place) {
            let since = $0.crowding > 0 ? now : $0.window.crowdedSince
            $0.crowd.note(since != nil, since: since ?? now)
        }
    }

    func window(_ place: Int) -> WindowState {
        place >= 0 ? targets[endpoint: place].window : groups.states[~place].window
    }

    mutating func changeWindow(_ place: Int, _ change: (inout WindowState) -> Void) {
        if place >= 0 {
            change(&targets[endpoint: place].window)
        } else {
            change(&groups.states[~place].window)
        }
    }

    private func destination(_ place: Int) -> Destination {
        if place >= 0 { return .endpoint(targets[endpoint: place].endpoint) }
        if !groups.isAdHoc(~place) { return .group(~place) }
        let group = groups.states[~place]
        return .list(AdHocGroup(endpoints: group.endpoints, policy: group.settings.policy))
    }
}
