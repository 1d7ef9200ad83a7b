// PipeTests.swift: bytes that go from socket to socket through a pipe. Source: splice(2).
import EventLoop
import Testing

@Suite struct PipeTests {
    @Test func `what a socket has goes to another as far as was asked, and its end is told`() throws {
        let (upstream, origin) = try connectedPair()
        let (session, proxy) = try Socket.pair()
        let pipe = try Pipe()
        defer {
            for socket in [upstream, session, proxy] { socket.close() }
            pipe.close()
        }
        #expect(pipe.take(from: upstream, upTo: 100) == .wouldBlock)
        #expect(origin.send([1, 2, 3, 4, 5]) == .bytes(5))
        try upstream.wait(writable: false)
        #expect(pipe.take(from: upstream, upTo: 3) == .bytes(3))
        #expect(pipe.hand(to: session, 2) == .bytes(2))
        #expect(pipe.hand(to: session, 1) == .bytes(1))
        #expect(try proxy.next().bytes == [1, 2, 3])
        #expect(pipe.take(from: upstream, upTo: 100) == .bytes(2))
        origin.close()
        try upstream.wait(writable: false)
        #expect(pipe.take(from: upstream, upTo: 100) == .endOfFile)
    }

    @Test func `a socket without room takes nothing, and what it was to get stays in the pipe`() throws {
        let (upstream, origin) = try Socket.pair()
        let (session, proxy) = try Socket.pair()
        let pipe = try Pipe()
        defer {
            for socket in [upstream, origin, session, proxy] { socket.close() }
            pipe.close()
        }
        while case .bytes = session.send(Array(repeating: 0, count: 65_536)) {}
        #expect(origin.send([7]) == .bytes(1))
        #expect(pipe.take(from: upstream, upTo: 10) == .bytes(1))
        #expect(pipe.hand(to: session, 1) == .wouldBlock)
        while try proxy.next().bytes.last == 0 {
            if case .bytes = pipe.hand(to: session, 1) { break }
        }
    }
}
