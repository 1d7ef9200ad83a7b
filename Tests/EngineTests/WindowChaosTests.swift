// WindowChaosTests.swift: windows that come and go under whatever a seed brings: who awaits what is counted right at any
// time, streams end once, nothing is left. Owns: what is worth trying. Source: SessionWindows.swift; DESIGN "END is exact".
import Balancing
import Model
import Testing

@testable import Engine

/// Two sessions, their requests, the sockets of upstreams, and windows that change.
private struct WindowChaos {
    private var random: RandomSource
    private let rig: Rig
    private var asked: UInt32 = 0
    private var ended: [UInt32: Int] = [:]
    private var seen = 0
    private var pending: [Int] = []
    private(set) var faults: [String] = []

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        var limits = Limits()
        limits.sessionWindowMin = 1 + random.below(2)
        limits.adHocGroupsMax = 2
        limits.connectionsPerEndpointMax = random.below(3) == 0 ? 2 : 0
        limits.queueLengthMax = random.below(3) == 0 ? 3 : 100
        rig = Rig(limits, named: .group("ab"))
        for _ in 0..<2 { rig.greet(instance: "p") }
    }

    mutating func run(steps: Int) {
        for number in 0..<steps {
            step()
            look()
            faults += rig.windowFaults().map { "step \(number): \($0)" }
            if !faults.isEmpty { return }
        }
        rig.drain()
        rig.pass(60_000)
        look()
        for stream in stride(from: UInt32(1), through: asked, by: 1) where ended[stream] != 1 {
            faults.append("stream \(stream) ended \(ended[stream] ?? 0) times")
        }
        faults += rig.windowFaults() + Row.leaks(rig)
    }

    private mutating func step() {
        switch random.below(16) {
        case 0...4: ask()
        case 5, 6:
            if let socket = any(pending) {
                pending.removeAll { $0 == socket }
                if random.below(4) == 0 { rig.fail(socket) } else { rig.connect(socket) }
            }
        case 7...9: if let socket = any(open) { hear(socket) }
        case 10: if let socket = any(open) { rig.reset(socket) }
        case 11: if asked > 0 { rig.cancel(1 + UInt32(random.below(Int(asked))), random.below(2)) }
        case 12: rig.pass([0, 1, 20, 120, 700][random.below(5)])
        case 13: rig.unpin("t", random.below(2))
        default:
            let size = [1, 1, 2, 3, Int.max][random.below(5)]
            rig.windows.window =
                random.below(6) == 0
                ? nil : Window(requestsMax: size, crowdedSince: size < 3 ? .longAgo : nil)
        }
    }

    private mutating func ask() {
        asked += 1
        let (kind, place, wait) = (random.below(16), random.below(8), random.below(4))
        let endpoints = ["a", "ab", "ba", "c", "cd"][random.below(5)]
        rig.ask(asked, endpoints, random.below(2)) { form in
            if place < 2 { form.group = "g" }
            if place > 5 { form.balancing = .leastConnections }
            let modes: [PinMode] = [.make, .prefer, .auto, .require]
            if kind < 4 { form.pin = ("t", modes[kind]) }
            if kind == 4 { form.connect() }
            if kind == 5 { form.tunnel() }
            if kind == 6 { form.upgrade = "websocket" }
            if kind == 7 { (form.method, form.body) = ("POST", .length(3)) }
            if kind == 8 { form.method = "HEAD" }
            if kind == 9 { form.originUser = "u" }
            form.deadlines.queueMilliseconds = [0, 1, 2, 300][wait]
            form.deadlines.connectMilliseconds = 200
            form.deadlines.firstByteMilliseconds = 400
            if wait == 0 { form.deadlines.totalMilliseconds = 500 }
        }
    }

    private mutating func hear(_ socket: Int) {
        let replies = [
            "200 OK|Content-Length: 2||ok", "200 OK|Content-Length: 2||ok", "200 OK|Content-Length: 9||x",
            "103 Early|", "304 Same|", "101 Go|Upgrade: websocket|Connection: upgrade|",
            "503 No|Content-Length: 0|", "401 No|WWW-Authenticate: Basic realm=x|Content-Length: 0|",
            "nonsense", "200 OK|Connection: close||x",
        ]
        rig.hear(socket, "HTTP/1.1 \(replies[random.below(replies.count)])|")
    }

    private var open: [Int] {
        rig.sockets.indices.filter { !rig.sockets[$0].isClosed && !pending.contains($0) }
    }

    private mutating func any(_ sockets: [Int]) -> Int? {
        sockets.isEmpty ? nil : sockets[random.below(sockets.count)]
    }

    /// Reads what was written down since, and counts.
    private mutating func look() {
        let lines = rig.lines
        for line in lines.dropFirst(seen) {
            let words = line.split(separator: " ")
            if words[0] == "dial", let socket = Int(words[1]) { pending.append(socket) }
            if words[0] == "close", let socket = Int(words[1]) { pending.removeAll { $0 == socket } }
            let rest = words[0] == "s1" ? words.dropFirst() : words[...]
            if rest.count > 2, rest[rest.startIndex + 1] == "end", let stream = UInt32(rest[rest.startIndex])
            {
                ended[stream, default: 0] += 1
            }
        }
        seen = lines.count
    }
}

extension Rig {
    /// What is counted otherwise than it is.
    fileprivate func windowFaults() -> [String] {
        var faults: [String] = []
        var awaited: [Int: Int] = [:]
        var counted: [Int: Int] = [:]
        var held: [Int: Int] = [:]
        for stream in 0..<engine.streams.slotCount {
            let turn = engine.streams[stream].turn
            if !engine.streams.isTaken(stream) {
                if turn != .none { faults.append("stream \(stream) is gone and \(turn)") }
                continue
            }
            let session = engine.streams[stream].session
            switch turn {
            case .none: break
            case .few: awaited[session, default: 0] += 1
            case .counted(let share):
                awaited[session, default: 0] += 1
                counted[share, default: 0] += 1
            case .held(let share):
                held[share, default: 0] += 1
                let phase = engine.streams[stream].phase
                if phase != .waiting { faults.append("held in \(phase)") }
            }
        }
        for session in 0..<engine.sessions.slotCount where engine.sessions.isTaken(session) {
            let found = engine.sessions[session].awaited
            if found != awaited[session, default: 0] { faults.append("session \(session): \(found) awaited") }
        }
        var full: [Int: Int] = [:]
        var crowding: [Int: Int] = [:]
        for slot in 0..<engine.shares.slotCount where engine.shares.isTaken(slot) {
            let share = engine.shares[slot]
            if share.awaited != counted[slot, default: 0] || share.held.count != held[slot, default: 0] {
                faults.append("share \(slot): \(share.awaited) awaited, \(share.held.count) held")
            }
            if share.awaited + share.held.count == 0 { faults.append("share \(slot) is empty") }
            if engine.shareByKey[share.key] != slot { faults.append("share \(slot) is not found") }
            let windowMin = engine.limits.sessionWindowMin
            if share.awaited >= windowMin { full[share.key.place, default: 0] += 1 }
            if share.awaited > windowMin { crowding[share.key.place, default: 0] += 1 }
        }
        if engine.shareByKey.count != engine.shares.takenCount { faults.append("keys without shares") }
        for group in engine.groups.states.indices {
            let window = engine.groups.states[group].window
            if window.full != full[~group, default: 0] || window.crowding != crowding[~group, default: 0] {
                faults.append("group \(group): \(window.full) full, \(window.crowding) crowding")
            }
        }
        for letter: Character in ["a", "b", "c", "d"] {
            guard let place = engine.targets.find(endpoint: .lettered(letter)) else { continue }
            let window = engine.targets[endpoint: place].window
            if window.full != full[place, default: 0] || window.crowding != crowding[place, default: 0] {
                faults.append("\(letter): \(window.full) full, \(window.crowding) crowding")
            }
            if engine.targets[endpoint: place].users <= 0 { faults.append("\(letter) is nobody's") }
        }
        return faults
    }
}

@Suite struct WindowChaosTests {
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `whatever happens, who awaits a reply is counted right and nothing is left`(seed: UInt64) {
        var chaos = WindowChaos(seed: seed)
        chaos.run(steps: 200)
        #expect(chaos.faults == [])
    }
}
