// AdministrationReply.swift: what is answered to an operator, as a table for people or as JSON for programs.
// Source: RFC 9110 sections 9 and 15, RFC 9112 sections 2 and 3; RFC 8259 for JSON.
import Engine
import Model

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
        /counts       what is open, and what was done
        /pins.json, /counts.json

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

/// Pinned connections, as they are listed.
enum PinListing {
    private static func token(_ pin: PinReport) -> String {
        pin.token.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func step(_ pin: PinReport) -> String {
        switch pin.authentication {
        case .none: "none"
        case .challenged: "challenged"
        case .underWay: "under-way"
        case .established: "established"
        }
    }

    static func table(_ pins: [PinReport]) -> String {
        var rows = [["OWNER", "TOKEN", "ENDPOINT", "STATE", "WAITING", "AGE", "USES", "AUTHENTICATION"]]
        for pin in pins {
            let age = "\(pin.ageMilliseconds / 1000).\(pin.ageMilliseconds % 1000 / 100) s"
            rows.append([
                "\(pin.owner)", token(pin), Listing.cell(pin.endpoint.text), pin.isBusy ? "busy" : "idle",
                "\(pin.waiting)", age,
                "\(pin.uses)", step(pin),
            ])
        }
        return Listing.table(rows)
    }

    static func json(_ pins: [PinReport]) -> String {
        let objects = pins.map { pin in
            """
            {"owner":\(pin.owner),"token":"\(token(pin))","endpoint":\(Listing.quoted(pin.endpoint.text)),\
            "busy":\(pin.isBusy),"waiting":\(pin.waiting),"age_milliseconds":\(pin.ageMilliseconds),\
            "uses":\(pin.uses),"authentication":"\(step(pin))"}
            """
        }
        return "[" + objects.joined(separator: ",\n ") + "]\n"
    }
}

/// What is open, as it is listed.
enum CountListing {
    private static func entries(_ counts: Counts) -> [(name: String, value: UInt64)] {
        [
            ("sessions", UInt64(counts.sessions)), ("streams", UInt64(counts.streams)),
            ("connections", UInt64(counts.connections)), ("idle_connections", UInt64(counts.idleConnections)),
            ("pins", UInt64(counts.pins)), ("waiting", UInt64(counts.waiting)),
            ("requests_total", counts.requestsTotal), ("dials_total", counts.dialsTotal),
            ("reuses_total", counts.reusesTotal), ("retries_total", counts.retriesTotal),
        ]
    }

    static func table(_ counts: Counts) -> String {
        Listing.table(entries(counts).map { [$0.name, "\($0.value)"] })
    }

    static func json(_ counts: Counts) -> String {
        "{" + entries(counts).map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",") + "}\n"
    }
}

/// Forms that all listings have.
enum Listing {
    /// Columns two spaces apart.
    static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        var text = ""
        for row in rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.count + 2)
                }
            }
            text += line + "\n"
        }
        return text
    }

    /// A text that cannot break its line or its column.
    static func cell(_ text: String) -> String {
        text.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" } ? text : quoted(text)
    }

    /// A JSON string (RFC 8259 section 7).
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\u{20}"...: quoted.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return quoted + "\""
    }
}
