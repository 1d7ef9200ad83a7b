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
            "the budget of retries is shared by all requests",
            named: .group("abc", .first) { group in
                group.retry.percent = 0
                group.retry.concurrencyMin = 1
                group.ejection.dialFailures = 0
            },
            script: { rig in
                rig.askGroups(1...2)
                rig.fail(0)
                rig.fail(1)
            },
            expected: """
                dial 0 a
                dial 1 a
                dial 2 b
                2 end connectRefused none [refused at a] by a unsent
                """
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
