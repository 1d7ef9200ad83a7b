// SecurityOwnerTests.swift: whose a connection is that was authenticated by tokens, and which mechanisms there are.
// Source: RFC 4559 §6; DESIGN "Pins are exclusive".
import Model
import Testing

struct SecurityOwnerTests {
    static let rows = [
        Row(
            "with a token the connection is its user's, and no step is needed on it any more",
            script: {
                $0.pin(1, "t", .auto) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.answer(0)
                $0.pin(2, "t", .require) { $0.knows("u") }
                $0.answer(0)
                $0.pin(3, "t", .require)
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u given two
                resume 0
                probe 0
                0 got GET /1
                drop context 1
                pin t made
                1 reply 200 reused
                1 body ok
                1 end complete pinned [connected0 reused0 reused0]
                0 got GET /2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0]
                0 got GET /3
                3 reply 200 reused
                3 body ok
                3 end complete pinned [reused0]
                """
        ),
        Row(
            "never another user's: the same token with other credentials is a mismatch",
            script: {
                $0.pin(1, "t", .make) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("ticket")
                $0.admit(0, "Negotiate", "proof")
                $0.lastStep()
                $0.pin(2, "t", .require) { $0.knows("v") }
                $0.pin(3, "t", .auto) { $0.knows("u") }
                $0.pin(4, "t", .auto) { $0.knows("v") }
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u given proof
                resume 0
                drop context 1
                pin t made
                1 reply 200 reused
                1 body ok
                1 end complete pinned [connected0 reused0]
                2 end pinMismatch none [] unsent
                probe 0
                0 got GET /3
                3 reply 200 reused
                3 body ok
                4 end pinMismatch none [] unsent
                3 end complete pinned [reused0]
                """
        ),
        Row(
            "one who was refused may be another the next time",
            script: {
                $0.pin(1, "t", .make) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "Negotiate")
                $0.step("ticket")
                $0.demand(0, "Negotiate")
                $0.pin(2, "t", .require) { $0.knows("v") }
                $0.demand(0, "Negotiate")
                $0.step("ticket")
                $0.answer(0)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 Negotiate HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                drop context 1
                pin t made
                1 reply 401 reused
                1 body no
                1 end complete pinned [connected0 reused0]
                0 got GET /2
                pause 0
                step 2 Negotiate HTTP@h v
                resume 0
                probe 0
                0 got GET /2
                drop context 2
                2 reply 200 reused
                2 body ok
                2 end complete pinned [reused0 reused0]
                """
        ),
        Row(
            "cancelled before a token that waits was written: nobody gets the connection",
            script: {
                $0.ask(1) { $0.knows("u") }
                $0.connect(0)
                $0.demand(0, "NTLM")
                $0.step("one")
                $0.isWriting = false
                $0.demand(0, "NTLM", "two")
                $0.lastStep("three")
                $0.cancel(1)
                $0.isWriting = true
                $0.ask(2)
            },
            expected: """
                dial 0 a
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u
                resume 0
                probe 0
                0 got GET /1
                pause 0
                step 1 NTLM HTTP@h u given two
                resume 0
                close 0
                drop context 1
                1 end cancelled closed [connected0 reused0 reused0]
                dial 1 a
                """
        ),
        Row(
            "what is not to be had: named is an error, permitted is passed over",
            mechanisms: [],
            script: {
                $0.ask(1) { $0.knows("u", [.negotiate, .basic]) }
                $0.ask(2) { $0.peer = .of("u", .ntlm) }
                $0.ask(3) { $0.origin = .of("u", [], isAutomatic: true) }
                $0.connect(0)
                $0.hear(
                    0,
                    "HTTP/1.1 401 No|WWW-Authenticate: Negotiate, NTLM, Basic realm=r|Content-Length: 2||no"
                )
                $0.answer(0)
            },
            expected: """
                1 end badRequest none [] unsent
                2 end badRequest none [] unsent
                dial 0 a
                0 got GET /3
                0 got GET /3
                3 reply 200 reused
                3 body ok
                3 end complete pooled [connected0 reused0]
                """
        ),
    ]

    @Test(arguments: rows) func `a connection that was authenticated is one user's`(_ row: Row) {
        #expect(row.actual == row.expected)
    }

    @Test(arguments: rows, [Reading.byteByByte, .inPlace])
    func `however it is cut: a connection that was authenticated is one user's`(
        _ row: Row,
        _ reading: Reading
    ) {
        #expect(row.lines(reading).whatever == row.expected.whatever)
    }
    /// Of each the stack would take a piece, if one led to the next.
    @Test func `however many wait for a pin that is another user's, all are told`() {
        var limits = Limits()
        limits.pinQueueLengthMax = 65_536
        limits.streamsPerSessionMax = 65_536
        let rig = Rig(limits, mechanisms: .connectionBound)
        rig.greet()
        rig.pin(1, "t", .make) { $0.knows("u") }
        rig.connect(0)
        rig.demand(0, "Negotiate")
        rig.step("ticket")
        for stream in 2..<UInt32(6000) { rig.pin(stream, "t", .require) { $0.knows("v") } }
        rig.forget()
        rig.admit(0, "Negotiate", "proof")
        rig.lastStep()
        #expect(rig.lines.count { $0.hasSuffix("end pinMismatch none [] unsent") } == 5998)
    }
}
