# test_zeroing.py: that nothing of a secret is left in a sidecar's memory when it is done with it. The memory of the process is
# searched, all that it can write to, in every form in which a secret may stand there.
# What is left out: named credentials, which it needs for as long as it lives; and Kerberos, for which libkrb5 1.20 leaves
# copies of a password on its stack and heap (NTLM's are in test_zeroing_tokens.py).
# Source: issue "Local authentication", "Secrets are zeroed after use"; proc(5), /proc/PID/mem.
import asyncio
import itertools
import os
import re

import pytest

import outrigger
from disclosure import CANARY, forms
from origin import HEAD_END, answering, reply
from outrigger import BODY, END_STREAM, HEADER, REQUEST, pb
from test_credentials import Guard, having
from tls import server_context
from tunnel import ESTABLISHED
from world import ask, get, outcome, secure, until

# Connections go at once when they are idle: what they belong to is part of their identity.
pytestmark = pytest.mark.sidecar(idle_connection_milliseconds=1)
numbers = itertools.count(1)


def fresh():
    """A secret that stands nowhere else."""
    return CANARY + b"-%d-" % next(numbers) + os.urandom(8).hex().encode()


def places(sidecar, secret):
    """Where in its memory a secret stands, with what stands around."""
    found = []
    pid = sidecar.process.pid
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, permissions, *_ = line.split()
            if not permissions.startswith("rw") or "[v" in line:
                continue
            start, end = (int(number, 16) for number in span.split("-"))
            memory.seek(start)
            data = memory.read(end - start)
            for form, name in forms(secret):
                for match in re.finditer(re.escape(form), data):
                    around = data[max(0, match.start() - 200) : match.end() + 100]
                    found.append((name, hex(start + match.start()), around))
    return found


async def wiped(world, secret):
    """Every session is closed, and every connection; then nothing of the secret is left."""
    for session in world.sessions:
        session.writer.close()
        await session.task
    await world.sidecar.settled()
    # That the last descriptor is closed does not yet mean that the turn in which it was is over.
    await until(lambda: not places(world.sidecar, secret), lambda: places(world.sidecar, secret), 2)


def user(secret, **more):
    return pb.Credential(user=b"Mufasa", password=secret, **more)


class Known(Guard):
    """A server that knows this password; any Authorization will do for it."""

    def judge(self, head):
        return None if head.values(self.answers) else self.challenge()


async def test_a_secret_in_use_is_found(world):
    secret = fresh()
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, **having(user(secret))))
    await (await origin.connection()).head()
    assert places(world.sidecar, secret), "what is in use has to be somewhere, else the search is blind"
    stream.cancel()
    assert outcome(await stream.answer()) == "CANCELLED"
    await wiped(world, secret)


@pytest.mark.parametrize("size", [None, 0, 5000, 300_000], ids=lambda size: f"body {size}")
@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Bearer"])
async def test_of_an_origin(world, scheme, size):
    secret = fresh()
    guard = Known("Basic" if scheme == "Bearer" else scheme)
    if scheme == "Bearer":
        guard.challenge = lambda: reply(b"", b"401 No", b'WWW-Authenticate: Bearer realm="r"')
    origin = await world.origin(guard.serve)
    session = await world.session()
    credential = pb.Credential(bearer_token=secret) if scheme == "Bearer" else user(secret, schemes=[scheme])

    async def once(number):
        form = get(origin) if size is None else ask("POST", origin, length=size)
        form.credentials.CopyFrom(pb.Credentials(origin=credential))
        form.target = b"/%d" % number
        answer = await session.exchange(form, bytes(size or 0))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer

    for number in range(3):
        await once(number)
    await asyncio.gather(*(once(number) for number in range(10, 20)))
    await wiped(world, secret)


@pytest.mark.parametrize("inside", ["http", "https"])
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_of_a_peer_and_of_a_tunnel_s(world, certificates, scheme, inside):
    secret = fresh()
    guard = Known(scheme, b"Proxy-Authenticate", b"407 Proxy Authentication Required")
    origin = await world.origin(answering(), tls=server_context(certificates.good) if inside == "https" else None)

    async def serve(connection):
        while True:
            head = await connection.head()
            told = guard.judge(head)
            tunnels = head.method == b"CONNECT"
            await connection.send(told or (ESTABLISHED if tunnels else reply(b"ok")))
            if tunnels and not told:
                return await pumped(connection, origin)

    parent = await world.origin(serve)
    session = await world.session()
    more = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates)} if inside == "https" else {}
    for number in range(3):
        answer = await session.exchange(get(parent, route=pb.ROUTE_PEER, **having(peer=user(secret))))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
        answer = await session.exchange(
            get(parent, f"/{number}", route=pb.ROUTE_PEER_TUNNEL, **having(peer=user(secret)), **more)
        )
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer
    await wiped(world, secret)


async def test_of_connect_fields(world, certificates):
    """They are part of a tunnel's identity, and of that of TLS sessions in it."""
    secret = fresh()
    origin = await world.origin(answering(), tls=server_context(certificates.good))

    async def serve(connection):
        await connection.head()
        await connection.send(ESTABLISHED)
        await pumped(connection, origin)

    parent = await world.origin(serve)
    session = await world.session()
    hop = pb.Hop(connect_fields=[pb.Field(name=b"Proxy-Authorization", value=b"Basic " + secret)])
    more = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates), "hop": hop, "route": pb.ROUTE_PEER_TUNNEL}
    for number in range(3):
        answer = await session.exchange(get(parent, f"/{number}", **more))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer
    await wiped(world, secret)


async def pumped(connection, origin):
    """The peer's side of a tunnel."""
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.endpoint.port)

    async def pump(source, sink):
        while data := await source.read(65_536):
            sink.write(data)
        sink.close()

    await asyncio.gather(pump(connection.reader, writer), pump(reader, connection.writer))


async def test_what_a_proxy_sends_for_its_client(world, certificates):
    """Authorization fields of requests and of CONNECTs, in clear text and over TLS."""
    secret = fresh()
    value = b"Basic " + secret
    origin = await world.origin(answering())
    covert = await world.origin(answering(), tls=server_context(certificates.good))
    refusing = await world.origin(answering(reply(b"no", b"403 Forbidden")))
    session = await world.session()
    line = (b"Authorization", value)
    tls = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates)}
    for number in range(3):
        for size in None, 100, 300_000:
            for where, more in (origin, {}), (covert, tls):
                form = get(where, f"/{number}", [line], **more)
                if size is not None:
                    form = ask("POST", where, f"/{number}", [line], length=size, **more)
                answer = await session.exchange(form, bytes(size or 0))
                assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer
        peer = [line, (b"Proxy-Authorization", value)]
        assert outcome(await session.exchange(get(origin, headers=peer, route=pb.ROUTE_PEER))) == "COMPLETE"
        connect = outrigger.request("CONNECT", "a:1", "", [refusing.endpoint], peer, route=pb.ROUTE_PEER)
        assert outcome(await session.exchange(connect)) == "PEER_REFUSED"
        hop = pb.Hop(connect_fields=[pb.Field(name=b"Proxy-Authorization", value=value)])
        for scheme in {}, tls:
            tunnel = get(refusing, route=pb.ROUTE_PEER_TUNNEL, hop=hop, **scheme)
            assert outcome(await session.exchange(tunnel)) == "PEER_REFUSED"
    await wiped(world, secret)


@pytest.mark.parametrize("cut", [1, 5, 13, 100, 200, -1])
async def test_frames_in_pieces(world, cut):
    secret = fresh()
    guard = Known("Basic")
    origin = await world.origin(guard.serve)
    session = await world.session()
    request = get(origin, headers=[(b"X", b"x" * 3000)], **having(user(secret)))
    for pieces in 2, 3:
        stream = outrigger.Stream(session, next(session.ids))
        session.streams[stream.id] = stream
        payload = request.SerializeToString()
        frame = HEADER.pack(len(payload), stream.id, REQUEST, END_STREAM, 0) + payload
        first = cut % len(frame)
        second = first + 1 if pieces == 3 else len(frame)
        for piece in frame[:first], frame[first:second], frame[second:]:
            session.writer.write(piece)
            await session.writer.drain()
            # So that the next piece is a read of its own.
            await until(lambda: not waiting(session), "the sidecar has read it")
        assert outcome(await stream.answer()) == "COMPLETE"
    await wiped(world, secret)


def waiting(session):
    """Bytes that were written and not read: of a Unix socket the kernel tells by SIOCOUTQ."""
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(session.writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
    return count[0]


REFUSED = {
    "no endpoint": lambda origin: {"endpoints": []},
    "no such group": lambda origin: {"endpoints": [], "group": "nobody"},
    "a method that is none": lambda origin: {"method": b"G T"},
    "a field that is none": lambda origin: {"fields": [pb.Field(name=b"a b", value=b"c")]},
    "a contradiction": lambda origin: {"body": pb.BODY_LENGTH, "body_length": 5, "upgrade": b"x"},
    "no such route": lambda origin: {"hop": pb.Hop(name="nobody")},
    "no such credentials": lambda origin: {"credentials": {"origin_name": "nobody"}},
    "CONNECT for nothing": lambda origin: {"method": b"CONNECT", "target": b"/x"},
}


@pytest.mark.parametrize("case", REFUSED)
async def test_requests_that_are_refused(world, case):
    secret = fresh()
    origin = await world.origin(answering())
    session = await world.session()
    base = {"method": b"GET", "authority": b"a", "endpoints": [origin.endpoint]}
    fields = [pb.Field(name=b"Authorization", value=secret)]
    fields += REFUSED[case](origin).get("fields", [])
    credentials = pb.Credentials(peer=user(secret))
    if "credentials" in REFUSED[case](origin):
        credentials.origin_name = "nobody"
    form = pb.Request(**{**base, **REFUSED[case](origin), "fields": fields, "credentials": credentials})
    stream = session.start(form)
    assert outcome(await stream.answer()) == "BAD_REQUEST"
    await wiped(world, secret)


@pytest.mark.parametrize("tail", [b"\x9a\x01\x04\x0a\x02\xff\xff", b"\xff", b"\x92\x01\x05"], ids=repr)
async def test_frames_that_break(world, tail):
    secret = fresh()
    session = await world.session()
    request = get([outrigger.endpoint("127.0.0.1", 1)], headers=[(b"Authorization", secret)], **having(user(secret)))
    payload = request.SerializeToString() + tail
    session.writer.write(HEADER.pack(len(payload), 1, REQUEST, END_STREAM, 0) + payload)
    await session.closed.wait()
    await wiped(world, secret)


@pytest.mark.parametrize("more", [0, 1, 60_000])
async def test_a_session_that_ends_inside_a_frame(world, more):
    secret = fresh()
    session = await world.session()
    request = get([outrigger.endpoint("127.0.0.1", 1)], headers=[(b"X", b"x" * 50_000)], **having(user(secret)))
    payload = request.SerializeToString()
    session.writer.write(HEADER.pack(len(payload) + 1 + more, 1, REQUEST, END_STREAM, 0) + payload + bytes(more))
    await session.writer.drain()
    await until(lambda: places(world.sidecar, secret), "the sidecar has read it")
    await wiped(world, secret)


async def test_requests_that_go_nowhere(world):
    """Refused, cancelled while they wait, lost with their session, cut off in the middle of their body."""
    secret = fresh()
    session = await world.session()
    nobody = outrigger.endpoint("127.0.0.1", 1)
    assert outcome(await session.exchange(get([nobody], **having(user(secret))))) == "CONNECT_REFUSED"
    silent = await world.origin()
    line = [(b"Authorization", b"Basic " + secret)]
    for more in having(user(secret)), {"headers": line}:
        stream = session.start(ask("POST", silent, length=100_000, **more))
        session.send(BODY, stream.id, pb.BodyChunk(data=bytes(50_000)))
        peer = await silent.connection()
        await peer.head()
        stream.cancel()
        assert outcome(await stream.answer()) == "CANCELLED"
        stream = session.start(get(silent, **more))
        peer = await silent.connection()
        await peer.head()
        peer.reset()
        assert outcome(await stream.answer()) == "RESET"
        session.start(get(silent, **more))
        await (await silent.connection()).head()
    await wiped(world, secret)


async def test_a_challenge_with_a_large_body_behind_expect(world):
    """The head grows by what is sent behind it, and is made anew for each connection."""
    secret = fresh()
    asked = 0

    async def serve(peer):
        nonlocal asked
        while True:
            head = await peer.head()
            asked += 1
            if not head.values(b"Authorization"):
                await peer.send(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=r\r\nContent-Length: 0" + HEAD_END)
                return peer.close()
            if head.values(b"Expect"):
                await peer.send(b"HTTP/1.1 100 Continue" + HEAD_END)
            await peer.body()
            await peer.send(reply(b"ok"))

    origin = await world.origin(serve)
    session = await world.session()
    form = get(origin, body=pb.BODY_CHUNKED, **having(user(secret)))
    form.method = b"POST"
    answer = await session.exchange(form, os.urandom(1_000_000))
    assert (outcome(answer), answer.reply.status, asked) == ("COMPLETE", 200, 2)
    await wiped(world, secret)
