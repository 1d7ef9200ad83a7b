// QueueTests.swift: waiting for a connection. Source: DESIGN step 4; issue "Connections".
import Model
import Testing

struct QueueTests {
    static let handing = [
        Row(
            "a waiter gets the connection that is freed",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.answer(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                2 reply 200 reused
                2 body ok
                2 end complete pooled [reused0]
                """
        ),
        Row(
            "a freed connection comes before the waiter's own dial, which is kept for the pool",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.answer(0)
                $0.forget()
                $0.connect(1)
                $0.ask(3)
                $0.answer(1)
            },
            expected: """
                1 got GET /3
                3 reply 200
                3 body ok
                3 end complete pooled [reused0]
                """
        ),
        Row(
            "a dial serves the first who waits; whose dial it was gets the other's",
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.connect(1)
                $0.connect(0)
            },
            expected: """
                dial 0 a
                dial 1 a
                1 got GET /1
                0 got GET /2
                """
        ),
        Row(
            "a dial whose stream has ended goes to one that could not dial",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.cancel(1)
                $0.connect(0)
            },
            expected: """
                dial 0 a
                1 end cancelled none [abandoned0] unsent
                0 got GET /2
                """
        ),
        Row(
            "a dial kept for the pool has its own time, whoever had its slot before",
            script: {
                $0.warm(0)
                $0.end(0)
                $0.pass(55_000)
                $0.ask(1)
                $0.ask(2)
                $0.connect(2)
                $0.answer(2)
                $0.forget()
                $0.pass(6000)
                $0.connect(1)
                $0.ask(3)
            },
            expected: "1 got GET /3"
        ),
        Row(
            "a dial kept for the pool is closed at the connect deadline",
            { $0.connectMilliseconds = 500 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.answer(0)
                $0.forget()
                $0.pass(499)
                $0.note("499 ms")
                $0.pass(1)
            },
            expected: """
                499 ms
                close 1
                """
        ),
    ]

    static let limits = [
        Row(
            "at the endpoint's limit: first come first served",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                for stream in 1...3 as ClosedRange<UInt32> { $0.ask(stream) }
                $0.connect(0)
                $0.answer(0)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /3
                2 reply 200 reused
                2 body ok
                2 end complete pooled [reused0]
                """
        ),
        Row(
            "at the worker's limit: an idle connection makes room, first come first served",
            { $0.connectionsMax = 1 },
            script: {
                $0.ask(1, "a")
                $0.connect(0)
                $0.ask(2, "b")
                $0.ask(3, "c")
                $0.answer(0)
                $0.fail(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 b
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                dial 2 c
                2 end connectRefused none [refused0] unsent
                """
        ),
        Row(
            "at the endpoint's limit an idle connection of another key makes room",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.warm(0)
                $0.ask(1) { $0.localAddress = .v4(7) }
            },
            expected: """
                close 0
                dial 1 a
                """
        ),
        Row(
            "waiters of a busy endpoint do not pass those whom the worker's limit holds",
            {
                $0.connectionsPerEndpointMax = 1
                $0.connectionsMax = 2
            },
            script: {
                $0.ask(1, "a")
                $0.connect(0)
                $0.ask(2, "b")
                $0.connect(1)
                $0.ask(3, "c")
                $0.ask(4, "a")
                $0.forget()
                $0.reset(0)
            },
            expected: """
                dial 2 c
                1 end reset closed [connected0]
                """
        ),
        Row(
            "a full queue: OVERLOADED, and those in it stay",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueLengthMax = 1
            },
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.ask(3)
                $0.note("\($0.counts.waiting) waiting")
                $0.cancel(1)
                $0.connect(0)
            },
            expected: """
                dial 0 a
                3 end overloaded none [abandoned0] unsent
                1 waiting
                1 end cancelled none [abandoned0] unsent
                0 got GET /2
                """
        ),
        Row(
            "the queue's deadline: QUEUE_TIMEOUT",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2) { $0.deadlines.queueMilliseconds = 500 }
                $0.pass(499)
                $0.note("499 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                499 ms
                2 end queueTimeout none [abandoned0] unsent
                """
        ),
        Row(
            "the queue's deadline holds again when the dial failed and the next address is full",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2, "ba") { $0.deadlines.queueMilliseconds = 500 }
                $0.fail(1)
                $0.pass(499)
                $0.note("499 ms")
                $0.pass(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 b
                499 ms
                2 end queueTimeout none [refused0 abandoned1] unsent
                """
        ),
        Row(
            "more streams than a session may have: OVERLOADED",
            { $0.streamsPerSessionMax = 1 },
            script: {
                $0.ask(1)
                $0.ask(2)
                $0.connect(0)
            },
            expected: """
                dial 0 a
                2 end overloaded none [] unsent
                0 got GET /1
                """
        ),
    ]

    @Test(arguments: handing) func `whoever waits longest gets the first connection`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: limits) func `limits make requests wait in order`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
