// PinReleaseCheckers.swift: rules about pins that are given up and about the lines behind them.
// Source: proto/outrigger.proto, messages Pin and Unpin; Model, Limits.pinQueueLengthMax.
import Engine
import Model

/// A connection whose token was unpinned is closed as soon as it serves nobody, and serves nobody who asks later.
struct PinRelease: Checker {
    static let name = "PinRelease"
    /// Time in which an UNPIN has surely come to the worker that has the pin, milliseconds.
    private static let patience = 3000
    /// The same where no more than the UNPIN is on its way.
    private static let haste = 1000

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .requestBegan(let link, let request):
            guard let request else { return }
            checkRelease(request, link, record, reporter)
            guard let unpin = heardUnpin(of: link, record) else { return }
            reporter.expect(
                record.requests[request].openedAt <= unpin.at.adding(milliseconds: Self.patience),
                "request \(request) on link \(link), whose token was unpinned at \(formatted(unpin.at))"
            )
        case .reply(let request, let head) where head.isPinned: checkMaking(request, head, record, reporter)
        case .socketClosed(let link): check(link, record, reporter)
        case .quiescent:
            for link in record.links.indices where record.links[link].closedAt == .never {
                guard let unpin = heardUnpin(of: link, record) else { continue }
                reporter("link \(link) is open, its token was unpinned at \(formatted(unpin.at))")
            }
        default: break
        }
    }

    /// What a session asks for behind its UNPIN never comes to the connection of before.
    private func checkRelease(_ request: Int, _ link: Int, _ record: Record, _ reporter: Reporter) {
        guard let binding = record.links[link].binding, binding.isPinned else { return }
        let facts = record.requests[request]
        let unpin = record.unpins.last {
            $0.proxy == facts.proxy && $0.holder == binding.holder && $0.order < facts.order
        }
        guard let unpin else { return }
        reporter.expect(
            binding.pinnedOrder > unpin.order,
            "request \(request) on link \(link), whose token was unpinned before"
        )
    }

    private func check(_ link: Int, _ record: Record, _ reporter: Reporter) {
        guard let unpin = heardUnpin(of: link, record) else { return }
        let facts = record.links[link]
        var last = max(unpin.at, facts.activeAt)
        for request in facts.requests { last = max(last, record.requests[request].endedAt) }
        // The exchange on it is not over.
        if last == .never { return }
        reporter.expect(
            reporter.now <= last.adding(milliseconds: Self.patience),
            "link \(link) is closed only now: its token was unpinned at \(formatted(unpin.at)), "
                + "it was in use until \(formatted(last))"
        )
    }

    /// A request that was under way when its token was unpinned makes no pin behind that.
    private func checkMaking(_ request: Int, _ head: SeenHead, _ record: Record, _ reporter: Reporter) {
        guard let serve = head.serveField, record.serves.indices.contains(serve),
            let readAt = record.serves[serve].headReadAt, let reachedAt = record.requests[request].reachedAt,
            let place = record.links[record.serves[serve].link].requests.firstIndex(of: request),
            record.links[record.serves[serve].link].binding?.from == place + 1
        else { return }
        let holder = record.holder(of: request)
        let unpin = record.unpins.first {
            $0.holder == holder && $0.at > reachedAt && $0.at.adding(milliseconds: Self.haste) < readAt
        }
        guard let unpin, isHeard(unpin, record) else { return }
        reporter("request \(request) makes a pin, its token was unpinned at \(formatted(unpin.at))")
    }

    /// The UNPIN that ends the pin of a link, if it cannot have been late or lost on its way.
    private func heardUnpin(of link: Int, _ record: Record) -> UnpinFacts? {
        record.release(of: link).flatMap { isHeard($0, record) ? $0 : nil }
    }

    private func isHeard(_ unpin: UnpinFacts, _ record: Record) -> Bool {
        let scenario = record.scenario
        guard record.jumpedSeconds == 0, (scenario.pipeBytes.min() ?? 0) >= 4096,
            scenario.readBytesMax >= 1024
        else { return false }
        let until = unpin.at.adding(milliseconds: Self.patience)
        return record.sessions.contains {
            $0.proxy == unpin.proxy && $0.openedAt <= unpin.at && $0.overAt > until
        }
    }
}

/// A pin that was there at the end of its last exchange is closed for a reason, and when its time is over.
struct PinKept: Checker {
    static let name = "PinKept"
    /// Time in which what is over has surely been closed, milliseconds.
    private static let patience = 3000

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        guard case .socketClosed(let link) = event, record.jumpedSeconds == 0, !record.isDraining,
            let binding = record.links[link].binding, binding.isPinned, let holder = binding.holder,
            let last = record.links[link].requests.last, record.requests[last].fate == .pinned,
            !record.unpins.contains(where: { $0.holder == holder })
        else { return }
        reporter.expect(
            hasEnded(link, record, reporter.now) || isOwnerGone(holder, record, reporter.now),
            "link \(link) is closed, and neither its upstream nor its proxy nor its time was the reason"
        )
        let until = max(record.links[link].activeAt, record.requests[last].endedAt)
        let most = record.scenario.limits.pinIdleMilliseconds + Self.patience
        reporter.expect(
            reporter.now <= until.adding(milliseconds: most),
            "link \(link) was not used since \(formatted(until)), which is more than a pin may rest"
        )
    }

    /// The upstream has ended it, or its time was over.
    private func hasEnded(_ link: Int, _ record: Record, _ now: Instant) -> Bool {
        let facts = record.links[link]
        let limits = record.scenario.limits
        var idleMilliseconds = limits.pinIdleMilliseconds
        for serve in facts.serves {
            let plan = record.serves[serve].plan
            if plan.tailBytes > 0 { return true }
            guard let seconds = plan.keepAliveSeconds else { continue }
            idleMilliseconds = min(idleMilliseconds, max(0, seconds - 1) * 1000)
        }
        return facts.isOverReported || facts.hasStrayed
            || now >= facts.activeAt.adding(milliseconds: idleMilliseconds)
            || now >= facts.dialedAt.adding(milliseconds: limits.pinAgeMilliseconds)
    }

    /// All its sessions that have surely said HELLO have ended, the last for as long as pins wait.
    private func isOwnerGone(_ holder: PinHolder, _ record: Record, _ now: Instant) -> Bool {
        var gone = Instant(nanoseconds: 0)
        for session in record.sessions where record.isSession(session, of: holder) {
            let isJoined = record.requests.contains {
                $0.proxy == session.proxy && ($0.reachedAt ?? .never) < now
            }
            if isJoined { gone = max(gone, session.overAt) }
        }
        if gone == .never { return false }
        let canReturn = !holder.identity.instanceID.isEmpty
        return gone.adding(milliseconds: canReturn ? record.scenario.limits.pinGraceMilliseconds : 0) <= now
    }
}

/// As many requests wait behind a pin at a worker as its line may hold; PIN_BUSY comes where it is full.
struct PinLine: Checker {
    static let name = "PinLine"

    mutating func observe(_ event: Observation, _ record: Record, _ reporter: Reporter) {
        switch event {
        case .ended(let request, let report, _) where report.outcome == .pinBusy:
            checkBusy(request, record, reporter)
        case .quiescent:
            for link in record.links.indices where record.links[link].binding?.isPinned == true {
                checkLine(link, record, reporter)
            }
        default: break
        }
    }

    /// Others of the token were there, as many as may wait.
    private func checkBusy(_ request: Int, _ record: Record, _ reporter: Reporter) {
        let facts = record.requests[request]
        guard let reachedAt = facts.reachedAt else { return }
        let holder = record.holder(of: request)
        let others = record.requests.indices.count { other in
            let one = record.requests[other]
            return other != request && one.reachedAt != nil && one.worker == facts.worker
                && (one.isOrphan || one.endedAt >= reachedAt) && record.holder(of: other) == holder
        }
        let most = record.scenario.limits.pinQueueLengthMax
        reporter.expect(
            others >= most,
            "request \(request) is one too many, \(others) are there, \(most) may wait"
        )
    }

    /// Whoever was there when another's turn came, and had its own later, stood in line between.
    private func checkLine(_ link: Int, _ record: Record, _ reporter: Reporter) {
        let waited = record.links[link].requests.filter { isOfLine($0, link, record) }
        let limit = record.scenario.limits.pinQueueLengthMax
        // The first that asks another worker for a pin stands in no line yet.
        let most = record.scenario.workerCount > 1 ? max(limit, 1) : limit
        for served in waited {
            let at = record.requests[served].writes[0].at
            for worker in 0..<record.scenario.workerCount {
                let count = waited.count { other in
                    let facts = record.requests[other]
                    return facts.worker == worker && facts.reachedAt.map { $0 < at } ?? false
                        && facts.writes[0].at > at
                }
                reporter.expect(
                    count <= most,
                    "\(count) requests waited at worker \(worker) for link \(link) when request \(served) had it"
                )
            }
        }
    }

    /// Whether a request can have waited for nothing but the pin of a link.
    private func isOfLine(_ request: Int, _ link: Int, _ record: Record) -> Bool {
        let facts = record.requests[request]
        return facts.writes.count == 1 && facts.writes[0].link == link && record.isOnBound(request, link)
            && facts.reachedAt != nil && facts.plan.pinMode != .auto && !facts.plan.token.isEmpty
            && facts.plan.endpoints.count == 1 && !facts.plan.hasMembers
    }
}
