// ToySecurity.swift: contexts that scripts step by hand, and requests of users who have them.
import Authentication
import Model

@testable import Engine

extension Credential {
    /// A user of these schemes; named, or all that the rest is enough for.
    static func of(_ user: String, _ schemes: AuthenticationSchemes, isAutomatic: Bool = false) -> Credential
    {
        var credential = Credential.basic(user)
        credential.schemes = schemes
        credential.isAutomatic = isAutomatic
        return credential
    }
}

extension Form {
    /// A user of Negotiate and NTLM at the origin.
    mutating func knows(_ user: String, _ schemes: AuthenticationSchemes = .connectionBound) {
        origin = .of(user, schemes)
    }
}

extension SecurityOrder {
    /// In words: what a context is made from, and what it is given.
    var words: String {
        let side = request.side == .origin ? "" : " as a peer's"
        let given = input.isEmpty ? "" : " given \(text(input))"
        return "step \(context.number) \(request.mechanism.name) HTTP@\(text(request.host))"
            + " \(text(request.credential.user))\(side)\(given)"
    }
}

extension Rig {
    /// The oldest step that was ordered ends with `result`, whether anybody waits for it or not.
    func step(_ result: SecurityContextResult) {
        if orders.isEmpty { return note("no step was ordered") }
        let order = orders.removeFirst()
        engine.stepped(order.context, on: order.connection, result, now: now)
        run()
    }

    func takeStep(_ id: ConnectionID) {
        guard let order = engine.securityOrder(of: id) else { return note("step of a dead id") }
        orders.append(order)
        note(order.words)
    }

    /// It ends with a token, after which the server has to say more.
    func step(_ token: String) { step(.proceed(token: Secret(token))) }

    /// It ends with the last token of our side.
    func lastStep(_ token: String = "") { step(.done(token: Secret(token))) }

    /// An upstream answers with a challenge, with a token where there is one, and a body of two bytes.
    func demand(_ socket: Int, _ scheme: String, _ token: String = "", status: Int = 401, _ more: String = "")
    {
        let name = status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate"
        let value = token.isEmpty ? scheme : "\(scheme) \(base64(token))"
        hear(socket, "HTTP/1.1 \(status) No|\(name): \(value)|Content-Length: 2|\(more)|no")
    }

    /// An upstream lets somebody in, and proves itself with a token.
    func admit(_ socket: Int, _ scheme: String, _ token: String, _ name: String = "WWW-Authenticate") {
        answer(socket, "ok", "\(name): \(scheme) \(base64(token))|")
    }

    /// The credentials of the last request on a socket, token decoded.
    func said(_ socket: Int) {
        let lines = written(socket).split(whereSeparator: \.isNewline).filter {
            $0.contains("uthorization: ")
        }
        note("\(socket) said \(lines.last.map(Self.decoded) ?? "nothing")")
    }

    private static func decoded(_ line: Substring) -> String {
        let parts = line.split(separator: " ")
        let token = ByteBuffer.decoded(String(parts.last ?? ""))
        return "\(parts.dropLast().joined(separator: " ")) \(token)"
    }

    private func base64(_ text: String) -> String {
        var output = ByteBuffer()
        SecurityStep.append(.ntlm, token: Array(text.utf8).span, to: &output)
        return String(EngineTests.text(array(output.bytes)).dropFirst("NTLM ".count))
    }
}

extension ByteBuffer {
    /// Base64 as text.
    fileprivate static func decoded(_ text: String) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bits = 0
        var word = 0
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            guard let value = digits.firstIndex(of: byte) else { continue }
            word = word << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(word >> bits & 0xFF))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension [String] {
    /// Without what depends on how bytes come: their pieces, their order beside that of sockets, and probes.
    var whatever: [String] {
        filter { !$0.contains(" body ") && !$0.hasPrefix("resume") && !$0.hasPrefix("probe") }.sorted()
    }
}
