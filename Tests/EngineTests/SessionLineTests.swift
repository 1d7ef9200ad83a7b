// SessionLineTests.swift: sessions take turns where requests have to wait. Source: SessionLines.swift.
import Model
import Testing

struct SessionLineTests {
    static let rows = [
        Row(
            "a session that asks for much at once puts nobody back: sessions take turns",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.greet()
                $0.ask(1)
                $0.connect(0)
                for stream: UInt32 in 2...4 { $0.ask(stream) }
                $0.ask(11, "a", 1)
                $0.ask(12, "a", 1)
                $0.forget()
                for _ in 1...6 { $0.answer(0) }
            },
            expected: """
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /11
                2 reply 200 reused
                2 body ok
                2 end complete pooled [reused0]
                0 got GET /3
                s1 11 reply 200 reused
                s1 11 body ok
                s1 11 end complete pooled [reused0]
                0 got GET /12
                3 reply 200 reused
                3 body ok
                3 end complete pooled [reused0]
                0 got GET /4
                s1 12 reply 200 reused
                s1 12 body ok
                s1 12 end complete pooled [reused0]
                4 reply 200 reused
                4 body ok
                4 end complete pooled [reused0]
                """
        ),
        Row(
            "each is served once, also when a new one comes while others of its session wait",
            { $0.connectionsPerEndpointMax = 2 },
            script: {
                for stream: UInt32 in 1...5 { $0.ask(stream) }
                $0.connect(0)
                $0.connect(1)
                $0.answer(1)
                $0.ask(6)
                $0.forget()
                for _ in 1...3 { $0.answer(0) }
                $0.answer(1)
            },
            expected: """
                0 got GET /4
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /5
                4 reply 200 reused
                4 body ok
                4 end complete pooled [reused0]
                0 got GET /6
                5 reply 200 reused
                5 body ok
                5 end complete pooled [reused0]
                3 reply 200 reused
                3 body ok
                3 end complete pooled [reused0]
                """
        ),
        Row(
            "those behind count in the queue",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueLengthMax = 2
            },
            script: { for stream: UInt32 in 1...4 { $0.ask(stream) } },
            expected: """
                dial 0 a
                4 end overloaded none [abandoned0] unsent
                """
        ),
        Row(
            "one behind may go, and so may the one in front",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                for stream: UInt32 in 2...5 { $0.ask(stream) }
                $0.cancel(3)
                $0.cancel(2)
                $0.forget()
                $0.answer(0)
                $0.answer(0)
            },
            expected: """
                0 got GET /4
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                0 got GET /5
                4 reply 200 reused
                4 body ok
                4 end complete pooled [reused0]
                """
        ),
        Row(
            "the queue's deadline holds behind others",
            {
                $0.connectionsPerEndpointMax = 1
                $0.queueMilliseconds = 100
            },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.pass(50)
                $0.ask(3)
                $0.forget()
                $0.pass(50)
                $0.answer(0)
                $0.pass(50)
            },
            expected: """
                2 end queueTimeout none [abandoned0] unsent
                0 got GET /3
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                """
        ),
        Row(
            "another pool key of the session has its own place in the line",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.ask(2)
                $0.ask(3)
                $0.ask(4) { $0.route = .peer }
                $0.pass(1)
                $0.forget()
                $0.answer(0)
                $0.pass(20)
                $0.answer(0)
                $0.connect(1)
            },
            expected: """
                0 got GET /2
                1 reply 200
                1 body ok
                1 end complete pooled [connected0]
                close 0
                dial 1 a
                2 reply 200 reused
                2 body ok
                2 end complete closed [reused0]
                1 got GET http://h/4
                """
        ),
        Row(
            "a session that goes takes those behind along",
            { $0.connectionsPerEndpointMax = 1 },
            script: {
                $0.greet()
                $0.ask(1, "a", 1)
                $0.connect(0)
                for stream: UInt32 in 1...3 { $0.ask(stream) }
                $0.ask(2, "a", 1)
                $0.lose(0)
                $0.forget()
                $0.answer(0)
            },
            expected: """
                0 got GET /2
                s1 1 reply 200
                s1 1 body ok
                s1 1 end complete pooled [connected0]
                """
        ),
    ]

    @Test(arguments: rows) func `sessions take turns in the queue`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
