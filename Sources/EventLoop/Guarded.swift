// Guarded.swift: a value that one thread at a time can touch. Owns: which lock that is.
// Source: Synchronization, Mutex; where the thread sanitizer watches (Tests/sanitize), pthread_mutex_lock(3).
import Glibc
import Synchronization

#if SANITIZE_THREAD
/// As `Mutex`, in a build for the thread sanitizer. That does not see how a Mutex is handed over when threads contend for
/// it: the kernel does it (futex(2), FUTEX_LOCK_PI) for code of the standard library's that is not instrumented. So it
/// would call every access behind such a lock a race. Locks of pthreads it knows.
@safe package final class Guarded<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var value: Value

    package init(_ value: sending Value) {
        self.value = value
        // SAFETY: the memory is this object's alone, and lives as long.
        unsafe mutex.initialize(to: pthread_mutex_t())
        let error = unsafe pthread_mutex_init(mutex, nil)
        precondition(error == 0, "pthread_mutex_init: \(error)")
    }

    deinit {
        // SAFETY: nobody holds the lock any more: whoever does has a reference to the object.
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    package func withLock<Result>(_ body: (inout sending Value) -> sending Result) -> sending Result {
        // SAFETY: `init` has made the mutex; it is unlocked by the thread that has locked it.
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(&value)
    }
}
#else
package typealias Guarded<Value: ~Copyable> = Mutex<Value>
#endif
