// StandbyTests.swift: idle connections to members that are kept ready.
// Source: issue "Groups": minimum idle connections (standby) per member, kept warm.
import Model
import Testing

struct StandbyTests {
    static let rows = [
        Row(
            "from the start, so many to each member, and another for one that is used",
            named: .group("ab", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                for socket in 0...1 { rig.connect(socket) }
                rig.askGroup(1)
                rig.pass(1)
                rig.drain()
                rig.cancel(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                0 got GET /1
                dial 2 a
                close 1
                goaway draining
                close 0
                1 end cancelled closed [reused at a] by a
                """
        ),
        Row(
            "each worker keeps its share",
            named: .group("a") { $0.standbyConnectionsMin = 3 },
            workers: 2,
            script: { $0.drain() },
            expected: "dial 0 a\ndial 1 a\ngoaway draining"
        ),
        Row(
            "but no more than the pool holds",
            { $0.idlePerKeyMax = 1 },
            named: .group("a") { $0.standbyConnectionsMin = 3 },
            script: { rig in
                rig.connect(0)
                rig.pass(5000)
                rig.drain()
            },
            expected: "dial 0 a\nclose 0\ngoaway draining"
        ),
        Row(
            "of the kind that was asked for last, where the configuration says nothing",
            named: .group("a") { $0.standbyConnectionsMin = 1 },
            script: { rig in
                rig.connect(0)
                rig.askGroup(1) { $0.scheme = .https }
                rig.pass(1)
                for socket in 1...2 { rig.connect(socket) }
                rig.cancel(1)
                rig.askGroup(2)
                rig.pass(1)
                rig.drain()
                rig.cancel(2)
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                tls 1 outer h/h
                tls 2 outer h/h
                close 1
                1 end cancelled none [abandoned at a] by a unsent
                0 got GET /2
                goaway draining
                close 0
                2 end cancelled closed [reused at a] by a
                """
        ),
        Row(
            "for the origin that the configuration says, whatever is asked for",
            named: .group("a") { group in
                group.standbyConnectionsMin = 1
                group.expects.scheme = .https
                group.expects.authority = "origin.example:8443"
            },
            script: { rig in
                rig.connect(0)
                rig.secure(0)
                rig.askGroup(1)
                rig.pass(1)
                rig.askGroup(2) { form in
                    form.scheme = .https
                    form.authority = "origin.example"
                }
                rig.pass(1)
                rig.drain()
                for stream in 1...2 as ClosedRange<UInt32> { rig.cancel(stream) }
            },
            expected: """
                dial 0 a
                tls 0 outer origin.example/origin.example
                dial 1 a
                0 got GET /2
                dial 2 a
                goaway draining
                close 1
                1 end cancelled none [abandoned at a] by a unsent
                close 0
                2 end cancelled closed [reused at a] by a
                """
        ),
        Row(
            "to peers, by the named route, for tunnels too",
            named: .group("a") { group in
                group.standbyConnectionsMin = 1
                var route = NamedRoute()
                route.kind = .peerTunnel
                route.peerTLS = TLSProfile()
                route.peerTLS?.serverName = "peer.example"
                group.expects.route = route
            },
            script: { rig in
                rig.connect(0)
                rig.secure(0)
                rig.drain()
            },
            expected: "dial 0 a\ntls 0 outer peer.example/peer.example\nnotify 0\nclose 0\ngoaway draining"
        ),
        Row(
            "one that is closed is dialed again",
            named: .group("a", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                rig.connect(0)
                rig.end(0)
                rig.pass(1)
                rig.drain()
            },
            expected: "dial 0 a\nclose 0\ndial 1 a\ngoaway draining"
        ),
        Row(
            "but not without end when each is closed at once",
            named: .group("a", .first) { $0.standbyConnectionsMin = 1 },
            script: { rig in
                for socket in 0...3 {
                    rig.connect(socket)
                    rig.end(socket)
                    rig.pass(1)
                }
                rig.forget()
                rig.pass(990)
                rig.note("a second")
                rig.pass(10)
                rig.drain()
            },
            expected: "a second\ndial 4 a\ngoaway draining"
        ),
        Row(
            "the back-off of its member holds for it too",
            named: .group("a", .first) { group in
                group.standbyConnectionsMin = 1
                group.backOff.baseMilliseconds = 1000
            },
            script: { rig in
                rig.fail(0)
                rig.pass(700)
                rig.note("700 ms")
                rig.pass(600)
                rig.drain()
            },
            expected: "dial 0 a\n700 ms\ndial 1 a\ngoaway draining"
        ),
        Row(
            "limits hold for it too",
            named: .group("a", .first) { group in
                group.standbyConnectionsMin = 3
                group.members[0].connectionsMax = 2
            },
            script: { rig in
                rig.pass(100)
                rig.drain()
            },
            expected: "dial 0 a\ndial 1 a\ngoaway draining"
        ),
        Row(
            "TLS that fails is not tried without end, and counts against the member",
            named: .group("ab", .first) { group in
                group.standbyConnectionsMin = 1
                group.expects.scheme = .https
                group.expects.authority = "h"
                group.ejection.dialFailures = 2
            },
            script: { rig in
                rig.connect(1)
                rig.secure(1)
                rig.connect(0)
                rig.failTLS(0, .verify)
                rig.pass(1)
                rig.connect(2)
                rig.failTLS(2, .verify)
                rig.pass(1000)
                rig.noteNext()
                rig.drain()
            },
            expected: "next to b\nnotify 1\nclose 1\ngoaway draining"
        ),
        Row(
            "another number, or a weight that is no longer 0, holds at once",
            named: .group("ab") { group in
                group.standbyConnectionsMin = 1
                group.members[1].weight = 0
            },
            script: { rig in
                rig.setStandby(2)
                rig.note("2 each")
                rig.setWeight(1, 1)
                rig.drain()
            },
            expected: "dial 0 a\ndial 1 a\n2 each\ndial 2 b\ndial 3 b\ngoaway draining"
        ),
    ]

    @Test(arguments: rows) func `connections are kept ready`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
