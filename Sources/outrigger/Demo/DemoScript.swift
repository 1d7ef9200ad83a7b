// DemoScript.swift: what the demo shows, kind by kind. Owns: the numbers. Source: DESIGN "Semantics with
// their source".
import Model

/// Exchanges of one kind: one line of the table.
struct DemoKind: Sendable {
    let name: String
    /// What happens, for people.
    let story: String
    /// How many are under way at the same time.
    let outstanding: Int
    let exchanges: [DemoExchange]

    init(_ name: String, _ story: String, outstanding: Int = 1, _ exchanges: [DemoExchange]) {
        self.name = name
        self.story = story
        self.outstanding = outstanding
        self.exchanges = exchanges
    }

    init(_ name: String, _ story: String, outstanding: Int = 1, times: Int, _ exchange: DemoExchange) {
        self.init(name, story, outstanding: outstanding, Array(repeating: exchange, count: times))
    }
}

/// The whole demo.
struct DemoScript {
    let origin: Endpoint
    let other: Endpoint
    let unix: Endpoint
    let refused: Endpoint

    /// Everything, in the order it is shown.
    var kinds: [DemoKind] { replies + uploads + connections + clients + failures }

    private var replies: [DemoKind] {
        let head = DemoExchange("/bytes/500", origin, bytes: 0).with { $0.method = "HEAD" }
        let empty = DemoExchange("/empty", origin, bytes: 0).with { $0.status = 204 }
        let unchanged = DemoExchange("/unchanged", origin, bytes: 0).with { $0.status = 304 }
        let chunked = DemoExchange("/chunked/100000", origin, bytes: 100_000).with {
            $0.hasTrailers = true
            $0.replyFields = ["X-Bytes: 100000"]
        }
        let hints = DemoExchange("/hints/5", origin, bytes: 5).with { $0.interimReplies = 1 }
        let old = DemoExchange("/old/3000", origin, bytes: 3000)
        let eof = DemoExchange("/eof/3000", origin, bytes: 3000).with { $0.outcome = .completeByEOF }
        let big = 64 << 20
        return [
            DemoKind(
                "small GET",
                "one after the other, one connection",
                times: 40,
                DemoExchange("/bytes/500", origin, bytes: 500)
            ),
            DemoKind("HEAD", "a length, and no body", times: 10, head),
            DemoKind(
                "204 and 304",
                "no body, whatever the length says",
                Array(repeating: [empty, unchanged], count: 10).flatMap { $0 }
            ),
            DemoKind("chunked", "100 kB, extensions and trailers", times: 20, chunked),
            DemoKind("until EOF", "no length: the proxy decides", times: 5, eof),
            DemoKind("HTTP/1.0", "a length, one request a connection", times: 5, old),
            DemoKind("103 Early Hints", "passed on before the reply", times: 5, hints),
            DemoKind(
                "64 MiB",
                "streams under credit",
                times: 1,
                DemoExchange("/bytes/\(big)", origin, bytes: big)
            ),
        ]
    }

    private var uploads: [DemoKind] {
        func upload(_ bytes: Int) -> DemoExchange {
            DemoExchange("/upload", origin, bytes: 0).with {
                $0.method = "PUT"
                $0.body = .length(UInt64(bytes))
                $0.bodyBytes = bytes
                $0.replyFields = ["X-Received: \(bytes)", "X-Trailers: no"]
            }
        }
        let chunked = upload(300_000).with {
            $0.method = "POST"
            $0.body = .chunked
            $0.sendsTrailers = true
            $0.replyFields = ["X-Received: 300000", "X-Trailers: yes"]
        }
        let expecting = upload(20_000).with { $0.fields = [("Expect", "100-continue")] }
        // Whether the 100 is passed on is not fixed: it is hop-by-hop news.
        let early = upload(4 << 20).with {
            $0.target = "/early"
            $0.status = 413
            $0.replyFields = []
        }
        let echo = DemoExchange("/echo", origin, bytes: 100_000).with {
            $0.upgrade = "echo"
            $0.bodyBytes = 100_000
            $0.status = 101
        }
        return [
            DemoKind("upload", "300 kB, by length", times: 10, upload(300_000)),
            DemoKind("chunked upload", "300 kB and trailers", times: 10, chunked),
            DemoKind("100-continue", "the body waits for a yes", times: 5, expecting),
            DemoKind("early reply", "413 while 4 MiB are under way", times: 3, early),
            DemoKind("Upgrade", "101, then 100 kB both ways", times: 3, echo),
        ]
    }

    private var connections: [DemoKind] {
        let page = DemoExchange("/stale", other, bytes: 19).with { $0.isPage = true }
        let next = DemoExchange("/bytes/100", other, bytes: 100).with { $0.attempts = [.stale, .connected] }
        let second = (0..<3).map { number in
            DemoExchange("/bytes/100", refused, bytes: 100).with {
                $0.endpoints = [refused, origin]
                // An address of its own makes a pool key of its own: nothing idle is there.
                $0.localAddress = .v4(0x7f00_0002 + UInt32(number))
                $0.attempts = [.refused, .connected]
            }
        }
        let many = DemoExchange("/bytes/8192", origin, bytes: 8192)
        return [
            DemoKind(
                "Unix socket",
                "an endpoint without a port",
                times: 10,
                DemoExchange("/bytes/500", unix, bytes: 500)
            ),
            DemoKind(
                "by way of a peer",
                "asked in absolute-form",
                times: 5,
                DemoExchange("/bytes/500", origin, bytes: 500).with { $0.route = .peer }
            ),
            DemoKind("64 outstanding", "8 KiB each, on one session", outstanding: 64, times: 256, many),
            DemoKind(
                "stale connection",
                "dies when used again: retried",
                Array(repeating: [page, next], count: 3).flatMap { $0 }
            ),
            DemoKind("second address", "the first one refuses", second),
        ]
    }

    private var clients: [DemoKind] {
        // The origin refuses a connection to a second owner.
        let pinned = (1...2).map { client in
            DemoExchange("/own/\(client)", origin, bytes: 100).with { $0.pin = ("client \(client)", .prefer) }
        }
        let lost = DemoExchange("/own/3", origin).with {
            $0.pin = ("client 3", .require)
            $0.status = 0
            $0.outcome = .pinLost
        }
        let guarded = DemoExchange("/guarded/500", origin, bytes: 500).with {
            $0.credential = Credential(name: "demo", schemes: .basic)
            $0.credential?.user = Array("demo".utf8)
            $0.credential?.password = Secret(copying: "demo".utf8.span)
        }
        let balanced = DemoExchange("/bytes/500", origin, bytes: 500).with {
            $0.endpoints = [refused, origin, other]
            $0.balancing = .roundRobin
        }
        return [
            DemoKind(
                "pinned",
                "two clients, a connection each",
                Array(repeating: pinned, count: 10).flatMap { $0 }
            ),
            DemoKind("pin lost", "never on another connection", times: 3, lost),
            DemoKind("401", "answered here, and then known", times: 5, guarded),
            DemoKind("balanced", "one of three members is dead", times: 20, balanced),
        ]
    }

    private var failures: [DemoKind] {
        func failure(_ target: String, _ outcome: Outcome, status: Int = 0, bytes: Int = 0) -> DemoExchange {
            DemoExchange(target, origin, bytes: bytes).with {
                $0.status = status
                $0.outcome = outcome
            }
        }
        let nobody = failure("/", .connectRefused).with { $0.endpoints = [refused] }
        let short = [
            failure("/cut/1000", .truncated, status: 200, bytes: 1000),
            failure("/cutchunk/1000", .truncated, status: 200, bytes: 1000),
        ]
        let never = failure("/reset", .reset).with { $0.method = "POST" }
        let hang = failure("/hang", .replyTimeout).with { $0.replyMilliseconds = 100 }
        let cancelled = failure("/bytes/1000000000", .cancelled, status: 200).with {
            $0.replyBytes = nil
            $0.cancelAfterBytes = 100_000
        }
        let injections = [
            failure("/", .badRequest).with { $0.fields = [("X-A", "b\r\nX-Injected: c")] },
            failure("/", .badRequest).with { $0.fields = [("X-A: b\r\nX", "c")] },
            failure("/ HTTP/1.1\r\nX: y", .badRequest),
            failure("/", .badRequest).with { $0.method = "GET /evil" },
        ]
        return [
            DemoKind(
                "cut short",
                "never reported complete",
                Array(repeating: short, count: 3).flatMap { $0 }
            ),
            DemoKind("no reply", "closed before a byte of it", times: 3, never),
            DemoKind("garbage", "no HTTP at all", times: 3, failure("/garbage", .badReply)),
            DemoKind("injection", "refused, nothing was sent", injections),
            DemoKind("refused", "nobody listens there", times: 3, nobody),
            DemoKind("too late", "no reply within 100 ms", outstanding: 3, times: 3, hang),
            DemoKind("cancelled", "in the middle of 1 GB", times: 3, cancelled),
        ]
    }
}
