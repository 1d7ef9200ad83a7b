# test_peers.py: peers that are asked in absolute-form, in clear text and over TLS.
# Source: proto/outrigger.proto, ROUTE_PEER and Scheme; issue "CONNECT and routes"; RFC 9112 §3.2.2.
import asyncio

import pytest

from nginx import pattern
from origin import answering, reply
from outrigger import pb
from proxies import LOGIN
from test_tls import V12, V13, refused
from test_tunnels import port
from tls import server_context
from world import CANARY, ask, get, outcome, secure, until

MIB = 1 << 20


def peered(
    peer, target="/", authority="origin.test", certificates=None, method="GET", scheme=pb.SCHEME_HTTP, **more
):
    """In absolute-form; over TLS to the peer with certificates."""
    if certificates:
        more["hop"] = pb.Hop(tls=secure(certificates))
    return ask(method, peer, target, authority=authority, route=pb.ROUTE_PEER, scheme=scheme, **more)


@pytest.mark.parametrize("outside", ["clear", "tls"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_peer_is_asked_in_absolute_form_with_the_scheme(world, certificates, outside, scheme):
    """Over ROUTE_PEER it is the peer that speaks TLS to the origin."""
    outer = server_context(certificates.peer) if outside == "tls" else None
    peer = await world.origin(answering(reply(b"x")), tls=outer)
    session = await world.session()
    number = pb.SCHEME_HTTPS if scheme == "https" else pb.SCHEME_HTTP
    for target in "/path?q", "/":
        message = peered(peer, target, "origin.test:81", certificates if outer else None, scheme=number)
        answer = await session.exchange(message)
        assert outcome(answer) == "COMPLETE", answer.end
    assert [head.target for head in peer.peers[0].requests] == [f"{scheme}://origin.test:81{one}".encode()
                                                                for one in ("/path?q", "/")]  # fmt: skip
    assert peer.peers[0].requests[0].values(b"host") == [b"origin.test:81"]
    facts = answer.reply.connection
    assert facts.reused and not facts.HasField("tls") and facts.HasField("peer_tls") == bool(outer)
    if outer:
        assert facts.peer_tls.certificate_sha256 == certificates.peer.sha256
        assert (facts.peer_tls.version, facts.peer_tls.resumed) == (pb.TLS_VERSION_1_3, False)


async def test_asterisk_form_at_a_peer_has_no_path(world):
    peer = await world.origin(answering(reply(b"x")))
    answer = await (await world.session()).exchange(peered(peer, "*", method="OPTIONS"))
    assert outcome(answer) == "COMPLETE"
    assert peer.requests[0].line == b"OPTIONS http://origin.test HTTP/1.1"  # RFC 9112 §3.2.4


async def test_connections_to_a_peer_serve_all_origins(world, certificates):
    peer = await world.origin(answering(), tls=server_context(certificates.peer))
    session = await world.session()
    rows = [("a.test", pb.SCHEME_HTTP), ("b.test", pb.SCHEME_HTTP), ("a.test", pb.SCHEME_HTTPS)]
    for authority, scheme in rows:
        assert (
            outcome(await session.exchange(peered(peer, "/", authority, certificates, scheme=scheme)))
            == "COMPLETE"
        )
    assert len(peer.peers) == 1, "authority and scheme are not part of what the connection is"


@pytest.mark.parametrize(
    "name, words", [("expired", ["expired"]), ("wrong_name", ["127.0.0.1"]), ("untrusted", ["issuer"])]
)
async def test_a_peer_whose_certificate_is_not_good_is_refused(world, certificates, name, words):
    peer = await world.origin(answering(), tls=server_context(getattr(certificates, name)))
    refused(
        await (await world.session()).exchange(peered(peer, certificates=certificates)), "TLS_VERIFY", *words
    )
    assert not peer.requests


@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_tls_to_a_peer_is_resumed(world, certificates, high):
    peer = await world.origin(answering(reply(b"x", b"200 OK", b"Connection: close")),
                              tls=server_context(certificates.peer, high=high))  # fmt: skip
    session = await world.session()
    answers = [await session.exchange(peered(peer, certificates=certificates)) for _ in range(2)]
    assert [one.reply.connection.peer_tls.resumed for one in answers] == peer.resumed == [False, True]


async def test_connect_fields_are_for_tunnels_only(world):
    """Over absolute-form there is no CONNECT: the peer's credentials are among the request's own fields."""
    peer = await world.origin(answering())
    hop = pb.Hop(connect_fields=[pb.Field(name=b"Proxy-Authorization", value=b"Basic " + CANARY)])
    answer = await (await world.session()).exchange(get(peer, route=pb.ROUTE_PEER, hop=hop))
    assert outcome(answer) == "BAD_REQUEST" and "connect_fields" in answer.end.detail
    assert not peer.peers


# Squid


@pytest.mark.parametrize("listener", ["clear", "secure"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_squid_fetches_for_us(world, squid, certificates, listener, scheme):
    origin = await world.origin(
        answering(), tls=server_context(certificates.good) if scheme == "https" else None
    )
    session = await world.session()
    authority = f"origin.test:{port(origin)}"
    number = pb.SCHEME_HTTPS if scheme == "https" else pb.SCHEME_HTTP
    outer = certificates if listener == "secure" else None
    for count in range(3):
        message = peered([getattr(squid, listener)], f"/{count}", authority, outer, scheme=number)
        answer = await session.exchange(message)
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % count), answer.end
        assert answer.reply.connection.reused == (count > 0)

    def lines():
        return [one for one in squid.log() if authority in one.target]

    await until(lambda: len(lines()) == 3, lines)
    assert [one.target for one in lines()] == [f"{scheme}://{authority}/{count}" for count in range(3)]
    assert len({one.client_port for one in lines()}) == 1, "one connection to Squid"


@pytest.mark.parametrize("listener", ["clear", "secure"])
async def test_bodies_through_squid(world, squid, certificates, listener):
    body = pattern(2 * MIB)

    async def mirror(peer):
        head = await peer.head()
        if head.values(b"expect"):
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await peer.send(reply(await peer.body()))

    origin = await world.origin(mirror)
    outer = certificates if listener == "secure" else None
    session = await world.session()
    message = peered(
        [getattr(squid, listener)], "/", f"origin.test:{port(origin)}", outer, "PUT", length=len(body)
    )
    answers = await asyncio.gather(*(session.exchange(message, body) for _ in range(3)))
    assert [(outcome(one), one.body == body) for one in answers] == [("COMPLETE", True)] * 3


async def test_squid_asks_for_basic_with_the_request_s_own_fields(world, squid):
    origin = await world.origin(answering())
    session = await world.session()
    authority = f"origin.test:{port(origin)}"
    answer = await session.exchange(peered([squid.guarded], "/", authority))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 407)
    login = [(b"Proxy-Authorization", LOGIN)]
    answer = await session.exchange(peered([squid.guarded], "/x", authority, headers=login))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/x")
    assert not origin.requests[0].values(b"proxy-authorization")


async def test_squid_wants_our_certificate(world, squid, certificates):
    origin = await world.origin(answering())
    session = await world.session()
    authority, client = f"origin.test:{port(origin)}", certificates.client
    answer = await session.exchange(peered([squid.mutual], "/", authority, certificates))
    assert outcome(answer) in ("TLS_HANDSHAKE", "RESET") and answer.reply is None and answer.end.detail
    files = dict(certificate_path=str(client.path), key_path=str(client.key))
    hop = pb.Hop(tls=secure(certificates, **files))
    answer = await session.exchange(peered([squid.mutual], "/x", authority, hop=hop))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/x"), answer.end
