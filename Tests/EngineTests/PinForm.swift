// PinForm.swift: requests with a token, and what the neighbour says of pins, in few words.
import Model

@testable import Engine

extension Rig {
    /// The proxy opens a stream for a client.
    func pin(
        _ stream: UInt32,
        _ token: String,
        _ mode: PinMode,
        _ endpoints: String = "a",
        _ session: Int = 0,
        _ change: (inout Form) -> Void = { _ in }
    ) {
        ask(stream, endpoints, session) {
            $0.pin = (token, mode)
            change(&$0)
        }
    }

    func unpin(_ token: String, _ session: Int = 0) {
        send(session) { $0.unpin(token: Array(token.utf8).span, into: &$1) }
    }

    /// An upstream answers with a challenge and keeps the connection.
    func challenge(_ socket: Int, _ scheme: String, status: Int = 401) {
        let name = status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate"
        hear(socket, "HTTP/1.1 \(status) No|\(name): \(scheme)|Content-Length: 0||")
    }

    /// A pin of a session's proxy to an endpoint, with nothing written down.
    func madePin(_ token: String = "t", _ endpoint: String = "a", _ socket: Int = 0, _ session: Int = 0) {
        pin(90, token, .make, endpoint, session)
        connect(socket)
        answer(socket)
        forget()
    }

    /// The name of a pin of a proxy, by its number; they are counted from 1.
    func name(_ token: String, _ endpoint: Character = "a", owner: Int = 1) -> PinName {
        let key = PoolKey(endpoint: .lettered(endpoint), route: .direct, localAddress: nil)
        return PinName(
            token: PinToken(owner: owner, bytes: Array(token.utf8)),
            target: engine.portable(key)
        )
    }

    /// The neighbour has news of pins.
    func neighbourTells(_ news: PinNews) { tell { $0.told(news, now: $1) } }

    /// The neighbour makes a pin.
    func neighbourPins(_ token: String, _ endpoint: Character = "a", owner: Int = 1) {
        if directory.register(name(token, endpoint, owner: owner), worker: 1) != .made { note("refused") }
    }
}

extension PinNews {
    var words: String {
        switch self {
        case .wanted(let name, let worker): "\(text(name.token.bytes)) wanted by \(worker)"
        case .gone(let name): "\(text(name.token.bytes)) gone"
        case .unpinned(_, let token): "\(text(token)) unpinned"
        case .ownerLeft(let owner): "owner \(owner) left"
        case .event(let owner, let event): "owner \(owner) \(text(event.token)) \(event.change)"
        }
    }
}
