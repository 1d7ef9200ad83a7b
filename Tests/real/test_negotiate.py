# test_negotiate.py: Negotiate with Kerberos that a client speaks itself, through the sidecar, to Apache with
# mod_auth_gssapi; the connection is pinned to the client. Source: RFC 4559; DESIGN "Pins are exclusive".
import asyncio
import collections

import pytest

from apache import Apache, password
from kerberos import REALM, Kerberos
from outrigger import pb
from world import fate, get, outcome

SERVER = "origin.test"
LOCATION = """
<Location /kerberos>
    AuthType GSSAPI
    AuthName "Kerberos"
    GssapiCredStore keytab:{keytab}
    GssapiAllowedMech krb5
    {more}
    Require valid-user
</Location>
"""
COUNT = 1000


@pytest.fixture(scope="module")
def kerberos():
    with Kerberos(SERVER, {user: password(user) for user in ("alice", "bob")}) as made:
        yield made


@pytest.fixture
def apache(kerberos, request):
    more = LOCATION.format(keytab=kerberos.keytab, more=getattr(request, "param", ""))
    with Apache(more, kerberos.environment) as origin:
        yield origin


def say(apache, path, token=None, value=None, mode=pb.PIN_AUTO):
    more = {"pin": pb.Pin(token=token, mode=mode)} if token else {}
    return get(apache, path, [(b"Authorization", value)] if value else [], **more)


@pytest.mark.parametrize("apache", ["GssapiConnectionBound On"], indirect=True, ids=["bound"])
async def test_two_principals_at_once_never_share_a_connection(world, apache, kerberos):
    session = await world.session(instance_id=b"one")
    values = {user: iter(kerberos.tokens(user, COUNT // 50)) for user in ("alice", "bob")}

    async def client(user):
        for number in range(COUNT):
            token = b"%s %d" % (user.encode(), number // 50)
            value = next(values[user]) if number % 50 == 0 else None
            answer = await session.exchange(say(apache, f"/kerberos/{user}", token, value))
            # There is no such file: 404 is what those get who were let in.
            assert (outcome(answer), answer.reply.status, fate(answer)) == ("COMPLETE", 404, "PINNED"), number
            assert bool(value) <= answer.reply.connection.bound

    async def stranger():
        for _ in range(COUNT):
            assert (await session.exchange(say(apache, "/kerberos/stranger"))).reply.status == 401

    await asyncio.gather(client("alice"), client("bob"), stranger())
    log = await apache.logged(2 * COUNT, "404")
    passed = [line for line in log if line.status == "404"]
    counts = collections.Counter((line.path, line.user) for line in passed)
    assert counts == {(f"/kerberos/{user}", f"{user}@{REALM}"): COUNT for user in ("alice", "bob")}
    users = collections.defaultdict(set)
    for line in passed:
        users[line.connection].add(line.user)
    assert len(users) == 2 * COUNT // 50 and all(len(one) == 1 for one in users.values())
    of_strangers = {line.connection for line in log if line.path.endswith("stranger")}
    assert of_strangers and not of_strangers & users.keys()


async def test_credentials_of_one_request_never_serve_another_token(world, apache, kerberos):
    session = await world.session()
    first, second = kerberos.tokens("alice", 2)
    for value in first, second:
        answer = await session.exchange(say(apache, "/kerberos/index", b"a", value))
        assert (answer.reply.status, answer.body, fate(answer)) == (200, b"of kerberos", "PINNED")
    for token in b"b", None:
        assert (await session.exchange(say(apache, "/kerberos/index", token))).reply.status == 401
    log = await apache.logged(4)
    let_in = {line.connection for line in log if line.status == "200"}
    assert len(let_in) == 1 and not let_in & {line.connection for line in log if line.status == "401"}


async def test_without_a_token_the_connection_is_closed_behind_the_reply(world, apache, kerberos):
    session = await world.session()
    answer = await session.exchange(say(apache, "/kerberos/index", value=kerberos.tokens("bob")[0]))
    assert (answer.reply.status, fate(answer)) == (200, "CLOSED")
    assert (await session.exchange(say(apache, "/kerberos/index"))).reply.status == 401
    log = await apache.logged(2)
    assert {line.user for line in log} == {f"bob@{REALM}", "-"}
    assert len({line.connection for line in log}) == 2
