// StreamTests.swift: plaintext through a layer, both ways, to every kind of end.
import COpenSSL
import Model
import TLS
import Testing

private let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

private func only(_ version: Int32) -> ServerForm { ServerForm(versionMin: version, versionMax: version) }

/// Bytes of which no two stretches look alike.
private func pattern(_ count: Int, _ seed: UInt64 = 1) -> [UInt8] {
    var random = Seeded(state: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 24) }
}

@Suite struct StreamTests {
    @Test(arguments: Cut.all, versions) func `bytes pass both ways, however they are cut`(
        cut: Cut,
        version: Int32
    ) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way(cut)
        var layer = try connected(&client, server, &way)
        for (number, size) in [1, 500, 17_000, 3].enumerated() {
            let request = pattern(size, UInt64(number))
            way.write(request, &layer, server)
            #expect(server.takePlaintext() == request)
            let reply = pattern(size * 2, UInt64(number + 100))
            server.write(reply)
            // A room of seven bytes: a record is read in many pieces.
            let room = number == 1 ? 7 : 20_000
            #expect(way.readAll(&layer, server, room: room) == (reply, .wouldBlock))
        }
    }

    @Test func `one read takes many records`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        let reply = pattern(100_000)
        server.write(reply)
        #expect(way.move(&layer, server))
        let (bytes, verdict) = layer.read(room: 200_000)
        #expect(bytes == reply && verdict == .bytes(100_000) && !layer.hasUnread)
        #expect(layer.read(room: 1).verdict == .wouldBlock)
    }

    @Test func `what does not fit is told of and comes with the next read`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        let reply = pattern(20_000)
        server.write(reply)
        #expect(way.move(&layer, server))
        let first = layer.read(room: 10_000).bytes
        #expect(layer.hasUnread == true)
        let second = layer.read(room: 10_000).bytes
        #expect(first + second == reply && !layer.hasUnread)
    }

    @Test func `writing stops while ciphertext waits, and goes on`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        let request = pattern(1_000_000)
        var start = 0
        while start < request.count {
            let taken = layer.write(request.span.extracting(start..<request.count))
            if start + taken < request.count { #expect(layer.write([0].span) == 0) }
            #expect(layer.output.count < TLSLayer.outputPauseBytes + 17_000)
            start += taken
            server.receive(layer.takeOutput())
        }
        #expect(server.takePlaintext() == request)
    }

    @Test func `input has a limit`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        let bytes = pattern(TLSLayer.inputBytesMax + 1)
        #expect(layer.received(bytes.span) == TLSLayer.inputBytesMax && layer.inputRoom == 0)
        var room = -1
        layer.receive { output in room = output.freeCapacity }
        #expect(room == 0)
    }

    // Ends.

    @Test(arguments: Cut.all, versions) func `close_notify ends the stream whole`(
        cut: Cut,
        version: Int32
    ) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way(cut)
        var layer = try connected(&client, server, &way)
        let reply = pattern(3000)
        server.write(reply)
        server.shutdown()
        #expect(way.readAll(&layer, server) == (reply, .endOfFile))
        layer.endOfInput()
        #expect(layer.read(room: 1).verdict == .endOfFile)
        // Our direction is still open (RFC 8446 §6.1).
        way.write([1, 2, 3], &layer, server)
        #expect(server.takePlaintext() == [1, 2, 3] && !server.hasEnded)
        layer.closeNotify()
        while way.move(&layer, server) {}
        #expect(server.hasEnded && layer.write([1].span) == 0)
    }

    @Test(arguments: versions) func `after our close_notify the reply is still read`(version: Int32) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way()
        var layer = try connected(&client, server, &way)
        way.write([1], &layer, server)
        layer.closeNotify()
        while way.move(&layer, server) {}
        #expect(server.hasEnded)
        server.write([7, 8])
        server.shutdown()
        #expect(way.readAll(&layer, server) == ([7, 8], .endOfFile))
    }

    @Test(arguments: versions, [0, 1, 4, 5, 100, 2999]) func `an end without close_notify is a truncation`(
        version: Int32,
        missing: Int
    ) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        let whole = pattern(1000)
        server.write(whole)
        var bytes = server.take()
        server.write(pattern(3000))
        bytes += server.take().dropLast(missing == 0 ? 0 : missing)
        #expect(layer.received(bytes.span) == bytes.count)
        layer.endOfInput()
        let (read, end) = way.readAll(&layer, server)
        #expect(read == (missing == 0 ? whole + pattern(3000) : whole) && end == .truncated)
        #expect(layer.hasUnread && layer.read(room: 1).verdict == .truncated)
    }

    @Test(arguments: versions) func `a record that was changed ends the connection`(version: Int32) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        server.write([1, 2, 3])
        var bytes = server.take()
        server.write([4, 5, 6])
        var changed = server.take()
        changed[10] ^= 1
        bytes += changed
        _ = layer.received(bytes.span)
        let (read, end) = way.readAll(&layer, server)
        let failure = TLSFailure(.handshake, "decryption failed or bad record mac")
        #expect(read == [1, 2, 3])
        #expect(end == .failed(failure))
        #expect(ERR_peek_error() == 0)
        #expect(layer.read(room: 1).verdict == end && layer.write([1].span) == 0)
        #expect(server.failure.contains("alert"))
    }

    @Test func `what is no record ends the connection`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        server.inject(Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
        let (read, end) = way.readAll(&layer, server)
        #expect(
            read == []
                && end
                    == .failed(TLSFailure(.handshake, "server does not speak TLS, or sent a broken record"))
        )
    }

    @Test func `an alert of the server is told in words`() throws {
        var client = TLSClient()
        let server = Server(only(TLS1_2_VERSION))
        var way = Way()
        var layer = try connected(&client, server, &way)
        // What the client sent is changed on its way: the server refuses it.
        _ = layer.write([1, 2, 3].span)
        var bytes = layer.takeOutput()
        bytes[10] ^= 1
        server.receive(bytes)
        let (_, end) = way.readAll(&layer, server)
        #expect(end == .failed(TLSFailure(.handshake, "server sent alert: bad record mac")))
    }

    // Keys.

    @Test(arguments: Cut.all, [false, true]) func `keys are changed at the server's wish, and ours`(
        cut: Cut,
        askingPeer: Bool
    ) throws {
        var client = TLSClient()
        let server = Server(only(TLS1_3_VERSION))
        var way = Way(cut)
        var layer = try connected(&client, server, &way)
        for round in 0..<4 {
            server.updateKeys(askingPeer: askingPeer)
            server.write([1, UInt8(round)])
            #expect(way.readAll(&layer, server) == ([1, UInt8(round)], .wouldBlock))
            way.write([2, UInt8(round)], &layer, server)
            #expect(server.takePlaintext() == [2, UInt8(round)])
            layer.updateKeys(askingPeer: askingPeer)
            #expect(records(layer.output.array) == 1)
            way.write([3, UInt8(round)], &layer, server)
            #expect(server.takePlaintext() == [3, UInt8(round)])
            server.write([4, UInt8(round)])
            #expect(way.readAll(&layer, server) == ([4, UInt8(round)], .wouldBlock))
        }
    }

    @Test func `a key is changed before it is worn out, in 1.3`() throws {
        for (version, expected) in [(TLS1_2_VERSION, 10), (TLS1_3_VERSION, 12)] {
            var limits = TLSClient.Limits()
            limits.recordsPerKeyMax = 4
            var client = TLSClient(limits: limits)
            let server = Server(only(version))
            var way = Way()
            var layer = try connected(&client, server, &way)
            _ = way.readAll(&layer, server)
            for byte in 0..<10 { #expect(layer.write([UInt8(byte)].span) == 1) }
            #expect(records(layer.output.array) == expected)
            while way.move(&layer, server) {}
            #expect(server.takePlaintext() == Array(0..<10))
            // What the server wrote counts too: it is asked for a new key.
            for byte in 0..<10 {
                server.write([UInt8(byte)])
                #expect(way.readAll(&layer, server).bytes == [UInt8(byte)])
            }
            #expect(way.readAll(&layer, server) == ([], .wouldBlock))
        }
    }

    @Test func `answers to a peer that does not read them are bounded`() throws {
        var client = TLSClient()
        let server = Server(only(TLS1_3_VERSION))
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        var most = 0
        for _ in 0..<150 {
            for _ in 0..<100 { server.updateKeys(askingPeer: true) }
            let bytes = server.take()
            #expect(layer.received(bytes.span) == bytes.count || most > 200_000)
            #expect(layer.read(room: 100).verdict == .wouldBlock)
            most = max(most, layer.output.count)
            if layer.hasUnread { break }
        }
        #expect(most > 262_000 && most <= 262_144 && layer.hasUnread)
        // Once it reads, all goes on.
        #expect(layer.write([1].span) == 0)
        while !layer.output.isEmpty || layer.hasUnread {
            server.receive(layer.takeOutput())
            #expect(layer.read(room: 100).verdict == .wouldBlock)
        }
        way.write([9], &layer, server)
        #expect(server.takePlaintext() == [9])
        server.write([8])
        #expect(way.readAll(&layer, server) == ([8], .wouldBlock))
    }

    @Test func `a wish to renegotiate is refused`() throws {
        var client = TLSClient()
        let server = Server(only(TLS1_2_VERSION))
        var way = Way()
        var layer = try connected(&client, server, &way)
        server.renegotiate()
        _ = way.readAll(&layer, server)
        #expect(server.failure == "no renegotiation")
        // The alert that says so leaves the connection whole for us; it is the server that may give it up.
        #expect(
            layer.read(room: 1).verdict
                == .failed(TLSFailure(.handshake, "server sent alert: handshake failure", blame: .either))
        )
    }

    // Memory.

    @Test(arguments: versions) func `memory that is given back is made again`(version: Int32) throws {
        var client = TLSClient()
        let server = Server(only(version))
        var way = Way()
        var layer = try connected(&client, server, &way)
        for _ in 0..<3 {
            layer.releaseMemory()
            way.write([1, 2, 3], &layer, server)
            #expect(server.takePlaintext() == [1, 2, 3])
            layer.releaseMemory()
            server.write([4, 5, 6])
            #expect(way.readAll(&layer, server) == ([4, 5, 6], .wouldBlock))
        }
        // Half a record waits: it is not lost.
        server.write(pattern(1000))
        let bytes = server.take()
        _ = layer.received(bytes.span.extracting(first: 500))
        #expect(layer.read(room: 1).verdict == .wouldBlock)
        layer.releaseMemory()
        _ = layer.received(bytes.span.extracting(droppingFirst: 500))
        #expect(layer.read(room: 2000).bytes == pattern(1000))
    }

    @Test func `memory for input is lent, and kept while input waits`() throws {
        var client = TLSClient()
        let server = Server()
        var way = Way()
        var layer = try connected(&client, server, &way)
        _ = way.readAll(&layer, server)
        layer.releaseMemory()
        var shared = ByteBuffer(capacity: 50_000)
        server.write([1, 2, 3])
        layer.swapInput(&shared)
        #expect(shared.capacity == 0)
        let bytes = server.take()
        _ = layer.received(bytes.span)
        layer.swapInput(&shared)
        #expect(shared.capacity == 0)
        #expect(layer.read(room: 10).bytes == [1, 2, 3])
        layer.swapInput(&shared)
        #expect(shared.capacity >= 50_000)
    }

    // Layers in layers.

    @Test(arguments: Cut.all) func `TLS runs inside TLS`(cut: Cut) throws {
        var client = TLSClient()
        let (outerServer, innerServer) = (
            Server(), Server(ServerForm(identity: Issued.underMiddle, chain: [Issued.middle]))
        )
        var way = Way(cut)
        var outer = try connected(&client, outerServer, &way)
        var inner = try client.connect(peer("b.example"), scope: [1], now: at(0))

        /// Moves the inner ciphertext through the outer layer, both ways; false: nothing moved.
        func move(_ outer: inout TLSLayer, _ inner: inout TLSLayer) -> Bool {
            let taken = outer.write(inner.output)
            inner.wrote(taken)
            var moved = taken > 0
            while way.move(&outer, outerServer) { moved = true }
            innerServer.receive(outerServer.takePlaintext())
            let reply = innerServer.take()
            if !reply.isEmpty { outerServer.write(reply) }
            var verdict = TLSRead.wouldBlock
            repeat {
                inner.receive { verdict = outer.read(into: &$0) }
            } while verdict != .wouldBlock || way.move(&outer, outerServer)
            return moved || !reply.isEmpty
        }

        var step = inner.handshake()
        while step == .needsMore, move(&outer, &inner) { step = inner.handshake() }
        guard case .done(let facts) = step else { return #expect(Bool(false), "\(step)") }
        #expect(facts.certificateSHA256 == Issued.underMiddle.digest)

        let (request, reply) = (pattern(20_000), pattern(30_000, 7))
        #expect(inner.write(request.span) == request.count)
        while move(&outer, &inner) {}
        #expect(innerServer.takePlaintext() == request)
        innerServer.write(reply)
        innerServer.shutdown()
        var read: [UInt8] = []
        var end = TLSRead.wouldBlock
        repeat {
            _ = move(&outer, &inner)
            let (bytes, verdict) = inner.read(room: 100_000)
            read += bytes
            end = verdict
        } while end != .endOfFile
        #expect(read == reply)
        // The outer one is a connection of its own, and still open.
        way.write([1], &outer, outerServer)
        #expect(outerServer.takePlaintext() == [1])
    }
}
