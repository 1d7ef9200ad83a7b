// GroupChaosTests.swift: groups under whatever a seed brings: every stream ends once, limits hold, nothing is left.
// Owns: what is worth trying. Source: issue "Groups"; DESIGN "END is exact".
import Balancing
import Model
import Testing

@testable import Engine

/// A group, its requests, its members' sockets, and another worker.
private struct Chaos {
    private static let letters: [Character] = ["a", "b", "c", "d"]

    private var random: RandomSource
    private let named: NamedSettings
    private let rig: Rig
    private var asked: UInt32 = 0
    private var seen = 0
    private var pending: [Int] = []
    private var handshaking: [Int] = []
    private var busy: [Int] = []
    private var open: [Int] = []
    private var member: [Int: Character] = [:]
    private var rooms: [(letter: Character, room: Room)] = []
    private var ended: [UInt32: Int] = [:]
    private(set) var faults: [String] = []

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        named = Self.settings(&random)
        var limits = Limits()
        limits.connectionsMax = random.below(4) == 0 ? 4 : 1000
        limits.adHocGroupsMax = 2
        limits.queueLengthMax = 20
        rig = Rig(limits, named: named, workers: 2)
        rig.greet(instance: "p")
        rig.greet(instance: "p")
    }

    private static func settings(_ random: inout RandomSource) -> NamedSettings {
        let count = 1 + random.below(4)
        let policy = GroupPolicy.allCases[random.below(GroupPolicy.allCases.count)]
        return .group(String(letters.prefix(count)), policy) { group in
            for index in group.members.indices {
                group.members[index].connectionsMax = random.below(3)
                group.members[index].weight = 1 + random.below(3)
                group.members[index].isBackup = random.below(4) == 0
            }
            group.queueLengthMax = random.below(12)
            group.slowStartMilliseconds = random.below(2) * 1000
            group.standbyConnectionsMin = random.below(3)
            group.ejection.dialFailures = random.below(3)
            group.ejection.replyFailures = random.below(3)
            group.ejection.baseMilliseconds = 500
            group.ejection.statuses = [500...500]
            if random.below(2) == 0 { (group.expects.scheme, group.expects.authority) = (.https, "h") }
            group.backOff.baseMilliseconds = random.below(3) * 100
            group.retry.statuses = random.below(2) == 0 ? [] : [503...503]
            group.retry.attemptsMax = 1 + random.below(4)
            group.retry.concurrencyMin = random.below(3)
            if random.below(2) == 0 { group.check = .often(random.below(2) == 0 ? .tcp : .http) }
        }
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            step()
            look()
        }
        rig.drain()
        rig.pass(60_000)
        // What it waited for is granted with what it gives back.
        while let room = rig.neighbourRooms.last { rig.neighbourGivesBack(room) }
        rooms = []
        look()
        for stream in stride(from: UInt32(1), through: asked, by: 1) where ended[stream] != 1 {
            faults.append("stream \(stream) ended \(ended[stream] ?? 0) times")
        }
        faults += Row.leaks(rig)
    }

    private mutating func step() {
        switch random.below(14) {
        case 0...2: ask()
        case 3, 4: if let socket = any(pending) { connect(socket) }
        case 5: if let socket = any(pending) { fail(socket) }
        case 12: if let socket = any(handshaking) { shakeHands(socket) }
        case 6, 7: if let socket = any(busy) { answer(socket) }
        case 8: if let socket = any(busy) { rig.hear(socket, "HTTP/1.1 200 OK|Content-Length: 9||x") }
        case 9: if let socket = any(open) { lose(socket) }
        case 10: if asked > 0 { rig.cancel(1 + UInt32(random.below(Int(asked))), random.below(2)) }
        case 11: rig.pass([0, 1, 20, 120, 700][random.below(5)])
        default: beside()
        }
    }

    /// What others do.
    private mutating func beside() {
        switch random.below(4) {
        case 0:
            let letter = Self.letters[random.below(4)]
            if let room = rig.neighbourTakes(letter) { rooms.append((letter, room)) }
        case 1: if !rooms.isEmpty { rig.neighbourGivesBack(rooms.removeLast().room) }
        case 2:
            let count = named.groups["g"]?.members.count ?? 1
            rig.setWeight(random.below(count), random.below(3))
        default:
            rig.send(random.below(2)) { $0.unpin(token: Array("t".utf8).span, into: &$1) }
        }
    }

    private mutating func ask() {
        asked += 1
        let kind = random.below(12)
        let (key, wait) = (random.below(3), random.below(3))
        rig.ask(asked, "ab", random.below(2)) { form in
            if kind == 0 { form.balancing = .leastConnections } else { form.group = "g" }
            if kind == 1 { form.balancing = nil }
            if kind == 2 { form.pin = ("t", .make) }
            if kind == 3 { form.pin = ("t", .prefer) }
            if kind == 4 { form.pin = ("t", .auto) }
            if kind == 5 { form.method = "POST" }
            if kind == 6 { form.retry = .never }
            if kind >= 7 && kind <= 8 { form.scheme = .https }
            form.key = "key \(key)"
            form.deadlines.queueMilliseconds = 300
            form.deadlines.connectMilliseconds = 200
            form.deadlines.firstByteMilliseconds = 400
            if wait == 0 { form.deadlines.totalMilliseconds = 500 }
        }
    }

    private mutating func any(_ sockets: [Int]) -> Int? {
        sockets.isEmpty ? nil : sockets[random.below(sockets.count)]
    }

    private mutating func connect(_ socket: Int) {
        pending.removeAll { $0 == socket }
        rig.connect(socket)
    }

    private mutating func shakeHands(_ socket: Int) {
        handshaking.removeAll { $0 == socket }
        let kind = random.below(6)
        if kind < 3 { return rig.secure(socket) }
        forget(socket)
        let blame = [TLSFailure.Blame.peer, .either, .us][random.below(3)]
        rig.failTLS(socket, kind == 3 ? .handshake : .verify, blame: blame)
    }

    private mutating func fail(_ socket: Int) {
        forget(socket)
        rig.fail(socket)
    }

    private mutating func answer(_ socket: Int) {
        busy.removeAll { $0 == socket }
        let status = ["200 OK", "200 OK", "500 No", "503 No", "nonsense"][random.below(5)]
        rig.hear(socket, "HTTP/1.1 \(status)|Content-Length: 2||ok")
    }

    private mutating func lose(_ socket: Int) {
        if pending.contains(socket) || handshaking.contains(socket) { return }
        if random.below(2) == 0 {
            forget(socket)
            rig.reset(socket)
        } else {
            rig.end(socket)
        }
    }

    private mutating func forget(_ socket: Int) {
        pending.removeAll { $0 == socket }
        handshaking.removeAll { $0 == socket }
        busy.removeAll { $0 == socket }
        open.removeAll { $0 == socket }
    }

    /// Reads what was written down since, and counts.
    private mutating func look() {
        let lines = rig.lines
        for line in lines.dropFirst(seen) { read(line) }
        seen = lines.count
        for place in named.groups["g"]?.members ?? [] where place.connectionsMax > 0 {
            let own = open.count { member[$0] == place.name.first }
            let all = own + rooms.count { $0.letter == place.name.first }
            if all > place.connectionsMax { faults.append("\(all) connections to \(place.name)") }
        }
    }

    private mutating func read(_ line: String) {
        let words = line.split(separator: " ")
        if words[0] == "dial", let socket = Int(words[1]), member[socket] == nil {
            pending.append(socket)
            open.append(socket)
            member[socket] = words[2].first
        } else if words[0] == "tls", let socket = Int(words[1]) {
            handshaking.append(socket)
        } else if words[0] == "close", let socket = Int(words[1]) {
            forget(socket)
        } else if words.count > 1, words[1] == "got", let socket = Int(words[0]), open.contains(socket),
            !busy.contains(socket)
        {
            busy.append(socket)
        }
        let rest = words[0] == "s1" ? words.dropFirst() : words[...]
        if rest.count > 2, rest[rest.startIndex + 1] == "end", let stream = UInt32(rest[rest.startIndex]) {
            ended[stream, default: 0] += 1
        }
    }
}

@Suite struct GroupChaosTests {
    @Test(arguments: 0..<120 as Range<UInt64>)
    func `whatever happens, streams end once, limits hold and nothing is left`(seed: UInt64) {
        var chaos = Chaos(seed: seed)
        chaos.run(steps: 150)
        #expect(chaos.faults == [])
    }
}
