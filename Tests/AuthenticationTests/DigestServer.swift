// DigestServer.swift: a server with Digest that checks answers on its own, and what a stream does with it.
// Source: RFC 7616 §3.3, §3.4.6.
import Authentication
import Model
import TLS

/// Knows one user. Checks realm, nonce, count and response, in its own arithmetic (`MessageDigest`, SHA-256).
struct DigestServer {
    var realm = "r"
    var user = "bob"
    var password = "pw"
    /// More of the challenge.
    var more = #"qop="auth""#
    /// Whether counts have to rise; else none may come twice.
    var isStrict = false
    /// Whether it says so when a nonce has lived too long.
    var saysStale = true
    /// Uses of each nonce that it gave out.
    private(set) var counts: [String: [Int]] = [:]
    private var made = 0

    enum Verdict: Equatable {
        case accepted
        /// The value of WWW-Authenticate.
        case challenge(String)
    }

    mutating func challenge(isStale: Bool = false) -> String {
        made += 1
        let nonce = "nonce\(made)"
        counts[nonce] = []
        let stale = isStale && saysStale ? ", stale=true" : ""
        return #"Digest realm="\#(realm)", nonce="\#(nonce)", algorithm=SHA-256, \#(more)\#(stale)"#
    }

    /// Every nonce that is out becomes unknown.
    mutating func forget() { counts = [:] }

    /// What becomes of a request with this value of Authorization; `nil`: there is none.
    mutating func check(_ value: String?, method: String = "GET", target: String = "/") -> Verdict {
        guard let value, value.hasPrefix("Digest ") else { return .challenge(challenge()) }
        let fields = Challenges([value])
        func field(_ name: String) -> String {
            fields.list.value(name, of: fields.list.challenges[0], in: fields.block.span)
                .map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        let nonce = field("nonce")
        let first = sha256("\(user):\(realm):\(password)")
        let second = sha256("\(method):\(target)")
        let rest = "\(nonce):\(field("nc")):\(field("cnonce")):auth"
        guard field("response") == sha256("\(first):\(rest):\(second)"), field("uri") == target,
            field("realm") == realm, field("username") == user, field("nc").count == 8
        else { return .challenge(challenge()) }
        guard let count = Int(field("nc"), radix: 16), let used = counts[nonce],
            isStrict ? count > (used.last ?? 0) : !used.contains(count)
        else { return .challenge(challenge(isStale: true)) }
        counts[nonce, default: []].append(count)
        return .accepted
    }

    /// `rspauth` and the rest of an Authentication-Info to an answer.
    func information(_ value: String, target: String = "/", password: String? = nil) -> String {
        let fields = Challenges([value])
        func field(_ name: String) -> String {
            fields.list.value(name, of: fields.list.challenges[0], in: fields.block.span)
                .map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        let first = sha256("\(user):\(realm):\(password ?? self.password)")
        let rest = "\(field("nonce")):\(field("nc")):\(field("cnonce")):auth"
        let proof = sha256("\(first):\(rest):" + sha256(":\(target)"))
        return #"qop=auth, rspauth="\#(proof)", cnonce="\#(field("cnonce"))", nc=\#(field("nc"))"#
    }
}

func sha256(_ text: String) -> String {
    var digest = ByteBuffer()
    digest.append(upTo: 32) { MessageDigest.sha256(text.utf8.span, &$0) }
    let span = digest.bytes
    return span.indices.map { index in
        let digits = String(span[index], radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

/// One request's dealings with an authenticator.
struct Exchange {
    var space = AuthenticationSpace.origin(.http, authority: "example.org".utf8.span)
    var credential = Credential("bob", "pw", [.basic, .digest])
    var method = "GET"
    var target = "/"
    /// `nil`: not held.
    var body: String? = ""
    private(set) var attempt = AuthenticationAttempt()
    /// Value of the last request; `nil`: it went without.
    private(set) var value: String?
    private(set) var requests = 0

    init(_ change: (inout Exchange) -> Void = { _ in }) { change(&self) }

    /// Sends the request the first time.
    mutating func begin(_ authenticator: inout Authenticator) {
        var output = ByteBuffer()
        let text = body ?? ""
        let held = text.utf8.span
        let request = AuthenticatedRequest(
            method: method.utf8.span,
            target: target.utf8.span,
            body: body == nil ? nil : held
        )
        let isSent = authenticator.preemptive(space, credential, request, &attempt, appendingTo: &output)
        value = isSent ? output.text : nil
        requests += 1
    }

    /// A 401 or 407 comes.
    mutating func challenged(_ authenticator: inout Authenticator, _ values: String...) -> Answer {
        let challenges = Challenges(values, side: space.side)
        var output = ByteBuffer()
        let text = body ?? ""
        let held = text.utf8.span
        let request = AuthenticatedRequest(
            method: method.utf8.span,
            target: target.utf8.span,
            body: body == nil ? nil : held
        )
        let answer = authenticator.answer(
            challenges.list,
            in: challenges.block.span,
            space,
            credential,
            request,
            &attempt,
            appendingTo: &output
        )
        value = answer == .resubmit ? output.text : nil
        if answer != .resubmit { precondition(output.isEmpty, "bytes of an answer that is none") }
        if answer == .resubmit { requests += 1 }
        return answer
    }

    /// Another status comes.
    @discardableResult mutating func succeeded(
        _ authenticator: inout Authenticator,
        _ information: String? = nil
    ) -> ServerProof {
        let text = information ?? ""
        let bytes = text.utf8.span
        let empty = ""
        let request = AuthenticatedRequest(
            method: method.utf8.span,
            target: target.utf8.span,
            body: empty.utf8.span
        )
        return authenticator.succeeded(
            space,
            credential,
            request,
            attempt,
            information: information == nil ? nil : bytes
        )
    }

    /// No reply comes.
    func ended(_ authenticator: inout Authenticator) { authenticator.ended(space, credential, attempt) }

    mutating func exclude(_ mechanism: SecurityMechanism) { attempt.exclude(mechanism) }

    /// Goes on with a server until it accepts or there is no answer. `nil`: accepted.
    mutating func finish(_ authenticator: inout Authenticator, _ server: inout DigestServer) -> NoAnswer? {
        while true {
            switch server.check(value, method: method, target: target) {
            case .accepted:
                succeeded(&authenticator)
                return nil
            case .challenge(let challenge):
                switch challenged(&authenticator, challenge) {
                case .resubmit: continue
                case .none(let reason): return reason
                case .securityContext: preconditionFailure("a context for Digest")
                }
            }
        }
    }

    /// All of it.
    mutating func run(_ authenticator: inout Authenticator, _ server: inout DigestServer) -> NoAnswer? {
        begin(&authenticator)
        return finish(&authenticator, &server)
    }
}

extension Authenticator {
    init(spacesMax: Int = 100, nonceUsesMax: UInt32 = .max - 1, seed: String = "seed") {
        var limits = Limits()
        limits.authenticationSpacesMax = spacesMax
        self.init(functions: .real, seed: Secret(seed), limits: limits, nonceUsesMax: nonceUsesMax)
    }
}
