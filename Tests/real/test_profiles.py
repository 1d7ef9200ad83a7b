# test_profiles.py: TLS profiles and routes by name, and what of a request is stronger than they.
# Source: proto/outrigger.proto, Tls.profile and Hop.name; issue "Configuration".
import base64

import pytest

from chameleon import Chameleon
from origin import answering, reply
from outrigger import endpoint, pb
from test_isolation import apart
from test_proxy_protocol import SIGNATURE
from tls import server_context
from tunnel import tunnels_to
from world import CANARY, ask, get, outcome, secure


async def configured(world, text):
    """A second sidecar, with such a file; sessions of the world are with it from now on."""
    path = f"{world.folder}/outrigger.yaml"
    with open(path, "w") as file:
        file.write(text)
    environment = {"PEER_AUTHORIZATION": "Basic " + CANARY.decode()}
    world.sidecar = await world.start_sidecar(f"{world.folder}/named.sock", environment, config=path)
    return await world.session()


def https(origin, target="/", tls=None, **more):
    """Over TLS, with no word about it unless there is one."""
    return get(origin, target, scheme=pb.SCHEME_HTTPS, tls=tls, **more)


async def test_the_profile_default_is_what_https_means(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    session = await configured(world, f"tls: {{default: {{trust: {{file: {certificates.file}}}}}}}\n")
    for tls in None, pb.Tls(), pb.Tls(profile="default"):
        answer = await session.exchange(https(origin, tls=tls))
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/"), answer.end
    assert len(origin.peers) == 1, "three ways to say the same"
    assert origin.hellos[0].server_name == "origin.test" and origin.hellos[0].alpn == ["http/1.1"]


async def test_the_request_is_stronger_than_the_profile(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    trust = f"trust: {{file: {certificates.file}}}"
    text = f"tls: {{default: {{{trust}, max-version: '1.2', server-name: peer.test}}}}\n"
    session = await configured(world, text)
    answer = await session.exchange(https(origin))
    assert answer.reply.connection.tls.version == pb.TLS_VERSION_1_2
    assert origin.hellos[-1].server_name == "peer.test"
    tls = pb.Tls(version_max=pb.TLS_VERSION_1_3, server_name="origin.test")
    answer = await session.exchange(https(origin, tls=tls))
    assert answer.reply.connection.tls.version == pb.TLS_VERSION_1_3
    assert origin.hellos[-1].server_name == "origin.test"
    tls = pb.Tls(trust=pb.TLS_TRUST_FILE, trust_path=certificates.other_file)
    assert outcome(await session.exchange(https(origin, tls=tls))) == "TLS_VERIFY"


async def test_every_key_of_a_profile_reaches_the_wire(world, certificates):
    context = server_context(certificates.good, clients=certificates.file, alpn=["y"])
    origin = await world.origin(answering(), tls=context)
    pin = base64.b64encode(certificates.good.spki_sha256).decode()
    text = f"""
tls:
  full:
    trust: {{directory: {certificates.directory}}}
    certificate: {certificates.client.path}
    key: {certificates.client.key}
    min-version: "1.2"
    max-version: "1.2"
    ciphers: ECDHE-ECDSA-AES256-GCM-SHA384
    alpn: [x, "y"]
    spki-sha256: ["{pin}"]
    server-name: sent.test
    verify-name: peer.test
  suites: {{trust: none, cipher-suites: TLS_CHACHA20_POLY1305_SHA256, alpn: [], min-version: "1.3"}}
  pinned: {{trust: {{file: {certificates.file}}}, spki-sha256: ["{"00" * 32}"]}}
  stapled: {{trust: {{file: {certificates.file}}}, require-staple: true}}
"""
    session = await configured(world, text)
    answer = await session.exchange(https(origin, tls=pb.Tls(profile="full")))
    assert outcome(answer) == "COMPLETE", answer.end
    facts, hello = answer.reply.connection.tls, origin.hellos[-1]
    assert (facts.version, facts.alpn) == (pb.TLS_VERSION_1_2, "y")
    assert facts.cipher == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" and set(hello.ciphers) - {0xFF} == {
        0xC02C
    }
    assert (hello.server_name, hello.alpn, hello.versions) == ("sent.test", ["x", "y"], [0x0303])
    assert origin.peers[-1].tls.getpeercert()["subject"] == ((("commonName", "client-a"),),)
    origin.context = server_context(certificates.untrusted)
    answer = await session.exchange(https(origin, tls=pb.Tls(profile="suites")))
    assert outcome(answer) == "COMPLETE", answer.end
    assert answer.reply.connection.tls.cipher == "TLS_CHACHA20_POLY1305_SHA256"
    assert origin.hellos[-1].alpn == [] and origin.hellos[-1].versions == [0x0304]
    origin.context = server_context(certificates.good)
    for name, word in ("pinned", "pin"), ("stapled", "staple"):
        answer = await session.exchange(https(origin, tls=pb.Tls(profile=name)))
        assert outcome(answer) == "TLS_VERIFY" and word in answer.end.detail, answer.end


async def test_profiles_that_differ_share_no_connection(world, certificates):
    context = server_context(certificates.good)
    origin = Chameleon(context)
    world.origins.append(origin)
    await origin.start()
    trust = f"trust: {{file: {certificates.file}}}"
    session = await configured(world, f"tls: {{a: {{{trust}}}, b: {{{trust}, min-version: '1.3'}}}}\n")
    await apart(session, *(https(origin, tls=pb.Tls(profile=name)) for name in "ab"))


ROUTE = """
routes:
  parent:
    kind: peer-tunnel
    endpoints: ["127.0.0.1:{port}"]
    peer-tls: {{trust: {{file: {trust}}}, server-name: peer.test}}
    origin-tls: {{trust: {{file: {trust}}}, max-version: "1.2"}}
    connect-fields: {{Proxy-Authorization: {{env: PEER_AUTHORIZATION}}, User-Agent: outrigger}}
"""


async def test_a_route_gives_what_the_request_leaves_out(world, certificates):
    peer = await world.origin(tunnels_to(answering(), server_context(certificates.good)),
                              tls=server_context(certificates.peer))  # fmt: skip
    session = await configured(world, ROUTE.format(port=peer.endpoint.port, trust=certificates.file))
    message = https([], "/x", authority="origin.test:8443", hop=pb.Hop(name="parent"))
    for reused in False, True:
        answer = await session.exchange(message)
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/x"), answer.end
        facts = answer.reply.connection
        assert (facts.reused, facts.tls.version) == (reused, pb.TLS_VERSION_1_2)
        assert facts.peer_tls.version == pb.TLS_VERSION_1_3
    [head] = peer.peers[0].requests
    assert head.line == b"CONNECT origin.test:8443 HTTP/1.1" and peer.hellos[0].server_name == "peer.test"
    assert head.values(b"proxy-authorization") == [b"Basic " + CANARY]
    assert head.values(b"user-agent") == [b"outrigger"]
    assert not any(one.values(b"proxy-authorization") for one in peer.peers[0].inner.requests)


async def test_the_request_s_connect_fields_come_behind_the_route_s_and_part_connections(world, certificates):
    peer = await world.origin(tunnels_to(answering(reply(b"x"))), tls=server_context(certificates.peer))
    session = await configured(world, ROUTE.format(port=peer.endpoint.port, trust=certificates.file))
    hops = [
        pb.Hop(name="parent", connect_fields=[pb.Field(name=b"X-A", value=value)]) for value in (b"1", b"2")
    ]
    for hop in hops:
        answer = await session.exchange(get([], authority="origin.test:80", hop=hop))
        assert outcome(answer) == "COMPLETE" and not answer.reply.connection.reused, answer.end
    for one, value in zip(peer.peers, (b"1", b"2")):
        names = [line.split(b":")[0].lower() for line in one.requests[0].lines]
        assert names[-3:] == [b"proxy-authorization", b"user-agent", b"x-a"]
        assert one.requests[0].values(b"x-a") == [value]


async def test_a_route_s_endpoints_and_tls_are_weaker_than_the_request_s(world, certificates):
    peer = await world.origin(tunnels_to(answering()), tls=server_context(certificates.wrong_name))
    session = await configured(world, ROUTE.format(port=1, trust=certificates.file))
    hop = pb.Hop(name="parent", tls=secure(certificates, server_name="other.test"))
    answer = await session.exchange(get(peer, authority="origin.test:80", hop=hop))
    assert outcome(answer) == "COMPLETE", answer.end
    assert peer.hellos[0].server_name == "other.test"


async def test_a_route_may_be_direct_with_address_and_proxy_header(world):
    async def serve(peer):
        assert (await peer.read(16))[:12] == SIGNATURE
        await answering()(peer)

    origin = await world.origin(serve)
    session = await configured(world, f"""
routes:
  near: {{endpoints: ["127.0.0.1:{origin.endpoint.port}"], local-address: 127.0.0.9, proxy-protocol: v2}}
""")  # fmt: skip
    answer = await session.exchange(get([], hop=pb.Hop(name="near")))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/"), answer.end
    assert origin.peers[0].remote[0] == "127.0.0.9"


async def test_connect_takes_a_route_too(world, certificates):
    peer = await world.origin(tls=server_context(certificates.peer))
    session = await configured(world, ROUTE.format(port=peer.endpoint.port, trust=certificates.file))
    stream = session.start(ask("CONNECT", [], "", authority="origin.test:1", hop=pb.Hop(name="parent")))
    connection = await peer.connection()
    head = await connection.head()
    assert head.line == b"CONNECT origin.test:1 HTTP/1.1" and head.values(b"user-agent") == [b"outrigger"]
    stream.cancel()
    await stream.answer()


@pytest.mark.parametrize("name", ["peer", "pa", "Parent"])
async def test_a_name_that_does_not_exist_is_a_bad_request(world, certificates, name):
    session = await configured(world, ROUTE.format(port=1, trust=certificates.file))
    answer = await session.exchange(get([endpoint("127.0.0.1", 1)], hop=pb.Hop(name=name)))
    assert outcome(answer) == "BAD_REQUEST" and name in answer.end.detail
