# test_credentials.py: challenges that the sidecar answers, and those it must not.
# The servers here know Basic and Digest from RFC 7617 and RFC 7616 by themselves.
# Source: proto/outrigger.proto, Credentials; RFC 9110 section 11; RFC 7616; RFC 7617.
import asyncio
import base64
import hashlib
import itertools
import re

import pytest

from origin import reply
from outrigger import pb
from test_profiles import configured
from tunnel import ESTABLISHED
from world import CANARY, get, outcome

PASSWORD = CANARY.decode()
USER = pb.Credential(user=b"Mufasa", password=CANARY)
BASIC = b"Basic " + base64.b64encode(b"Mufasa:" + CANARY)


class Guard:
    """What a server does with requests: a challenge, or b"ok" for who knows the password."""

    def __init__(self, scheme, field=b"WWW-Authenticate", status=b"401 Unauthorized", uses=1000, close=False):
        self.scheme, self.field, self.status, self.uses, self.close = scheme, field, status, uses, close
        self.answers = b"Authorization" if field == b"WWW-Authenticate" else b"Proxy-Authorization"
        self.nonces, self.counts, self.refused, self.accepted = itertools.count(1), {}, 0, 0

    def challenge(self, stale=False):
        self.refused += 1
        lines = [b"Connection: close"] if self.close else []
        if self.scheme == "Basic":
            lines.append(self.field + b': Basic realm="r", charset="UTF-8"')
        else:
            nonce = b"nonce%d" % next(self.nonces)
            self.counts[nonce.decode()] = set()
            lines.append(
                self.field + b': Digest realm="r", qop="auth, auth-int", algorithm=SHA-256, nonce="' + nonce
                + b'", opaque="o"' + (b", stale=true" if stale else b"")
            )
        return reply(b"who are you?" * 100, self.status, *lines)

    def judge(self, head):
        """None: it may pass; else what it is told."""
        values = head.values(self.answers)
        if not values:
            return self.challenge()
        if self.scheme == "Basic":
            if values != [BASIC]:
                return self.challenge()
            self.accepted += 1
            return None
        pairs = re.findall(rb'(\w+)=(?:"([^"]*)"|([^, ]+))', values[0])
        given = {key.decode(): (quoted or plain).decode() for key, quoted, plain in pairs}
        sha = lambda *parts: hashlib.sha256(":".join(parts).encode()).hexdigest()
        assert given["username"] == "Mufasa" and given["uri"] == head.target.decode(), given
        wanted = sha(
            sha("Mufasa", "r", PASSWORD), given["nonce"], given["nc"], given["cnonce"], given["qop"],
            sha(head.method.decode(), given["uri"]),
        )
        if given["response"] != wanted:
            return self.challenge()
        seen = self.counts[given["nonce"]]
        count = int(given["nc"], 16)
        assert len(given["nc"]) == 8 and count not in seen, "a count was used twice"
        if count > self.uses:
            return self.challenge(stale=True)
        seen.add(count)
        self.accepted += 1
        return None

    async def serve(self, peer):
        while True:
            head = await peer.head()
            told = self.judge(head)
            if told and head.values(b"Expect"):
                await peer.send(told)
                return peer.close()
            if head.values(b"Expect"):
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await peer.body()
            await peer.send(told or reply(b"ok" + body))
            if self.close:
                return peer.close()


async def once(world, request, body=b""):
    return await (await world.session()).exchange(request, body)


def having(origin=None, peer=None):
    return {"credentials": pb.Credentials(origin=origin, peer=peer)}


@pytest.mark.parametrize("close", [False, True], ids=["kept", "closed behind each reply"])
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_challenge_is_answered_and_then_forestalled(world, scheme, close):
    guard = Guard(scheme, close=close)
    origin = await world.origin(guard.serve)
    session = await world.session()
    for _ in range(20):
        answer = await session.exchange(get(origin, **having(USER)))
        assert (outcome(answer), answer.reply.status, answer.body) == ("COMPLETE", 200, b"ok"), answer
        assert answer.reply.connection.authentication == ""
    assert (guard.refused, guard.accepted) == (1, 20)
    assert close or len(origin.peers) == 1


async def test_streams_side_by_side_share_nonces_without_using_a_count_twice(world):
    guard = Guard("Digest", uses=30)
    origin = await world.origin(guard.serve)
    session = await world.session()
    answers = await asyncio.gather(*(session.exchange(get(origin, **having(USER))) for _ in range(100)))
    assert {(answer.reply.status, bytes(answer.body)) for answer in answers} == {(200, b"ok")}
    assert guard.accepted == 100


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_wrong_password_goes_back_with_the_reason(world, scheme):
    guard = Guard(scheme)
    origin = await world.origin(guard.serve)
    wrong = pb.Credential(user=b"Mufasa", password=CANARY + b"x")
    answer = await once(world, get(origin, **having(wrong)))
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 401)
    assert answer.reply.connection.authentication == "the credential was refused"
    assert answer.body == b"who are you?" * 100 and guard.refused <= 3


async def test_without_credentials_or_with_fields_of_its_own_a_request_is_left_alone(world):
    guard = Guard("Basic")
    origin = await world.origin(guard.serve)
    answer = await once(world, get(origin))
    assert answer.reply.status == 401 and answer.reply.connection.authentication == ""
    own = [(b"Authorization", b"Basic b3duOm93bg==")]
    answer = await once(world, get(origin, headers=own, **having(USER)))
    assert answer.reply.status == 401 and guard.refused == 2
    answer = await once(world, get(origin, **having(peer=USER)))
    assert answer.reply.status == 401 and guard.refused == 3, "a peer's credentials are not for an origin"


async def test_a_scheme_that_is_not_permitted_is_not_answered(world):
    guard = Guard("Basic")
    origin = await world.origin(guard.serve)
    digest = pb.Credential(user=b"Mufasa", password=CANARY, schemes=["Digest"])
    answer = await once(world, get(origin, **having(digest)))
    assert answer.reply.status == 401 and guard.refused == 1
    assert answer.reply.connection.authentication == "no authentication scheme that the credential permits"


@pytest.mark.parametrize("size", [1000, 300_000], ids=["held", "behind Expect"])
@pytest.mark.parametrize("body", [pb.BODY_LENGTH, pb.BODY_CHUNKED], ids=["length", "chunked"])
async def test_a_body_is_replayed_or_waits_for_the_challenge(world, body, size):
    guard = Guard("Basic")
    origin = await world.origin(guard.serve)
    data = bytes(range(256)) * (size // 256 + 1)
    length = len(data) if body == pb.BODY_LENGTH else 0
    session = await world.session()
    post = get(origin, body=body, body_length=length, **having(USER))
    post.method = b"POST"
    answer = await session.exchange(post, data)
    assert (answer.reply.status, bytes(answer.body)) == (200, b"ok" + data), answer.end
    assert (guard.refused, guard.accepted) == (1, 1)


@pytest.mark.parametrize("side", ["origin", "peer"])
@pytest.mark.parametrize("body", [pb.BODY_LENGTH, pb.BODY_CHUNKED], ids=["length", "chunked"])
async def test_a_large_body_behind_a_nonce_that_became_stale(world, body, side):
    """Each nonce is good for one request: the next one's is refused, and its body is sent once all the same."""
    of_peer = (b"Proxy-Authenticate", b"407 Proxy Authentication Required") if side == "peer" else ()
    guard = Guard("Digest", *of_peer, uses=1)
    origin = await world.origin(guard.serve)
    data = bytes(range(256)) * 1200
    length = len(data) if body == pb.BODY_LENGTH else 0
    route = pb.ROUTE_PEER if side == "peer" else pb.ROUTE_DIRECT
    session = await world.session()
    for number in range(3):
        post = get(origin, f"/{number}", body=body, body_length=length, route=route, **having(**{side: USER}))
        post.method = b"POST"
        answer = await session.exchange(post, data)
        assert (answer.reply.status, bytes(answer.body)) == (200, b"ok" + data), answer.reply
        assert answer.end.request_body_bytes == len(data)
    assert (guard.refused, guard.accepted) == (3, 3)


@pytest.mark.parametrize("body", [pb.BODY_LENGTH, pb.BODY_CHUNKED], ids=["length", "chunked"])
async def test_a_server_that_refuses_to_be_expected_of_gets_the_body_without(world, body):
    """RFC 9110 section 10.1.1: 417 to an Expect that the proxy knows nothing of."""

    async def serve(peer):
        while True:
            head = await peer.head()
            if head.values(b"Expect"):
                await peer.send(reply(b"no", b"417 Expectation Failed"))
                return peer.close()
            await peer.send(reply(await peer.body()))

    origin = await world.origin(serve)
    data = bytes(range(256)) * 2000
    length = len(data) if body == pb.BODY_LENGTH else 0
    post = get(origin, body=body, body_length=length, **having(USER))
    post.method = b"POST"
    answer = await once(world, post, data)
    assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 200, data), answer.end
    own = [(b"Expect", b"100-continue")]
    post.fields.extend(pb.Field(name=name, value=value) for name, value in own)
    answer = await once(world, post, data)
    assert (outcome(answer), answer.reply.status, answer.body) == ("COMPLETE", 417, b"no"), answer.end


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_peer_is_answered_for_absolute_form_and_the_origin_behind_it_too(world, scheme):
    peer = Guard(scheme, b"Proxy-Authenticate", b"407 Proxy Authentication Required")
    origin = Guard("Basic")

    async def serve(connection):
        while True:
            head = await connection.head()
            await connection.body()
            await connection.send(peer.judge(head) or origin.judge(head) or reply(b"ok"))

    parent = await world.origin(serve)
    session = await world.session()
    for _ in range(3):
        request = get(parent, route=pb.ROUTE_PEER, **having(USER, USER))
        answer = await session.exchange(request)
        assert answer.reply.status == 200, answer.reply.connection.authentication
    assert (peer.refused, origin.refused) == (1, 1)


@pytest.mark.parametrize("close", [False, True], ids=["kept", "closed"])
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_tunnel_is_asked_for_with_credentials_and_is_its_user_s_alone(world, scheme, close):
    guard = Guard(scheme, b"Proxy-Authenticate", b"407 Proxy Authentication Required", close=close)
    connects = []

    async def serve(connection):
        while True:
            head = await connection.head()
            assert head.method == b"CONNECT"
            told = guard.judge(head)
            await connection.send(told or ESTABLISHED)
            if told and close:
                return connection.close()
            if not told:
                break
        connects.append(head)
        while True:
            head = await connection.head()
            assert not head.values(b"Proxy-Authorization"), "nothing of the peer's goes to the origin"
            await connection.send(reply(b"inside"))

    parent = await world.origin(serve)
    session = await world.session()
    for _ in range(3):
        request = get(parent, route=pb.ROUTE_PEER_TUNNEL, **having(peer=USER))
        answer = await session.exchange(request)
        assert (answer.reply.status, answer.body) == (200, b"inside"), answer.end
    assert (len(connects), guard.refused) == (1, 1)
    other = pb.Credential(user=b"Mufasa", password=CANARY, realm=b"r")
    answer = await session.exchange(get(parent, route=pb.ROUTE_PEER_TUNNEL, **having(peer=other)))
    assert answer.reply.status == 200 and len(connects) == 2, "another identity, another tunnel"
    answer = await session.exchange(get(parent, route=pb.ROUTE_PEER_TUNNEL))
    assert (outcome(answer), answer.reply.status) == ("PEER_REFUSED", 407)


async def test_a_401_to_connect_draws_no_password(world):
    guard = Guard("Basic")

    async def serve(connection):
        while True:
            head = await connection.head()
            assert not head.values(b"Authorization") and not head.values(b"Proxy-Authorization")
            await connection.send(guard.challenge())

    parent = await world.origin(serve)
    request = get(parent, route=pb.ROUTE_PEER_TUNNEL, **having(USER, USER))
    answer = await once(world, request)
    assert (outcome(answer), answer.reply.status, guard.refused) == ("PEER_REFUSED", 401, 1)


async def test_what_one_peer_accepted_is_not_sent_to_another_before_it_asks(world):
    guards = [Guard("Basic", b"Proxy-Authenticate", b"407 Proxy Authentication Required") for _ in range(2)]
    parents = [await world.origin(guard.serve) for guard in guards]
    session = await world.session()
    for parent in parents:
        answer = await session.exchange(get(parent, route=pb.ROUTE_PEER, **having(peer=USER)))
        assert answer.reply.status == 200
    assert [guard.refused for guard in guards] == [1, 1]
    assert not parents[1].peers[0].requests[0].values(b"Proxy-Authorization")


async def test_credentials_by_name(world):
    guard = Guard("Digest")
    origin = await world.origin(guard.serve)
    with open(f"{world.folder}/password", "wb") as file:
        file.write(CANARY + b"\n")
    text = "credentials: {partner: {user: Mufasa, password: {file: password}, schemes: [Digest]}}\n"
    session = await configured(world, text)
    named = {"credentials": pb.Credentials(origin_name="partner")}
    assert (await session.exchange(get(origin, **named))).reply.status == 200
    answer = await session.exchange(get(origin, credentials=pb.Credentials(origin_name="nobody")))
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail == "no credentials are named nobody"
