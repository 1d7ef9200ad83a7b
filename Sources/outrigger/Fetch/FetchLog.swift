// FetchLog.swift: what `fetch` says on standard error: errors and, with -v, frames, connection, attempts and
// timings.
// Owns: its style.
import EventLoop
import Model
import OutriggerClient

/// Writes the lines that are wanted.
struct FetchLog {
    private let isOn: Bool
    private let isSilent: Bool
    private let style = Style(.standardError)

    init(_ plan: FetchPlan) {
        isOn = plan.isVerbose
        isSilent = plan.isSilent
    }

    /// Something that went wrong.
    func error(_ text: @autoclosure () -> String) { if !isSilent { write("outrigger: " + text()) } }

    /// A frame that we sent.
    func sent(_ text: @autoclosure () -> String) { if isOn { write(style.blue("> " + text())) } }

    /// A frame that came.
    func received(_ text: @autoclosure () -> String) { if isOn { write(style.green("< " + text())) } }

    /// Something that is no frame.
    func note(_ text: @autoclosure () -> String) { if isOn { write(style.dim("* " + text())) } }

    private func write(_ line: String) { File.standardError.write(line + "\n") }

    /// The REQUEST frame.
    func request(_ plan: FetchPlan, _ body: RequestBody, stream: UInt32) {
        guard isOn else { return }
        let scheme = plan.url.isSecure ? "https" : "http"
        sent(
            "REQUEST stream=\(stream) \(plan.method) "
                + "\(scheme)://\(plan.authority)\(plan.url.target)\(Self.way(plan))"
        )
        for field in plan.fields { sent("  " + FieldLine.shown(field.name, field.value)) }
        switch body {
        case .none: break
        case .length(let bytes): sent("  body of \(bytes) bytes")
        case .chunked: sent("  body in chunks")
        }
        if !plan.upgrade.isEmpty { sent("  asks for an upgrade to \(plan.upgrade)") }
        guard let hop = plan.hop else { return }
        for field in hop.connectFields {
            let name = String(decoding: field.name, as: UTF8.self)
            let value = field.value.withBytes { String(decoding: [UInt8](copying: $0), as: UTF8.self) }
            sent("  for the CONNECT: " + FieldLine.shown(name, value))
        }
        if hop.proxyProtocol != .none {
            let source = hop.proxySource.map { " for \($0.text)" } ?? ""
            sent("  behind a PROXY \(hop.proxyProtocol) header\(source)")
        }
    }

    /// By way of whom the request goes where.
    private static func way(_ plan: FetchPlan) -> String {
        let endpoints =
            plan.group.isEmpty
            ? plan.endpoints.map(\.text).joined(separator: ", ") : "a member of the group \(plan.group)"
        let peer = plan.hop?.tls == nil ? "a peer at" : "a peer, over TLS, at"
        let named = plan.hop.map { $0.name.isEmpty ? "" : " by the route \($0.name)" } ?? ""
        switch plan.route {
        case .direct: return named + (endpoints.isEmpty ? "" : " to \(endpoints)")
        case .peer: return " by way of \(peer) \(endpoints)"
        case .peerTunnel: return " in a tunnel through \(peer) \(endpoints)"
        }
    }

    /// An INTERIM or REPLY frame.
    func head(_ name: String, _ session: borrowing ClientSession, stream: UInt32) {
        guard isOn else { return }
        let head = session.head
        let reason = String(copying: session.block.extracting(head.reason))
        received(
            "\(name) stream=\(stream) \(head.status) \(reason), "
                + "HTTP/\(head.version / 10).\(head.version % 10)"
        )
        fields(session)
        switch head.body {
        case .none: received("  no body")
        case .length(let bytes): received("  body of \(bytes) bytes")
        case .chunked: received("  body in chunks")
        case .untilEOF: received("  body until the connection ends")
        case .tunnel: received("  a two-way byte stream")
        }
    }

    /// The fields of the head that came last.
    func fields(_ session: borrowing ClientSession) {
        guard isOn else { return }
        for field in session.head.fields {
            let name = String(copying: session.block.extracting(field.name))
            let value = String(copying: session.block.extracting(field.value))
            received("  " + FieldLine.shown(name, value))
        }
    }

    /// What is known about the connection.
    func connection(_ facts: ConnectionFacts) {
        guard isOn else { return }
        let age = facts.reused ? "used again, request \(facts.requests) on it" : "fresh"
        let local = facts.local.map { " from \($0.text)" } ?? ""
        note("connection to \(facts.remote?.text ?? "?")\(local): \(age)")
        if let tls = facts.peerTLS { self.tls("peer", tls) }
        if let tls = facts.tls { self.tls("origin", tls) }
    }

    private func tls(_ name: String, _ facts: TLSFacts) {
        let version = facts.version == .v12 ? "1.2" : "1.3"
        let protocolName = facts.alpn.isEmpty ? "no ALPN" : "ALPN \(facts.alpn)"
        let start = facts.isResumed ? "resumed" : "full handshake"
        note("TLS to the \(name): TLS \(version), \(facts.cipher), \(protocolName), \(start)")
        let digits = facts.certificateSHA256.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        note("  certificate's SHA-256: \(digits.joined())")
    }

    /// The END frame.
    func end(_ report: EndReport, _ attempts: [Attempt], _ endpoints: [Endpoint], stream: UInt32) {
        guard isOn else { return }
        let detail = report.detail.isEmpty ? "" : ": \(report.detail)"
        received("END stream=\(stream) \(report.outcome.word)\(detail)")
        note("body bytes: \(report.requestBodyBytes) sent, \(report.replyBodyBytes) received")
        for (index, attempt) in attempts.enumerated() {
            let endpoint = Self.place(of: attempt, report, endpoints)
            note("attempt \(index + 1): \(endpoint) \(attempt.result.word) \(Self.times(attempt))")
        }
        note("connection afterwards: \(report.connection.word)")
        let times = report.timings
        let parts = [
            ("connection", times.connectedMicroseconds), ("sent", times.sentMicroseconds),
            ("first byte", times.firstByteMicroseconds), ("total", times.totalMicroseconds),
        ]
        let texts = parts.map { "\($0.0) \($0.1 == 0 ? "-" : Figures.duration(nanoseconds: $0.1 * 1000))" }
        note("timings: " + texts.joined(separator: ", "))
        if !report.outcome.isSuccess {
            let started = report.requestStarted ? "some of it was sent" : "nothing of it was sent"
            note("\(started); \(report.repeatable ? "safe to repeat" : "not known to be safe to repeat")")
        }
    }

    private static func place(of attempt: Attempt, _ report: EndReport, _ endpoints: [Endpoint]) -> String {
        if report.members.indices.contains(attempt.member) { return report.members[attempt.member] }
        let place = attempt.endpointIndex
        return endpoints.indices.contains(place) ? endpoints[place].text : "address \(place + 1)"
    }

    private static func times(_ attempt: Attempt) -> String {
        let start = Figures.duration(nanoseconds: attempt.startMicroseconds * 1000)
        let took = Figures.duration(nanoseconds: attempt.durationMicroseconds * 1000)
        let transport = Figures.duration(nanoseconds: attempt.transportMicroseconds * 1000)
        // What is left went into TLS and tunnels.
        let isAll =
            attempt.transportMicroseconds == 0
            || attempt.transportMicroseconds == attempt.durationMicroseconds
        return "at \(start), took \(took)" + (isAll ? "" : ", the transport \(transport)")
    }
}
