# disclosure.py: what a test told sidecars in confidence, what they then said by themselves, and that none of the one is in
# the other. Every test is watched, without a line of its own (conftest.py, world.py).
# Owns: which bytes are secrets and in which forms they are looked for; which parts of a frame are the sidecar's own words.
# Never touches: a session, an upstream. Source: proto/outrigger.proto, "Never in a log, an END or a metric".
import base64
import re

import outrigger
from outrigger import INTERIM, PIN, PONG, REPLY, REQUEST, UNPIN, pb

CANARY = b"canary-3f9a1c"  # in every secret that a test sends
# Shorter ones, such as the token "a", stand everywhere. The tests of what is told of pins have longer ones.
SECRET_BYTES_MIN = 8
CONFIDENTIAL = {b"authorization", b"proxy-authorization", b"cookie", b"x-api-key"}


class Watch:
    """One test's secrets, and what was heard."""

    def __init__(self):
        self.begin()

    def begin(self):
        """A test begins: nothing is known."""
        self.secrets, self.heard = {CANARY}, []

    def confide(self, *secrets):
        self.secrets.update(bytes(secret) for secret in secrets if len(secret) >= SECRET_BYTES_MIN)

    def confide_field(self, name, value):
        """A field line with credentials: its value, and what is in it."""
        if name.lower() not in CONFIDENTIAL:
            return
        _, _, token = value.partition(b" ")
        self.confide(value, token, *re.findall(rb'response="([^"]+)"', value))
        if value[:6].lower() == b"basic ":
            try:
                pair = base64.b64decode(token, validate=True)
            except ValueError:
                return  # some tests only need something there
            self.confide(pair, pair.partition(b":")[2])

    def confide_request(self, request):
        for credential in request.credentials.origin, request.credentials.peer:
            self.confide(credential.password, credential.bearer_token)
        self.confide(request.pin.token)
        for line in [*request.fields, *request.hop.connect_fields]:
            self.confide_field(line.name, line.value)

    def confide_upstream(self, origin):
        """What a sidecar has made of its secrets for an upstream is as secret."""
        for head in origin.requests:
            for line in head.lines:
                name, _, value = line.partition(b":")
                self.confide_field(name, value.strip())

    def hear(self, words, where):
        if words:
            self.heard.append((words, where))

    def hear_frame(self, frame):
        """Everything but what an upstream has sent, and what the proxy gets back as it sent it."""
        if frame.type in (outrigger.BODY, outrigger.TRAILERS, PONG):
            return
        own = type(frame.message)()
        own.CopyFrom(frame.message)
        for field in {INTERIM: ("fields", "reason"), REPLY: ("fields", "reason"), PIN: ("token",)}.get(frame.type, ()):
            own.ClearField(field)
        self.hear(own.SerializeToString(), f"a frame of type {frame.type:#04x}")

    def found(self):
        """Every secret that was heard, in which form, where."""
        all_words = b"\0\0".join(words for words, _ in self.heard)
        found = []
        for secret in sorted(self.secrets):
            for form, name in forms(secret):
                if form in all_words:
                    found += [(secret, name, where, words) for words, where in self.heard if form in words]
        return found

    def prove(self):
        found = self.found()
        assert not found, f"secrets were disclosed (secret, form, where, words): {found[:5]}"


def forms(secret):
    """A secret as it may turn up: plain, as NTLM has it, in hexadecimal, in base64 beside other bytes."""
    yield secret, "plain"
    yield b"".join(bytes([byte, 0]) for byte in secret), "UTF-16"
    yield secret.hex().encode(), "hexadecimal"
    yield secret.hex().upper().encode(), "hexadecimal"
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        # Of the first and the last digit some bits belong to what stands beside the secret.
        inner = text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield inner, "base64"
        yield inner.translate(bytes.maketrans(b"+/", b"-_")), "base64url"


watch = Watch()
_send, _take = outrigger.Session.send, outrigger.Session.take


def send(self, type, stream, message, flags=0):
    if type == REQUEST:
        watch.confide_request(message)
    elif type == UNPIN:
        watch.confide(message.token)
    _send(self, type, stream, message, flags)


def take(self, id, frame):
    watch.hear_frame(frame)
    _take(self, id, frame)


# Tests get their sessions from the client as proxies' authors do, not from the world.
outrigger.Session.send, outrigger.Session.take = send, take
