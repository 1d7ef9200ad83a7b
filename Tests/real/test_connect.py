# test_connect.py: CONNECT makes a stream a two-way byte stream to the target, directly or by a peer.
# Source: proto/outrigger.proto, Request.method; issue "CONNECT and routes"; RFC 9110 §9.3.6;
# SECURITY rows 20 to 22.
import asyncio
import contextlib
import ssl

import pytest

from nginx import pattern
from origin import HEAD_END, Blackhole, answering
from outrigger import BODY, END, END_STREAM, REPLY, pb
from test_tunnels import port
from tls import server_context
from tunnel import ESTABLISHED, Tunnel
from world import ask, attempts, fate, outcome, secure, until

MIB = 1 << 20
RESIDENT_MAX = 100 * MIB


def connect(origin, authority="origin.test:8443", peer=False, hop=None, **more):
    if hop:
        more["hop"] = hop
    more = {"route": pb.ROUTE_PEER_TUNNEL if peer else pb.ROUTE_DIRECT, **more}
    return ask("CONNECT", origin, "", authority=authority, **more)


class Way:
    """How the target is reached: `tunnel` is the proxy's end, `far` the target's."""

    def __init__(self, kind):
        self.kind = kind

    async def open(self, world, certificates, early=b"", **more):
        self.session = await world.session()
        context = server_context(certificates.peer) if self.kind == "tls peer" else None
        self.origin = await world.origin(tls=context)
        hop = pb.Hop(tls=secure(certificates)) if context else None
        opening = asyncio.create_task(
            Tunnel.open(self.session, connect(self.origin, peer=self.kind != "direct", hop=hop, **more))
        )
        self.far = await self.origin.connection()
        if self.kind != "direct":
            self.head = await self.far.head()
            await self.far.send(ESTABLISHED + early)
        elif early:
            await self.far.send(early)
        self.tunnel = await opening
        self.near = self.tunnel.peer()
        return self


@pytest.fixture(params=["direct", "peer", "tls peer"])
def way(request):
    return Way(request.param)


async def test_bytes_go_both_ways_until_both_sides_have_ended(world, certificates, way):
    await way.open(world, certificates)
    assert way.tunnel.reply.status == 200 and way.tunnel.reply.body == pb.REPLY_BODY_TUNNEL
    facts = way.tunnel.reply.connection
    assert not facts.reused and facts.requests == 1 and not facts.HasField("tls")
    assert facts.HasField("peer_tls") == (way.kind == "tls peer") and facts.remote.port == port(way.origin)
    if way.kind != "direct":
        assert way.head.line == b"CONNECT origin.test:8443 HTTP/1.1" and way.head.values(b"host") == [
            b"origin.test:8443"
        ]
    for number in range(20):
        await way.near.send(b"GET / %03d" % number)
        assert await way.far.read(9) == b"GET / %03d" % number
        await way.far.send(b"HTTP/1.1 %d" % number)
        assert await way.near.read(len(b"HTTP/1.1 %d" % number)) == b"HTTP/1.1 %d" % number
    way.tunnel.close()
    assert await way.far.ended() == b""
    way.far.close()
    end = await way.tunnel.over()
    assert pb.Outcome.Name(end.outcome) == "OUTCOME_COMPLETE", end
    assert (end.connection, end.request_body_bytes) == (pb.FATE_CLOSED, 180)
    assert [one.result for one in end.attempts] == [pb.ATTEMPT_CONNECTED]


async def test_the_proxy_ends_first_and_the_target_goes_on(world, certificates, way):
    await way.open(world, certificates)
    await way.near.send(b"last words")
    way.tunnel.close()
    assert await way.far.read(10) == b"last words" and await way.far.ended() == b""
    for _ in range(10):
        await way.far.send(pattern(10_000))
    assert await way.near.read(100_000) == pattern(10_000) * 10
    way.far.close()
    assert (await way.tunnel.over()).outcome == pb.OUTCOME_COMPLETE


async def test_the_target_ends_first_and_the_proxy_goes_on(world, certificates, way):
    await way.open(world, certificates)
    await way.far.send(b"last words")
    way.far.half_close()
    assert await way.near.read(10) == b"last words" and await way.near.reader.read() == b""
    for _ in range(10):
        await way.near.send(pattern(10_000))
    assert await way.far.read(100_000) == pattern(10_000) * 10
    way.tunnel.close()
    assert await way.far.ended() == b""
    assert (await way.tunnel.over()).outcome == pb.OUTCOME_COMPLETE


async def test_the_target_s_first_words_are_not_lost(world, certificates, way):
    """Bytes in the very segment of the 2xx, or before the proxy has its REPLY: a server that speaks first."""
    await way.open(world, certificates, b"220 ready\r\n")
    assert await way.near.read(11) == b"220 ready\r\n"
    way.tunnel.close()
    way.far.close()
    assert (await way.tunnel.over()).reply_body_bytes == 11


async def test_the_proxy_s_first_words_wait_for_the_2xx_and_are_not_lost(world, certificates, way):
    """SECURITY row 20."""
    context = server_context(certificates.peer) if way.kind == "tls peer" else None
    origin = await world.origin(tls=context)
    session = await world.session()
    hop = pb.Hop(tls=secure(certificates)) if context else None
    stream = session.start(connect(origin, peer=way.kind != "direct", hop=hop))
    early = pattern(200_000)
    await stream.send(early)
    far = await origin.connection()
    if way.kind != "direct":
        await far.head()
        await world.barrier(session)
        assert far.pending() == b"", "not a byte before the 2xx"
        await far.send(ESTABLISHED)
    assert await far.reader.readexactly(len(early)) == early
    stream.finish()
    assert await far.ended() == b""
    far.close()
    answer = await stream.answer()
    assert outcome(answer) == "COMPLETE" and answer.end.request_body_bytes == len(early)


async def test_early_words_and_their_end_come_before_the_2xx(world):
    peer = await world.origin()
    stream = (await world.session()).start(connect(peer, peer=True))
    await stream.send(b"all I have to say")
    stream.finish()
    far = await peer.connection()
    await far.head()
    await far.send(ESTABLISHED)
    assert await far.ended() == b"all I have to say"
    await far.send(b"answer")
    far.close()
    answer = await stream.answer()
    assert (outcome(answer), answer.body) == ("COMPLETE", b"answer")


async def test_8_mib_go_both_ways_at_the_same_time(world, certificates, way):
    await way.open(world, certificates)
    body = pattern(8 * MIB)
    await asyncio.gather(
        way.near.send(body), way.far.send(body[::-1]), expect(way.far, body), expect(way.near, body[::-1])
    )
    way.tunnel.close()
    way.far.close()
    end = await way.tunnel.over()
    assert (end.outcome, end.request_body_bytes, end.reply_body_bytes) == (
        pb.OUTCOME_COMPLETE,
        len(body),
        len(body),
    )
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX


async def expect(peer, body):
    assert await peer.reader.readexactly(len(body)) == body


async def test_without_credit_the_target_waits(world):
    origin = await world.origin()
    stream = (await world.session()).start(connect(origin))
    stream.credits_itself = False
    far = await origin.connection()
    assert (await stream.receive()).type == REPLY
    body = pattern(32 * MIB)
    sending = asyncio.create_task(far.send(body))
    received = bytearray()
    while len(received) < 262_144:
        received += (await stream.receive()).message.data
    await world.barrier(stream.session)
    assert stream.frames.empty() and len(received) == 262_144
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    stream.credits_itself = True
    stream.credit(262_144)
    while len(received) < len(body):
        received += (await stream.receive()).message.data
    await sending
    assert received == body
    stream.cancel()
    assert outcome(await stream.answer()) == "CANCELLED"


async def test_a_target_that_does_not_read_holds_the_proxy_up(world):
    origin = await world.origin()
    stream = (await world.session()).start(connect(origin))
    far = await origin.connection()
    far.pause()
    body = pattern(32 * MIB)
    sending = asyncio.create_task(stream.send(body))
    await until(lambda: stream.send_credit == 0, "the credit is used up")
    await world.barrier(stream.session)
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    far.resume()
    await expect(far, body)
    await sending
    stream.cancel()
    await stream.answer()


# Ends that are not good


async def test_a_reset_of_the_target_is_no_end(world, certificates, way):
    await way.open(world, certificates)
    way.far.reset()
    assert (await way.tunnel.over()).outcome == pb.OUTCOME_TRUNCATED


async def test_over_a_tls_peer_the_end_without_close_notify_is_no_end(world, certificates):
    way = await Way("tls peer").open(world, certificates)
    way.far.layer.truncate()
    way.tunnel.close()
    assert (await way.tunnel.over()).outcome == pb.OUTCOME_TRUNCATED


async def test_cancel_closes_it(world, certificates, way):
    await way.open(world, certificates)
    await way.near.send(b"x")
    await way.far.read(1)
    way.tunnel.stream.cancel()
    end = await way.tunnel.over()
    assert (end.outcome, end.connection) == (pb.OUTCOME_CANCELLED, pb.FATE_CLOSED)
    await way.far.ended()


async def test_the_loss_of_the_session_closes_it(world, certificates, way):
    await way.open(world, certificates)
    way.session.writer.close()
    await way.far.ended()
    with contextlib.suppress(ConnectionError):
        await way.tunnel.task


async def test_silence_in_both_directions_is_an_idle_timeout(world, certificates, way):
    await way.open(world, certificates, deadlines=pb.Deadlines(idle_ms=300))
    await way.near.send(b"x")
    await way.far.read(1)
    end = await way.tunnel.over()
    assert (end.outcome, end.connection) == (pb.OUTCOME_IDLE_TIMEOUT, pb.FATE_CLOSED)
    await way.far.ended()


async def test_bytes_in_one_direction_keep_it_open(world):
    origin = await world.origin()
    session = await world.session()
    tunnel = await Tunnel.open(session, connect(origin, deadlines=pb.Deadlines(idle_ms=400)))
    far = await origin.connection()
    clock = [
        session.start(connect(origin, deadlines=pb.Deadlines(idle_ms=ms))) for ms in (200, 400, 600, 800)
    ]
    for one in clock:  # time passes, by the sidecar's own clock
        await one.answer()
        await far.send(b"x")
        assert await tunnel.reader.readexactly(1) == b"x"
    tunnel.close()
    far.close()
    assert (await tunnel.over()).outcome == pb.OUTCOME_COMPLETE


# Targets that are not reached


async def test_a_target_that_refuses_is_connect_refused(world):
    origin = await world.origin()
    await origin.stop()
    answer = await (await world.session()).start(connect(origin)).answer()
    assert (outcome(answer), attempts(answer), answer.reply) == ("CONNECT_REFUSED", ["REFUSED"], None)


async def test_the_second_address_is_tried(world):
    origin, refusing = await world.origin(), await world.origin()
    await refusing.stop()
    tunnel = await Tunnel.open(await world.session(), connect([refusing.endpoint, origin.endpoint]))
    assert tunnel.reply.status == 200 and tunnel.reply.connection.endpoint_index == 1
    (await origin.connection()).close()
    tunnel.close()
    assert (await tunnel.over()).outcome == pb.OUTCOME_COMPLETE


async def test_a_target_that_does_not_answer_is_a_connect_timeout(world):
    with Blackhole() as hole:
        stream = (await world.session()).start(connect(hole, deadlines=pb.Deadlines(connect_ms=300)))
        answer = await stream.answer()
        assert (outcome(answer), answer.reply) == ("CONNECT_TIMEOUT", None)


BAD_ROWS = {
    "a body": dict(body=pb.BODY_LENGTH, body_length=1),
    "a target": dict(target=b"/x"),
    "scheme https": dict(scheme=pb.SCHEME_HTTPS),
    "an upgrade": dict(upgrade=b"websocket"),
    **{f"authority {text!r}": dict(authority=text.encode(), route=pb.ROUTE_PEER_TUNNEL)
       for text in ("", "origin.test", "a b:1", "a\r\nX: y:1", "u@origin.test:1", "origin.test:1/x", "a\0:1",
                    "a:0")},
}  # fmt: skip


@pytest.mark.parametrize("fields", BAD_ROWS.values(), ids=BAD_ROWS)
async def test_a_connect_that_cannot_be_is_a_bad_request(world, fields):
    origin = await world.origin(answering())
    message = connect(origin)
    for name, value in fields.items():
        setattr(message, name, value)
    answer = await (await world.session()).start(message).answer()
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail, answer.end
    assert not origin.peers


async def test_a_connection_of_connect_is_never_used_again(world):
    origin = await world.origin(answering())
    session = await world.session()
    for _ in range(2):
        tunnel = await Tunnel.open(session, connect(origin))
        near = tunnel.peer()
        await near.send(b"GET /inside HTTP/1.1\r\nHost: a" + HEAD_END)
        assert (await near.head()).startswith(b"HTTP/1.1 200 OK") and await near.read(7) == b"/inside"
        assert not tunnel.reply.connection.reused
        tunnel.close()
        origin.peers[-1].close()
        assert (await tunnel.over()).connection == pb.FATE_CLOSED
    assert len(origin.peers) == 2


async def test_over_an_absolute_form_route_the_peer_is_asked_all_the_same(world):
    """There is no absolute-form of CONNECT."""
    peer = await world.origin()
    opening = asyncio.create_task(Tunnel.open(await world.session(), connect(peer, route=pb.ROUTE_PEER)))
    far = await peer.connection()
    assert (await far.head()).line == b"CONNECT origin.test:8443 HTTP/1.1"
    await far.send(ESTABLISHED)
    tunnel = await opening
    far.close()
    tunnel.close()
    assert (await tunnel.over()).outcome == pb.OUTCOME_COMPLETE


async def test_end_of_stream_of_the_target_is_said_before_end(world):
    origin = await world.origin()
    stream = (await world.session()).start(connect(origin))
    far = await origin.connection()
    assert (await stream.receive()).type == REPLY
    far.half_close()
    type, flags, message = await stream.receive()
    assert (type, flags & END_STREAM, message.data) == (BODY, END_STREAM, b"")
    stream.finish()
    assert (await stream.receive()).type == END
    await far.ended()


# What people do with it


@pytest.mark.parametrize("listener", ["direct", "clear", "secure"])
async def test_tls_of_the_proxy_s_own_to_nginx(world, squid, secure_nginx, certificates, listener):
    """The sidecar sees bytes only; ClientHello, certificate and request are the proxy's."""
    target = secure_nginx.v13
    session = await world.session()
    where = [target] if listener == "direct" else [getattr(squid, listener)]
    hop = pb.Hop(tls=secure(certificates)) if listener == "secure" else None
    message = connect(where, f"origin.test:{target.port}", listener != "direct", hop)
    tunnel = await Tunnel.open(session, message)
    assert tunnel.reply.status == 200
    inner = await tunnel.secured(ssl.create_default_context(cafile=certificates.file))
    await inner.send(b"GET /8m HTTP/1.1\r\nHost: origin.test\r\nConnection: close" + HEAD_END)
    assert (await inner.head()).startswith(b"HTTP/1.1 200 OK")
    assert await inner.read(8 * MIB) == secure_nginx.contents["8m"] and await inner.ended() == b""
    tunnel.close()
    assert (await tunnel.over()).outcome == pb.OUTCOME_COMPLETE


async def test_squid_refuses_a_connect_and_says_why(world, squid):
    answer = await (await world.session()).start(connect([squid.clear], "forbidden.test:443", True)).answer()
    assert (
        outcome(answer) == "PEER_REFUSED" and answer.reply.status == 403 and b"forbidden.test" in answer.body
    )
    assert answer.reply.body == pb.REPLY_BODY_LENGTH and fate(answer) == "POOLED"
