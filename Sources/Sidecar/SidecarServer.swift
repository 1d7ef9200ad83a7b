// SidecarServer.swift: the workers as threads; the whole sidecar but for its listening socket.
// Owns: threads and mailboxes. Used by the daemon, and embedded by commands and tests. Source: DESIGN "Threads".
import Authentication
import Engine
import EventLoop
import Model
import SecurityContexts
import Synchronization

/// What a sidecar is started with.
package struct SidecarConfiguration: Sendable {
    /// Threads with an event loop each. At least 1.
    package var workers = 1
    /// Limits of the process. Those on connections and on the queue hold over all workers; `idleMax` is shared out to
    /// them; the other numbers hold for each.
    package var limits = Limits()
    /// What requests can refer to by name.
    package var named = NamedSettings()
    /// Users that may connect beside root and the one that runs the sidecar.
    package var allowedUserIDs: [UInt32] = []
    /// Path of the operators' socket; empty: none. Only the daemon has one.
    package var adminPath: [UInt8] = []
    /// Named in HELLO.
    package var software = Product.software

    package init() {}
}

/// What workers tell whoever controls them.
package enum ControlMessage: Sendable {
    /// One of them has nothing open any more.
    case drained
}

/// What all workers of a process have in common.
struct SharedState: Sendable {
    let budget: SharedBudget
    let pins: SharedPins
    /// `nil`: there is one worker.
    let idles: SharedIdles?
    let windows: SharedWindows
    let health: SharedHealth
    /// Of all workers, by number.
    let mailboxes: [Mailbox<WorkerMessage>]
    /// Who takes steps of Negotiate and NTLM.
    let security: SecurityThreads
    /// Wakes whoever waits for `WorkerShare.isDrained`.
    let control: Mailbox<ControlMessage>

    init(
        _ configuration: SidecarConfiguration,
        _ mailboxes: [Mailbox<WorkerMessage>],
        security: SecurityThreads,
        control: Mailbox<ControlMessage>
    ) {
        budget = SharedBudget(configuration.limits, configuration.named, mailboxes)
        pins = SharedPins(configuration.limits, workers: mailboxes.count)
        idles = mailboxes.count > 1 ? SharedIdles(workers: mailboxes.count) : nil
        windows = SharedWindows(configuration.limits, workers: mailboxes.count)
        health = SharedHealth(configuration.named, mailboxes)
        self.mailboxes = mailboxes
        self.security = security
        self.control = control
    }
}

/// A running sidecar. Call `stop` once.
package final class SidecarServer: Sendable {
    /// Readable when a worker has something to say; then look at `isDrained`.
    package let control: Mailbox<ControlMessage>
    private let health: SharedHealth
    private let shares: [WorkerShare]
    private let threads: [Thread]
    private let security: SecurityThreads

    /// Of Negotiate and NTLM those that can be answered by this build on this machine.
    package static var securityMechanisms: AuthenticationSchemes { SecurityContexts.available }

    /// Starts the workers.
    package init(_ configuration: SidecarConfiguration) throws(SocketError) {
        precondition(configuration.workers >= 1, "no workers")
        control = try Mailbox()
        var shares: [WorkerShare] = []
        var threads: [Thread] = []
        var security: SecurityThreads?
        do throws(SocketError) {
            let started = try Mailbox<SocketError?>()
            let instanceID = Self.randomInstanceID()
            for _ in 0..<configuration.workers { shares.append(try WorkerShare()) }
            let mailboxes = shares.map(\.messages)
            let steps = try SecurityThreads(configuration.limits, mailboxes)
            security = steps
            let shared = SharedState(configuration, mailboxes, security: steps, control: control)
            health = shared.health
            for number in shares.indices {
                let share = shares[number]
                let body = Self.body(configuration, instanceID, number, share, shared, started)
                threads.append(try Thread(name: "worker-\(number)", body))
            }
            var answers = 0
            while answers < threads.count {
                for error in try started.waitAndTakeAll() {
                    answers += 1
                    if let error { throw error }
                }
            }
        } catch {
            Self.stop(shares, threads)
            security?.stop()
            throw error
        }
        guard let security else { preconditionFailure("workers without threads for steps") }
        self.shares = shares
        self.threads = threads
        self.security = security
    }

    /// What the thread of a worker does. The worker is made there and never leaves it.
    private static func body(
        _ configuration: SidecarConfiguration,
        _ instanceID: [UInt8],
        _ number: Int,
        _ share: WorkerShare,
        _ shared: SharedState,
        _ started: Mailbox<SocketError?>
    ) -> @Sendable () -> Void {
        var limits = configuration.limits
        let (quotient, remainder) = limits.idleMax.quotientAndRemainder(dividingBy: configuration.workers)
        limits.idleMax = quotient + (number < remainder ? 1 : 0)
        return { [limits, named = configuration.named, software = configuration.software] in
            do throws(SocketError) {
                var worker = try Worker(
                    limits: limits,
                    named: named,
                    instanceID: instanceID,
                    software: software,
                    number: number,
                    share: share,
                    shared: shared
                )
                started.post(nil)
                worker.run()
            } catch { started.post(error) }
        }
    }

    // Sessions.

    /// Gives a new session to the worker with the fewest.
    /// - Parameters:
    ///   - socket: the sidecar's from now on.
    ///   - userID: of the proxy's process: its pins are nobody else's.
    package func add(_ socket: Socket, userID: UInt32 = ProcessLimits.userID) {
        post(socket, .session(socket, userID: userID))
    }

    /// Has a proxy told why it is not served. The socket is the sidecar's from now on.
    package func refuse(_ socket: Socket, detail: String) {
        post(socket, .refusedSession(socket, detail: detail))
    }

    /// A new session for this process itself, without a listening socket.
    package func connect() throws(SocketError) -> Socket {
        let (ours, theirs) = try Socket.pair()
        add(theirs)
        return ours
    }

    private func post(_ socket: Socket, _ message: WorkerMessage) {
        var best = shares[0]
        for share in shares
        where share.sessions.load(ordering: .relaxed) < best.sessions.load(ordering: .relaxed) {
            best = share
        }
        best.sessions.add(1, ordering: .relaxed)
        best.messages.post(message)
    }

    // State.

    /// What all workers have open, and what they have done. Waits for each to answer.
    package func counts() throws(SocketError) -> Counts {
        let reply = try Mailbox<Counts>()
        for share in shares { share.messages.post(.count(reply)) }
        var sum = Counts()
        var answers = 0
        while answers < shares.count {
            for counts in try reply.waitAndTakeAll() {
                answers += 1
                sum.add(counts)
            }
        }
        return sum
    }

    /// Every pinned connection, in the order of workers. Waits for each to answer.
    package func pins() throws(SocketError) -> [PinReport] {
        let reply = try Mailbox<[PinReport]>()
        for share in shares { share.messages.post(.listPins(reply)) }
        var pins: [PinReport] = []
        var answers = 0
        while answers < shares.count {
            for reports in try reply.waitAndTakeAll() {
                answers += 1
                pins += reports
            }
        }
        return pins
    }

    /// Every group of the configuration, with the load of all workers; then each worker's lists of endpoints. Waits for each
    /// worker to answer.
    package func groups() throws(SocketError) -> [GroupReport] {
        let reply = try Mailbox<[GroupReport]>()
        for share in shares { share.messages.post(.listGroups(reply)) }
        var named: [GroupReport] = []
        var lists: [GroupReport] = []
        var answers = 0
        while answers < shares.count {
            for reports in try reply.waitAndTakeAll() {
                answers += 1
                for (number, report) in reports.enumerated() {
                    if report.name.isEmpty {
                        lists.append(report)
                    } else if number < named.count {
                        named[number].add(report)
                    } else {
                        named.append(report)
                    }
                }
            }
        }
        return named + lists
    }

    /// Has all workers use what a configuration says now of weights and of connections to be kept ready. Groups and members
    /// that are new in it, or gone, are left as they are.
    package func takeSettings(_ groups: [String: NamedGroup]) { health.takeSettings(groups) }

    /// CPU time that all workers have used, nanoseconds. Not after `stop`.
    package var workerCPUNanoseconds: Int64 { threads.reduce(0) { $0 + $1.cpuNanoseconds } }

    // Shutdown.

    /// Tells every proxy to go; open streams go on for `limits.drainMilliseconds`.
    package func drain() {
        for share in shares { share.messages.post(.drain) }
    }

    /// Whether all that was open when `drain` was called has ended.
    package var isDrained: Bool { shares.allSatisfy { $0.isDrained.load(ordering: .acquiring) } }

    /// Closes everything and waits for the threads to end.
    package func stop() {
        Self.stop(shares, threads)
        security.stop()
    }

    private static func stop(_ shares: [WorkerShare], _ threads: [Thread]) {
        for share in shares { share.messages.post(.stop) }
        for thread in threads { thread.join() }
    }

    /// 16 hexadecimal digits: tells this process from its predecessor at the same path.
    private static func randomInstanceID() -> [UInt8] {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return Array((String(repeating: "0", count: 16 - digits.utf8.count) + digits).utf8)
    }
}

extension Counts {
    fileprivate mutating func add(_ other: Counts) {
        sessions += other.sessions
        streams += other.streams
        connections += other.connections
        idleConnections += other.idleConnections
        pins += other.pins
        waiting += other.waiting
        requestsTotal += other.requestsTotal
        dialsTotal += other.dialsTotal
        reusesTotal += other.reusesTotal
        retriesTotal += other.retriesTotal
        heldTotal += other.heldTotal
    }
}
