import ArgumentParser
import EventLoop

@main struct Outrigger: ParsableCommand {
    func run() throws {
        Signals.ignoreBrokenPipe()
        let origin = try DemoOrigin.start(unixPath: "/tmp/o.sock")
        print(origin.endpoint)
        while readLine() != nil { print(origin.connections, origin.requests) }
        origin.stop()
    }
}
