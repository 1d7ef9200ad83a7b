// SpliceTests.swift: replies whose bytes go through a pipe: to the proxy they are the same.
// Source: Engine/Splices.swift; DESIGN "END is exact", "Back-pressure", "Control frames overtake body frames".
import Model
import Testing

@testable import Engine

struct SpliceTests {
    private static let bytes: [UInt8] = (0..<4200).map { UInt8(truncatingIfNeeded: $0 &* $0 &+ 3) }

    private static func small(_ limits: inout Limits) { limits.spliceBytesMin = 100 }

    private static func reply(
        _ rule: String,
        _ head: String,
        _ tail: String = "",
        credit: Int = 1_000_000,
        then: @escaping @Sendable (Rig, Int) -> Void = { rig, _ in rig.end(0) }
    ) -> Row {
        Row(
            rule,
            small,
            script: {
                let session = $0.greet(credit: credit)
                $0.ask(1, "a", session)
                $0.connect(0)
                $0.hear(0, head)
                $0.hearBytes(0, bytes)
                $0.hear(0, tail)
                then($0, session)
            },
            expected: ""
        )
    }

    private static let byLength = "HTTP/1.1 200 OK|Content-Length: 4200||"

    static let rows = [
        reply("by length", byLength),
        reply("chunked", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||1068|", "|0||"),
        reply("until the end", "HTTP/1.1 200 OK||"),
        reply("cut short", "HTTP/1.1 200 OK|Content-Length: 4201||"),
        reply("reset in the middle", "HTTP/1.1 200 OK|Content-Length: 9000||") { rig, _ in
            rig.reset(0, .reset)
        },
        reply("cancelled in the middle", "HTTP/1.1 200 OK|Content-Length: 9000||") { $0.cancel(1, $1) },
        reply("more than the reply", byLength, "HTTP/1.1 200 OK||"),
    ]

    @Test(arguments: rows) func `a reply through a pipe is the same to the proxy`(_ row: Row) {
        let whole = row.lines(.whole)
        #expect(whole.contains { $0.hasPrefix("s1 1 end") })
        #expect(row.lines(.piped) == whole)
    }

    /// A session with a stream whose reply has begun.
    private func begun(_ head: String, credit: Int = 1_000_000) -> (Rig, Int) {
        var limits = Limits()
        Self.small(&limits)
        let rig = Rig(limits)
        let session = rig.greet(credit: credit)
        rig.ask(1, "a", session)
        rig.connect(0)
        rig.hear(0, head)
        rig.reading = .piped
        rig.forget()
        return (rig, session)
    }

    @Test func `a reply's last byte is read, as what follows it has to be seen`() {
        let (rig, _) = begun(Self.byLength)
        rig.hearBytes(0, Self.bytes)
        #expect(rig.pipedBytes == 4199)
        #expect(rig.lines.last == "1 end complete pooled [connected0]")
    }

    @Test func `a reply that misses less than the limit is read`() {
        let (rig, _) = begun("HTTP/1.1 200 OK|Content-Length: 99||")
        rig.hearBytes(0, Array(Self.bytes[..<99]))
        #expect(rig.pipedBytes == 0)
        #expect(rig.lines.last == "1 end complete pooled [connected0]")
    }

    @Test func `credit bounds what goes into a pipe`() {
        let (rig, session) = begun(Self.byLength, credit: 1000)
        rig.hearBytes(0, Self.bytes)
        #expect(rig.pipedBytes == 1000)
        rig.credit(1, 10_000, session)
        #expect(rig.pipedBytes == 4199)
        #expect(rig.lines.last == "1 end complete pooled [connected0]")
    }

    @Test func `a pipe brings no more beyond the session's mark for a pause than one frame could`() {
        var limits = Limits()
        Self.small(&limits)
        limits.sessionOutputPauseBytes = 300
        let rig = Rig(limits)
        let session = rig.greet(credit: 1_000_000, payload: 1024)
        rig.ask(1, "a", session)
        rig.connect(0)
        rig.hear(0, "HTTP/1.1 200 OK|Content-Length: 9000||")
        rig.reading = .piped
        rig.setReading(false, session)
        rig.hearBytes(0, Self.bytes)
        #expect(rig.pipedBytes == 300 + 1024)
    }

    @Test(arguments: [1, 7, 13, 14, 15, 16, 17, 3000])
    func `nothing comes between a frame's header and its data, wherever a write ends`(step: Int) {
        let (rig, session) = begun("HTTP/1.1 200 OK|Content-Length: 9000||")
        rig.setReading(false, session)
        rig.hearBytes(0, Self.bytes)
        rig.ping(session)
        rig.read(step, session)
        rig.ping(session)
        rig.cancel(1, session)
        for _ in 0..<9000 / step { rig.read(step, session) }
        rig.setReading(true, session)
        #expect(rig.pipedBytes == 4200)
        // A pong is 15 bytes: once a byte more is written, the frame is begun and finished first.
        let body = "1 body 4200 bytes, sum 3276851436"
        let order = step > 15 ? ["pong", body, "pong"] : ["pong", "pong", body]
        let ending = "1 end cancelled closed [connected0]"
        #expect(rig.lines.filter { $0 != "close 0" } == order + [ending])
    }

    @Test func `what waits in pipes counts as waiting for the session`() {
        var limits = Limits()
        Self.small(&limits)
        limits.sessionOutputPauseBytes = 4000
        let rig = Rig(limits)
        let session = rig.greet(credit: 1_000_000)
        rig.ask(1, "a", session)
        rig.connect(0)
        rig.hear(0, "HTTP/1.1 200 OK|Content-Length: 9000||")
        rig.reading = .piped
        rig.setReading(false, session)
        rig.hearBytes(0, Self.bytes)
        rig.hearBytes(0, Self.bytes)
        #expect(rig.pipedBytes == 4200)
        rig.setReading(true, session)
        rig.ping(session)
        #expect(rig.pipedBytes == 8400)
    }
}
