# test_apache.py: the sidecar's own answers to the challenges of Apache's mod_auth_basic and mod_auth_digest.
# Source: RFC 7616; RFC 7617; proto/outrigger.proto, Credentials.
import asyncio

import pytest

from apache import password
from outrigger import pb
from world import CANARY, ask, get, outcome

SCHEMES = "Basic", "Digest"


def knowing(user="alice", **more):
    return {"credentials": pb.Credentials(origin=pb.Credential(user=user.encode(), **more))}


def good(user="alice"):
    return knowing(user, password=password(user).encode())


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_thousand_exchanges_over_eight_at_a_time_are_challenged_a_few_times(world, apache, scheme):
    session = await world.session()
    path = f"/{scheme.lower()}/index"

    async def client():
        for _ in range(125):
            answer = await session.exchange(get(apache, path, **good()))
            body = b"of " + scheme.lower().encode()
            assert (outcome(answer), answer.reply.status, answer.body) == ("COMPLETE", 200, body)

    await asyncio.gather(*(client() for _ in range(8)))
    log = await apache.logged(1000, "200")
    counts = [sum(line.status == status for line in log) for status in ("200", "401")]
    assert counts[0] == 1000 and 1 <= counts[1] <= 16, counts
    assert {line.user for line in log if line.status == "200"} == {"alice"}


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_two_users_side_by_side_are_each_themselves(world, apache, scheme):
    session = await world.session()
    path = f"/{scheme.lower()}/"

    async def client(user):
        for _ in range(50):
            # The path says who asks, the log who was let in; there is no such file.
            answer = await session.exchange(get(apache, path + user, **good(user)))
            assert answer.reply.status == 404

    await asyncio.gather(*(client(user) for user in ("alice", "bob") for _ in range(4)))
    passed = [line for line in await apache.logged(400, "404") if line.status == "404"]
    assert len(passed) == 400 and all(line.path == path + line.user for line in passed)


@pytest.mark.parametrize("size", [0, 1000, 60_000, 300_000])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_post_s_body_arrives_whole_behind_the_challenge(world, apache, scheme, size):
    session = await world.session()
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for _ in range(3):
        post = ask("POST", apache, f"/{scheme.lower()}/echo", length=size, **good())
        answer = await session.exchange(post, body)
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer.end
        assert bytes(answer.body) == body


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_wrong_password_goes_back_with_the_reason(world, apache, scheme):
    session = await world.session()
    path = f"/{scheme.lower()}/index"
    answer = await session.exchange(get(apache, path, **knowing(password=CANARY + b"wrong")))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 401)
    assert answer.reply.connection.authentication == "the credential was refused"
    assert b"Unauthorized" in answer.body
    await session.exchange(get(apache, path))
    log = await apache.logged(3)
    assert [line.status for line in log] == ["401"] * 3, "unknown, refused, without a credential"


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_realm_of_another_name_gets_no_password(world, apache, scheme):
    session = await world.session()
    other = knowing(password=password("alice").encode(), realm=b"realm two")
    answer = await session.exchange(get(apache, f"/{scheme.lower()}/index", **other))
    assert answer.reply.status == 401 and answer.reply.connection.authentication
    assert len(await apache.logged(1)) == 1
