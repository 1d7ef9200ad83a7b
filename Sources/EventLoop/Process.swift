// Process.swift: clock, signals, threads and limits of this process. Source: clock_gettime(2), signalfd(2), pthreads(7).
import CLinux
import Glibc

/// The monotonic clock.
package enum Clock {
    /// Nanoseconds since the machine started; no system call (vDSO).
    package static var now: Int64 { linux_now(CLOCK_MONOTONIC) }

    /// Nanoseconds since 1970, for log lines only.
    package static var wall: Int64 { linux_now(CLOCK_REALTIME) }
}

/// The heap of this process.
package enum Heap {
    /// Gives freed memory back to the system. Takes milliseconds for 100 MB, and other threads wait for their share of it.
    package static func trim() { linux_memory_trim() }
}

/// Signals as something to read. Make it before any thread is started: the signals are blocked from then on.
package struct Signals: ~Copyable {
    /// Watch it with a `Poller`, then call `next` until it gives `nil`.
    package let descriptor: Int32

    /// Blocks `numbers`, each 1 to 63.
    package init(_ numbers: [Int32]) throws(SocketError) {
        let mask = numbers.reduce(into: UInt64(0)) { $0 |= 1 << UInt64($1) }
        descriptor = try SocketError.check(linux_signal_create(mask))
    }

    deinit { Socket(descriptor: descriptor).close() }

    /// The next signal that has arrived.
    package func next() -> Int32? {
        let number = linux_signal_read(descriptor)
        return number > 0 ? Int32(number) : nil
    }

    /// A write to a socket whose reader is gone shall be an error, never the end of the process.
    package static func ignoreBrokenPipe() { linux_ignore_sigpipe() }
}

/// A thread with every signal blocked. Join it exactly once.
package struct Thread: Sendable {
    private let handle: UInt64

    /// Starts it. Of the name at most 15 bytes are shown.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SocketError) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var handle: UInt64 = 0
        let short = String(name.prefix(15))
        // SAFETY: the retain is balanced by the thread, or below when none was started.
        let box = unsafe Unmanaged.passRetained(Box(body))
        // SAFETY: `box` is alive until the thread takes it over.
        let result = unsafe linux_thread_start(
            &handle,
            short,
            { raw in
                guard let raw = unsafe raw else { return }
                // SAFETY: this is the retained box, taken over exactly once.
                unsafe Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body()
            },
            box.toOpaque()
        )
        if result < 0 {
            // SAFETY: no thread has taken it over.
            unsafe box.release()
            throw SocketError(code: Int32(-result))
        }
        self.handle = handle
    }

    /// Waits for its end.
    package func join() { linux_thread_join(handle) }

    /// CPU time used so far, nanoseconds. Only before `join`.
    package var cpuNanoseconds: Int64 { max(linux_thread_cpu(handle), 0) }
}

/// Where log lines go.
package enum StandardError {
    /// Writes `text` with one call, so that lines of several threads do not mix. Errors are ignored: nobody could be told.
    package static func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            // SAFETY: `bytes` is valid for the time of the call.
            unsafe _ = Glibc.write(2, bytes.baseAddress, bytes.count)
        }
    }
}

/// Limits of the process.
package enum ProcessLimits {
    /// Raises the number of descriptors to what is permitted.
    /// - Returns: that number; `nil`: it could not be raised.
    package static func raiseDescriptors() -> Int? {
        let result = linux_raise_descriptor_limit()
        return result < 0 ? nil : Int(result)
    }

    /// Processors that this process may use.
    package static var processors: Int { max(Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), 1) }

    package static var userID: UInt32 { getuid() }
}
