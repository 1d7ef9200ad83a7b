# test_guarded.py: the sidecar's own answers to nginx, an origin, and Squid, a parent: Basic and Digest.
# Source: proto/outrigger.proto, Credentials; RFC 9110 section 11.7; squid.conf.documented, auth_param.
import asyncio

import pytest

from nginx import pattern
from origin import answering
from outrigger import pb
from tls import server_context
from world import CANARY, ask, get, outcome, secure, until

SCHEMES = "Basic", "Digest"


def known(scheme, password=CANARY, **more):
    return pb.Credential(user=b"user", password=password, schemes=[scheme], **more)


def private(nginx, method="GET", name="1k", password=CANARY, **more):
    credentials = pb.Credentials(origin=known("Basic", password))
    return ask(method, nginx, f"/private/{name}", credentials=credentials, **more)


def through(squid, origin, route, known_by, target="/", password=CANARY, **more):
    credentials = pb.Credentials(peer=known(known_by, password))
    authority = f"origin.test:{origin.endpoint.port}"
    return ask(
        "GET", [squid.guarded], target, authority=authority, route=route, credentials=credentials, **more
    )


async def test_nginx_lets_in_who_knows_the_password(world, nginx):
    world.keeps_connections = True
    session = await world.session()
    for name in "1k", "64k", "1k":
        answer = await session.exchange(private(nginx, name=name))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200)
        assert bytes(answer.body) == nginx.contents[name]
    answer = await session.exchange(private(nginx, password=CANARY + b"-wrong"))
    assert answer.reply.status == 401
    assert answer.reply.connection.authentication == "the credential was refused"
    assert (await session.exchange(get(nginx, "/private/1k"))).reply.status == 401


@pytest.mark.parametrize("size", [1000, 60_000, 1_000_000])
async def test_an_upload_to_nginx_arrives_whole_behind_the_challenge(world, nginx, size):
    world.keeps_connections = True
    session = await world.session()
    body = pattern(size)
    answer = await session.exchange(private(nginx, "PUT", f"upload/private-{size}", length=size), body)
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 201), answer
    assert nginx.uploaded(f"private-{size}") == body


@pytest.mark.parametrize("scheme, streams, count", [("Basic", 8, 200), ("Digest", 8, 200), ("Digest", 32, 3200)])
async def test_squid_lets_absolute_form_in_and_is_asked_once_for_a_challenge(world, squid, scheme, streams, count):
    origin = await world.origin(answering())
    session = await world.session()

    async def client(name):
        for number in range(count // streams):
            request = through(squid, origin, pb.ROUTE_PEER, scheme, f"/{name}/{number}")
            answer = await session.exchange(request)
            assert (outcome(answer), answer.body) == ("COMPLETE", request.target), answer

    await asyncio.gather(*(client(name) for name in range(streams)))
    of_origin = f"http://origin.test:{origin.endpoint.port}/"

    def statuses():
        lines = [one for one in squid.log() if one.target.startswith(of_origin)]
        return [sum(one.status == status for one in lines) for status in ("200", "407")]

    await until(lambda: statuses()[0] == count, lambda: f"{count} lines, but {statuses()}")
    # Squid takes a count that comes behind a higher one for stale, as some do until each has a nonce of its own.
    assert 1 <= statuses()[1] <= (streams if scheme == "Basic" else 3 * streams)
    assert not any(head.values(b"Proxy-Authorization") for head in origin.requests)


@pytest.mark.parametrize("inside", ["http", "https"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_squid_makes_tunnels_for_a_user(world, squid, certificates, scheme, inside):
    encrypted = inside == "https"
    origin = await world.origin(answering(), tls=server_context(certificates.good) if encrypted else None)
    more = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates)} if encrypted else {}
    session = await world.session()
    for number in range(3):
        request = through(squid, origin, pb.ROUTE_PEER_TUNNEL, scheme, f"/{number}", **more)
        answer = await session.exchange(request)
        assert (outcome(answer), answer.body) == ("COMPLETE", b"/%d" % number), answer.end
    assert len(origin.peers) == 1
    await origin.stop()  # Squid writes its line when the tunnel ends
    target = f"origin.test:{origin.endpoint.port}"

    def lines():
        return [(one.method, one.status, one.user) for one in squid.log() if one.target == target]

    await until(lambda: len(lines()) == 2, lambda: f"two lines, but {lines()}")
    assert sorted(lines()) == [("CONNECT", "200", "user"), ("CONNECT", "407", "-")]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("route", [pb.ROUTE_PEER, pb.ROUTE_PEER_TUNNEL], ids=["absolute-form", "CONNECT"])
async def test_squid_refuses_a_wrong_password(world, squid, scheme, route):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(through(squid, origin, route, scheme, password=CANARY + b"-wrong"))
    expected = "COMPLETE" if route == pb.ROUTE_PEER else "PEER_REFUSED"
    assert (outcome(answer), answer.reply.status) == (expected, 407)
    assert answer.reply.connection.authentication == "the credential was refused"
    assert not origin.peers
