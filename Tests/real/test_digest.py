# test_digest.py: Digest in all its forms, to an origin that is written from RFC 7616 alone: hash functions, sessions, names that
# are hashed or not in ASCII, protected bodies, and servers that prove themselves.
# Source: RFC 7616 sections 3.3 to 3.5; RFC 7615; RFC 2617 section 3.2.2 for challenges without qop.
import hashlib
import itertools
import os
import re
import urllib.parse

import pytest

from disclosure import CANARY
from origin import reply
from outrigger import pb
from world import ask, outcome

FUNCTIONS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
REALM = 'http-auth@"example\\org"'
PASSWORD = CANARY.decode() + " Circle of Life"


class Protected:
    """One form of Digest. Every response is computed anew, none is looked up."""

    def __init__(self, algorithm, qop, user="Mufasa", userhash=False, utf8=False, next_nonce=False, proof=True):
        self.algorithm, self.qop, self.user, self.userhash, self.utf8 = algorithm, qop, user, userhash, utf8
        self.next_nonce, self.proof = next_nonce, proof
        self.nonces, self.keys, self.passed, self.asked = {}, {}, 0, 0

    def hash(self, *parts):
        data = b":".join(part if isinstance(part, bytes) else part.encode() for part in parts)
        return hashlib.new(FUNCTIONS[self.algorithm.removesuffix("-sess")], data).hexdigest()

    def nonce(self):
        nonce = os.urandom(8).hex()
        self.nonces[nonce] = 0
        return nonce

    def challenge(self):
        self.asked += 1
        quote = lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
        parts = [f"realm={quote(REALM)}", f'nonce="{self.nonce()}"', 'opaque="of the origin"']
        parts += [f"algorithm={self.algorithm}"] if self.algorithm else []
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += ["userhash=true"] if self.userhash else []
        parts += ["charset=UTF-8"] if self.utf8 else []
        return reply(b"who?", b"401 Unauthorized", b"WWW-Authenticate: Digest " + ", ".join(parts).encode())

    def check(self, head, body):
        """What the fields of a reply say, when the request may pass."""
        (value,) = head.values(b"Authorization")
        assert value.startswith(b"Digest ")
        pairs = re.findall(rb'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', value)
        given = {name.decode(): re.sub(rb"\\(.)", rb"\1", quoted or plain).decode() for name, quoted, plain in pairs}
        assert len(pairs) == len(given) and given["realm"] == REALM and given["opaque"] == "of the origin"
        self.check_name(given)
        assert given["uri"] == head.target.decode() and given.get("algorithm", "MD5") == self.algorithm
        first = [self.user, REALM, PASSWORD]
        start = self.hash(*first)
        if self.algorithm.endswith("-sess"):
            # Once for each challenge: a nextnonce goes on with the key (RFC 7616 section 3.4.2).
            start = self.keys.setdefault(given["nonce"], self.hash(start, given["nonce"], given["cnonce"]))
        count = given.get("nc", "")
        extra = [count, given["cnonce"], given["qop"]] if self.qop else []

        def response(method):
            second = [method, given["uri"]]
            if given.get("qop") == "auth-int":
                second.append(self.hash(body))
            return self.hash(start, given["nonce"], *extra, self.hash(*second))

        if given["response"] != response(head.method):
            return None
        assert given["nonce"] in self.nonces
        if self.qop:
            assert given["qop"] in self.qop.replace(" ", "").split(",") and re.fullmatch("[0-9a-f]{8}", count)
            assert int(count, 16) == self.nonces[given["nonce"]] + 1, "one after the other, each count once"
            self.nonces[given["nonce"]] += 1
        self.passed += 1
        lines = []
        if self.next_nonce:
            following = self.nonce()
            self.keys[following] = start
            lines.append(f'nextnonce="{following}"')
        if self.proof and given.get("qop") == "auth":
            lines += [f'rspauth="{response(b"")}"', "qop=auth", f"nc={count}", f'cnonce="{given["cnonce"]}"']
        return [b"Authentication-Info: " + ", ".join(lines).encode()] if lines else []

    def check_name(self, given):
        if self.userhash:
            assert given["userhash"] == "true" and given["username"] == self.hash(self.user, REALM)
        elif self.utf8 and not self.user.isascii():
            kind, _, name = given["username*"].partition("''")
            assert kind.upper() == "UTF-8" and urllib.parse.unquote(name) == self.user
            assert "username" not in given
        else:
            assert given["username"] == self.user and "userhash" not in given

    async def serve(self, peer):
        while True:
            head = await peer.head()
            if not head.values(b"Authorization"):
                if head.values(b"Expect"):
                    await peer.send(self.challenge())
                    return peer.close()
                await peer.body()
                await peer.send(self.challenge())
                continue
            if head.values(b"Expect"):
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await peer.body()
            lines = self.check(head, body)
            await peer.send(self.challenge() if lines is None else reply(body, b"200 OK", *lines))


def of(user, password=PASSWORD):
    credential = pb.Credential(user=user.encode(), password=password.encode(), schemes=["Digest"])
    return {"credentials": pb.Credentials(origin=credential)}


ALGORITHMS = [name + more for name, more in itertools.product(FUNCTIONS, ("", "-sess"))]


@pytest.mark.parametrize("user, userhash, utf8", [
    ("Mufasa", False, False), ("Mufasa", True, True), ("Jäsøn Doe", True, True), ("Jäsøn Doe", False, True),
    ('a "quoted\\name', False, False),
], ids=["plain", "hashed", "hashed UTF-8", "UTF-8", "quoted"])  # fmt: skip
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int, auth"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_form_is_answered(world, algorithm, qop, user, userhash, utf8):
    origin = Protected(algorithm, qop, user, userhash, utf8)
    where = await world.origin(origin.serve)
    session = await world.session()
    for number, size in enumerate([0, 0, 10, 5000]):
        form = ask("POST" if size else "GET", where, f"/{number}?a=b,c", length=size or None, **of(user))
        answer = await session.exchange(form, bytes(size))
        assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 200, bytes(size)), answer
    # A request goes out before its body has come: that with auth-int is asked for.
    assert (origin.asked, origin.passed) == (3 if qop == "auth-int" else 1, 4)


@pytest.mark.parametrize("next_nonce", [False, True], ids=["", "nextnonce"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
async def test_nonces_that_follow_each_other(world, algorithm, next_nonce):
    origin = Protected(algorithm, "auth", next_nonce=next_nonce)
    where = await world.origin(origin.serve)
    session = await world.session()
    for number in range(20):
        answer = await session.exchange(ask("GET", where, f"/{number}", **of("Mufasa")))
        assert answer.reply.status == 200, answer
    assert (origin.asked, origin.passed) == (1, 20)
    assert max(origin.nonces.values()) == (1 if next_nonce else 20)


async def test_a_challenge_of_rfc_2069(world):
    origin = Protected("MD5", "")
    where = await world.origin(origin.serve)
    answer = await (await world.session()).exchange(ask("GET", where, "/dir/index.html", **of("Mufasa")))
    assert answer.reply.status == 200, answer


async def test_a_body_that_is_not_held_cannot_be_protected(world):
    """auth-int needs it whole; where auth is offered besides, that is taken."""
    for qop, status in ("auth-int", 401), ("auth, auth-int", 200):
        origin = Protected("SHA-256", qop)
        where = await world.origin(origin.serve)
        form = ask("POST", where, "/", length=300_000, **of("Mufasa"))
        answer = await (await world.session()).exchange(form, bytes(300_000))
        assert answer.reply.status == status, answer.reply
        words = "auth-int needs the body, which is not held whole" if status == 401 else ""
        assert answer.reply.connection.authentication == words


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_wrong_password(world, algorithm):
    origin = Protected(algorithm, "auth")
    where = await world.origin(origin.serve)
    answer = await (await world.session()).exchange(ask("GET", where, "/", **of("Mufasa", PASSWORD + "x")))
    assert answer.reply.status == 401 and origin.passed == 0
    assert answer.reply.connection.authentication == "the credential was refused"
