// FetchLog.swift: what `fetch -v` says on standard error: frames, connection, attempts, timings. Owns: its
// style.
import EventLoop
import Model
import OutriggerClient

/// Writes lines, or nothing at all when it is not wanted.
struct FetchLog {
    private let isOn: Bool
    private let style = Style(.standardError)

    init(isOn: Bool) { self.isOn = isOn }

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
        let endpoints = plan.endpoints.map(\.text).joined(separator: ", ")
        let route = plan.route == .peer ? " by way of a peer at" : " to"
        sent(
            "REQUEST stream=\(stream) \(plan.method) "
                + "http://\(plan.authority)\(plan.url.target)\(route) \(endpoints)"
        )
        for field in plan.fields { sent("  \(field.name): \(field.value)") }
        switch body {
        case .none: break
        case .length(let bytes): sent("  body of \(bytes) bytes")
        case .chunked: sent("  body in chunks")
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
            received("  \(name): \(String(copying: session.block.extracting(field.value)))")
        }
    }

    /// What is known about the connection.
    func connection(_ facts: ConnectionFacts) {
        guard isOn else { return }
        let age = facts.reused ? "used again, request \(facts.requests) on it" : "fresh"
        let local = facts.local.map { " from \($0.text)" } ?? ""
        note("connection to \(facts.remote?.text ?? "?")\(local): \(age)")
    }

    /// The END frame.
    func end(_ report: EndReport, _ attempts: [Attempt], _ endpoints: [Endpoint], stream: UInt32) {
        guard isOn else { return }
        let detail = report.detail.isEmpty ? "" : ": \(report.detail)"
        received("END stream=\(stream) \(report.outcome.word)\(detail)")
        note("body bytes: \(report.requestBodyBytes) sent, \(report.replyBodyBytes) received")
        for (index, attempt) in attempts.enumerated() {
            let place = attempt.endpointIndex
            let endpoint = place < endpoints.count ? endpoints[place].text : "?"
            let start = Figures.duration(nanoseconds: attempt.startMicroseconds * 1000)
            let took = Figures.duration(nanoseconds: attempt.durationMicroseconds * 1000)
            note("attempt \(index + 1): \(endpoint) \(attempt.result.word) at \(start), took \(took)")
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
}
