# test_refusals.py: a peer that does not make the tunnel: what is passed on, what is kept, what is never sent.
# Source: proto/outrigger.proto, PEER_REFUSED; issue "CONNECT and routes"; RFC 9110 §9.3.6, §15.5.8;
# SECURITY rows 6, 7, 11, 20.
import pytest

from nginx import pattern
from origin import HEAD_END, answering, reply
from outrigger import BODY, pb
from proxies import LOGIN
from test_tunnels import connect_fields, port, through
from tls import secured, server_context
from tunnel import ESTABLISHED
from world import CANARY, ask, attempts, fate, get, outcome, secure, until

REQUIRED = b"407 Proxy Authentication Required"
CHALLENGE = b'Proxy-Authenticate: Basic realm="test"'


def refusing(*texts):
    """A `serve` that answers one CONNECT after the other."""

    async def serve(peer):
        for text in texts:
            await peer.head()
            await peer.send(text)
        await peer.ended()

    return serve


def refused(answer, status, body, is_connect=False):
    assert outcome(answer) == "PEER_REFUSED", answer.end
    assert (answer.reply.status, bytes(answer.body)) == (status, body)
    assert answer.end.detail
    if not is_connect:  # which is itself the request that the peer has seen
        assert attempts(answer) == ["PEER_REFUSED"]
        assert not answer.end.request_started and answer.end.repeatable, "the origin has seen nothing"
    return {field.name.lower(): field.value for field in answer.reply.fields}


@pytest.mark.parametrize("scheme", ["http", "https", "CONNECT"])
@pytest.mark.parametrize("outside", ["clear", "tls"])
async def test_a_407_is_delivered_whole_and_the_connection_kept_for_the_next_attempt(
    world, certificates, scheme, outside
):
    body = pattern(100_000)
    outer = server_context(certificates.peer) if outside == "tls" else None
    peer = await world.origin(tls=outer)
    session = await world.session()
    tls = secure(certificates) if outer else None

    def message(*fields):
        if scheme == "CONNECT":
            hop = connect_fields(*fields, tls=tls)
            return ask("CONNECT", peer, "", authority="origin.test:8443", route=pb.ROUTE_PEER_TUNNEL, hop=hop)
        return through(
            peer, certificates if scheme == "https" else None, hop=connect_fields(*fields, tls=tls)
        )

    stream = session.start(message())
    connection = await peer.connection()
    await connection.head()
    await connection.send(reply(body, REQUIRED, CHALLENGE))
    answer = await stream.answer()
    fields = refused(answer, 407, body, scheme == "CONNECT")
    assert fields[b"proxy-authenticate"] == b'Basic realm="test"' and fate(answer) == "POOLED"
    assert answer.reply.body == pb.REPLY_BODY_LENGTH and answer.reply.body_length == len(body)
    assert not answer.reply.connection.HasField("tls") and answer.reply.connection.HasField(
        "peer_tls"
    ) == bool(outer)
    stream = session.start(message((b"Proxy-Authorization", b"Basic " + CANARY)))
    again = await connection.head()  # on the same connection
    assert again.method == b"CONNECT" and again.values(b"proxy-authorization") == [b"Basic " + CANARY]
    await connection.send(ESTABLISHED)
    if scheme == "CONNECT":
        assert (await stream.receive()).message.status == 200
        stream.finish()
        connection.close()
    else:
        inner = (
            await secured(connection, server_context(certificates.good)) if scheme == "https" else connection
        )
        await inner.head()
        await inner.send(reply(b"own"))
    answer = await stream.answer()
    assert outcome(answer) == "COMPLETE" and len(peer.peers) == 1, answer.end
    if scheme != "CONNECT":
        stream = session.start(message((b"Proxy-Authorization", b"Basic " + CANARY)))
        await inner.head()  # the tunnel is made, and used again
        await inner.send(reply(b"own"))
        assert (await stream.answer()).reply.connection.reused


FRAMING_ROWS = {
    "a length": (reply(b"abc", b"403 Forbidden"), b"abc", "POOLED"),
    "no body": (reply(b"", b"403 Forbidden"), b"", "POOLED"),
    "chunks": (
        b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"abc",
        "POOLED",
    ),
    "Connection: close": (reply(b"abc", b"403 Forbidden", b"Connection: close"), b"abc", "CLOSED"),
    "HTTP/1.0": (b"HTTP/1.0 403 Forbidden\r\nContent-Length: 3\r\n\r\nabc", b"abc", "CLOSED"),
    "Proxy-Connection: close": (
        reply(b"abc", b"403 No", b"Proxy-Connection: close", b"Connection: close"),
        b"abc",
        "CLOSED",
    ),
    "a byte too many": (reply(b"abc", b"403 Forbidden") + b"H", b"abc", "CLOSED"),
    "a redirect": (reply(b"", b"302 Found", b"Location: http://elsewhere.test/"), b"", "POOLED"),
    "an error": (reply(b"abc", b"503 Service Unavailable"), b"abc", "POOLED"),
}


@pytest.mark.parametrize("text, body, kept", FRAMING_ROWS.values(), ids=FRAMING_ROWS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_refusal_is_framed_like_any_reply(world, certificates, text, body, kept, scheme):
    peer = await world.origin(refusing(text))
    session = await world.session()
    answer = await session.exchange(through(peer, certificates if scheme == "https" else None))
    refused(answer, int(text[9:12]), body)
    assert fate(answer) == kept
    if kept == "CLOSED":
        assert await peer.peers[0].ended() == b""
    assert len(peer.peers) == 1, "nothing is followed, nothing repeated"


async def test_a_refusal_that_only_the_end_delimits_is_passed_on(world):
    async def serve(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden" + HEAD_END + b"abc")
        peer.close()

    peer = await world.origin(serve)
    answer = await (await world.session()).exchange(through(peer))
    assert outcome(answer) == "PEER_REFUSED" and bytes(answer.body) == b"abc"
    assert fate(answer) == "CLOSED" and attempts(answer) == ["PEER_REFUSED"]


async def test_a_refusal_that_is_cut_short_is_no_whole_one(world):
    async def serve(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 407 No\r\nContent-Length: 10" + HEAD_END + b"abc")
        peer.close()

    peer = await world.origin(serve)
    answer = await (await world.session()).exchange(through(peer))
    assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("TRUNCATED", 407, b"abc")
    assert fate(answer) == "CLOSED" and answer.end.repeatable


async def test_a_large_refusal_waits_for_credit(world):
    body = bytes(4 << 20)
    peer = await world.origin(refusing(reply(body, REQUIRED)))
    stream = (await world.session()).start(through(peer))
    stream.credits_itself = False
    received = 0
    while received < 262_144:
        frame = await stream.receive()
        received += len(frame.message.data) if frame.type == BODY else 0
    await world.barrier(stream.session)
    assert stream.frames.empty()
    stream.credit(1 << 24)
    answer = await stream.answer()
    assert (outcome(answer), answer.end.reply_body_bytes) == ("PEER_REFUSED", len(body))


async def test_interim_replies_of_the_peer_are_no_answer(world):
    peer = await world.origin(refusing(b"HTTP/1.1 102 Processing" + HEAD_END + reply(b"abc", REQUIRED)))
    refused(await (await world.session()).exchange(through(peer)), 407, b"abc")


@pytest.mark.parametrize("inside", ["http", "https"])
async def test_nothing_of_the_tunnel_follows_a_refusal(world, certificates, inside):
    """SECURITY row 20: not a byte of the request, not a ClientHello."""
    peer = await world.origin(refusing(reply(b"no", b"403 Forbidden")))
    session = await world.session()
    message = ask("POST", peer, authority="origin.test:8443", length=5, route=pb.ROUTE_PEER_TUNNEL)
    if inside == "https":
        message = ask("POST", peer, authority="origin.test:8443", length=5, route=pb.ROUTE_PEER_TUNNEL,
                      scheme=pb.SCHEME_HTTPS, tls=secure(certificates))  # fmt: skip
    answer = await session.exchange(message, b"hello")
    refused(answer, 403, b"no")
    await world.barrier(session)
    [connection] = peer.peers
    assert bytes(connection.received) == connection.requests[0] and not connection.pending()
    assert answer.end.request_body_bytes == 0


async def test_a_peer_that_asks_with_401_gets_no_credentials(world):
    """SECURITY row 7: 401 on CONNECT is the peer's; the origin's password is not for it."""
    text = reply(b"abc", b"401 Unauthorized", b'WWW-Authenticate: Basic realm="x"')
    peer = await world.origin(refusing(text, text))
    session = await world.session()
    for _ in range(2):
        fields = [(b"Authorization", b"Basic " + CANARY)]
        answer = await session.exchange(through(peer, headers=fields))
        assert refused(answer, 401, b"abc")[b"www-authenticate"]
    assert CANARY not in bytes(peer.peers[0].received) and len(peer.peers[0].requests) == 2


async def test_a_kept_connection_of_a_refusal_serves_any_tunnel_but_no_plain_request_s_secret(world):
    """SECURITY row 6: what one peer was told, another never gets."""
    first = await world.origin(refusing(reply(b"", REQUIRED)))
    second = await world.origin(refusing(reply(b"", REQUIRED)))
    session = await world.session()
    hop = connect_fields((b"Proxy-Authorization", b"Basic " + CANARY))
    refused(await session.exchange(through(first, hop=hop)), 407, b"")
    refused(await session.exchange(through(second)), 407, b"")
    assert CANARY not in bytes(second.peers[0].received)


# Replies that cannot be read


async def answers(peer, text, close=True):
    await peer.head()
    await peer.send(text)
    if close:
        peer.close()


BROKEN_ROWS = {
    "garbage": (b"\x15\x03\x03\x00\x02\x02\x46 no HTTP at all" + HEAD_END, "BAD_REPLY"),
    "another protocol": (b"SSH-2.0-OpenSSH\r\n" + HEAD_END, "BAD_REPLY"),
    "HTTP/2": (b"HTTP/2 200 OK" + HEAD_END, "BAD_REPLY"),
    "a NUL in a field": (b"HTTP/1.1 200 OK\r\nA: b\0" + HEAD_END, "BAD_REPLY"),
    "a status of two digits": (b"HTTP/1.1 20 OK" + HEAD_END, "BAD_REPLY"),
    "101 that nobody asked for": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade" + HEAD_END,
        "BAD_REPLY",
    ),
    "a head too long": (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + HEAD_END, "BAD_REPLY"),
    "fields without end": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", "BAD_REPLY"),
    "lengths that differ": (
        b"HTTP/1.1 407 No\r\nContent-Length: 1\r\nContent-Length: 2" + HEAD_END + b"ab",
        "BAD_REPLY",
    ),
    "half a head": (b"HTTP/1.1 200 OK\r\nA: b", "RESET"),
    "nothing": (b"", "RESET"),
}


@pytest.mark.parametrize("text, expected", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
async def test_a_reply_that_cannot_be_read_makes_no_tunnel(world, text, expected):
    peer = await world.origin(lambda one: answers(one, text))
    answer = await (await world.session()).exchange(through(peer))
    assert outcome(answer) == expected, answer.end
    assert answer.end.detail and not answer.end.request_started and answer.end.repeatable
    assert attempts(answer) == ["PEER_REFUSED"] and fate(answer) in ("CLOSED", "NONE")
    assert len(peer.peers) == 1


async def test_100_interim_replies_are_too_many(world):
    peer = await world.origin(
        lambda one: answers(one, (b"HTTP/1.1 102 Processing" + HEAD_END) * 200 + ESTABLISHED)
    )
    assert outcome(await (await world.session()).exchange(through(peer))) == "BAD_REPLY"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nA: b"], ids=["silence", "half a head"])
async def test_a_peer_that_stalls_is_a_connect_timeout(world, said):
    peer = await world.origin()
    stream = (await world.session()).start(through(peer, deadlines=pb.Deadlines(connect_ms=300)))
    connection = await peer.connection()
    await connection.head()
    await connection.send(said)
    answer = await stream.answer()
    assert (outcome(answer), attempts(answer)) == ("CONNECT_TIMEOUT", ["TIMEOUT"]), answer.end
    assert not answer.end.request_started and answer.end.repeatable
    await connection.ended()


async def test_cancel_while_the_peer_thinks_closes_the_connection(world):
    peer = await world.origin()
    session = await world.session()
    stream = session.start(through(peer))
    connection = await peer.connection()
    await connection.head()
    stream.cancel()
    assert outcome(await stream.answer()) == "CANCELLED"
    await connection.ended()


# Squid


@pytest.mark.parametrize("inside", ["http", "https"])
async def test_squid_asks_for_basic_and_gets_it_with_the_next_attempt(world, squid, certificates, inside):
    origin = await world.origin(
        answering(), tls=server_context(certificates.good) if inside == "https" else None
    )
    session = await world.session()
    target = f"origin.test:{port(origin)}"
    inner = certificates if inside == "https" else None
    answer = await session.exchange(through([squid.guarded], inner, authority=target))
    assert outcome(answer) == "PEER_REFUSED" and answer.reply.status == 407 and fate(answer) == "POOLED"
    assert answer.reply.body_length == len(answer.body) > 1000, "Squid's page"
    wrong = connect_fields((b"Proxy-Authorization", b"Basic dXNlcjp3cm9uZw=="))  # user:wrong
    assert (
        await session.exchange(through([squid.guarded], inner, authority=target, hop=wrong))
    ).reply.status == 407
    right = connect_fields((b"Proxy-Authorization", LOGIN))
    for reused in False, True:
        answer = await session.exchange(through([squid.guarded], inner, "/x", authority=target, hop=right))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/x"), answer.end
    assert answer.reply.connection.reused and len(origin.peers) == 1
    assert not any(head.values(b"proxy-authorization") for head in origin.requests)
    await origin.stop()

    def lines():
        return [one for one in squid.log() if one.target == target]

    await until(lambda: len(lines()) == 3, lines)
    assert [(one.status, one.user) for one in lines()] == [("407", "-"), ("407", "user"), ("200", "user")]
    assert len({one.client_port for one in lines()}) == 1, "one connection to Squid"


async def test_squid_refuses_by_its_rules(world, squid):
    answer = await (await world.session()).exchange(through([squid.clear], authority="forbidden.test:443"))
    assert (
        outcome(answer) == "PEER_REFUSED" and answer.reply.status == 403 and b"forbidden.test" in answer.body
    )


async def test_squid_cannot_reach_the_origin(world, squid):
    answer = await (await world.session()).exchange(through([squid.clear], authority="origin.test:1"))
    assert outcome(answer) == "PEER_REFUSED" and answer.reply.status in (502, 503)


async def test_a_refusal_over_an_absolute_form_route_is_an_ordinary_reply(world):
    peer = await world.origin(answering(reply(b"abc", REQUIRED, CHALLENGE)))
    answer = await (await world.session()).exchange(get(peer, route=pb.ROUTE_PEER))
    assert (outcome(answer), answer.reply.status, answer.body) == ("COMPLETE", 407, b"abc")
    assert answer.end.request_started and attempts(answer) == ["CONNECTED"]
