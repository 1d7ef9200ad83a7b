# origin.py: an upstream that does exactly what a test tells it to, and records every byte it gets.
# Owns: sockets of the upstream's side. Never touches: the sidecar.
import asyncio
import socket
import struct

from outrigger import endpoint

HEAD_END = b"\r\n\r\n"


def reply(body=b"", status=b"200 OK", *lines):
    """A whole HTTP/1.1 reply framed by Content-Length, with more field lines."""
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + HEAD_END + body


class Head(bytes):
    """A request head as it was on the wire, up to and with the empty line."""

    @property
    def line(self):
        return bytes(self).split(b"\r\n", 1)[0]

    @property
    def method(self):
        return self.line.split(b" ")[0]

    @property
    def target(self):
        return self.line.split(b" ")[1]

    @property
    def lines(self):
        return bytes(self)[: -len(HEAD_END)].split(b"\r\n")[1:]

    def values(self, name):
        pairs = (line.split(b":", 1) for line in self.lines)
        return [value.strip() for key, value in pairs if key.lower() == name.lower()]


class Peer:
    """One accepted connection. Every `await` waits for something that the sidecar does."""

    def __init__(self, reader, writer, number):
        self.reader, self.writer, self.number = reader, writer, number
        self.received = bytearray()  # every byte but those of `drain_body`
        self.requests = []
        self.socket = writer.get_extra_info("socket")
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def remote(self):
        return self.writer.get_extra_info("peername")

    async def read(self, count):
        data = await self.reader.readexactly(count)
        self.received += data
        return data

    async def until(self, mark):
        data = await self.reader.readuntil(mark)
        self.received += data
        return data

    async def head(self):
        """The next request head."""
        head = Head(await self.until(HEAD_END))
        self.requests.append(head)
        return head

    async def chunked(self):
        """A chunked body up to its last CRLF: data, and the lines of the trailer section."""
        data, trailers = bytearray(), []
        while size := int((await self.until(b"\r\n")).split(b";")[0], 16):
            data += await self.read(size)
            assert await self.read(2) == b"\r\n"
        while (line := await self.until(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2])
        return bytes(data), trailers

    async def body(self):
        """The body that the last head announces."""
        head = self.requests[-1]
        if head.values(b"transfer-encoding"):
            return (await self.chunked())[0]
        return await self.read(int((head.values(b"content-length") or [b"0"])[0]))

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def send_bytewise(self, data):
        for byte in data:
            await self.send(bytes([byte]))

    def pause(self):
        """Reads nothing from the kernel until `resume`."""
        self.reader._transport.pause_reading()

    def resume(self):
        self.reader._transport.resume_reading()

    def pending(self):
        """Bytes that have arrived and were not asked for."""
        return bytes(self.reader._buffer)

    async def ended(self):
        """Waits until the sidecar closes its side. Returns the bytes that came before, unasked for."""
        try:
            rest = await self.reader.read(-1)
        except ConnectionError:
            rest = b""
        self.received += rest
        return rest

    def close(self):
        self.writer.close()

    def half_close(self):
        self.writer.write_eof()

    def reset(self):
        """RST instead of FIN; whatever was not yet written is dropped."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Origin:
    """A listening socket. `serve` gets each Peer; without it, a test asks for `connection()`."""

    def __init__(self, serve=None):
        self.serve, self.peers, self.waiting = serve, [], asyncio.Queue()
        self.failures, self.tasks, self.server = [], [], None

    async def start(self, host="127.0.0.1", path=None, port=0):
        if path:
            self.server = await asyncio.start_unix_server(self.accept, path, limit=1 << 20)
            self.endpoint = endpoint(path)
        else:
            self.server = await asyncio.start_server(self.accept, host, port, limit=1 << 20, backlog=1024)
            self.endpoint = endpoint(host, self.server.sockets[0].getsockname()[1])
        return self

    def accept(self, reader, writer):
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        self.waiting.put_nowait(peer)
        if self.serve:
            self.tasks.append(asyncio.create_task(self.served(peer)))

    async def served(self, peer):
        try:
            await self.serve(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sidecar closed: `ended` and the counts of a test see that
        except Exception as failure:
            self.failures.append(failure)

    async def connection(self):
        """The next connection, in the order in which they were accepted."""
        return await self.waiting.get()

    @property
    def requests(self):
        """Heads seen, by connection."""
        return [head for peer in self.peers for head in peer.requests]

    async def stop(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for peer in self.peers:
            peer.writer.transport.abort()
        assert not self.failures, self.failures


def answering(text=None):
    """A `serve` that reads each request whole and answers it with `text`, or with its target."""

    async def serve(peer):
        while True:
            head = await peer.head()
            await peer.body()
            await peer.send(text or reply(head.target, b"200 OK"))

    return serve


def refusing_port(host="127.0.0.1"):
    """A port that refuses: bound, but not listening."""
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    one.bind((host, 0))
    return one, endpoint(host, one.getsockname()[1])


class Blackhole:
    """A TCP port that drops SYNs while it is filled: the accept queue of its listener is full."""

    def __init__(self, host="127.0.0.1", filled=True):
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(self.family)
        self.listener.bind((host, 0))
        self.listener.listen(0)
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.endpoint = endpoint(host, self.address[1])
        self.fillers = []
        if filled:
            self.fill()

    def fill(self):
        """From now on a dial hangs. Linux sends its SYN again after 1 s, 3 s, 7 s."""
        for _ in range(4):  # one more than the queue of backlog 0 takes, and some
            filler = socket.socket(self.family)
            filler.setblocking(False)
            filler.connect_ex(self.address)
            self.fillers.append(filler)

    async def accept(self):
        """Lets dials through until one comes that is none of our own, and makes it a Peer."""
        ours = {filler.getsockname()[1] for filler in self.fillers}
        self.close_fillers()
        while True:
            accepted, address = await asyncio.get_running_loop().sock_accept(self.listener)
            if address[1] not in ours:
                return Peer(*await asyncio.open_connection(sock=accepted, limit=1 << 20), 0)
            accepted.close()

    def close_fillers(self):
        for filler in self.fillers:
            filler.close()
        self.fillers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close_fillers()
        self.listener.close()
