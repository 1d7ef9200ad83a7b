# test_pins_binding.py: exchanges that make a connection one client's: its token's, or nobody's from then on.
# The origin is scripted: it lets anyone in and writes down who spoke where.
# Source: RFC 4559 sections 5 and 6; DESIGN "Pins are exclusive".
import pytest

from origin import reply
from outrigger import pb
from tunnel import ESTABLISHED, Tunnel
from world import CANARY, ask, fate, get, outcome

SECRET = b"TlRMTVNTUAADAAAA" + CANARY


def origin_of(*lines, status=b"200 OK"):
    """A `serve` that gives each request these lines, and 401 to those to /challenge."""

    async def serve(peer):
        while True:
            head = await peer.head()
            challenged = head.target.startswith(b"/challenge")
            await peer.send(reply(b"", b"401 No" if challenged else status, *(lines if challenged else ())))

    return serve


def say(origin, target, scheme=None, token=None):
    more = {"pin": pb.Pin(token=token)} if token else {}
    headers = [(b"Authorization", scheme + b" " + SECRET)] if scheme else []
    return get(origin, target, headers, **more)


def targets(origin):
    return [[head.target.decode() for head in peer.requests] for peer in origin.peers]


CHALLENGES = {
    "NTLM": b"WWW-Authenticate: NTLM",
    "Negotiate": b"WWW-Authenticate: Negotiate",
    "in lower case": b"www-authenticate: ntlm",
    "behind another in one line": b'WWW-Authenticate: Basic realm="a, b", NTLM',
    "with a token": b"WWW-Authenticate: NTLM TlRMTVNTUAACAAAA",
}
LOOKALIKES = {
    "NTLMv9": b"WWW-Authenticate: NTLMv9",
    "Negotiated": b"WWW-Authenticate: Negotiated",
    "a realm of that name": b'WWW-Authenticate: Basic realm="x, NTLM"',
    "Basic": b'WWW-Authenticate: Basic realm="x"',
    "Digest": b'WWW-Authenticate: Digest realm="x", nonce="y"',
}


@pytest.mark.parametrize("line", CHALLENGES.values(), ids=CHALLENGES)
async def test_a_binding_challenge_pins_the_connection_to_the_token(world, line):
    origin = await world.origin(origin_of(line))
    session = await world.session()
    answer = await session.exchange(say(origin, "/challenge", token=b"a"))
    facts = answer.reply.connection
    assert (answer.reply.status, fate(answer)) == (401, "PINNED") and facts.bound and facts.pinned
    assert (await session.pins.get()).change == pb.PIN_MADE
    await session.exchange(say(origin, "/other"))
    await session.exchange(say(origin, "/own", b"NTLM", b"a"))
    assert targets(origin) == [["/challenge", "/own"], ["/other"]]


@pytest.mark.parametrize("line", CHALLENGES.values(), ids=CHALLENGES)
async def test_without_a_token_a_binding_challenge_closes_the_connection(world, line):
    origin = await world.origin(origin_of(line))
    session = await world.session()
    answer = await session.exchange(say(origin, "/challenge"))
    assert fate(answer) == "CLOSED" and answer.reply.connection.bound
    await session.exchange(say(origin, "/next"))
    assert targets(origin) == [["/challenge"], ["/next"]]


@pytest.mark.parametrize("line", LOOKALIKES.values(), ids=LOOKALIKES)
async def test_what_only_looks_like_a_binding_challenge_binds_nothing(world, line):
    origin = await world.origin(origin_of(line))
    session = await world.session()
    answer = await session.exchange(say(origin, "/challenge", token=b"a"))
    assert fate(answer) == "POOLED" and not answer.reply.connection.bound
    await session.exchange(say(origin, "/next"))
    assert targets(origin) == [["/challenge", "/next"]]


@pytest.mark.parametrize("scheme", [b"NTLM", b"Negotiate", b"nTlM"])
async def test_credentials_of_a_user_bind_though_nobody_challenged(world, scheme):
    origin = await world.origin(origin_of())
    session = await world.session()
    for target, token in ("/a", b"a"), ("/b", b"b"), ("/c", None):
        answer = await session.exchange(say(origin, target, scheme, token))
        assert answer.reply.connection.bound and fate(answer) == ("PINNED" if token else "CLOSED")
    await session.exchange(say(origin, "/none"))
    assert targets(origin) == [["/a"], ["/b"], ["/c"], ["/none"]]


@pytest.mark.parametrize("scheme", [b"Basic", None], ids=["Basic", "nothing"])
async def test_other_credentials_never_come_on_a_connection_of_negotiate(world, scheme):
    origin = await world.origin(origin_of())
    session = await world.session()
    await session.exchange(say(origin, "/first", b"Negotiate", b"a"))
    for token in b"b", None:
        await session.exchange(say(origin, "/other", scheme, token))
    assert targets(origin)[0] == ["/first"]


async def test_binding_credentials_pin_a_token_once_at_each_endpoint(world):
    origin, other = await world.origin(origin_of()), await world.origin(origin_of())
    session = await world.session()
    for one in origin, other, origin, other:
        assert outcome(await session.exchange(say(one, "/x", b"NTLM", b"a"))) == "COMPLETE"
    assert targets(origin) == targets(other) == [["/x", "/x"]]


@pytest.mark.parametrize("value, kept", [(b"true", "PINNED"), (b"false", "POOLED")])
async def test_persistent_auth_binds_when_it_says_true(world, value, kept):
    async def serve(peer):
        while True:
            await peer.head()
            await peer.send(reply(b"", b"200 OK", b"Persistent-Auth: " + value))

    origin = await world.origin(serve)
    session = await world.session()
    answer = await session.exchange(say(origin, "/", token=b"a"))
    assert fate(answer) == kept and answer.reply.connection.bound == (kept == "PINNED")


BEGINNINGS = "a tunnel of the sidecar's", "a CONNECT of the client's"


@pytest.mark.parametrize("begins", BEGINNINGS)
async def test_a_client_whose_tunnel_is_refused_goes_on_at_the_peer_where_it_began(world, begins):
    """RFC 4559 section 6: NTLM at a peer, which the client speaks itself: three CONNECTs on one connection."""
    strangers = []

    async def serve(peer):
        while True:
            head = await peer.head()
            if head.method != b"CONNECT":
                strangers.append(peer.number)
                await peer.send(reply(b"plain"))
                continue
            said = b"".join(head.values(b"Proxy-Authorization"))
            if said == b"NTLM three-" + SECRET:
                await peer.send(ESTABLISHED)
                await peer.send(b"from the far end: " + await peer.read(5))
                return peer.close()
            token = b"" if not said else b" dHdv"
            lines = b"Proxy-Authenticate: NTLM" + token, b"Persistent-Auth: true"
            await peer.send(reply(b"no", b"407 Proxy Authentication Required", *lines))

    parent = await world.origin(serve)
    session = await world.session()
    pin = pb.Pin(token=b"a client's token")

    def connect(value=None, mode=pb.PIN_REQUIRE):
        headers = [(b"Proxy-Authorization", value)] if value else []
        more = {"route": pb.ROUTE_PEER, "pin": pb.Pin(token=pin.token, mode=mode)}
        return ask("CONNECT", parent, "", headers, authority="origin.test:443", **more)

    of_ours = get(parent, route=pb.ROUTE_PEER_TUNNEL, pin=pin)
    first = of_ours if begins == BEGINNINGS[0] else connect(mode=pb.PIN_AUTO)
    for request in first, connect(b"NTLM one-" + SECRET):
        answer = await session.exchange(request)
        assert (outcome(answer), answer.reply.status, answer.body) == ("PEER_REFUSED", 407, b"no"), answer.end
        assert answer.reply.connection.pinned and answer.reply.connection.bound and fate(answer) == "PINNED"
        assert (await session.exchange(get(parent, route=pb.ROUTE_PEER))).body == b"plain"
        other = get(parent, route=pb.ROUTE_PEER, pin=pb.Pin(token=b"another client's"))
        assert (await session.exchange(other)).body == b"plain"
    tunnel = await Tunnel.open(session, connect(b"NTLM three-" + SECRET))
    assert tunnel.reply.status == 200 and tunnel.reply.connection.requests == 3
    await tunnel.stream.send(b"hello")
    assert await tunnel.reader.readexactly(23) == b"from the far end: hello"
    tunnel.stream.finish()
    await tunnel.over()
    assert len(parent.peers[0].requests) == 3 and 0 not in strangers
    assert [(await session.pins.get()).change for _ in range(2)] == [pb.PIN_MADE, pb.PIN_LOST]
