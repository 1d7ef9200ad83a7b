# test_tls_windows.py: a TLS origin that takes next to nothing: what is encrypted for it is on its way and cannot be taken
# back, whether or not all of it has left. Source: DESIGN "Retries are safe"; SECURITY rows 27 and 28.
import asyncio
import contextlib
import socket

import pytest
from origin import HEAD_END
from outrigger import pb
from tls import server_context
from world import ask, get, outcome, secure, until

LENGTH = 256 << 10
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2" + HEAD_END + b"ok"


class Narrow:
    """Listens with the smallest buffers; reads the head of the first request and no more."""

    def __init__(self, early=b""):
        self.early, self.heads, self.arrived, self.over = early, [], asyncio.Event(), asyncio.Event()

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append(await reader.readuntil(HEAD_END))
            if len(self.heads) == 1:
                writer.write(self.early)
                self.arrived.set()
                await self.over.wait()
            else:
                writer.write(OK)
                await self.over.wait()
        writer.close()


@contextlib.asynccontextmanager
async def narrow(certificates, early=b""):
    origin = Narrow(early)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    listener.bind(("127.0.0.1", 0))
    context = server_context(certificates.good)
    server = await asyncio.start_server(origin.serve, sock=listener, ssl=context, limit=2048)
    origin.port = listener.getsockname()[1]
    yield origin
    origin.over.set()
    server.close()


def message(make, origin, certificates, *words, **fields):
    where = [pb.Endpoint(ip=socket.inet_aton("127.0.0.1"), port=origin.port)]
    return make(*words, where, "/", scheme=pb.SCHEME_HTTPS, tls=secure(certificates), **fields)


async def uploading(session, origin, certificates, **fields):
    """A request of which some is encrypted, some has left, and nothing more can."""
    stream = session.start(message(ask, origin, certificates, "POST", length=LENGTH, **fields))
    task = asyncio.create_task(stream.send(bytes(LENGTH)))
    await origin.arrived.wait()
    return stream, task


async def test_a_cancelled_upload_never_leaves_its_connection_to_the_next(world, certificates):
    async with narrow(certificates) as origin:
        session = await world.session()
        stream, task = await uploading(session, origin, certificates)
        stream.cancel()
        end = (await stream.answer()).end
        assert pb.Outcome.Name(end.outcome) == "OUTCOME_CANCELLED" and end.request_started
        assert end.connection == pb.FATE_CLOSED
        await task
        answer = await session.exchange(message(get, origin, certificates))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"ok")
        assert len(origin.heads) == 2 and origin.heads[1].startswith(b"GET ")


@pytest.mark.parametrize("retry", [pb.RETRY_NEVER, pb.RETRY_IDEMPOTENT])
async def test_an_early_reply_to_an_upload_is_passed_on_and_nothing_is_sent_again(world, certificates, retry):
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3" + HEAD_END + b"big"
    async with narrow(certificates, early) as origin:
        session = await world.session()
        stream, task = await uploading(session, origin, certificates, retry=retry)
        answer = await stream.answer()
        assert (answer.reply.status, bytes(answer.body)) == (413, b"big")
        assert answer.end.request_started and not answer.end.repeatable
        await task
        await until(lambda: len(origin.heads) == 1, "one request")
