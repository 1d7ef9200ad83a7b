// Checks.swift: active checks of members: a connection, TLS on it, a GET and its status.
// Owns: the exchange of a check. Never touches: when one is due and what follows (Sources/Balancing/Checks.swift). One
// worker, number 0, makes them all. A check takes the same way as a connection that is set up for a request; its GET
// stands where the request would.
// Source: HAProxy, "option httpchk"; issue "Groups": active checks.
import Balancing
import HTTP1
import Model

extension WorkerEngine {
    /// Begins every check that is due.
    mutating func beginChecks() {
        if isDraining { checksAt = .never }
        guard checksAt <= now else { return }
        while let place = health.checkDue(now: now) {
            if !beginCheck(place) { health.checked(place, .postponed, now: now) }
        }
        checksAt = health.nextCheckAt
    }

    /// - Returns: whether there is room for its connection. A member at its limit is reached by requests well enough.
    private mutating func beginCheck(_ place: MemberPlace) -> Bool {
        guard let check = groups.states[place.group].settings.check else { return false }
        let endpoint = groups.states[place.group].endpoints[place.member]
        let target = targets.make(
            PoolKey(endpoint: endpoint, route: checkRoute(place.group, check), localAddress: nil)
        )
        targets.routes.release(targets[target].key.route)
        guard let slot = dialForNobody(target, until: now.adding(milliseconds: check.timeoutMilliseconds))
        else { return false }
        connections[slot].member = groups.tag(place.group, place.member)
        connections[slot].member.duty = .check
        return true
    }

    /// The way of a check; one more uses it.
    private mutating func checkRoute(_ group: Int, _ check: CheckSettings) -> RouteID {
        switch check.kind {
        case .tcp, .http: return .direct
        case .tls, .https: break
        }
        let route = groups.states[group].settings.expects.route
        let expected = route?.kind == .direct ? route?.originTLS : route?.peerTLS
        let profile = check.tls ?? expected ?? namedSettings.tlsProfiles["default"] ?? TLSProfile()
        var identity = RouteIdentity()
        identity.outer = configuredTLS(profile, host: checkHost(group, check))
        defer { targets.routes.release(settings: identity.outer.settings) }
        return targets.routes.retain(identity)
    }

    /// Whom a check asks for: as requests of the group will where its members are origins. Empty: the endpoint.
    private func checkHost(_ group: Int, _ check: CheckSettings) -> String {
        if !check.host.isEmpty { return check.host }
        let expects = groups.states[group].settings.expects
        return (expects.route?.kind ?? .direct) == .direct ? expects.authority : ""
    }

    /// The connection of a check stands: that was all, or the request is written.
    mutating func continueCheck(_ slot: Int) {
        guard let place = groups.place(connections[slot].member),
            let check = groups.states[place.group].settings.check
        else { return close(slot) }
        switch check.kind {
        case .tcp, .tls: endCheck(slot, isPassed: true)
        case .http, .https:
            guard encodeCheck(check, place, slot) else { return endCheck(slot, isPassed: false) }
            connections[slot].decoder.begin(ReplyContext())
            connections[slot].isWriting = true
            effects.append(.writeConnection(id(ofConnection: slot), probeFirst: false))
        }
    }

    private mutating func encodeCheck(_ check: CheckSettings, _ place: MemberPlace, _ slot: Int) -> Bool {
        var block = ByteBuffer()
        func put(_ text: String) -> Slice {
            let start = block.count
            block.append(text)
            return Slice(start: start, count: block.count - start)
        }
        var request = Request()
        request.method = put("GET")
        request.target = put(check.path)
        let endpoint = groups.states[place.group].endpoints[place.member]
        var host = checkHost(place.group, check)
        if host.isEmpty, case .ip = endpoint { host = endpoint.text }
        request.authority = put(host)
        request.fields = [FieldSlice(name: put("User-Agent"), value: put(Product.software))]
        do throws(RequestError) {
            _ = try RequestEncoder.encode(
                request,
                in: block.bytes,
                limits: limits,
                into: &connections[slot].setupOutput
            )
            return true
        } catch {
            return false
        }
    }

    /// Bytes of the reply to a check.
    mutating func checkReceived(_ bytes: Span<UInt8>, _ slot: Int) {
        guard let place = groups.place(connections[slot].member),
            let check = groups.states[place.group].settings.check
        else { return close(slot) }
        var inbound = ByteBuffer()
        swap(&inbound, &connections[slot].inbound)
        inbound.append(bytes)
        let status = readCheckStatus(inbound.bytes, slot)
        swap(&inbound, &connections[slot].inbound)
        switch status {
        case nil: break
        case let status?: endCheck(slot, isPassed: HealthLedger.isPassed(status, check))
        }
    }

    /// - Returns: the status of the final reply; 0: what came is no reply; `nil`: it has not come yet.
    private mutating func readCheckStatus(_ bytes: Span<UInt8>, _ slot: Int) -> Int? {
        if !connections[slot].setupOutput.isEmpty && connections[slot].inbound.isEmpty && bytes.isEmpty {
            return nil
        }
        var decoder = ReplyDecoder(limits: limits)
        decoder.begin(ReplyContext())
        var used = 0
        while true {
            let step: ReplyStep
            do throws(ReplyError) {
                step = try decoder.decode(bytes.extracting(droppingFirst: used), head: &head)
            } catch {
                return 0
            }
            switch step.event {
            case .needMore: return nil
            case .interim: used += step.consumed
            case .head: return head.status
            case .body, .trailers, .complete: preconditionFailure("a body before its head")
            }
        }
    }

    private mutating func endCheck(_ slot: Int, isPassed: Bool) {
        report(slot, isPassed: isPassed)
        close(slot)
    }

    /// A check ends with its connection, which is about to be forgotten: unless it has passed before, it failed.
    mutating func checkLost(_ slot: Int) { report(slot, isPassed: false) }

    private mutating func report(_ slot: Int, isPassed: Bool) {
        let tag = connections[slot].member
        connections[slot].member = .none
        guard let place = groups.place(tag) else { return }
        health.checked(place, isDraining ? .postponed : isPassed ? .passed : .failed, now: now)
        if !isDraining { checksAt = health.nextCheckAt }
    }
}
