# test_cancel.py: CANCEL and the loss of a session, in every state; nothing is left, and nobody gets another's
# reply. Source: issue "Connections"; DESIGN "END is exact".
import asyncio

import pytest

from origin import HEAD_END, Blackhole, answering, reply
from outrigger import BODY, REPLY, SessionClosed
from world import ask, fate, get, outcome

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END + b"half"


class Story:
    """A stream that was brought into some state, and the connection of its upstream, if it has one."""

    def __init__(self, stream=None, peer=None, started=False, received=b""):
        self.stream, self.peer, self.started, self.received = stream, peer, started, received


async def head_sent(world, session, origin):
    stream = session.start(get(origin, "/victim"))
    peer = await origin.connection()
    await peer.head()
    return Story(stream, peer, True)


async def in_the_request(world, session, origin):
    stream = session.start(ask("PUT", origin, "/victim", length=10))
    peer = await origin.connection()
    await peer.head()
    await stream.send(b"half")
    await peer.read(4)
    return Story(stream, peer, True)


async def in_the_reply(world, session, origin):
    story = await head_sent(world, session, origin)
    await story.peer.send(HALF)
    for expected in REPLY, BODY:
        assert (await story.stream.receive()).type == expected
    return story


async def in_a_chunked_reply(world, session, origin):
    story = await head_sent(world, session, origin)
    await story.peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + HEAD_END + b"5\r\nhello\r\n")
    for expected in REPLY, BODY:
        assert (await story.stream.receive()).type == expected
    return story


async def in_both_bodies(world, session, origin):
    story = await in_the_request(world, session, origin)
    await story.peer.send(HALF)
    for expected in REPLY, BODY:
        assert (await story.stream.receive()).type == expected
    return story


async def waiting_for_100(world, session, origin):
    stream = session.start(ask("PUT", origin, "/victim", [(b"Expect", b"100-continue")], length=4))
    peer = await origin.connection()
    await peer.head()
    await stream.send(b"body")
    return Story(stream, peer, True)


async def without_credit(world, session, origin):
    story = await head_sent(world, session, origin)
    story.stream.credits_itself = False
    story.peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000" + HEAD_END + bytes(50_000_000))
    received = 0
    while received < 262_144:
        frame = await story.stream.receive()
        received += len(frame.message.data) if frame.type == BODY else 0
    return story


async def in_a_tunnel(world, session, origin):
    stream = session.start(get(origin, "/victim", upgrade=b"echo"))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: echo" + HEAD_END)
    assert (await stream.receive()).type == REPLY
    return Story(stream, peer, True)


STATES = [head_sent, in_the_request, in_the_reply, in_a_chunked_reply, in_both_bodies, waiting_for_100,
          without_credit, in_a_tunnel]  # fmt: skip


@pytest.mark.sidecar(continue_milliseconds=60_000)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_cancel_ends_the_stream_and_closes_its_connection(world, state):
    origin = await world.origin()
    session = await world.session()
    story = await state(world, session, origin)
    story.stream.cancel()
    answer = await story.stream.answer()
    assert (outcome(answer), fate(answer)) == ("CANCELLED", "CLOSED")
    assert answer.end.request_started
    await story.peer.ended()
    stream = session.start(get(origin, "/next"))  # never on that connection, never its reply
    fresh = await origin.connection()
    assert (await fresh.head()).target == b"/next"
    await fresh.send(reply(b"own"))
    assert (await stream.answer()).body == b"own"
    assert [head.target for head in story.peer.requests] == [b"/victim"]


@pytest.mark.sidecar(continue_milliseconds=60_000)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("how", ["closed", "reset by unread bytes", "half-closed"])
async def test_the_loss_of_a_session_closes_what_it_had_upstream_and_nothing_else(world, state, how):
    origin = await world.origin()
    lost, other = await world.session(), await world.session()
    bystander = other.start(get(origin, "/other"))
    kept = await origin.connection()
    await kept.head()
    story = await state(world, lost, origin)
    if how == "half-closed":
        lost.writer.write_eof()
    elif how == "closed":
        lost.writer.close()
    else:
        lost.writer.transport.abort()
    await story.peer.ended()
    await lost.task
    with pytest.raises(SessionClosed):
        while True:
            await story.stream.receive()
    await world.sidecar.settled(more=2)  # the other session and its connection
    await kept.send(reply(b"untouched"))
    assert (await bystander.answer()).body == b"untouched"


async def test_cancel_while_dialing_gives_up_the_dial(world):
    session = await world.session()
    before = len(world.sidecar.descriptors())
    with Blackhole() as hole:
        stream = session.start(get([hole.endpoint]))
        await world.barrier(session)
        assert len(world.sidecar.descriptors()) == before + 1
        stream.cancel()
        answer = await stream.answer()
        assert outcome(answer) == "CANCELLED"
        assert not answer.end.request_started and answer.end.repeatable
        await world.sidecar.settled(more=1)


async def test_the_loss_of_a_session_while_dialing_gives_up_the_dial(world):
    session, other = await world.session(), await world.session()
    with Blackhole() as hole:
        session.start(get([hole.endpoint]))
        await world.barrier(session)
        session.writer.close()
        await world.sidecar.settled(more=1)
        await world.barrier(other)


@pytest.mark.sidecar(connections_per_endpoint_max=1)
@pytest.mark.parametrize("how", ["cancel", "session lost"])
async def test_a_queued_request_that_is_given_up_leaves_the_queue(world, how):
    origin = await world.origin()
    session, other = await world.session(), await world.session()
    first = other.start(get(origin, "/first"))
    peer = await origin.connection()
    await peer.head()
    queued = session.start(get(origin, "/given-up"))
    await world.barrier(session)
    last = other.start(get(origin, "/last"))
    await world.barrier(other)
    if how == "cancel":
        queued.cancel()
        answer = await queued.answer()
        assert outcome(answer) == "CANCELLED"
        assert not answer.end.request_started and answer.end.repeatable
    else:
        session.writer.close()
        await session.task
        await world.sidecar.settled(more=2)
    await peer.send(reply())
    assert outcome(await first.answer()) == "COMPLETE"
    assert (await peer.head()).target == b"/last"
    await peer.send(reply())
    assert outcome(await last.answer()) == "COMPLETE"
    assert [head.target for head in origin.requests] == [b"/first", b"/last"]


async def test_cancel_that_crosses_the_end_is_ignored(world):
    origin = await world.origin(answering())
    session = await world.session()
    for number in range(200):
        stream = session.start(get(origin, f"/{number}"))
        if number % 2:
            await session.writer.drain()
        stream.cancel()
        answer = await stream.answer()  # one END, whichever came first
        if outcome(answer) == "COMPLETE":
            assert answer.body == b"/%d" % number
        else:
            assert outcome(answer) == "CANCELLED"
    assert (await session.exchange(get(origin, "/last"))).body == b"/last"


async def test_cancel_of_many_streams_disturbs_none_of_the_others(world):
    origin = await world.origin(answering())
    session = await world.session()
    streams = [session.start(get(origin, f"/{number}")) for number in range(300)]
    for stream in streams[::3]:
        stream.cancel()
    answers = await asyncio.gather(*(stream.answer() for stream in streams))
    for number, answer in enumerate(answers):
        if outcome(answer) == "COMPLETE":
            assert answer.body == b"/%d" % number
        else:
            assert (outcome(answer), number % 3) == ("CANCELLED", 0)


async def test_cancel_twice_is_cancel_once(world):
    origin = await world.origin()
    session = await world.session()
    story = await head_sent(world, session, origin)
    story.stream.cancel()
    story.stream.cancel()
    assert outcome(await story.stream.answer()) == "CANCELLED"
    await world.barrier(session)
    await story.peer.ended()


async def test_a_session_that_comes_and_goes_a_hundred_times_leaves_nothing(world):
    origin = await world.origin()
    for number in range(100):
        session = await world.session()
        session.start(get(origin, f"/{number}"))
        peer = await origin.connection()
        await peer.head()
        session.writer.transport.abort()
        assert await peer.ended() == b""
    await world.sidecar.settled()
