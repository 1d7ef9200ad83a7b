// OriginReply.swift: the origin's script: which reply follows which path. Owns: the words. Source: RFC 9112;
// RFC 9110 §15.

/// How the origin goes on behind a reply head.
enum OriginBody: Equatable {
    /// Nothing more.
    case none
    /// So many bytes of `Pattern`.
    case plain(Int)
    /// The same in chunks, with a trailer section unless `isCut`.
    case chunked(Int, isCut: Bool)
}

/// What the origin answers.
struct OriginReply: Equatable {
    var head: String
    var body = OriginBody.none
    /// FIN behind it.
    var closes = false
    /// Everything that comes from then on goes back.
    var echoes = false
    /// The next request on this connection is answered with FIN.
    var spoils = false
    /// A request body that has not come is not waited for.
    var ignoresBody = false

    /// What is said to a request without a body, or before its body has come; `nil`: nothing, for ever.
    /// - Parameters:
    ///   - request: its `verb` is one of those in `outrigger demo`; any other gets a small page.
    ///   - owner: `amount` of the first "own" on this connection.
    init?(_ request: OriginRequest, owner: Int?) {
        let amount = request.amount
        let length = "Content-Length: \(amount)\r\n\r\n"
        switch request.verb {
        case "bytes": self.init(head: "HTTP/1.1 200 OK\r\n" + length, body: .plain(amount))
        case "chunked":
            self.init(head: Self.chunkedHead, body: .chunked(amount, isCut: false))
        case "eof":
            self.init(
                head: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                body: .plain(amount),
                closes: true
            )
        case "old": self.init(head: "HTTP/1.0 200 OK\r\n" + length, body: .plain(amount), closes: true)
        case "empty": self.init(head: "HTTP/1.1 204 No Content\r\n\r\n")
        case "unchanged":
            // A length that names a body which does not follow: RFC 9112 §6.3, item 1.
            self.init(head: "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 1000\r\n\r\n")
        case "hints":
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
            self.init(head: hints + "HTTP/1.1 200 OK\r\n" + length, body: .plain(amount))
        case "early":
            let head = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.init(head: head, ignoresBody: true)
        case "echo" where request.asksUpgrade:
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            self.init(head: head, echoes: true)
        case "own" where owner != request.amount:
            self.init(head: "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
        case "own": self.init(head: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", body: .plain(100))
        case "guarded" where !request.isAuthorized:
            let challenge = "WWW-Authenticate: Basic realm=\"demo\"\r\n"
            self.init(head: "HTTP/1.1 401 Unauthorized\r\n\(challenge)Content-Length: 0\r\n\r\n")
        case "guarded": self.init(head: "HTTP/1.1 200 OK\r\n" + length, body: .plain(amount))
        case "stale": self.init(head: Self.page, spoils: true)
        case "cut":
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(2 * amount)\r\n\r\n"
            self.init(head: head, body: .plain(amount), closes: true)
        case "cutchunk": self.init(head: Self.chunkedHead, body: .chunked(amount, isCut: true), closes: true)
        case "garbage": self.init(head: "220 mail.example ESMTP ready\r\n\r\n", closes: true)
        case "reset": self.init(head: "", closes: true)
        case "hang": return nil
        case "missing": self.init(head: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        default: self.init(head: Self.page)
        }
        if request.isHead { body = .none }
    }

    private init(
        head: String,
        body: OriginBody = .none,
        closes: Bool = false,
        echoes: Bool = false,
        spoils: Bool = false,
        ignoresBody: Bool = false
    ) {
        self.head = head
        self.body = body
        self.closes = closes
        self.echoes = echoes
        self.spoils = spoils
        self.ignoresBody = ignoresBody
    }

    /// What is said to a request whose body has come whole.
    static func received(bytes: Int, isIntact: Bool, hasTrailers: Bool) -> OriginReply {
        let fields = "X-Received: \(bytes)\r\nX-Trailers: \(hasTrailers ? "yes" : "no")\r\n"
        let status = isIntact ? "200 OK" : "422 Unprocessable Content"
        return OriginReply(head: "HTTP/1.1 \(status)\r\n\(fields)Content-Length: 0\r\n\r\n")
    }

    private static let chunkedHead =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Bytes\r\n\r\n"
    private static let page = "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nOutrigger's origin\n"
}
