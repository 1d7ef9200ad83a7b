// Mailbox.swift: messages from any thread to one. Owns: a queue under a lock, and the descriptor that wakes the reader.
import CLinux

/// Many threads post, one takes. Wake-ups are coalesced: only the first message into an empty box costs a system call.
package final class Mailbox<Message: Sendable>: Sendable {
    /// Watch it with a `Poller`: readable after a message came into the empty box. Never read it: being edge-triggered,
    /// the poller reports every write.
    package let descriptor: Int32
    private let messages = Guarded<[Message]>([])

    package init() throws(SocketError) { descriptor = try SocketError.check(linux_event_create()) }

    deinit { Socket(descriptor: descriptor).close() }

    package func post(_ message: Message) {
        let wasEmpty = messages.withLock {
            $0.append(message)
            return $0.count == 1
        }
        // It fails only after 2^64 - 2 messages.
        if wasEmpty { _ = linux_event_add(descriptor) }
    }

    /// Everything posted since the last call, in order.
    package func takeAll() -> [Message] {
        messages.withLock {
            let taken = $0
            $0 = []
            return taken
        }
    }

    /// Waits until a message is there, then does as `takeAll`; for those who have nothing else to wait for.
    package func waitAndTakeAll() throws(SocketError) -> [Message] {
        var poller = try Poller(eventsMax: 1)
        try poller.add(descriptor, token: 0, writable: false)
        while true {
            let taken = takeAll()
            if !taken.isEmpty { return taken }
            _ = poller.wait(timeoutNanoseconds: nil)
        }
    }
}
