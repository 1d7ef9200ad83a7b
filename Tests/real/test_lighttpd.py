# test_lighttpd.py: the sidecar's own answers to lighttpd's Digest: SHA-256, SHA-512-256, hashed names, several challenges.
# Source: RFC 7616; proto/outrigger.proto, Credentials.
import asyncio

import pytest

from lighttpd import FOLDERS, Lighttpd, password
from outrigger import pb
from world import get, outcome


@pytest.fixture
def lighttpd():
    with Lighttpd() as origin:
        yield origin


def knowing(user, secret=None):
    credential = pb.Credential(user=user.encode(), password=(secret or password(user)).encode(), schemes=["Digest"])
    return {"credentials": pb.Credentials(origin=credential)}


@pytest.mark.parametrize("folder", FOLDERS)
async def test_who_knows_the_password_is_let_in_and_is_asked_a_few_times(world, lighttpd, folder):
    session = await world.session()

    async def client(user):
        for number in range(50):
            answer = await session.exchange(get(lighttpd, f"/{folder}/index?{number}", **knowing(user)))
            assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
            assert answer.body == b"of " + folder.encode()

    await asyncio.gather(*(client(user) for user in ("alice", "bob") for _ in range(4)))


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_wrong_password_is_refused(world, lighttpd, folder):
    session = await world.session()
    answer = await session.exchange(get(lighttpd, f"/{folder}/index", **knowing("alice", password("bob"))))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 401)
    assert answer.reply.connection.authentication == "the credential was refused"
