import EventLoop
import Glibc
import Testing

@Suite struct PollerTests {
    @Test func `a change is reported once, under its token`() throws {
        let (left, right) = try Socket.pair()
        defer {
            left.close()
            right.close()
        }
        var poller = try Poller()
        try poller.add(left.descriptor, token: 0xDEAD_BEEF_0000_0001, writable: false)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        #expect(right.send([1]) == .bytes(1))
        let events = poller.events()
        #expect(events.map(\.token) == [0xDEAD_BEEF_0000_0001])
        #expect(events.allSatisfy { $0.isReadable && !$0.isEnding && !$0.isDead })
        // Edge-triggered: the byte is still there, and no longer news.
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        #expect(right.send([2]) == .bytes(1))
        #expect(poller.events().count == 1)
    }

    @Test func `an end is told from mere bytes`() throws {
        let (client, server) = try connectedPair()
        defer { client.close() }
        var poller = try Poller()
        try poller.add(client.descriptor, token: 1, writable: false)
        #expect(server.send([1]) == .bytes(1))
        #expect(poller.events().map(\.isEnding) == [false])
        server.shutdownWriting()
        let ending = poller.events()
        #expect(ending.map(\.isEnding) == [true])
        #expect(ending.map(\.isDead) == [false])
        client.shutdownWriting()
        #expect(poller.events().map(\.isDead) == [true])
        server.close()
    }

    @Test func `room to write on TCP is news only after a short write`() throws {
        let (client, server) = try connectedPair()
        defer {
            client.close()
            server.close()
        }
        var poller = try Poller()
        try poller.add(client.descriptor, token: 1, writable: true)
        #expect(poller.events().map(\.isWritable) == [true])
        #expect(client.send([1]) == .bytes(1))
        #expect(try server.next().bytes == [1])
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)

        let block = [UInt8](repeating: 1, count: 1 << 20)
        while case .bytes = client.send(block) {}
        var isWritable = false
        while !isWritable {
            _ = try server.next(room: 1 << 20)
            isWritable = poller.wait(timeoutNanoseconds: 0) == 1 && poller[0].isWritable
        }
    }

    @Test func `room to write on a Unix socket is reported when asked for`() throws {
        let (left, right) = try Socket.pair()
        defer {
            left.close()
            right.close()
        }
        var poller = try Poller()
        try poller.add(left.descriptor, token: 5, writable: false)
        #expect(left.send([1]) == .bytes(1))
        #expect(right.read(room: 8).bytes == [1])
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        try poller.modify(left.descriptor, token: 6, writable: true)
        #expect(poller.events().map { [$0.token, $0.isWritable ? 1 : 0] } == [[6, 1]])
        poller.remove(left.descriptor)
        #expect(right.send([2]) == .bytes(1))
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
    }

    @Test func `a timeout is over neither early nor never`() throws {
        var poller = try Poller()
        let start = Clock.now
        #expect(poller.wait(timeoutNanoseconds: 2_000_000) == 0)
        #expect(Clock.now - start >= 2_000_000)
        #expect(poller.wait(timeoutNanoseconds: -1) == 0)
    }

    @Test func `a full event array leaves the rest for the next wait`() throws {
        var poller = try Poller(eventsMax: 2)
        var pairs: [(Socket, Socket)] = []
        defer {
            for (left, right) in pairs {
                left.close()
                right.close()
            }
        }
        for token in UInt64(0)..<3 {
            let pair = try Socket.pair()
            pairs.append(pair)
            try poller.add(pair.0.descriptor, token: token, writable: false)
            #expect(pair.1.send([1]) == .bytes(1))
        }
        let first = poller.events().map(\.token)
        let second = poller.events().map(\.token)
        #expect(first.count == 2)
        #expect(Set(first + second) == [0, 1, 2])
    }
}

@Suite struct MailboxTests {
    @Test func `messages from many threads all arrive, each thread's in order`() throws {
        let box = try Mailbox<[Int]>()
        var poller = try Poller()
        try poller.add(box.descriptor, token: 0, writable: false)
        let threads = try (0..<4).map { thread in
            try Thread(name: "sender") { for number in 0..<1000 { box.post([thread, number]) } }
        }
        var received = [[Int]](repeating: [], count: 4)
        while received.map(\.count).reduce(0, +) < 4000 {
            #expect(poller.events().count == 1)
            for message in box.takeAll() { received[message[0]].append(message[1]) }
        }
        for thread in threads { thread.join() }
        #expect(received == [[Int]](repeating: Array(0..<1000), count: 4))
    }

    @Test func `only the first message into an empty box wakes`() throws {
        let box = try Mailbox<Int>()
        var poller = try Poller()
        try poller.add(box.descriptor, token: 0, writable: false)
        box.post(1)
        #expect(poller.events().count == 1)
        box.post(2)
        #expect(poller.wait(timeoutNanoseconds: 0) == 0)
        #expect(box.takeAll() == [1, 2])
        box.post(3)
        #expect(poller.events().count == 1)
        #expect(box.takeAll() == [3])
    }
}

@Suite struct ProcessTests {
    @Test func `the clock goes forward, and a thread's CPU time with its work`() throws {
        let before = Clock.now
        let done = try Mailbox<Void>()
        let leave = try Mailbox<Void>()
        let thread = try Thread(name: "worker with a long name") {
            let start = Clock.now
            while Clock.now - start < 1_000_000 {}
            done.post(())
            try? Socket(descriptor: leave.descriptor).wait(writable: false)
        }
        try Socket(descriptor: done.descriptor).wait(writable: false)
        #expect(thread.cpuNanoseconds > 100_000)
        #expect(Clock.now - before >= 1_000_000)
        leave.post(())
        thread.join()
    }

    @Test func `a signal becomes something to read`() throws {
        let result = try Mailbox<[Int32?]>()
        // In a thread of its own: the signal is blocked there and sent there.
        let thread = try Thread(name: "signals") {
            guard let signals = try? Signals([SIGUSR1]), var poller = try? Poller() else { return }
            try? poller.add(signals.descriptor, token: 0, writable: false)
            pthread_kill(pthread_self(), SIGUSR1)
            _ = poller.events()
            result.post([signals.next(), signals.next()])
        }
        thread.join()
        #expect(result.takeAll() == [[SIGUSR1, nil]])
    }
}
