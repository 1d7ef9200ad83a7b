// SocketError.swift: what a Linux call may report, as far as a caller decides by it.
// Source: connect(2), bind(2), send(2), recv(2).
import Glibc

/// Why a call failed. Would-block is no error and never in here.
package enum SocketError: Error, Equatable, Sendable {
    /// Nobody listens there.
    case refused
    /// No route, host or network down, or no such address here.
    case unreachable
    case timedOut
    /// The other side ended the connection: ECONNRESET, EPIPE.
    case reset
    /// Somebody listens there already.
    case addressInUse
    case noPermission
    /// No such file, or a path that is none.
    case noFile
    /// The process or the machine has no descriptor or no memory left.
    case noResources
    case other(errno: Int32)

    /// - Parameter code: an `errno`.
    package init(code: Int32) {
        self =
            switch code {
            case ECONNREFUSED: .refused
            case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL: .unreachable
            case ETIMEDOUT: .timedOut
            case ECONNRESET, EPIPE, ECONNABORTED: .reset
            case EADDRINUSE: .addressInUse
            case EACCES, EPERM, EROFS: .noPermission
            case ENOENT, ENOTDIR, EINVAL, ELOOP, ENAMETOOLONG: .noFile
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: .noResources
            default: .other(errno: code)
            }
    }

    /// Takes the result of a shim apart: a count, or a negated `errno`.
    static func check(_ result: Int64) throws(SocketError) -> Int32 {
        if result < 0 { throw SocketError(code: Int32(-result)) }
        return Int32(truncatingIfNeeded: result)
    }
}

extension SocketError: CustomStringConvertible {
    /// For people and logs.
    package var description: String {
        switch self {
        case .refused: "connection refused"
        case .unreachable: "unreachable"
        case .timedOut: "timed out"
        case .reset: "the other side has closed"
        case .addressInUse: "address in use"
        case .noPermission: "no permission"
        case .noFile: "no such file"
        case .noResources: "out of descriptors or memory"
        case .other(let errno): "error \(errno)"
        }
    }
}
