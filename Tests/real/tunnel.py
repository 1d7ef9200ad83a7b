# tunnel.py: a stream that has become a two-way byte stream, as a reader and a writer for a Peer or TLS on it;
# and scripted peers that make tunnels.
# Owns: BODY frames of one stream. Never touches: what is in them. Source: protocol reference, "Upgrade".
import asyncio

import tls
from origin import HEAD_END, Peer
from outrigger import BODY, END, END_STREAM, INTERIM, REPLY

ESTABLISHED = b"HTTP/1.1 200 Connection established" + HEAD_END


class Tunnel:
    """`reply` is the head that opened it; `end` is END, once `over()` has returned."""

    def __init__(self, session, request):
        self.stream = session.start(request)
        self.reader, self.writer, self.transport = asyncio.StreamReader(limit=1 << 20), self, self
        self.reply, self.end, self.unsent = None, None, bytearray()
        self.opened, self.idle = asyncio.Event(), asyncio.Event()
        self.idle.set()
        self.task = asyncio.create_task(self.pump())

    @classmethod
    async def open(cls, session, request):
        """Returns with the reply, or with END when there is none."""
        tunnel = cls(session, request)
        await tunnel.opened.wait()
        return tunnel

    async def pump(self):
        while self.end is None:
            type, flags, message = await self.stream.receive()
            if type == REPLY:
                self.reply = message
                self.opened.set()
            elif type == BODY:
                self.reader.feed_data(message.data)
                if flags & END_STREAM:
                    self.reader.feed_eof()
            elif type == END:
                self.end = message
                self.reader.feed_eof()
                self.opened.set()
            else:
                assert type == INTERIM

    async def over(self):
        """END. The proxy's side has to be finished before, unless the stream ends by itself."""
        await self.task
        return self.end

    def peer(self):
        """This side of the tunnel with a Peer's ways of reading."""
        return Peer(self.reader, self, 0)

    async def secured(self, context, server_name="origin.test"):
        """TLS with whoever is at the tunnel's other end."""
        return await tls.secured(self, context, server_name=server_name, is_server=False)

    # What a StreamWriter offers and Peer and Layer use.

    def write(self, data):
        self.unsent += data
        if self.unsent and self.idle.is_set():
            self.idle.clear()
            self.sender = asyncio.create_task(self.send_all())

    async def send_all(self):
        while self.unsent and self.stream.is_open:
            data = bytes(self.unsent)
            self.unsent.clear()
            await self.stream.send(data)
        self.idle.set()

    async def drain(self):
        await self.idle.wait()

    def write_eof(self):
        self.stream.finish()

    def close(self):
        self.write_eof()

    def abort(self):
        self.stream.cancel()

    def get_extra_info(self, name):
        return self.stream.session.writer.get_extra_info(name)


def tunnels_to(serve, context=None, reply=ESTABLISHED):
    """A `serve` of a scripted parent: takes one CONNECT, then is the origin itself, with a context over TLS.
    The Peer inside is `peer.inner`; the head of the CONNECT is among the requests of `peer`."""

    async def proxy(peer):
        head = await peer.head()
        assert head.method == b"CONNECT", head
        await peer.send(reply)
        peer.inner = (
            await tls.secured(peer, context) if context else Peer(peer.reader, peer.writer, peer.number)
        )
        await serve(peer.inner)

    return proxy
