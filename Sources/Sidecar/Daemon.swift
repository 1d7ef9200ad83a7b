// Daemon.swift: the sidecar as a process: listening socket, signals, draining, the end.
// Source: DESIGN "Threads"; signal(7).
import EventLoop
import Glibc
import Model

/// Why the daemon could not start.
package enum DaemonError: Error, Equatable, Sendable {
    /// Another process listens at the path.
    case socketInUse
    /// There is something at the path that is no socket.
    case notASocket
    case noPermission
    case cannotCreateSocket(SocketError)
    /// The operators' socket cannot be had.
    case cannotAdminister(SocketError)
    case system(SocketError)
}

/// How the daemon ended.
package enum DaemonEnd: Equatable, Sendable {
    /// Asked to, and everything that was open has ended or had its time.
    case drained
    /// Told to end at once.
    case killed(signal: Int32)
}

/// Serves one Unix socket until a signal ends it.
package struct Daemon: ~Copyable {
    private enum Token {
        static let listener: UInt64 = 0
        static let signals: UInt64 = 1
        static let control: UInt64 = 2
    }

    /// Time that the last output has to get out after the drain deadline.
    private static let drainGraceMilliseconds = 1000

    private let configuration: SidecarConfiguration
    /// Reads the groups of the configuration again; `nil`: it could not, and has said why.
    private let rereadGroups: () -> [String: NamedGroup]?
    private let server: SidecarServer
    private var administration: Administration?
    private let signals: Signals
    private var poller: Poller
    /// `nil`: draining has begun.
    private var listener: UnixListener?
    private var acceptor: Acceptor
    /// Until when draining may take; `nil`: not draining.
    private var drainDeadline: Instant?

    /// Runs until a signal ends it.
    /// - Parameters:
    ///   - path: where it listens.
    ///   - configuration: what it begins with.
    ///   - rereadGroups: reads the configuration's groups again, at SIGHUP; `nil`: that failed, and was logged. Of them weights
    ///     and connections to be kept ready are taken over, and nothing else.
    /// - Returns: how it ended.
    /// - Throws: why it cannot begin.
    package static func serve(
        path: [UInt8],
        _ configuration: SidecarConfiguration,
        rereadGroups: @escaping () -> [String: NamedGroup]?
    ) throws(DaemonError) -> DaemonEnd {
        Signals.ignoreBrokenPipe()
        logStart(configuration, descriptors: ProcessLimits.raiseDescriptors())
        let listener = try listen(path)
        var daemon: Daemon
        // Signals come before threads, which inherit what is blocked.
        do throws(SocketError) {
            daemon = try Daemon(
                configuration,
                rereadGroups,
                listener,
                Signals([SIGTERM, SIGINT, SIGHUP]),
                Poller(eventsMax: 16),
                SidecarServer(configuration)
            )
        } catch { throw .system(error) }
        try daemon.administer()
        Log.write(.info, "listening", ["socket": String(decoding: path, as: UTF8.self)])
        return daemon.run()
    }

    private init(
        _ configuration: SidecarConfiguration,
        _ rereadGroups: @escaping () -> [String: NamedGroup]?,
        _ listener: consuming UnixListener,
        _ signals: consuming Signals,
        _ poller: consuming Poller,
        _ server: SidecarServer
    ) throws(SocketError) {
        try poller.add(listener.socket.descriptor, token: Token.listener, writable: false)
        try poller.add(signals.descriptor, token: Token.signals, writable: false)
        try poller.add(server.control.descriptor, token: Token.control, writable: false)
        self.configuration = configuration
        self.rereadGroups = rereadGroups
        self.server = server
        self.signals = signals
        self.poller = poller
        acceptor = Acceptor(listener: listener.socket, allowedUserIDs: configuration.allowedUserIDs)
        self.listener = consume listener
    }

    private mutating func administer() throws(DaemonError) {
        let path = configuration.adminPath
        if path.isEmpty { return }
        do throws(SocketError) { administration = try Administration(path: path, server) } catch {
            server.stop()
            throw .cannotAdminister(error)
        }
        Log.write(.info, "administration", ["socket": String(decoding: path, as: UTF8.self)])
    }

    private static func logStart(_ configuration: SidecarConfiguration, descriptors: Int?) {
        let known = descriptors.map { String($0) } ?? "unknown"
        let workers = String(configuration.workers)
        Log.write(
            .info,
            "start",
            [
                "software": configuration.software, "pid": String(getpid()), "workers": workers,
                "descriptors": known,
            ]
        )
        if let descriptors, descriptors < configuration.limits.connectionsMax {
            let wanted = String(configuration.limits.connectionsMax)
            Log.write(.warning, "few descriptors", ["limit": String(descriptors), "connections_max": wanted])
        }
    }

    private static func listen(_ path: [UInt8]) throws(DaemonError) -> UnixListener {
        do throws(SocketError) { return try UnixListener(path: path) } catch {
            switch error {
            case .addressInUse: throw .socketInUse
            case .noPermission: throw .noPermission
            case .other(errno: ENOTSOCK): throw .notASocket
            case .refused, .unreachable, .timedOut, .reset, .noFile, .noResources, .other:
                throw .cannotCreateSocket(error)
            }
        }
    }

    private mutating func run() -> DaemonEnd {
        while true {
            let count = poller.wait(timeoutNanoseconds: timeoutNanoseconds)
            var hasSignal = false
            // Emptied each time: only the first message into an empty box wakes us.
            _ = server.control.takeAll()
            for index in 0..<count { hasSignal = hasSignal || poller[index].token == Token.signals }
            if drainDeadline == nil { acceptor.accept(into: server) }
            if hasSignal, let signal = handleSignals() {
                Log.write(.warning, "stopped", ["signal": String(signal)])
                return .killed(signal: signal)
            }
            if let drainDeadline {
                let isOver = Clock.now >= drainDeadline.nanoseconds
                guard server.isDrained || isOver else { continue }
                let isDrained = server.isDrained
                // First: it waits for answers of the workers.
                administration?.stop()
                server.stop()
                Log.write(.info, "stopped", ["drained": String(isDrained)])
                return .drained
            }
        }
    }

    private var timeoutNanoseconds: Int64? {
        if let drainDeadline { return drainDeadline.nanoseconds - Clock.now }
        return acceptor.isStalled ? Acceptor.stallPause : nil
    }

    // Signals.

    private func takeSettings() {
        if configuration.named.groups.isEmpty { return }
        guard let groups = rereadGroups() else { return }
        server.takeSettings(groups)
        let known = configuration.named.groups
        Log.write(.info, "weights", ["groups": String(groups.keys.count { known[$0] != nil })])
        for name in Set(known.keys).union(groups.keys).sorted() {
            if let old = known[name], let new = groups[name], old.canBecome(new) { continue }
            let rest = "of what has changed only weights and standby-connections-min count before a restart"
            Log.write(.warning, "configuration", ["detail": "groups: \(name): \(rest)"])
        }
    }

    /// The first SIGTERM or SIGINT begins draining. Returns the second: it ends the process at once.
    private mutating func handleSignals() -> Int32? {
        while let signal = signals.next() {
            // A terminal that goes away is no reason to stop serving.
            if signal == SIGHUP {
                takeSettings()
                continue
            }
            if drainDeadline != nil { return signal }
            let milliseconds = configuration.limits.drainMilliseconds
            Log.write(
                .info,
                "draining",
                ["signal": String(signal), "milliseconds_max": String(milliseconds)]
            )
            drainDeadline = Instant(nanoseconds: Clock.now).adding(milliseconds: milliseconds)
                .adding(milliseconds: Self.drainGraceMilliseconds)
            // The path becomes free for a successor now.
            listener = nil
            server.drain()
        }
        return nil
    }
}
