// AbandonTests.swift: CANCEL and the loss of a session, in every state of a stream.
// Source: issue "Connections".
import Engine
import Model
import Testing

/// A state of stream 1 on session 0, and what becomes of its connection.
struct StreamState: Sendable, CustomTestStringConvertible {
    let words: String
    /// What END says when the stream is cancelled.
    let end: String
    /// Connections left when the stream is gone.
    var connectionsLeft = 0
    let script: @Sendable (Rig) -> Void

    var testDescription: String { words }
}

struct AbandonTests {
    static let states = [
        StreamState(words: "it waits in the queue", end: "none [abandoned0] unsent") {
            $0.ask(1)
        },
        StreamState(words: "its connection is being dialed", end: "none [abandoned0] unsent") {
            $0.ask(1, "b")
        },
        StreamState(words: "two addresses race", end: "none [abandoned0 abandoned1] unsent") {
            $0.ask(1, "bc")
            $0.pass(250)
        },
        StreamState(words: "nothing is written yet", end: "pooled [connected0] unsent", connectionsLeft: 1) {
            $0.isWriting = false
            $0.ask(1, "b")
            $0.connect(1)
        },
        StreamState(words: "the head is written", end: "closed [connected0]") {
            $0.ask(1, "b")
            $0.connect(1)
        },
        StreamState(words: "part of the head is written", end: "closed [connected0]") {
            $0.isWriting = false
            $0.ask(1, "b")
            $0.connect(1)
            $0.write(1, 3)
        },
        StreamState(words: "the body is under way", end: "closed [connected0] unrepeatable") {
            $0.post(1, 5) { $0.endpoints = "b" }
            $0.connect(1)
            $0.body(1, "he")
        },
        StreamState(words: "100 is awaited", end: "closed [connected0] unrepeatable") {
            $0.post(1, 5) {
                $0.endpoints = "b"
                $0.fields = [("Expect", "100-continue")]
            }
            $0.connect(1)
        },
        StreamState(words: "part of a reply's head has come", end: "closed [connected0]") {
            $0.ask(1, "b")
            $0.connect(1)
            $0.hear(1, "HTTP/1.1 2")
        },
        StreamState(words: "the reply is under way", end: "closed [connected0]") {
            $0.ask(1, "b")
            $0.connect(1)
            $0.hear(1, "HTTP/1.1 200 OK|Content-Length: 5||he")
        },
        StreamState(words: "the reply waits for credit", end: "closed [connected0]") {
            $0.ask(1, "b")
            $0.connect(1)
            $0.hear(1, "HTTP/1.1 200 OK|Content-Length: 5000||")
            $0.hearBytes(1, Array(repeating: 0, count: 2000))
        },
        StreamState(words: "it is a tunnel", end: "closed [connected0] unrepeatable") {
            $0.ask(1, "b") { $0.upgrade = "ws" }
            $0.connect(1)
            $0.hear(1, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||")
        },
        StreamState(
            words: "it is a tunnel that the upstream has ended",
            end: "closed [connected0] unrepeatable"
        ) {
            $0.ask(1, "b") { $0.upgrade = "ws" }
            $0.connect(1)
            $0.hear(1, "HTTP/1.1 101 Switching Protocols|Upgrade: ws||")
            $0.end(1)
        },
        StreamState(words: "it is being sent again", end: "none [stale0 abandoned0]") {
            $0.warm(1, 98, "b")
            $0.ask(1, "b")
            $0.reset(1)
        },
    ]

    /// Session 1 has a connection to a, which is as many as there may be.
    private func rig(_ state: StreamState) -> Rig {
        var limits = Limits()
        limits.connectionsPerEndpointMax = 1
        let rig = Rig(limits)
        rig.greet()
        rig.greet()
        rig.ask(7, "a", 1)
        rig.connect(0)
        state.script(rig)
        rig.forget()
        return rig
    }

    private func expectNothingElse(_ rig: Rig, _ state: StreamState) {
        #expect(rig.counts.streams == 1 && rig.counts.waiting == 0)
        #expect(rig.counts.connections == 1 + state.connectionsLeft)
        rig.forget()
        rig.answer(0)
        #expect(rig.lines.contains("s1 7 end complete pooled [connected0]"))
        rig.loseAll()
        rig.pass(86_400_000)
        #expect(rig.counts == Self.nothing(rig.counts))
        #expect(rig.targetCount == 0)
    }

    private static func nothing(_ counts: Counts) -> Counts {
        var nothing = counts
        nothing.sessions = 0
        nothing.streams = 0
        nothing.connections = 0
        nothing.idleConnections = 0
        nothing.waiting = 0
        return nothing
    }

    @Test(arguments: states) func `CANCEL ends a stream in every state, once`(_ state: StreamState) {
        let rig = rig(state)
        rig.cancel(1)
        rig.cancel(1)
        #expect(rig.lines.filter { $0.contains("end") } == ["1 end cancelled \(state.end)"])
        expectNothingElse(rig, state)
    }

    @Test(arguments: states) func `a lost session leaves nothing in any state`(_ state: StreamState) {
        let rig = rig(state)
        rig.lose(0)
        #expect(rig.lines.filter { !$0.hasPrefix("close ") } == [])
        expectNothingElse(rig, state)
    }
}
