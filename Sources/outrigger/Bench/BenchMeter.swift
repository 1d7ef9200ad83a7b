// BenchMeter.swift: reads what a process has used. Source: proc(5), /proc/PID/stat and
// /proc/PID/task/TID/status.
import EventLoop
import Sidecar

/// Where the sidecar's CPU time is read.
enum BenchMeter {
    case process(Int)
    case embedded(SidecarServer)
    case none

    /// The meter of a source, or of the process that was named.
    init(_ source: SidecarSource, pid: Int?, socket: Socket) {
        if let pid {
            self = .process(pid)
            return
        }
        switch source {
        case .embedded(let server): self = .embedded(server)
        case .path:
            guard let peer = try? socket.peerCredentials(), peer.pid > 0 else {
                self = .none
                return
            }
            self = .process(Int(peer.pid))
        }
    }

    /// What has been used so far.
    var reading: BenchProcess {
        var process = BenchProcess()
        switch self {
        case .embedded(let server): process.cpuNanoseconds = server.workerCPUNanoseconds
        case .process(let pid):
            process.cpuNanoseconds = Self.cpuNanoseconds(pid)
            let switches = Self.switches(pid)
            process.voluntarySwitches = switches?.voluntary
            process.involuntarySwitches = switches?.involuntary
        case .none: break
        }
        return process
    }

    /// User and system time, in steps of a clock tick of 10 ms.
    private static func cpuNanoseconds(_ pid: Int) -> Int64? {
        guard let text = File.text(of: "/proc/\(pid)/stat"), let name = text.lastIndex(of: ")") else {
            return nil
        }
        // Behind the name comes field 3; utime is 14, stime 15.
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else {
            return nil
        }
        return (user + system) * 10_000_000
    }

    private static func switches(_ pid: Int) -> (voluntary: Int64, involuntary: Int64)? {
        var sum = (voluntary: Int64(0), involuntary: Int64(0))
        let tasks = File.names(in: "/proc/\(pid)/task")
        if tasks.isEmpty { return nil }
        for task in tasks {
            guard let text = File.text(of: "/proc/\(pid)/task/\(task)/status") else { continue }
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: "\t")
                guard parts.count == 2, let count = Int64(parts[1]) else { continue }
                if parts[0] == "voluntary_ctxt_switches:" { sum.voluntary += count }
                if parts[0] == "nonvoluntary_ctxt_switches:" { sum.involuntary += count }
            }
        }
        return sum
    }
}
