# test_tunnels.py: an origin through a CONNECT tunnel: what the peer gets, what the origin gets, what is kept.
# Source: proto/outrigger.proto, Hop and ROUTE_PEER_TUNNEL; issue "CONNECT and routes"; RFC 9110 §9.3.6;
# RFC 9112 §6.3; SECURITY rows 5, 7, 11, 20, 21.
import asyncio

import pytest

from nginx import pattern
from origin import HEAD_END, answering, reply
from outrigger import pb
from tls import secured, server_context
from tunnel import ESTABLISHED, tunnels_to
from world import CANARY, ask, attempts, fate, get, outcome, secure, until

MIB = 1 << 20
TUNNEL = dict(route=pb.ROUTE_PEER_TUNNEL)


def through(peer, certificates=None, target="/", authority="origin.test:8443", hop=None, **more):
    """A GET in a tunnel: with certificates over TLS inside."""
    if certificates:
        more = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates), **more}
    if hop:
        more["hop"] = hop
    return get(peer, target, authority=authority, **TUNNEL, **more)


def connect_fields(*pairs, **more):
    return pb.Hop(connect_fields=[pb.Field(name=name, value=value) for name, value in pairs], **more)


def port(origin):
    return origin.endpoint.port


# Scripted peers


@pytest.mark.parametrize("inside", ["http", "https"])
@pytest.mark.parametrize("outside", ["clear", "tls"])
async def test_a_tunnel_is_made_used_and_used_again(world, certificates, inside, outside):
    inner = server_context(certificates.good) if inside == "https" else None
    outer = server_context(certificates.peer) if outside == "tls" else None
    peer = await world.origin(tunnels_to(answering(), inner), tls=outer)
    hop = pb.Hop(tls=secure(certificates)) if outer else None
    session = await world.session()
    for number in 1, 2:
        answer = await session.exchange(through(peer, certificates if inner else None, f"/{number}", hop=hop))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer.end
        facts = answer.reply.connection
        assert (facts.reused, facts.requests) == (number == 2, number)
        assert facts.HasField("tls") == bool(inner) and facts.HasField("peer_tls") == bool(outer)
    if inner:
        assert facts.tls.certificate_sha256 == certificates.good.sha256
    if outer:
        assert facts.peer_tls.certificate_sha256 == certificates.peer.sha256
    [connection] = peer.peers
    [head] = connection.requests
    assert head.line == b"CONNECT origin.test:8443 HTTP/1.1" and head.values(b"host") == [b"origin.test:8443"]
    assert [one.line for one in connection.inner.requests] == [b"GET /1 HTTP/1.1", b"GET /2 HTTP/1.1"]


@pytest.mark.parametrize("scheme, authority, target", [
    ("http", "origin.test", b"origin.test:80"), ("https", "origin.test", b"origin.test:443"),
    ("http", "origin.test:8080", b"origin.test:8080"), ("http", "[::1]", b"[::1]:80"),
    ("https", "127.0.0.1", b"127.0.0.1:443")])  # fmt: skip
async def test_the_target_of_connect_always_has_a_port(world, certificates, scheme, authority, target):
    inner = server_context(certificates.good) if scheme == "https" else None
    peer = await world.origin(tunnels_to(answering(), inner))
    answer = await (await world.session()).exchange(
        through(peer, certificates if inner else None, authority=authority)
    )
    assert outcome(answer) == "COMPLETE", answer.end
    head = peer.peers[0].requests[0]
    assert head.target == target and head.values(b"host") == [target]
    assert peer.peers[0].inner.requests[0].values(b"host") == [authority.encode()]


@pytest.mark.parametrize("inside", ["http", "https"])
async def test_fields_for_the_peer_and_for_the_origin_never_mix(world, certificates, inside):
    inner = server_context(certificates.good) if inside == "https" else None
    peer = await world.origin(tunnels_to(answering(), inner))
    hop = connect_fields((b"Proxy-Authorization", b"Basic " + CANARY), (b"User-Agent", b"for the peer"))
    fields = [
        (b"Authorization", b"Bearer " + CANARY),
        (b"Cookie", b"a=b"),
        (b"User-Agent", b"for the origin"),
    ]
    message = through(peer, certificates if inner else None, headers=fields, hop=hop)
    assert outcome(await (await world.session()).exchange(message)) == "COMPLETE"
    outer, [head] = peer.peers[0].requests[0], peer.peers[0].inner.requests
    assert outer.values(b"proxy-authorization") == [b"Basic " + CANARY]
    assert outer.values(b"user-agent") == [b"for the peer"]
    assert not outer.values(b"authorization") and not outer.values(b"cookie")
    assert (
        head.values(b"user-agent") == [b"for the origin"]
        and head.values(b"authorization")
        and head.values(b"cookie")
    )
    assert not head.values(b"proxy-authorization")


async def test_without_fields_the_connect_has_host_and_no_body(world):
    peer = await world.origin(tunnels_to(answering()))
    await (await world.session()).exchange(through(peer))
    names = [line.split(b":")[0].lower() for line in peer.peers[0].requests[0].lines]
    assert b"host" in names and not {b"content-length", b"transfer-encoding", b"user-agent"} & set(names)


BAD_FIELDS = {"CR LF in a value": (b"X", b"a\r\nY: b"), "NUL": (b"X", b"a\0"),
              "a name that is no token": (b"X Y", b"a"),
              "no name": (b"", b"a"),
              "another host": (b"Host", b"evil.test"), "a length": (b"Content-Length", b"5"),
              "chunks": (b"Transfer-Encoding", b"chunked")}  # fmt: skip


@pytest.mark.parametrize("field", BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_field_that_would_split_or_frame_the_connect_is_refused(world, field):
    peer = await world.origin(tunnels_to(answering()))
    answer = await (await world.session()).exchange(through(peer, hop=connect_fields(field)))
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail, answer.end
    assert not peer.peers


@pytest.mark.parametrize("authority", ["a b", "a\r\nX: y", "user@origin.test", "origin.test/x", "",
                                       "origin.test:x",
                                       "origin.test:0", "origin.test:65536", "[::1",
                                       "a\0b"], ids=repr)  # fmt: skip
async def test_an_authority_that_is_no_target_of_connect_is_refused(world, authority):
    peer = await world.origin(tunnels_to(answering()))
    answer = await (await world.session()).exchange(through(peer, authority=authority))
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail, answer.end
    assert not peer.peers


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 Connection established",
                                  b"HTTP/1.1 204 No Content",
                                  b"HTTP/1.1 299 "])  # fmt: skip
async def test_any_2xx_makes_the_tunnel_and_its_framing_fields_mean_nothing(world, line):
    head = line + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close" + HEAD_END
    peer = await world.origin(tunnels_to(answering(), reply=head))
    session = await world.session()
    for number in 1, 2:
        answer = await session.exchange(through(peer, target=f"/{number}"))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer.end
    assert len(peer.peers) == 1, "the tunnel's own keep-alive is the origin's to decide"


@pytest.mark.parametrize("inside", ["http", "https"])
async def test_not_a_byte_goes_into_a_tunnel_that_is_not_yet_made(world, certificates, inside):
    peer = await world.origin()
    session = await world.session()
    stream = session.start(through(peer, certificates if inside == "https" else None))
    connection = await peer.connection()
    await connection.head()
    await connection.send(b"HTTP/1.1 100 Continue" + HEAD_END)
    await world.barrier(session)
    assert connection.pending() == b""
    await connection.send(ESTABLISHED[:-2])
    await world.barrier(session)
    assert connection.pending() == b""
    await connection.send(ESTABLISHED[-2:])
    inner = await secured(connection, server_context(certificates.good)) if inside == "https" else connection
    await inner.head()
    await inner.send(reply(b"own"))
    assert (await stream.answer()).body == b"own"


# Which tunnel is used again


async def test_a_tunnel_is_used_again_for_its_own_origin_only(world):
    peer = await world.origin(tunnels_to(answering()))
    session = await world.session()
    rows = ["a.test:80", "b.test:80", "a.test:81", "a.test:80", "A.test:80"]
    reused = [(await session.exchange(through(peer, authority=one))).reply.connection.reused for one in rows]
    assert reused[:4] == [False, False, False, True]
    assert [one.requests[0].target for one in peer.peers[:3]] == [b"a.test:80", b"b.test:80", b"a.test:81"]


async def test_a_tunnel_is_used_again_with_the_same_connect_fields_only(world):
    """SECURITY row 5: the tunnel of proxy user A is not B's."""
    peer = await world.origin(tunnels_to(answering()))
    session = await world.session()
    hops = [connect_fields((b"Proxy-Authorization", b"Basic " + user)) for user in (b"AAAA", b"BBBB")]
    hops += [None, connect_fields((b"X", b"1"), (b"Y", b"2")), connect_fields((b"Y", b"2"), (b"X", b"1"))]
    for reused in False, True:
        for hop in hops[:4]:
            assert (await session.exchange(through(peer, hop=hop))).reply.connection.reused == reused
    assert len(peer.peers) == 4
    sent = [one.requests[0].values(b"proxy-authorization") for one in peer.peers]
    assert sent == [[b"Basic AAAA"], [b"Basic BBBB"], [], []]


async def test_a_connection_to_the_peer_may_become_a_tunnel_and_never_the_other_way_round(world):
    async def serve(peer):
        peer.inside = []
        while (await peer.head()).method != b"CONNECT":
            await peer.send(reply(b"outside"))
        await peer.send(ESTABLISHED)
        while True:
            peer.inside.append(await peer.head())
            await peer.send(reply(b"inside"))

    peer = await world.origin(serve)
    session = await world.session()
    plain = get(peer, authority="origin.test:8443", route=pb.ROUTE_PEER)
    for message, body in [(plain, b"outside"), (through(peer), b"inside")] * 3:
        answer = await session.exchange(message)
        assert (outcome(answer), answer.body) == ("COMPLETE", body), answer.end
    assert sum(len(one.inside) for one in peer.peers) == 3 and len(peer.peers) == 2


async def test_a_tunnel_whose_origin_closes_is_not_used_again(world):
    peer = await world.origin(tunnels_to(answering(reply(b"x", b"200 OK", b"Connection: close"))))
    session = await world.session()
    for _ in range(2):
        assert fate(await session.exchange(through(peer))) == "CLOSED"
    assert len(peer.peers) == 2


# Bodies


@pytest.mark.parametrize("outside", ["clear", "tls"])
async def test_8_mib_both_ways_in_tls_in_a_tunnel(world, certificates, outside):
    body = pattern(8 * MIB)

    async def mirror(peer):
        while True:
            head = await peer.head()
            assert await peer.reader.readexactly(int(head.values(b"content-length")[0])) == body
            await peer.send(reply(body))

    outer = server_context(certificates.peer) if outside == "tls" else None
    peer = await world.origin(tunnels_to(mirror, server_context(certificates.good)), tls=outer)
    hop = pb.Hop(tls=secure(certificates)) if outer else None
    session = await world.session()
    message = ask("PUT", peer, authority="origin.test:8443", length=len(body), scheme=pb.SCHEME_HTTPS,
                  tls=secure(certificates), hop=hop, **TUNNEL)  # fmt: skip
    for _ in range(2):
        answer = await session.exchange(message, body)
        assert (outcome(answer), answer.body) == ("COMPLETE", body), answer.end
    assert len(peer.peers) == 1 and world.sidecar.resident(peak=True) < 100 * MIB


@pytest.mark.parametrize("ending, expected", [("close", "COMPLETE"), ("truncate", "TRUNCATED")])
@pytest.mark.parametrize("outside", ["clear", "tls"])
async def test_the_inner_close_notify_proves_the_end_not_the_outer(
    world, certificates, ending, expected, outside
):
    async def serve(inner):
        await inner.head()
        await inner.send(b"HTTP/1.1 200 OK" + HEAD_END + b"abc")
        if ending == "close":
            inner.half_close()
        inner.layer.below.close()  # the peer says close_notify of its own, where it speaks TLS

    outer = server_context(certificates.peer) if outside == "tls" else None
    peer = await world.origin(tunnels_to(serve, server_context(certificates.good)), tls=outer)
    hop = pb.Hop(tls=secure(certificates)) if outer else None
    answer = await (await world.session()).exchange(through(peer, certificates, hop=hop))
    assert (outcome(answer), answer.body) == (expected, b"abc"), answer.end


# TLS that fails


@pytest.mark.parametrize("hop_name", ["peer", "origin"])
async def test_a_certificate_that_is_not_good_fails_and_the_words_say_whose(world, certificates, hop_name):
    inner = server_context(certificates.expired if hop_name == "origin" else certificates.good)
    outer = server_context(certificates.expired if hop_name == "peer" else certificates.peer)
    peer = await world.origin(tunnels_to(answering(), inner), tls=outer)
    answer = await (await world.session()).exchange(
        through(peer, certificates, hop=pb.Hop(tls=secure(certificates)))
    )
    assert (outcome(answer), attempts(answer)) == ("TLS_VERIFY", ["TLS_FAILED"]), answer.end
    assert "expired" in answer.end.detail and not answer.end.request_started and answer.end.repeatable
    assert (len(peer.peers) == 0) == (hop_name == "peer")


async def test_a_peer_is_verified_by_its_address_unless_it_has_a_name(world, certificates):
    peer = await world.origin(tunnels_to(answering()), tls=server_context(certificates.peer))
    other = await world.origin(tunnels_to(answering()), tls=server_context(certificates.wrong_name))
    session = await world.session()
    hop = pb.Hop(tls=secure(certificates))
    assert outcome(await session.exchange(through(peer, hop=hop))) == "COMPLETE"
    assert peer.hellos[0].server_name is None
    answer = await session.exchange(through(other, hop=hop))
    assert outcome(answer) == "TLS_VERIFY" and "127.0.0.1" in answer.end.detail
    named = pb.Hop(tls=secure(certificates, server_name="other.test"))
    assert outcome(await session.exchange(through(other, hop=named))) == "COMPLETE"
    assert other.hellos[-1].server_name == "other.test"


# Squid


@pytest.mark.parametrize("inside", ["http", "https"])
@pytest.mark.parametrize("listener", ["clear", "secure", "mutual"])
async def test_through_squid(world, squid, certificates, inside, listener):
    origin = await world.origin(
        answering(), tls=server_context(certificates.good) if inside == "https" else None
    )
    client = certificates.client
    files = dict(certificate_path=str(client.path), key_path=str(client.key)) if listener == "mutual" else {}
    hop = None if listener == "clear" else pb.Hop(tls=secure(certificates, **files))
    session = await world.session()
    target = f"origin.test:{port(origin)}"
    for number in range(3):
        answer = await session.exchange(through([getattr(squid, listener)],
                                                certificates if inside == "https" else None,
                                                f"/{number}", authority=target, hop=hop))  # fmt: skip
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer.end
        assert answer.reply.connection.reused == (number > 0)
    assert len(origin.peers) == 1
    await origin.stop()  # Squid writes its line when the tunnel ends
    await until(
        lambda: [one.method for one in squid.log() if one.target == target] == ["CONNECT"], "one CONNECT"
    )


async def test_many_tunnels_at_the_same_time_through_squid(world, squid, certificates):
    origin = await world.origin(answering(reply(pattern(100_000))), tls=server_context(certificates.good))
    session = await world.session()
    target = f"origin.test:{port(origin)}"
    hop = pb.Hop(tls=secure(certificates))
    messages = [through([squid.secure], certificates, f"/{n}", target, hop) for n in range(20)]
    answers = await asyncio.gather(*map(session.exchange, messages))
    assert {outcome(one) for one in answers} == {"COMPLETE"} and len(origin.peers) == 20
    assert {bytes(one.body) for one in answers} == {pattern(100_000)}
