// RequestRow.swift: one row of an encoder table.
import HTTP1
import Model
import Testing

/// A request and the bytes, or the refusal, that become of it.
struct RequestRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var method = "GET"
    var scheme = Scheme.http
    var authority = "example.org"
    var target = "/"
    var fields: [(name: String, value: String)] = []
    var body = RequestBody.none
    var route = Route.direct
    var upgrade = ""
    var limits = Limits()
    /// The whole head.
    var expected = ""
    var error: RequestError?

    /// `change` sets what differs from `GET / HTTP/1.1` to example.org, direct.
    init(_ rule: String, _ expected: String, _ change: (inout RequestRow) -> Void = { _ in }) {
        self.rule = rule
        change(&self)
        self.expected = expected
    }

    init(_ rule: String, fails error: RequestError, _ change: (inout RequestRow) -> Void) {
        self.rule = rule
        change(&self)
        self.error = error
    }

    var testDescription: String { rule }

    /// A CONNECT to `authority`, through a peer.
    mutating func connect(_ authority: String) {
        method = "CONNECT"
        self.authority = authority
        target = ""
        route = .peer
    }

    /// The request, and the block that its slices point into.
    func request() -> (Request, [UInt8]) {
        // Something in front, so that an offset that is forgotten shows.
        var block = Array("front".utf8)
        func add(_ text: String) -> Slice {
            defer { block += text.utf8 }
            return Slice(start: block.count, count: text.utf8.count)
        }
        var request = Request()
        request.method = add(method)
        request.scheme = scheme
        request.authority = add(authority)
        request.target = add(target)
        request.fields = fields.map { FieldSlice(name: add($0.name), value: add($0.value)) }
        request.body = body
        request.route = route
        request.upgrade = add(upgrade)
        request.isConnect = method == "CONNECT"
        return (request, block)
    }

    /// Encodes behind other bytes, which must stay, as must the end of the buffer when the request is
    /// refused.
    @discardableResult func check() -> EncodedRequest? {
        let (request, block) = request()
        var output = ByteBuffer()
        output.append("before")
        do {
            let encoded = try RequestEncoder.encode(request, in: block.span, limits: limits, into: &output)
            #expect(error == nil && output.text == "before" + expected, "\(rule)")
            return encoded
        } catch {
            #expect(error == self.error, "\(rule)")
            #expect(output.text == "before", "\(rule): bytes of a refused request")
            for field in fields where field.value.utf8.count > 3 {
                #expect(!error.detail.contains(field.value), "\(rule): a value in the words")
            }
            return nil
        }
    }
}

extension ByteBuffer {
    /// What waits, as text.
    var text: String {
        var all: [UInt8] = []
        let span = bytes
        for index in span.indices { all.append(span[index]) }
        return String(decoding: all, as: UTF8.self)
    }
}

/// A head of `GET / HTTP/1.1` to example.org with `lines` behind Host.
func plain(_ lines: String..., method: String = "GET") -> String {
    "\(method) / HTTP/1.1\r\nHost: example.org\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}
