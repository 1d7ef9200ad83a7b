// PinLedger.swift: which proxies there are, which pins they have, and at which worker each is.
// Owns: the limits on pins. Never touches: connections, threads. Source: DESIGN "Threads", "Pins are exclusive".
import Model

/// The directory of pins without its lock.
package struct PinLedger: Sendable {
    private struct Owner {
        var identity: ProxyIdentity?
        /// By worker.
        var sessions: [Int]
        var pins = 0
        var tokens: [[UInt8]: [PinName]] = [:]

        var sessionCount: Int { sessions.reduce(0, +) }
    }

    private let pinsMax: Int
    private let pinsPerProxyMax: Int
    private let targetsPerTokenMax: Int
    private let workers: Int

    private var owners: [Int: Owner] = [:]
    private var numbers: [ProxyIdentity: Int] = [:]
    private var lastNumber = 0
    private var places: [PinName: Int] = [:]
    /// Pins of each worker.
    package private(set) var pinsByWorker: [Int]

    package init(_ limits: Limits, workers: Int) {
        pinsMax = limits.pinsMax
        pinsPerProxyMax = limits.pinsPerProxyMax
        targetsPerTokenMax = limits.pinTargetsPerTokenMax
        self.workers = workers
        pinsByWorker = Array(repeating: 0, count: workers)
    }

    /// Pins and owners that it remembers.
    package var count: Int { places.count + owners.count }
    /// Pins.
    package var pinCount: Int { places.count }

    package mutating func join(_ proxy: ProxyIdentity?, worker: Int) -> Int {
        if let proxy, let number = numbers[proxy] {
            owners[number]?.sessions[worker] += 1
            return number
        }
        lastNumber += 1
        var owner = Owner(identity: proxy, sessions: Array(repeating: 0, count: workers))
        owner.sessions[worker] = 1
        owners[lastNumber] = owner
        if let proxy { numbers[proxy] = lastNumber }
        return lastNumber
    }

    package mutating func leave(_ number: Int, worker: Int) -> [Int]? {
        guard var owner = owners[number] else { preconditionFailure("an owner that is not known leaves") }
        owner.sessions[worker] -= 1
        owners[number] = owner
        if owner.sessionCount > 0 { return nil }
        let found = Set(owner.tokens.values.joined().compactMap { places[$0] }).sorted()
        forgetIfUnused(number)
        return found
    }

    package func isPresent(_ number: Int) -> Bool { owners[number].map { $0.sessionCount > 0 } ?? false }

    package func mayReturn(_ number: Int) -> Bool { owners[number]?.identity != nil }

    package func workerOfSession(_ number: Int, butNot worker: Int) -> Int? {
        owners[number]?.sessions.indices.first { $0 != worker && owners[number]?.sessions[$0] ?? 0 > 0 }
    }

    package func workersOfSessions(_ number: Int) -> [Int] {
        guard let owner = owners[number] else { return [] }
        return owner.sessions.indices.filter { owner.sessions[$0] > 0 }
    }

    package mutating func register(_ name: PinName, worker: Int) -> PinRegistration {
        if let other = places[name] { return .elsewhere(other) }
        guard var owner = owners[name.token.owner] else { return .refused("its proxy is gone") }
        if places.count >= pinsMax { return .refused("more than \(pinsMax) pins") }
        if owner.pins >= pinsPerProxyMax { return .refused("more than \(pinsPerProxyMax) pins of one proxy") }
        if (owner.tokens[name.token.bytes]?.count ?? 0) >= targetsPerTokenMax {
            return .refused("more than \(targetsPerTokenMax) targets pinned to one token")
        }
        owner.pins += 1
        owner.tokens[name.token.bytes, default: []].append(name)
        owners[name.token.owner] = owner
        places[name] = worker
        pinsByWorker[worker] += 1
        return .made
    }

    package mutating func rename(_ name: PinName, to new: PinName, worker: Int) -> Bool {
        if places[new] != nil { return false }
        remove(name)
        return register(new, worker: worker) == .made
    }

    package func find(_ name: PinName) -> Int? { places[name] }

    package func workers(ownerOf token: (owner: Int, bytes: [UInt8])) -> [Int] {
        Set((owners[token.owner]?.tokens[token.bytes] ?? []).compactMap { places[$0] }).sorted()
    }

    package mutating func move(_ name: PinName, to worker: Int) {
        guard let old = places[name] else { preconditionFailure("a pin that is not known moves") }
        pinsByWorker[old] -= 1
        pinsByWorker[worker] += 1
        places[name] = worker
    }

    package mutating func remove(_ name: PinName) {
        guard let worker = places.removeValue(forKey: name) else {
            preconditionFailure("a pin that is not known ends")
        }
        pinsByWorker[worker] -= 1
        let number = name.token.owner
        owners[number]?.pins -= 1
        owners[number]?.tokens[name.token.bytes]?.removeAll { $0 == name }
        if owners[number]?.tokens[name.token.bytes]?.isEmpty == true {
            owners[number]?.tokens[name.token.bytes] = nil
        }
        forgetIfUnused(number)
    }

    private mutating func forgetIfUnused(_ number: Int) {
        guard let owner = owners[number], owner.pins == 0, owner.sessionCount == 0 else { return }
        owners[number] = nil
        if let identity = owner.identity { numbers[identity] = nil }
    }
}
