// MemberRetryTests.swift: failures of members: who is tried next, and what may be sent again.
// Source: issue "Groups"; RFC 9110 §9.2.2.
import Model
import Testing

struct MemberRetryTests {
    static let rows = [
        Row(
            "a dial that failed is repeated at another member, whatever the method",
            named: .group("ab", .first),
            script: { rig in
                rig.ask(1, "") { form in
                    form.group = "g"
                    form.method = "POST"
                }
                rig.fail(0)
                rig.connect(1)
                rig.answer(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 got POST /1
                1 reply 200
                1 body ok
                1 end complete pooled [refused at a connected at b] by b unrepeatable
                """
        ),
        Row(
            "a GET whose connection is reset is sent to another member",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.reset(0)
                rig.connect(1)
                rig.answer(1)
            },
            expected: """
                dial 0 a
                0 got GET /1
                dial 1 b
                1 got GET /1
                1 reply 200
                1 body ok
                1 end complete pooled [exchangeFailed at a connected at b] by b
                """
        ),
        Row(
            "a POST of which bytes were sent is not",
            named: .group("ab", .first),
            script: { rig in
                rig.ask(1, "") { form in
                    form.group = "g"
                    form.method = "POST"
                }
                rig.connect(0)
                rig.reset(0)
            },
            expected: """
                dial 0 a
                0 got POST /1
                1 end reset closed [connected at a] by a unrepeatable
                """
        ),
        Row(
            "unless the proxy vouches for it",
            named: .group("ab", .first),
            script: { rig in
                rig.ask(1, "") { form in
                    form.group = "g"
                    form.method = "POST"
                    form.retry = .replayable
                }
                rig.connect(0)
                rig.reset(0)
            },
            expected: "dial 0 a\n0 got POST /1\ndial 1 b"
        ),
        Row(
            "a POST of which no byte was written is sent to another",
            named: .group("ab", .first),
            script: { rig in
                rig.isWriting = false
                rig.ask(1, "") { form in
                    form.group = "g"
                    form.method = "POST"
                }
                rig.connect(0)
                rig.reset(0)
            },
            expected: "dial 0 a\ndial 1 b"
        ),
        Row(
            "a reply that has begun is not asked for again",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 200 OK|Content-Length: 5||x")
                rig.reset(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 200
                1 body x
                1 end truncated closed [connected at a] by a
                """
        ),
        Row(
            "nor is one of which the proxy has been told something",
            named: .group("ab", .first) { $0.retry.statuses = [503...503] },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 103 Early Hints||")
                rig.hear(0, "HTTP/1.1 503 No|Content-Length: 0||")
                rig.askGroup(2)
                rig.hear(0, "HTTP/1.1 103 Early Hints||")
                rig.reset(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 interim 103
                1 reply 503
                1 end complete pooled [connected at a] by a
                0 got GET /2
                2 interim 103
                2 end truncated closed [reused at a] by a
                """
        ),
        Row(
            "what is no reply is asked for at another member",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "SSH-2.0|")
            },
            expected: "dial 0 a\n0 got GET /1\nclose 0\ndial 1 b"
        ),
        Row(
            "so is what does not come in time",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1) { $0.deadlines.firstByteMilliseconds = 100 }
                rig.connect(0)
                rig.pass(100)
            },
            expected: "dial 0 a\n0 got GET /1\nclose 0\ndial 1 b"
        ),
        Row(
            "each member has the time for connecting",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1) { $0.deadlines.connectMilliseconds = 100 }
                rig.pass(100)
                rig.pass(100)
            },
            expected: """
                dial 0 a
                close 0
                dial 1 b
                close 1
                1 end connectTimeout none [timeout at a timeout at b] by b unsent
                """
        ),
        Row(
            "the deadline of the whole holds over all of them",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1) { form in
                    form.deadlines.connectMilliseconds = 100
                    form.deadlines.totalMilliseconds = 150
                }
                rig.pass(150)
            },
            expected: """
                dial 0 a
                close 0
                dial 1 b
                close 1
                1 end deadline none [timeout at a abandoned at b] by b unsent
                """
        ),
        Row(
            "no more members than the group says are tried",
            named: .group("abcd", .first) { $0.retry.attemptsMax = 2 },
            script: { rig in
                rig.askGroup(1)
                rig.fail(0)
                rig.fail(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 end connectRefused none [refused at a refused at b] by b unsent
                """
        ),
        Row(
            "no member is tried twice",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1)
                rig.fail(0)
                rig.fail(1)
            },
            expected: """
                dial 0 a
                dial 1 b
                1 end connectRefused none [refused at a refused at b] by b unsent
                """
        ),
        Row(
            "the budget of retries at members that failed is shared by all requests",
            named: .group("ab", .first) { $0.allowRetries(1) },
            script: { rig in
                rig.askGroups(1...3)
                rig.fail(0)
                rig.fail(3)
                rig.fail(1)
                rig.fail(2)
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 a
                dial 3 b
                1 end connectRefused none [refused at a refused at b] by b unsent
                dial 4 b
                3 end connectRefused none [refused at a] by a unsent
                """
        ),
        Row(
            "at members that have not failed for a second retries are free, and go there first",
            named: .group("abc", .first) { $0.allowRetries(0) },
            script: { rig in
                rig.askGroups(1...3)
                for socket in 0...3 { rig.fail(socket) }
                rig.pass(1000)
                rig.forget()
                rig.askGroup(4)
                rig.fail(7)
            },
            expected: "dial 7 a\ndial 8 b"
        ),
        Row(
            "one that is free waits for a member that has not failed, though another has room first",
            named: .group("abc", .first) { group in
                for member in 0..<3 { group.members[member].connectionsMax = 1 }
                group.allowRetries(0)
            },
            script: { rig in
                rig.askGroups(1...2)
                rig.askGroup(3) { $0.retry = .never }
                for socket in 0...2 { rig.connect(socket) }
                rig.reset(2)
                rig.askGroup(4)
                rig.connect(3)
                rig.forget()
                rig.reset(0)
                rig.answer(3)
                rig.note("c is free")
                rig.answer(1)
            },
            expected: """
                4 reply 200
                4 body ok
                4 end complete pooled [connected at c] by c
                c is free
                1 got GET /1
                2 reply 200
                2 body ok
                2 end complete pooled [connected at b] by b
                """
        ),
        Row(
            "a status after which another member is asked is a failure, as far as that goes",
            named: .group("ab", .first) { group in
                group.allowRetries(0)
                group.retry.statuses = [503...503]
            },
            script: { rig in
                for (stream, socket) in [(1, 0), (2, 2)] as [(UInt32, Int)] {
                    rig.askGroup(stream)
                    rig.connect(socket)
                    rig.hear(socket, "HTTP/1.1 503 No|Content-Length: 0||")
                    if stream == 1 {
                        rig.connect(1)
                        rig.hear(1, "HTTP/1.1 503 No|Content-Length: 0||")
                    }
                }
                rig.noteEnds()
            },
            expected: """
                1 end complete pooled [exchangeFailed at a connected at b] by b
                2 end complete pooled [connected at a] by a
                """
        ),
        Row(
            "of sixty requests at once none fails when one of three members stands still",
            named: .group("abc"),
            script: { rig in
                for stream in 1...60 as ClosedRange<UInt32> {
                    rig.askGroup(stream) { $0.deadlines.firstByteMilliseconds = 1000 }
                }
                for socket in 0..<60 { rig.connect(socket) }
                for socket in 0..<60 where socket % 3 != 0 { rig.answer(socket) }
                rig.pass(1000)
                for socket in 0..<60 where socket % 3 != 0 { rig.answer(socket) }
                let complete = rig.lines.count { $0.contains("end complete") }
                rig.forget()
                rig.note("\(complete) are whole")
            },
            expected: "60 are whole"
        ),
        Row(
            "when all members fail there is no storm: each failed once, and then the budget holds",
            named: .group("ab", .first) { $0.allowRetries(0) },
            script: { rig in
                for stream in 1...10 as ClosedRange<UInt32> {
                    rig.askGroup(stream)
                    rig.fail(stream == 1 ? 0 : Int(stream))
                    if stream == 1 { rig.fail(1) }
                }
                let dials = rig.lines.count { $0.hasPrefix("dial") }
                rig.forget()
                rig.note("\(dials) dials for 10 requests")
            },
            expected: "11 dials for 10 requests"
        ),
        Row(
            "a status is passed on",
            named: .group("ab", .first),
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 503 No|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got GET /1
                1 reply 503
                1 end complete pooled [connected at a] by a
                """
        ),
        Row(
            "unless the group says that another member is asked then",
            named: .group("ab", .first) { $0.retry.statuses = [503...503] },
            script: { rig in
                rig.askGroup(1)
                rig.connect(0)
                rig.hear(0, "HTTP/1.1 503 No|Content-Length: 0||")
                rig.connect(1)
                rig.hear(1, "HTTP/1.1 503 No|Content-Length: 0||")
            },
            expected: """
                dial 0 a
                0 got GET /1
                close 0
                dial 1 b
                1 got GET /1
                1 reply 503
                1 end complete pooled [exchangeFailed at a connected at b] by b
                """
        ),
    ]

    @Test(arguments: rows) func `another member is tried where that is safe`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}

extension NamedGroup {
    /// So many at a time; nobody is ejected.
    fileprivate mutating func allowRetries(_ count: Int) {
        retry.percent = 0
        retry.concurrencyMin = count
        ejection.dialFailures = 0
        ejection.replyFailures = 0
    }
}

extension Rig {
    fileprivate func noteEnds() {
        let ends = lines.filter { $0.contains(" end ") }
        forget()
        for line in ends { note(line) }
    }
}
