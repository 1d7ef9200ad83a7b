# test_deadlines.py: each deadline has its own outcome, per request and by default.
# Source: proto/outrigger.proto, message Deadlines. (The queue's is in test_limits.py.)
import pytest

from origin import HEAD_END, Blackhole, answering, reply
from outrigger import BODY, END, REPLY, pb
from world import ask, attempts, fate, get, outcome

ALL = ["connect_ms", "first_byte_ms", "idle_ms", "total_ms"]


def deadline(**milliseconds):
    return {"deadlines": pb.Deadlines(**milliseconds)}


def timely(answer, milliseconds):
    return milliseconds * 950 <= answer.end.timings.total_us < milliseconds * 1000 + 5_000_000


async def no_connection(world, **more):
    session = await world.session()
    with Blackhole() as hole:
        answer = await session.exchange(get([hole.endpoint], **more))
    assert outcome(answer) == "CONNECT_TIMEOUT" and timely(answer, 150)
    assert attempts(answer) == ["TIMEOUT"]
    assert answer.end.repeatable and not answer.end.request_started
    assert answer.end.detail and fate(answer) == "NONE"


async def test_connect_time_over_ends_connect_timeout(world):
    await no_connection(world, **deadline(connect_ms=150))


@pytest.mark.sidecar(connect_milliseconds=150)
async def test_connect_time_has_a_default(world):
    await no_connection(world)


async def test_connect_time_is_of_all_endpoints_together(world):
    session = await world.session()
    with Blackhole() as one, Blackhole() as two:
        answer = await session.exchange(get([one.endpoint, two.endpoint], **deadline(connect_ms=400)))
    assert outcome(answer) == "CONNECT_TIMEOUT" and timely(answer, 400)
    assert attempts(answer) == ["TIMEOUT", "TIMEOUT"]


async def no_reply(world, **more):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, **more))
    peer = await origin.connection()
    await peer.head()
    answer = await stream.answer()
    assert outcome(answer) == "REPLY_TIMEOUT" and timely(answer, 150)
    assert answer.reply is None and answer.end.detail and fate(answer) == "CLOSED"
    assert await peer.ended() == b""
    again = session.start(get(origin))  # a late reply can not be taken for another's
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"own"))
    assert (await again.answer()).body == b"own"


async def test_no_first_byte_in_time_ends_reply_timeout(world):
    await no_reply(world, **deadline(first_byte_ms=150))


@pytest.mark.sidecar(first_byte_milliseconds=150)
async def test_the_time_to_the_first_byte_has_a_default(world):
    await no_reply(world)


async def test_the_time_to_the_first_byte_begins_when_the_request_is_written_whole(world):
    origin, clock = await world.origin(), await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=4, **deadline(first_byte_ms=150)))
    peer = await origin.connection()
    await peer.head()
    assert outcome(await session.exchange(get(clock, **deadline(first_byte_ms=400)))) == "REPLY_TIMEOUT"
    await stream.send(b"body")
    stream.finish()
    await peer.body()
    await peer.send(reply(b"in time"))
    assert (await stream.answer()).body == b"in time"


async def silence(world, **more):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, **more))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END + b"half")
    answer = await stream.answer()
    assert outcome(answer) == "IDLE_TIMEOUT" and timely(answer, 150)
    assert (answer.reply.status, bytes(answer.body), fate(answer)) == (200, b"half", "CLOSED")
    assert await peer.ended() == b""


async def test_silence_in_a_reply_ends_idle_timeout(world):
    await silence(world, **deadline(idle_ms=150))


@pytest.mark.sidecar(idle_milliseconds=150)
async def test_the_time_between_bytes_has_a_default(world):
    await silence(world)


async def test_an_upstream_that_stops_reading_ends_idle_timeout(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=64 << 20, **deadline(idle_ms=200)))
    peer = await origin.connection()
    peer.pause()
    await stream.send(bytes(64 << 20))
    answer = await stream.answer()
    assert outcome(answer) == "IDLE_TIMEOUT"
    assert 0 < answer.end.request_body_bytes < 64 << 20
    peer.resume()
    await peer.ended()


async def test_a_proxy_that_stops_sending_its_body_ends_idle_timeout(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=10, **deadline(idle_ms=150)))
    peer = await origin.connection()
    await peer.head()
    await stream.send(b"half")
    answer = await stream.answer()
    assert outcome(answer) == "IDLE_TIMEOUT"
    assert await peer.ended() == b"half"


async def test_time_without_credit_is_not_silence(world):
    origin, clock = await world.origin(answering(reply(bytes(1 << 20)))), await world.origin()
    session = await world.session(initial_credit_bytes=100)
    stream = session.start(get(origin, **deadline(idle_ms=150)))
    stream.credits_itself = False
    assert (await stream.receive()).type == REPLY
    received = 0
    while received < 100:
        received += len((await stream.receive()).message.data)
    assert outcome(await session.exchange(get(clock, **deadline(first_byte_ms=500)))) == "REPLY_TIMEOUT"
    stream.credit(1 << 20)
    while (frame := await stream.receive()).type == BODY:
        received += len(frame.message.data)
    assert frame.type == END and frame.message.outcome == pb.OUTCOME_COMPLETE
    assert received == 1 << 20


async def test_a_reply_that_trickles_is_not_silent_but_has_a_total_time(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, **deadline(idle_ms=5000, total_ms=300)))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000" + HEAD_END)
    assert (await stream.receive()).type == REPLY
    count = 0
    while True:  # byte for byte, each on its way when the one before has arrived
        try:
            await peer.send(b"x")
        except ConnectionError:
            pass  # the END is on its way
        frame = await stream.receive()
        if frame.type == END or count == 900:
            break
        count += 1
    while frame.type != END:
        frame = await stream.receive()
    assert frame.message.outcome == pb.OUTCOME_DEADLINE
    assert 285_000 <= frame.message.timings.total_us < 5_000_000
    await peer.ended()


@pytest.mark.sidecar(total_milliseconds=200)
@pytest.mark.parametrize("phase", ["dialing", "head sent", "in the reply", "in the request"])
async def test_the_total_time_ends_deadline_in_every_phase(world, phase):
    session = await world.session()
    if phase == "dialing":
        with Blackhole() as hole:
            answer = await session.exchange(get([hole.endpoint]))
    else:
        origin = await world.origin()
        stream = session.start(ask("PUT", origin, length=9) if phase == "in the request" else get(origin))
        peer = await origin.connection()
        await peer.head()
        if phase == "in the reply":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END + b"half")
        answer = await stream.answer()
        assert await peer.ended() == b""
    assert outcome(answer) == "DEADLINE" and timely(answer, 200)
    assert answer.end.detail


@pytest.mark.sidecar(total_milliseconds=200, connections_per_endpoint_max=1)
async def test_the_total_time_runs_in_the_queue_too(world):
    origin = await world.origin()
    session = await world.session()
    first = session.start(get(origin, **deadline(total_ms=60_000)))
    peer = await origin.connection()
    await peer.head()
    assert outcome(await session.exchange(get(origin))) == "DEADLINE"
    await peer.send(reply())
    assert outcome(await first.answer()) == "COMPLETE"


@pytest.mark.parametrize("name", [*ALL, "queue_ms"])
async def test_a_deadline_beyond_a_day_is_refused(world, name):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(get(origin, **deadline(**{name: 86_400_001})))
    assert outcome(answer) == "BAD_REQUEST"
    assert not origin.peers
    assert outcome(await session.exchange(get(origin, **deadline(**{name: 86_400_000})))) == "COMPLETE"
