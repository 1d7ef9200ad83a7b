# test_proxy_protocol.py: the PROXY header in front of everything else, to HAProxy and byte by byte.
# Source: proto/outrigger.proto, Hop; HAProxy's proxy-protocol.txt §2.1 (text), §2.2 (binary).
import struct

import pytest

from chameleon import SIGNATURE
from origin import answering, reply
from outrigger import endpoint, pb
from test_tunnels import port
from tls import secured, server_context
from tunnel import ESTABLISHED, Tunnel
from world import ask, get, https, outcome, secure

SOURCE, DESTINATION = endpoint("192.0.2.1", 1234), endpoint("198.51.100.2", 443)
SOURCE6, DESTINATION6 = endpoint("2001:db8::1", 1234), endpoint("2001:db8::2", 443)
V1, V2 = pb.PROXY_PROTOCOL_V1, pb.PROXY_PROTOCOL_V2


def header(version, source=None, destination=None, **more):
    return pb.Hop(proxy_protocol=version, proxy_source=source, proxy_destination=destination, **more)


def binary(source, destination):
    family = 0x21 if len(source.ip) == 16 else 0x11
    data = source.ip + destination.ip + struct.pack(">HH", source.port, destination.port)
    return SIGNATURE + bytes([0x21, family]) + struct.pack(">H", len(data)) + data


HEADER_ROWS = {
    "1, IPv4": (header(V1, SOURCE, DESTINATION), b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n"),
    "1, IPv6": (
        header(V1, SOURCE6, DESTINATION6),
        b"PROXY TCP6 2001:db8:0:0:0:0:0:1 2001:db8:0:0:0:0:0:2 1234 443\r\n",
    ),
    "1, no source": (header(V1), b"PROXY UNKNOWN\r\n"),
    "2, IPv4": (header(V2, SOURCE, DESTINATION), binary(SOURCE, DESTINATION)),
    "2, IPv6": (header(V2, SOURCE6, DESTINATION6), binary(SOURCE6, DESTINATION6)),
    "2, no source": (header(V2), SIGNATURE + b"\x20\0\0\0"),
}


@pytest.mark.parametrize("hop, expected", HEADER_ROWS.values(), ids=HEADER_ROWS)
async def test_the_header_comes_once_and_first(world, hop, expected):
    async def serve(peer):
        peer.header = await peer.read(len(expected))
        await answering()(peer)

    origin = await world.origin(serve)
    session = await world.session()
    for number in 1, 2:
        answer = await session.exchange(get(origin, f"/{number}", hop=hop))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer.end
    [peer] = origin.peers
    assert peer.header == expected
    assert bytes(peer.received) == expected + b"".join(peer.requests)


@pytest.mark.parametrize("version", [V1, V2])
async def test_the_destination_is_the_endpoint_unless_told_otherwise(world, version):
    origin = await world.origin()
    stream = (await world.session()).start(get(origin, hop=header(version, SOURCE)))
    peer = await origin.connection()
    text = b"PROXY TCP4 192.0.2.1 127.0.0.1 1234 %d\r\n" % port(origin)
    expected = text if version == V1 else binary(SOURCE, origin.endpoint)
    assert await peer.read(len(expected)) == expected
    await peer.head()
    await peer.send(reply(b"x"))
    assert outcome(await stream.answer()) == "COMPLETE"


@pytest.mark.parametrize("listener", ["clear", "clear6", "secure"])
@pytest.mark.parametrize("version", [V1, V2], ids=["1", "2"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
async def test_haproxy_reads_it(world, haproxy, certificates, listener, version, family):
    hop = header(version, *((SOURCE, DESTINATION) if family == "IPv4" else (SOURCE6, DESTINATION6)))
    expected = b"192.0.2.1 1234 198.51.100.2 443" if family == "IPv4" else b"2001:db8::1 1234 2001:db8::2 443"
    session = await world.session()
    where = [getattr(haproxy, listener)]
    for reused in False, True:
        if listener == "secure":
            answer = await session.exchange(https(where, certificates, more=dict(hop=hop)))
        else:
            answer = await session.exchange(get(where, hop=hop))
        assert (outcome(answer), bytes(answer.body)) == ("COMPLETE", expected), answer.end
        assert answer.reply.connection.reused == reused


@pytest.mark.parametrize("version", [V1, V2], ids=["1", "2"])
async def test_haproxy_sees_our_own_address_when_there_is_no_source(world, haproxy, version):
    answer = await (await world.session()).exchange(get([haproxy.clear], hop=header(version)))
    local = answer.reply.connection.local
    assert bytes(answer.body) == b"127.0.0.1 %d 127.0.0.1 %d" % (local.port, haproxy.clear.port)


async def test_haproxy_refuses_who_sends_none(world, haproxy):
    answer = await (await world.session()).exchange(get([haproxy.clear]))
    assert outcome(answer) == "RESET" and answer.reply is None


async def test_connections_of_two_clients_are_never_shared(world, haproxy):
    session = await world.session()
    hops = [header(V1, endpoint("192.0.2.1", 1), DESTINATION),
            header(V1, endpoint("192.0.2.2", 1), DESTINATION),
            header(V1, endpoint("192.0.2.1", 2), DESTINATION),
            header(V2, endpoint("192.0.2.1", 1), DESTINATION),
            header(V1, endpoint("192.0.2.1", 1), endpoint("198.51.100.2", 80)), header(V1)]  # fmt: skip
    for reused in False, True:
        for hop in hops:
            answer = await session.exchange(get([haproxy.clear], hop=hop))
            source = hop.proxy_source if hop.HasField("proxy_source") else answer.reply.connection.local
            assert answer.body.startswith(b"%s %d " % (".".join(map(str, source.ip)).encode(), source.port))
            assert answer.reply.connection.reused == reused


@pytest.mark.parametrize("version", [V1, V2], ids=["1", "2"])
@pytest.mark.parametrize("outside", ["clear", "tls"])
async def test_in_front_of_connect_and_of_tls_to_the_peer(world, certificates, version, outside):
    """The order is: the header, TLS to the peer, CONNECT, TLS to the origin."""
    expected = binary(SOURCE, DESTINATION) if version == V2 else HEADER_ROWS["1, IPv4"][1]
    peer = await world.origin()
    hop = header(version, SOURCE, DESTINATION, tls=secure(certificates) if outside == "tls" else None)
    message = https(
        peer, certificates, more=dict(route=pb.ROUTE_PEER_TUNNEL, authority="origin.test:1", hop=hop)
    )
    stream = (await world.session()).start(message)
    raw = await peer.connection()
    assert await raw.read(len(expected)) == expected
    outer = await secured(raw, server_context(certificates.peer)) if outside == "tls" else raw
    assert (await outer.head()).line == b"CONNECT origin.test:1 HTTP/1.1"
    await outer.send(ESTABLISHED)
    inner = await secured(outer, server_context(certificates.good))
    assert (await inner.head()).line == b"GET / HTTP/1.1"
    await inner.send(reply(b"own"))
    answer = await stream.answer()
    assert (outcome(answer), answer.body) == ("COMPLETE", b"own")


@pytest.mark.parametrize("version", [V1, V2], ids=["1", "2"])
async def test_in_front_of_a_connect_that_we_answer(world, version):
    expected = binary(SOURCE, DESTINATION) if version == V2 else HEADER_ROWS["1, IPv4"][1]
    origin = await world.origin()
    message = ask("CONNECT", origin, "", authority="origin.test:1", hop=header(version, SOURCE, DESTINATION))
    tunnel = await Tunnel.open(await world.session(), message)
    assert tunnel.reply.status == 200
    far, near = await origin.connection(), tunnel.peer()
    await near.send(b"hello")
    assert await far.read(len(expected) + 5) == expected + b"hello"
    tunnel.close()
    far.close()
    assert (await tunnel.over()).request_body_bytes == 5, "the header is none of the proxy's bytes"


BAD_ROWS = {
    "two families": header(V1, SOURCE, DESTINATION6),
    "a source of another family than the endpoint": header(V1, SOURCE6),
    "a source that is a path": header(V1, endpoint("/run/x.sock"), DESTINATION),
    "a source without an address": header(V2, pb.Endpoint(port=1), DESTINATION),
    "a source and no header": header(pb.PROXY_PROTOCOL_NONE, SOURCE),
    "a destination and no source": header(V1, None, DESTINATION),
}


@pytest.mark.parametrize("hop", BAD_ROWS.values(), ids=BAD_ROWS)
async def test_addresses_that_make_no_header_are_refused(world, hop):
    origin = await world.origin(answering())
    answer = await (await world.session()).exchange(get(origin, hop=hop))
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail, answer.end
    assert not origin.peers


async def test_over_a_unix_socket_with_both_addresses(world):
    async def serve(peer):
        assert await peer.until(b"\r\n") == HEADER_ROWS["1, IPv4"][1]
        await answering()(peer)

    origin = await world.origin(serve, unix=True)
    answer = await (await world.session()).exchange(get(origin, hop=header(V1, SOURCE, DESTINATION)))
    assert outcome(answer) == "COMPLETE", answer.end
