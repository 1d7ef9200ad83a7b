// SharedBackOffTests.swift: a dial that failed keeps every group of every worker from the endpoint for a time.
// Source: issue "Groups": back-off per endpoint shared by all workers; Engine.docc/Groups.md.
import Balancing
import Model
import Testing

@testable import Engine

struct SharedBackOffTests {
    /// The groups "g" and "h", and how long back-offs of "g" are at first.
    private static func named(
        _ members: String = "ab",
        base: Int = 1000,
        _ change: (inout NamedGroup) -> Void = { _ in }
    ) -> NamedSettings {
        var named = NamedSettings.group(members, .first) { group in
            group.backOff.baseMilliseconds = base
            change(&group)
        }
        named.groups["h"] =
            NamedSettings.group(members, .first) { $0.backOff.baseMilliseconds = 1000 }.groups["g"]
        return named
    }

    /// What happens, and where requests of "g", "h", the lists "ab" and "ac" would be dialed then.
    private static func row(
        _ rule: String,
        _ change: (inout Limits) -> Void = { _ in },
        named: NamedSettings = SharedBackOffTests.named(),
        after script: @escaping @Sendable (Rig) -> Void,
        next: String
    ) -> Row {
        Row(
            rule,
            change,
            named: named,
            workers: 2,
            script: { rig in
                script(rig)
                rig.noteAll()
            },
            expected: next
        )
    }

    static let spreading = [
        row("nothing", after: { _ in }, next: "g a, h a, ab a, ac a"),
        row(
            "a dial of a group of the configuration fails",
            after: { $0.refuse { $0.group = "g" } },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "one of a list fails",
            after: { $0.refuse { ($0.endpoints, $0.balancing) = ("ab", .roundRobin) } },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "one of a list at the other worker fails",
            after: { $0.neighbourHears(.backOff(until: $0.now.adding(milliseconds: 50), count: 1)) },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "one of a group of the configuration at the other worker fails",
            after: { $0.neighbourRefused(group: 0) },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "lists that were there before are told too",
            after: { rig in
                rig.noteAll()
                rig.forget()
                rig.neighbourRefused(group: 0)
            },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "it is over",
            after: { rig in
                rig.neighbourHears(.backOff(until: rig.now.adding(milliseconds: 50), count: 1))
                rig.pass(50)
            },
            next: "g a, h a, ab a, ac a"
        ),
        row(
            "the other worker has a connection",
            after: { rig in
                rig.refuse { ($0.endpoints, $0.balancing) = ("ab", .roundRobin) }
                rig.neighbourHears(.recovered)
            },
            next: "g a, h a, ab a, ac a"
        ),
        row(
            "this one has: it was under way",
            after: { rig in
                rig.ask(1, "ab") { $0.balancing = .first }
                rig.neighbourRefused(group: 1)
                rig.connect(0)
                rig.answer(0)
                rig.reset(0)
                rig.forget()
            },
            next: "g a, h a, ab a, ac a"
        ),
        row(
            "a dial that does not end",
            { $0.connectMilliseconds = 100 },
            after: { rig in
                rig.askGroup(1)
                rig.pass(100)
                rig.cancel(1)
                rig.forget()
            },
            next: "g b, h b, ab b, ac c"
        ),
        row(
            "one that does not end in the little time that a request gives it",
            { $0.connectMilliseconds = 100 },
            after: { rig in
                rig.askGroup(1) { $0.deadlines.connectMilliseconds = 99 }
                rig.pass(99)
                rig.cancel(1)
                rig.forget()
            },
            next: "g b, h a, ab a, ac a"
        ),
        row(
            "TLS that does not end may be one group's trouble",
            { $0.connectMilliseconds = 100 },
            after: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.pass(100)
                rig.cancel(1)
                rig.forget()
            },
            next: "g b, h a, ab a, ac a"
        ),
        row(
            "so may be no TLS at all",
            after: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.failTLS(0, .handshake, blame: .peer)
                rig.cancel(1)
                rig.forget()
            },
            next: "g b, h a, ab a, ac a"
        ),
        row(
            "which no connection of others ends",
            after: { rig in
                rig.askGroup(1) { $0.scheme = .https }
                rig.connect(0)
                rig.failTLS(0, .handshake, blame: .peer)
                rig.cancel(1)
                rig.neighbourHears(.recovered)
                rig.forget()
            },
            next: "g b, h a, ab a, ac a"
        ),
        row(
            "and a dial from a certain address",
            after: { rig in
                rig.refuse { form in
                    form.group = "g"
                    form.localAddress = .v4(7)
                }
            },
            next: "g b, h a, ab a, ac a"
        ),
        row(
            "a group without back-off heeds none, and none comes of it",
            named: named(base: 0),
            after: { $0.neighbourHears(.backOff(until: $0.now.adding(milliseconds: 50), count: 1)) },
            next: "g a, h b, ab b, ac c"
        ),
        row(
            "none is longer than a group's own could be",
            named: named { group in
                (group.backOff.baseMilliseconds, group.backOff.millisecondsMax) = (10, 100)
            },
            after: { rig in
                rig.neighbourHears(.backOff(until: rig.now.adding(milliseconds: 1000), count: 9))
                rig.pass(119)
                rig.noteNext()
                rig.pass(1)
            },
            next: "next to b\ng a, h b, ab b, ac c"
        ),
    ]

    static let counting = [
        Row(
            "failures in a row count over all groups and workers",
            workers: 2,
            script: { rig in
                rig.neighbourHears(.backOff(until: rig.now.adding(milliseconds: 50), count: 3))
                rig.noteList("ab")
                rig.pass(50)
                rig.refuse { ($0.endpoints, $0.balancing) = ("ab", .first) }
                rig.pass(639)
                rig.noteList("ab")
                rig.pass(322)
                rig.noteList("ab")
            },
            expected: "ab b\nab b\nab a"
        ),
        Row(
            "a connection anywhere ends the count",
            workers: 2,
            script: { rig in
                rig.neighbourHears(.backOff(until: rig.now.adding(milliseconds: 50), count: 3))
                rig.noteList("ab")
                rig.neighbourHears(.recovered)
                rig.refuse { ($0.endpoints, $0.balancing) = ("ab", .first) }
                rig.pass(79)
                rig.noteList("ab")
                rig.pass(42)
                rig.noteList("ab")
            },
            expected: "ab b\nab b\nab a"
        ),
        Row(
            "requests that wait for it go on when another worker has a connection",
            workers: 2,
            script: { rig in
                rig.neighbourHears(.backOff(until: rig.now.adding(milliseconds: 5000), count: 9))
                rig.ask(1, "a") { $0.balancing = .first }
                rig.note("waits")
                rig.neighbourHears(.recovered)
                rig.cancel(1)
            },
            expected:
                "waits\ndial 0 a\nclose 0\n1 end cancelled none [abandoned at 0.0.0.1:80] by 0.0.0.1:80 unsent"
        ),
        Row(
            "the news that a worker had itself change nothing",
            workers: 2,
            script: { rig in
                rig.refuse { ($0.endpoints, $0.balancing) = ("ab", .first) }
                rig.pass(121)
                rig.noteList("ab")
            },
            expected: "ab a"
        ),
    ]

    @Test(arguments: spreading + counting) func `who has the endpoint knows`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test func `the table of back-offs that are on is bounded, and forgets those that end first`() {
        var table = EndpointBackOffs()
        let start = Instant(nanoseconds: 1_000_000_000)
        func endpoint(_ number: Int) -> Endpoint { .ip(.v4(UInt32(number)), port: 80) }
        for number in 0..<EndpointBackOffs.countMax {
            let until = start.adding(milliseconds: number == 7 ? 50 : 100 + number)
            table.take(.backOff(until: until, count: 1), of: endpoint(number), now: start)
        }
        table.take(.backOff(until: start.adding(milliseconds: 60), count: 1), of: endpoint(1000), now: start)
        #expect(table.count == EndpointBackOffs.countMax)
        #expect(table.news(of: endpoint(7), now: start) == nil)
        #expect(
            table.news(of: endpoint(6), now: start) != nil
                && table.news(of: endpoint(1000), now: start) != nil
        )
        table.take(.recovered, of: endpoint(6), now: start)
        #expect(
            table.news(of: endpoint(6), now: start) == nil && table.count == EndpointBackOffs.countMax - 1
        )
        let later = start.adding(milliseconds: 200)
        #expect(table.news(of: endpoint(100), now: later) == nil)
        table.take(.backOff(until: later, count: 1), of: endpoint(2000), now: later)
        #expect(table.count == EndpointBackOffs.countMax - 101)
        #expect(
            table.news(of: endpoint(101), now: later)
                == .backOff(until: later.adding(milliseconds: 1), count: 1)
        )
    }

    @Test func `places of a group leave with it`() {
        var places = EndpointPlaces()
        places.insert([.lettered("a"), .lettered("b"), .lettered("a")], of: 3)
        places.insert([.lettered("b")], of: 4)
        #expect(places.places(.lettered("a")).map(\.member) == [0, 2])
        #expect(places.places(.lettered("b")).map(\.group) == [3, 4])
        places.remove(3)
        #expect(places.places(.lettered("a")).isEmpty && places.places(.lettered("b")).map(\.group) == [4])
    }
}

extension Rig {
    /// A request whose first dial is refused; it is given up then.
    fileprivate func refuse(_ change: (inout Form) -> Void) {
        let (socket, before) = (sockets.count, lines)
        ask(77, "", 0, change)
        fail(socket)
        cancel(77)
        forget()
        for line in before { note(line) }
    }

    /// The other worker's list has found out something about the endpoint a.
    fileprivate func neighbourHears(_ shared: EndpointNews) {
        health.share(shared, of: .lettered("a"), now: now)
        spreadNews()
        run()
    }

    /// At the other worker a dial of member 0, which is at a, was refused.
    fileprivate func neighbourRefused(group: Int) {
        health.record(.dialFailed, of: MemberPlace(group: group, member: 0), now: now)
        spreadNews()
        run()
    }

    /// Where a request would be dialed.
    fileprivate func next(_ change: (inout Form) -> Void) -> String {
        let before = lines
        forget()
        ask(88, "", 0, change)
        let member = lines.first { $0.hasPrefix("dial") }?.last.map { String($0) } ?? "nobody"
        cancel(88)
        forget()
        for line in before { note(line) }
        return member
    }

    fileprivate func noteList(_ list: String) {
        let member = next { ($0.endpoints, $0.balancing) = (list, .first) }
        note("\(list) \(member)")
    }

    fileprivate func noteAll() {
        let (g, h) = (next { $0.group = "g" }, next { $0.group = "h" })
        let ab = next { ($0.endpoints, $0.balancing) = ("ab", .first) }
        let ac = next { ($0.endpoints, $0.balancing) = ("ac", .first) }
        note("g \(g), h \(h), ab \(ab), ac \(ac)")
    }
}
