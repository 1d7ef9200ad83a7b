// SecurityThreads.swift: threads that take the steps of Negotiate and NTLM, which may block while a KDC is asked.
// Owns: the contexts, each on one thread for all its life. Never decides what a result means: that is the engine's.
// Source: issue "Local authentication"; DESIGN "Threads".
import Authentication
import Engine
import EventLoop
import Model
import SecurityContexts
import Synchronization

/// A context of one worker.
private struct SecurityKey: Hashable, Sendable {
    let worker: Int
    let context: SecurityContextID
}

/// What a thread is told.
private enum SecurityMessage: Sendable {
    case step(SecurityKey, SecurityOrder)
    case drop(SecurityKey)
    case forgetUsers
    case stop
}

/// One thread's side that others see.
private final class SecurityQueue: Sendable {
    let messages: Mailbox<SecurityMessage>
    /// Steps that are posted and not begun.
    let waiting = Atomic<Int>(0)
    /// Whether a step is being taken: it cannot be interrupted.
    let isStepping = Atomic<Bool>(false)
    let isStopping = Atomic<Bool>(false)

    init() throws(SocketError) { messages = try Mailbox() }
}

/// All of them. Without a mechanism there is none.
final class SecurityThreads: Sendable {
    /// Of Negotiate and NTLM those that can be spoken here.
    let mechanisms: AuthenticationSchemes
    private let queues: [SecurityQueue]
    private let threads: [Thread]
    private let queueLengthMax: Int

    /// - Parameters:
    ///   - limits: `securityThreads`, `securityQueueLengthMax`.
    ///   - mailboxes: of the workers, by number; results go there.
    /// - Throws: when a thread cannot be started.
    init(_ limits: Limits, _ mailboxes: [Mailbox<WorkerMessage>]) throws(SocketError) {
        mechanisms = SecurityContexts.available
        queueLengthMax = limits.securityQueueLengthMax
        var queues: [SecurityQueue] = []
        var threads: [Thread] = []
        do throws(SocketError) {
            let count = mechanisms.isEmpty ? 0 : limits.securityThreads
            for number in 0..<count {
                let queue = try SecurityQueue()
                let poller = Handover(try PollerBox(queue.messages.descriptor))
                queues.append(queue)
                threads.append(
                    try Thread(name: "security-\(number)") {
                        SecurityThread(queue, mailboxes).run(poller.take())
                    }
                )
            }
        } catch {
            Self.stop(queues, threads)
            throw error
        }
        self.queues = queues
        self.threads = threads
    }

    /// Has a step taken. - Returns: why not.
    func post(_ order: SecurityOrder, of worker: Int) -> String? {
        if queues.isEmpty { return SecurityContexts.words }
        let key = SecurityKey(worker: worker, context: order.context)
        let queue = queue(of: key)
        if queue.waiting.wrappingAdd(1, ordering: .relaxed).newValue > queueLengthMax {
            queue.waiting.wrappingSubtract(1, ordering: .relaxed)
            return "more than \(queueLengthMax) steps wait"
        }
        queue.messages.post(.step(key, order))
        return nil
    }

    /// Has a context forgotten.
    func drop(_ context: SecurityContextID, of worker: Int) {
        if queues.isEmpty { return }
        let key = SecurityKey(worker: worker, context: context)
        queue(of: key).messages.post(.drop(key))
    }

    /// Has everything forgotten that is kept of users for contexts to come.
    func forgetUsers() { for queue in queues { queue.messages.post(.forgetUsers) } }

    /// A context's steps are all taken on one thread.
    private func queue(of key: SecurityKey) -> SecurityQueue {
        queues[Int(truncatingIfNeeded: key.context.number &+ UInt64(key.worker)) % queues.count]
    }

    /// Ends the threads. One that waits for a KDC now is left to itself: it ends with its step, or with the process.
    func stop() { Self.stop(queues, threads) }

    private static func stop(_ queues: [SecurityQueue], _ threads: [Thread]) {
        for queue in queues {
            queue.isStopping.store(true, ordering: .sequentiallyConsistent)
            queue.messages.post(.stop)
        }
        for (queue, thread) in zip(queues, threads)
        where !queue.isStepping.load(ordering: .sequentiallyConsistent) { thread.join() }
    }
}

/// Carries a poller to the thread that waits with it.
private final class PollerBox {
    var poller: Poller

    init(_ descriptor: Int32) throws(SocketError) {
        poller = try Poller(eventsMax: 1)
        try poller.add(descriptor, token: 0, writable: false)
    }
}

/// Lives on its thread only.
private final class SecurityThread {
    private let queue: SecurityQueue
    private let mailboxes: [Mailbox<WorkerMessage>]
    private let maker = SecurityContexts.maker()
    private var contexts: [SecurityKey: any SecurityContext] = [:]

    init(_ queue: SecurityQueue, _ mailboxes: [Mailbox<WorkerMessage>]) {
        self.queue = queue
        self.mailboxes = mailboxes
    }

    func run(_ box: PollerBox) {
        while true {
            for message in queue.messages.takeAll() {
                switch message {
                case .step(let key, let order): step(key, order)
                case .drop(let key): contexts[key] = nil
                case .forgetUsers: maker.forgetUsers()
                case .stop: return
                }
            }
            _ = box.poller.wait(timeoutNanoseconds: nil)
        }
    }

    private func step(_ key: SecurityKey, _ order: SecurityOrder) {
        queue.waiting.wrappingSubtract(1, ordering: .relaxed)
        queue.isStepping.store(true, ordering: .sequentiallyConsistent)
        defer { queue.isStepping.store(false, ordering: .sequentiallyConsistent) }
        if queue.isStopping.load(ordering: .sequentiallyConsistent) { return }
        let result: SecurityContextResult
        if order.until <= Instant(nanoseconds: Clock.now) {
            // Whoever wanted it has ended: no KDC is asked for the dead.
            result = .failed("its turn came too late")
        } else {
            let context = contexts[key] ?? maker.make(order.request)
            contexts[key] = context
            result = context.step(order.input.span)
        }
        mailboxes[key.worker].post(.stepped(order.context, order.connection, result))
    }
}

extension Worker {
    /// Has the step taken that the engine wants for a connection.
    mutating func stepSecurity(_ connection: ConnectionID) {
        guard let order = engine.securityOrder(of: connection) else { return }
        guard let words = shared.security.post(order, of: number) else { return }
        engine.stepped(order.context, on: connection, .failed(words), now: now)
    }
}
