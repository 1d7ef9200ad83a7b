// RequestForm.swift: a request with the block that its slices point into, written once and sent many times.
// Owns: its bytes. Never touches: sessions. Source: proto/outrigger.proto, message Request.
import Model

/// A request that is filled in from text or bytes.
package struct RequestForm: ~Copyable, Sendable {
    /// Slices into `block`.
    package private(set) var request = Request()
    private var bytes = ByteBuffer()

    /// A request without fields, body, or endpoints.
    package init(method: String, authority: String, target: String) {
        request.method = place(method.utf8.span)
        request.authority = place(authority.utf8.span)
        request.target = place(target.utf8.span)
    }

    /// What the request's slices point into.
    package var block: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes.bytes }
    }

    /// Changes the parts that are no text.
    package mutating func update(_ change: (inout Request) -> Void) { change(&request) }

    /// Adds a field line.
    package mutating func addField(_ name: String, _ value: String) {
        let name = place(name.utf8.span)
        request.fields.append(FieldSlice(name: name, value: place(value.utf8.span)))
    }

    /// Names a group of the sidecar's configuration, in place of endpoints.
    package mutating func setGroup(_ name: String) { request.group = place(name.utf8.span) }

    /// Asks for an upgrade to `name`.
    package mutating func setUpgrade(_ name: String) { request.upgrade = place(name.utf8.span) }

    /// Names the request in the sidecar's log.
    package mutating func setTag(_ tag: String) { request.tag = place(tag.utf8.span) }

    /// Names the client whose pins the request uses.
    package mutating func setPin(_ token: String, _ mode: PinMode) {
        request.pinToken = place(token.utf8.span)
        request.pinMode = mode
    }

    /// Holds the token of a client, for `setPin`.
    package mutating func pinToken(_ token: String) -> Slice { place(token.utf8.span) }

    /// Names the client whose pins the request uses, by one of the tokens held.
    package mutating func setPin(_ token: Slice, _ mode: PinMode) {
        request.pinToken = token
        request.pinMode = mode
    }

    private mutating func place(_ text: Span<UInt8>) -> Slice {
        let start = bytes.count
        bytes.append(text)
        return Slice(start: start, count: text.count)
    }
}

extension ClientSession {
    /// Opens a stream with the request of a form.
    /// - Returns: see `open(_:in:)`.
    package mutating func open(_ form: borrowing RequestForm) -> UInt32? {
        open(form.request, in: form.block)
    }
}
