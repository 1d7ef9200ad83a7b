# tls.py: TLS over any pair of reader and writer, so that it nests, with its records in the test's hands.
# Owns: one side of TLS, by Python's ssl over memory BIOs. Never touches: the sidecar.
# Source: RFC 8446 §4 and §6.1; RFC 6066 §3; RFC 7301.
import asyncio
import contextlib
import ctypes
import ssl
import struct

from origin import Origin, Peer

SNI, ALPN, TICKET, PRE_SHARED_KEY, VERSIONS, STATUS = 0, 16, 35, 41, 43, 5
HANDSHAKE, CLIENT_HELLO = 22, 1
LIBSSL = ctypes.CDLL(ssl._ssl.__file__)  # the very library that the ssl module uses
for name, more in {
    "SSL_new_session_ticket": [],
    "SSL_key_update": [ctypes.c_int],
    "SSL_do_handshake": [],
}.items():
    getattr(LIBSSL, name).argtypes = [ctypes.c_void_p, *more]


def server_context(certificate, *, low=None, high=None, clients=None, alpn=(), tickets=2, ciphers=None):
    """A server's context. `clients`: PEM file of who must have signed the client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    context.minimum_version = low or ssl.TLSVersion.TLSv1_2
    context.maximum_version = high or ssl.TLSVersion.TLSv1_3
    context.num_tickets = tickets
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    if alpn:
        context.set_alpn_protocols(alpn)
    if ciphers:
        context.set_ciphers(ciphers)
    return context


class ClientHello:
    """What the client offered. Source: RFC 8446 §4.1.2."""

    def __init__(self, body):
        at = 2 + 32
        at += 1 + body[at]
        size = int.from_bytes(body[at : at + 2], "big")
        self.ciphers = [int.from_bytes(body[i : i + 2], "big") for i in range(at + 2, at + 2 + size, 2)]
        at += 2 + size
        at += 1 + body[at] + 2
        self.extensions = {}
        while at < len(body):
            kind, size = struct.unpack_from(">HH", body, at)
            self.extensions[kind] = body[at + 4 : at + 4 + size]
            at += 4 + size

    @property
    def server_name(self):
        value = self.extensions.get(SNI)
        return value[5:].decode() if value else None

    @property
    def alpn(self):
        value, names = self.extensions.get(ALPN, b"")[2:], []
        while value:
            names.append(value[1 : 1 + value[0]].decode())
            value = value[1 + value[0] :]
        return names

    @property
    def asks_for_staple(self):
        return STATUS in self.extensions

    @property
    def versions(self):
        value = self.extensions.get(VERSIONS, b"\0\3\3")[1:]
        return [int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)]

    @property
    def offers_session(self):
        return PRE_SHARED_KEY in self.extensions or bool(self.extensions.get(TICKET))

    @classmethod
    def within(cls, data):
        """The ClientHello at the beginning of a stream of records; None while it is not whole."""
        message = b""
        while len(data) >= 5 and data[0] == HANDSHAKE:
            size = int.from_bytes(data[3:5], "big")
            message, data = message + data[5 : 5 + size], data[5 + size :]
        whole = len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big")
        return cls(message[4:]) if whole and message[0] == CLIENT_HELLO else None


class Layer:
    """One side of TLS over `below`, which has a `reader` and a `writer`; itself such a pair."""

    def __init__(self, below, context, server_name=None, is_server=True):
        self.below, self.incoming, self.outgoing = below, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, is_server, server_name)
        self.reader = asyncio.StreamReader(limit=1 << 20)
        self.reader._transport = self.transport = self  # what Peer.pause and a full reader call
        self.writer, self.flows, self.task = self, asyncio.Event(), None
        self.flows.set()
        self.bytewise = False
        self.hello, self.offered, self.was_closed = None, bytearray(), False  # by close_notify

    def pause_reading(self):
        self.flows.clear()

    def resume_reading(self):
        self.flows.set()

    async def fill(self):
        """Takes some bytes of the transport below. False at its end."""
        data = await self.below.reader.read(1 << 16)
        if self.hello is None:
            self.offered += data
            self.hello = ClientHello.within(bytes(self.offered))
        self.incoming.write(data)
        return bool(data)

    def flush(self):
        data = self.outgoing.read()
        for piece in (data[at : at + 1] for at in range(len(data))) if self.bytewise else [data]:
            if piece:
                self.below.writer.write(piece)  # with TCP_NODELAY each is a segment

    async def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                await self.below.writer.drain()
                if not await self.fill():
                    raise ConnectionResetError("closed in the handshake") from None
            except ssl.SSLError:
                self.flush()  # the alert
                raise
        self.flush()
        self.task = asyncio.create_task(self.pump())
        return self

    async def pump(self):
        """Decrypts into the reader until the end, however that comes."""
        try:
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    while data := self.tls.read(1 << 16):
                        self.reader.feed_data(data)
                        await self.flows.wait()
                    self.was_closed = True
                    break
                self.flush()  # the answer to a key update
                if not await self.fill():
                    break
        except ssl.SSLZeroReturnError:
            self.was_closed = True
        except (ssl.SSLError, ConnectionError) as failure:
            self.reader.set_exception(ConnectionResetError(str(failure)))
        self.reader.feed_eof()

    # What a StreamWriter offers and Peer uses.

    def write(self, data):
        if data:
            self.tls.write(data)
        self.flush()

    async def drain(self):
        await self.below.writer.drain()

    def write_eof(self):
        """close_notify, and nothing else: the other direction stays open."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self.flush()

    def close(self):
        self.write_eof()
        self.below.writer.close()

    def truncate(self):
        """The end of the transport without close_notify. Source: RFC 8446 §6.1."""
        self.below.writer.close()

    def abort(self):
        self.below.writer.transport.abort()

    def get_extra_info(self, name):
        return self.below.writer.get_extra_info(name)

    # What Python's ssl does not offer.

    def handle(self):
        """The SSL * of the object: the fourth word of CPython's structure (Modules/_ssl.c, PySSLSocket)."""
        return (ctypes.c_void_p * 4).from_address(id(self.tls._sslobj))[3]

    def send_ticket(self):
        """A NewSessionTicket now. Source: RFC 8446 §4.6.1; SSL_new_session_ticket(3)."""
        assert (
            LIBSSL.SSL_new_session_ticket(self.handle()) == 1 and LIBSSL.SSL_do_handshake(self.handle()) == 1
        )
        self.flush()

    def update_keys(self, ask=True):
        """KeyUpdate now, which may ask for one in return. Source: RFC 8446 §4.6.3."""
        assert (
            LIBSSL.SSL_key_update(self.handle(), int(ask)) == 1
            and LIBSSL.SSL_do_handshake(self.handle()) == 1
        )
        self.flush()

    def send_raw(self, data):
        """Bytes between two records."""
        self.below.writer.write(data)


class TlsPeer(Peer):
    """A Peer over TLS. `layer` and `tls` have the facts, `hello` is what the client offered."""

    def __init__(self, layer, number):
        super().__init__(layer.reader, layer, number)
        self.layer, self.tls, self.hello = layer, layer.tls, layer.hello


async def secured(below, context, **more):
    """TLS over `below`, by default as the server."""
    try:
        return TlsPeer(await Layer(below, context, **more).handshake(), 0)
    except ssl.SSLError as failure:
        raise ConnectionResetError(str(failure)) from failure  # the other side's doing, as its close would be


class TlsOrigin(Origin):
    """An Origin over TLS. `context` may be replaced at any time; it holds for connections from then on."""

    def __init__(self, context, serve=None):
        super().__init__(serve)
        self.context, self.hellos, self.refused, self.raw = context, [], [], []
        self.bytewise = False  # every byte a segment of its own

    def accept(self, reader, writer):
        self.tasks.append(asyncio.create_task(self.secure(reader, writer)))

    async def secure(self, reader, writer):
        raw = Peer(reader, writer, len(self.raw))
        self.raw.append(raw)
        layer = Layer(raw, self.context)
        layer.bytewise = self.bytewise
        try:
            await layer.handshake()
        except (ssl.SSLError, ConnectionError) as failure:
            self.refused.append(failure)
            with contextlib.suppress(ConnectionError):
                raw.half_close()
                await raw.ended()  # a reset would overtake the alert
            writer.close()
            return
        finally:
            self.hellos.append(layer.hello)
        peer = TlsPeer(layer, len(self.peers))
        self.peers.append(peer)
        self.waiting.put_nowait(peer)
        if self.serve:
            await self.served(peer)

    @property
    def resumed(self):
        """Of each connection, whether it resumed a session."""
        return [peer.tls.session_reused for peer in self.peers]

    async def stop(self):
        for raw in self.raw:
            raw.writer.transport.abort()
        await super().stop()
        for peer in self.peers:
            peer.layer.task.cancel()
