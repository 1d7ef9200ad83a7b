// AdministrationReply.swift: what an operator's request is, and the reply that it gets.
// Owns: the little of HTTP that is spoken. Source: RFC 9110 sections 9 and 15, RFC 9112 sections 2 and 3.

/// The request line of an operator's request.
struct AdministrationRequest: Equatable {
    var method: String
    var path: String

    /// `nil` until the empty line has come. What cannot be read has an empty method.
    /// - Parameter head: all bytes read so far.
    init?(head: [UInt8]) {
        guard Self.isWhole(head) else { return nil }
        let line = head.prefix { $0 != 0x0D && $0 != 0x0A }
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3, words[2].starts(with: "HTTP/1.".utf8) else {
            (method, path) = ("", "")
            return
        }
        method = String(decoding: words[0], as: UTF8.self)
        path = String(decoding: words[1].prefix { $0 != 0x3F }, as: UTF8.self)
    }

    /// Whether a line is empty; a lone LF ends a line too (RFC 9112 section 2.2).
    private static func isWhole(_ head: [UInt8]) -> Bool {
        var lineLength = 0
        for byte in head {
            switch byte {
            case 0x0A:
                if lineLength == 0 { return true }
                lineLength = 0
            case 0x0D: break
            default: lineLength += 1
            }
        }
        return false
    }
}

struct AdministrationReply: Equatable {
    var status: Int
    var type = "text/plain; charset=utf-8"
    var text: String

    static let index = """
        /pins         pinned connections
        /groups       groups of servers: load and health of their members
        /counts       what is open, and what was done
        /pins.json, /groups.json, /counts.json

        """

    /// Asks the workers for what the answer needs.
    static func to(_ request: AdministrationRequest, _ server: SidecarServer) -> Self {
        switch request.method {
        case "GET", "HEAD": break
        case "": return Self(status: 400, text: "this is no request\n")
        default: return Self(status: 405, text: "only GET and HEAD\n")
        }
        do {
            switch request.path {
            case "/": return Self(status: 200, text: index)
            case "/pins": return Self(status: 200, text: PinListing.table(try server.pins()))
            case "/pins.json": return json(PinListing.json(try server.pins()))
            case "/groups": return Self(status: 200, text: GroupListing.table(try server.groups()))
            case "/groups.json": return json(GroupListing.json(try server.groups()))
            case "/counts": return Self(status: 200, text: CountListing.table(try server.counts()))
            case "/counts.json": return json(CountListing.json(try server.counts()))
            default: return Self(status: 404, text: "there is:\n" + index)
            }
        } catch { return Self(status: 503, text: "the workers cannot be asked: \(error)\n") }
    }

    private static func json(_ text: String) -> Self {
        Self(status: 200, type: "application/json", text: text)
    }

    private var reason: String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 431: "Request Header Fields Too Large"
        default: "Service Unavailable"
        }
    }

    /// Head and body as they are sent. The connection ends with them.
    func bytes(for request: AdministrationRequest? = nil) -> [UInt8] {
        var head =
            "HTTP/1.1 \(status) \(reason)\r\nContent-Type: \(type)\r\nContent-Length: \(text.utf8.count)\r\n"
        if status == 405 { head += "Allow: GET, HEAD\r\n" }
        head += "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        return Array((request?.method == "HEAD" ? head : head + text).utf8)
    }
}
