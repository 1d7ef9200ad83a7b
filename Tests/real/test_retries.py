# test_retries.py: what is sent again, counted at the upstream. Nothing that is not idempotent is ever sent
# twice. Source: RFC 9110 §9.2.2; RFC 9112 §9.3.1; DESIGN "Retries are safe".
import pytest

from origin import reply
from outrigger import pb
from world import ask, attempts, fate, outcome, until

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH", "LOCK", "get"]
REPEATED = b"/repeated"


class Flaky:
    """Serves `/warm`; breaks each connection on `/repeated` while `faults` last, then serves that too."""

    def __init__(self, fault, faults=1, reads_body=True):
        self.fault, self.faults, self.reads_body = fault, faults, reads_body

    async def __call__(self, peer):
        while True:
            head = await peer.head()
            if head.target != REPEATED or not self.faults:
                await peer.body()
                await peer.send(b"HTTP/1.1 204 N\r\n\r\n" if head.method == b"HEAD" else reply(head.target))
                continue
            if self.reads_body:
                await peer.body()
            self.faults -= 1
            if self.fault == "half a status line":
                await peer.send(b"HTTP/1.1 2")
            peer.reset() if self.fault == "RST" else peer.close()
            return


async def warm(world, fault, count=1, **more):
    """An origin with so many idle connections to it, each of which has served one request."""
    origin = await world.origin(Flaky(fault, **more))
    session = await world.session()
    streams = []
    for _ in range(count):
        streams.append(session.start(ask("PUT", origin, "/warm", length=1)))
        await origin.connection()
    for stream in streams:
        await stream.send(b"x")
        stream.finish()
        assert fate(await stream.answer()) == "POOLED"
    return origin, session


def seen(origin):
    """How often the request came, over all connections."""
    return [head.target for head in origin.requests].count(REPEATED)


def message(method, origin, size=None, **more):
    return ask(method, origin, REPEATED.decode(), length=size, **more)


def size_for(method):
    return 4 if method in ("PUT", "POST", "PATCH") else None


@pytest.mark.parametrize("fault", ["FIN", "RST"])
@pytest.mark.parametrize("method", IDEMPOTENT)
async def test_an_idempotent_request_is_sent_again_when_a_reused_connection_died_before_the_reply(
    world, method, fault
):
    origin, session = await warm(world, fault)
    answer = await session.exchange(message(method, origin, size_for(method)), b"body")
    assert outcome(answer) == "COMPLETE"
    assert attempts(answer) == ["STALE", "CONNECTED"]
    assert not answer.reply.connection.reused
    assert (seen(origin), len(origin.peers)) == (2, 2)
    if size_for(method):
        assert bytes(origin.peers[1].received).endswith(b"\r\n\r\nbody"), "with its body, whole"


@pytest.mark.parametrize("fault", ["FIN", "RST"])
@pytest.mark.parametrize("method", OTHERS)
async def test_any_other_request_is_never_sent_twice(world, method, fault):
    origin, session = await warm(world, fault)
    answer = await session.exchange(message(method, origin, size_for(method)), b"body")
    assert outcome(answer) == "RESET"
    assert answer.end.request_started and not answer.end.repeatable
    assert answer.end.detail and fate(answer) == "CLOSED"
    assert seen(origin) == 1


@pytest.mark.parametrize("method", IDEMPOTENT[:2] + OTHERS[:1] + ["PUT", "DELETE"])
async def test_nothing_is_sent_again_once_a_byte_of_the_reply_came(world, method):
    origin, session = await warm(world, "half a status line")
    answer = await session.exchange(message(method, origin, size_for(method)), b"body")
    assert outcome(answer) == "TRUNCATED" and answer.reply is None
    assert seen(origin) == 1


@pytest.mark.parametrize(
    "fault, expected", [("FIN", "RESET"), ("RST", "RESET"), ("half a status line", "TRUNCATED")]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_nothing_is_sent_again_after_the_failure_of_a_fresh_connection(world, method, fault, expected):
    origin = await world.origin(Flaky(fault))
    session = await world.session()
    answer = await session.exchange(message(method, origin, size_for(method)), b"body")
    assert outcome(answer) == expected
    assert answer.end.request_started
    assert seen(origin) == 1


async def test_the_end_of_an_idempotent_request_that_was_not_sent_again_says_that_it_may_be(world):
    origin = await world.origin(Flaky("FIN"))
    session = await world.session()
    assert (await session.exchange(message("GET", origin))).end.repeatable
    origin = await world.origin(Flaky("FIN"))
    assert not (await session.exchange(message("POST", origin))).end.repeatable


@pytest.mark.parametrize("fault", ["FIN", "RST"])
async def test_a_post_that_the_proxy_vouches_for_is_sent_again(world, fault):
    origin, session = await warm(world, fault)
    answer = await session.exchange(message("POST", origin, 4, retry=pb.RETRY_REPLAYABLE), b"body")
    assert (outcome(answer), bytes(answer.body), seen(origin)) == ("COMPLETE", REPEATED, 2)


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_retry_never_means_never(world, method):
    origin, session = await warm(world, "FIN")
    answer = await session.exchange(message(method, origin, size_for(method), retry=pb.RETRY_NEVER), b"body")
    assert (outcome(answer), seen(origin)) == ("RESET", 1)


async def test_a_chunked_body_that_is_held_whole_is_sent_again(world):
    origin, session = await warm(world, "FIN")
    put = ask("PUT", origin, REPEATED.decode(), body=pb.BODY_CHUNKED)
    answer = await session.exchange(put, b"body", trailers=[(b"X-Sum", b"1")])
    assert (outcome(answer), seen(origin)) == ("COMPLETE", 2)
    assert bytes(origin.peers[1].received).endswith(b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n")


async def test_a_body_too_large_to_hold_is_not_sent_again(world):
    origin, session = await warm(world, "FIN")
    answer = await session.exchange(message("PUT", origin, 100_000), bytes(100_000))
    assert (outcome(answer), seen(origin)) == ("RESET", 1)


async def test_a_request_is_sent_again_only_once(world):
    origin, session = await warm(world, "FIN", count=3, faults=99)
    answer = await session.exchange(message("GET", origin))
    assert (outcome(answer), seen(origin)) == ("RESET", 2)


async def test_a_connection_that_was_closed_while_idle_costs_no_request_twice(world):
    origin, session = await warm(world, "FIN", count=4)
    for peer in origin.peers:
        peer.close()  # the FIN and the next request may cross
    answer = await session.exchange(message("POST", origin, 4), b"body")
    assert outcome(answer) in ("COMPLETE", "RESET")
    assert seen(origin) <= 1


async def test_a_body_that_is_still_coming_when_its_connection_dies_is_sent_whole_or_not_again(world):
    origin, session = await warm(world, "FIN", reads_body=False)
    stream = session.start(message("PUT", origin, 4))
    await stream.send(b"bo")
    await until(origin.peers[0].writer.transport.is_closing, "the connection is broken")
    await world.barrier(session)
    await stream.send(b"dy")
    stream.finish()
    answer = await stream.answer()
    assert (outcome(answer), seen(origin)) in [("COMPLETE", 2), ("RESET", 1)]
    if outcome(answer) == "COMPLETE":
        assert bytes(origin.peers[1].received).endswith(b"\r\n\r\nbody")


async def test_a_dial_that_fails_is_no_retry_and_nothing_was_sent(world):
    origin, session = await warm(world, "FIN")
    await origin.stop()
    origin.server.close()
    await origin.server.wait_closed()
    answer = await session.exchange(message("GET", origin))
    assert outcome(answer) in ("CONNECT_REFUSED", "RESET")
    assert seen(origin) == 0
