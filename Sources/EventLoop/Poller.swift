// Poller.swift: which sockets are ready. Owns: one epoll instance and its event array. Never touches: the sockets.
// Source: epoll(7). Edge-triggered throughout: one report a change, so no call a request to re-arm.
import CLinux

/// What happened to one descriptor since its last report.
package struct PollerEvent: Equatable, Sendable {
    /// As given to `add`.
    package var token: UInt64
    var flags: UInt32

    /// Bytes, an end of file or an error wait to be read.
    package var isReadable: Bool { flags & (EPOLLIN.rawValue | Self.endMask) != 0 }
    package var isWritable: Bool { flags & EPOLLOUT.rawValue != 0 }
    /// The other side ended at least its sending, or the socket failed: a short read does not mean drained.
    package var isEnding: Bool { flags & Self.endMask != 0 }
    /// The socket failed, or both directions have ended.
    package var isDead: Bool { flags & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 }

    private static let endMask = EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue
}

/// An epoll instance. Belongs to one thread.
@safe package struct Poller: ~Copyable {
    /// Events that one `wait` reports at most.
    package let eventsMax: Int
    private let descriptor: Int32
    // SAFETY: allocated in `init` with room for `eventsMax`, freed in `deinit`, handed to nobody.
    private let events: UnsafeMutablePointer<epoll_event>
    private var count = 0

    package init(eventsMax: Int = 512) throws(SocketError) {
        descriptor = try SocketError.check(linux_epoll_create())
        self.eventsMax = eventsMax
        // SAFETY: see `events`.
        unsafe events = UnsafeMutablePointer.allocate(capacity: eventsMax)
    }

    deinit {
        // SAFETY: see `events`; `epoll_event` is trivial, so that nothing has to be deinitialised.
        unsafe events.deallocate()
        Socket(descriptor: descriptor).close()
    }

    /// Watches for readability and for ends; with `writable` for room to write as well.
    ///
    /// On TCP the latter costs nothing: it is reported after a write that was short, and beside what else is reported.
    /// On Unix sockets each read by the peer would wake us: there, ask for it (`modify`) while a write waits.
    package func add(_ descriptor: Int32, token: UInt64, writable: Bool) throws(SocketError) {
        _ = try SocketError.check(control(EPOLL_CTL_ADD, descriptor, token, writable))
    }

    /// Changes what is watched. What is ready already is reported anew.
    package func modify(_ descriptor: Int32, token: UInt64, writable: Bool) throws(SocketError) {
        _ = try SocketError.check(control(EPOLL_CTL_MOD, descriptor, token, writable))
    }

    /// Ends watching; needed only for a descriptor that stays open.
    package func remove(_ descriptor: Int32) {
        _ = linux_epoll_control(self.descriptor, EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    /// Waits until something happens; the events are then in `self[0..<count]`.
    /// - Parameter timeoutNanoseconds: 0: does not wait; `nil`: for ever.
    /// - Returns: how many. 0 after a timeout or a signal.
    package mutating func wait(timeoutNanoseconds: Int64?) -> Int {
        let timeout = timeoutNanoseconds.map { max($0, 0) } ?? -1
        // SAFETY: `events` has room for `eventsMax`.
        let result = unsafe linux_epoll_wait(descriptor, events, Int32(eventsMax), timeout)
        precondition(result >= 0 || result == -Int64(EINTR), "epoll_wait: \(-result)")
        count = max(Int(result), 0)
        return count
    }

    /// One of the events that the last `wait` reported.
    package subscript(_ index: Int) -> PollerEvent {
        precondition(index >= 0 && index < count)
        // SAFETY: the kernel has written `count` events, and `index` is one of them.
        let event = unsafe UnsafePointer(events + index)
        // SAFETY: as above.
        return unsafe PollerEvent(token: linux_event_token(event), flags: linux_event_flags(event))
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ token: UInt64, _ writable: Bool) -> Int64
    {
        let output = writable ? EPOLLOUT.rawValue : 0
        let events = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue | output
        return linux_epoll_control(self.descriptor, operation, descriptor, events, token)
    }
}
