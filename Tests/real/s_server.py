# s_server.py: openssl's own server as an origin, told what to send through its standard input.
# Owns: one process. Never touches: the sidecar. Source: openssl-s_server(1).
import asyncio
import contextlib
import re

from origin import HEAD_END, Head
from outrigger import endpoint


class SServer:
    """`openssl s_server` on a free port. `head` is the next request's, `send` writes to who is connected."""

    def __init__(self, process):
        self.process, self.port, self.endpoint, self.seen = process, 0, None, b""

    async def until(self, mark):
        """What it prints up to `mark`: its own words, and every byte from the client."""
        while mark not in self.seen:
            data = await self.process.stdout.read(1 << 16)
            assert data, self.seen[-2000:]
            self.seen += data
        before, _, self.seen = self.seen.partition(mark)
        return before + mark

    async def head(self):
        text = await self.until(HEAD_END)
        return Head(text[re.search(rb"(?m)^[A-Z]+ \S+ HTTP/1\.1\r$", text).start() :])

    async def send(self, data):
        """Data that begins with one of B, k, K, P, q, Q, r, R would be an order to it."""
        assert data[:1] not in b"BkKPqQrRcS" or not data
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def update_keys(self, ask=True):
        """KeyUpdate now, which may ask the other side for one."""
        self.process.stdin.write(b"K\n" if ask else b"k\n")
        await self.until(b"SSL_do_handshake -> 1")


@contextlib.asynccontextmanager
async def s_server(certificate, *words):
    """`words`: further options, e.g. "-tls1_2"."""
    process = await asyncio.create_subprocess_exec(
        *["stdbuf", "-oL", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate.alone],
        *["-key", certificate.key, "-cert_chain", certificate.path, *map(str, words)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        server = SServer(process)
        await server.until(b"ACCEPT 127.0.0.1:")
        server.port = int(await server.until(b"\n"))
        server.endpoint = endpoint("127.0.0.1", server.port)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
