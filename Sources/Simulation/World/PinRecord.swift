// PinRecord.swift: what is true about pins so far: who may use a link, who was unpinned, which sessions are there.
import Engine
import Model

/// An UNPIN that a proxy has sent.
struct UnpinFacts {
    var proxy: Int
    var holder: PinHolder
    var at: Instant
    /// Place in the order of the record.
    var order: Int
}

/// One session, as its proxy sees it.
struct SessionFacts {
    var proxy: Int
    var openedAt: Instant
    var overAt = Instant.never
    /// It ended with streams open, or before the proxy wanted it to.
    var isCut = false
}

extension Record {
    /// Who has the token of a request; `nil`: it has none.
    func holder(of request: Int) -> PinHolder? {
        let token = requests[request].plan.token
        return token.isEmpty ? nil : scenario.holder(proxy: requests[request].proxy, token: token)
    }

    /// The first UNPIN that was sent when its proxy knew of the pin on a link.
    func release(of link: Int) -> UnpinFacts? {
        guard let binding = links[link].binding, binding.isPinned, let holder = binding.holder else {
            return nil
        }
        return unpins.first { $0.holder == holder && $0.order > binding.pinnedOrder }
    }

    func isReleased(_ link: Int) -> Bool { release(of: link) != nil }

    /// Since when a holder has no session; `nil`: it has one.
    func goneSince(_ holder: PinHolder) -> Instant? {
        var last: Instant?
        for session in sessions where isSession(session, of: holder) {
            if session.overAt == .never { return nil }
            last = max(last ?? session.overAt, session.overAt)
        }
        return last
    }

    /// Whether a holder was without a session in between.
    func hasReturned(_ holder: PinHolder, since: Instant) -> Bool {
        let sessions = sessions.filter { isSession($0, of: holder) }
        return sessions.contains { session in
            session.overAt >= since && session.overAt != .never
                && !sessions.contains { $0.openedAt <= session.overAt && $0.overAt > session.overAt }
        }
    }

    private func isUnpinned(_ holder: PinHolder, since request: Int) -> Bool {
        unpins.contains { $0.holder == holder && $0.order > requests[request].order }
    }

    func isSession(_ session: SessionFacts, of holder: PinHolder) -> Bool {
        scenario.holder(proxy: session.proxy, token: holder.token) == holder
    }

    func applyToPins(_ event: Observation, _ now: Instant) {
        switch event {
        case .opened(let request):
            order += 1
            requests[request].order = order
        case .unpinSent(let proxy, let token):
            order += 1
            unpins.append(
                UnpinFacts(
                    proxy: proxy,
                    holder: scenario.holder(proxy: proxy, token: token),
                    at: now,
                    order: order
                )
            )
        case .reply(let request, let head):
            settleBinding(request, head)
            if head.isPinned { notePinned(request, head) }
        case .requestBegan(let link, let request):
            guard let request else { return }
            links[link].requests.append(request)
            if requests[request].plan.bindsConnection {
                bind(link, from: links[link].requests.count, holder(of: request))
            }
        case .read(let link, _, _):
            guard let last = links[link].serves.last, let end = serves[last].headEndsAt,
                links[link].bytesRead >= end
            else { return }
            serves[last].headReadAt = serves[last].headReadAt ?? now
            let request = serves[last].request
            let plan = request < 0 ? nil : requests[request].plan
            if let plan, !plan.token.isEmpty, plan.pinMode == .prefer || plan.pinMode == .make {
                links[link].mayBePinned = true
            }
            // A token that was unpinned since is none.
            let isTokened =
                plan != nil && holder(of: request).map { !isUnpinned($0, since: request) } ?? false
            let isPersonal = isTokened || plan?.credentials.isEmpty == false
            guard serves[last].plan.binds || (serves[last].plan.isPersistent && isPersonal) else { return }
            if request < 0 {
                bind(link, from: links[link].requests.count, nil, isOpen: true)
            } else if let place = links[link].requests.lastIndex(of: request) {
                bind(link, from: place + 1, holder(of: request))
            }
        case .sessionOpened(let proxy, _): sessions.append(SessionFacts(proxy: proxy, openedAt: now))
        case .sessionOver(let proxy, let byEngine):
            guard let place = sessions.firstIndex(where: { $0.proxy == proxy && $0.overAt == .never })
            else { return }
            sessions[place].overAt = now
            sessions[place].isCut =
                byEngine
                || requests.contains { $0.proxy == proxy && $0.isOpened && $0.endCount == 0 }
        case .socketClosed(let link): links[link].closedAt = now
        default: break
        }
    }

    /// A proxy has got the answer to a CONNECT of the engine's, by which a link is its client's, or nobody's.
    private func settleBinding(_ request: Int, _ head: SeenHead) {
        guard let serve = head.serveField, serves.indices.contains(serve), serves[serve].request == request,
            let binding = links[serves[serve].link].binding, binding.isOpen,
            !links[serves[serve].link].requests.contains(request)
        else { return }
        let link = serves[serve].link
        links[link].binding?.isOpen = false
        guard head.isPinned else { return }
        order += 1
        links[link].binding?.holder = holder(of: request)
        links[link].binding?.isPinned = true
        links[link].binding?.pinnedOrder = order
    }

    /// A reply says that its connection is pinned.
    private func notePinned(_ request: Int, _ head: SeenHead) {
        guard let serve = head.serveField, serves.indices.contains(serve), serves[serve].request == request
        else { return }
        let link = serves[serve].link
        requests[request].isPinnedSeen = true
        guard let place = links[link].requests.lastIndex(of: request) else { return }
        bind(link, from: place + 1, holder(of: request))
        guard links[link].binding?.isPinned == false else { return }
        order += 1
        links[link].binding?.isPinned = true
        links[link].binding?.pinnedOrder = order
    }

    /// The first that binds a link says whose it is.
    private func bind(_ link: Int, from: Int, _ holder: PinHolder?, isOpen: Bool = false) {
        guard let binding = links[link].binding, binding.from <= from else {
            let old = links[link].binding
            links[link].binding = LinkBinding(
                from: from,
                holder: holder,
                isOpen: isOpen,
                isPinned: old?.isPinned ?? false,
                pinnedOrder: old?.pinnedOrder ?? .max
            )
            return
        }
    }

    /// Whether a request was given a link that was bound before.
    func isOnBound(_ request: Int, _ link: Int) -> Bool {
        guard let binding = links[link].binding,
            let place = links[link].requests.firstIndex(of: request)
        else { return false }
        return place >= binding.from
    }
}
