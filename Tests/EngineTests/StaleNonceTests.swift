// StaleNonceTests.swift: bodies that are not held, behind a nonce that other requests had before.
// Source: RFC 7616 §3.3 (stale), §3.6; RFC 9110 §10.1.1; proto/outrigger.proto, Credentials.
import Model
import Testing

extension Rig {
    /// A nonce that the origin, or the peer, has taken once. Socket 0 is idle, and nothing is written down.
    fileprivate func knowNonce(_ change: (inout Form) -> Void, status: Int = 401) {
        ask(90) { change(&$0) }
        connect(0)
        wantNonce(0, "n1", status: status)
        answer(0)
        forget()
    }

    fileprivate func wantNonce(_ socket: Int, _ nonce: String, status: Int = 401) {
        let more = nonce == "n1" ? "" : ", stale=true"
        challenge(socket, "Digest realm=r, qop=auth, nonce=\(nonce)\(more)", status: status)
    }

    /// Nonce and count of every request on a socket.
    fileprivate func counted(_ socket: Int) {
        let words = written(socket).split(separator: ",").map { $0.filter { $0 != " " && $0 != "\"" } }
        let found = words.filter { $0.hasPrefix("nonce=") || $0.hasPrefix("nc=") }
        note("\(socket) was shown \(found.joined(separator: " "))")
    }
}

struct StaleNonceTests {
    static let rows = [
        Row(
            "a nonce that the server has given up: the body waits, and goes once, with the new one",
            { $0.replayBytesMax = 400 },
            script: {
                $0.knowNonce { $0.origin = .of("u", .digest) }
                $0.upload(1) { $0.origin = .of("u", .digest) }
                $0.wantNonce(0, "n2")
                $0.connect(1)
                $0.rest(1)
                $0.framed(1)
                $0.counted(0)
                $0.counted(1)
                $0.answer(1)
            },
            expected: """
                0 got POST /1
                close 0
                dial 1 a
                1 got POST /1
                1 more 500 bytes, sum 720117504
                1 had POST /1 HTTP/1.1, Content-Length: 500
                0 was shown nonce=n1 nc=00000001 nonce=n1 nc=00000002
                1 was shown nonce=n2 nc=00000001
                1 reply 200
                1 body ok
                1 end complete pooled [reused0 connected0] unrepeatable
                """
        ),
        Row(
            "one that is still good: the body follows when the server wants it",
            { $0.replayBytesMax = 400 },
            script: {
                $0.knowNonce { $0.origin = .of("u", .digest) }
                $0.upload(1, chunked: true) { $0.origin = .of("u", .digest) }
                $0.hear(0, "HTTP/1.1 100 Continue||")
                $0.rest(1)
                $0.framed(0)
                $0.counted(0)
                $0.answer(0)
            },
            expected: """
                0 got POST /1
                0 more 106 bytes, sum 2522360888
                1 interim 100
                0 more 412 bytes, sum 3713927016
                0 had GET /90 HTTP/1.1, GET /90 HTTP/1.1, POST /1 HTTP/1.1, Transfer-Encoding: chunked, Expect: 100-continue
                0 was shown nonce=n1 nc=00000001 nonce=n1 nc=00000002
                1 reply 200 reused
                1 body ok
                1 end complete pooled [reused0] unrepeatable
                """
        ),
        Row(
            "the same of a peer's",
            { $0.replayBytesMax = 400 },
            script: {
                let known: (inout Form) -> Void = {
                    $0.route = .peer
                    $0.peer = .of("u", .digest)
                }
                $0.knowNonce(known, status: 407)
                $0.upload(1) { known(&$0) }
                $0.wantNonce(0, "n2", status: 407)
                $0.connect(1)
                $0.rest(1)
                $0.framed(1)
                $0.counted(1)
                $0.answer(1)
            },
            expected: """
                0 got POST http://h/1
                close 0
                dial 1 a
                1 got POST http://h/1
                1 more 500 bytes, sum 720117504
                1 had POST http://h/1 HTTP/1.1, Content-Length: 500
                1 was shown nonce=n2 nc=00000001
                1 reply 200
                1 body ok
                1 end complete pooled [reused0 connected0] unrepeatable
                """
        ),
        Row(
            "a body that is held, and a password that was taken before, wait for nothing",
            { $0.replayBytesMax = 400 },
            script: {
                $0.knowNonce { $0.origin = .of("u", .digest) }
                $0.post(1, 4) { $0.origin = .of("u", .digest) }
                $0.body(1, "body", ends: true)
                $0.answer(0)
                $0.ask(2, "b") {
                    $0.authority = "i"
                    $0.originUser = "u"
                }
                $0.connect(1)
                $0.challenge(1, "Basic realm=r")
                $0.answer(1)
                $0.forget()
                $0.upload(3) {
                    $0.endpoints = "b"
                    $0.authority = "i"
                    $0.originUser = "u"
                }
                $0.framed(1)
                $0.framed(0)
                $0.rest(3)
                $0.answer(1)
            },
            expected: """
                1 got POST /3
                1 more 100 bytes, sum 1680682496
                1 had GET /2 HTTP/1.1, GET /2 HTTP/1.1, POST /3 HTTP/1.1, Content-Length: 500
                0 had GET /90 HTTP/1.1, GET /90 HTTP/1.1, POST /1 HTTP/1.1, Content-Length: 4
                1 more 400 bytes, sum 2105209088
                3 reply 200 reused
                3 body ok
                3 end complete pooled [reused0] unrepeatable
                """
        ),
    ]

    @Test(arguments: rows) func `a body that is not held does not go out behind a nonce that may be stale`(
        _ row: Row
    ) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: nonces that may be stale`(_ row: Row, _ reading: Reading) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
}
