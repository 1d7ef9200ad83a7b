# test_zeroing_tokens.py: that of NTLM's passwords and tokens nothing is left in a sidecar's memory, as test_zeroing.py has it
# of the other schemes. Source: test_zeroing.py; MS-NLMP section 3.3.2.
import base64
import struct

import pytest

from apache import password
from ntlm import VERSION
from origin import reply
from outrigger import pb
from test_tokens import apache, say  # fixtures too
from test_zeroing import places, wiped
from tokens import kerberos, known, world  # fixtures too
from world import get, outcome

pytestmark = pytest.mark.sidecar(idle_connection_milliseconds=1)


@pytest.mark.parametrize("token", [b"a client", None], ids=["pinned", "without a token"])
async def test_of_ntlm(world, apache, token):
    secret = password("alice").encode()
    session = await world.session()
    for _ in range(3):
        answer = await session.exchange(say(apache, "/ntlm/index", "alice", "NTLM", token))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
    assert places(world.sidecar, secret), "its credentials are kept for the next context"
    await wiped(world, secret)


def type_2():
    """A server's challenge, as gss-ntlmssp takes it."""
    text = lambda words: words.encode("utf-16le")
    pairs = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in [
        (2, text("D")), (1, text("S")), (4, text("d")), (3, text("s")), (7, bytes(range(1, 9))), (0, b"")
    ])  # fmt: skip
    head = b"NTLMSSP\0" + struct.pack("<IHHI", 2, 2, 2, 56) + bytes([1, 0x82, 0x8A, 0xA2]) + bytes(range(1, 9))
    return head + bytes(8) + struct.pack("<HHI", len(pairs), len(pairs), 58) + VERSION + text("D") + pairs


async def test_of_what_was_said_to_the_server(world):
    async def serve(peer):
        for token in b"", b" " + base64.b64encode(type_2()), None:
            await peer.head()
            line = b"" if token is None else b"WWW-Authenticate: NTLM" + token
            await peer.send(reply(b"", b"200 OK") if token is None else reply(b"", b"401 No", line))

    origin = await world.origin(serve)
    session = await world.session()
    answer = await session.exchange(get(origin, credentials=pb.Credentials(origin=known("alice", "NTLM"))))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
    (said,) = origin.requests[-1].values(b"Authorization")
    # As it stood in the field. Of the message itself gss-ntlmssp 1.2 leaves a copy in memory that it has freed.
    await wiped(world, said)
