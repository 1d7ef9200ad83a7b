// ChallengeOwnerTests.swift: an answer to one server's challenge goes to that server and to nobody else, whatever becomes of
// the connection: another address, another member, another peer.
// Source: RFC 9110 §11.6, §11.7; proto/outrigger.proto, Credentials.
import Model
import Testing

extension Rig {
    /// The peer wants to know who asks, and closes.
    fileprivate func ask407(_ socket: Int, _ challenge: String = "Basic realm=r") {
        hear(
            socket,
            "HTTP/1.1 407 No|Proxy-Authenticate: \(challenge)|Connection: close|Content-Length: 2||no"
        )
    }

    /// Which credentials each request on a socket had.
    func shown(_ socket: Int) {
        let heads = written(socket).components(separatedBy: "\r\n\r\n").filter { !$0.isEmpty }
        let said = heads.map { head in
            let lines = head.split(whereSeparator: \.isNewline).filter {
                $0.lowercased().contains("authorization:")
            }
            return lines.isEmpty ? "nothing" : lines.joined(separator: " and ")
        }
        note("\(socket) was shown \(said.joined(separator: ", then "))")
    }
}

extension String {
    fileprivate func components(separatedBy mark: String) -> [String] {
        var parts = [""]
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(mark) {
                parts.append("")
                rest = rest.dropFirst(mark.count)
            } else {
                parts[parts.count - 1].append(rest.removeFirst())
            }
        }
        return parts
    }
}

struct ChallengeOwnerTests {
    /// Peers a and b, in that order; the first challenge is a's, and then a cannot be reached.
    static let rows = [
        Row(
            "a peer's answer is not shown to the next address",
            script: {
                $0.ask(1, "ab") {
                    $0.route = .peer
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.ask407(0)
                $0.fail(1)
                $0.connect(2)
                $0.ask407(2)
                $0.fail(3)
                $0.connect(4)
                $0.answer(4)
                for socket in [0, 2, 4] { $0.shown(socket) }
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                close 0
                dial 1 a
                dial 2 b
                2 got GET http://h/1
                close 2
                dial 3 a
                dial 4 b
                4 got GET http://h/1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [connected0 refused0 connected1 refused0 connected1]
                0 was shown nothing
                2 was shown nothing
                4 was shown Proxy-Authorization: Basic dTpw
                """
        ),
        Row(
            "nor to another one that is idle",
            script: {
                $0.ask(9, "b") { $0.route = .peer }
                $0.connect(0)
                $0.answer(0)
                $0.forget()
                $0.ask(1, "ab") {
                    $0.route = .peer
                    $0.peer = .of("u", .digest)
                }
                $0.hear(
                    0,
                    "HTTP/1.1 407 No|Proxy-Authenticate: Digest realm=r, nonce=of-b|Connection: close|Content-Length: 0||"
                )
                $0.connect(1)
                $0.ask407(1, "Digest realm=r, nonce=of-a")
                $0.connect(2)
                $0.note($0.written(1).contains("of-b") ? "b's nonce at a" : "a has nothing of b's")
                $0.note($0.written(2).contains("nonce=\"of-a\"") ? "a has its own answer" : "no answer")
            },
            expected: """
                0 got GET http://h/1
                close 0
                dial 1 a
                1 got GET http://h/1
                close 1
                dial 2 a
                2 got GET http://h/1
                a has nothing of b's
                a has its own answer
                """
        ),
        Row(
            "nor to another peer that is asked for the tunnel",
            script: {
                $0.ask(1, "ab") {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.ask407(0)
                $0.fail(1)
                $0.connect(2)
                $0.hear(2, "HTTP/1.1 200 OK||")
                $0.answer(2)
                for socket in [0, 2] { $0.shown(socket) }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                close 0
                dial 1 a
                dial 2 b
                2 got CONNECT h:443
                2 got GET /1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [peerRefused0 refused0 connected1]
                0 was shown nothing
                2 was shown nothing, then nothing
                """
        ),
        Row(
            "nor to another member of a group",
            named: .group("ab"),
            script: {
                $0.askGroup(1) {
                    $0.route = .peer
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.ask407(0)
                $0.fail(1)
                $0.connect(2)
                $0.answer(2)
                for socket in [0, 2] { $0.shown(socket) }
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                close 0
                dial 1 a
                dial 2 b
                2 got GET http://h/1
                1 reply 200
                1 body ok
                1 end complete pooled [connected at a refused at a connected at b] by b
                0 was shown nothing
                2 was shown nothing
                """
        ),
        Row(
            "a token for one peer is not shown to another, and its context ends",
            script: {
                $0.ask(1, "ab") {
                    $0.route = .peer
                    $0.peer = .of("u", .ntlm)
                }
                $0.connect(0)
                $0.ask407(0, "NTLM")
                $0.step("one")
                $0.fail(1)
                $0.connect(2)
                $0.answer(2)
                for socket in [0, 2] { $0.shown(socket) }
            },
            expected: """
                dial 0 a
                0 got GET http://h/1
                pause 0
                step 1 NTLM HTTP@0.0.0.1 u as a peer's
                resume 0
                close 0
                dial 1 a
                dial 2 b
                drop context 1
                2 got GET http://h/1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [connected0 refused0 connected1]
                0 was shown nothing
                2 was shown nothing
                """
        ),
        Row(
            "nor when it is for a tunnel",
            script: {
                $0.ask(1, "ab") {
                    $0.tunnel()
                    $0.scheme = .http
                    $0.peer = .of("u", .negotiate)
                }
                $0.connect(0)
                $0.ask407(0, "Negotiate")
                $0.step("one")
                $0.fail(1)
                $0.connect(2)
                $0.hear(2, "HTTP/1.1 200 OK||")
                $0.answer(2)
                for socket in [0, 2] { $0.shown(socket) }
            },
            expected: """
                dial 0 a
                0 got CONNECT h:443
                pause 0
                step 1 Negotiate HTTP@0.0.0.1 u as a peer's
                resume 0
                close 0
                dial 1 a
                dial 2 b
                drop context 1
                2 got CONNECT h:443
                2 got GET /1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [peerRefused0 refused0 connected1]
                0 was shown nothing
                2 was shown nothing, then nothing
                """
        ),
        Row(
            "a repetition on another peer does not carry what the first was shown",
            script: {
                $0.ask(9, "a") {
                    $0.route = .peer
                    $0.peerUser = "u"
                }
                $0.connect(0)
                $0.hear(0, "HTTP/1.1 407 No|Proxy-Authenticate: Basic realm=r|Content-Length: 0||")
                $0.answer(0)
                $0.forget()
                $0.ask(1, "ab") {
                    $0.route = .peer
                    $0.peerUser = "u"
                }
                $0.reset(0)
                $0.fail(1)
                $0.connect(2)
                $0.answer(2)
                for socket in [0, 2] { $0.shown(socket) }
            },
            expected: """
                0 got GET http://h/1
                dial 1 a
                dial 2 b
                2 got GET http://h/1
                1 reply 200 endpoint 1
                1 body ok
                1 end complete pooled [stale0 refused0 connected1]
                0 was shown nothing, then Proxy-Authorization: Basic dTpw, then Proxy-Authorization: Basic dTpw
                2 was shown nothing
                """
        ),
    ]

    @Test(arguments: rows) func `an answer goes to whoever asked`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: an answer goes to whoever asked`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
