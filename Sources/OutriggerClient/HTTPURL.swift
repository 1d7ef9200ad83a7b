// HTTPURL.swift: the parts of an http URL that a request is made of. Source: RFC 3986 §3; RFC 9110 §4.2.

/// An absolute `http:` or `https:` URL, taken apart and otherwise left as it is.
package struct HTTPURL: Equatable, Sendable {
    package var isSecure: Bool
    /// host[:port], as written.
    package var authority: String
    /// Path and query, beginning with '/'.
    package var target: String

    /// Reads a URL; without a scheme it is taken for http, as curl does.
    /// - Returns: `nil` when there is another scheme, no host, user information, or a byte that no URL has.
    package init?(_ text: String) {
        var rest = text[...]
        isSecure = false
        if let separator = Self.schemeEnd(text) {
            switch text[..<separator].lowercased() {
            case "http": break
            case "https": isSecure = true
            default: return nil
            }
            rest = text[separator...].dropFirst(3)
        }
        guard rest.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else { return nil }
        rest = rest.prefix { $0 != "#" }
        let host = rest.prefix { $0 != "/" && $0 != "?" }
        guard !host.isEmpty, host.first != ":", !host.contains("@") else { return nil }
        authority = String(host)
        let path = rest.dropFirst(host.count)
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }

    private static func schemeEnd(_ text: String) -> String.Index? {
        guard let colon = text.firstIndex(where: { $0 == ":" || $0 == "/" }), text[colon...].hasPrefix("://")
        else { return nil }
        return colon
    }

    /// The authority with its port: unless it says another, 80, or 443 with TLS (RFC 9110 §4.2).
    package var literalAddress: String {
        let hasPort: Bool
        if authority.hasPrefix("[") {
            hasPort = !authority.hasSuffix("]")
        } else {
            hasPort = authority.contains(":")
        }
        return hasPort ? authority : authority + (isSecure ? ":443" : ":80")
    }
}
