// SettingsSources.swift: the world that a configuration asks, and a configuration's problems as people see
// them.
// Owns: reading the file, the order of the three sources. Source: issue "Configuration"; sysexits(3).
import ArgumentParser
import Configuration
import EventLoop
import Glibc
import Sidecar

/// Reads the sources of settings.
struct SettingsSources {
    typealias Answer = (settings: Settings, problems: Problems)

    /// Path of the file; `nil`: there is none.
    var file: String?
    /// What flags say.
    var flags: [(setting: Setting, texts: [String])] = []

    /// Throws when the file cannot be read. What is wrong in it is in the result.
    func read() throws(CommandFailure) -> Answer {
        var reader = SettingsReader(Settings(workers: ProcessLimits.processors), .process)
        if let file {
            switch FileContents(path: file) {
            case .bytes(let bytes): reader.readFile(path: file, bytes)
            case .folder: throw CommandFailure(ExitStatus.noInput, "\(file): it is a folder")
            case .unreadable(let reason): throw CommandFailure(ExitStatus.noInput, "\(file): \(reason)")
            }
        }
        reader.readEnvironment()
        for flag in flags { reader.take(flag: flag.setting, flag.texts) }
        return reader.finish()
    }
}

extension Outside {
    /// This process, with the files it may read.
    static var process: Outside {
        Outside(
            variables: Environment.variables(prefix: EnvironmentNames.prefix),
            variable: { Environment.value(of: $0) },
            contents: { FileContents(path: $0) },
            names: { File.names(in: $0) },
            mechanisms: { SidecarServer.securityMechanisms }
        )
    }
}

extension FileContents {
    /// Reads the beginning of a file, at most `Outside.contentsBytesMax` bytes.
    init(path: String) {
        do throws(SocketError) {
            let file = try File.open(path)
            var bytes: [UInt8] = []
            while bytes.count < Outside.contentsBytesMax {
                var transfer = Transfer.endOfFile
                let room = min(65_536, Outside.contentsBytesMax - bytes.count)
                let part = [UInt8](capacity: room) { transfer = file.read(into: &$0) }
                switch transfer {
                case .bytes: bytes += part
                case .endOfFile:
                    self = .bytes(bytes)
                    return
                // Files do not block; a signal came.
                case .wouldBlock: continue
                case .failed(let error): throw error
                }
            }
            self = .bytes(bytes)
        } catch {
            self = error == .other(errno: EISDIR) ? .folder : .unreadable(error.description)
        }
    }
}

extension Problems {
    /// Says them on standard error, a line each.
    func print() {
        var text = sorted.map { "\($0)\n" }.joined()
        if leftOut > 0 { text += "and \(leftOut) more\n" }
        File.standardError.write(text)
    }

    /// Whether flags alone are to blame, so that it is a matter of usage.
    var areOfFlags: Bool {
        sorted.allSatisfy {
            if case .flag = $0.place { true } else { $0.severity == .warning }
        }
    }
}
