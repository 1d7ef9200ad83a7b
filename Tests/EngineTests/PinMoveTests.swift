// PinMoveTests.swift: pins that go from worker to worker, and proxies that go and come back.
// Source: DESIGN "Threads"; proto/outrigger.proto, message Pin.
import Model
import Testing

@testable import Engine

struct PinMoveTests {
    static let moves = [
        Row(
            "a pin that another worker has is taken over, and used here from then on",
            workers: 2,
            script: {
                $0.neighbourPins("t")
                $0.pin(1, "t", .require)
                $0.pin(2, "t", .require)
                $0.pin(3, "t", .require, "b")
                $0.pin(4, "u", .require)
                $0.directory.remove($0.name("t"))
            },
            expected: """
                to 1: t wanted by 0
                3 end pinMismatch none [] unsent
                4 end pinLost none [] unsent
                """
        ),
        Row(
            "a pin goes to another worker when it is free, and comes back to those in line",
            workers: 2,
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(2, "t", .require)
                $0.answer(0)
                $0.neighbourSendsPin()
                $0.answer(1)
                $0.pin(3, "t", .require)
                $0.answer(1)
            },
            expected: """
                0 got GET /1
                to 1: socket 0
                to 1: t wanted by 0
                1 reply 200 reused
                1 body ok
                1 end complete pinned [reused0]
                socket 0 comes as 1
                probe 1
                1 got GET /2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0]
                1 got GET /3
                3 reply 200 reused
                3 body ok
                3 end complete pinned [reused0]
                """
        ),
        Row(
            "the room of a pin goes with it",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.ask(1)
                $0.neighbourLosesPins()
            },
            expected: """
                to 1: socket 0
                neighbour hears a is wanted
                dial 1 a
                """
        ),
        Row(
            "a pin that comes from another worker is asked for its health before it serves",
            { $0.livenessProbeIdleMilliseconds = 60_000 },
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(1, "t", .require)
                $0.pin(2, "t", .prefer)
                $0.nextIsStale()
                $0.neighbourSendsPin()
            },
            expected: """
                to 1: socket 0
                to 1: t wanted by 0
                socket 0 comes as 1
                probe 1
                dial 2 a
                pin t lost
                1 end pinLost none [stale0] unsent
                """
        ),
        Row(
            "the end of a pin is not told to the session that goes with it, but to another worker's",
            workers: 2,
            script: {
                $0.greet(instance: "squid")
                _ = $0.directory.join(ProxyIdentity(userID: 0, instanceID: Array("squid".utf8)), worker: 1)
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.pin(2, "t", .require, "a", 1)
                $0.forget()
                $0.lose(1)
                _ = $0.directory.leave(2, worker: 1)
            },
            expected: """
                close 0
                to 1: owner 2 t lost
                """
        ),
        Row(
            "a pin that is gone: lost for require, made anew for prefer",
            workers: 2,
            script: {
                $0.neighbourPins("t")
                $0.pin(1, "t", .require)
                $0.pin(2, "t", .prefer)
                $0.directory.remove($0.name("t"))
                $0.neighbourTells(.gone($0.name("t")))
                $0.neighbourTells(.wanted($0.name("u"), by: 1))
            },
            expected: """
                to 1: t wanted by 0
                dial 0 a
                1 end pinLost none [] unsent
                to 1: u gone
                """
        ),
        Row(
            "UNPIN reaches the worker that has the pin, and a pin on its way",
            workers: 2,
            script: {
                $0.madePin()
                $0.madePin("v", "b", 1)
                $0.neighbourPins("u")
                $0.unpin("u")
                $0.directory.remove($0.name("u"))
                $0.neighbourTells(.unpinned(owner: 1, token: Array("t".utf8)))
                $0.neighbourTells(.wanted($0.name("v", "b"), by: 1))
                $0.pin(1, "v", .require, "b")
                $0.unpin("v")
                $0.neighbourSendsPin()
            },
            expected: """
                to 1: u unpinned
                close 0
                to 1: socket 1
                to 1: v wanted by 0
                to 1: v unpinned
                1 end pinLost none [] unsent
                socket 1 is closed
                """
        ),
        Row(
            "a proxy that comes back within the grace has its pins, by user and instance",
            script: {
                $0.greet(instance: "squid", user: 7)
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.lose(1)
                $0.greet(instance: "squid", user: 8)
                $0.pin(1, "t", .require, "a", 2)
                $0.greet(instance: "other", user: 7)
                $0.pin(1, "t", .require, "a", 3)
                $0.greet(instance: "squid", user: 7)
                $0.pin(1, "t", .require, "a", 4)
                $0.pass(20_000)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                s1 pin t made
                s1 1 reply 200
                s1 1 body ok
                s1 1 end complete pinned [connected0]
                s2 1 end pinLost none [] unsent
                s3 1 end pinLost none [] unsent
                0 got GET /1
                s4 1 reply 200 reused
                s4 1 body ok
                s4 1 end complete pinned [reused0]
                """
        ),
        Row(
            "one that does not come back loses them after the grace; one without an instance at once",
            script: {
                $0.greet(instance: "squid")
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.madePin("t", "b", 1)
                $0.lose(1)
                $0.pass(9000)
                $0.note("still there")
                $0.pass(2000)
                $0.lose(0)
            },
            expected: """
                still there
                close 0
                close 1
                """
        ),
        Row(
            "each time that a proxy is gone the grace begins anew",
            script: {
                $0.greet(instance: "squid")
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.forget()
                $0.lose(1)
                $0.pass(5000)
                $0.greet(instance: "squid")
                $0.pass(3000)
                $0.lose(2)
                $0.pass(9000)
                $0.note("still there")
                $0.pass(2000)
            },
            expected: """
                still there
                close 0
                """
        ),
        Row(
            "a pin whose proxy has gone while it was on its way waits for the grace",
            workers: 2,
            script: {
                $0.greet(instance: "squid")
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.neighbourTells(.wanted($0.name("t", owner: 2), by: 1))
                $0.forget()
                $0.lose(1)
                $0.pass(1000)
                $0.neighbourSendsPin()
                $0.pass(9000)
                $0.note("still there")
                $0.pass(2000)
            },
            expected: """
                to 1: owner 2 left
                socket 0 comes as 1
                still there
                close 1
                """
        ),
        Row(
            "what a session has not been told when it ends is told to another, in order, and nothing twice",
            script: {
                $0.greet(instance: "squid")
                $0.greet(instance: "squid")
                $0.madePin("t", "a", 0, 1)
                $0.setReading(false, 1)
                $0.madePin("u", "b", 1, 1)
                $0.pin(2, "u", .require, "b", 1)
                $0.end(0)
                $0.note("nobody is told")
                $0.lose(1)
            },
            expected: """
                1 got GET /2
                close 0
                nobody is told
                close 1
                s2 pin u made
                s2 pin t lost
                s2 pin u lost
                """
        ),
        Row(
            "the same where the other session is at another worker",
            workers: 2,
            script: {
                $0.greet(instance: "squid")
                _ = $0.directory.join(ProxyIdentity(userID: 0, instanceID: Array("squid".utf8)), worker: 1)
                $0.madePin("t", "a", 0, 1)
                $0.setReading(false, 1)
                $0.end(0)
                $0.lose(1)
                _ = $0.directory.leave(2, worker: 1)
            },
            expected: """
                close 0
                to 1: owner 2 t lost
                """
        ),
        Row(
            "what happens to a pin is told to another session of its proxy",
            script: {
                $0.greet(instance: "squid")
                $0.greet(instance: "squid")
                $0.pin(1, "t", .make, "a", 1)
                $0.connect(0)
                $0.answer(0)
                $0.lose(1)
                $0.end(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                s1 pin t made
                s1 1 reply 200
                s1 1 body ok
                s1 1 end complete pinned [connected0]
                close 0
                s2 pin t lost
                """
        ),
    ]

    @Test(arguments: moves) func `a pin is at one worker, and its proxy's alone`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
    /// What a worker may hear of a connection after the engine has sent it away, before that order is run.
    enum Behind: CaseIterable {
        case bytes, end, failure
    }

    @Test(arguments: Behind.allCases) func `what comes behind the last reply of a pin goes with it`(
        _ behind: Behind
    ) {
        let rig = Rig(workers: 2)
        rig.greet()
        rig.madePin()
        rig.pin(1, "t", .require)
        rig.neighbourTells(.wanted(rig.name("t"), by: 1))
        let id = rig.sockets[0].id
        let reply = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
        rig.engine.received(reply.span, from: id, mayHaveMore: false, now: rig.now)
        switch behind {
        case .bytes: rig.engine.received(reply.span, from: id, mayHaveMore: false, now: rig.now)
        case .end: rig.engine.endOfFile(from: id, now: rig.now)
        case .failure: rig.engine.closed(id, .broken(TLSFailure(.handshake, "a broken record")), now: rig.now)
        }
        rig.run()
        rig.forget()
        rig.neighbourSendsPin()
        rig.pin(2, "t", .require)
        #expect(
            rig.lines == ["socket 0 is closed", "pin t lost", "2 end pinLost none [] unsent"]
        )
    }

    @Test func `a pin leaves behind all that was ordered for its connection`() {
        let rig = Rig(workers: 2)
        let session = rig.greet(credit: 4)
        rig.madePin("t", "a", 0, session)
        rig.pin(1, "t", .require, "a", session)
        rig.answer(0, "abcdefgh")
        rig.neighbourTells(.wanted(rig.name("t"), by: 1))
        rig.forget()
        // A letter is ordered before.
        rig.engine.told(.wanted(rig.name("u"), by: 1), now: rig.now)
        rig.credit(1, 4, session)
        let order = rig.lines.filter { $0.hasPrefix("to 1") || $0.hasPrefix("resume") }
        #expect(order == ["to 1: u gone", "resume 0", "to 1: socket 0"], "\(rig.lines)")
    }

    @Test func `a pin has left before its slot is another connection's`() {
        let rig = Rig(workers: 2)
        _ = rig.greet()
        rig.madePin("t", "a", 0)
        rig.neighbourTells(.wanted(rig.name("t"), by: 1))
        rig.madePin("u", "a", 1)
        rig.forget()
        rig.engine.told(.wanted(rig.name("u"), by: 1), now: rig.now)
        // Another letter is written behind the dial.
        rig.inPieces(of: .max) {
            rig.ask(2, "b")
            rig.pin(3, "t", .require, "a")
        }
        #expect(rig.lines == ["to 1: socket 1", "dial 2 b", "to 1: t wanted by 0"], "\(rig.lines)")
    }
}
