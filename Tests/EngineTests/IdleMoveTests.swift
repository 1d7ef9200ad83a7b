// IdleMoveTests.swift: idle connections between workers. Source: DESIGN "Threads"; IdleMoves.swift.
import Model
import Testing

struct IdleMoveTests {
    static let rows = [
        Row(
            "an idle connection of another worker serves, and nothing is dialed",
            workers: 2,
            script: {
                $0.movedAway()
                $0.ask(1)
                $0.neighbourSendsIdle()
                $0.answer(1)
                $0.ask(2)
            },
            expected: """
                to 1: a wanted
                socket 0 comes as 1
                probe 1
                1 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pooled [reused0]
                1 got GET /2
                """
        ),
        Row(
            "where the other worker has none it is dialed",
            workers: 2,
            script: {
                $0.neighbourHasIdle()
                $0.ask(1)
                $0.neighbourHasNone()
            },
            expected: """
                to 1: a wanted
                dial 0 a
                """
        ),
        Row(
            "nor is a member of a group dialed that backs off by then: another is chosen",
            named: .group("ab", .first) { $0.backOff.baseMilliseconds = 1000 },
            workers: 2,
            script: {
                $0.askGroup(1)
                $0.neighbourHasIdle()
                $0.askGroup(2)
                $0.fail(0)
                $0.neighbourHasNone()
            },
            expected: """
                dial 0 a
                to 1: a wanted
                dial 1 b
                dial 2 b
                """
        ),
        Row(
            "one that has been idle for an instant only stays, as it is needed again under load",
            workers: 2,
            script: {
                $0.warm(0)
                $0.pass(19)
                $0.neighbourWantsIdle()
                $0.ask(1)
            },
            expected: """
                to 1: none
                0 got GET /1
                """
        ),
        Row(
            "the one that has been idle longest goes",
            workers: 2,
            script: {
                $0.ask(98)
                $0.ask(99)
                $0.connect(0)
                $0.connect(1)
                $0.answer(1)
                $0.answer(0)
                $0.forget()
                $0.pass(20)
                $0.neighbourWantsIdle()
                $0.ask(1)
                $0.neighbourLosesIdle()
            },
            expected: """
                to 1: socket 1
                0 got GET /1
                """
        ),
        Row(
            "another way, another address: none of them goes",
            workers: 2,
            script: {
                $0.ask(99) { $0.route = .peer }
                $0.connect(0)
                $0.answer(0)
                $0.forget()
                $0.pass(20)
                $0.neighbourWantsIdle()
                $0.neighbourWantsIdle("b")
            },
            expected: """
                to 1: none
                to 1: none
                """
        ),
        Row(
            "what comes serves whoever waits longest; who asked for it waits for what that one asked for",
            workers: 2,
            script: {
                $0.movedAway()
                $0.ask(1)
                $0.ask(2)
                $0.asks.swapAt(0, 1)
                $0.neighbourSendsIdle()
                $0.answer(1)
                $0.neighbourHasNone()
            },
            expected: """
                to 1: a wanted
                to 1: a wanted
                socket 0 comes as 1
                probe 1
                1 got GET /1
                1 got GET /2
                1 reply 200 reused
                1 body ok
                1 end complete pooled [reused0]
                """
        ),
        Row(
            "if nothing comes of that, it asks once more where there was one before, and then dials",
            workers: 2,
            script: {
                $0.movedAway()
                $0.ask(1)
                $0.ask(2)
                $0.asks.swapAt(0, 1)
                $0.neighbourSendsIdle()
                $0.neighbourHasNone()
                $0.neighbourHasNone()
            },
            expected: """
                to 1: a wanted
                to 1: a wanted
                socket 0 comes as 1
                probe 1
                1 got GET /1
                to 1: a wanted
                dial 2 a
                """
        ),
        Row(
            "or it takes over the dial of that one",
            workers: 2,
            script: {
                $0.movedAway()
                $0.neighbourHasIdle(nil)
                $0.ask(1)
                $0.neighbourHasIdle()
                $0.ask(2)
                $0.neighbourSendsIdle()
                $0.connect(1)
            },
            expected: """
                dial 1 a
                to 1: a wanted
                socket 0 comes as 2
                probe 2
                2 got GET /1
                1 got GET /2
                """
        ),
        Row(
            "while what was asked for one that is served otherwise may come, nothing is dialed for the next",
            workers: 2,
            script: {
                $0.warm(0)
                $0.ask(1)
                $0.neighbourHasIdle()
                $0.ask(2)
                $0.answer(0)
                $0.neighbourHasIdle(nil)
                $0.ask(3)
                $0.forget()
                $0.answer(0)
                $0.neighbourHasNone()
                $0.ask(4)
            },
            expected: """
                0 got GET /3
                2 reply 200 reused
                2 body ok
                2 end complete pooled [reused0]
                dial 1 a
                """
        ),
        Row(
            "what comes for a stream that has ended is kept for the next",
            workers: 2,
            script: {
                $0.movedAway()
                $0.ask(1)
                $0.cancel(1)
                $0.neighbourSendsIdle()
                $0.ask(2)
            },
            expected: """
                to 1: a wanted
                1 end cancelled none [abandoned0] unsent
                socket 0 comes as 1
                probe 1
                1 got GET /2
                """
        ),
        Row(
            "what died on its way is no failure: a fresh one is dialed, and nobody asked again",
            workers: 2,
            script: {
                $0.movedAway()
                $0.ask(1)
                $0.nextIsStale()
                $0.neighbourSendsIdle()
            },
            expected: """
                to 1: a wanted
                socket 0 comes as 1
                probe 1
                dial 2 a
                """
        ),
        Row(
            "the room of a connection goes with it",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.warm(0)
                $0.pass(20)
                $0.neighbourWantsIdle()
                $0.ask(1)
                $0.neighbourLosesIdle()
            },
            expected: """
                to 1: socket 0
                neighbour hears a is wanted
                dial 1 a
                """
        ),
        Row(
            "who waits for the room of a connection that moves is not forgotten",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: { rig in
                rig.movedAway()
                rig.ask(1)
                _ = rig.neighbourTakes("a")
                rig.pass(1)
                rig.neighbourSendsIdle()
                rig.ask(2)
                rig.pass(20)
                rig.answer(1)
            },
            expected: """
                to 1: a wanted
                socket 0 comes as 1
                probe 1
                1 got GET /1
                to 1: a wanted
                close 1
                neighbour may dial a
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                """
        ),
        Row(
            "who is behind others that a limit blocks does not overtake them",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.neighbourHasIdle()
                $0.ask(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                """
        ),
        Row(
            "the connect deadline holds while another worker is asked",
            { $0.connectMilliseconds = 100 },
            workers: 2,
            script: {
                $0.neighbourHasIdle()
                $0.ask(1)
                $0.pass(100)
            },
            expected: """
                to 1: a wanted
                1 end connectTimeout none [timeout0] unsent
                """
        ),
    ]

    @Test(arguments: rows) func `idle connections move between workers`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
