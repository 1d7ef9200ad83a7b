// Pin.swift: what the engine holds of one pinned connection, and of those that wait for it.
// Owns: the words. Never touches: connections. Source: DESIGN "Words", pin; proto/outrigger.proto, message Pin.
import Model

/// Where a pin is in its life.
enum PinState: Equatable {
    /// The connection of this stream becomes it when its reply begins.
    case making(stream: Int)
    case idle(connection: Int)
    case busy(connection: Int)
    /// Another worker was asked for it, or has it on the way.
    case coming
}

/// Who waits for a pin.
enum PinWaiter: Equatable {
    case stream(Int)
    /// Another worker, for streams of its own.
    case worker(Int)
}

/// How far connection-bound authentication on a pin has come. Source: RFC 4559 §4; MS-NTHT.
package enum PinAuthentication: Equatable, Sendable {
    case none
    /// A challenge was passed on.
    case challenged
    /// Credentials were passed on, and answered with another challenge or not at all yet.
    case underWay
    /// Credentials were passed on, and no challenge came back.
    case established
}

/// One pin.
struct Pin {
    var name: PinName
    var key: PoolKey
    var state: PinState
    /// First come first served.
    var queue: [PinWaiter] = []
    /// Who used it last, and is told.
    var session: SessionID
    var createdAt: Instant
    var expiresAt: Instant
    /// Requests that it has served.
    var uses = 0
    var authentication = PinAuthentication.none
    /// What the proxy is told when the connection goes.
    var ending = PinChange.lost
    var words = Pin.wordsOfExchange
    /// Whether the token was unpinned while the connection was on its way here.
    var isReleased = false

    static let wordsOfExchange = "its connection ended with the exchange on it"

    var isIdle: Bool {
        switch state {
        case .idle: true
        case .making, .busy, .coming: false
        }
    }
}

/// How a pinned connection goes to its origin, as far as people tell targets apart by it.
package struct PinRoute: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case direct
        case peer
        case tunnel
    }

    package var kind: Kind
    /// Whether any hop of it is TLS.
    package var isSecure: Bool
    /// Where a tunnel leads, else whom the certificate is for; empty: the endpoint says it all.
    package var name: [UInt8]
}

/// One pin as it is listed.
package struct PinReport: Equatable, Sendable {
    /// Of the proxy; no two proxies have one number.
    package var owner: Int
    package var token: [UInt8]
    package var endpoint: Endpoint
    package var route: PinRoute
    /// Whether it serves a request now.
    package var isBusy: Bool
    package var waiting: Int
    package var ageMilliseconds: Int
    package var uses: Int
    package var authentication: PinAuthentication
}

/// A proxy without a session, and until when its pins wait for it.
struct PinGrace {
    var owner: Int
    var until: Instant
}
