// DemoExchange.swift: one exchange of the demo, what it should come to, and what it came to. Owns: the
// comparison.
import Model
import OutriggerClient

/// A request and what is expected of it.
struct DemoExchange: Sendable {
    var method = "GET"
    var target: String
    var endpoints: [Endpoint]
    var fields: [(name: String, value: String)] = []
    /// Its bytes are those of `Pattern`.
    var body = RequestBody.none
    var bodyBytes = 0
    var sendsTrailers = false
    var upgrade = ""
    var route = Route.direct
    var localAddress: IPAddress?
    var replyMilliseconds = 0
    /// The client it is for, by its token, and how its pin is used.
    var pin: (token: String, mode: PinMode)?
    /// What a challenge may be answered with.
    var credential: Credential?
    /// How one of `endpoints` is chosen; `nil`: in order.
    var balancing: GroupPolicy?
    /// Cancelled when so many bytes of the reply's body have come.
    var cancelAfterBytes: Int?

    /// 0: no reply.
    var status = 200
    var outcome = Outcome.complete
    /// Bytes of the reply's body, which is a `Pattern` or, with `isPage`, the origin's page; `nil`: not
    /// looked at.
    var replyBytes: Int?
    var isPage = false
    var interimReplies = 0
    var hasTrailers = false
    /// Fields with these values have to be in the reply.
    var replyFields: [String] = []
    /// Results that have to be among the attempts.
    var attempts: [AttemptResult] = []

    init(_ target: String, _ endpoint: Endpoint, bytes: Int? = nil) {
        self.target = target
        endpoints = [endpoint]
        replyBytes = bytes
    }

    /// The same with changes.
    func with(_ change: (inout DemoExchange) -> Void) -> DemoExchange {
        var copy = self
        change(&copy)
        return copy
    }

    /// As the protocol wants it.
    var form: RequestForm {
        var form = RequestForm(method: method, authority: "demo.example", target: target)
        for field in fields { form.addField(field.name, field.value) }
        form.setUpgrade(upgrade)
        form.setTag("demo")
        if let pin { form.setPin(pin.token, pin.mode) }
        form.update {
            $0.endpoints = endpoints
            $0.body = body
            $0.route = route
            $0.localAddress = localAddress
            $0.deadlines.firstByteMilliseconds = replyMilliseconds
            $0.balancing = balancing
            if let credential {
                var credentials = CredentialsRequest()
                credentials.origin = credential
                $0.credentials = credentials
            }
        }
        return form
    }
}

/// What came of an exchange.
struct DemoResult: Sendable {
    var status = 0
    var outcome = Outcome.internal
    var detail = ""
    var bytes = 0
    var isIntact = true
    var interimReplies = 0
    var hasTrailers = false
    var fields: [String] = []
    var isReused = false
    var attempts: [AttemptResult] = []
    var nanoseconds: UInt64 = 0
    var isEnded = false

    /// How it differs from what was expected; `nil`: not at all.
    func failure(_ expected: DemoExchange) -> String? {
        if !isEnded { return "no END came" }
        if outcome != expected.outcome { return "\(outcome.word), not \(expected.outcome.word): \(detail)" }
        if status != expected.status { return "status \(status), not \(expected.status)" }
        if let bytes = expected.replyBytes, bytes != self.bytes { return "\(self.bytes) bytes, not \(bytes)" }
        if !isIntact { return "the body differs" }
        if interimReplies != expected.interimReplies { return "\(interimReplies) interim replies" }
        if hasTrailers != expected.hasTrailers { return hasTrailers ? "trailers unasked" : "no trailers" }
        for field in expected.replyFields where !fields.contains(field) { return "no field '\(field)'" }
        for result in expected.attempts where !attempts.contains(result) {
            return "no attempt \(result.word), but \(attempts.map(\.word))"
        }
        return nil
    }
}
