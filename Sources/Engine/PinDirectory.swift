// PinDirectory.swift: what an engine asks where a pin may be at another worker, and what workers tell each other of pins.
// Owns: the words of that talk. Who answers is outside the engine: a ledger under a lock, or one without in tests.
// Source: DESIGN "Threads"; PinLedger.swift has the rules.
import Authentication
import Model

/// A proxy as the owner of tokens.
package struct ProxyIdentity: Hashable, Sendable {
    /// User of the process.
    package var userID: UInt32
    /// As HELLO says; never empty: a session without one owns its tokens alone.
    package var instanceID: [UInt8]

    package init(userID: UInt32, instanceID: [UInt8]) {
        self.userID = userID
        self.instanceID = instanceID
    }
}

/// A client's token. Two proxies never share one, whatever its bytes are.
struct PinToken: Hashable, Sendable {
    /// Number of the proxy in the directory.
    var owner = 0
    /// 1 to 64.
    var bytes: [UInt8] = []
}

/// A pool key that means the same in every worker: its way is not a number but whole.
package struct PoolTarget: Hashable, Sendable {
    var endpoint: Endpoint
    var localAddress: IPAddress?
    /// With settings by number left out.
    var route: RouteIdentity
    var outerSettings: TLSSettings?
    var innerSettings: TLSSettings?
}

/// One pin among all.
package struct PinName: Hashable, Sendable {
    var token: PinToken
    var target: PoolTarget
}

/// A pinned connection on its way from one worker to another, without its socket.
package struct PinParcel: Sendable {
    let name: PinName
    let room: Room
    let connection: ParcelledConnection
    let createdAt: Instant
    let expiresAt: Instant
    let uses: Int
    let authentication: PinAuthentication
    /// Whether something came behind its last reply: it is lost where it arrives.
    var isSpoiled = false
}

/// What is known of a connection that moves.
struct ParcelledConnection: Sendable {
    var createdAt: Instant
    var idleSince: Instant
    var idleUntil: Instant
    var keepAliveSeconds: Int?
    var requests: Int
    var local: Endpoint?
    var outerFacts: TLSFacts?
    var innerFacts: TLSFacts?
    var users: [SecurityContextRequest]
}

/// What one worker tells another about pins.
package enum PinNews: Sendable {
    /// Hand this one over when it is free; its place in the line is behind those that wait.
    case wanted(PinName, by: Int)
    /// The worker that was asked for it does not have it.
    case gone(PinName)
    /// The proxy has unpinned a token of its.
    case unpinned(owner: Int, token: [UInt8])
    /// The last session of a proxy has ended.
    case ownerLeft(Int)
    /// For any session of that proxy.
    case event(owner: Int, PinEvent)
}

/// Whether a pin may be made.
package enum PinRegistration: Equatable, Sendable {
    case made
    /// Another worker has it, or makes it.
    case elsewhere(Int)
    /// A limit is reached; which, in words.
    case refused(String)
}

/// Pins, tokens and proxies as all workers see them. Asked when a pin is made, ends, moves, or is not found where its
/// request came in, and for a session's HELLO and end; never for a request whose pin is at hand.
package protocol PinDirectory: AnyObject {
    /// One more session of a proxy; `nil`: one that shares its tokens with no other. - Returns: the owner's number.
    func join(_ proxy: ProxyIdentity?, worker: Int) -> Int

    /// One session less. - Returns: whether it was the last, and then which workers have pins of the owner.
    func leave(_ owner: Int, worker: Int) -> [Int]?

    /// Whether the owner has a session. One that has none is forgotten when its pins are gone.
    func isPresent(_ owner: Int) -> Bool

    /// Whether the owner may come back without a session.
    func mayReturn(_ owner: Int) -> Bool

    /// Another worker with a session of the owner.
    func workerOfSession(_ owner: Int, butNot worker: Int) -> Int?

    /// Workers with sessions of the owner, in the order of their numbers.
    func workersOfSessions(_ owner: Int) -> [Int]

    /// Asks to make a pin.
    func register(_ name: PinName, worker: Int) -> PinRegistration

    /// The pin has come to another connection of the request's endpoints than was registered. - Returns: whether that
    /// name was free.
    func rename(_ name: PinName, to new: PinName, worker: Int) -> Bool

    /// The worker that has the pin, or makes it.
    func find(_ name: PinName) -> Int?

    /// Workers that have pins of a token, each once, in the order of their numbers.
    func workers(ownerOf token: (owner: Int, bytes: [UInt8])) -> [Int]

    /// The pin is another worker's from now on.
    func move(_ name: PinName, to worker: Int)

    func remove(_ name: PinName)

    /// Whether any worker but this one has a pin; cheap, as requests with a token ask that find none of theirs here.
    func hasPinsElsewhere(than worker: Int) -> Bool
}
