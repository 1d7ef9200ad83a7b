// ChallengeTests.swift: challenges that are answered here: what becomes of the reply, the connection and the request.
// Source: proto/outrigger.proto, Credentials; RFC 9110 §11, §10.1.1.
import Model
import Testing

extension Credential {
    static func basic(_ user: String) -> Credential {
        var credential = Credential(name: "test", schemes: .basic)
        credential.user = Array(user.utf8)
        credential.password = Secret("p")
        return credential
    }
}

extension Rig {
    fileprivate func asks(_ socket: Int, _ more: String = "", status: String = "401 No", body: String = "no")
    {
        let name = status.hasPrefix("401") ? "WWW-Authenticate" : "Proxy-Authenticate"
        let length = "Content-Length: \(body.utf8.count)"
        hear(socket, "HTTP/1.1 \(status)|\(name): Basic realm=\"r\"|\(length)|\(more)|\(body)")
    }
}

struct ChallengeTests {
    static let rows = [
        Row(
            "the request goes out again on the same connection, and at once the next time",
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.asks(0)
                $0.answer(0)
                $0.ask(2) { $0.originUser = "u" }
                $0.note($0.written(0).components(of: "Authorization"))
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pooled [connected0 reused0]
                0 got GET /2
                Authorization: Basic dTpw, Authorization: Basic dTpw
                """
        ),
        Row(
            "a connection that ends with the challenge: on another one",
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.asks(0, "Connection: close|")
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 a
                1 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0 connected0]
                """
        ),
        Row(
            "a challenge until the end, and one that breaks off",
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r||no")
                $0.end(0)
                $0.connect(1)
                $0.answer(1)
                $0.ask(2, "b") { $0.originUser = "v" }
                $0.connect(2)
                $0.hear(2, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r|Content-Length: 9||no")
                $0.reset(2)
                $0.connect(3)
                $0.answer(3)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 a
                1 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0 connected0]
                dial 2 b
                2 got GET /2
                dial 3 b
                3 got GET /2
                2 reply 200
                2 body ok
                2 end complete pooled [connected0 connected0]
                """
        ),
        Row(
            "a challenge with more body than is worth dropping",
            { $0.challengeBodyBytesMax = 10 },
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.asks(0, body: "0123456789a")
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 a
                1 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [connected0 connected0]
                """
        ),
        Row(
            "a body that is held is sent again; one that is not waits for the challenge",
            { $0.replayBytesMax = 400 },
            script: {
                $0.post(1, 4) { $0.originUser = "u" }
                $0.connect(0)
                $0.body(1, "body", ends: true)
                $0.asks(0)
                $0.answer(0)
                $0.post(2, 500) {
                    $0.originUser = "v"
                    $0.endpoints = "b"
                }
                $0.connect(1)
                $0.body(2, String(repeating: "x", count: 500), ends: true)
                $0.note($0.written(1).components(of: "Expect"))
                $0.asks(1)
                $0.connect(2)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more body
                0 got POST /1
                0 more body
                1 reply 200 reused
                1 body ok
                1 end complete pooled [connected0 reused0] unrepeatable
                dial 1 b
                1 got POST /2
                Expect: 100-continue
                close 1
                dial 2 b
                2 got POST /2
                2 more 500 bytes, sum 1519117824
                """
        ),
        Row(
            "refused twice: the reply goes back",
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.connect(0)
                $0.asks(0)
                $0.asks(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /1
                1 reply 401 reused
                1 body no
                1 end complete pooled [connected0 reused0]
                """
        ),
        Row(
            "on its pinned connection, or not at all",
            script: {
                $0.pin(1, "t", .make) { $0.originUser = "u" }
                $0.connect(0)
                $0.asks(0)
                $0.answer(0)
                $0.pin(2, "t", .require) { $0.originUser = "v" }
                $0.asks(0, "Connection: close|")
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /1
                pin t made
                1 reply 200 reused
                1 body ok
                1 end complete pinned [connected0 reused0]
                0 got GET /2
                close 0
                pin t lost
                2 end pinLost none [reused0]
                """
        ),
        Row(
            "a tunnel: the CONNECT again on the peer's connection, and nothing of it inside",
            script: {
                $0.ask(1) {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.asks(0, status: "407 No")
                $0.hear(0, "HTTP/1.1 200 OK||")
                $0.asks(0, status: "407 No")
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                0 got CONNECT h:443
                0 got GET /1
                1 reply 407
                1 body no
                1 end complete pooled [peerRefused0 connected0]
                """
        ),
        Row(
            "a CONNECT that is answered by connecting asks nobody",
            script: {
                $0.ask(1) {
                    $0.connect()
                    $0.originUser = "u"
                    $0.peerUser = "u"
                }
                $0.connect(0)
            },
            expected: """
                dial 0 a
                1 reply 200
                """
        ),
        Row(
            "a body that grows while the challenge is dropped is sent again from its beginning",
            { $0.replayBytesMax = 400 },
            script: {
                $0.post(1, 900) { $0.originUser = "u" }
                $0.connect(0)
                $0.body(1, String(repeating: "x", count: 100))
                $0.pass(1001)
                $0.hear(0, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r|Content-Length: 2||")
                $0.body(1, String(repeating: "y", count: 400))
                $0.body(1, String(repeating: "z", count: 400), ends: true)
                $0.hear(0, "no")
                $0.connect(1)
            },
            expected: """
                dial 0 a
                0 got POST /1
                0 more 100 bytes, sum 1680682496
                close 0
                dial 1 a
                1 got POST /1
                1 more 900 bytes, sum 1876510976
                """
        ),
        Row(
            "origins without a name are told apart by where they are",
            script: {
                $0.ask(1) {
                    $0.authority = ""
                    $0.originUser = "u"
                }
                $0.connect(0)
                $0.asks(0)
                $0.answer(0)
                $0.ask(2, "b") {
                    $0.authority = ""
                    $0.originUser = "u"
                }
                $0.connect(1)
                $0.note("to b: " + $0.written(1).components(of: "Authorization"))
            },
            expected: """
                dial 0 a
                0 got GET /1
                0 got GET /1
                1 reply 200 reused
                1 body ok
                1 end complete pooled [connected0 reused0]
                dial 1 b
                1 got GET /2
                to b: 
                """
        ),
        Row(
            "cancelled in the middle of a challenge, and its proxy lost",
            script: {
                $0.ask(1) { $0.originUser = "u" }
                $0.ask(2) { $0.originUser = "u" }
                $0.connect(0)
                $0.connect(1)
                $0.hear(0, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r|Content-Length: 9||no")
                $0.hear(1, "HTTP/1.1 401 No|WWW-Authenticate: Basic realm=r|Content-Length: 9||no")
                $0.cancel(1)
                $0.lose()
            },
            expected: """
                dial 0 a
                dial 1 a
                0 got GET /1
                1 got GET /2
                close 0
                1 end cancelled closed [connected0]
                close 1
                """
        ),
    ]

    @Test(arguments: rows) func `a challenge that can be answered is not passed on`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however challenges are cut`(_ row: Row, _ reading: Reading) {
        #expect(
            row.lines(reading).filter { !$0.contains(" body ") }
                == row.expected.filter { !$0.contains(" body ") }
        )
    }
}

extension String {
    /// The lines that begin with `name`, in one.
    fileprivate func components(of name: String) -> String {
        split(whereSeparator: \.isNewline).filter { $0.hasPrefix(name) }.joined(separator: ", ")
    }
}
