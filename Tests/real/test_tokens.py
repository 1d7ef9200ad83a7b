# test_tokens.py: Negotiate and NTLM that the sidecar answers itself, to Apache with mod_auth_gssapi: Kerberos
# with a KDC of the tests' own, NTLM through gss-ntlmssp.
# Source: proto/outrigger.proto, Credentials; RFC 4559; MS-NTHT; DESIGN "Pins are exclusive".
import asyncio
import collections

import pytest

from apache import USERS, Apache, password
from kerberos import REALM
from nginx import pattern
from outrigger import pb
from tokens import kerberos, known, name_in_log, world  # fixtures too
from world import CANARY, ask, fate, get, outcome

COUNT = 1000
A_PIN_SERVES = 50
LOCATIONS = """
<Location /kerberos>
    AuthType GSSAPI
    AuthName "Kerberos"
    GssapiCredStore keytab:{keytab}
    GssapiAllowedMech krb5
    Require valid-user
</Location>
<Location /bound>
    AuthType GSSAPI
    AuthName "Kerberos"
    GssapiConnectionBound On
    GssapiCredStore keytab:{keytab}
    GssapiAllowedMech krb5
    Require valid-user
</Location>
<Location /inner>
    AuthType GSSAPI
    AuthName "NTLM in Negotiate"
    GssapiConnectionBound On
    GssapiAllowedMech ntlmssp
    Require valid-user
</Location>
<LocationMatch "^/(kerberos|bound|inner)/echo$">
    SetHandler reflector
</LocationMatch>
"""


@pytest.fixture
def apache(kerberos):
    with Apache(LOCATIONS.format(keytab=kerberos.keytab), kerberos.environment) as origin:
        yield origin


def say(apache, path, user, scheme, token=None, **more):
    credential = user if isinstance(user, pb.Credential) else known(user, scheme)
    more |= {"pin": pb.Pin(token=token, mode=pb.PIN_AUTO)} if token else {}
    return get(apache, path, credentials=pb.Credentials(origin=credential), **more)


CASES = [("/ntlm", "NTLM"), ("/kerberos", "Negotiate"), ("/bound", "Negotiate")]


@pytest.mark.parametrize(
    "path, scheme", CASES, ids=["NTLM", "Kerberos for each request", "Kerberos for a connection"]
)
@pytest.mark.parametrize("serves", [A_PIN_SERVES, 0], ids=["pinned", "without a token"])
async def test_two_users_at_once_never_share_a_connection(world, apache, path, scheme, serves):
    session = await world.session(instance_id=b"one")
    stop = asyncio.Event()

    async def client(user):
        for number in range(COUNT):
            token = b"%s %d" % (user.encode(), number // serves) if serves else None
            answer = await session.exchange(say(apache, f"{path}/{user}", user, scheme, token))
            # There is no such file: 404 is what those get who were let in.
            assert (outcome(answer), answer.reply.status) == ("COMPLETE", 404), (number, answer)
            assert fate(answer) == ("PINNED" if serves else "CLOSED"), (number, answer)

    async def stranger():
        while not stop.is_set():
            assert (await session.exchange(get(apache, f"{path}/stranger"))).reply.status == 401

    async with asyncio.TaskGroup() as group:
        group.create_task(stranger())
        await asyncio.gather(*(client(user) for user in USERS))
        stop.set()
    log = await apache.logged(2 * COUNT, "404")
    passed = [line for line in log if line.status == "404"]
    counts = collections.Counter((line.path, line.user) for line in passed)
    assert counts == {(f"{path}/{user}", name_in_log(user, scheme)): COUNT for user in USERS}
    # What a connection was used for at all, refused or not, was one user's.
    spoken = collections.defaultdict(set)
    for line in log:
        spoken[line.connection].add(line.path)
    connections = {line.connection for line in passed}
    assert len(connections) == 2 * COUNT // (serves or 1)
    assert all(len(spoken[one]) == 1 for one in connections)


async def test_the_server_proves_itself(world, apache):
    session = await world.session()
    answer = await session.exchange(say(apache, "/kerberos/index", "alice", "Negotiate"))
    assert (outcome(answer), answer.reply.status, answer.body) == ("COMPLETE", 200, b"of kerberos")
    (proof,) = [line.value for line in answer.reply.fields if line.name.lower() == b"www-authenticate"]
    assert proof.startswith(b"Negotiate ") and len(proof) > 50


@pytest.mark.parametrize("path, scheme", [CASES[0], CASES[1]], ids=["NTLM", "Negotiate"])
async def test_a_wrong_password_goes_back_with_the_reason(world, apache, path, scheme):
    session = await world.session()
    wrong = known("alice", scheme, CANARY.decode() + "-wrong")
    answer = await session.exchange(say(apache, f"{path}/index", wrong, scheme))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 401)
    words = answer.reply.connection.authentication
    assert words and CANARY.decode() not in words
    assert (words == "the credential was refused") == (scheme == "NTLM"), words
    # The right one is not hindered by it.
    answer = await session.exchange(say(apache, f"{path}/index", "alice", scheme))
    assert answer.reply.status == 200


@pytest.mark.parametrize("path, scheme", [CASES[0], CASES[1]], ids=["NTLM", "Negotiate"])
async def test_a_pinned_connection_is_not_another_user_s(world, apache, path, scheme):
    session = await world.session(instance_id=b"one")
    assert (await session.exchange(say(apache, f"{path}/index", "alice", scheme, b"a"))).reply.status == 200
    answer = await session.exchange(say(apache, f"{path}/index", "bob", scheme, b"a"))
    assert outcome(answer) == "PIN_MISMATCH"
    assert (await session.exchange(say(apache, f"{path}/index", "bob", scheme, b"b"))).reply.status == 200
    log = await apache.logged(2, "200")
    let_in = {(line.connection, line.user) for line in log if line.status == "200"}
    assert len({connection for connection, _ in let_in}) == 2


async def test_ntlm_inside_negotiate(world, apache):
    session = await world.session()
    user = pb.Credential(user=b"TEST\\bob", password=password("bob").encode(), schemes=["Negotiate"])
    answer = await session.exchange(say(apache, "/inner/x", user, "Negotiate"))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 404), answer
    log = await apache.logged(1, "404")
    assert {line.user for line in log if line.status == "404"} == {"bob"}


async def test_the_process_s_own_credentials(world, apache, kerberos):
    cache = world.environment["KRB5CCNAME"]
    kerberos.run("kinit", "alice", input=password("alice") + "\n", KRB5CCNAME=cache)
    session = await world.session()
    own = pb.Credential(schemes=["Negotiate"])
    answer = await session.exchange(say(apache, "/kerberos/index", own, "Negotiate"))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
    log = await apache.logged(1, "200")
    assert [line.user for line in log if line.status == "200"] == [f"alice@{REALM}"]


@pytest.mark.parametrize("world", [{"KRB5_CONFIG": "/dev/null"}], indirect=True)
async def test_without_a_realm_the_next_best_scheme_is_taken(world, apache):
    session = await world.session()
    user = pb.Credential(user=b"alice", password=password("alice").encode())
    answer = await session.exchange(say(apache, "/basic/index", user, None))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer
    answer = await session.exchange(say(apache, "/kerberos/index", user, None))
    assert answer.reply.status == 401
    assert answer.reply.connection.authentication.startswith("Negotiate: "), answer.reply.connection


@pytest.mark.parametrize("path, scheme", [CASES[0], CASES[1]], ids=["NTLM", "Negotiate"])
@pytest.mark.parametrize("size", [0, 1000, 50_000, 300_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_uploads(world, apache, path, scheme, size, chunked):
    session = await world.session()
    credentials = pb.Credentials(origin=known("bob", scheme))
    body = pattern(size)
    framing = {"body": pb.BODY_CHUNKED} if chunked else {"length": size}
    for _ in range(2):
        post = ask("POST", apache, f"{path}/echo", credentials=credentials, **framing)
        answer = await session.exchange(post, body)
        assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 200, body)
        # Nothing of a body that is not held was sent in vain.
        assert size <= 65_536 or answer.end.request_body_bytes == size


@pytest.mark.parametrize("size", [1000, 300_000])
async def test_an_upload_with_a_wrong_password(world, apache, size):
    session = await world.session()
    credentials = pb.Credentials(origin=known("bob", "NTLM", password("alice")))
    post = ask("POST", apache, "/ntlm/echo", length=size, credentials=credentials)
    answer = await session.exchange(post, pattern(size))
    assert answer.reply.status == 401, answer
    assert answer.reply.connection.authentication == "the credential was refused"
