// BudgetTests.swift: limits that are shared with a neighbour: waiting for its room, giving room up for it.
// Source: RoomLedger.swift, rules 1 to 4; DESIGN "Threads".
import Model
import Testing

struct BudgetTests {
    static let waiting = [
        Row(
            "a request waits for room that the neighbour has",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                let room = $0.neighbourTakes("a")
                $0.ask(1)
                $0.neighbourGivesBack(room)
                $0.connect(0)
            },
            expected: """
                neighbour hears a is wanted
                dial 0 a
                0 got GET /1
                """
        ),
        Row(
            "the limit of the process holds over all workers",
            { $0.connectionsMax = 1 },
            workers: 2,
            script: {
                let room = $0.neighbourTakes("b")
                $0.ask(1)
                $0.neighbourGivesBack(room)
            },
            expected: """
                neighbour hears room is wanted
                dial 0 a
                """
        ),
        Row(
            "all that wait dial when there is room for all",
            { $0.connectionsPerEndpointMax = 2 },
            workers: 2,
            script: {
                let rooms = [$0.neighbourTakes("a"), $0.neighbourTakes("a")]
                for stream in 1...3 as ClosedRange<UInt32> { $0.ask(stream) }
                for room in rooms { $0.neighbourGivesBack(room) }
            },
            expected: """
                neighbour hears a is wanted
                neighbour hears a is wanted
                dial 0 a
                dial 1 a
                """
        ),
        Row(
            "a request that waits no longer leaves no wish behind",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                let room = $0.neighbourTakes("a")
                $0.ask(1)
                $0.cancel(1)
                $0.forget()
                $0.neighbourGivesBack(room)
                $0.note($0.neighbourTakes("a") == nil ? "taken" : "free")
            },
            expected: "free"
        ),
        Row(
            "the queue is one for all workers",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueLengthMax = 1
            },
            workers: 2,
            script: {
                $0.ask(1)
                $0.neighbourQueues()
                $0.ask(2)
                $0.neighbourLeavesQueue()
                $0.ask(3)
            },
            expected: """
                dial 0 a
                2 end overloaded none [abandoned0] unsent
                """
        ),
        Row(
            "who may not wait asks nobody to make room",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueLengthMax = 0
            },
            workers: 2,
            script: {
                _ = $0.neighbourTakes("a")
                $0.ask(1)
            },
            expected: "1 end overloaded none [abandoned0] unsent"
        ),
    ]

    static let yielding = [
        Row(
            "an idle connection is closed for the neighbour, the oldest of the endpoint",
            { $0.connectionsPerEndpointMax = 2 },
            workers: 2,
            script: {
                $0.warm(0, 97, "b")
                $0.ask(1)
                $0.ask(2)
                $0.connect(1)
                $0.connect(2)
                $0.answer(2)
                $0.answer(1)
                $0.forget()
                _ = $0.neighbourTakes("a")
            },
            expected: """
                close 2
                neighbour may dial a
                """
        ),
        Row(
            "at the limit of the process the oldest idle connection is closed, wherever it goes",
            { $0.connectionsMax = 2 },
            workers: 2,
            script: {
                $0.warm(0, 97, "b")
                $0.warm(1, 98, "a")
                _ = $0.neighbourTakes("c")
            },
            expected: """
                close 0
                neighbour may dial c
                """
        ),
        Row(
            "a busy connection is given up when it is free, for who has waited longer",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.connect(0)
                _ = $0.neighbourTakes("a")
                $0.pass(20)
                $0.ask(2)
                $0.answer(0)
                $0.note("the neighbour's turn")
                $0.neighbourGivesBack($0.neighbourRooms.first)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                neighbour may dial a
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                the neighbour's turn
                dial 1 a
                """
        ),
        Row(
            "requests that came before the neighbour's are served first",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.pass(20)
                _ = $0.neighbourTakes("a")
                $0.pass(20)
                $0.ask(3)
                $0.forget()
                $0.answer(0)
                $0.note("then")
                $0.answer(0)
            },
            expected: """
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                then
                close 0
                neighbour may dial a
                2 reply 200 reused
                2 body ok
                2 end complete closed [reused0]
                """
        ),
        Row(
            "a connection stays for 20 ms while there is work for it",
            { $0.connectionsPerEndpointMax = 1 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.connect(0)
                _ = $0.neighbourTakes("a")
                $0.pass(19)
                $0.ask(2)
                $0.ask(3)
                $0.forget()
                $0.answer(0)
                $0.note("20 ms")
                $0.pass(1)
                $0.answer(0)
            },
            expected: """
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                20 ms
                close 0
                neighbour may dial a
                2 reply 200 reused
                2 body ok
                2 end complete closed [reused0]
                """
        ),
        Row(
            "a connection is given up once for one wish",
            { $0.connectionsPerEndpointMax = 2 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.connect(0)
                $0.connect(1)
                _ = $0.neighbourTakes("a")
                $0.forget()
                $0.answer(0)
                $0.answer(1)
            },
            expected: """
                close 0
                neighbour may dial a
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                """
        ),
        Row(
            "a dial that nobody waits for any more is given up",
            { $0.connectionsPerEndpointMax = 2 },
            workers: 2,
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                _ = $0.neighbourTakes("a")
                $0.forget()
                $0.answer(0)
            },
            expected: """
                close 1
                neighbour may dial a
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "within a worker the requests of one key do not hold up those of another for ever",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2) { $0.localAddress = .v4(7) }
                $0.pass(20)
                $0.ask(3)
                $0.forget()
                $0.answer(0)
                $0.connect(1)
            },
            expected: """
                close 0
                dial 1 a
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                1 got GET /2
                """
        ),
        Row(
            "nor those of another endpoint, at the limit of the process",
            { $0.connectionsMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2, "b")
                $0.pass(20)
                $0.ask(3)
                $0.forget()
                $0.answer(0)
                $0.connect(1)
            },
            expected: """
                close 0
                dial 1 b
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                1 got GET /2
                """
        ),
    ]

    @Test(arguments: waiting) func `limits hold over all workers`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: yielding) func `room goes to the worker that has waited longest`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
