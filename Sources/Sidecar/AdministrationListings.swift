// AdministrationListings.swift: pins and counts as tables for people and as JSON for programs.
// Owns: their forms, nothing of what they say. Source: RFC 8259 for JSON.
import Engine
import Model
import TLS

/// Pinned connections, as they are listed.
enum PinListing {
    /// Hexadecimal digits of a token's digest in the table.
    private static let digitsMax = 16

    /// SHA-256 in hexadecimal: whoever has a token finds it, and nobody learns one, which is as good as its connection.
    private static func digest(_ pin: PinReport) -> String {
        [UInt8](capacity: 32) { MessageDigest.sha256(pin.token.span, &$0) }
            .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func step(_ pin: PinReport) -> String {
        switch pin.authentication {
        case .none: "none"
        case .challenged: "challenged"
        case .underWay: "under-way"
        case .established: "established"
        }
    }

    private static func name(_ pin: PinReport) -> String { String(decoding: pin.route.name, as: UTF8.self) }

    private static func way(_ pin: PinReport) -> String {
        let kind = pin.route.kind.rawValue + (pin.route.isSecure ? "+tls" : "")
        return pin.route.name.isEmpty ? kind : "\(kind):\(name(pin))"
    }

    static func table(_ pins: [PinReport]) -> String {
        var rows = [
            ["OWNER", "TOKEN", "ENDPOINT", "ROUTE", "STATE", "WAITING", "AGE", "USES", "AUTHENTICATION"]
        ]
        for pin in pins {
            let age = "\(pin.ageMilliseconds / 1000).\(pin.ageMilliseconds % 1000 / 100) s"
            rows.append([
                "\(pin.owner)", String(digest(pin).prefix(digitsMax)), Listing.cell(pin.endpoint.text),
                Listing.cell(way(pin)), pin.isBusy ? "busy" : "idle", "\(pin.waiting)", age, "\(pin.uses)",
                step(pin),
            ])
        }
        return Listing.table(rows)
    }

    static func json(_ pins: [PinReport]) -> String {
        let objects = pins.map { pin in
            """
            {"owner":\(pin.owner),"token_sha256":"\(digest(pin))","endpoint":\(Listing.quoted(pin.endpoint.text)),\
            "route":"\(pin.route.kind.rawValue)","tls":\(pin.route.isSecure),"name":\(Listing.quoted(name(pin))),\
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
            ("held_total", counts.heldTotal),
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
