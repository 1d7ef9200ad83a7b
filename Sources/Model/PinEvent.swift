// PinEvent.swift: what a proxy is told about its pins. Source: proto/outrigger.proto, message PinEvent.

/// What happened to a pinned connection.
package enum PinChange: Int, Sendable {
    case made = 1
    case lost = 2
    case expired = 3
}

/// One PIN frame.
package struct PinEvent: Equatable, Sendable {
    /// 1 to 64 bytes.
    package var token: [UInt8]
    package var change: PinChange
    /// In words; never a secret.
    package var detail: String
    package var remote: Endpoint?

    package init(token: [UInt8], change: PinChange, detail: String = "", remote: Endpoint? = nil) {
        self.token = token
        self.change = change
        self.detail = detail
        self.remote = remote
    }
}
