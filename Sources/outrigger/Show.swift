// Show.swift: `outrigger show`: asks a running sidecar what is open. Owns: its options and the printing.
// Source: Sidecar/Administration.swift, which answers; sysexits(3).
import ArgumentParser
import EventLoop

struct Show: ParsableCommand {
    enum Listing: String, ExpressibleByArgument, CaseIterable {
        case pins
        case groups
        case counts
    }

    static let configuration = CommandConfiguration(
        abstract: "Show what a running sidecar has open.",
        discussion: """
            Asks over the socket that 'outrigger serve --admin-socket PATH' listens on. 'pins' lists every pinned \
            connection: its proxy, its token as the beginning of its SHA-256 digest, where it leads and how (direct, peer \
            or tunnel, with +tls where any hop is TLS, and the name of a tunnel's end or of a certificate), whether it \
            serves a request, how many wait for it, its age, how often it was used, and how far its authentication is. \
            'groups' lists the members of each group with their load and health. 'counts' says what is open and what was done \
            since the start.

            Exit codes: 0 shown; 64 wrong usage; 69 nobody listens there, or what came is no answer.

            The same without this program:
              curl --unix-socket /run/outrigger/admin.sock http://localhost/pins.json
            """
    )

    @Argument(help: "What to show.")
    var listing: Listing

    @Option(
        name: .customLong("admin-socket"),
        help: ArgumentHelp(
            "Path of the sidecar's administration socket; default: OUTRIGGER_ADMIN_SOCKET.",
            valueName: "path"
        )
    )
    var adminSocket: String?

    @Flag(help: "As JSON, for programs.")
    var json = false

    /// Time without any byte after which the sidecar is given up.
    private static let silenceMilliseconds: Int64 = 10_000

    func run() throws {
        try reporting { () throws(CommandFailure) in
            guard let path = adminSocket ?? Environment.value(of: "OUTRIGGER_ADMIN_SOCKET") else {
                throw CommandFailure(ExitStatus.usage, "--admin-socket is needed")
            }
            let target = "/" + listing.rawValue + (json ? ".json" : "")
            let reply: [UInt8]
            do throws(SocketError) {
                reply = try Self.ask(path, "GET \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            } catch { throw CommandFailure(ExitStatus.unavailable, "\(path): \(error)") }
            guard reply.starts(with: "HTTP/1.1 200 ".utf8), let body = Self.body(of: reply) else {
                throw CommandFailure(ExitStatus.unavailable, "\(path): this is no administration socket")
            }
            File.standardOutput.write(String(decoding: body, as: UTF8.self))
            return .success
        }
    }

    /// Everything that comes until the other side closes.
    private static func ask(_ path: String, _ request: String) throws(SocketError) -> [UInt8] {
        let socket = try Socket.connect(to: .unix(path: Array(path.utf8))).socket
        defer { socket.close() }
        var poller = try Poller(eventsMax: 1)
        try poller.add(socket.descriptor, token: 0, writable: false)
        // A request this small is written whole, or not at all.
        guard socket.write(request.utf8.span) == .bytes(request.utf8.count) else { throw .reset }
        var reply: [UInt8] = []
        while true {
            var transfer = Transfer.wouldBlock
            reply += [UInt8](capacity: 65_536) { transfer = socket.read(into: &$0) }
            switch transfer {
            case .bytes: continue
            case .wouldBlock:
                guard poller.wait(timeoutNanoseconds: silenceMilliseconds * 1_000_000) > 0 else {
                    throw .timedOut
                }
            case .endOfFile: return reply
            case .failed(let error): throw error
            }
        }
    }

    private static func body(of reply: [UInt8]) -> ArraySlice<UInt8>? {
        let end = Array("\r\n\r\n".utf8)
        guard let start = reply.indices.first(where: { reply[$0...].starts(with: end) }) else { return nil }
        return reply[(start + end.count)...]
    }
}
