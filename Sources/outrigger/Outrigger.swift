import ArgumentParser
import EventLoop

@main struct Outrigger: ParsableCommand {
    func run() throws {
        Signals.ignoreBrokenPipe()
        let origin = try DemoOrigin.start(unixPath: "/tmp/o.sock")
        File.standardOutput.write("\(origin.endpoint)\n")
        while readLine() != nil { print(origin.connections, origin.requests) }
        origin.stop()
    }
}
