# test_disclosure.py: that secrets which sidecars disclose are found, whatever they look like; and what sidecars say of
# clients' tokens and credentials in the states in which they have most to say. All other tests are watched alike.
# Source: disclosure.py.
import base64
import types

import pytest

import outrigger
from disclosure import Watch
from origin import HEAD_END, Head, answering, reply
from outrigger import END, END_STREAM, GOAWAY, HEADER, PIN, REPLY, REQUEST, Frame, pb
from world import CANARY, get, goaway, outcome

PASSWORD, TOKEN = CANARY + b"-own", CANARY + b"-token"
WAYS = {
    "plain": lambda secret: secret,
    "upper-case hexadecimal": lambda secret: secret.hex().upper().encode(),
    "hexadecimal": lambda secret: secret.hex().encode(),
    "base64": base64.b64encode,
    "base64 behind one byte": lambda secret: base64.b64encode(b"u" + secret + b"x"),
    "base64 behind two": lambda secret: base64.b64encode(b"u:" + secret),
    "base64url": base64.urlsafe_b64encode,
    "UTF-16": lambda secret: secret.decode("latin-1").encode("utf-16le"),
}
PLACES = {
    "detail of END": lambda words: Frame(END, 0, pb.End(detail=words)),
    "member of END": lambda words: Frame(END, 0, pb.End(attempts=[pb.Attempt(member=words)])),
    "GOAWAY": lambda words: Frame(GOAWAY, 0, pb.GoAway(detail=words)),
    "PIN": lambda words: Frame(PIN, 0, pb.PinEvent(detail=words)),
    "REPLY": lambda words: Frame(REPLY, 0, pb.ReplyHead(connection=pb.ConnectionFacts(authentication=words))),
}


def told():
    watch = Watch()
    basic = b"Basic " + base64.b64encode(b"someone:of-a-proxy's-own")
    credential = pb.Credential(user=b"somebody", password=b"pass\xff\xfeword!")
    watch.confide_request(
        outrigger.request(
            "GET", "a", "/", [], [(b"authorization", basic)],
            credentials=pb.Credentials(origin=credential, peer=pb.Credential(bearer_token=b"bearer-of-a-peer")),
            pin=pb.Pin(token=b"the token"),
            hop=pb.Hop(connect_fields=[pb.Field(name=b"Proxy-Authorization", value=b"Bearer of-a-tunnel")]),
        )
    )  # fmt: skip
    return watch


SECRETS = (
    *(b"pass\xff\xfeword!", b"bearer-of-a-peer", b"the token", b"of-a-tunnel", b"of-a-proxy's-own", CANARY),
    b"Basic " + base64.b64encode(b"someone:of-a-proxy's-own"),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", SECRETS, ids=repr)
def test_a_secret_is_found_in_every_form(secret, way):
    watch = told()
    watch.hear(b"words {" + WAYS[way](secret) + b"}", "a log")
    assert secret in [found[0] for found in watch.found()]
    with pytest.raises(AssertionError, match="disclosed"):
        watch.prove()


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_found_in_every_frame_that_has_words(place):
    watch = told()
    watch.hear_frame(PLACES[place]("innocent"))
    watch.prove()
    watch.hear_frame(PLACES[place](f"pin {b'the token'.hex()} is gone"))
    assert [(name, where) for _, name, where, _ in watch.found()][0][0] == "hexadecimal"


def test_words_of_an_upstream_and_what_a_proxy_gets_back_are_no_disclosure():
    watch = told()
    field = pb.Field(name=b"x", value=CANARY)
    watch.hear_frame(Frame(REPLY, 0, pb.ReplyHead(reason=CANARY, fields=[field])))
    watch.hear_frame(Frame(outrigger.BODY, 0, pb.BodyChunk(data=CANARY)))
    watch.hear_frame(Frame(outrigger.TRAILERS, 0, pb.Trailers(fields=[field])))
    watch.hear_frame(Frame(PIN, 0, pb.PinEvent(token=b"the token")))
    watch.prove()


def test_what_a_sidecar_made_of_a_secret_is_one():
    watch = Watch()
    head = b"GET / HTTP/1.1\r\nAuthorization: Digest response=\"0123456789abcdef\", nc=00000001" + HEAD_END
    watch.confide_upstream(types.SimpleNamespace(requests=[Head(head)]))
    watch.hear(b"answered with 0123456789abcdef", "a log")
    assert watch.found()


def credentials(**more):
    one = pb.Credential(user=b"user", password=PASSWORD, **more)
    return pb.Credentials(origin=one, peer=one)


async def test_pins_in_every_state_are_told_and_listed_without_their_tokens(world):
    origin = await world.origin(answering())
    session = await world.session(instance_id=b"one")
    held = await world.origin()

    def pinned(where, mode, target="/", token=TOKEN):
        return get(where, target, pin=pb.Pin(token=token, mode=mode), credentials=credentials())

    assert outcome(await session.exchange(pinned(origin, pb.PIN_REQUIRE))) == "PIN_LOST"
    assert outcome(await session.exchange(pinned(origin, pb.PIN_MAKE))) == "COMPLETE"
    assert outcome(await session.exchange(pinned(held, pb.PIN_REQUIRE))) == "PIN_MISMATCH"
    first = session.start(pinned(held, pb.PIN_MAKE))
    peer = await held.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2" + HEAD_END)
    second = session.start(pinned(held, pb.PIN_REQUIRE))
    await world.barrier(session)
    await world.listen()  # one idle, one busy with another behind it
    session.send(outrigger.UNPIN, 0, pb.Unpin(token=TOKEN))
    assert outcome(await second.answer()) == "PIN_LOST"
    peer.reset()
    assert outcome(await first.answer()) == "TRUNCATED"
    assert outcome(await session.exchange(pinned(origin, pb.PIN_REQUIRE))) == "PIN_LOST"
    assert outcome(await session.exchange(pinned(origin, pb.PIN_MAKE))) == "COMPLETE"
    assert (await session.pins.get()).token == TOKEN


@pytest.mark.parametrize("scheme", [b"Basic", b"Digest", b"Bearer", b"Negotiate", b"NTLM"])
async def test_upstreams_that_say_back_what_they_were_told_make_no_words_of_ours(world, scheme):
    """Refusals, broken replies, broken challenges: each says the credentials that came in its own name."""
    parameters = b' realm="r", nonce="n", qop="auth"' if scheme == b"Digest" else b' realm="r"'
    challenge = scheme + (b"" if scheme in (b"Negotiate", b"NTLM") else parameters)
    broken = [
        b"HTTP/1.1 401 %s\r\nWWW-Authenticate: " + challenge + b"\r\nContent-Length: 0" + HEAD_END,
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest %s=\"\r\nContent-Length: 0" + HEAD_END,
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + scheme + b" %s\r\nContent-Length: 0" + HEAD_END,
        b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 0" + HEAD_END,
        b"HTTP/1.1 200 OK\r\nContent-Length: %s" + HEAD_END,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + HEAD_END + b"%s\r\n",
        b"%s" + HEAD_END,
    ]
    session = await world.session()
    for number, template in enumerate(broken):

        async def serve(peer):
            challenged = False
            while True:
                head = await peer.head()
                said = b"".join(head.values(b"Authorization")) or CANARY
                ask = reply(b"", b"401 No", b"WWW-Authenticate: " + challenge)
                await peer.send(template.replace(b"%s", said) if challenged else ask)
                challenged = True

        origin = await world.origin(serve)
        credential = pb.Credential(user=b"user", password=PASSWORD, bearer_token=b"bearer." + CANARY)
        credential.schemes.extend(["Basic", "Digest", "Bearer"])
        answer = await session.exchange(get(origin, f"/{number}", credentials=pb.Credentials(origin=credential)))
        assert answer.end


async def test_a_frame_that_breaks_behind_a_secret_is_not_repeated(world):
    session = await world.session()
    request = get([], "/", [(b"Authorization", b"Basic " + PASSWORD)], credentials=credentials(schemes=["Basic"]))
    hop = b"\x9a\x01\x04\x0a\x02\xff\xff"  # with a name that is no UTF-8
    payload = request.SerializeToString() + hop
    session.writer.write(HEADER.pack(len(payload), 1, REQUEST, END_STREAM, 0) + payload)
    await session.closed.wait()
    assert goaway(session) == "BAD_MESSAGE"
