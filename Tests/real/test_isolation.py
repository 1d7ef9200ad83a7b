# test_isolation.py: requests that differ in one field of the identity share no connection and no ticket.
# Source: DESIGN "Identity is part of the key"; proto/outrigger.proto, Tls and Hop; issue "Proof";
# SECURITY rows 5, 8, 9, 10.
import copy
import ssl

import pytest

from chameleon import Chameleon
from origin import answering
from outrigger import endpoint, pb
from tls import server_context
from world import CANARY, get, https, outcome, secure

# Fields of Tls: what the one request has and the other has not.


def tls_rows(certificates):
    client, other, issuer = certificates.client, certificates.client_b, certificates.authority.intermediate
    shown = dict(certificate_path=str(client.both))
    right = certificates.good.spki_sha256
    return {
        "server_name": ({}, dict(server_name="peer.test", verify_name="origin.test")),
        "server_name for an address": (dict(server_name="origin.test"), dict(server_name="peer.test")),
        "verify_name": (dict(server_name="origin.test"),
                        dict(server_name="origin.test", verify_name="peer.test")),
        "verify_name, an address": (dict(verify_name="origin.test"), dict(verify_name="127.0.0.1")),
        "trust, a folder": ({}, dict(trust=pb.TLS_TRUST_DIRECTORY, trust_path=certificates.directory)),
        "trust, none": ({}, dict(trust=pb.TLS_TRUST_NONE, trust_path="")),
        "trust_path": ({}, dict(trust_path=certificates.copy(certificates.file))),
        "certificate_path": ({}, shown),
        "certificate_path, another": (shown, dict(certificate_path=str(other.both))),
        "certificate_path, a copy": (shown, dict(certificate_path=certificates.copy(client.both))),
        "key_path": (dict(certificate_path=str(client.path), key_path=str(client.key)),
                     dict(certificate_path=str(client.path), key_path=certificates.copy(client.key))),
        "version_min": ({}, dict(version_min=pb.TLS_VERSION_1_3)),
        "version_max": ({}, dict(version_max=pb.TLS_VERSION_1_2)),
        "ciphers": ({}, dict(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")),
        "ciphers, in 1.2": (dict(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", version_max=pb.TLS_VERSION_1_2),
                            dict(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", version_max=pb.TLS_VERSION_1_2)),
        "cipher_suites": ({}, dict(cipher_suites="TLS_AES_256_GCM_SHA384")),
        "alpn": ({}, dict(alpn=["http/1.1", "x"])),
        "alpn, its order": (dict(alpn=["http/1.1", "x"]), dict(alpn=["x", "http/1.1"])),
        "spki_sha256": ({}, dict(spki_sha256=[right])),
        "spki_sha256, another": (dict(spki_sha256=[right]), dict(spki_sha256=[issuer.spki_sha256])),
        "spki_sha256, one more": (dict(spki_sha256=[right]), dict(spki_sha256=[right, bytes(32)])),
    }  # fmt: skip


TLS_ROW_NAMES = [
    "server_name", "server_name for an address", "verify_name", "verify_name, an address",
    "trust, a folder", "trust, none", "trust_path", "certificate_path", "certificate_path, another",
    "certificate_path, a copy", "key_path", "version_min", "version_max", "ciphers",
    "ciphers, in 1.2", "cipher_suites", "alpn", "alpn, its order", "spki_sha256",
    "spki_sha256, another", "spki_sha256, one more",
]  # fmt: skip


def direct(upstream, certificates, fields):
    return https(upstream, certificates, **fields)


def in_a_tunnel(upstream, certificates, fields):
    return https(upstream, certificates, more=dict(route=pb.ROUTE_PEER_TUNNEL), **fields)


def in_a_tunnel_of_a_tls_peer(upstream, certificates, fields):
    more = dict(route=pb.ROUTE_PEER_TUNNEL, hop=pb.Hop(tls=secure(certificates)))
    return https(upstream, certificates, more=more, **fields)


def to_a_peer(upstream, certificates, fields):
    return get(upstream, route=pb.ROUTE_PEER, hop=pb.Hop(tls=secure(certificates, **fields)))


def to_a_peer_with_a_tunnel(upstream, certificates, fields):
    return get(upstream, route=pb.ROUTE_PEER_TUNNEL, hop=pb.Hop(tls=secure(certificates, **fields)))


def to_a_peer_with_tls_in_a_tunnel(upstream, certificates, fields):
    more = dict(route=pb.ROUTE_PEER_TUNNEL, hop=pb.Hop(tls=secure(certificates, **fields)))
    return https(upstream, certificates, more=more)


PLACES = [
    direct,
    in_a_tunnel,
    in_a_tunnel_of_a_tls_peer,
    to_a_peer,
    to_a_peer_with_a_tunnel,
    to_a_peer_with_tls_in_a_tunnel,
]


def takes_all(certificates):
    context = server_context(certificates.good)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(certificates.file)
    return Chameleon(context)


async def upstream(world, certificates):
    origin = takes_all(certificates)
    world.origins.append(origin)
    return await origin.start()


async def exchanged(session, message, target=b"/"):
    message = copy.deepcopy(message)
    message.target = target
    answer = await session.exchange(message)
    assert outcome(answer) == "COMPLETE", answer.end
    return answer.reply.connection


async def apart(session, first, second):
    """Each has a connection of its own, which both keep."""
    order = [first, first, second, second, first, second]
    facts = [await exchanged(session, message) for message in order]
    assert [one.reused for one in facts] == [False, True, False, True, True, True]
    assert [one.requests for one in facts] == [1, 2, 1, 2, 3, 3]


async def never_resumes_the_other(session, origin, first, second, layer):
    """Each resumes its own sessions, as connections that close show. `layer`: 0 for the outer."""
    for message in first, second, first, second:
        await exchanged(session, message, b"/close")
    offers = [one.hellos[layer].offers_session for one in origin.connections]
    assert offers == [False, False, True, True], "its own, and only its own"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("row", TLS_ROW_NAMES)
async def test_tls_that_differs_in(world, certificates, place, row):
    origin = await upstream(world, certificates)
    session = await world.session()
    first, second = (place(origin, certificates, fields) for fields in tls_rows(certificates)[row])
    layer = 1 if place is in_a_tunnel_of_a_tls_peer else 0
    await never_resumes_the_other(session, origin, first, second, layer)
    before = len(origin.connections)
    await apart(session, first, second)
    assert len(origin.connections) == before + 2


def test_every_row_and_every_field_of_tls_is_here(certificates):
    assert list(tls_rows(certificates)) == TLS_ROW_NAMES
    named = {row.split(",")[0].split(" ")[0] for row in TLS_ROW_NAMES}
    elsewhere = {"profile", "require_staple"}  # in test_profiles, and below
    assert {field.name for field in pb.Tls.DESCRIPTOR.fields} == named | elsewhere


@pytest.mark.parametrize("place", [direct, to_a_peer], ids=lambda place: place.__name__)
async def test_a_demand_for_a_staple(world, secure_nginx, certificates, place):
    session = await world.session()
    where, fields = [secure_nginx.staple_good], dict(alpn=["http/1.1", place.__name__])
    first, second = (
        place(where, certificates, {**fields, **more}) for more in ({}, dict(require_staple=True))
    )
    resumed = []
    for message in first, second, first, second:
        facts = await exchanged(session, message, b"/once")
        resumed.append((facts.tls if facts.HasField("tls") else facts.peer_tls).resumed)
    assert resumed == [False, False, True, True]
    await apart(session, first, second)


# All else that identifies a connection


def fields(*pairs):
    return [pb.Field(name=name, value=value) for name, value in pairs]


def proxied(
    version=pb.PROXY_PROTOCOL_V1,
    source="192.0.2.1",
    source_port=1,
    destination="192.0.2.2",
    destination_port=2,
):
    return dict(proxy_protocol=version, proxy_source=endpoint(source, source_port),
                proxy_destination=endpoint(destination, destination_port))  # fmt: skip


def known(user=b"u", password=CANARY):
    """Who we are to the peer of a tunnel."""
    return pb.Credentials(peer=pb.Credential(user=user, password=password))


A1 = dict(connect_fields=[pb.Field(name=b"A", value=b"1")])
TUNNEL, PEER = dict(route=pb.ROUTE_PEER_TUNNEL), dict(route=pb.ROUTE_PEER)
LOCAL = pb.Endpoint(ip=bytes([127, 0, 0, 9]))
ROWS = {
    "authority, over TLS": (dict(https=True), dict(https=True, authority="peer.test")),
    "authority, in a tunnel": (TUNNEL, dict(authority="peer.test", **TUNNEL)),
    "port of the authority, in a tunnel": (
        dict(authority="a.test:1", **TUNNEL), dict(authority="a.test:2", **TUNNEL)),
    "scheme": ({}, dict(https=True)),
    "scheme, in a tunnel": (dict(authority="origin.test:1", **TUNNEL),
                            dict(https=True, authority="origin.test:1", **TUNNEL)),
    "route, peer": ({}, PEER),
    "route, tunnel": ({}, TUNNEL),
    # Peer and tunnel: test_tunnels has that story; a connection to the peer may become a tunnel.
    "route, tunnel and TLS": (dict(https=True), dict(https=True, **TUNNEL)),
    "local address": ({}, dict(local_address=LOCAL)),
    "local address, over TLS": (dict(https=True), dict(https=True, local_address=LOCAL)),
    "TLS to the peer": (PEER, dict(hop=dict(tls=True), **PEER)),
    "TLS to the peer, in a tunnel": (TUNNEL, dict(hop=dict(tls=True), **TUNNEL)),
    "connect_fields": (TUNNEL, dict(hop=A1, **TUNNEL)),
    "connect_fields, value": (dict(hop=A1, **TUNNEL),
                              dict(hop=dict(connect_fields=fields((b"A", b"2"))), **TUNNEL)),
    "connect_fields, name": (dict(hop=A1, **TUNNEL),
                             dict(hop=dict(connect_fields=fields((b"B", b"1"))), **TUNNEL)),
    "connect_fields, where one ends": (dict(hop=dict(connect_fields=fields((b"A", b"1B"))), **TUNNEL),
                                       dict(hop=dict(connect_fields=fields((b"A", b"1"), (b"B", b""))),
                                            **TUNNEL)),
    "connect_fields, with TLS inside": (dict(https=True, **TUNNEL),
                                        dict(https=True, hop=A1, **TUNNEL)),
    "credentials": (TUNNEL, dict(credentials=known(), **TUNNEL)),
    "credentials, user": (dict(credentials=known(), **TUNNEL), dict(credentials=known(user=b"w"), **TUNNEL)),
    "credentials, password": (dict(credentials=known(), **TUNNEL),
                              dict(credentials=known(password=CANARY + b"2"), **TUNNEL)),
    "credentials, password, with TLS inside": (
        dict(https=True, credentials=known(), **TUNNEL),
        dict(https=True, credentials=known(password=CANARY + b"2"), **TUNNEL)),
    "proxy_protocol": ({}, dict(hop=dict(proxy_protocol=pb.PROXY_PROTOCOL_V1))),
    "proxy_protocol, version": (dict(hop=proxied()), dict(hop=proxied(pb.PROXY_PROTOCOL_V2))),
    "proxy_source": (dict(hop=dict(proxy_protocol=pb.PROXY_PROTOCOL_V2)),
                     dict(hop=proxied(pb.PROXY_PROTOCOL_V2))),
    "proxy_source, address": (dict(hop=proxied()), dict(hop=proxied(source="192.0.2.9"))),
    "proxy_source, port": (dict(hop=proxied()), dict(hop=proxied(source_port=9))),
    "proxy_destination, address": (dict(hop=proxied()), dict(hop=proxied(destination="192.0.2.9"))),
    "proxy_destination, port": (dict(hop=proxied()), dict(hop=proxied(destination_port=9))),
    "proxy_source, over TLS": (dict(https=True, hop=proxied()),
                               dict(https=True, hop=proxied(source="192.0.2.9"))),
    "proxy_source, of a tunnel": (dict(hop=proxied(), **TUNNEL),
                                  dict(hop=proxied(source="192.0.2.9"), **TUNNEL)),
}  # fmt: skip


def build(origin, certificates, https=False, hop=None, **more):
    if hop:
        more["hop"] = pb.Hop(**{**hop, **({"tls": secure(certificates)} if hop.get("tls") else {})})
    if https:
        more |= dict(scheme=pb.SCHEME_HTTPS, tls=secure(certificates))
    return get(origin, **more)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
async def test_requests_that_differ_in(world, certificates, rows):
    origin = await upstream(world, certificates)
    session = await world.session()
    first, second = (build(origin, certificates, **row) for row in rows)
    await apart(session, first, second)
    assert len(origin.connections) == 2


TICKET_ROWS = [
    "local address, over TLS", "connect_fields, with TLS inside", "proxy_source, over TLS",
    "credentials, password, with TLS inside",
]  # fmt: skip


@pytest.mark.parametrize("row", TICKET_ROWS)
async def test_tickets_of_the_same_tls_over_another_way_are_not_used(world, certificates, row):
    origin = await upstream(world, certificates)
    session = await world.session()
    first, second = (build(origin, certificates, **fields) for fields in ROWS[row])
    await never_resumes_the_other(session, origin, first, second, 0)


@pytest.mark.parametrize("https", [False, True])
async def test_requests_that_differ_in_the_endpoint(world, certificates, https):
    origins = [await upstream(world, certificates) for _ in range(2)]
    session = await world.session()
    first, second = (build(origin, certificates, https) for origin in origins)
    await apart(session, first, second)
    assert [len(one.connections) for one in origins] == [1, 1]
    if https:
        for message in first, second, first, second:
            await exchanged(session, message, b"/close")
        for origin in origins:
            assert [hello.offers_session for one in origin.connections for hello in one.hellos] == [
                False,
                True,
            ]


EQUAL_ROWS = {
    "target, method, fields": dict(target=b"/x", method=b"HEAD", fields=fields((b"A", b"b"))),
    "tag": dict(tag=b"other"),
    "deadlines": dict(deadlines=pb.Deadlines(total_ms=9000)),
    "retry": dict(retry=pb.RETRY_NEVER),
}


@pytest.mark.parametrize("row", EQUAL_ROWS.values(), ids=EQUAL_ROWS)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_what_is_none_of_the_connection_s_business_does_not_part_them(world, certificates, place, row):
    origin = await upstream(world, certificates)
    session = await world.session()
    message = place(origin, certificates, {})
    assert not (await exchanged(session, message)).reused
    other = copy.deepcopy(message)
    other.MergeFrom(pb.Request(**row))
    answer = await session.exchange(other)
    assert outcome(answer) == "COMPLETE" and answer.reply.connection.reused


# Rows of SECURITY that need a story


@pytest.mark.parametrize("first", ["http", "https"])
async def test_9_an_idle_connection_of_the_other_kind_is_not_used(world, certificates, first):
    origin = await upstream(world, certificates)
    session = await world.session()
    clear, tls = get(origin), https(origin, certificates)
    order = [clear, tls] if first == "http" else [tls, clear]
    assert [(await exchanged(session, one)).reused for one in order] == [False, False]
    assert sorted(len(one.hellos) for one in origin.connections) == [0, 1]


async def test_10_a_connection_verified_for_one_name_does_not_serve_another(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.ip_only))
    session = await world.session()
    assert (
        outcome(await session.exchange(https(origin, certificates, more=dict(authority="127.0.0.1"))))
        == "COMPLETE"
    )
    answer = await session.exchange(https(origin, certificates, more=dict(authority="origin.test")))
    assert outcome(answer) == "TLS_VERIFY" and len(origin.requests) == 1
    same = https(
        origin,
        certificates,
        server_name="origin.test",
        verify_name="origin.test",
        more=dict(authority="127.0.0.1"),
    )
    assert outcome(await session.exchange(same)) == "TLS_VERIFY" and len(origin.requests) == 1


async def test_8_unverified_connections_never_serve_a_request_that_verifies(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.untrusted))
    session = await world.session()
    lax = https(origin, certificates, trust=pb.TLS_TRUST_NONE, trust_path="")
    assert outcome(await session.exchange(lax)) == "COMPLETE"
    for _ in range(2):
        assert outcome(await session.exchange(https(origin, certificates))) == "TLS_VERIFY"
    assert (await session.exchange(lax)).reply.connection.reused and len(origin.requests) == 2
