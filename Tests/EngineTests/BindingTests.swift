// BindingTests.swift: connections that become one client's without being asked for: NTLM and Negotiate.
// Source: RFC 4559 §6; DESIGN "Pins are exclusive"; proto/outrigger.proto, ConnectionFacts.bound.
import Model
import Testing

@testable import Engine

struct BindingTests {
    static let rows = [
        Row(
            "a challenge of NTLM pins the connection of a token",
            script: {
                $0.pin(1, "t", .auto)
                $0.connect(0)
                $0.challenge(0, "NTLM")
                $0.ask(2)
                $0.pin(3, "t", .require) { $0.fields = [("Authorization", "NTLM abc=")] }
            },
            expected: """
                dial 0 a
                0 got GET /1
                pin t made
                1 reply 401
                1 end complete pinned [connected0]
                dial 1 a
                0 got GET /3
                """
        ),
        Row(
            "without a token it is closed behind the reply, and serves nobody else",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.challenge(0, "Negotiate")
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                """
        ),
        Row(
            "by the whole scheme, in any case, among others",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.challenge(0, "Basic realm=\"x, NTLM\", nTlM")
                $0.ask(2)
                $0.connect(1)
                $0.challenge(1, "NTLMv9, Negotiated, Basic realm=\"NTLM\"")
                $0.ask(3)
                $0.challenge(1, "Negotiate", status: 407)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                1 got GET /2
                2 reply 401
                2 end complete pooled [connected0]
                1 got GET /3
                close 1
                3 reply 407 reused
                3 end complete closed [reused0]
                """
        ),
        Row(
            "the same words in a reply that is no challenge bind nothing",
            script: {
                $0.ask(1)
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 200 OK|WWW-Authenticate: NTLM|Persistent-Auth: true|Content-Length: 0||")
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 end complete pooled [connected0]
                0 got GET /2
                """
        ),
        Row(
            "a request with credentials that bind is never followed by another client's",
            script: {
                $0.ask(1) { $0.fields = [("authorization", "negotiate YII=")] }
                $0.connect(0)
                $0.answer(0)
                $0.ask(2) { $0.fields = [("Authorization", "NTLMish abc")] }
                $0.connect(1)
                $0.answer(1)
                $0.ask(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 200
                1 body ok
                1 end complete closed [connected0]
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                1 got GET /3
                """
        ),
        Row(
            "Persistent-Auth binds what carried any credentials",
            script: {
                $0.pin(1, "t", .auto) { $0.fields = [("Authorization", "Kerberos abc")] }
                $0.connect(0)
                $0.answer(0, "ok", "Persistent-Auth: true|")
                $0.ask(2) { $0.fields = [("Authorization", "Basic abc")] }
                $0.connect(1)
                $0.answer(1, "ok", "Persistent-Auth: false|")
                $0.ask(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pin t made
                1 reply 200
                1 body ok
                1 end complete pinned [connected0]
                dial 1 a
                1 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0]
                1 got GET /3
                """
        ),
        Row(
            "a token without room for another pin: its connection is closed",
            { $0.pinsMax = 0 },
            script: {
                $0.pin(1, "t", .auto)
                $0.connect(0)
                $0.challenge(0, "NTLM")
                $0.pin(2, "t", .auto)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                1 reply 401
                1 end complete closed [connected0]
                dial 1 a
                """
        ),
        Row(
            "a peer that refuses a tunnel with such a challenge is closed",
            script: {
                $0.ask(1) { $0.tunnel() }
                $0.connect(0)
                $0.challenge(0, "Negotiate", status: 407)
                $0.ask(2) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 reply 407
                1 end peerRefused closed [peerRefused0] unsent
                dial 1 a
                """
        ),
        Row(
            "a client's own CONNECT at a peer: challenge, credentials, tunnel, on one connection",
            script: {
                $0.pin(1, "t", .auto) { $0.connect(.peer) }
                $0.connect(0)
                $0.challenge(0, "NTLM", status: 407)
                $0.pin(2, "t", .require) {
                    $0.connect(.peer)
                    $0.fields = [("Proxy-Authorization", "NTLM abc=")]
                }
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.cancel(2)
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pin t made
                1 reply 407
                1 end peerRefused pinned [connected0]
                0 got CONNECT h:443
                2 reply 200 reused
                close 0
                pin t lost
                2 end cancelled closed [reused0] unrepeatable
                """
        ),
    ]

    static let reviewed = [
        Row(
            "unpinned before a byte has left, then cancelled: it goes to nobody else",
            script: {
                $0.madePin()
                $0.isWriting = false
                $0.pin(1, "t", .require)
                $0.unpin("t")
                $0.cancel(1)
                $0.isWriting = true
                $0.ask(2)
            },
            expected: """
                close 0
                1 end cancelled closed [reused0] unsent
                dial 1 a
                """
        ),
        Row(
            "a reply behind UNPIN pins nothing, on a pin and beside one",
            script: {
                $0.madePin()
                $0.pin(1, "t", .require) { $0.fields = [("Authorization", "NTLM abc=")] }
                $0.pin(2, "u", .auto) { $0.fields = [("Authorization", "NTLM abc=")] }
                $0.connect(1)
                $0.unpin("t")
                $0.unpin("u")
                $0.answer(0)
                $0.answer(1)
                $0.pin(3, "t", .require)
                $0.pin(4, "u", .require)
            },
            expected: """
                0 got GET /1
                dial 1 a
                1 got GET /2
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                close 1
                2 reply 200
                2 body ok
                2 end complete closed [connected0]
                3 end pinLost none [] unsent
                4 end pinLost none [] unsent
                """
        ),
        Row(
            "credentials that bind in the fields of a CONNECT: neither the peer's connection nor the tunnel is kept",
            script: {
                for stream in UInt32(1)...2 {
                    $0.ask(stream) {
                        $0.tunnel()
                        $0.scheme = .http
                        $0.hop { $0.connectFields = [HeaderField("Proxy-Authorization", "Negotiate YII=")] }
                    }
                    $0.connect(Int(stream) - 1)
                    $0.hear(
                        Int(stream) - 1,
                        stream == 1 ? "HTTP/1.1 403 No|Content-Length: 0||" : "HTTP/1.1 200 OK||"
                    )
                }
                $0.answer(1)
                $0.ask(3) { $0.route = .peer }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                1 reply 403
                1 end peerRefused closed [peerRefused0] unsent
                dial 1 a
                1 got CONNECT h:443
                1 got GET /2
                close 1
                2 reply 200
                2 body ok
                2 end complete closed [connected0]
                dial 2 a
                """
        ),
    ]

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

    @Test(arguments: rows) func `what carried one client's credentials serves nobody else`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: reviewed) func `what review found stays mended`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: moves) func `a pin is at one worker, and its proxy's alone`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
