# test_tokens_peer.py: Negotiate and NTLM that a parent proxy demands, for requests in absolute-form and for
# tunnels, and a KDC that does not answer. Apache is the parent, with mod_proxy and mod_auth_gssapi.
# Source: proto/outrigger.proto, Credentials; RFC 4559; RFC 9110 section 11.7.
import asyncio
import time

import pytest

from apache import USERS, Apache, password
from origin import Blackhole, answering
from outrigger import Session, pb
from tls import server_context
from tokens import kerberos, known, name_in_log, world  # fixtures too
from world import get, outcome, secure

SCHEMES = "NTLM", "Negotiate"
PARENT = """
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_connect_module /usr/lib/apache2/modules/mod_proxy_connect.so
ProxyRequests On
AllowCONNECT 1-65535
<Proxy "*">
    AuthType GSSAPI
    AuthName "parent"
    GssapiConnectionBound On
    {mechanism}
    Require valid-user
</Proxy>
"""


@pytest.fixture
def parent(request, kerberos):
    lines = {
        "NTLM": "GssapiAllowedMech ntlmssp",
        "Negotiate": f"GssapiAllowedMech krb5\n    GssapiCredStore keytab:{kerberos.keytab}",
    }
    more = PARENT.format(mechanism=lines[request.getfixturevalue("scheme")])
    with Apache(more, kerberos.environment) as made:
        yield made


def through(parent, origin, user, by, route, target="/", secret=None, **more):
    credentials = pb.Credentials(peer=known(user, by, secret))
    authority = f"127.0.0.1:{origin.endpoint.port}"
    return get(parent, target, authority=authority, route=route, credentials=credentials, **more)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_requests_in_absolute_form(world, parent, scheme):
    origin = await world.origin(answering())
    session = await world.session(instance_id=b"one")

    async def client(user):
        for number in range(20):
            pin = pb.Pin(token=user.encode(), mode=pb.PIN_AUTO)
            target = f"/{user}/{number}"
            answer = await session.exchange(
                through(parent, origin, user, scheme, pb.ROUTE_PEER, target, pin=pin)
            )
            assert (outcome(answer), answer.body) == ("COMPLETE", target.encode()), answer

    await asyncio.gather(*(client(user) for user in USERS))
    assert not any(head.values(b"Proxy-Authorization") for head in origin.requests)
    log = await parent.logged(40, "200")
    users = {(line.connection, line.user) for line in log if line.status == "200"}
    assert sorted(user for _, user in users) == sorted(name_in_log(user, scheme) for user in USERS)


@pytest.mark.parametrize("inside", ["http", "https"])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_tunnels(world, parent, certificates, scheme, inside):
    encrypted = inside == "https"
    origin = await world.origin(answering(), tls=server_context(certificates.good) if encrypted else None)
    more = (
        {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates, server_name="origin.test")}
        if encrypted
        else {}
    )
    session = await world.session()
    requests = [
        through(parent, origin, user, scheme, pb.ROUTE_PEER_TUNNEL, f"/{user}/{number}", **more)
        for number in range(10)
        for user in USERS
    ]
    answers = await asyncio.gather(*(session.exchange(request) for request in requests))
    for request, answer in zip(requests, answers, strict=True):
        assert (outcome(answer), answer.body) == ("COMPLETE", request.target), answer
    await origin.stop()  # the parent writes its line when a tunnel ends
    log = await parent.logged(20, "200")
    made = [line for line in log if line.status == "200"]
    assert {line.method for line in made} == {"CONNECT"}
    assert sorted({line.user for line in made}) == sorted(name_in_log(user, scheme) for user in USERS)
    assert len({line.connection for line in made}) == len(made)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("route", [pb.ROUTE_PEER, pb.ROUTE_PEER_TUNNEL], ids=["absolute-form", "CONNECT"])
async def test_a_wrong_password(world, parent, scheme, route):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(through(parent, origin, "alice", scheme, route, secret=password("bob")))
    assert (outcome(answer), answer.reply.status) == (
        "COMPLETE" if route == pb.ROUTE_PEER else "PEER_REFUSED",
        407,
    )
    assert answer.reply.connection.authentication and not origin.peers


@pytest.mark.parametrize("scheme", ["Negotiate"])
async def test_a_kdc_that_is_silent_holds_nobody_up(world, parent, kerberos, scheme):
    with Blackhole() as silent:
        await hold_up(world, parent, kerberos, silent, scheme)


async def hold_up(world, parent, kerberos, silent, scheme):
    text = (kerberos.folder / "krb5.conf").read_text().replace(str(kerberos.port), str(silent.endpoint.port))
    (kerberos.folder / "silent.conf").write_text(text)
    origin = await world.origin(answering())
    sidecar = await world.start_sidecar(
        f"{world.folder}/silent.sock", environment={"KRB5_CONFIG": f"{kerberos.folder}/silent.conf"}
    )
    session = await Session.open(sidecar.path)
    world.sessions.append(session)
    request = through(parent, origin, "alice", scheme, pb.ROUTE_PEER, deadlines=pb.Deadlines(total_ms=500))
    began = time.monotonic()
    waiting = [asyncio.create_task(session.exchange(request)) for _ in range(4)]
    for number in range(100):
        assert (await session.exchange(get(origin, f"/{number}"))).reply.status == 200
    for answer in await asyncio.gather(*waiting):
        assert outcome(answer) == "DEADLINE"
    assert time.monotonic() - began < 3
    # A step cannot be interrupted; the process does not wait for it.
    sidecar.terminate()
    assert await sidecar.exited() == 0
