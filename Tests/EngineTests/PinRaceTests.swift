// PinRaceTests.swift: UNPIN and a pinned connection on its way between workers, in each order in which they can meet.
// Source: proto/outrigger.proto, message Unpin; DESIGN "Pins are exclusive", "Threads".
import Model
import Testing

struct PinRaceTests {
    static let rows = [
        Row(
            "UNPIN behind the parcel: the worker that gets it is told",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.unpin("t")
                $0.neighbourLosesPins()
            },
            expected: """
                to 1: socket 0
                to 1: t unpinned
                """
        ),
        Row(
            "news of UNPIN behind the parcel goes on to where the pin went",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.neighbourTells(.unpinned(owner: 1, token: Array("t".utf8)))
                $0.neighbourLosesPins()
            },
            expected: """
                to 1: socket 0
                to 1: t unpinned
                """
        ),
        Row(
            "news of UNPIN before the parcel that nobody here waits for any more: it is closed",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(1, "t", .require)
                $0.cancel(1)
                $0.neighbourTells(.unpinned(owner: 1, token: Array("t".utf8)))
                $0.neighbourSendsPin()
                $0.pin(2, "t", .require)
            },
            expected: """
                to 1: socket 0
                to 1: t wanted by 0
                1 end cancelled none [] unsent
                socket 0 is closed
                2 end pinLost none [] unsent
                """
        ),
        Row(
            "requests between UNPIN and the parcel do not get it: those that may make a pin of their own",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(1, "t", .require)
                $0.unpin("t")
                $0.pin(2, "t", .prefer)
                $0.pin(3, "t", .require)
                $0.neighbourSendsPin()
                $0.pin(4, "t", .prefer)
                $0.connect(1)
                $0.answer(1)
            },
            expected: """
                to 1: socket 0
                to 1: t wanted by 0
                to 1: t unpinned
                1 end pinLost none [] unsent
                3 end pinLost none [] unsent
                socket 0 is closed
                dial 1 a
                1 got GET /2
                1 got GET /4
                pin t made
                2 reply 200
                2 body ok
                2 end complete pinned [connected0]
                """
        ),
        Row(
            "a neighbour that waits in line when UNPIN comes is told that there is nothing",
            workers: 2,
            script: {
                $0.madePin()
                $0.pin(1, "t", .require)
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.unpin("t")
                $0.answer(0)
            },
            expected: """
                0 got GET /1
                to 1: t gone
                close 0
                1 reply 200 reused
                1 body ok
                1 end complete closed [reused0]
                """
        ),
        Row(
            "UNPIN while the parcel is on its way, and a neighbour that wants it meanwhile",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(1, "t", .require)
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.unpin("t")
                $0.neighbourSendsPin()
            },
            expected: """
                to 1: socket 0
                to 1: t wanted by 0
                to 1: t unpinned
                1 end pinLost none [] unsent
                socket 0 is closed
                to 1: t gone
                """
        ),
        Row(
            "a token is made anew at the neighbour while its released parcel comes here",
            workers: 2,
            script: {
                $0.madePin()
                $0.neighbourTells(.wanted($0.name("t"), by: 1))
                $0.pin(1, "t", .require)
                $0.unpin("t")
                $0.neighbourSendsPin()
                $0.neighbourPins("t")
                $0.pin(2, "t", .require)
                $0.directory.remove($0.name("t"))
            },
            expected: """
                to 1: socket 0
                to 1: t wanted by 0
                to 1: t unpinned
                1 end pinLost none [] unsent
                socket 0 is closed
                to 1: t wanted by 0
                """
        ),
    ]

    @Test(arguments: rows) func `a pin that is unpinned on its way serves nobody`(_ row: Row) {
        #expect(row.actual == row.expected)
    }
}
