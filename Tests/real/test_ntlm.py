# test_ntlm.py: NTLM that a client speaks itself, through the sidecar, to Apache with gss-ntlmssp; the
# connection that it authenticates is pinned to the client. Source: MS-NTHT section 3; DESIGN "Pins are exclusive".
import asyncio
import collections

import pytest

import ntlm
import outrigger
from apache import password
from outrigger import pb
from world import ask, get, outcome

COUNT = 1000


def pinned(apache, path, token, mode=pb.PIN_AUTO, value=None):
    headers = [(b"Authorization", value)] if value else []
    return get(apache, path, headers, pin=pb.Pin(token=token, mode=mode))


async def hand_shake(session, apache, user, token, secret=None):
    """Both legs; the reply to the second one, which is the page's where the password is right."""
    path = f"/ntlm/{user}"
    first = await session.exchange(pinned(apache, path, token, value=ntlm.negotiate()))
    assert first.reply.status == 401, first
    challenges = [line.value for line in first.reply.fields if line.name.lower() == b"www-authenticate"]
    (challenge,) = [value for value in challenges if value.startswith(b"NTLM ")]
    value = ntlm.authenticate(challenge, "TEST", user, secret or password(user))
    return await session.exchange(pinned(apache, path, token, pb.PIN_REQUIRE, value))


def owners(log):
    """Who was let in, by connection. Its port alone is no name for it: the next one may come from the same."""
    users = collections.defaultdict(set)
    for line in log:
        if line.user != "-":
            users[line.connection].add(line.user)
    return users


@pytest.mark.parametrize("every", [COUNT, 50], ids=["one handshake", "a handshake every 50 requests"])
async def test_two_users_at_once_never_share_a_connection(world, apache, every):
    session = await world.session(instance_id=b"one")
    stop = asyncio.Event()
    strangers = 0

    async def client(user):
        for number in range(COUNT):
            if number % every == 0:
                token = b"%s %d" % (user.encode(), number)
                answer = await hand_shake(session, apache, user, token)
            else:
                answer = await session.exchange(pinned(apache, f"/ntlm/{user}", token))
            # There is no such file: 404 is what those get who were let in.
            assert (outcome(answer), answer.reply.status) == ("COMPLETE", 404), (number, answer)
            assert answer.reply.connection.pinned

    async def stranger():
        nonlocal strangers
        while not stop.is_set():
            answer = await session.exchange(get(apache, "/ntlm/stranger"))
            assert answer.reply.status == 401
            strangers += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(stranger())
        await asyncio.gather(client("alice"), client("bob"))
        stop.set()
    handshakes = 2 * COUNT // every
    log = await apache.logged(2 * COUNT + handshakes + strangers)
    passed = collections.Counter(line.user for line in log if line.status == "404")
    assert passed == {"alice": COUNT, "bob": COUNT}
    assert all(line.path == f"/ntlm/{line.user}" for line in log if line.user != "-")
    users = owners(log)
    assert len(users) == handshakes and all(len(one) == 1 for one in users.values())
    of_strangers = {line.connection for line in log if line.path.endswith("stranger")}
    assert of_strangers and not of_strangers & users.keys()


async def test_without_the_token_nobody_gets_on_to_a_user_s_connection(world, apache):
    session = await world.session(instance_id=b"one")
    other = await world.session(instance_id=b"two")
    assert (await hand_shake(session, apache, "alice", b"a")).reply.status == 404
    for one, token in (session, None), (session, b"b"), (other, b"a"), (other, None):
        request = pinned(apache, "/ntlm/index", token) if token else get(apache, "/ntlm/index")
        assert (await one.exchange(request)).reply.status == 401
    answer = await session.exchange(pinned(apache, "/ntlm/index", b"a"))
    assert (answer.reply.status, answer.body) == (200, b"of ntlm")


async def test_a_wrong_password_is_refused(world, apache):
    session = await world.session()
    answer = await hand_shake(session, apache, "alice", b"a", secret=password("bob"))
    assert answer.reply.status == 401
    assert (await session.exchange(pinned(apache, "/ntlm/index", b"a"))).reply.status == 401


async def test_an_unpinned_connection_is_closed_and_its_user_gone(world, apache):
    session = await world.session(instance_id=b"one")
    assert (await hand_shake(session, apache, "alice", b"a")).reply.status == 404
    session.send(outrigger.UNPIN, 0, pb.Unpin(token=b"a"))
    await world.barrier(session)
    for token in b"a", b"b":
        assert (await session.exchange(pinned(apache, "/ntlm/index", token))).reply.status == 401
    log = await apache.logged(4)
    (connection,) = owners(log)
    assert connection not in {line.connection for line in log if line.path == "/ntlm/index"}


async def test_a_connection_stays_its_user_s_through_posts(world, apache):
    session = await world.session()
    assert (await hand_shake(session, apache, "bob", b"b")).reply.status == 404
    for size in 0, 1000, 300_000:
        post = ask("POST", apache, "/ntlm/echo", length=size, pin=pb.Pin(token=b"b", mode=pb.PIN_REQUIRE))
        answer = await session.exchange(post, bytes(size))
        assert (answer.reply.status, bytes(answer.body)) == (200, bytes(size))
